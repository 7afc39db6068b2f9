"""How many answers could be kept for how few errors: error against coverage. Pure NumPy.

Answers are sorted by how far the first class is ahead of the second, as decisions are made; keeping
more of them, from the surest down, lets more errors in. The curve is for looking at. A threshold is
never read off it: it shows the test part, and what is chosen on those pictures flatters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.measures import share_of
from fieldmark.evaluation.metrics import Labels, Probs, checked

MAX_POINTS: Final = 50
_SMALLEST: Final = 1e-300
"""A score of 0 is taken for this, so that its logarithm is a number."""


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """The surest answers up to one place."""

    coverage: float
    """Share of all pictures that are kept, in (0, 1]."""
    error: Measurement
    """Share of wrong answers among them, with Wilson's interval for this place alone."""


def risk_coverage(
    scores: Probs,
    labels: Labels,
    max_points: int = MAX_POINTS,
    *,
    groups: NDArray[np.int64] | None = None,
) -> tuple[CoveragePoint, ...]:
    """Measure the error among the surest answers, for more and more of them.

    Parameters
    ----------
    scores : float array of shape (n, n_classes)
        Rows sum to 1. A temperature makes no difference: it reorders nothing.
    labels : int array of shape (n,)
    max_points : int, default=50
        At least 1; that many places are taken at equal distances.
    groups : int array of shape (n,), optional
        Equal numbers belong together, and every interval counts groups; None: each stands alone.

    Returns
    -------
    tuple of CoveragePoint
        From few to all; the last is the whole part. Answers that are equally sure stay together,
        so there may be fewer.

    Raises
    ------
    DataError, UsageError
        As :func:`fieldmark.evaluation.metrics.checked`.

    References
    ----------
    El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 2010;
    Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]])
    >>> curve = risk_coverage(scores, np.array([0, 1, 0, 0]))
    >>> [(point.coverage, point.error.value) for point in curve]
    [(0.25, 0.0), (0.5, 0.0), (0.75, 0.0), (1.0, 0.25)]
    """
    probs, truth = checked(scores, labels)
    ahead = _ahead(probs)
    order = np.argsort(-ahead, kind="stable")
    wrong = probs.argmax(axis=1)[order] != truth[order]
    together = None if groups is None else np.asarray(groups)[order]
    n = len(truth)
    ends = np.flatnonzero(np.append(np.diff(ahead[order]) != 0, True)) + 1
    wanted = np.ceil(n * np.arange(1, max(1, max_points) + 1) / max(1, max_points) - 1e-9)
    kept = ends[np.unique(np.searchsorted(ends, wanted))]
    return tuple(
        _point(wrong[:end], None if together is None else together[:end], n)
        for end in kept.tolist()
    )


def _ahead(probs: Probs) -> Probs:
    """Return how far the first class is ahead of the second, in logits."""
    if probs.shape[1] < 2:
        return np.zeros(len(probs))
    two = np.log(np.maximum(np.partition(probs, -2, axis=1)[:, -2:], _SMALLEST))
    return np.asarray(two[:, 1] - two[:, 0])


def _point(wrong: NDArray[np.bool_], groups: NDArray[np.int64] | None, n_all: int) -> CoveragePoint:
    return CoveragePoint(len(wrong) / n_all, share_of("error among accepted", wrong, groups))
