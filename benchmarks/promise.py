"""Does a training take the time and the memory that it promised before it began?

Each is the real command in a process of its own, first with an empty cache and then with the cache
that this left. Promise and outcome are those of the run's ``promise.json``; the time of the whole
process and its peak of resident memory are seen from outside as well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.kills import _draw
from benchmarks.measure import SideFailed
from benchmarks.options import REPOSITORY, Options, Record, Result
from benchmarks.summaries import table

WITHIN: Final = 0.25
BUDGETS_S: Final = (30, 60, 120)
N_PHOTOS: Final = 400
"""Per class, of the folder of photos."""
_TUTORIAL: Final = ("--net", "tutorial", "--recipe", "article")


def run(options: Options) -> Result:
    records: dict[str, list[Record]] = {}
    with tempfile.TemporaryDirectory(prefix="fieldmark-promise-") as name:
        room = Path(name)
        for what, arguments in _trainings(options, room).items():
            for repeat in range(options.repeats):
                cache = room / "cache"
                for state in ("cold", "warm"):
                    print(f"  {what}, {state}", file=sys.stderr, flush=True)
                    record = _trained(room / "runs", cache, arguments)
                    records.setdefault(f"{what}, {state}", []).append(record | {"at": repeat})
                shutil.rmtree(cache, ignore_errors=True)
    return Result(_lines(records), records)


def _trainings(options: Options, room: Path) -> dict[str, list[str]]:
    """Name what is trained: on the folders that are there, else on drawn pictures."""
    drawn = str(_draw(room / "blocks", options.pictures or 300))
    photos = drawn
    if (options.data / "training_set").is_dir():
        photos = str(_some(options.data / "training_set", room / "photos", options.pictures))
    given = options.folds_of or room
    flowers = str(given) if options.folds_of and given.exists() else drawn
    listed = given.parent / "mnist-csv" / "labels.csv"
    digits = str(listed) if listed.exists() else drawn
    found = {
        "solved head": [flowers],
        "small, 3 epochs": [photos, "--net", "small", "--epochs", "3"],
        "tutorial, 4 epochs": [digits, "--net", "tutorial", "--size", "32", "--epochs", "4"],
        "tutorial, a minute": [photos, *_TUTORIAL, "--epochs", "60"],
    }
    for seconds in BUDGETS_S:
        found[f"small, --time {seconds}s"] = [photos, "--net", "small", "--time", f"{seconds}s"]
    return found


def _some(folder: Path, out: Path, n: int | None) -> Path:
    for label in sorted(each for each in folder.iterdir() if each.is_dir()):
        (out / label.name).mkdir(parents=True)
        for path in sorted(label.iterdir())[: n or N_PHOTOS]:
            shutil.copyfile(path, out / label.name / path.name)
    return out


def _trained(runs: Path, cache: Path, arguments: list[str]) -> Record:
    shutil.rmtree(runs, ignore_errors=True)
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "fieldmark", "train", *arguments, "--json", "-o", str(runs)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "FIELDMARK_CACHE": str(cache)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SideFailed(f"fieldmark train {' '.join(arguments)}: exit {process.returncode}")
    (kept,) = runs.glob("*/promise.json")
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return {"promise": found, "wall_s": wall_s, "rss_mb": usage.ru_maxrss * 1024 / 1e6}


def _lines(records: dict[str, list[Record]]) -> list[str]:
    rows, held, under = [], [], []
    for what, its in records.items():
        for each in its:
            kept, real = each["promise"], each["promise"]["actual"]
            first, last = kept["promises"][0], kept["promises"][-1]
            held.append(abs(kept["time_ratio"] - 1) <= WITHIN)
            under.append(max(real["memory_mb"], each["rss_mb"]) <= last["memory_mb"])
            rows.append(
                [
                    what,
                    f"{first['seconds']:.0f} ({first['low']:.0f}-{first['high']:.0f})",
                    f"{last['seconds']:.0f}",
                    f"{real['seconds']:.0f}",
                    f"{kept['time_ratio']:.2f}",
                    f"{last['memory_mb']:,}",
                    f"{each['rss_mb']:,.0f}",
                    f"{100 * real['checkpoint_s'] / max(real['training_s'], 1e-9):.2f} %",
                ]
            )
    head = ["training", "first said, s", "last, s", "took, s", "ratio", "MB said", "MB", "kept"]
    return [
        *table(head, rows),
        f"time within {WITHIN:.0%} of what was said last: {sum(held)} of {len(held)}; "
        f"memory under what was said: {sum(under)} of {len(under)}",
        "kept: share of the training that writing checkpoints took",
    ]
