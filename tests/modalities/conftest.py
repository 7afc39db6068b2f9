"""Pictures in every kind of file, made on the spot."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Encode = Callable[..., bytes]


def encode(picture: NDArray[np.uint8] | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def encoded() -> Encode:
    return encode


@pytest.fixture(scope="session")
def gradient() -> NDArray[np.uint8]:
    """A smooth coloured picture, 96 rows by 160 columns, with no symmetry at all."""
    y, x = np.mgrid[0:96, 0:160]
    red, green, blue = x * 255 // 159, y * 255 // 95, (x + 2 * y) * 255 // 349
    return np.stack([red, green, blue], axis=2).astype(np.uint8)
