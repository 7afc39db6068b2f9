"""How far apart two classifiers are that answered the same pictures: intervals and one exact test.

Pure. A pair of answers to one picture is drawn as one, so what makes a picture hard for both does
not widen the interval of their difference. Pictures that belong together are drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.evaluation.intervals import paired_difference
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.measures import FEW_GROUPS
from fieldmark.evaluation.resampling import mean_interval
from fieldmark.rng import derive

Groups = NDArray[np.int64] | None
"""(n,): which pictures belong together; None: each stands alone."""


def mcnemar(n_one: int, n_other: int) -> float:
    """Test exactly whether two classifiers are right equally often: on what only one has right.

    Parameters
    ----------
    n_one, n_other : int
        Pictures that only the one, and only the other, has right; at least 0. Those that both have
        right or both have wrong say nothing about which is more often right.

    Returns
    -------
    float
        Two-sided p in (0, 1]: how often chance alone would divide them at least as unevenly. 1 when
        there are none. Below about 1e-308 it is 0.

    Raises
    ------
    UsageError
        Code ``interval``: a count below 0.

    References
    ----------
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 1947; the exact form is a sign test.

    Examples
    --------
    >>> mcnemar(1, 7)
    0.0703125
    >>> mcnemar(0, 0)
    1.0
    """
    if min(n_one, n_other) < 0:
        raise UsageError(
            f"{n_one} and {n_other} are no counts.",
            code="interval",
            hint="count the pictures that only one of the two has right",
        )
    n, fewer = n_one + n_other, min(n_one, n_other)
    # The binomial terms of a few thousand pictures leave the range of floats; their logarithms do
    # not. The largest is the last one, so the sum is taken relative to it.
    terms = [_log_binomial(n, k) for k in range(fewer + 1)]
    tail = math.fsum(math.exp(term - terms[-1]) for term in terms)
    # 12 digits: the logarithms carry no more, and whole numbers come out whole.
    return min(1.0, float(f"{2 * tail * math.exp(terms[-1]):.12g}"))


def _log_binomial(n: int, k: int) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways - n * math.log(2)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p values for being several: the chance of even one false alarm stays at the level.

    Returns
    -------
    tuple of float
        In the order given, each at least as large as it was and at most 1.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return tuple(adjusted)


def accuracy_difference(
    was: NDArray[np.bool_], now: NDArray[np.bool_], groups: Groups, *, level: float, seed: int
) -> Measurement:
    """Bound by how much the accuracy has changed on the same pictures.

    Parameters
    ----------
    was, now : bool array of shape (n,)
        Whether each picture was and is answered rightly; at least one picture.
    groups : int array of shape (n,), optional
    level : float
        In (0, 1).
    seed : int

    Returns
    -------
    Measurement
        A fraction in [-1, 1]; above 0: more are right now. With groups, the counts that Agresti
        and Min's interval is made of are divided by the design effect: by how much more the
        difference varies because pictures that belong together change together. It never makes
        the interval narrower; where nothing has changed, a group counts as one picture.

    References
    ----------
    J. Rao and A. Scott, "A simple method for the analysis of clustered binary data", Biometrics
    1992, pages 577-585.

    Examples
    --------
    >>> was, now = np.array([True] * 90 + [False] * 10), np.array([True] * 96 + [False] * 4)
    >>> found = accuracy_difference(was, now, None, level=0.95, seed=0)
    >>> round(found.value, 2), round(found.low, 3), round(found.high, 3)
    (0.06, 0.009, 0.108)
    """
    n = len(was)
    n_gained, n_lost = int((now & ~was).sum()), int((was & ~now).sum())
    # Its "first" is what comes now: the difference is of the first's rate minus the second's.
    effect = 1.0 if groups is None else _design_effect(now.astype(np.float64) - was, groups)
    if groups is not None and (k := len(np.unique(groups))) < FEW_GROUPS:
        effect = max(effect, n / k)  # so few say nothing of how groups differ: each is one picture
    gained, lost = n_gained / effect, n_lost / effect
    low, high = paired_difference(gained, lost, max(n / effect, gained + lost), level)
    method = "Agresti-Min" if groups is None else "Agresti-Min, by groups"
    value = (n_gained - n_lost) / n
    return Measurement("accuracy difference", value, low, high, n, level, method)


def loss_difference(
    was: NDArray[np.float64],
    now: NDArray[np.float64],
    groups: Groups,
    *,
    level: float,
    seed: int,
) -> Measurement:
    """Bound by how much the log loss has changed on the same pictures.

    Parameters
    ----------
    was, now : float array of shape (n,)
        Each picture's loss in nats; at least one picture.
    groups, level, seed
        As for :func:`accuracy_difference`.

    Returns
    -------
    Measurement
        In nats; below 0: the labels get higher scores now. A BCa bootstrap of 2,000
        resamples of the pairs, or of whole groups of them.

    References
    ----------
    T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 2015,
    section 4.3: percentile intervals of few are too narrow, and by how much.

    Examples
    --------
    >>> was = np.linspace(0.2, 0.8, 100)
    >>> found = loss_difference(was, was - 0.1, None, level=0.95, seed=0)
    >>> round(found.value, 3), round(found.high, 3)
    (-0.1, -0.1)
    """
    each = now - was
    low, high = mean_interval(each, groups, rng=derive(seed, "compare", "log loss"), level=level)
    method = "paired bootstrap" + ("" if groups is None else " of groups")
    value = float(each.mean())
    return Measurement(
        "log loss difference", value, low, high, len(each), level, method, unit="nats"
    )


def _design_effect(each: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """Divide the variance of the mean with whole groups by that with single pictures."""
    _, numbers = np.unique(groups, return_inverse=True)
    n, n_groups = len(each), int(numbers.max()) + 1
    apart = each - each.mean()
    spread = float(apart @ apart)
    if n_groups < 2:
        return float(n)
    if spread == 0:
        return n / n_groups
    together = np.bincount(numbers, weights=apart)
    effect = float(together @ together) / spread * n_groups / (n_groups - 1)
    return min(float(n), max(1.0, effect))
