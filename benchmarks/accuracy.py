"""Does the faster training learn as much? Test accuracy of the tutorial's job, paired by seed."""

from __future__ import annotations

import statistics
from pathlib import PurePosixPath

from benchmarks.measure import SideFailed, interleaved
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.pictures import shared_pictures
from benchmarks.summaries import spread, t_interval
from benchmarks.tutorial import check_same_work, training_sides

EPOCHS = 10


def wrong(record: Record) -> dict[str, bool]:
    """Return for each test picture whether one record's saved probability is on the wrong side.

    A key is ``class/file``; a probability is that of the class that comes last by name, and 0.5
    and above says that class.
    """
    probs: dict[str, float] = record["probs"]
    labels = {name: PurePosixPath(name).parts[0] for name in probs}
    second = max(labels.values())
    return {name: (p >= 0.5) != (labels[name] == second) for name, p in probs.items()}


def scored(record: Record) -> float:
    """Return the test accuracy, in [0, 1], of one record's saved probabilities."""
    return 1 - statistics.fmean(wrong(record).values())


def check_same_test(records: dict[str, list[Record]]) -> int:
    """Refuse sides that answered different files; return how many there are."""
    answered = {frozenset(each["probs"]) for its in records.values() for each in its}
    if len(answered) != 1:
        raise SideFailed("the sides answered different test files")
    return len(answered.pop())


def percents(values: list[float]) -> list[float]:
    return [100 * value for value in values]


def run(options: Options) -> Result:
    if not options.data.is_dir():
        return skipped(options.data)
    epochs = options.epochs or EPOCHS
    with shared_pictures(options) as pictures:
        sides = training_sides(pictures, epochs, seeds=True, score=True)
        sides = [side for side in sides if side.name != "keras_tfdata"]
        records = interleaved(sides, options.repeats)
    check_same_work(records)
    n_test = check_same_test(records)
    found = {name: [scored(each) for each in its] for name, its in records.items()}
    lines = [f"{epochs} epochs, {n_test:,} test pictures, n = {options.repeats} seeds"]
    lines += [f"{name}: {spread(percents(found[name]), 1)} %" for name in found]
    pairs = zip(found["fieldmark"], found["article"], strict=True)
    mean, low, high = t_interval([100 * (ours - theirs) for ours, theirs in pairs])
    lines.append(
        f"fieldmark - article: {mean:+.1f} points [{low:+.1f}, {high:+.1f}] "
        "(95 % t interval, paired by seed)"
    )
    return Result(lines, records | {"test_accuracy": found})
