"""One look at a picture: what it measures, before any network sees it.

Pure: bytes in, one record out. The picture is decoded whole, so that what cannot be read is known,
and once: every check of a folder works on these records.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from fieldmark.modalities.base import InputSpec
from fieldmark.modalities.image import IMAGE, opened, orientation_of, oriented
from fieldmark.modalities.opencv import opencv

if TYPE_CHECKING:
    from PIL.Image import Image

THUMB: Final = 64
"""Pixels each way of the grey thumbnail."""
VERSION: Final = 2
"""Raised when a record of the same bytes would differ: older ones are then not read."""
SCALE: Final = 128
"""Pixels that must be left on both sides where detail is judged."""
N_SHADES: Final = 4
"""Of red, of green and of blue, that colours are told apart by."""

LOOK: Final = np.dtype(
    [
        ("width", np.int32),  # pixels, as shown: after the EXIF orientation
        ("height", np.int32),
        ("n_bytes", np.int64),  # of the file
        ("format", "S8"),  # what the content is: JPEG, PNG, ...
        ("quality", np.uint8),  # of a JPEG, 1 to 100, from its first table; 0: unknown
        ("camera", "S48"),  # EXIF make and model; empty: none
        ("taken_s", np.float64),  # EXIF time of taking, seconds since 1970; NaN: unknown
        ("brightness", np.float32),  # mean grey, 0 to 255
        ("contrast", np.float32),  # standard deviation of the grey values
        ("blur", np.float32),  # 0: sharp, 1: blurred; see blur_effect
        ("mean_color", np.float32, 3),  # red, green, blue, 0 to 255
        ("border_color", np.float32, 3),  # the same of the outermost sixteenth
        ("border_spread", np.float32),  # standard deviation of its grey values; 0: a plain frame
        ("colors", np.float16, N_SHADES**3),  # share of each colour; red changes slowest
        ("thumb", np.uint8, (THUMB, THUMB)),  # grey, stretched to a square
    ]
)
"""The record of one picture."""

_LUMINANCE_SUM: Final = 3688
"""Of the luminance table in annex K of ITU-T T.81; encoders scale it to a quality of 1 to 100."""
_MAKE, _MODEL, _TIME, _EXIF_IFD, _TIME_TAKEN = 271, 272, 306, 0x8769, 36867


def look(data: bytes) -> np.void:
    """Measure one file's bytes.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    numpy.void
        One record of :data:`LOOK`.

    Raises
    ------
    UnreadableExample
        As :meth:`fieldmark.modalities.image.ImageModality.decode`.

    Examples
    --------
    >>> found = look(b"P5 16 8 255 " + bytes(range(128)))
    >>> int(found["width"]), int(found["height"]), float(found["brightness"])
    (16, 8, 63.5)
    """
    cv2 = opencv()
    with opened(data) as image:
        pixels, bgr = oriented(data, image, _ENOUGH)
        found = np.zeros((), LOOK)
        size = image.size if orientation_of(image) < 5 else image.size[::-1]
        found["width"], found["height"] = size
        found["n_bytes"] = len(data)
        found["format"] = (image.format or "").encode("ascii", "replace")
        found["quality"] = _quality(image)
        found["camera"], found["taken_s"] = _camera(image)
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, _grey(bgr))
    thumb = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    (brightness,), (contrast,) = (each[0] for each in cv2.meanStdDev(thumb))
    found["thumb"], found["brightness"], found["contrast"] = thumb, brightness, contrast
    found["blur"] = blur_effect(grey)
    found["mean_color"] = _color([pixels], bgr)
    found["border_color"] = _color(_sides(pixels), bgr)
    found["colors"] = _shares(pixels, bgr)
    found["border_spread"] = cv2.meanStdDev(thumb, mask=_BORDER)[1][0, 0]
    return cast(np.void, found[()])


def blur_effect(grey: NDArray[np.uint8]) -> float:
    """Measure how little of a picture a blur would take away.

    After Crété, Dolmière, Ladret, Nicolas: "The blur effect", SPIE 2007: neighbouring pixels of a
    sharp picture grow much more alike when it is blurred, those of a blurred one hardly. A picture
    without any edge counts as sharp: nothing can be said.

    Parameters
    ----------
    grey : uint8 array of shape (height, width)

    Returns
    -------
    float
        In [0, 1]: what stays of the steps between neighbours, along the rows or along the columns,
        whichever is more. Photos of 200 pixels lie around 0.3; blurred by 2 pixels, around 0.7.

    Examples
    --------
    >>> board = ((np.indices((64, 64)) // 8).sum(0) % 2 * 255).astype(np.uint8)
    >>> blurred = opencv().GaussianBlur(board, (0, 0), 3)
    >>> blur_effect(board) < 0.2, blur_effect(blurred) > 0.6
    (True, True)
    """
    cv2 = opencv()
    flat, tall = cv2.blur(grey, (9, 1)), cv2.blur(grey, (1, 9))
    across = _kept(grey[:, 1:], grey[:, :-1], flat[:, 1:], flat[:, :-1])
    return max(across, _kept(grey[1:], grey[:-1], tall[1:], tall[:-1]))


def _kept(*pixels: NDArray[np.uint8]) -> float:
    """Return how much of the steps between two pictures is there between two others as well."""
    cv2 = opencv()
    steps = cv2.absdiff(pixels[0], pixels[1])
    total = cv2.sumElems(steps)[0]
    if not total:
        return 0.0
    return float(cv2.sumElems(cv2.min(steps, cv2.absdiff(pixels[2], pixels[3])))[0] / total)


class Looking:
    """Looks in the form of a modality, so that they are read, hashed and cached like pictures."""

    name = "look"
    suffixes = IMAGE.suffixes

    def decode(self, data: bytes, spec: InputSpec) -> NDArray[np.uint8]:
        """Return the bytes of :func:`look`'s record; ``spec`` plays no part."""
        return np.frombuffer(look(data).tobytes(), np.uint8)


_BORDER: Final = np.full((THUMB, THUMB), 255, np.uint8)
_BORDER[4:-4, 4:-4] = 0
_ENOUGH: Final = InputSpec(height=SCALE, width=SCALE, fit="stretch")


def _grey(bgr: bool) -> int:
    cv2 = opencv()
    return int(cv2.COLOR_BGR2GRAY if bgr else cv2.COLOR_RGB2GRAY)


def _sides(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return the outermost sixteenth on each side."""
    down, across = -(-pixels.shape[0] // 16), -(-pixels.shape[1] // 16)
    return [pixels[:down], pixels[-down:], pixels[:, :across], pixels[:, -across:]]


def _color(areas: Sequence[NDArray[np.uint8]], bgr: bool) -> NDArray[np.float64]:
    """Average the mean colours of some areas: red, green, blue."""
    means = np.array([opencv().mean(each)[:3] for each in areas], np.float64).mean(axis=0)
    order = [0, 0, 0] if areas[0].ndim == 2 else [2, 1, 0] if bgr else [0, 1, 2]
    found: NDArray[np.float64] = means[order]
    return found


def _shares(pixels: NDArray[np.uint8], bgr: bool) -> NDArray[np.float32]:
    """Return the share of each of 64 colours (64,), from 64 to 127 pixels each way."""
    down, across = (max(1, side // THUMB) for side in pixels.shape[:2])
    some = np.ascontiguousarray(pixels[::down, ::across])
    planes = [0, 0, 0] if some.ndim == 2 else [2, 1, 0] if bgr else [0, 1, 2]
    sizes, ends = [N_SHADES] * 3, [0, 256] * 3
    counts = opencv().calcHist([some], planes, None, sizes, ends)
    found: NDArray[np.float32] = counts.reshape(-1) / np.float32(some.shape[0] * some.shape[1])
    return found


def _quality(image: Image) -> int:
    """Estimate the quality a JPEG was saved with, by the scale of its luminance table."""
    tables = getattr(image, "quantization", None)
    if not tables or len(tables.get(0, ())) != 64:
        return 0
    scale = 100 * sum(tables[0]) / _LUMINANCE_SUM
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return int(np.clip(round(quality), 1, 100))


def _camera(image: Image) -> tuple[bytes, float]:
    """Return the camera's name and the time of taking, as far as the metadata tells."""
    try:
        exif = image.getexif()
        if not exif:
            return b"", np.nan
        names = (str(exif.get(tag, "")).strip(" \0") for tag in (_MAKE, _MODEL))
        taken = exif.get_ifd(_EXIF_IFD).get(_TIME_TAKEN) or exif.get(_TIME) or ""
    except Exception:  # broken metadata is no reason to refuse whole pixels
        return b"", np.nan
    camera = " ".join(name for name in names if name).encode("ascii", "replace")
    try:
        seconds = calendar.timegm(time.strptime(str(taken).strip(" \0"), "%Y:%m:%d %H:%M:%S"))
    except ValueError:
        return camera, np.nan
    return camera, float(seconds)
