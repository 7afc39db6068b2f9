"""What a finished run answered for its test part, and the one scorer for all sides' answers."""

from __future__ import annotations

import csv
import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.measure import SideFailed, measured, script
from benchmarks.options import Record


def only_run(work: Path) -> Record:
    """Read the one run that a training left in its working folder; see :func:`run_answers`."""
    found = sorted(path for path in (work / "runs").glob("*") if path.is_dir())
    if len(found) != 1:
        raise SideFailed(f"there should be one run, not {[path.name for path in found]}")
    return run_answers(found[0])


def run_answers(run: Path) -> Record:
    """Read a finished run's answers.

    Returns
    -------
    Record
        ``classes``; ``probs`` and ``labels`` of the test part by path; ``n_train``, ``n_valid``.
    """
    for name in ("report.html", "metrics.json", f"{run.name}.fieldmark"):
        if not (run / name).is_file():
            raise SideFailed(f"the run {run.name} is not finished: it has no {name}")
    probs, labels, classes = {}, {}, []
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            scores = {
                key.removeprefix("score:"): float(value)
                for key, value in row.items()
                if key.startswith("score:")
            }
            classes = list(scores)
            probs[row["path"]] = list(scores.values())
            labels[row["path"]] = row["label"]
    with (run / "data.csv").open(encoding="utf-8", newline="") as file:
        parts = Counter(row["split"] for row in csv.DictReader(file))
    return {
        "classes": classes,
        "probs": probs,
        "labels": labels,
        "n_train": parts["train"],
        "n_valid": parts["valid"],
    }


def correct(record: Record) -> dict[str, bool]:
    """Say of every answered file whether its most probable class is its label."""
    classes = record["classes"]
    return {
        path: classes[row.index(max(row))] == record["labels"][path]
        for path, row in record["probs"].items()
    }


def pooled(records: Iterable[Record]) -> Record:
    """Join the answers of models that were measured on different files."""
    found = list(records)
    if len({tuple(each["classes"]) for each in found}) != 1:
        raise SideFailed("the sides know different classes")
    probs = {path: row for each in found for path, row in each["probs"].items()}
    if len(probs) != sum(len(each["probs"]) for each in found):
        raise SideFailed("a file was answered twice")
    labels = {path: label for each in found for path, label in each["labels"].items()}
    return {"classes": found[0]["classes"], "probs": probs, "labels": labels}


def score(record: Record) -> Record:
    """Measure saved probabilities with ``fieldmark.evaluation``, whichever side they come from.

    Returns
    -------
    Record
        ``accuracy`` with its Wilson interval, ``log_loss`` and ``macro_f1`` with their bootstrap
        intervals, each as [value, low, high]; ``n``.
    """
    asked = {name: record[name] for name in ("classes", "probs", "labels")}
    with tempfile.TemporaryDirectory(prefix="fieldmark-benchmark-") as folder:
        path = Path(folder) / "answers.json"
        path.write_text(json.dumps(asked), encoding="utf-8")
        scored = measured(script("score", path))
    return {name: scored[name] for name in ("accuracy", "log_loss", "macro_f1", "n")}


def percent(measurement: list[float]) -> str:
    """Write [value, low, high] as a percentage with its interval.

    >>> percent([0.99, 0.9768, 0.9957])
    '99.0 % [97.7, 99.6]'
    """
    value, low, high = (100 * each for each in measurement)
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"
