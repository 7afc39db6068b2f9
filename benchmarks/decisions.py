"""Does "at most 5 % of the accepted answers are wrong" hold, and what happens to strangers?"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.measure import measured, script
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.summaries import table

ALLOWED: Final = 0.05
"""Share of promises that may break, of a confidence of 95 %."""
AIM: Final = 0.95
"""Of unknown pictures that are not accepted, with at most 5 % of known ones called unknown."""
N_SPLITS: Final = 200


def run(options: Options) -> Result:
    """Judge both folders, each with the other one as strangers."""
    bases = [options.data, options.folds_of]
    lines: list[str] = []
    records: dict[str, Record] = {}
    for base in bases:
        if base is None or not base.is_dir():
            lines += skipped(base or Path("--folds-of")).lines
            continue
        others = [each for each in bases if each not in (None, base) and each.is_dir()]
        command = script("decide_splits", base, "--splits", options.pictures or N_SPLITS)
        record = measured([*command, "--strange", *map(str, others)])
        records[base.name] = record
        lines += summary(base.name, record)
    return Result(lines, records)


def summary(name: str, record: Record) -> list[str]:
    """Say one folder's figures."""
    lines = [f"{name}:"]
    for key, words in (("promises", "new pictures"), ("across_folds", "training part, by folds")):
        told = dict(record[key])
        n = told.pop("n")
        rows = [
            [
                f"{float(error):.0%}",
                *(f"{each[part]:.1%}" for part in ("attained", "accepted", "error")),
                *(f"{each[part]:.1%}" for part in ("broken_on_rest", "broken_on_all")),
                "met" if each["broken_on_all"] <= ALLOWED else "MISSED",
            ]
            for error, each in told.items()
        ]
        heads = ["error", "attained", "accepted", "wrong", "broken, rest", "broken, all", "aim"]
        lines += [f"{words}: {n['validation']:.0f} to choose on, {n['rest']:.0f} left"]
        lines += table(heads, rows)
    lines += strangers(record["strangers"])
    found = record["calibration"]
    return [
        *lines,
        f"ECE {found['before_ece']:.3f} ({found['before_low']:.3f} to {found['before_high']:.3f}) "
        f"before, {found['after_ece']:.3f} ({found['after_low']:.3f} to {found['after_high']:.3f}) "
        f"after temperature {found['temperature']:.2f}; up to {found['after_null']:.3f} by chance",
    ]


def strangers(told: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Say how well each way knows what is unknown, and whether the chosen one does its part."""
    ways = {way: sets for way, sets in told.items() if way != "bytes"}
    names = [name for name in next(iter(ways.values())) if name != "known"]
    rows = [
        [
            way,
            f"{sets['known']['unknown']:.1%}",
            *(
                f"{sets[n]['auroc']:.4f} {sets[n]['unknown']:.0%} {sets[n]['not_accepted']:.0%}"
                for n in names
            ),
        ]
        for way, sets in ways.items()
    ]
    chosen = ways["distance"]
    good = all(chosen[name]["not_accepted"] >= AIM for name in names)
    good = good and chosen["known"]["unknown"] <= 1 - AIM
    return [
        "strangers: AUROC, called unknown, not accepted",
        *table(["way", "known refused", *names], rows),
        f"aim >= {AIM:.0%} not accepted: {'met' if good else 'MISSED'}",
    ]
