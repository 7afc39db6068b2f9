"""Broken, huge and strange files: what every verb says of each, how long, how much memory."""

from __future__ import annotations

import tempfile
from collections import Counter
from typing import Final

from benchmarks.measure import measured, script
from benchmarks.options import Options, Record, Result, skipped

VERBS: Final = ("check", "train", "predict")


def run(options: Options) -> Result:
    if not options.odd.is_dir():
        return skipped(options.odd)
    alone = measured(script("decode_odd", options.odd))
    with tempfile.TemporaryDirectory(prefix="fieldmark-odd-") as room:
        verbs = [measured(script("odd_verbs", verb, options.odd, room)) for verb in VERBS]
    n = len(alone["files"])
    lines = [*_decoded(alone), "", *_table(verbs, n)]
    return Result(lines, {"decode": alone, "verbs": verbs})


def _decoded(record: Record) -> list[str]:
    files = record["files"]
    slowest = sorted(files, key=lambda each: -each["ms"])[:5]
    largest = sorted(files, key=lambda each: -each["peak_mb"])[:5]
    n_read = record["counts"].get("read", 0)
    lines = [
        f"{len(files):,} files, {n_read:,} read, {len(files) - n_read:,} refused, 64x64, n = 1",
        f"all of them: {sum(each['ms'] for each in files) / 1000:.1f} s; memory before the first "
        f"{record['before_mb']:.0f} MB, peak of the process {record['peak_rss_mb']:.0f} MB",
        "slowest: " + ", ".join(f"{each['file']} {each['ms']:.0f} ms" for each in slowest),
        "largest growth: "
        + ", ".join(f"{each['file']} {each['peak_mb']:.0f} MB" for each in largest),
    ]
    if record["escaped"]:
        lines.append(f"ESCAPED as bugs: {record['escaped']}")
    return lines


def _table(verbs: list[Record], n: int) -> list[str]:
    """One column per verb: answered, refused by reason, missing; and whether they agree."""
    counts = [Counter(each["files"].values()) for each in verbs]
    codes = sorted(set().union(*counts) - {"answered"}, key=lambda code: -counts[0][code])
    rows = [(code, [count[code] for count in counts]) for code in ("answered", *codes)]
    rows.append(("not named", [n - count.total() for count in counts]))
    lines = [f"{'':18}" + "".join(f"{verb:>10}" for verb in VERBS)]
    lines += [f"{name:18}" + "".join(f"{value:>10,}" for value in row) for name, row in rows]
    for name, key in (("seconds", "wall_s"), ("peak MB", "peak_rss_mb")):
        lines.append(f"{name:18}" + "".join(f"{each[key]:>10,.0f}" for each in verbs))
    first = verbs[0]["files"]
    differ = sorted(
        name for name in first for each in verbs if each["files"].get(name) != first[name]
    )
    same = "the same for every file" if not differ else f"NOT the same for {differ[:5]}"
    lines.append(f"What the verbs say is {same}.")
    return lines
