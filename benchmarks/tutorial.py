"""Folder to trained network: the tutorial's job by its own script, by tf.data, by fieldmark."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.measure import Side, SideFailed, interleaved, script
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.pictures import Pictures, shared_pictures
from benchmarks.summaries import ratios, spread, table, target

EPOCHS = 5
TARGETS = (5.0, 5.5)


def training_sides(pictures: Pictures, epochs: int, *, seeds: bool, score: bool) -> list[Side]:
    """Return article, keras_tfdata and fieldmark; with ``seeds``, repeat i trains with seed i."""
    more = ["--epochs", epochs, *(["--score"] if score else [])]

    def seed(repeat: int) -> int:
        return repeat if seeds else 0

    def peer(name: str) -> Callable[[int], list[str]]:
        return lambda i: script(name, pictures.parts(seed(i)), "--seed", seed(i), *more)

    return [
        Side("article", peer("article")),
        Side("keras_tfdata", peer("keras_tfdata")),
        Side(
            "fieldmark",
            lambda i: script("fieldmark_train", pictures.folder, "--seed", seed(i), *more),
        ),
    ]


MEASURES: dict[str, tuple[Callable[[Record], float], int]] = {
    "pictures/s": (lambda r: len(r["ends"]) * r["n_train"] / r["ends"][-1], 0),
    "pictures/s, whole process": (lambda r: len(r["ends"]) * r["n_train"] / r["wall_s"], 0),
    "whole process, s": (lambda r: r["wall_s"], 1),
    "processor time, s": (lambda r: r["cpu_s"], 1),
    "first epoch, s": (lambda r: r["ends"][0], 1),
    "later epochs, pictures/s": (
        lambda r: (len(r["ends"]) - 1) * r["n_train"] / (r["ends"][-1] - r["ends"][0]),
        0,
    ),
    "later epochs without validation": (
        lambda r: (len(r["ends"]) - 1) * r["n_train"] / sum(r["train_s"][1:]),
        0,
    ),
    "peak memory, MB": (lambda r: r["peak_rss_mb"], 0),
    "validation accuracy, %": (lambda r: 100 * r["val_accuracy"][-1], 1),
    "cores used by others": (lambda r: r["others_cores"], 2),
}
"""Name -> (from a record, digits shown)."""


def check_same_work(records: dict[str, list[Record]]) -> None:
    """Refuse a comparison of sides that trained on different numbers of pictures or epochs."""
    work = {
        (each["n_train"], each["n_valid"], len(each["ends"]))
        for its in records.values()
        for each in its
    }
    if len(work) != 1:
        raise SideFailed(f"the sides did different work (n_train, n_valid, epochs): {work}")


def run(options: Options) -> Result:
    if not options.data.is_dir():
        return skipped(options.data)
    epochs = max(2, options.epochs or EPOCHS)
    with shared_pictures(options) as pictures:
        pictures.parts(0)
        sides = training_sides(pictures, epochs, seeds=False, score=False)
        records = interleaved(sides, options.repeats)
    check_same_work(records)
    one = records["fieldmark"][0]
    lines = [
        f"{one['n_train']:,} training and {one['n_valid']:,} validation pictures of "
        f"{options.data.name}, {epochs} epochs, n = {options.repeats}; median (min-max)",
        *_figures(records),
        "",
    ]
    for measure in ("pictures/s", "pictures/s, whole process"):
        take = MEASURES[measure][0]
        ours = [take(each) for each in records["fieldmark"]]
        for peer in ("keras_tfdata", "article"):
            found = ratios(ours, [take(each) for each in records[peer]])
            lines.append(f"{measure}: fieldmark/{peer} {spread(found, 2)}")
        lines += [target(measure, found, wanted, at_least=True) for wanted in TARGETS]
    return Result(lines, dict(records))


def _figures(records: dict[str, list[Record]]) -> list[str]:
    rows = [
        [name, *(spread([take(each) for each in its], digits) for its in records.values())]
        for name, (take, digits) in MEASURES.items()
    ]
    return table(["", *records], rows)
