"""Folders of small pictures and manifests of nothing but names."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fieldmark.data.manifest import Example, Manifest

MakeFolder = Callable[..., Path]
MakeManifest = Callable[[Iterable[Example]], Manifest]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Write files; a dict gives contents, other names get their own name as content."""

    def make(*names: str, name: str = "data", contents: dict[str, bytes] | None = None) -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        files = {each: each.encode() for each in names} | (contents or {})
        for path, data in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        return root

    return make


@pytest.fixture(scope="session")
def picture() -> Callable[[int], bytes]:
    """Return a small PNG; every seed gives another one."""

    def make(seed: int) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 14, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    return make


@pytest.fixture(scope="session")
def make_manifest() -> MakeManifest:
    """Complete examples with a hash of their path where they have none."""

    def make(examples: Iterable[Example]) -> Manifest:
        whole = []
        for example in examples:
            sha = example.sha256 or hashlib.sha256(example.path.encode()).hexdigest()
            whole.append(
                Example(
                    path=example.path,
                    label=example.label,
                    sha256=sha,
                    group=example.group,
                    cluster=example.cluster,
                    split=example.split,
                )
            )
        classes = tuple(sorted({example.label for example in whole}))
        return Manifest(root=Path("somewhere"), examples=tuple(whole), classes=classes)

    return make
