"""A finished run, or a model file, in Python's hands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fieldmark import runs
from fieldmark.data import table
from fieldmark.errors import DataError
from fieldmark.evaluation.repeats import Repeats
from fieldmark.evaluation.report import Report
from fieldmark.inference.predictor import Prediction, Predictor, Unread
from fieldmark.workflow import weak_spots
from fieldmark.workflow.weak_spots import WeakSpots


@dataclass(frozen=True)
class Run:
    """One training with everything it left behind."""

    folder: Path

    @property
    def name(self) -> str:
        """``flowers-1``."""
        return self.folder.name

    @property
    def bundle(self) -> Path:
        """The model file."""
        return runs.RunFolder(self.folder).bundle

    @cached_property
    def predictor(self) -> Predictor:
        """The model file, opened."""
        return Predictor.open(self.bundle)

    @cached_property
    def report(self) -> Report:
        """What the test part said; the folder knows an earlier run too, the model file none."""
        report = Report.from_dict(self.predictor.bundle.report)
        try:
            text = (self.folder / "metrics.json").read_text(encoding="utf-8")
            told = Report.from_dict(json.loads(text))
        except (OSError, ValueError, AttributeError, DataError):
            return report
        return told if told.alone == report else report

    @cached_property
    def weak_spots(self) -> WeakSpots | None:
        """Where it fails on its test part; None for runs of older versions.

        Raises
        ------
        DataError
            Code ``weak-spots-unknown``: written by a newer version, or damaged.
        """
        listed = self.folder / weak_spots.NAME
        if not listed.is_file():
            return None
        return WeakSpots.from_dict(json.loads(listed.read_text(encoding="utf-8")))

    @property
    def more_data(self) -> dict[str, Any] | None:
        """Whether more pictures would help, as in ``learning_curve.json``; None: not known."""
        kept = self.folder / "learning_curve.json"
        if not kept.is_file():
            return None
        found: dict[str, Any] = json.loads(kept.read_bytes())
        return found

    @property
    def repeats(self) -> Repeats | None:
        """What more trainings on other folds or with other seeds said; None: there were none."""
        kept = self.folder / "repeats.json"
        return Repeats.from_dict(json.loads(kept.read_bytes())) if kept.is_file() else None

    @property
    def cautions(self) -> tuple[str, ...]:
        """What limits its figures, most important first, as in ``card.json``; empty: nothing does.

        Runs of versions that wrote no such file have none.
        """
        kept = self.folder / "card.json"
        if not kept.is_file():
            return ()
        found = json.loads(kept.read_bytes())
        return tuple(str(each) for each in found.get("cautions", ()))

    @cached_property
    def history(self) -> tuple[dict[str, Any], ...]:
        """One dict per epoch."""
        lines = (self.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        return tuple(event for event in events if event["event"] == "epoch")

    def predict(self, source: Path | str | bytes) -> Prediction:
        """Answer one file, or the bytes of one.

        Raises
        ------
        UnreadableExample
            With the reason as its code.
        """
        return self.predictor.predict(source)

    def top_losses(self, n: int = 9) -> tuple[dict[str, str], ...]:
        """Return the ``n`` test pictures the model was most wrong about, worst first.

        Each is a row of ``predictions.csv``: path, label, predicted, loss and every score, as text.
        """
        listed = self.folder / "predictions.csv"
        return tuple(sorted(table.rows(listed), key=lambda row: -float(row["loss"]))[:n])

    def predict_all(self, paths: Sequence[Path | str]) -> list[Prediction | Unread]:
        """Answer many files; one that cannot be read fails alone."""
        return list(self.predictor.predict_files(paths))

    def __repr__(self) -> str:
        return f"<Run {self.name}: {self.report.accuracy}>"


def open_model(thing: str | Path = runs.LATEST, *, runs_folder: str | Path = "runs") -> Predictor:
    """Open a model to answer with: light, without Keras.

    Parameters
    ----------
    thing : str or Path, default="latest"
        A ``.fieldmark`` file, a run folder, a run's name, or ``latest``.
    runs_folder : str or Path, default="runs"
        Where names are looked up.

    Returns
    -------
    Predictor

    Raises
    ------
    UsageError
        Code ``no-run``.
    BundleError
        The file is damaged, unsafe or too new.
    """
    return Predictor.open(runs.find(thing, Path(runs_folder)))


def open_run(thing: str | Path = runs.LATEST, *, runs_folder: str | Path = "runs") -> Run:
    """Open a finished run folder.

    Raises
    ------
    UsageError
        Code ``no-run``.
    DataError
        Code ``not-a-run``: this is a bare model file.
    """
    bundle = runs.find(thing, Path(runs_folder))
    if not (bundle.parent / "data.csv").is_file():
        raise DataError(
            f"{bundle.name} stands alone; its run folder is not around it.",
            code="not-a-run",
            where=str(bundle),
            why="A run's data list and log are needed.",
            hint="give the run folder, or use the model file with predict and evaluate FOLDER",
        )
    return Run(bundle.parent)
