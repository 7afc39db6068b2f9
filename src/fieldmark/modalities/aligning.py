"""How alike two pictures are in their details, once one is laid over the other.

Pure. The second opinion on a near copy: a hash sees the coarse layout, which many pictures of one
kind share (X-rays, portraits, single flowers); their details agree only where one is a copy of the
other. Brightness, contrast and a moderate gamma play no part, nor do clipped highlights.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.modalities.opencv import opencv

_FINE, _COARSE = 0.7, 3.0
"""Blurs, in pixels of the thumbnail, whose difference is called detail here."""
_EDGE: Final = 3
"""Pixels along the border that a warp leaves uncertain."""
_ENOUGH: Final = 0.25
"""Share of the picture that must overlap."""
_CLIPPED: Final = (4, 250)
_ROUNDS: Final = 25
_SURE: Final = 0.97
"""Likeness from which on refining is not needed."""


def details_alike(
    copy: NDArray[np.uint8],
    whole: NDArray[np.uint8],
    guess: NDArray[np.float32],
    *,
    slack: float = 5.0,
) -> float:
    """Correlate the details of two thumbnails where they overlap.

    Parameters
    ----------
    copy, whole : uint8 array of shape (n, n)
        Grey. ``copy`` may show only a part of ``whole``.
    guess : float32 array of shape (2, 3)
        Affine map from coordinates in ``copy`` to coordinates in ``whole``; refined here by
        maximising the enhanced correlation coefficient (Evangelidis and Psarakis, PAMI 2008).
    slack : float, default=5.0
        Pixels that refining may move a corner: with all freedom any disc can be laid over any
        other.

    Returns
    -------
    float
        In [0, 1]: 1 for the same picture; copies stay above 0.9 through JPEG at quality 30, half
        the size or a tenth cut off; 0 for what cannot be laid over each other.

    Examples
    --------
    >>> picture = np.random.default_rng(0).integers(0, 255, (16, 16)).astype(np.uint8)
    >>> picture = picture.repeat(4, 0).repeat(4, 1)
    >>> round(details_alike(picture // 2 + 20, picture, np.eye(2, 3, dtype=np.float32)), 1)
    1.0
    """
    cv2 = opencv()
    as_guessed = _likeness(copy, whole, guess)
    if as_guessed >= _SURE:
        return as_guessed
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ROUNDS, 1e-4)
    try:
        _, warp = cv2.findTransformECC(
            _smooth(copy, 1.0), _smooth(whole, 1.0), guess.copy(), cv2.MOTION_AFFINE, stop, None, 1
        )
    except cv2.error:  # it found no way: a flat picture, or no likeness at all
        return as_guessed
    if _moved(warp, guess, copy.shape[::-1]) > slack:
        return as_guessed
    return max(as_guessed, _likeness(copy, whole, warp))


def _likeness(
    copy: NDArray[np.uint8], whole: NDArray[np.uint8], warp: NDArray[np.float32]
) -> float:
    """Correlate the details once ``whole`` is laid over ``copy``; 0 for too little overlap."""
    cv2 = opencv()
    size, backwards = copy.shape[::-1], cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(whole, warp, size, flags=cv2.INTER_LINEAR | backwards)
    covered = cv2.warpAffine(np.ones_like(whole), warp, size, flags=cv2.INTER_NEAREST | backwards)
    inside = covered[_EDGE:-_EDGE, _EDGE:-_EDGE] > 0
    if inside.mean() < _ENOUGH:
        return 0.0
    clipped = cv2.dilate(_clipped(copy) | _clipped(moved), np.ones((5, 5), np.uint8)) > 0
    clear = inside & ~clipped[_EDGE:-_EDGE, _EDGE:-_EDGE]
    # Drawings and scans are mostly clipped; then what is clipped has to count.
    used = clear if clear.mean() >= 0.1 else inside
    first, second = (_detail(each)[_EDGE:-_EDGE, _EDGE:-_EDGE][used] for each in (copy, moved))
    first, second = first - first.mean(), second - second.mean()
    power = float(np.sqrt((first @ first) * (second @ second)))
    return max(0.0, float(first @ second) / power) if power > 1e-6 else 0.0


def _moved(warp: NDArray[np.float32], guess: NDArray[np.float32], size: tuple[int, ...]) -> float:
    """Return how far the corner that was moved most was moved, in pixels."""
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
    return float(np.linalg.norm((warp - guess) @ corners.T, axis=0).max())


def _smooth(pixels: NDArray[np.uint8], sigma: float) -> NDArray[np.float32]:
    cv2 = opencv()
    blurred: NDArray[np.float32] = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), sigma)
    return blurred


def _detail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return _smooth(pixels, _FINE) - _smooth(pixels, _COARSE)


def _clipped(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    low, high = _CLIPPED
    return ((pixels <= low) | (pixels >= high)).astype(np.uint8)
