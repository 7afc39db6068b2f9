"""Models of other tools are known by their bytes, whatever they are called, and never opened."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from fieldmark.bundle import refuse_foreign
from fieldmark.bundle.strangers import HEAD_BYTES, kind_of
from fieldmark.errors import BundleError
from tests.bundle.zoo import FOREIGN, GOLDEN, ZOO

STRANGERS = [name for name, beast in ZOO.items() if beast.code == FOREIGN]


def refused(path: Path) -> BundleError:
    with pytest.raises(BundleError, match=r"\[model-foreign\]") as caught:
        refuse_foreign(path)
    assert caught.value.where == str(path)
    assert caught.value.why
    return caught.value


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("called", ["model.fieldmark", "picture.jpg", "net.txt"])
def test_a_stranger_is_known_whatever_it_is_called(name: str, called: str, tmp_path: Path) -> None:
    (tmp_path / called).write_bytes(ZOO[name].make())
    assert "ONNX" in refused(tmp_path / called).hint or "onnx" in refused(tmp_path / called).hint


@pytest.mark.parametrize(
    "suffix",
    [".keras", ".h5", ".pt", ".pth", ".ckpt", ".pkl", ".joblib", ".pb", ".tflite", ".npz", ".onnx"],
)
def test_a_name_is_enough_where_the_bytes_say_nothing(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"model{suffix.upper()}").write_bytes(b"whatever")
    refused(tmp_path / f"model{suffix.upper()}")


def test_a_folder_with_a_saved_model_is_one(tmp_path: Path) -> None:
    refuse_foreign(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert "SavedModel" in refused(tmp_path).what


def test_what_is_ours_or_nothing_passes(tmp_path: Path) -> None:
    for path in GOLDEN.glob("*.fieldmark"):
        refuse_foreign(path)
        assert kind_of(path.read_bytes()[:HEAD_BYTES]) is None
    (tmp_path / "list.txt").write_text("INPUT 8x8x3 -> FC\n")
    for name in ("list.txt", "missing", "two\0parts", "x" * 5000):
        refuse_foreign(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.keras")
    refuse_foreign(tmp_path / "model.keras")


def test_onnx_passes_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(ZOO["bare_onnx"].make())
    refuse_foreign(tmp_path / "net.onnx", onnx=True)
    (tmp_path / "net.onnx").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BundleError, match="a pickle"):
        refuse_foreign(tmp_path / "net.onnx", onnx=True)


@pytest.mark.parametrize("number", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [{}, {"a": 1}, [1], (1, 2), "text", 7, None, {1}, [[]], 1.5])
def test_any_pickle_is_one(value: object, number: int) -> None:
    kind = kind_of(pickle.dumps(value, number)[:HEAD_BYTES])
    assert kind is not None
    assert kind.what == "a pickle"
