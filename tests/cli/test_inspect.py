"""``fieldmark inspect``, and other tools' models given to every verb that takes a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bundle.zoo import ZOO
from tests.cli.conftest import Command


def test_it_prints_the_parts_and_ends_well(fieldmark: Command, model: Path) -> None:
    done = fieldmark("inspect", model.name)
    assert (done.status, done.err) == (0, "")
    first, *lines = done.out.splitlines()
    assert first == "model    waders-1: format 1, written by fieldmark 0.1.0, 2026-11-22"
    assert any(line.startswith("model.onnx  ") for line in lines)
    assert lines[-1] == "Accepted: hashes, sizes, limits are kept. Nothing was run."


def test_json_is_one_object(fieldmark: Command, model: Path) -> None:
    done = fieldmark("inspect", model.name, "--json")
    assert done.status == 0
    assert json.loads(done.out)["classes"] == ["avocet", "heron", "Käuzchen"]


def test_a_refusal_is_json_too(fieldmark: Command, here: Path) -> None:
    path = ZOO["path_upwards"].write(here)
    done = fieldmark("inspect", path.name, "--json")
    assert done.status == 6
    assert json.loads(done.out)["error"]["code"] == "model-unsafe"


def test_names_from_the_file_are_shown_and_not_obeyed(fieldmark: Command, here: Path) -> None:
    from dataclasses import replace

    from fieldmark import bundle
    from tests.bundle.zoo import tiny

    made = replace(tiny().tiny_bundle(), classes=("a\x1b[31m", "b\nc", "d"), network="x\x1b[2J")
    bundle.write(here / "x.fieldmark", made)
    out = fieldmark("inspect", "x.fieldmark").out
    assert "\x1b" not in out
    assert "a\\x1b[31m, b\\nc, d" in out


VERBS = [
    ("inspect", "{}"),
    ("predict", "{}", "x.jpg"),
    ("evaluate", "{}", "."),
    ("compare", "{}", "waders.fieldmark", "--data", "."),
    ("net", "{}"),
    ("net", "INPUT 16x16x3 -> BACKBONE onnx:{} -> FC"),
    ("train", "data", "--net", "{}"),
]


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words))
@pytest.mark.parametrize("name", ["keras_file", "hdf5_file", "pickle_4", "torch_zip"])
def test_a_model_of_another_tool_is_refused_by_every_verb(
    fieldmark: Command, here: Path, model: Path, name: str, words: tuple[str, ...]
) -> None:
    path = ZOO[name].write(here).rename(here / "model.keras")
    for number in range(8):
        for label in "ab":
            (here / "data" / label).mkdir(parents=True, exist_ok=True)
            grey = bytes([number, ord(label)] * 128)
            (here / "data" / label / f"{number}.pgm").write_bytes(b"P5 16 16 255 " + grey)
    before = sorted(here.rglob("*"))
    done = fieldmark(*(word.format(path.name) for word in words))
    assert done.status == 6, done.err
    assert "[model-foreign]" in done.err
    assert "export" in done.err
    assert "can run code" in done.err
    assert not (here / "owned").exists()
    left = {each for each in here.rglob("*") if each.is_file()} - set(before)
    assert [each for each in left if "runs" not in each.parts] == []


def test_a_saved_model_is_refused_as_a_folder(fieldmark: Command, here: Path) -> None:
    (here / "saved").mkdir()
    (here / "saved" / "saved_model.pb").write_bytes(b"")
    done = fieldmark("predict", "saved", "x.jpg")
    assert done.status == 6
    assert "[model-foreign]" in done.err
