"""Pictures with the texture of photographs, and what people do to copies of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from fieldmark import rng

Change = Callable[[Image.Image], Image.Image]


def photo(number: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Draw a picture of (width, height) with detail at every scale; another number, another one."""
    draws = rng.derive(0, "photo", number)
    width, height = size
    total = np.zeros((height, width, 3))
    for cells, strength in ((3, 50), (6, 36), (12, 28), (24, 20), (48, 14)):
        grid = draws.normal(0, strength, (cells, cells, 1)) + draws.normal(
            0, strength / 4, (cells, cells, 3)
        )
        layer = np.stack([_stretched(grid[:, :, at], width, height) for at in range(3)], axis=2)
        total += layer
    return Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))


def _stretched(grid: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(grid.astype(np.float32)).resize((width, height), 3))


def jpeg(picture: Image.Image, quality: int = 90, **more: bytes) -> bytes:
    """Return a picture as a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, **more)
    return file.getvalue()


def png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def cut(left: float, top: float, right: float, bottom: float) -> Change:
    """Return what cuts these shares of the sides off."""

    def change(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        return picture.crop(tuple(round(edge) for edge in box))

    return change


CHANGES: Mapping[str, Change] = {
    "re-encoded": lambda picture: Image.open(io.BytesIO(jpeg(picture, 30))),
    "half the size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "larger": lambda picture: picture.resize((picture.width * 2, picture.height * 2)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.25),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.6),
    "flatter": lambda picture: ImageEnhance.Contrast(picture).enhance(0.7),
    "grey": lambda picture: picture.convert("L"),
    "cut in the middle": cut(0.05, 0.05, 0.05, 0.05),
    "cut at one side": cut(0.1, 0, 0, 0),
    "cut at a corner": cut(0.1, 0, 0, 0.1),
    "cut anywhere": cut(0.03, 0.08, 0.07, 0.02),
    "cut all round": cut(0.1, 0.1, 0.1, 0.1),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
}
"""What makes a near copy."""


def write_photos(folder: Path, n: int, *, classes: tuple[str, ...] = ("left", "right")) -> Path:
    """Write ``n`` different photographs into each class folder."""
    for place, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(n):
            data = jpeg(photo(1000 * place + number))
            (folder / name / f"p{number * 7 + 100 * place:04}.jpg").write_bytes(data)
    return folder
