"""How far a share counted on a few examples may lie from the truth, in closed form.

Pure: counts in, two numbers out. Where examples come in groups (frames of one film, pictures of one
patient), n examples tell less than n: :func:`effective_n` says how many independent ones they are
worth, and Wilson's interval is taken for that number. It is preferred to resampling the groups for
shares because it stays honest near 0 and 100 %, where resamples hold too few errors to vary; the
coverage of both is measured by ``benchmarks/coverage.py``. What is no share is resampled, in
``resampling.py``.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import DataError, UsageError

_PRIOR_ERRORS = 2.0
"""Answers' worth of belief that groups are right or wrong as a whole, until answers say more."""


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
    check_interval(n, level)
    if not 0 <= n_correct <= n:
        raise UsageError(
            f"{n_correct} correct of {n} is not a share.",
            code="interval",
            hint="count the correct ones among the n examples",
        )
    return wilson_rate(n_correct / n, n, level)


def wilson_rate(rate: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Bound a share in [0, 1] that is worth ``n`` independent examples; n need not be whole.

    Examples
    --------
    >>> low, high = wilson_rate(0.95, 40.0)
    >>> round(low, 3), round(high, 3)
    (0.835, 0.986)
    """
    z = normal_quantile(0.5 + level / 2)
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # Exactly 0 and 1 at the ends, where rounding would leave 1e-17.
    low = 0.0 if rate == 0 else max(0.0, min(rate, middle - half))
    high = 1.0 if rate == 1 else min(1.0, max(rate, middle + half))
    return (low, high)


def effective_n(right: NDArray[np.bool_], groups: NDArray[np.int64], level: float = 0.95) -> float:
    """Say how many independent examples a share is worth whose examples come in groups.

    The design effect is how many times more the share varies from one draw of groups to the next
    than from one draw of single examples. It is estimated from how unequal the groups are. A few
    wrong answers tell little about that, so with fewer than a handful it is drawn towards that of
    groups that are right or wrong as a whole, and without one it is exactly that: all right, in 12
    groups of equal size, is worth 12 examples. Few groups estimate it badly, for which Student's t
    makes up.

    Parameters
    ----------
    right : bool array of shape (n,)
        Whether each answer counts.
    groups : int array of shape (n,)
        Equal numbers: drawn together.
    level : float, default=0.95
        Of the interval it is for.

    Returns
    -------
    float
        In (0, n]; n itself where every example is its own group.

    References
    ----------
    E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", Survey Methodology 1998, pages 193-201. Franco,
    Little, Louis and Slud, Journal of Survey Statistics and Methodology 2019.

    Examples
    --------
    >>> right = np.array([True, True, False, False] * 25)
    >>> effective_n(right, np.arange(100))
    100.0
    >>> round(effective_n(right, np.arange(100) // 2), 1)
    46.6
    """
    n = len(right)
    check_interval(n, level)
    _, number = np.unique(groups, return_inverse=True)
    sizes = np.bincount(number).astype(np.float64)
    if len(sizes) == n:
        return float(n)
    largest = float(np.square(sizes).sum() / n)
    n_groups, n_right = len(sizes), int(right.sum())
    if n_groups == 1:
        return 1.0
    few = min(n_right, n - n_right)
    if not few:
        return n / largest
    rate = n_right / n
    apart = np.bincount(number, weights=right) - rate * sizes
    spread = float(np.square(apart).sum()) * n_groups / (n_groups - 1)
    seen = max(1.0, spread / (n * rate * (1 - rate)))
    effect = (few * seen + _PRIOR_ERRORS * largest) / (few + _PRIOR_ERRORS)
    return n / effect * _known(n_groups, level)


def _known(n_groups: int, level: float) -> float:
    """Return what Student's t takes from the worth of groups whose spread had to be estimated."""
    share = 0.5 + level / 2
    ratio: float = normal_quantile(share) / student_quantile(share, n_groups - 1)
    return ratio**2


def kish_n(sizes: NDArray[np.number]) -> float:
    """Return how many equal groups are worth as much as groups of these sizes.

    References
    ----------
    L. Kish, "Survey Sampling", 1965, section 8.2.

    Examples
    --------
    >>> kish_n(np.array([5, 5, 5])), kish_n(np.array([8, 1, 1])) < 1.6
    (3.0, True)
    """
    return float(sizes.sum() ** 2 / np.square(sizes).sum())


def normal_quantile(share: float) -> float:
    """Return the standard normal's quantile of a share in (0, 1)."""
    return NormalDist().inv_cdf(share)


def student_quantile(share: float, freedom: int) -> float:
    """Return Student's t's quantile: exact for 1 and 2 degrees of freedom, else within 0.5 %.

    References
    ----------
    Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5.

    Examples
    --------
    >>> round(student_quantile(0.975, 2), 3), round(student_quantile(0.975, 10), 2)
    (4.303, 2.23)
    """
    if freedom == 1:
        return math.tan(math.pi * (share - 0.5))
    if freedom == 2:
        return (2 * share - 1) / math.sqrt(2 * share * (1 - share))
    z = normal_quantile(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))


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
    check_interval(n, level)
    if min(n_lost, n_gained) < 0 or n_lost + n_gained > n:
        raise UsageError(
            f"{n_lost} lost and {n_gained} gained are not among {n}.",
            code="interval",
            hint="count the examples that only one of the two has right",
        )
    z = normal_quantile(0.5 + level / 2)
    size, apart, both = n + 2, n_lost - n_gained, n_lost + n_gained + 1
    middle = apart / size
    half = z * math.sqrt(both - apart * apart / size) / size
    return (max(-1.0, middle - half), min(1.0, middle + half))


def check_interval(n: float, level: float) -> None:
    """Refuse an interval of nothing, or of a level that is none."""
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
