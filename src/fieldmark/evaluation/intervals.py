"""How far a number measured on a few examples may lie from the truth.

Pure: arrays and counts in, two numbers out; randomness is the generator that is passed in. Memory
stays at a few times the examples' own, whatever the number of resamples.

Not here: intervals that correct for bias and skew (BCa), and resampling of whole groups. Both
intervals below treat examples as independent, so they are too narrow where examples come in groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import DataError, UsageError

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From resamples of shape (n_resamples, n) to one number each, shape (n_resamples,)."""

_MAX_NUMBERS = 2_000_000
"""Held at once while resampling: 16 MB of indices and as much of values."""


def wilson(n_correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Bound a rate that was counted: ``n_correct`` of ``n``.

    Parameters
    ----------
    n_correct : int
        In [0, n].
    n : int
        At least 1.
    level : float, default=0.95
        Share of such intervals that hold the true rate, in (0, 1).

    Returns
    -------
    tuple of float
        Low and high, fractions in [0, 1]. 50 of 50 is not "100 %": low is then 0.929.

    Raises
    ------
    DataError
        With code ``nothing-to-measure`` when ``n`` is 0.
    UsageError
        With code ``interval`` when the counts or the level make no sense.

    References
    ----------
    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927;
    recommended by Brown, Cai and DasGupta, Statistical Science 2001, pages 101-133.

    Examples
    --------
    >>> low, high = wilson(95, 100)
    >>> round(low, 3), round(high, 3)
    (0.888, 0.978)
    """
    _check(n, level)
    if not 0 <= n_correct <= n:
        raise UsageError(
            f"{n_correct} correct of {n} is not a share.",
            code="interval",
            hint="count the correct ones among the n examples",
        )
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = n_correct / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # Exactly 0 and 1 at the ends, where rounding would leave 1e-17.
    low = 0.0 if n_correct == 0 else max(0.0, middle - half)
    high = 1.0 if n_correct == n else min(1.0, middle + half)
    return (low, high)


def paired_difference(
    n_lost: float, n_gained: float, n: float, level: float = 0.95
) -> tuple[float, float]:
    """Bound how much better one classifier is than another on the same ``n`` examples.

    Parameters
    ----------
    n_lost : float
        Examples that only the first has right.
    n_gained : float
        Examples that only the second has right.
    n : float
        All of them, at least 1. The three are whole numbers, unless a design effect scaled them.
    level : float, default=0.95
        Share of such intervals that hold the true difference, in (0, 1).

    Returns
    -------
    tuple of float
        Low and high of the first's rate minus the second's, in [-1, 1]. Two classifiers that never
        differ are not "equal": of 100 examples, the difference is then within 0.02.

    Raises
    ------
    DataError
        With code ``nothing-to-measure`` when ``n`` is 0.
    UsageError
        With code ``interval`` when the counts or the level make no sense.

    References
    ----------
    A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 2005, pages 729-740: half an example added to each of the four cells.

    Examples
    --------
    >>> low, high = paired_difference(6, 2, 500)
    >>> round(low, 4), round(high, 4)
    (-0.0037, 0.0197)
    """
    _check(n, level)
    if min(n_lost, n_gained) < 0 or n_lost + n_gained > n:
        raise UsageError(
            f"{n_lost} lost and {n_gained} gained are not among {n}.",
            code="interval",
            hint="count the examples that only one of the two has right",
        )
    z = NormalDist().inv_cdf(0.5 + level / 2)
    size, apart, both = n + 2, n_lost - n_gained, n_lost + n_gained + 1
    middle = apart / size
    half = z * math.sqrt(both - apart * apart / size) / size
    return (max(-1.0, middle - half), min(1.0, middle + half))


def row_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each row: the statistic that :func:`bootstrap` uses unless told otherwise."""
    means: NDArray[np.float64] = values.mean(axis=-1)
    return means


def bootstrap(
    values: NDArray[np.float64],
    statistic: Statistic = row_means,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bound a statistic of examples by drawing the same number of them again and again.

    Parameters
    ----------
    values : float array of shape (n,)
        One number per example, for instance its loss.
    statistic : callable, default=row_means
        From (m, n) resampled values to (m,) numbers; called for a few rows at a time.
    rng : numpy.random.Generator
        From ``fieldmark.rng.derive``; the same generator gives the same interval.
    n_resamples : int, default=2000
        At least 1.
    level : float, default=0.95
        In (0, 1).

    Returns
    -------
    tuple of float
        The percentile interval, in the statistic's own unit.

    Raises
    ------
    DataError
        With code ``nothing-to-measure`` when there are no values.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.

    Examples
    --------
    >>> low, high = bootstrap(np.arange(100.0), rng=np.random.default_rng(0))
    >>> bool(low < 49.5 < high)
    True
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    _check(flat.size, level)

    def draw(n_rows: int) -> NDArray[np.float64]:
        return statistic(flat[rng.integers(0, flat.size, size=(n_rows, flat.size))])

    return _percentiles(draw, flat.size, n_resamples, level)


def bootstrap_confusion(
    confusion: NDArray[np.int64],
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bound a statistic that needs nothing but the confusion matrix, such as macro F1.

    Drawing n examples again and counting them is drawing the counts from a multinomial
    distribution; that takes a fraction of the time and of the memory.

    Parameters
    ----------
    confusion : int array of shape (n_classes, n_classes)
        Rows are the true classes.
    statistic : callable
        From (m, n_classes, n_classes) counts to (m,) numbers.
    rng, n_resamples, level
        As in :func:`bootstrap`.

    Returns
    -------
    tuple of float
        The percentile interval.
    """
    counts = np.asarray(confusion, dtype=np.int64)
    n = int(counts.sum())
    _check(n, level)
    used = np.flatnonzero(counts)
    shares = counts.ravel()[used] / n

    def draw(n_rows: int) -> NDArray[np.float64]:
        resampled = np.zeros((n_rows, counts.size))
        resampled[:, used] = rng.multinomial(n, shares, size=n_rows)
        return statistic(resampled.reshape(n_rows, *counts.shape))

    return _percentiles(draw, counts.size, n_resamples, level)


def _percentiles(
    draw: Callable[[int], NDArray[np.float64]], row_size: int, n_resamples: int, level: float
) -> tuple[float, float]:
    n_rows = max(1, _MAX_NUMBERS // row_size)
    found = np.concatenate(
        [draw(min(n_rows, n_resamples - start)) for start in range(0, n_resamples, n_rows)]
    )
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))


def _check(n: float, level: float) -> None:
    if n < 1:
        raise nothing_to_measure()
    if not 0 < level < 1:
        raise UsageError(
            f"An interval of level {level} was asked for.",
            code="interval",
            hint="choose a level between 0 and 1, usually 0.95",
        )


def nothing_to_measure() -> DataError:
    """Build the one error for measuring without examples."""
    return DataError(
        "There is not one example to measure on.",
        code="nothing-to-measure",
        why="A number without examples behind it would be invented.",
        hint="give the test part at least a few pictures of every class",
    )
