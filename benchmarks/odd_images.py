"""Broken, huge and strange files: how long, how much memory, and what is said of each."""

from __future__ import annotations

from benchmarks.measure import measured, script
from benchmarks.options import Options, Result, skipped


def run(options: Options) -> Result:
    if not options.odd.is_dir():
        return skipped(options.odd)
    record = measured(script("decode_odd", options.odd))
    files = record["files"]
    slowest = sorted(files, key=lambda each: -each["ms"])[:5]
    largest = sorted(files, key=lambda each: -each["peak_mb"])[:5]
    n_read = record["counts"].get("read", 0)
    lines = [
        f"{len(files):,} files, {n_read:,} read, {len(files) - n_read:,} refused, 64x64, n = 1",
        "by reason: " + ", ".join(f"{name} {n}" for name, n in record["counts"].items()),
        f"all of them: {sum(each['ms'] for each in files) / 1000:.1f} s; memory before the first "
        f"{record['before_mb']:.0f} MB, peak of the process {record['peak_rss_mb']:.0f} MB",
        "slowest: " + ", ".join(f"{each['file']} {each['ms']:.0f} ms" for each in slowest),
        "largest growth: "
        + ", ".join(f"{each['file']} {each['peak_mb']:.0f} MB" for each in largest),
    ]
    if record["escaped"]:
        lines.append(f"ESCAPED as bugs: {record['escaped']}")
    return Result(lines, record)
