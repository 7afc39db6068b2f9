"""Ridge regression of class membership in closed form, with every row's honest score.

Least squares onto one-hot targets, with weights that add up to 1 and a free intercept:

    sum_i w_i |t_i - b - W a_i|^2 + strength * |W|^2

One eigendecomposition of the smaller of covariance and Gram matrix solves it for all strengths.
Leaving rows out needs no refit: with the hat matrix H (predictions = H targets), the residuals of a
group's rows as if the group had been left out are ``inv(I - H_gg) residuals_g``, which is exact.
(What is left out still took part in standardising; that looks at no label.)

References
----------
Golub, Heath and Wahba, "Generalized cross-validation as a method for choosing a good ridge
parameter", 1979. For one-hot targets: Rifkin and Lippert, "Notes on regularized least squares",
2007.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""float64, or float32 where many columns meet many rows."""

_EXACT_SIDE = 1024
"""Up to this size the decomposition is made in float64; beyond, time decides for float32."""
_BATCH = 1 << 23
"""Numbers that the blocks of groups may take at once."""
_NEWTON_STEPS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Rows in the basis of their eigenvectors, ready for any strength."""

    turned: Floats
    """(n_rows, rank): centred rows along each eigenvector."""
    vectors: Floats
    """(n_columns, rank)"""
    values: Floats
    """(rank,): the weighted variance along each."""
    centre: Floats
    """(n_columns,)"""
    weights: NDArray[np.float64]
    """(n_rows,), adding up to 1."""
    targets: NDArray[np.float64]
    """(n_rows, n_classes): one-hot minus ``shares``."""
    shares: NDArray[np.float64]
    """(n_classes,): the classes' shares of the weight."""

    def coefficients(self, strength: float) -> NDArray[np.float64]:
        """Return (rank, n_classes)."""
        moments = self.turned.T @ (self.weights[:, None] * self.targets).astype(self.turned.dtype)
        found: NDArray[np.float64] = moments / (self.values + strength)[:, None].astype(np.float64)
        return found

    def solution(self, strength: float) -> NDArray[np.float64]:
        """Return weights of standardised columns (n_classes, 1 + n_columns), intercept first."""
        slopes = (self.vectors @ self.coefficients(strength)).T
        return np.column_stack([self.shares - slopes @ self.centre, slopes])

    def left_out(self, strength: float, groups: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return each row's scores (n_rows, n_classes) as if its group had never been seen."""
        fitted = self.turned @ self.coefficients(strength).astype(self.turned.dtype)
        residuals = self.targets - fitted
        shrunk = 1 / (self.values + strength)
        leverage = self.weights * (1 + np.square(self.turned) @ shrunk)
        honest = residuals / (1 - leverage)[:, None]
        for at in _blocks(groups, self.turned.shape[1]):
            rows = self.turned[at]
            hat = (1 + (rows * shrunk) @ rows.transpose(0, 2, 1)) * self.weights[at][:, None, :]
            honest[at] = np.linalg.solve(np.eye(at.shape[1]) - hat, residuals[at])
        scores: NDArray[np.float64] = self.targets + self.shares - honest
        return scores


def _blocks(groups: NDArray[np.int64], rank: int) -> Iterator[NDArray[np.intp]]:
    """Yield positions (n_groups, size) of groups of equal size, for sizes of at least two."""
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    for size in np.unique(sizes[sizes > 1]).tolist():
        at = order[starts[sizes == size][:, None] + np.arange(size)]
        step = max(1, _BATCH // (size * max(rank, size)))
        for first in range(0, len(at), step):
            yield at[first : first + step]


def decomposed(
    columns: NDArray[np.float32],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    n_classes: int,
) -> Ridge:
    """Decompose standardised rows once for all strengths.

    Parameters
    ----------
    columns : float32 array of shape (n_rows, n_columns)
        Standardised, without an intercept.
    labels : int64 array of shape (n_rows,)
        Class indices.
    weights : float64 array of shape (n_rows,)
        Any positive total.
    n_classes : int
        Also of classes that do not occur.
    """
    weights = weights / weights.sum()
    kind: type[Any] = np.float64 if min(columns.shape) <= _EXACT_SIDE else np.float32
    centre: Floats = weights.astype(kind) @ columns.astype(kind)
    rows: Floats = columns - centre
    scaled = rows * np.sqrt(weights)[:, None].astype(kind)
    if rows.shape[0] < rows.shape[1]:
        values, left = np.linalg.eigh(scaled @ scaled.T)
        kept = values > values[-1] * np.finfo(kind).eps * len(values)
        values = values[kept]
        vectors = (scaled.T @ left[:, kept]) / np.sqrt(values)
    else:
        values, vectors = np.linalg.eigh(scaled.T @ scaled)
        values = np.maximum(values, 0)
    truth = np.eye(n_classes)[labels]
    shares = weights @ truth
    return Ridge(rows @ vectors, vectors, values, centre, weights, truth - shares, shares)


def sharpness(
    scores: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Return the factor that turns scores into the logits of lowest log-loss, by Newton's method.

    Each label is believed but for (K - 1) / (n / K + K), which the other classes share: else a few
    scores that happen to be all right would get an endless factor. The loss is convex in it.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999, whose targets these are.
    """
    n, n_classes = scores.shape
    doubt = (n_classes - 1) / (n / n_classes + n_classes)
    own = scores[np.arange(n), labels]
    others = (scores.sum(axis=1) - own) / (n_classes - 1)
    wanted = float(weights @ ((1 - doubt) * own + doubt * others))
    factor = 1.0
    for _ in range(_NEWTON_STEPS):
        logits = factor * scores
        logits -= logits.max(axis=1, keepdims=True)
        probs = np.exp(logits)
        probs /= probs.sum(axis=1, keepdims=True)
        mean = (probs * scores).sum(axis=1)
        slope = float(weights @ mean) - wanted
        bend = float(weights @ ((probs * np.square(scores)).sum(axis=1) - mean**2))
        # From the flat side Newton leaps too far: at most a factor of four at once.
        better = factor - slope / bend if bend > 0 else factor
        better = float(np.clip(better, factor / 4, min(4 * factor, 1000.0)))
        if abs(better - factor) <= 1e-9 * factor:
            break
        factor = better
    return factor
