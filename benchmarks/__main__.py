"""``python -m benchmarks [NAME ...] [-- OPTION ...]``: measure, print, keep figures with --json."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    accuracy,
    checking,
    cold_start,
    coverage,
    decisions,
    faults,
    features,
    folds,
    head,
    kills,
    lean_install,
    learning_curve,
    loss_curve,
    odd_images,
    planted,
    promise,
    repeats,
    scratch,
    transfer,
    tutorial,
    zoo,
)
from benchmarks.conditions import conditions, warning_if_busy
from benchmarks.measure import SideFailed
from benchmarks.options import REPOSITORY, Options, Result

BENCHMARKS: dict[str, Callable[[Options], Result]] = {
    "tutorial": tutorial.run,
    "accuracy": accuracy.run,
    "cold_start": cold_start.run,
    "scratch": scratch.run,
    "odd_images": odd_images.run,
    "zoo": zoo.run,
    "checking": checking.run,
    "planted": planted.run,
    "decisions": decisions.run,
    "loss_curve": loss_curve.run,
    "features": features.run,
    "head": head.run,
    "learning_curve": learning_curve.run,
    "folds": folds.run,
    "coverage": coverage.run,
    "repeats": repeats.run,
    "kills": kills.run,
    "faults": faults.run,
    "promise": promise.run,
    "transfer": transfer.run,
    "lean_install": lean_install.run,
}
INSTALLING = ("transfer", "lean_install")
"""These install packages, one of them gigabytes, and so run only when they are named."""


def parsed(arguments: list[str]) -> tuple[list[str], Options, Path | None]:
    data = REPOSITORY.parent / "shared" / "data"
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(BENCHMARKS)}; default: all but {' and '.join(INSTALLING)}, which install "
        "packages; what follows -- are options of `fieldmark train` for "
        "learning_curve, folds, transfer and lean_install instead of --net features",
    )
    parser.add_argument("--repeats", type=int, default=5, help="of every side, interleaved")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every single figure")
    parser.add_argument("--data", type=Path, default=data / "cats-and-dogs", metavar="FOLDER")
    parser.add_argument("--odd", type=Path, default=data / "odd-images", metavar="FOLDER")
    parser.add_argument(
        "--folds-of",
        type=Path,
        default=data / "flowers",
        metavar="PATH",
        help="class folders without a test part, or a CSV list",
    )
    parser.add_argument("--epochs", type=int, help="default: 5 for tutorial, 10 for accuracy")
    parser.add_argument("--minutes", type=float, default=5.0, help="the budget of scratch")
    parser.add_argument("--pictures", type=int, help="use so few per class: a smoke test")
    parser.add_argument("--backbone", type=Path, metavar="FILE", help="of features: graph(size)")
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given = parser.parse_args(arguments[:end])
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown or given.repeats < 1:
        parser.error(f"unknown: {', '.join(unknown)}" if unknown else "--repeats is at least 1")
    options = Options(
        data=given.data.resolve(),
        odd=given.odd.resolve(),
        repeats=given.repeats,
        epochs=given.epochs,
        minutes=given.minutes,
        pictures=given.pictures,
        backbone=given.backbone.resolve() if given.backbone else None,
        folds_of=given.folds_of.resolve(),
    )
    if arguments[end:]:
        options = dataclasses.replace(options, train=tuple(arguments[end + 1 :]))
    names = given.names or [name for name in BENCHMARKS if name not in INSTALLING]
    return names, options, given.json


def main(arguments: list[str]) -> int:
    names, options, kept = parsed(arguments)
    warning = warning_if_busy()
    if warning:
        print(warning, file=sys.stderr)
    around = conditions()
    print("\n".join(f"{name}: {value}" for name, value in around.items()))
    figures: dict[str, object] = {"conditions": around, "options": options.to_dict()}
    status = 0
    for name in names:
        print(f"\n== {name}", flush=True)
        try:
            result = BENCHMARKS[name](options)
        except SideFailed as error:
            print(f"failed: {error}", file=sys.stderr)
            figures[name], status = {"failed": str(error)}, 1
        else:
            print("\n".join(result.lines), flush=True)
            figures[name] = {"lines": result.lines, "records": result.records}
        if kept:  # after each one: hours of figures must not hang on the last benchmark
            kept.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
