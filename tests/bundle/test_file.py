"""Inspecting, reading and writing, and the promise that every released file is read for ever."""

from __future__ import annotations

import builtins
import dataclasses
import hashlib
import json
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from fieldmark import bundle
from fieldmark.bundle import file as bundle_file
from fieldmark.errors import BundleError, UsageError
from fieldmark.version import __version__

ONE = [name for name in bundle.PARTS[1:] if name not in ("model.int8.onnx", "unknown.safetensors")]
"""The parts of format 1 behind the manifest."""

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.fieldmark")), ids=lambda path: path.stem)
def test_every_file_ever_released_is_read_the_same(path):
    expected = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    found = bundle.read(path, weights=True)
    assert found.name == expected["name"]
    assert found.model_id == bundle.inspect(path).model_id == expected["model_id"]
    assert list(found.classes) == expected["classes"]
    assert found.temperature == expected["temperature"]
    np.testing.assert_allclose(found.golden_scores, expected["scores"], atol=1e-6)


def test_there_is_a_golden_file_of_every_format():
    stems = {path.stem for path in GOLDEN.glob("*.fieldmark")}
    assert stems == {f"bundle_v{number}" for number in range(1, bundle.FORMAT + 1)}


def test_equal_contents_give_equal_bytes_and_ids(tmp_path, tiny):
    ids = [bundle.write(tmp_path / name, tiny.tiny_bundle()) for name in ("a", "b")]
    assert ids[0] == ids[1]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_reading_and_writing_again_gives_the_same_bytes(tmp_path, model_file):
    found = bundle.read(model_file, weights=True)
    model_id = bundle.write(tmp_path / "again", found)
    assert model_id == found.model_id
    assert (tmp_path / "again").read_bytes() == model_file.read_bytes()


CHANGES = {
    "name": "waders-2",
    "network": "INPUT 8x8x3 -> FC",
    "classes": ("a", "b", "c"),
    "decision": {"temperature": 1.0},
    "recipe": "",
    "report": {},
    "card": "other",
    "created": "",
    "weights": {},
    "golden_scores": np.full((3, 3), 1 / 3, np.float32),
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_change_of_the_contents_changes_the_id(tmp_path, model_file, field):
    found = bundle.read(model_file, weights=True)
    changed = dataclasses.replace(found, **{field: CHANGES[field]})
    assert bundle.write(tmp_path / "changed", changed) != found.model_id


def test_the_id_is_the_hash_of_the_manifest(model_file, parts_of):
    digest = hashlib.sha256(parts_of["fieldmark.json"]).hexdigest()
    assert bundle.inspect(model_file).model_id == f"sha256:{digest}"


def test_the_header_tells_what_the_file_is(model_file, parts_of, tiny):
    header = bundle.inspect(model_file)
    assert (header.format, header.version) == (1, __version__)
    assert (header.name, header.created) == ("waders-1", "2026-11-22T21:40:00Z")
    assert header.network == hashlib.sha256(tiny.LAYERS.encode()).hexdigest()[:16]
    assert [part.name for part in header.parts] == ONE
    for part in header.parts:
        assert part.size_bytes == len(parts_of[part.name])
        assert part.sha256 == hashlib.sha256(parts_of[part.name]).hexdigest()


def test_inspecting_opens_nothing_but_the_header(model_file, parts_of):
    data = model_file.read_bytes()
    for name, part in parts_of.items():
        if name != "fieldmark.json":
            data = data.replace(part, b"\xaa" * len(part))
    model_file.write_bytes(data)
    assert bundle.inspect(model_file).name == "waders-1"
    with pytest.raises(BundleError, match="has changed since"):
        bundle.read(model_file)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("weights", [True, False])
def test_a_part_that_does_not_fit_its_hash_is_refused(
    model_file, parts_of, name, weights, pack, tmp_path
):
    changed = bytearray(parts_of[name])
    changed[len(changed) // 2] ^= 1
    # pack gives the new bytes a right checksum, so that only the hash can tell.
    path = tmp_path / "swapped.fieldmark"
    path.write_bytes(pack([*{**parts_of, name: bytes(changed)}.items()]))
    with pytest.raises(BundleError, match=f"{re.escape(name)} has changed since") as caught:
        bundle.read(path, weights=weights)
    assert caught.value.code == "model-damaged"


@pytest.mark.parametrize("name", ONE)
def test_a_part_that_does_not_fit_its_size_is_refused(parts_of, name, pack, tmp_path):
    path = tmp_path / "swapped.fieldmark"
    path.write_bytes(pack([*{**parts_of, name: parts_of[name] + b" "}.items()]))
    with pytest.raises(BundleError, match=f"another size or hash of {re.escape(name)}"):
        bundle.inspect(path)


def test_a_part_swapped_with_one_of_another_model_is_refused(tmp_path, tiny, parts_of, pack):
    other = tiny.model(seed=2).SerializeToString()
    assert len(other) == len(parts_of["model.onnx"])
    path = tmp_path / "swapped.fieldmark"
    path.write_bytes(pack([*{**parts_of, "model.onnx": other}.items()]))
    with pytest.raises(BundleError, match=r"model\.onnx has changed"):
        bundle.read(path)


@pytest.mark.parametrize("number", [4, 99, 10**30])
def test_a_file_from_the_future_is_refused_as_newer(forge, parts_of, number):
    path = forge({**parts_of, "conformal.json": b"{}"}, {"format": number})
    for door in (bundle.inspect, bundle.read):
        with pytest.raises(BundleError, match=rf"format {number}.*reads up to 3") as caught:
            door(path)
        assert caught.value.code == "model-newer"
        assert "upgrade" in caught.value.hint


@pytest.mark.parametrize("number", [0, -1, "1", 1.0, True, None, [1]])
def test_a_format_that_is_no_number_is_refused(forge, parts_of, number):
    with pytest.raises(BundleError, match="states no format"):
        bundle.inspect(forge(parts_of, {"format": number}))


HASH = "0" * 64
MANIFESTS = [
    {"extra": 1},
    {"name": 3},
    {"name": "\ud800"},
    {"created": None},
    {"fieldmark": 0.1},
    {"parts": []},
    {"parts": {}},
    {"parts": {"model.onnx": {"size": 1, "sha256": HASH}}},
    {"network": 7},
]


@pytest.mark.parametrize("change", MANIFESTS)
def test_a_manifest_with_other_fields_is_refused(forge, parts_of, change):
    with pytest.raises(BundleError, match=r"fieldmark\.json") as caught:
        bundle.inspect(forge(parts_of, change))
    assert caught.value.code == "model-damaged"


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {"size": 47},
        {"size": 47, "sha256": HASH, "more": 1},
        {"size": True, "sha256": HASH},
        {"size": 47.0, "sha256": HASH},
        {"size": 47, "sha256": "0" * 63},
        {"size": 47, "sha256": HASH + "\n"},
        {"size": 47, "sha256": "G" * 64},
        {"size": 47, "sha256": 0},
    ],
)
def test_a_manifest_that_states_a_part_badly_is_refused(parts_of, pack, tmp_path, entry):
    facts = json.loads(parts_of["fieldmark.json"])
    facts["parts"]["network.txt"] = entry
    parts_of["fieldmark.json"] = json.dumps(facts).encode()
    path = tmp_path / "stated.fieldmark"
    path.write_bytes(pack([*parts_of.items()]))
    with pytest.raises(BundleError, match=r"another size or hash of network\.txt"):
        bundle.inspect(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is not JSON"),
        (b"[]", "states no format"),
        (b"{", "is not JSON"),
        (b'{"format": 1, "format": 1}', "a key is given twice"),
        (b'{"format": NaN}', "NaN is not a number"),
        (b"[" * 33 + b"]" * 33, "nested deeper than 32"),
        (b"[" * 500_000 + b"]" * 500_000, "nested deeper than 32"),
    ],
)
def test_a_manifest_that_is_no_plain_json_is_refused(parts_of, pack, tmp_path, text, words):
    path = tmp_path / "stated.fieldmark"
    path.write_bytes(pack([*{**parts_of, "fieldmark.json": text}.items()]))
    with pytest.raises(BundleError, match=words):
        bundle.inspect(path)


def test_a_manifest_that_names_another_network_is_refused(forge, parts_of):
    with pytest.raises(BundleError, match="states another network"):
        bundle.read(forge(parts_of, {"network": "0" * 16}))


@pytest.mark.parametrize("name", ["missing.fieldmark", ".", "model.fieldmark/inside"])
def test_a_file_that_is_not_there_is_a_question_not_a_damage(tmp_path, name):
    for door in (bundle.inspect, bundle.read):
        with pytest.raises(UsageError, match="no model file") as caught:
            door(tmp_path / name)
        assert caught.value.code == "no-model"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.fieldmark")
    with pytest.raises(UsageError, match="no model file"):
        bundle.read(tmp_path / "pipe.fieldmark")


def test_paths_may_be_texts(tmp_path, tiny):
    path = str(tmp_path / "x.fieldmark")
    model_id = bundle.write(path, tiny.tiny_bundle())
    assert bundle.inspect(path).model_id == bundle.read(path).model_id == model_id


def test_a_file_in_the_current_directory_can_be_written(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle.write("x.fieldmark", tiny.tiny_bundle())
    assert bundle.inspect("x.fieldmark").name == "waders-1"


def test_reading_opens_one_file_and_runs_no_code(model_file, monkeypatch):
    bundle.read(model_file, weights=True)  # whatever is imported on first use is imported now

    def forbidden(*_: object) -> None:
        raise AssertionError("code was run")

    for name in ("exec", "eval"):
        monkeypatch.setattr(builtins, name, forbidden)
    for name in ("system", "popen", "posix_spawn"):
        monkeypatch.setattr(os, name, forbidden)
    opened = []
    real = Path.open

    def watch(self: Path, *options: object) -> object:
        opened.append(self)
        return real(self, *options)

    monkeypatch.setattr(Path, "open", watch)
    monkeypatch.setattr(builtins, "open", forbidden)
    bundle.read(model_file, weights=True)
    assert opened == [model_file]


def test_a_date_that_cannot_be_written_is_refused(tmp_path, tiny):
    made = dataclasses.replace(tiny.tiny_bundle(), created="\udcff")
    with pytest.raises(BundleError, match="date is not a text") as caught:
        bundle.write(tmp_path / "x.fieldmark", made)
    assert caught.value.where == str(tmp_path / "x.fieldmark")
    assert not [*tmp_path.iterdir()]


def test_a_model_that_would_be_too_large_is_not_written(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(bundle_file, "MAX_BYTES", 1 << 16)
    with pytest.raises(BundleError, match="1 GiB at most"):
        bundle.write(tmp_path / "x.fieldmark", tiny.tiny_bundle())
    assert not [*tmp_path.iterdir()]


def test_readers_never_see_half_a_file(model_file, tiny):
    """One thread writes over and over while another reads: each reading is one whole model."""
    bundles = [tiny.tiny_bundle(temperature) for temperature in (1.0, 2.0)]
    done = threading.Event()

    def keep_writing() -> None:
        for turn in range(40):
            bundle.write(model_file, bundles[turn % 2], overwrite=True)
        done.set()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    seen = set()
    try:
        while not done.is_set():
            seen.add(bundle.read(model_file).temperature)
    finally:
        writer.join()
    assert seen <= {1.0, 1.5, 2.0}


def test_a_copy_is_the_same_model(model_file, tmp_path):
    shutil.copy(model_file, tmp_path / "copy.fieldmark")
    assert bundle.inspect(tmp_path / "copy.fieldmark") == bundle.inspect(model_file)
