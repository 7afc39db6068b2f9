"""Do the intervals of folds and repeats hold the truth? Gaussian classes whose truth is known."""

from __future__ import annotations

from typing import Final

from benchmarks.measure import measured, script
from benchmarks.options import Options, Record, Result
from benchmarks.summaries import table

N_SETS: Final = 400
"""Per cell: a share of 95 % is then known to within two points."""
LOWEST: Final = 0.93


def run(options: Options) -> Result:
    n_sets = N_SETS if options.pictures is None else options.pictures
    record = measured(script("repeat", n_sets))
    lines = [
        f"{n_sets:,} simulated folders per cell, {record['wall_s']:,.0f} s; * below 93 %; "
        "in brackets the mean width",
        *as_table(record["cells"]),
    ]
    return Result(lines, record)


def as_table(cells: list[Record]) -> list[str]:
    """Return a row per kind of data and way of repeating: the interval beside the usual one."""
    head = ["data", "trainings", "truth", "usual interval", "this interval"]
    rows = [
        [
            each["data"],
            each["trainings"],
            f"{100 * each['truth']:.1f} %",
            shown(each["usual"], each["n_sets"]),
            shown(each["ours"], each["n_sets"]),
        ]
        for each in cells
    ]
    return table(head, rows)


def shown(found: Record, n_sets: int) -> str:
    """Write how often the truth was held, and how wide the intervals were.

    >>> shown({"held": 90, "width": 0.08}, 100)
    '90.0 %* (0.080)'
    """
    share = found["held"] / n_sets
    mark = "*" if share < LOWEST else " "
    return f"{100 * share:.1f} %{mark} ({found['width']:.3f})"
