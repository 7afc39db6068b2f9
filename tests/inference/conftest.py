"""A tiny model, and pictures in files, for this room."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fieldmark import bundle
from fieldmark.errors import UnreadableExample
from fieldmark.inference.predictor import Predictor
from fieldmark.modalities.base import InputSpec

GOLDEN = Path(__file__).parents[1] / "golden"


class RawPixels:
    """A modality whose files are the array itself; anything else is damaged."""

    name = "raw"
    suffixes = frozenset({".raw"})

    def decode(self, data: bytes, spec: InputSpec) -> np.ndarray:
        if len(data) != np.prod(spec.shape):
            raise UnreadableExample("not a raw array", code="damaged")
        return np.frombuffer(data, np.uint8).reshape(spec.shape)


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that makes the tiny network."""
    spec = importlib.util.spec_from_file_location("tiny", GOLDEN / "make_bundle_v1.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def model_file(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good model file; temperature 1.5."""
    path = tmp_path_factory.mktemp("model") / "waders-1.fieldmark"
    bundle.write(path, tiny.tiny_bundle())
    return path


@pytest.fixture
def predictor(model_file: Path) -> Predictor:
    """The tiny model, answering files of raw pixels."""
    return Predictor.open(model_file, threads=1, modality=RawPixels())


@pytest.fixture
def raw_files(tiny: ModuleType, tmp_path: Path) -> Callable[[int], list[Path]]:
    """Write n files of raw pixels; the n-th is the n-th of ``tiny.pixels(n)``."""

    def write(n: int) -> list[Path]:
        paths = [tmp_path / f"{i:03}.raw" for i in range(n)]
        for path, pixels in zip(paths, tiny.pixels(n), strict=True):
            path.write_bytes(pixels.tobytes())
        return paths

    return write
