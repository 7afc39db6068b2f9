"""Accuracy on data without a test part: every example is tested once, by five trainings."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import answers, lists
from benchmarks.measure import Side, SideFailed, interleaved
from benchmarks.options import Options, Result, skipped
from benchmarks.summaries import spread

N_FOLDS = 5


def run(options: Options) -> Result:
    data = options.folds_of
    if data is None or not data.exists():
        return skipped(data or Path("--folds-of"))
    root, examples = lists.examples_of(data)
    drawn = lists.folds(examples, N_FOLDS)
    with tempfile.TemporaryDirectory(prefix="fieldmark-benchmark-data-") as room:
        written = [
            lists.write(Path(room) / f"fold-{n}.csv", lists.fold_rows(examples, drawn, n))
            for n in range(N_FOLDS)
        ]
        command = ["-m", "fieldmark", "train", str(root)]
        side = Side(
            "fold",
            lambda n: [*command, "--labels", str(written[n]), *options.train],
            collect=answers.only_run,
        )
        records = interleaved([side], N_FOLDS)["fold"]
    whole = answers.pooled(records)
    if not set(whole["probs"]) <= {each.path for each in examples}:
        raise SideFailed("files were answered that are not in the lists")
    found = answers.score(whole)
    rights = [answers.correct(each).values() for each in records]
    shares = [100 * sum(right) / len(right) for right in rights]
    lines = [
        f"fieldmark train {' '.join(options.train)}; {root.name}, {len(whole['classes'])} classes, "
        f"{len(examples):,} examples, {N_FOLDS} folds, each a process with an empty cache",
        f"accuracy: {answers.percent(found['accuracy'])} of {found['n']:,} "
        "(all folds together; Wilson, 95 %)",
        f"macro F1: {answers.percent(found['macro_f1'])}",
        f"log loss: {found['log_loss'][0]:.3f} nats",
        f"accuracy of a fold: {spread(shares, 1)} %",
        f"whole process of a fold: {spread([each['wall_s'] for each in records], 1)} s",
        f"cores used by others: {spread([each['others_cores'] for each in records], 2)}",
    ]
    return Result(lines, {"folds": records, "score": found})
