"""A tiny model for this room, and ways to write files that fieldmark itself would not write."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fieldmark import bundle
from fieldmark.bundle import container

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that makes the tiny network."""
    spec = importlib.util.spec_from_file_location("tiny", GOLDEN / "make_bundle_v1.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model_file(tiny: ModuleType, tmp_path: Path) -> Path:
    """A good model file."""
    path = tmp_path / "good.fieldmark"
    bundle.write(path, tiny.tiny_bundle())
    return path


@pytest.fixture
def parts_of(model_file: Path) -> dict[str, bytes]:
    """Every part of the good file, in order, with ``fieldmark.json``."""
    with zipfile.ZipFile(model_file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def forge(tmp_path: Path) -> Callable[..., Path]:
    """Write parts as a file whose hashes, sizes and zip are all right, whatever the parts say."""

    def write(parts: Mapping[str, bytes], changes: Mapping[str, Any] | None = None) -> Path:
        others = {name: data for name, data in parts.items() if name != "fieldmark.json"}
        facts = json.loads(parts["fieldmark.json"])
        facts["parts"] = {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in others.items()
        }
        facts["network"] = hashlib.sha256(others.get("network.txt", b"")).hexdigest()[:16]
        facts.update(changes or {})
        manifest = json.dumps(facts, sort_keys=True).encode()
        path = tmp_path / "forged.fieldmark"
        path.write_bytes(pack([("fieldmark.json", manifest), *others.items()]))
        return path

    return write


def pack(parts: list[tuple[str, bytes]]) -> bytes:
    """Return the zip that fieldmark writes around these parts."""
    members, tail = container.layout((name, zlib.crc32(data), len(data)) for name, data in parts)
    pieces = [member.local() + data for member, (_, data) in zip(members, parts, strict=True)]
    return b"".join(pieces) + tail


@pytest.fixture(name="pack")
def _pack() -> Callable[[list[tuple[str, bytes]]], bytes]:
    return pack
