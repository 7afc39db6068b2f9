"""Sizes and formats of many pictures in a few numbers, from one look at each. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Span:
    """The smallest, the middle and the largest of many whole numbers."""

    low: int
    median: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What many pictures are, before anything is done to them."""

    n: int
    """Pictures, at least 1."""
    width: Span
    """In pixels, as shown: after the EXIF orientation."""
    height: Span
    size: Span
    """Of the files, in bytes."""
    formats: dict[str, int]
    """What the contents are, the most frequent first: ``{"JPEG": 120, "PNG": 3}``."""
    n_sizes: int
    """Different widths and heights."""


def shapes(facts: NDArray[np.void]) -> Shapes | None:
    """Describe pictures; None where there are none.

    Parameters
    ----------
    facts : structured array of shape (n,)
        With ``width``, ``height``, ``n_bytes`` and ``format`` of
        :data:`fieldmark.modalities.looking.LOOK`, one row per picture.

    Examples
    --------
    >>> one = np.array([(64, 48, 900, b"PNG")], [("width", "i4"), ("height", "i4"),
    ...                 ("n_bytes", "i8"), ("format", "S8")])
    >>> shapes(one).width, shapes(one).formats
    (Span(low=64, median=64, high=64), {'PNG': 1})
    """
    if not len(facts):
        return None
    names, counts = np.unique(facts["format"], return_counts=True)
    found = sorted(zip(counts.tolist(), names.tolist(), strict=True), key=lambda one: -one[0])
    sizes = np.unique(np.column_stack([facts["width"], facts["height"]]), axis=0)
    return Shapes(
        n=len(facts),
        width=_span(facts["width"]),
        height=_span(facts["height"]),
        size=_span(facts["n_bytes"]),
        formats={name.decode("ascii", "replace") or "unknown": n for n, name in found},
        n_sizes=len(sizes),
    )


def _span(values: NDArray[np.integer]) -> Span:
    ordered = np.sort(values)
    return Span(int(ordered[0]), int(ordered[(len(ordered) - 1) // 2]), int(ordered[-1]))
