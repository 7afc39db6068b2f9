"""How often do the 95 % intervals hold the truth? Simulated test sets, by kind, size and rate."""

from __future__ import annotations

from typing import Final

from benchmarks.measure import measured, script
from benchmarks.options import Options, Record, Result
from benchmarks.summaries import table

N_SETS: Final = 2_000
"""Per cell: a share of 95 % is then known to within one point."""
WANTED: Final = (0.93, 0.97)


def run(options: Options) -> Result:
    n_sets = N_SETS if options.pictures is None else options.pictures
    record = measured(script("cover", n_sets))
    lines = [
        f"{n_sets:,} test sets per cell, {record['wall_s']:,.0f} s; * outside 93 to 97 %; "
        "in brackets the mean width",
        *as_table(record["cells"]),
        "",
        *missed(record["cells"]),
    ]
    return Result(lines, record)


def is_outside(cell: Record) -> bool:
    low, high = WANTED
    return not low <= cell["held"] / cell["n_sets"] <= high


def as_table(cells: list[Record]) -> list[str]:
    """Return one row per kind and size, one column per rate."""
    rates = sorted({cell["p"] for cell in cells})
    found = {(cell["kind"], cell["n"], cell["p"]): cell for cell in cells}
    rows = [
        [f"{kind}, n = {n:,}", *(shown(found[kind, n, p]) for p in rates)]
        for kind, n in dict.fromkeys((cell["kind"], cell["n"]) for cell in cells)
    ]
    return table(["interval", *(f"p = {p:g}" for p in rates)], rows)


def shown(cell: Record) -> str:
    """Write one cell: how often the truth was held, and how wide the intervals were.

    >>> shown({"held": 91, "n_sets": 100, "width": 0.08})
    '91.0 %* (0.080)'
    """
    mark = "*" if is_outside(cell) else " "
    return f"{100 * cell['held'] / cell['n_sets']:.1f} %{mark} ({cell['width']:.3f})"


def missed(cells: list[Record]) -> list[str]:
    """Name every cell outside the wanted range, and on which side the intervals lay."""
    return [
        f"outside: {cell['kind']}, n = {cell['n']:,}, p = {cell['p']:g}: "
        f"{cell['n_sets'] - cell['held']:,} missed, {cell['too_low']:,} of them too low"
        for cell in cells
        if is_outside(cell)
    ]
