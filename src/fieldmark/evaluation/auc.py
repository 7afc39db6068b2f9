"""Area under the ROC curve of each class against the rest, and its average. Pure.

It is the share of pairs, one of the class and one of the others, that the scores put in the right
order; equal scores count half. 0.5 is guessing, 1 is perfect order. It does not ask for any
threshold.

References
----------
E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more
correlated receiver operating characteristic curves", Biometrics 1988, pages 837-845.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldmark.evaluation.resampling import Floats, Units, bca, draws, resampled_sums, sums_by

MAX_EXACT = 100_000_000
"""Numbers (resamples x examples x classes) up to which every resample is counted in full: half a
second. Above, the average is taken as linear in the examples, which so many of them make it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """The examples in the order of one class's scores, lowest first."""

    order: NDArray[np.int64]
    positive: NDArray[np.int64]
    """Places in the order that belong to the class."""
    start: NDArray[np.int64]
    """For every place, where its run of equal scores starts, and where it ends (excluded)."""
    end: NDArray[np.int64]


def _ordered(scores: Floats, is_class: NDArray[np.bool_]) -> _Ordered:
    order = np.argsort(scores, kind="stable")
    sorted_scores = scores[order]
    return _Ordered(
        order,
        np.flatnonzero(is_class[order]),
        np.searchsorted(sorted_scores, sorted_scores, side="left"),
        np.searchsorted(sorted_scores, sorted_scores, side="right"),
    )


class Areas:
    """The classes that can be judged: those with at least one example and one of the others.

    Parameters
    ----------
    scores : float64 array of shape (n_examples, n_classes)
    truth : int64 array of shape (n_examples,)

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    >>> Areas(scores, np.array([0, 0, 1, 1])).value
    0.75
    """

    def __init__(self, scores: Floats, truth: NDArray[np.int64]) -> None:
        self.n = len(truth)
        sizes = np.bincount(truth, minlength=scores.shape[1])
        self.sizes = sizes[(sizes > 0) & (sizes < self.n)]
        """Examples of every class that can be judged."""
        found = np.flatnonzero((sizes > 0) & (sizes < self.n))
        self._classes = [_ordered(scores[:, at], truth == at) for at in found]

    @property
    def value(self) -> float:
        """The average over the classes, in [0, 1]; not a number if only one class occurs."""
        return float(self.weighted(np.ones((self.n, 1)))[0])

    def weighted(self, weights: NDArray[np.floating]) -> Floats:
        """Compute the average with examples counted several times or not at all.

        Parameters
        ----------
        weights : float array of shape (n_examples, m)
            Whole numbers, one column per resample.

        Returns
        -------
        float64 array of shape (m,)
            Classes without a pair in a resample are left out of it.
        """
        total = np.zeros(weights.shape[1])
        n_judged = np.zeros(weights.shape[1])
        sums = np.zeros((self.n + 1, weights.shape[1]), dtype=weights.dtype)
        for one in self._classes:
            drawn = weights[one.order]
            np.cumsum(drawn, axis=0, out=sums[1:])
            own = drawn[one.positive].astype(np.float64)
            # Twice the weight of everything below, ties half. Among the class itself that adds up
            # to the square of its weight, whatever the order.
            below = sums[one.start[one.positive]] + sums[one.end[one.positive]].astype(np.float64)
            n_own = own.sum(axis=0)
            n_pairs = n_own * (sums[-1] - n_own)
            ordered = (np.einsum("ij,ij->j", own, below) - n_own * n_own) / 2
            total += np.where(n_pairs > 0, ordered / np.maximum(n_pairs, 1), 0.0)
            n_judged += n_pairs > 0
        with np.errstate(invalid="ignore"):
            found: Floats = total / n_judged
        return found

    def influence(self) -> Floats:
        """Return how much each example moves the average: DeLong's placements, centred.

        Returns
        -------
        float64 array of shape (n_examples,)
            Their mean is 0; the average with weights w is about its value plus their mean over w.
        """
        found = np.zeros(self.n)
        for one in self._classes:
            is_own = np.zeros(self.n + 1)
            is_own[one.positive + 1] = 1
            own = np.cumsum(is_own)
            n_own, n_rest = own[-1], self.n - own[-1]
            own_below = (own[one.start] + own[one.end]) / 2
            all_below = (one.start + one.end) / 2
            placed = np.where(
                is_own[1:] > 0, (all_below - own_below) / n_rest, 1 - own_below / n_own
            )
            area = placed[one.positive].mean()
            share = np.where(is_own[1:] > 0, n_own, n_rest) / self.n
            found[one.order] += (placed - area) / share
        return found / max(1, len(self._classes))

    def interval(
        self,
        groups: NDArray[np.int64] | None,
        rng: np.random.Generator,
        n_resamples: int,
        level: float = 0.95,
    ) -> tuple[float, float]:
        """Bound the average by drawing groups, or examples, again and again: BCa.

        Parameters
        ----------
        groups : int64 array of shape (n_examples,), optional
            Numbered from 0.
        rng, n_resamples, level
            As for :func:`fieldmark.evaluation.resampling.bootstrap`.
        """
        moves = self.influence()
        pulled = moves if groups is None else sums_by(moves[:, None], groups)[:, 0]
        if len(pulled) == 1:
            return (self.value, self.value)
        if n_resamples * self.n * len(self._classes) > MAX_EXACT:
            units = Units.of(np.stack([moves, np.ones(self.n)], axis=1), groups)
            sums = resampled_sums(units, rng, n_resamples)
            found: Floats = np.clip(self.value + sums[:, 0] / sums[:, 1], 0.0, 1.0)
        else:
            parts = []
            for drawn in draws(len(pulled), rng, n_resamples):
                # Counts stay exact in single precision up to 16 million.
                columns = np.ascontiguousarray(drawn.T, dtype=np.float32)
                parts.append(self.weighted(columns if groups is None else columns[groups]))
            found = np.concatenate(parts)
            found = found[np.isfinite(found)]
        return bca(self.value, found, pulled, level) if len(found) else (self.value, self.value)
