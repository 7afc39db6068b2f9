"""Measure a finished model: on its own test part again, or on another folder. Without Keras."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fieldmark import runs
from fieldmark.config import DataSettings
from fieldmark.config import read as read_settings
from fieldmark.data import groups as grouped
from fieldmark.data import scan, table
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Example, LeftOut, Manifest, Note
from fieldmark.errors import DataError
from fieldmark.evaluation.doubt import measure_doubt
from fieldmark.evaluation.report import Report, measure
from fieldmark.evaluation.resampling import Resampling
from fieldmark.evaluation.slices import Slices
from fieldmark.inference.predictor import Prediction, Predictor, Unread, as_precision
from fieldmark.workflow import counter
from fieldmark.workflow.counter import Looks
from fieldmark.workflow.dataset import Dataset, corrected, list_of
from fieldmark.workflow.finding import pictures
from fieldmark.workflow.machine import cores
from fieldmark.workflow.run import Run, open_run


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A report, and the files that could not be part of it."""

    report: Report
    predictions: tuple[tuple[str, Prediction], ...]
    """(label a person gave, answer), in file order."""
    unread: tuple[Unread, ...]
    left_out: tuple[LeftOut, ...] = ()
    """What lay in the folder and was no labelled picture, each with its reason."""
    n_seen: int = 0
    """Pictures, by content, that the model was trained or chosen on: they flatter the figures."""
    notes: tuple[Note, ...] = ()
    """Lines of the fix list that were not obeyed."""
    groups: tuple[str, ...] = ()
    """Of every prediction, what its picture belongs to; empty texts: it stands alone."""
    looks: Looks | None = None
    """How often the run's own test part has been looked at; None: this was another folder."""
    examples: tuple[Example, ...] = ()
    """The pictures behind ``predictions``, in their order."""
    root: Path = Path()
    """The folder that their paths are relative to."""
    listed: Path | None = None
    """The list of labels, where there was one."""

    def slices(self, by: Sequence[str] = ()) -> Slices:
        """Find the kinds of pictures on which the model is worse than elsewhere.

        Parameters
        ----------
        by : sequence of str, default=()
            Only by these: ``brightness`` and others of what is seen, ``group``, or columns of the
            list of labels; empty: by all there are.

        Raises
        ------
        UsageError
            Code ``by-unknown``.
        """
        from fieldmark.workflow.picture_facts import facts_of
        from fieldmark.workflow.spotting import sliced

        manifest = Manifest(root=self.root, examples=self.examples, classes=self.report.classes)
        facts = facts_of(manifest, self.examples, listed=self.listed, by=by, threads=cores())
        right = np.array([answer.label == label for label, answer in self.predictions], np.bool_)
        return sliced(right, self.examples, facts)


def predict(
    thing: str | Path, files: Sequence[str | Path], *, runs_folder: str | Path = "runs"
) -> list[Prediction | Unread]:
    """Label files with a finished model; one that cannot be read fails alone.

    Parameters
    ----------
    thing : str or Path
        A run folder, a run's name, ``latest``, or a ``.fieldmark`` file.
    files : sequence of str or Path
    runs_folder : str or Path, default="runs"

    Returns
    -------
    list of Prediction or Unread
        One for every file found, in their order.
    """
    predictor = Predictor.open(runs.find(thing, Path(runs_folder)))
    return list(predictor.predict_files(pictures(files), threads=cores()))


@dataclass(frozen=True, slots=True)
class _Wanted:
    path: Path
    example: Example

    @property
    def label(self) -> str:
        return self.example.label


def evaluate(
    thing: str | Path | Run = runs.LATEST,
    folder: str | Path | Dataset | DataSettings | None = None,
    *,
    labels: str | Path | None = None,
    label_from: str = "folder",
    precision: str = "float32",
    runs_folder: str | Path = "runs",
) -> Evaluation:
    """Measure a model on files with known labels, by class name.

    Parameters
    ----------
    thing : str, Path or Run, default="latest"
        A run folder, a run's name, ``latest``, or a ``.fieldmark`` file.
    folder : str, Path, Dataset or DataSettings, optional
        Labelled pictures; of ready-made parts only the test part is used. A data set of
        :func:`fieldmark.load` says how to list them, groups and fix list included; else
        ``overrides.csv`` in the folder is obeyed. None, or settings without a folder: the run's own
        test part, from its files as they are now, under a fix list only where one is named.
    labels, label_from
        As for :func:`fieldmark.load`; for a folder by its path.
    precision : {"float32", "int8"}, default="float32"
        Which network of the model file answers.
    runs_folder : str or Path, default="runs"

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        ``unknown-classes``: the folder holds a class the model does not know;
        ``nothing-to-measure``: no file could be read.
    """
    if isinstance(thing, Run):
        thing = thing.folder
    model = runs.find(thing, Path(runs_folder))
    data = _source(folder, labels, label_from)
    own = not data.folder
    if own:
        run = open_run(thing, runs_folder=runs_folder)
        manifest, what = _own_test_part(run), f"test part of {run.name}"
        # What the run obeyed is in its list already; another fix list must be named.
        if data.overrides == "auto":
            data = dataclasses.replace(data, overrides="none")
    else:
        manifest = scan.scan(
            Path(data.folder),
            labels=Path(data.labels) if data.labels else None,
            label_from=data.label_from,
            to_learn=False,
        )
        listed = data.labels or data.folder
        manifest = grouped.given(manifest, data.groups, labels=Path(listed)).manifest
        what = f"test part of {data.folder}" if manifest.part("test") else data.folder
    fixed = corrected(manifest, data)
    examples = fixed.manifest.part("test") if manifest.part("test") else fixed.manifest.examples
    wanted = [_Wanted(manifest.root / each.path, each) for each in examples]
    predictor = Predictor.open(model, precision=as_precision(precision), bulk=True)
    _check_classes([each.label for each in wanted], predictor.classes)
    found = _measured(predictor, wanted, what)
    known = learned_from(model.parent / "data.csv")
    n_seen = sum(answer.sha256 in known for _, answer in found.predictions)
    left_out = fixed.manifest.left_out
    found = dataclasses.replace(
        found,
        left_out=left_out,
        n_seen=n_seen,
        notes=fixed.notes,
        root=manifest.root,
        listed=list_of(read_settings(model.parent / "config.toml").data if own else data),
    )
    return _counted(_beside(found, run), model, predictor) if own else found


def _beside(found: Evaluation, run: Run) -> Evaluation:
    """Take over what simple rules reached in the training, if the pictures are the same ones."""
    listed = [row for row in table.rows(run.folder / "data.csv") if row["split"] == "test"]
    asked = sorted((row["sha256"], row["label"]) for row in listed)
    if asked != sorted((answer.sha256, label) for label, answer in found.predictions):
        return found
    try:
        told = run.report
    except DataError:  # an old or foreign report says nothing of them
        return found
    baselines = told.baselines
    another = found.report.conditions.get("precision") != "float32"
    if another or told.accuracy.value != found.report.accuracy.value:
        # Another precision or engine answers otherwise: how far that is ahead was not measured.
        baselines = tuple(dataclasses.replace(each, ahead=None) for each in baselines)
    return dataclasses.replace(found, report=dataclasses.replace(found.report, baselines=baselines))


def _counted(found: Evaluation, model: Path, predictor: Predictor) -> Evaluation:
    """Count this look at the run's own test part, in its folder and among the conditions."""
    words = ["fieldmark", "evaluate", model.resolve().parent.name]
    words += [] if predictor.precision == "float32" else ["--precision", predictor.precision]
    looks = counter.look(model.parent, shlex.join(words), predictor.model_id)
    conditions = found.report.conditions | {"looks": str(looks.n)}
    report = dataclasses.replace(found.report, conditions=conditions)
    return dataclasses.replace(found, report=report, looks=looks)


def _source(
    folder: str | Path | Dataset | DataSettings | None, labels: str | Path | None, label_from: str
) -> DataSettings:
    if isinstance(folder, Dataset):
        return folder.source
    if isinstance(folder, DataSettings):
        return folder
    named, listed = str(folder or ""), str(labels or "")
    return DataSettings(folder=named, labels=listed, label_from=label_from)


def learned_from(listed: Path) -> set[str]:
    """Return the content hashes of training and validation part; none for a bare model file."""
    if not listed.is_file():
        return set()
    return {row["sha256"] for row in table.rows(listed) if row["split"] in ("train", "valid")}


def _own_test_part(run: Run) -> Manifest:
    root = Path(read_settings(run.folder / "config.toml").data.folder)
    root = root.parent if root.is_file() else root
    rows = [row for row in table.rows(run.folder / "data.csv") if row["split"] == "test"]
    if rows and not any((root / row["path"]).is_file() for row in rows):
        raise DataError(
            f"None of the {len(rows):,} test pictures of {run.name} is there any more.",
            code="data-moved",
            where=str(root),
            why="A run keeps the names of its pictures, not the pictures.",
            hint=f"fieldmark evaluate {run.name} FOLDER",
        )
    examples = tuple(
        Example(
            path=row["path"],
            label=row["label"],
            sha256=row["sha256"],
            group=row["group"],
            cluster=row.get("cluster", ""),  # runs of older versions did not write it down
            split="test",
        )
        for row in rows
    )
    classes = tuple(sorted({each.label for each in examples}))
    return Manifest(root=root, examples=examples, classes=classes)


def _check_classes(labels: Sequence[str], classes: tuple[str, ...]) -> None:
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise DataError(
            f"The model does not know {len(unknown)} classes here: {', '.join(unknown[:5])}.",
            code="unknown-classes",
            why="It can only be wrong on them; an accuracy over them would say nothing.",
            hint=f"rename or leave out these folders; the model knows: {', '.join(classes)}",
        )


def _measured(predictor: Predictor, wanted: list[_Wanted], what: str) -> Evaluation:
    answers = predictor.predict_files([each.path for each in wanted], threads=cores())
    good: list[tuple[str, Prediction]] = []
    measured: list[Example] = []
    unread: list[Unread] = []
    for each, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, Unread):
            unread.append(answer)
        else:
            good.append((each.label, answer))
            measured.append(dataclasses.replace(each.example, sha256=answer.sha256))
    if not good:
        raise DataError(
            "Not one picture could be read.",
            code="nothing-to-measure",
            where=what,
            hint="fieldmark check FOLDER names the reasons",
        )
    index = {name: at for at, name in enumerate(predictor.classes)}
    scores = np.stack([_row(answer, index) for _, answer in good])
    truth = np.array([index[label] for label, _ in good], np.int64)
    drawn = Resampling(_seed(predictor), unit_numbers(measured))
    report = measure(
        scores,
        truth,
        predictor.classes,
        baseline_class=_baseline(predictor, [label for label, _ in good]),
        conditions={
            "part": what,
            "engine": predictor.runtime.name,
            "precision": predictor.precision,
        },
        seed=drawn,
    )
    doubt = measure_doubt(
        scores,
        truth,
        [answer.decision for _, answer in good],
        temperature=predictor.bundle.temperature,
        promise=predictor.bundle.thresholds.text,
        seed=drawn,
    )
    report = dataclasses.replace(report, doubt=doubt)
    groups = tuple(each.group for each in measured)
    return Evaluation(report, tuple(good), tuple(unread), groups=groups, examples=tuple(measured))


def _row(answer: Prediction, index: dict[str, int]) -> NDArray[np.float64]:
    row = np.zeros(len(index))
    for entry in answer.scores:
        row[index[entry.label]] = entry.score
    return row


def _seed(predictor: Predictor) -> int:
    """Return the run's seed: its own test part then gets its own resampled intervals again."""
    told = predictor.bundle.report.get("conditions")
    text = str(told.get("seed", "")) if isinstance(told, dict) else ""
    return int(text) if re.fullmatch("[0-9]{1,10}", text) else 0


def _baseline(predictor: Predictor, labels: list[str]) -> str:
    """Return the class the training part held most often, as the model's report says."""
    told = predictor.bundle.report.get("baseline_class")
    return told if told in predictor.classes else max(sorted(set(labels)), key=labels.count)
