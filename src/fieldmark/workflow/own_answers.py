"""What a model answered to labelled pictures, by their content: from its run folder, or just now.

Reads only. A run's own answers are those of its training, with the losses as they were before the
scores were rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fieldmark.config import read as read_settings
from fieldmark.data import table
from fieldmark.errors import DataError
from fieldmark.workflow.measuring import Evaluation

_SCORE: Final = "score:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One picture's label and answer."""

    path: str
    label: str
    answer: str
    score: float
    """Of the answer, in [0, 1]."""
    loss: float
    """``-ln`` of the label's score, in nats."""
    group: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Everything one model answered."""

    classes: tuple[str, ...]
    answers: dict[str, Answer]
    """By the content's hash, in the order of the list; of equal files the first."""
    root: Path
    """Of the paths."""
    n_copies: int = 0
    """Equal files that were passed over."""


def read(model: Path) -> Answered:
    """Read what a run answered to its test part: ``predictions.csv`` beside its model file.

    Parameters
    ----------
    model : Path
        The model file in its run folder.

    Raises
    ------
    DataError
        ``not-a-run``: the file stands alone, or beside another; ``no-predictions``: the list is
        missing or damaged.
    """
    folder = model.resolve().parent
    listed = folder / "predictions.csv"
    # The answers are those of the one model beside them; a file that was copied in is another's.
    if not (folder / "data.csv").is_file() or len(list(folder.glob("*.fieldmark"))) != 1:
        raise DataError(
            f"{model.name} stands alone; its run folder is not around it.",
            code="not-a-run",
            where=str(model),
            why="A model file holds no test pictures.",
            hint="give the run folder, or labelled pictures to measure on: --data FOLDER",
        )
    try:
        rows = table.rows(listed)
        together = _together(folder)
        return _answered(rows, together, _root(folder))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"The answers of {folder.name} to its test part cannot be read.",
            code="no-predictions",
            where=str(listed),
            why=f"{type(error).__name__}: {error}"[:200],
            hint="measure anew on labelled pictures: --data FOLDER",
        ) from error


def _answered(
    rows: list[dict[str, str]], together: dict[str, tuple[str, str]], root: Path
) -> Answered:
    if not rows:
        raise ValueError("it holds no picture")
    classes = tuple(name.removeprefix(_SCORE) for name in rows[0] if name.startswith(_SCORE))
    answers: dict[str, Answer] = {}
    for row in rows:
        group, cluster = together.get(row["path"], ("", ""))
        answer = Answer(
            path=row["path"],
            label=row["label"],
            answer=row["predicted"],
            score=float(row[_SCORE + row["predicted"]]),
            loss=float(row["loss"]),
            group=group,
            cluster=cluster,
        )
        if answer.label not in classes or not math.isfinite(answer.score + answer.loss):
            raise ValueError(f"the line of {answer.path!r} makes no sense")
        answers.setdefault(row["sha256"], answer)
    return Answered(classes=classes, answers=answers, root=root, n_copies=len(rows) - len(answers))


def _together(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the group and the cluster of every path; an earlier version kept the group only."""
    found = {row["path"]: (row["group"], "") for row in table.rows(folder / "data.csv")}
    if (folder / "split.csv").is_file():
        for row in table.rows(folder / "split.csv"):
            found[row["path"]] = (row["group"], row["cluster"])
    return found


def _root(folder: Path) -> Path:
    root = Path(read_settings(folder / "config.toml").data.folder)
    return root.parent if root.is_file() else root


def of_evaluation(found: Evaluation) -> Answered:
    """Take what :func:`fieldmark.evaluate` measured just now; paths are as it gives them."""
    classes = found.report.classes
    answers: dict[str, Answer] = {}
    groups = found.groups or ("",) * len(found.predictions)
    for (label, answer), group in zip(found.predictions, groups, strict=True):
        score = next(each.score for each in answer.scores if each.label == label)
        given = Answer(
            path=answer.file,
            label=label,
            answer=answer.label,
            score=answer.score,
            loss=-math.log(max(score, float(np.finfo(np.float64).eps))) + 0.0,
            group=group,
        )
        answers.setdefault(answer.sha256, given)
    n_copies = len(found.predictions) - len(answers)
    return Answered(classes=classes, answers=answers, root=Path(), n_copies=n_copies)
