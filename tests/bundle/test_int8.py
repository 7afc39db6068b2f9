"""Format 2 is format 1 with one more network, and only files that hold it say so."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest

from fieldmark import bundle
from fieldmark.bundle.container import INT8
from fieldmark.errors import BundleError

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def with_int8(tiny):
    """A bundle with two networks."""
    return dataclasses.replace(tiny.tiny_bundle(), int8=tiny.model(seed=2).SerializeToString())


def test_the_second_network_comes_back_as_it_was(with_int8, tmp_path):
    bundle.write(tmp_path / "two.fieldmark", with_int8)
    found = bundle.read(tmp_path / "two.fieldmark", weights=True)
    assert (found.int8, found.onnx) == (with_int8.int8, with_int8.onnx)
    bundle.write(tmp_path / "again.fieldmark", found)
    assert (tmp_path / "again.fieldmark").read_bytes() == (tmp_path / "two.fieldmark").read_bytes()


def test_a_file_without_it_is_format_1_as_ever(tiny, with_int8, tmp_path):
    for name, held, number in (("one", tiny.tiny_bundle(), 1), ("two", with_int8, 2)):
        path = tmp_path / f"{name}.fieldmark"
        bundle.write(path, held)
        assert bundle.inspect(path).format == number
        with zipfile.ZipFile(path) as parts:
            assert json.loads(parts.read("fieldmark.json"))["format"] == number
            assert (INT8 in parts.namelist()) == (number == 2)
    assert bundle.read(tmp_path / "one.fieldmark").int8 is None


@pytest.mark.parametrize("number", [1, 2])
def test_a_number_that_does_not_belong_to_the_parts_is_refused(
    forge, parts_of, with_int8, tmp_path, number
):
    if number == 1:
        bundle.write(tmp_path / "two.fieldmark", with_int8)
        with zipfile.ZipFile(tmp_path / "two.fieldmark") as archive:
            parts_of = {name: archive.read(name) for name in archive.namelist()}
    path = forge(parts_of, {"format": number})
    with pytest.raises(BundleError, match=f"Format {number} does not have the parts") as caught:
        bundle.inspect(path)
    assert caught.value.code == "model-damaged"


def test_the_second_network_is_held_to_the_same_rules(tiny, tmp_path):
    unsafe = tiny.model()
    unsafe.graph.node[0].domain = "com.microsoft"
    with pytest.raises(BundleError, match=r"com\.microsoft") as caught:
        dataclasses.replace(tiny.tiny_bundle(), int8=unsafe.SerializeToString())
    assert caught.value.code == "model-unsafe"
    with pytest.raises(BundleError, match="not an ONNX graph"):
        dataclasses.replace(tiny.tiny_bundle(), int8=b"")


def test_the_golden_file_of_format_2_holds_a_network_in_int8():
    held = bundle.read(GOLDEN / "bundle_v2.fieldmark")
    assert held.int8 is not None
    assert b"QuantizeLinear" in held.int8
    assert b"QuantizeLinear" not in held.onnx
