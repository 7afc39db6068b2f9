"""Intervals of what is no share: the bias-corrected and accelerated bootstrap (BCa).

Pure: arrays in, two numbers out; randomness is the generator that is passed in, at most a few times
the examples' own memory is used.

**What is drawn.** Units: groups of examples where there are groups, else examples. Not stratified
by class: the mix of classes among the pictures to come is as unknown as the rest, and one group may
hold several classes. A class that a resample misses is left out of that resample's averages.

**Ends.** Taken at Student's t instead of the normal quantile, which makes up for few units
(Hesterberg); the value itself is always inside. A test part without a mistake gives resamples
without one, and no width: what then stands instead is with each number in ``measures.py``.

References
----------
B. Efron, "Better bootstrap confidence intervals", JASA 1987, pages 171-185. T. C. Hesterberg, "What
teachers should know about the bootstrap", The American Statistician 2015, section 5.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldmark.evaluation.intervals import (
    check_interval,
    normal_quantile,
    student_quantile,
)

N_RESAMPLES = 2000
_MAX_NUMBERS = 500_000
"""Held at once while resampling: 4 MB each of draws and of weights, which a cache may hold."""

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From sums over units, shape (m, n_columns), to one number each, shape (m,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """How the resampling draws: its seed, and which examples are drawn together.

    Examples
    --------
    >>> Resampling(7, groups=np.array([0, 0, 1])).seed
    7
    """

    seed: int
    """The same seed gives the same intervals."""
    groups: NDArray[np.integer[Any]] | None = None
    """Int array of shape (n_examples,): equal numbers belong together; None: each stands alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is drawn, as rows of sums; equal rows are kept once and counted."""

    rows: Floats
    """Shape (n_kinds, n_columns), in a fixed order: that of the examples does not matter."""
    counts: NDArray[np.int64]
    """How many units have each row."""

    @classmethod
    def of(cls, rows: Floats, groups: NDArray[np.int64] | None = None) -> Units:
        """Add up the rows of each group, and count equal sums.

        Examples
        --------
        >>> Units.of(np.array([[1.0], [2.0], [3.0]]), np.array([0, 0, 1])).counts.tolist()
        [2]
        """
        summed = rows if groups is None else sums_by(rows, groups)
        found, counts = np.unique(summed, axis=0, return_counts=True)
        return cls(found, counts.astype(np.int64))

    @property
    def n(self) -> int:
        """Units, at least 1."""
        return int(self.counts.sum())


def sums_by(rows: Floats, groups: NDArray[np.int64]) -> Floats:
    """Add up the rows of each group: shape (n_groups, n_columns), by group number."""
    _, number = np.unique(groups, return_inverse=True)
    columns = [np.bincount(number, weights=column) for column in rows.T]
    return np.stack(columns, axis=1)


def bootstrap(
    units: Units,
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bound a statistic of sums over units, such as a mean: BCa.

    Parameters
    ----------
    units : Units
    statistic : callable
        From (m, n_columns) sums to (m,) numbers.
    rng : numpy.random.Generator
        From ``fieldmark.rng.derive``; the same generator gives the same interval.
    n_resamples : int, default=2000
    level : float, default=0.95
        In (0, 1).

    Returns
    -------
    tuple of float
        In the statistic's own unit. One unit alone gives an interval of no width.

    Raises
    ------
    DataError
        With code ``nothing-to-measure`` when there are no units.

    Examples
    --------
    >>> values = np.arange(100.0)
    >>> units = Units.of(np.stack([values, np.ones(100)], axis=1))
    >>> low, high = bootstrap(units, lambda sums: sums[:, 0] / sums[:, 1],
    ...                       rng=np.random.default_rng(0))
    >>> bool(low < 49.5 < high)
    True
    """
    check_interval(units.n, level)
    total = (units.counts @ units.rows)[None]
    value = float(statistic(total)[0])
    if units.n == 1:
        return (value, value)
    found = statistic(resampled_sums(units, rng, n_resamples))
    left_out = statistic(total - units.rows)
    influence = np.repeat(np.average(left_out, weights=units.counts) - left_out, units.counts)
    return bca(value, found, influence, level)


def mean_interval(
    values: Floats,
    groups: NDArray[np.int64] | None = None,
    *,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bound the mean of one number per example, for instance its loss; groups are drawn as a whole.

    Examples
    --------
    >>> low, high = mean_interval(np.arange(100.0), rng=np.random.default_rng(0))
    >>> bool(low < 49.5 < high)
    True
    """
    flat = np.asarray(values, dtype=np.float64)
    check_interval(flat.size, level)
    units = Units.of(np.stack([flat, np.ones(flat.size)], axis=1), groups)
    return bootstrap(units, _means, rng=rng, n_resamples=n_resamples, level=level)


def _means(sums: Floats) -> Floats:
    found: Floats = sums[:, 0] / sums[:, 1]
    return found


def bca(
    value: float, resampled: Floats, influence: Floats, level: float = 0.95
) -> tuple[float, float]:
    """Read the interval from what the resamples gave.

    Parameters
    ----------
    value : float
        Of the examples as they are.
    resampled : float array of shape (n_resamples,)
    influence : float array of shape (n_units,)
        How much each unit moves the value, up to a common positive factor.
    level : float, default=0.95

    Returns
    -------
    tuple of float
        Low and high with ``low <= value <= high``.
    """
    n, n_units = len(resampled), len(influence)
    # Counts repeat: half of the ties belongs below, and rounding must not decide about them.
    equal = np.isclose(resampled, value, rtol=1e-10, atol=1e-13)
    below = float(((resampled < value) & ~equal).sum() + 0.5 * equal.sum()) / n
    bias = normal_quantile(min(max(below, 0.5 / n), 1 - 0.5 / n))
    scale = float(np.square(influence).sum()) ** 1.5
    acceleration = float((influence**3).sum()) / (6 * scale) if scale > 0 else 0.0
    wide = student_quantile(0.5 + level / 2, n_units - 1) * math.sqrt(n_units / (n_units - 1))
    shares = [_share(bias, acceleration, side * wide) for side in (-1, 1)]
    low, high = np.quantile(resampled, shares)
    return (min(float(low), value), max(float(high), value))


def _share(bias: float, acceleration: float, z: float) -> float:
    """Efron 1987, equation 3.9, with the end of the scale where it leaves its range."""
    moved = bias + z
    bent = 1 - acceleration * moved
    if bent <= 0:
        return 0.0 if moved < 0 else 1.0
    return NormalDist().cdf(bias + moved / bent)


def resampled_sums(units: Units, rng: np.random.Generator, n_resamples: int) -> Floats:
    """Draw ``units.n`` units with replacement, again and again, and add up their rows.

    Returns
    -------
    float64 array of shape (n_resamples, n_columns)
    """
    n = units.n
    # Drawing how often each kind comes costs a kind, not a unit; a single draw is cheaper, though.
    if 8 * len(units.counts) < n:
        n_rows = max(1, _MAX_NUMBERS // len(units.counts))
        shares = units.counts / n
        drawn = [
            rng.multinomial(n, shares, size=min(n_rows, n_resamples - start)) @ units.rows
            for start in range(0, n_resamples, n_rows)
        ]
        return np.concatenate(drawn)
    each = np.repeat(units.rows, units.counts, axis=0)
    return np.concatenate([weights @ each for weights in draws(n, rng, n_resamples)])


def draws(n: int, rng: np.random.Generator, n_resamples: int) -> Iterator[Floats]:
    """Yield how often each of ``n`` units is drawn, for some resamples at a time: shape (m, n)."""
    n_rows = max(1, _MAX_NUMBERS // n)
    for start in range(0, n_resamples, n_rows):
        m = min(n_rows, n_resamples - start)
        drawn = rng.integers(0, n, size=(m, n), dtype=np.int32)
        places = drawn + (np.arange(m, dtype=np.int64) * n)[:, None]
        yield np.bincount(places.ravel(), minlength=m * n).reshape(m, n).astype(np.float64)
