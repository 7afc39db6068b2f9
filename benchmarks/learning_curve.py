"""How many pictures does it take? Test accuracy at few training examples per class and at many."""

from __future__ import annotations

import statistics
from functools import partial
from pathlib import Path

from benchmarks import answers, lists
from benchmarks.measure import measured, script
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.pictures import shared_pictures
from benchmarks.summaries import crossed_interval, markdown

SIZES = (5, 20, 100, 1000)
"""Training examples per class."""
N_VALID = 100
"""Validation examples per class, whatever the size."""


def sizes_for(n_smallest: int) -> tuple[int, list[int]]:
    """Return the validation examples per class and the sizes that ``n_smallest`` leave room for."""
    n_valid = min(N_VALID, n_smallest // 4)
    return n_valid, [n for n in SIZES if n + n_valid <= n_smallest]


def run(options: Options) -> Result:
    if not options.data.is_dir():
        return skipped(options.data)
    with shared_pictures(options) as pictures:
        root, examples = lists.examples_of(pictures.folder)
        room = pictures.room / "lists"
        room.mkdir()
        n_valid, sizes = sizes_for(min(map(len, lists.unseen(examples).values())))
        names = {n: [f"{n}-{seed}" for seed in range(options.repeats)] for n in sizes}
        for n, its in names.items():
            for seed, name in enumerate(its):
                lists.write(room / f"{name}.csv", lists.curve_rows(examples, n, n_valid, seed))
        all_names = [name for its in names.values() for name in its]
        command = script("train_lists", root, room, *all_names, "--", *options.train)
        record = measured(command, collect=partial(read, names=all_names))
    lines = [
        f"fieldmark train {' '.join(options.train)}; {options.data.name}, {n_valid} validation "
        f"examples per class, {options.repeats} seeds; one process, {record['wall_s']:,.0f} s",
        "",
        *as_table(record, names),
    ]
    return Result(lines, record | {"n_valid_per_class": n_valid})


def read(work: Path, names: list[str]) -> Record:
    """Collect which test pictures each training got right, 0 or 1, in the same order for all."""
    runs = {name: work / "runs" / f"{name}-1" for name in names}
    right = {name: answers.correct(answers.run_answers(run)) for name, run in runs.items()}
    files = sorted(set.union(*map(set, right.values())))
    return {"correct": {name: [int(right[name][file]) for file in files] for name in names}}


def as_table(record: Record, names: dict[int, list[str]]) -> list[str]:
    """Return the curve as a Markdown table."""
    rows = []
    for n, its in names.items():
        each = [record["correct"][name] for name in its]
        shares = [100 * sum(row) / len(row) for row in each]
        _, low, high = crossed_interval(each)
        rows.append(
            [
                f"{n:,}",
                f"{sum(shares) / len(shares):.1f} %",
                f"{100 * low:.1f} to {100 * high:.1f}",
                f"{min(shares):.1f} to {max(shares):.1f}",
                f"{statistics.median(record['seconds'][name] for name in its):.1f}",
            ]
        )
    n_seeds, n_test = len(each), len(each[0])
    head = [
        "training pictures per class",
        f"accuracy on {n_test:,} test pictures, mean of {n_seeds} seeds",
        "95 % interval over seeds and test pictures",
        "lowest to highest seed",
        "seconds, median",
    ]
    return markdown(head, rows)
