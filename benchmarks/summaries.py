"""Medians, ratios pair by pair, intervals, and tables of them. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

Z_95: Final = statistics.NormalDist().inv_cdf(0.975)
T_95: Final = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)
"""Two-sided 95 % quantiles of Student's t for 1, 2, ... 20 degrees of freedom."""


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the median, with the lowest and the highest value.

    >>> spread([3.0, 1.0, 2.0], 1)
    '2.0 (1.0-3.0)'
    """
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide measurements that ran next to each other."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def target(what: str, values: Sequence[float], wanted: float, *, at_least: bool) -> str:
    """Return a line that says whether the median reaches what was wanted."""
    middle = statistics.median(values)
    met = middle >= wanted if at_least else middle <= wanted
    sign = ">=" if at_least else "<="
    return f"target {what} {sign} {wanted:g}: {middle:.3g}, {'met' if met else 'MISSED'}"


def t_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean and the ends of its 95 % interval by Student's t.

    One value has no interval: its ends are infinite. Above 21 values the quantile for 21 is used,
    which makes the interval a little too wide.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, -math.inf, math.inf
    quantile = T_95[min(len(values) - 1, len(T_95)) - 1]
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def wilson(n_right: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """Return the 95 % interval of a share, in [0, 1], by Wilson's formula.

    The counts need not be whole: an effective number of examples seldom is.

    >>> [round(end, 3) for end in wilson(423, 500)]
    [0.812, 0.875]
    """
    share = n_right / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def error_ratio(
    theirs: Sequence[Mapping[str, bool]], ours: Sequence[Mapping[str, bool]], draws: int = 2_000
) -> tuple[float, float, float]:
    """Return their errors divided by ours, with the ends of a 95 % interval.

    Each sequence holds one mapping per seed, from a test picture to whether it was answered wrong.
    The interval is a percentile bootstrap over the pictures, the same ones for both sides; it knows
    nothing of other seeds. A side without an error counts half an error.
    """
    names = sorted(ours[0])
    both = [(sum(r[name] for r in theirs), sum(r[name] for r in ours)) for name in names]

    def ratio(drawn: Sequence[tuple[int, int]]) -> float:
        first, second = (sum(each) for each in zip(*drawn, strict=True))
        return (first / len(theirs) or 0.5) / (second / len(ours) or 0.5)

    random = Random(0)
    found = sorted(ratio(random.choices(both, k=len(both))) for _ in range(draws))
    return ratio(both), found[round(0.025 * (draws - 1))], found[round(0.975 * (draws - 1))]


def crossed_interval(rows: Sequence[Sequence[int]]) -> tuple[float, float, float]:
    """Return a mean accuracy and the ends of its 95 % interval over seeds *and* test pictures.

    Rows are trainings with seeds of their own, columns the test pictures that all of them
    answered, cells 1 where the answer was right. Both vary: the variances of the row means and of
    the column means over their numbers are added, that of the rows widened from the normal to
    Student's t since rows are few. Wilson's interval is then taken for the n that has this
    variance, at most the number of pictures; so it is sound near 100 % too.

    References
    ----------
    Franco, Little, Louis and Slud, "Comparative study of confidence intervals for proportions in
    complex sample surveys", Journal of Survey Statistics and Methodology 2019.
    """
    n_rows, n_columns = len(rows), len(rows[0])
    of_rows = [statistics.fmean(row) for row in rows]
    of_columns = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    mean = statistics.fmean(of_rows)
    variance = statistics.variance(of_columns) / n_columns if n_columns > 1 else 0.0
    if n_rows > 1:
        quantile = T_95[min(n_rows - 1, len(T_95)) - 1]
        variance += statistics.variance(of_rows) / n_rows * (quantile / Z_95) ** 2
    n = float(n_columns)
    if variance > 0:
        n = min(n, max(1.0, mean * (1 - mean) / variance))
    return mean, *wilson(mean * n, n)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table for a page, numbers to the right."""
    lines = [head, ["---:"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Line up columns, the first to the left and the others to the right."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [
            row[0].ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
