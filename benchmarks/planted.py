"""Faults planted into clean pictures: how many of each kind does a check find, and what else?"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.measure import measured, script
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.summaries import table, wilson

N_PER_CLASS: Final = 150
AIMS: Final = {
    "exact copy": 1.0,
    "re-encoded, quality 30 to 90": 1.0,
    "resized, 0.5 to 0.9": 0.99,
    "gain 0.6 to 1.5": 0.99,
    "gamma 0.5 to 2": 0.99,
    "cropped, 5 % off each side": 0.95,
    "cropped, 10 % off one side": 0.95,
    "cropped, 10 % off two sides": 0.95,
    "label flipped": 0.8,
}
FALSE_AIM: Final = 0.001
"""Of the pairs shown as copies."""


def run(options: Options) -> Result:
    lines: list[str] = []
    records: dict[str, Record] = {}
    for base in (options.data / "training_set", options.folds_of):
        if base is None or not base.is_dir():
            lines += skipped(base or Path("--folds-of")).lines
            continue
        n = options.pictures or N_PER_CLASS
        record = measured(script("check_planted", base, "--pictures", n))
        name = base.parent.name if base.name == "training_set" else base.name
        records[name] = record
        lines += summary(name, record)
    return Result(lines, records)


def summary(name: str, record: Record) -> list[str]:
    """Say one base set's figures."""
    copies, flips, leaks = record["copies"], record["flips"], record["leaks"]
    rows = [
        row(kind, planted, found)
        for kind, (planted, found) in (copies["kinds"] | leaks["kinds"]).items()
    ]
    rows += [row(kind, record[kind]["planted"], record[kind]["found"]) for kind in FILES]
    rows.append(row("label flipped", flips["planted"], flips["found"]))
    false = {kind: record[kind]["false"] for kind in FILES}
    n_shown = sum(found for _, found in copies["kinds"].values()) + len(copies["false"])
    share = len(copies["false"]) / max(n_shown, 1)
    met = "met" if share < FALSE_AIM else "MISSED"
    return [
        f"{name}: {record['originals']:,} originals, unchanged: {record['unchanged']}; "
        f"{record['natural']} pictures with natural copies set aside before",
        *table(["kind", "planted", "found", "recall, 95 %", "aim"], rows),
        f"false alarms: {len(copies['false'])} of {n_shown:,} pairs shown as copies "
        f"(of {copies['n_pairs']:,} pairs; aim < {FALSE_AIM:.1%}, {met}), "
        f"{len(leaks['false'])} leaks, " + ", ".join(f"{n} {kind}" for kind, n in false.items()),
        f"label flips within the first {flips['tenth']:,} of the list; listed "
        f"{flips['listed']:,}, of them planted {flips['listed_planted']:,}; said to be wrong "
        f"with 80 % or more {flips['sure']:,}, of them planted {flips['sure_planted']:,}",
        *flips["notes"],
        f"size by class: warned of {', '.join(record['size by class']['warned']) or 'nothing'}; "
        f"by chance: {', '.join(record['size by chance']['warned']) or 'nothing'}",
        *(f"{each['leak_tax']}" for each in (copies, leaks) if "leak_tax" in each),
    ]


FILES: Final = ("truncated", "wrong extension")


def row(kind: str, planted: int, found: int) -> list[str]:
    """Return one line of the table; nothing planted has no recall."""
    aim = AIMS.get(kind)
    if not planted:
        return [kind, "0", "0", "-", "-"]
    low, high = wilson(found, planted)
    recall = f"{100 * found / planted:.1f} % ({100 * low:.1f}-{100 * high:.1f})"
    met = "" if aim is None else "met" if found / planted >= aim else "MISSED"
    return [kind, f"{planted:,}", f"{found:,}", recall, f"{aim:.0%} {met}" if aim else "-"]
