"""How long does a solved head take, with 5 folds and 20 strengths, and is it as good?"""

from __future__ import annotations

from typing import Final

from benchmarks.measure import Side, interleaved, script
from benchmarks.options import Options, Record, Result
from benchmarks.summaries import ratios, spread, table, target

SIZES: Final = {(10_000, 1280, 10): 5.0, (2_500, 1984, 2): 2.0, (3_600, 1984, 5): 4.0}
"""(rows, columns, classes) -> seconds that fieldmark may take."""
TOLERANCE: Final = 1.01
SIDES: Final = ("fieldmark", "sklearn")


def run(options: Options) -> Result:
    sizes = dict(SIZES) if options.pictures is None else {(2 * options.pictures, 40, 2): 2.0}
    lines: list[str] = []
    records: dict[str, dict[str, list[Record]]] = {}
    for size, seconds in sizes.items():
        sides = [
            Side(name, lambda _, name=name, size=size: script("solve_head", name, *size))
            for name in SIDES
        ]
        found = interleaved(sides, options.repeats)
        records["x".join(map(str, size))] = found
        lines += summary(size, seconds, found)
    return Result(lines, records)


def summary(
    size: tuple[int, int, int], seconds: float, found: dict[str, list[Record]]
) -> list[str]:
    took = {name: [each["seconds"] for each in found[name]] for name in SIDES}
    losses = {name: [each["log_loss"] for each in found[name]] for name in SIDES}
    judging = [each["judging_s"] for each in found["fieldmark"]]
    whole = [a + b for a, b in zip(took["fieldmark"], judging, strict=True)]
    rows = [
        [
            name,
            spread(took[name], 2),
            spread(losses[name], 4),
            f"{found[name][0]['strength']:.3g}",
            str(found[name][0]["n_strengths"]),
        ]
        for name in SIDES
    ]
    return [
        f"{size[0]:,} rows, {size[1]:,} columns, {size[2]} classes:",
        *table(["side", "seconds", "log-loss, unseen rows", "strength", "solved"], rows),
        "sklearn/fieldmark, seconds: " + spread(ratios(took["sklearn"], took["fieldmark"]), 1),
        f"temperature, thresholds, every figure and interval: {spread(judging, 2)} s more",
        target("seconds, all of it", whole, seconds, at_least=False),
        target(
            "log-loss, fieldmark/sklearn",
            ratios(losses["fieldmark"], losses["sklearn"]),
            TOLERANCE,
            at_least=False,
        ),
    ]
