"""Pretrained weights: the right files, from packages that are never run."""

from __future__ import annotations

import hashlib
import importlib.util
import shlex
import subprocess
import sys
import tomllib
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest

from fieldmark.errors import BundleError, MissingExtra, UsageError
from fieldmark.networks import pretrained
from fieldmark.networks.pretrained import PRETRAINED, PretrainedFile, find, load
from fieldmark.networks.torch_file import read_tensors
from tests.networks.torch_files import contiguous, written

LITE0 = "efficientnet-lite0"
N_TENSORS = {LITE0: 296, "efficientnet-lite1": 386, "efficientnet-lite2": 386}
N_NUMBERS = {LITE0: 4_694_024, "efficientnet-lite1": 5_470_344, "efficientnet-lite2": 6_150_168}
"""Of the weights without the counters; for Lite0 the paper's authors say 4.7 million."""

SHA256 = {
    LITE0: ("8ba97205755881fe", "def206f638996284", "768811a77019e178"),
    "efficientnet-lite1": ("6edbd5ee788f9608", "6b8f4c88217acfde", "3cb13747f1eef045"),
    "efficientnet-lite2": ("c2ecd9924eecf2e2", "f8e5e33c80cf46a4", "5044bdeab9d2010f"),
}
"""Beginnings, of the three tensors below as torch 2.13 reads them."""
LOOKED_AT = {
    "_conv_stem.weight": (32, 3, 3, 3),
    "_fc.weight": (1000, 1280),
    "_bn1.running_var": (1280,),
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainedFile:
    """Return a small package that must not be imported, known under the name ``small``."""
    data = written({f"layer.{end}": contiguous(end, np.ones(2, "<f4")) for end in ("weight", "b")})
    package = tmp_path / "site" / "small_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('this package was imported')")
    (package / "models" / "small.pth").write_bytes(data)
    record = replace(
        PRETRAINED[LITE0],
        name="small",
        package="small_weights",
        path_in_package="models/small.pth",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setitem(PRETRAINED, "small", record)
    return record


def place(record: PretrainedFile) -> Path:
    spec = importlib.util.find_spec(record.package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / record.path_in_package


# The real files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_weights_are_those_that_torch_reads(name: str) -> None:
    weights = load(name)
    for (key, shape), beginning in zip(LOOKED_AT.items(), SHA256[name], strict=True):
        assert weights[key].shape == shape
        assert hashlib.sha256(weights[key].tobytes()).hexdigest().startswith(beginning)
    assert sum(array.size for array in weights.values()) == N_NUMBERS[name]


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_weights_are_finite_float32_numbers(name: str) -> None:
    for key, array in load(name).items():
        assert array.dtype == np.float32, key
        assert np.isfinite(array).all(), key
        assert not key.endswith("running_var") or (array >= 0).all(), key


@pytest.mark.parametrize("name", PRETRAINED)
def test_only_counters_of_steps_are_left_out(name: str) -> None:
    whole, weights = read_tensors(find(name)), load(name)
    left_out = [key for key in whole if key not in weights]
    assert len(whole) == N_TENSORS[name]
    assert {key.rpartition(".")[2] for key in left_out} == {"num_batches_tracked"}
    assert list(weights) == [key for key in whole if key not in left_out]


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_order_is_that_of_the_layers(name: str) -> None:
    keys = list(load(name))
    after_stem = [f"_bn0.{end}" for end in ("weight", "bias", "running_mean", "running_var")]
    assert keys[:6] == ["_conv_stem.weight", *after_stem, "_blocks.0._depthwise_conv.weight"]
    assert keys[-7:-2] == ["_conv_head.weight", *(key.replace("0", "1") for key in after_stem)]
    assert keys[-2:] == ["_fc.weight", "_fc.bias"]
    blocks = [int(key.split(".")[1]) for key in keys if key.startswith("_blocks.")]
    assert blocks == sorted(blocks)
    assert set(blocks) == set(range(blocks[-1] + 1))


def test_the_packages_are_found_without_being_imported() -> None:
    code = """
import sys
from fieldmark.networks import pretrained
for each in pretrained.PRETRAINED.values():
    pretrained.load(each.name)
    assert each.package not in sys.modules, each.package
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# The record -------------------------------------------------------------------------------------


def test_every_file_says_whose_it_is() -> None:
    for name, record in PRETRAINED.items():
        assert name == record.name
        assert record.licence == "Apache-2.0"
        assert "tensorflow/tpu" in record.origin
        assert "arXiv:1905.11946" in record.reference
        assert record.sha256[:8] in record.path_in_package  # so its authors named it


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError, match="sha256"):
        PRETRAINED[LITE0].sha256 = ""  # type: ignore[misc]


@pytest.mark.parametrize("record", PRETRAINED.values(), ids=PRETRAINED)
def test_what_is_to_be_typed_installs_the_package(record: PretrainedFile) -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    distribution = record.package.replace("_", "-")
    typed = shlex.split(record.install)[-1]
    if typed.startswith("fieldmark["):
        extra = typed.removeprefix("fieldmark[").removesuffix("]")
        (needed,) = project["optional-dependencies"][extra]
    else:
        assert typed == distribution
        (needed,) = [each for each in project["dependencies"] if each.startswith(distribution)]
    assert needed.partition(">")[0] == distribution


# What goes wrong --------------------------------------------------------------------------------


def test_a_package_is_never_run(small: PretrainedFile) -> None:
    assert list(load("small")) == ["layer.weight", "layer.b"]
    assert small.package not in sys.modules
    with pytest.raises(RuntimeError, match="this package was imported"):
        importlib.import_module(small.package)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="called 'efficientnet-lite9'") as caught:
        find("efficientnet-lite9")
    assert caught.value.code == "pretrained-unknown"
    assert all(name in caught.value.hint for name in PRETRAINED)


@pytest.mark.parametrize("record", PRETRAINED.values(), ids=PRETRAINED)
def test_a_missing_package_is_named_with_what_to_type(
    record: PretrainedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=record.package.replace("_", "-")) as caught:
        load(record.name)
    assert caught.value.code == "extra-missing"
    assert caught.value.hint == record.install
    assert record.name in caught.value.why


def test_a_module_of_the_packages_name_is_not_the_package(
    small: PretrainedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "single_weights.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PRETRAINED, "small", replace(small, package="single_weights"))
    with pytest.raises(MissingExtra, match="single-weights is not installed"):
        find("small")


@pytest.mark.parametrize("change", ["a bit", "shorter", "longer", "empty", "gone", "no folder"])
def test_a_file_that_is_not_the_expected_one_is_not_read(
    small: PretrainedFile, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(small)
    data = path.read_bytes()
    path.unlink()
    changed = {
        "a bit": data[:-1] + bytes([data[-1] ^ 1]),
        "shorter": data[:-1],
        "longer": data + b"\0",
        "empty": b"",
    }
    if change in changed:
        path.write_bytes(changed[change])
    elif change == "no folder":
        path.parent.rmdir()
        path.parent.write_bytes(data)
    monkeypatch.setattr(pretrained, "read_tensors", lambda data: pytest.fail("it was read"))
    with pytest.raises(BundleError, match="weights of small are missing or are not the") as caught:
        load("small")
    assert caught.value.code == "weights-damaged"
    assert caught.value.where == str(path)
    assert small.sha256 in caught.value.why
    assert caught.value.hint == "pip install --force-reinstall small-weights"


def test_a_huge_file_in_the_place_is_not_read_whole(small: PretrainedFile) -> None:
    """A sparse file of a terabyte: reading it would take hours, or all of the memory."""
    with place(small).open("r+b") as file:
        try:
            file.truncate(1 << 40)
        except OSError:
            pytest.skip("this disk has no sparse files of a terabyte")
    with pytest.raises(BundleError, match="not the expected ones"):
        find("small")
