"""Standardised features as blocks of rows, in memory or read again from disk for every pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldmark.training.rows import bad_rows

BLOCK_ROWS = 2048
"""Rows that are read and standardised at once."""

_CONSTANT = 1e-6
"""A column whose deviation is a smaller part of its mean than this says nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """What standardising subtracts and multiplies by."""

    mean: NDArray[np.float64]
    """(n_features,)"""
    inverse: NDArray[np.float64]
    """(n_features,), one over the deviation; 0 for a constant column, which therefore vanishes."""

    def standardised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``1, (x - mean) / deviation`` as float32 (n, 1 + n_features).

        The intercept comes first, so that a prefix of the columns stays a view.
        """
        out = np.empty((len(features), 1 + features.shape[1]), dtype=np.float32)
        out[:, 0] = 1
        # The difference in float64: features far from zero would lose their digits.
        np.multiply(features - self.mean, self.inverse, out=out[:, 1:], casting="same_kind")
        return out

    def raw(self, weights: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turn weights of standardised columns into weights and bias of raw features.

        Parameters
        ----------
        weights : float array of shape (n_classes, 1 + n_columns)
            The intercept first; fewer columns than there are features mean a prefix.

        Returns
        -------
        (n_columns, n_classes) and (n_classes,)
        """
        n = weights.shape[1] - 1
        slopes = weights[:, 1:].astype(np.float64) * self.inverse[:n]
        return slopes.T, weights[:, 0] - slopes @ self.mean[:n]


def measure(features: NDArray[np.float32], weights: NDArray[np.float64]) -> Scaling:
    """Measure each column's weighted mean and deviation in one pass, in float64.

    Raises
    ------
    UsageError
        With code ``bad-rows`` when a feature is not a finite number.

    References
    ----------
    Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983: how the moments
    of two blocks become those of both.
    """
    n_features = features.shape[1]
    mean, scatter, total = np.zeros(n_features), np.zeros(n_features), 0.0
    for start in range(0, len(features), BLOCK_ROWS):
        block = features[start : start + BLOCK_ROWS].astype(np.float64)
        weight = weights[start : start + BLOCK_ROWS]
        here = weight.sum()
        middle = weight @ block / here
        block -= middle
        np.square(block, out=block)
        shift = middle - mean
        scatter += weight @ block + shift**2 * (total * here / (total + here))
        total += here
        mean += shift * (here / total)
    deviation = np.sqrt(scatter / total)
    if not np.isfinite(deviation).all():
        raise bad_rows(f"{int((~np.isfinite(deviation)).sum())} features that are not all finite")
    varies = deviation > _CONSTANT * np.abs(mean)
    return Scaling(mean, np.where(varies, 1 / np.where(varies, deviation, 1), 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Standardised rows, intercept first, of which a prefix of the columns is used."""

    features: NDArray[np.float32]
    """Already standardised if ``scaling`` is None."""
    n_columns: int
    """The intercept counts."""
    scaling: Scaling | None = None

    @property
    def n_rows(self) -> int:
        """How many rows there are in all blocks."""
        return len(self.features)

    def prefix(self, n_columns: int) -> Design:
        """Return the same rows with the intercept and the first columns only; copies nothing."""
        return Design(self.features, 1 + n_columns, self.scaling)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield consecutive rows; one block if they are in memory."""
        if self.scaling is None:
            yield slice(0, self.n_rows), self.features[:, : self.n_columns]
            return
        n = self.n_columns - 1
        prefix = Scaling(self.scaling.mean[:n], self.scaling.inverse[:n])
        for start in range(0, self.n_rows, BLOCK_ROWS):
            part = slice(start, min(start + BLOCK_ROWS, self.n_rows))
            yield part, prefix.standardised(self.features[part, :n])


def in_memory(features: NDArray[np.float32], scaling: Scaling, which: NDArray[np.intp]) -> Design:
    """Standardise chosen rows, block by block, into one array."""
    width = 1 + features.shape[1]
    held = np.empty((len(which), width), dtype=np.float32)
    for start in range(0, len(which), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        held[part] = scaling.standardised(features[which[part]])
    return Design(held, width)
