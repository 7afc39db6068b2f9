"""Pictures that tests draw for themselves: three shapes with a colour each, the same every time."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fieldmark import rng

SHAPES = ("circle", "square", "triangle")
SIZE = 24


def draw(shape: str, number: int, size: int = SIZE) -> Image.Image:
    """Draw one shape on a dark ground; another number gives another place, size and ground."""
    drawn = rng.derive(0, "picture", shape, number)
    picture = Image.new("RGB", (size, size), tuple(drawn.integers(0, 90, 3).tolist()))
    x, y = drawn.integers(size // 3, 2 * size // 3, 2).tolist()
    r = int(drawn.integers(size // 6, size // 3))
    pen = ImageDraw.Draw(picture)
    if shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(200, 60, 60))
    elif shape == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), fill=(60, 200, 60))
    else:
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=(60, 60, 200))
    # Grain, as in photographs: without it many of these would be near copies of each other.
    grain = drawn.integers(-12, 13, (size, size, 1))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def unlike(words: str) -> bytes:
    """Return a PNG file of nothing but grain; other words give another one."""
    grain = rng.derive(0, "grain", words).integers(0, 256, (16, 16, 3))
    file = io.BytesIO()
    Image.fromarray(grain.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def png(shape: str, number: int) -> bytes:
    """Return one drawn shape as a PNG file."""
    file = io.BytesIO()
    draw(shape, number).save(file, "PNG")
    return file.getvalue()


def write_shapes(folder: Path, n: int = 30, *, shapes: Iterable[str] = SHAPES) -> Path:
    """Write ``n`` pictures of each shape into class folders."""
    return write_numbers(folder, range(n), shapes=shapes)


def write_numbers(folder: Path, numbers: Iterable[int], *, shapes: Iterable[str] = SHAPES) -> Path:
    """Write the pictures of these numbers; other numbers are other pictures."""
    chosen = tuple(numbers)
    for shape in shapes:
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number in chosen:
            (folder / shape / f"{number:03}.png").write_bytes(png(shape, number))
    return folder


def arrays(
    n: int, *, size: int = 16, shapes: Iterable[str] = SHAPES
) -> tuple[np.ndarray, np.ndarray]:
    """Return (pixels, labels) of ``n`` pictures, the classes in turn."""
    names = tuple(shapes)
    labels = np.arange(n) % len(names)
    pixels = [np.asarray(draw(names[label], at, size)) for at, label in enumerate(labels)]
    return np.stack(pixels), labels
