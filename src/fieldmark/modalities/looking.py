"""One look at a picture: what it measures, before any network sees it.

Pure: bytes in, one record out. The picture is decoded whole, so that what cannot be read is known.
"""

from __future__ import annotations

from typing import Final

import numpy as np

THUMB: Final = 64
"""Pixels each way of the grey thumbnail."""

LOOK: Final = np.dtype(
    [
        ("width", np.int32),  # pixels, as shown (after the EXIF orientation)
        ("height", np.int32),
        ("n_bytes", np.int64),  # of the file
        ("format", "S8"),  # what the content is: JPEG, PNG, ...
        ("quality", np.uint8),  # of a JPEG, 1 to 100, from its first table; 0: unknown
        ("camera", "S48"),  # EXIF make and model; empty: none
        ("taken_s", np.float64),  # EXIF time of taking, seconds since 1970; NaN: unknown
        ("brightness", np.float32),  # mean grey, 0 to 255
        ("contrast", np.float32),  # standard deviation of the grey values
        ("sharpness", np.float32),  # variance of the Laplacian, of the thumbnail's scale
        ("mean_color", np.float32, 3),  # red, green, blue, 0 to 255
        ("border_color", np.float32, 3),  # the same of the outermost pixels
        ("border_spread", np.float32),  # standard deviation of their grey values: 0 is a frame
        ("thumb", np.uint8, (THUMB, THUMB)),  # grey, stretched to a square
    ]
)
"""The record of one picture."""
