"""Pixels to files: the other way round. Pure; nothing but pixels is written, no metadata."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.modalities.opencv import opencv


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Write a picture as PNG: exactly these pixels.

    Parameters
    ----------
    pixels : uint8 array of shape (height, width), (height, width, 1) or (height, width, 3)
        Grey or RGB.

    Raises
    ------
    UsageError
        With code ``nothing-to-draw`` when this is no such array.

    Examples
    --------
    >>> encode_png(np.zeros((8, 8), np.uint8))[1:4]
    b'PNG'
    """
    return bytes(opencv().imencode(".png", _bgr(pixels))[1])


def encode_jpeg(pixels: NDArray[np.uint8], quality: int = 85) -> bytes:
    """Write a picture as JPEG, for instance as a thumbnail of a page.

    Parameters
    ----------
    pixels : uint8 array
        As for :func:`encode_png`.
    quality : int, default=85
        1 to 100: nearer to the pixels, and larger.

    Raises
    ------
    UsageError
        With code ``nothing-to-draw`` when this is no picture.

    Examples
    --------
    >>> encode_jpeg(np.zeros((8, 8, 3), np.uint8))[:2].hex()
    'ffd8'
    """
    cv2 = opencv()
    return bytes(cv2.imencode(".jpg", _bgr(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _bgr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1)
    if pixels.dtype != np.uint8 or not (grey or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise UsageError(
            f"A picture of shape {pixels.shape} and type {pixels.dtype} cannot be drawn.",
            code="nothing-to-draw",
            hint="pass uint8 arrays of shape (height, width, 3) or (height, width, 1)",
        )
    if grey:
        return np.ascontiguousarray(pixels)
    cv2 = opencv()
    swapped: NDArray[np.uint8] = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return swapped
