"""The files of a run folder: every picture with its numbers beside it."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.config import to_toml
from fieldmark.data import split_file
from fieldmark.data.manifest import Manifest
from fieldmark.data.table import written
from fieldmark.evaluation import charts
from fieldmark.evaluation.metrics import losses
from fieldmark.evaluation.repeats import Repeats
from fieldmark.evaluation.report import Report
from fieldmark.training.events import Event
from fieldmark.training.head import Head
from fieldmark.training.recipe import HeadRecipe
from fieldmark.workflow import counter, documents, weak_spots
from fieldmark.workflow.environment import fingerprint
from fieldmark.workflow.facts import Answers, RunFacts, Worst
from fieldmark.workflow.papers import Papers
from fieldmark.workflow.weak_spots import WeakSpots

N_WORST: Final = 9
PageOf = Callable[[Repeats | None], str]


def write_all(
    facts: RunFacts,
    report: Report,
    scores: NDArray[np.float32],
    weak: WeakSpots,
    *,
    model_id: str,
    papers: Papers,
) -> PageOf:
    """Write every file of the run but the bundle and the log.

    Parameters
    ----------
    facts : RunFacts
    report : Report
        Of the test part.
    scores : float32 array of shape (n_test, n_classes)
        In the order of ``facts.test``.
    weak : WeakSpots
        Of the same answers.
    model_id : str
    papers : Papers
        Of the same facts.

    Returns
    -------
    callable
        Gives the page once more, with what further trainings say.
    """
    surroundings = environment(facts)
    # First: whoever finds figures in the folder of a run that was killed now has had a look.
    look = counter.line(facts.command or "fieldmark.train", model_id, facts.created)
    facts.folder.write(counter.NAME, counter.without(facts.folder.path, model_id) + look)
    _write_tables(facts, report, scores, surroundings)
    _write_pictures(facts, report)
    _write_weak_spots(facts, weak)
    worst = _worst(facts, scores)
    _write_gallery(facts, worst)
    folder = facts.folder
    folder.write("model.onnx", facts.exported.onnx)
    for name, text in papers.files().items():
        folder.write(name, text)
    answers = Answers(scores, tuple(worst), weak)

    def page(repeats: Repeats | None) -> str:
        told = dataclasses.replace(answers, repeats=repeats)
        return documents.report_page(facts, report, told, papers, surroundings, model_id)

    folder.write("report.html", page(None))
    return page


def log_lines(events: list[Event]) -> str:
    """Return events as JSON Lines."""
    return "".join(json.dumps(event.to_dict()) + "\n" for event in events)


def _write_tables(
    facts: RunFacts, report: Report, scores: NDArray[np.float32], environment: dict[str, Any]
) -> None:
    folder = facts.folder
    folder.write("config.toml", to_toml(facts.settings))
    folder.write("command.txt", facts.command + "\n")
    folder.write_json("environment.json", environment)
    folder.write_json("layers.json", facts.table.to_dict())
    folder.write_json("metrics.json", report.to_dict() | {"parity": _parity(facts)} | _int8(facts))
    folder.write("data.csv", _data_csv(facts.manifest))
    folder.write("split.csv", split_file.text(facts.manifest))
    folder.write("predictions.csv", _predictions_csv(facts, scores))
    folder.write("results.csv", _results_csv(facts))
    if facts.fitted.head is not None:
        folder.write("head.csv", _head_csv(facts.fitted.head))


def _write_weak_spots(facts: RunFacts, weak: WeakSpots) -> None:
    facts.folder.write_json(weak_spots.NAME, weak.to_dict())
    facts.folder.write("errors.csv", weak_spots.errors_csv(weak))
    if weak.slices is not None:
        facts.folder.write("slices.csv", weak_spots.slices_csv(weak.slices))


def _parity(facts: RunFacts) -> dict[str, float]:
    return {
        "n_pictures": facts.exported.n_pictures,
        "largest_score_difference": facts.exported.largest_difference,
    }


def _int8(facts: RunFacts) -> dict[str, Any]:
    verdict = facts.verdict
    if verdict is None:
        return {}
    return {"int8": dataclasses.asdict(verdict) | {"passed": verdict.passed}}


def _data_csv(manifest: Manifest) -> str:
    rows: list[list[Any]] = [
        [each.path, each.sha256, each.label, each.group, each.split or "", "", 1, each.cluster]
        for each in manifest.examples
    ]
    rows += [[each.path, "", "", "", "", each.code, 0, ""] for each in manifest.left_out]
    header = ["path", "sha256", "label", "group", "split", "problem", "used", "cluster"]
    return written(header, rows)


def _predictions_csv(facts: RunFacts, scores: NDArray[np.float32]) -> str:
    classes = facts.manifest.classes
    labels = np.array([classes.index(example.label) for _, example in facts.test], np.int64)
    rows: list[list[Any]] = []
    for (_, example), row, loss in zip(facts.test, scores, losses(scores, labels), strict=True):
        best = int(row.argmax())
        rows.append(
            [
                example.path,
                example.sha256,
                example.label,
                classes[best],
                int(classes[best] == example.label),
                f"{loss:.6f}",
                *(f"{score:.6f}" for score in row),
            ]
        )
    header = ["path", "sha256", "label", "predicted", "correct", "loss"]
    return written([*header, *(f"score:{name}" for name in classes)], rows)


def _results_csv(facts: RunFacts) -> str:
    names = {
        "epoch": "epoch",
        "seconds": "seconds",
        "loss": "train/loss",
        "accuracy": "train/accuracy",
        "val_loss": "val/loss",
        "val_accuracy": "val/accuracy",
        "lr": "lr",
    }
    rows = [[f"{epoch[key]:.6g}" for key in names] for epoch in facts.history]
    return written(list(names.values()), rows)


def _head_csv(head: Head) -> str:
    """List what cross-validation compared, in the order it was tried."""
    names = ["method", "n_features", "strength", "log_loss", "log_loss_se", "accuracy"]
    rows = [
        [
            point.method,
            point.n_columns,
            f"{point.strength:.6g}",
            f"{point.log_loss:.6g}",
            f"{point.log_loss_se:.6g}",
            f"{point.accuracy:.6g}",
        ]
        for point in head.path
    ]
    return written(names, rows)


def environment(facts: RunFacts) -> dict[str, Any]:
    """Return what ``environment.json`` holds: the fingerprint, and what else names this training.

    ``backend`` of the file is what trained; that of the fingerprint is what would.
    """
    return {
        "created": facts.created,
        "platform": platform.platform(),
        "backend": _backend(facts),
        "seed": facts.fitted.recipe.seed,
        "fingerprint": fingerprint(facts.fitted.recipe.threads),
    }


def _backend(facts: RunFacts) -> str:
    """Name what trained: a Keras backend, or the engine under a head that was solved."""
    recipe = facts.fitted.recipe
    if isinstance(recipe, HeadRecipe):
        return recipe.engine
    from fieldmark.training.backend import chosen

    return chosen()


def _write_pictures(facts: RunFacts, report: Report) -> None:
    folder, fitted = facts.folder, facts.fitted
    if facts.history:
        folder.write("results.png", charts.curves_png(facts.history, fitted.stopped.best_epoch))
    for name, normalized in (("confusion_matrix", False), ("confusion_matrix_normalized", True)):
        drawn = charts.confusion_png(report.confusion, report.classes, normalized)
        folder.write(f"{name}.png", drawn)
    if fitted.range_test is not None:
        test = fitted.range_test
        folder.write("lr_find.png", charts.lr_find_png(test.rates, test.losses, test.chosen))
        rows = [[f"{r:.6g}", f"{x:.6g}"] for r, x in zip(test.rates, test.losses, strict=True)]
        folder.write("lr_find.csv", written(["lr", "loss"], rows))


def _worst(facts: RunFacts, scores: NDArray[np.float32]) -> list[Worst]:
    classes = facts.manifest.classes
    test = facts.test
    labels = np.array([classes.index(example.label) for _, example in test], np.int64)
    order = np.argsort(-losses(scores, labels), kind="stable")[:N_WORST]
    found = []
    for at in order:
        position, example = test[at]
        best = int(scores[at].argmax())
        image = np.array(facts.pixels[facts.rows[position]])
        found.append(Worst(example, image, classes[best], float(scores[at, best])))
    return found


def _write_gallery(facts: RunFacts, worst: list[Worst]) -> None:
    titles = [
        f"{each.example.label}, taken for {each.predicted} ({100 * each.score:.0f} %)"
        for each in worst
    ]
    facts.folder.write("top_losses.jpg", charts.gallery_jpg([w.image for w in worst], titles))
    facts.folder.write("train_batch0.jpg", _first_batch(facts))


def _first_batch(facts: RunFacts) -> bytes:
    """Show what the network was shown first, augmentation included."""
    titles = [facts.manifest.classes[label] for label in facts.fitted.first_labels]
    return charts.gallery_jpg(list(facts.fitted.first_pixels), titles, 4)
