"""Hostile model files: how long until each is refused, and how much memory that takes."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import measured, script
from benchmarks.options import Options, Result

SECONDS, MEGABYTES = 1.0, 200.0
"""What no file of the zoo may take; of the processor, as others may be at work meanwhile."""


def run(options: Options) -> Result:
    with tempfile.TemporaryDirectory(prefix="fieldmark-zoo-") as folder:
        measured(script("make_zoo", folder))
        codes = json.loads((Path(folder) / "codes.json").read_text(encoding="utf-8"))
        records = []
        for at, (name, code) in enumerate(codes.items()):
            print(f"  {at + 1}/{len(codes)} {name}", file=sys.stderr, flush=True)
            record = measured(script("open_model", Path(folder) / name))
            records.append({"file": name, "wanted": code, **record})
    return Result(lines_of(records), {"files": records})


def lines_of(records: list[dict[str, Any]]) -> list[str]:
    wrong = [each["file"] for each in records if each["said"] != each["wanted"]]
    over = [
        each["file"]
        for each in records
        if each["cpu_ms"] > 1000 * SECONDS or each["grown_mb"] > MEGABYTES
    ]
    slow = sorted(records, key=lambda each: -each["cpu_ms"])[:8]
    longest = max(records, key=lambda each: each["ms"])
    large = sorted(records, key=lambda each: -each["grown_mb"])[:8]
    counts: dict[str, int] = {}
    for each in records:
        counts[each["said"]] = counts.get(each["said"], 0) + 1
    return [
        f"{len(records)} files, each in a process of its own, n = 1; "
        f"limits {SECONDS:.0f} s of the processor and {MEGABYTES:.0f} MB",
        "refused: " + ", ".join(f"{name} {n}" for name, n in sorted(counts.items())),
        f"with another code than they must: {', '.join(wrong) or 'none'}",
        f"beyond the limits: {', '.join(over) or 'none'}",
        "slowest: " + ", ".join(f"{each['file']} {each['cpu_ms']:.0f} ms" for each in slow),
        f"by the clock, with {longest['others_cores']:.1f} cores busy elsewhere, at most "
        f"{longest['ms']:.0f} ms: {longest['file']}",
        "most memory beyond the start: "
        + ", ".join(f"{each['file']} {each['grown_mb']:.0f} MB" for each in large),
        f"the whole process at most {max(each['peak_rss_mb'] for each in records):.0f} MB",
    ]
