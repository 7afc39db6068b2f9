"""Whether pictures of one part are wrong more or less often than the rest, or by chance. Pure.

Fisher's exact test where every picture stands alone. Where pictures come in groups, a robust score
test is asked as well and the more careful of both answers counts: twenty frames of one film that
are wrong together are one accident, and say nothing about rain.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError

_TIE = 1e-7
"""Logarithms of probabilities that differ by less belong to equally likely tables; counts that do
are the same."""


class Factorials:
    """The logarithms of the factorials up to ``n``, computed once for many tests; final.

    Examples
    --------
    >>> round(float(Factorials(4).log[4]), 6) == round(math.log(24), 6)
    True
    """

    def __init__(self, n: int) -> None:
        self.log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])

    def ways(self, n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the logarithm of the number of ways to choose k of n."""
        found: NDArray[np.float64] = self.log[n] - self.log[k] - self.log[n - k]
        return found


def fisher(table: tuple[int, int, int, int], factorials: Factorials | None = None) -> float:
    """Test exactly whether two shares differ.

    Parameters
    ----------
    table : tuple of int
        Wrong and right in the part, wrong and right in the rest; none below 0.
    factorials : Factorials, optional
        Of the sum of the table at least.

    Returns
    -------
    float
        Two-sided p in (0, 1]: how probable it is, with these margins, that chance deals a table at
        most as probable as this one.

    Raises
    ------
    UsageError
        Code ``interval``: a count below 0.

    References
    ----------
    R. A. Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society 1935.

    Examples
    --------
    >>> round(fisher((8, 2, 1, 5)), 4)
    0.035
    """
    if min(table) < 0:
        raise UsageError(
            f"{table} are no counts.",
            code="interval",
            hint="count the wrong and right answers of a part and of the rest",
        )
    n_wrong, n_part, n = table[0] + table[2], table[0] + table[1], sum(table)
    chosen = factorials or Factorials(n)
    wrong = np.arange(max(0, n_wrong + n_part - n), min(n_wrong, n_part) + 1)
    logs = chosen.ways(n_part, wrong) + chosen.ways(n - n_part, n_wrong - wrong)
    logs -= chosen.ways(n, np.array([n_wrong]))
    as_rare = logs <= logs[table[0] - wrong[0]] + _TIE
    return min(1.0, float(np.exp(logs[as_rare]).sum()))


def grouped_test(
    right: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    groups: NDArray[np.int64],
    factorials: Factorials | None = None,
) -> float:
    """Test whether two shares differ whose pictures come in groups.

    Two tests, of which the more careful counts. A robust score test adds the part's surplus of
    right answers up group by group and judges it by what the groups themselves show; it knows the
    spread, but its tail is the normal one, too thin where answers are rarely wrong. Fisher's test
    of the counts divided by the design effect has the right tail.

    Parameters
    ----------
    right, inside : bool array of shape (n,)
        Whether each answer is right, and whether the picture is in the part.
    groups : int array of shape (n,)
        From 0; equal numbers belong together. A part that is one group can never be told from the
        accident of that group.
    factorials : Factorials, optional
        Up to n at least.

    Returns
    -------
    float
        Two-sided p in (0, 1].

    References
    ----------
    K.-Y. Liang and S. L. Zeger, "Longitudinal data analysis using generalized linear models",
    Biometrika 1986. X. Guo, W. Pan, J. E. Connett, P. J. Hannan and S. A. French, "Small-sample
    performance of the robust score test and its modifications in generalized estimating equations",
    Statistics in Medicine 2005: with few groups it is careful, where Wald's test is not. J. Rao and
    A. Scott, "A simple method for the analysis of clustered binary data", Biometrics 1992.

    Examples
    --------
    >>> groups = np.repeat(np.arange(20), 5)
    >>> inside, right = groups < 1, groups > 0
    >>> grouped_test(right, inside, groups) > 0.1
    True
    """
    each = (inside - inside.mean()) * (right - right.mean())
    alone = float(np.square(each).sum())
    if alone == 0:
        return 1.0
    surplus = np.bincount(groups, weights=each)
    spread = float(np.square(surplus).sum())
    by_score = math.erfc(abs(float(surplus.sum())) / math.sqrt(2 * spread)) if spread else 0.0
    # 9 digits: a sum in another order must not decide about a picture that is rounded away.
    table = _thinned(right, inside, max(1.0, round(spread / alone, 9)))
    return max(by_score, fisher(table, factorials))


def _thinned(
    right: NDArray[np.bool_], inside: NDArray[np.bool_], effect: float
) -> tuple[int, int, int, int]:
    """Divide the counts by the design effect; what has to be rounded is, towards no difference."""
    n, n_part, n_wrong = len(right), int(inside.sum()), int((~right).sum())
    wrong = int((inside & ~right).sum()) / effect
    n, n_part, n_wrong = round(n / effect), round(n_part / effect), round(n_wrong / effect)
    expected = n_part * n_wrong / max(1, n)
    nearer = math.floor(wrong + _TIE) if wrong > expected else math.ceil(wrong - _TIE)
    most = min(n_part, n_wrong)
    least = max(0, n_part + n_wrong - n)
    both = min(max(nearer, least), most)
    return both, n_part - both, n_wrong - both, n - n_part - n_wrong + both
