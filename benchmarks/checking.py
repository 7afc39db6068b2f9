"""What a check costs against decoding the pictures once, and how it grows with their number."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.measure import Side, interleaved, measured, script
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.summaries import ratios, spread, table, target

GROWTH: Final = (25_000, 100_000)
"""Thumbnails that are drawn for it; --pictures N draws N and 4 N instead."""
LIMIT: Final = 1.3
MEMORY_MB: Final = 2_000


def run(options: Options) -> Result:
    """Compare, then grow."""
    if not options.data.is_dir():
        return skipped(options.data)
    sides = [
        Side("decode at 224", lambda _: script("look_once", options.data, "decode-224")),
        Side("decode whole", lambda _: script("look_once", options.data, "decode-whole")),
        Side("check", lambda _: script("look_once", options.data, "check")),
    ]
    records = interleaved(sides, options.repeats)
    seconds = {name: [each["seconds"] for each in its] for name, its in records.items()}
    rows = [
        [name, str(its[0]["n"]), spread(seconds[name], 2), spread([e["peak_rss_mb"] for e in its])]
        for name, its in records.items()
    ]
    lines = [
        f"n = {options.repeats}, fresh processes, empty cache, 2 threads; listing and hashing are "
        "part of each, imports of none; check without wrong labels; median (min-max)",
        *table(["side", "pictures", "seconds", "MB"], rows),
        *(
            target(
                f"check / {name}", ratios(seconds["check"], seconds[name]), LIMIT, at_least=False
            )
            for name in ("decode at 224", "decode whole")
        ),
    ]
    grown = _growth(options)
    return Result([*lines, "", *_growth_lines(grown)], {"once": records, "growth": grown})


def _growth(options: Options) -> list[Record]:
    numbers = GROWTH if options.pictures is None else (options.pictures, 4 * options.pictures)
    found = []
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix="fieldmark-thumbnails-") as name:
            folder = Path(name) / "thumbnails"
            measured(script("draw_thumbnails", folder, number))
            found.append(measured(script("look_once", folder, "check")))
    return found


def _growth_lines(found: list[Record]) -> list[str]:
    rows = [
        [
            f"{each['n']:,}",
            *(f"{each['stages'][stage]:.1f}" for stage in ("read", "look", "compare", "ask")),
            f"{each['seconds']:.1f}",
            f"{each['peak_rss_mb']:,.0f}",
        ]
        for each in found
    ]
    first, last = found[0], found[-1]
    times, grown = last["n"] / first["n"], last["seconds"] / first["seconds"]
    heads = ["thumbnails", "read", "look", "compare", "ask", "all, s", "MB"]
    return [
        "drawn thumbnails of 64 to 96 pixels, one run each",
        *table(heads, rows),
        f"{times:.0f} times the pictures take {grown:.1f} times the time (comparing: "
        f"{last['stages']['compare'] / max(first['stages']['compare'], 1e-9):.1f} times; "
        f"every pair with every pair would be {times * times:.0f})",
        target("MB", [statistics.median([last["peak_rss_mb"]])], MEMORY_MB, at_least=False),
    ]
