"""A small picture for people to look at: whole, upright, in its own proportions. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldmark.modalities.base import InputSpec
from fieldmark.modalities.image import IMAGE, MIN_SIDE, opened, orientation_of
from fieldmark.modalities.opencv import opencv

SIDE = 128
"""Pixels of the longer side."""


def thumbnail(data: bytes, side: int = SIDE) -> NDArray[np.uint8]:
    """Decode one file's bytes to at most ``side`` pixels each way; smaller pictures stay as small.

    Parameters
    ----------
    data : bytes
        The whole file.
    side : int, default=128
        8 to 2048.

    Returns
    -------
    uint8 array of shape (height, width, 3)
        RGB. A picture so thin that its short side would have fewer than 8 pixels has borders.

    Raises
    ------
    UnreadableExample
        As :meth:`fieldmark.modalities.image.ImageModality.decode`.

    Examples
    --------
    >>> thumbnail(b"P5 400 200 255 " + bytes(80_000)).shape
    (64, 128, 3)
    """
    with opened(data) as image:
        width, height = image.size if orientation_of(image) < 5 else image.size[::-1]
    scale = min(1.0, side / max(width, height))
    across, down = round(width * scale), round(height * scale)
    thin = min(across, down) < MIN_SIDE
    spec = InputSpec(
        height=max(MIN_SIDE, down), width=max(MIN_SIDE, across), fit="pad" if thin else "stretch"
    )
    return IMAGE.decode(data, spec)


def shrunk(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Make a decoded picture small: at most ``side`` pixels each way, by averaging.

    Parameters
    ----------
    pixels : uint8 array of shape (height, width, 1 or 3)
    side : int
        At least 1; smaller pictures stay as they are.

    Returns
    -------
    uint8 array of shape (rows, columns, 1 or 3)

    Examples
    --------
    >>> shrunk(np.zeros((200, 100, 1), np.uint8), 50).shape
    (50, 25, 1)
    """
    height, width, channels = pixels.shape
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    cv2 = opencv()
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: NDArray[np.uint8] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small.reshape(size[1], size[0], channels)
