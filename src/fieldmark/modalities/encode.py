"""Pixels to files: the other way round. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldmark.modalities.opencv import opencv


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Write a picture as PNG.

    Parameters
    ----------
    pixels : uint8 array of shape (height, width) or (height, width, 3)
        Grey or RGB.

    Examples
    --------
    >>> encode_png(np.zeros((8, 8), np.uint8))[1:4]
    b'PNG'
    """
    cv2 = opencv()
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".png", bgr)[1])
