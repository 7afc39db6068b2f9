"""Compare finished models on the same pictures: find the runs, line up their files by content.

Without a folder, each run's own test part is taken as its training measured it
(``predictions.csv``), no network is opened, and the look is counted in every run folder. With a
folder, all models answer it anew, by the same way as ``evaluate``.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from fieldmark import bundle as bundles
from fieldmark import runs
from fieldmark.config import DataSettings
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Example
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation.comparison import Common, Comparison, Entrant, compare_answers
from fieldmark.evaluation.wording import counted, printable
from fieldmark.inference.predictor import Unread
from fieldmark.workflow import counter, own_answers
from fieldmark.workflow.counter import Looks
from fieldmark.workflow.dataset import Dataset
from fieldmark.workflow.measuring import evaluate, learned_from
from fieldmark.workflow.own_answers import Answer, Answered

OWN: Final = "the test parts of the runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A comparison, and what could not be part of it."""

    comparison: Comparison
    n_relabelled: int = 0
    """Pictures left out because the runs were given different labels for them."""
    unread: tuple[Unread, ...] = ()
    """Files of the folder that could not be read."""
    looks: dict[str, Looks] = field(default_factory=dict)
    """By run, how often its test part has been looked at; empty: this was another folder."""
    roots: dict[str, Path] = field(default_factory=dict)
    """By the content's hash, where the picture was."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return self.comparison.to_dict() | {
            "n_relabelled": self.n_relabelled,
            "unread": [each.to_dict() for each in self.unread],
            "looks": {name: dataclasses.asdict(each) for name, each in self.looks.items()},
        }

    def lines(self, width: int = 80, room: int = 0) -> list[str]:
        """Say it as lines, as :meth:`fieldmark.evaluation.comparison.Comparison.lines`."""
        return self.comparison.lines(width, room)

    def __str__(self) -> str:
        return "\n".join(self.lines())


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    file: Path
    model_id: str
    learned: frozenset[str]
    """Hashes of what it was trained or chosen on; none for a bare model file."""


def compare(
    a: str | Path,
    b: str | Path,
    *more: str | Path,
    data: str | Path | Dataset | DataSettings | None = None,
    runs_folder: str | Path = "runs",
) -> Compared:
    """Compare models with the first of them, on the same pictures, matched by content.

    Parameters
    ----------
    a, b, *more : str or Path
        Run folders, runs' names, ``latest`` or ``.fieldmark`` files.
    data : str, Path, Dataset or DataSettings, optional
        Labelled pictures to measure all of them on, as for :func:`fieldmark.evaluate`. None: what
        the runs' own test parts have in common.
    runs_folder : str or Path, default="runs"

    Returns
    -------
    Compared
        Pictures that one of the models was trained or chosen on are left out and counted.

    Raises
    ------
    UsageError
        ``no-run``; ``same-run``: one model was named twice.
    DataError
        ``different-classes``; ``not-a-run`` and ``no-predictions`` without ``data``;
        ``nothing-common``: no picture is left to compare them on.

    Examples
    --------
    ::

        found = fieldmark.compare("flowers-1", "flowers-2")
        print(found)
        found.comparison.differences[0].verdict
    """
    models = _models((a, b, *more), Path(runs_folder))
    if data is None or (isinstance(data, DataSettings) and not data.folder):
        measured = [own_answers.read(each.file) for each in models]
        unread: tuple[Unread, ...] = ()
        what = OWN
    else:
        _check_classes(models, [bundles.read(each.file).classes for each in models])
        found = [evaluate(each.file, data) for each in models]
        measured = [own_answers.of_evaluation(each) for each in found]
        unread = tuple(
            {(each.file, each.code): each for one in found for each in one.unread}.values()
        )
        what = found[0].report.conditions["part"]
    _check_classes(models, [each.classes for each in measured])
    made = _compared(models, measured, what)
    made = dataclasses.replace(made, unread=unread)
    return _counted(made, models) if what is OWN else made


def _models(things: Sequence[str | Path], runs_folder: Path) -> list[_Model]:
    files = [runs.find(each, runs_folder) for each in things]
    places = [each.resolve() for each in files]
    if len(set(places)) < len(places):
        twice = next(each for each in places if places.count(each) > 1)
        raise UsageError(
            f"{twice.name} was named twice.",
            code="same-run",
            where=str(twice),
            why="A model cannot differ from itself.",
            hint="name two different runs: fieldmark runs lists them",
        )
    stems = [each.stem for each in files]
    return [
        _Model(
            name=stem if stems.count(stem) == 1 else str(file),
            file=file,
            model_id=bundles.inspect(file).model_id,
            learned=frozenset(learned_from(file.parent / "data.csv")),
        )
        for stem, file in zip(stems, files, strict=True)
    ]


def _check_classes(models: Sequence[_Model], classes: Sequence[tuple[str, ...]]) -> None:
    for model, names in zip(models[1:], classes[1:], strict=True):
        apart = sorted(set(names) ^ set(classes[0]))
        if apart:
            raise DataError(
                f"{model.name} and {models[0].name} do not know the same classes: "
                f"{', '.join(printable(name) for name in apart[:5])}.",
                code="different-classes",
                where=f"{model.file} and {models[0].file}",
                why="One of them could only be wrong on a class it does not know.",
                hint="train both on the same classes; classes are matched by name",
            )


def _compared(models: Sequence[_Model], measured: Sequence[Answered], what: str) -> Compared:
    asked = {sha for each in measured for sha in each.answers}
    known = frozenset().union(*(model.learned for model in models))
    first = measured[0]
    everywhere = set(first.answers).intersection(*(each.answers for each in measured))
    wanted = everywhere - known
    shared = [sha for sha in first.answers if sha in wanted]
    alike = [sha for sha in shared if len({each.answers[sha].label for each in measured}) == 1]
    if not alike:
        raise _nothing_common(models, measured, what)
    common = Common(
        classes=first.classes,
        paths=tuple(first.answers[sha].path for sha in alike),
        sha256=tuple(alike),
        labels=np.array([first.classes.index(first.answers[sha].label) for sha in alike], np.int64),
        groups=groups_of([first.answers[sha] for sha in alike], alike),
    )
    entrants = [
        dataclasses.replace(
            _entrant(model, each, common),
            n_only=len(each.answers.keys() - everywhere - known),
            n_learned=len(asked & model.learned),
        )
        for model, each in zip(models, measured, strict=True)
    ]
    made = compare_answers(common, entrants, conditions={"pictures": what, "matched by": "SHA-256"})
    n_relabelled = len(shared) - len(alike)
    notes = (*_left_out(n_relabelled, measured), *made.notes)
    return Compared(
        comparison=dataclasses.replace(made, notes=notes),
        n_relabelled=n_relabelled,
        roots={sha: first.root / first.answers[sha].path for sha in alike},
    )


def groups_of(answers: Sequence[Answer], sha256: Sequence[str]) -> np.ndarray[Any, Any] | None:
    """Tell what belongs together among answered pictures, by number; None: each stands alone."""
    examples = [
        Example(
            path=each.path, label=each.label, sha256=sha, group=each.group, cluster=each.cluster
        )
        for each, sha in zip(answers, sha256, strict=True)
    ]
    numbers = unit_numbers(examples)
    return numbers if len(set(numbers.tolist())) < len(examples) else None


def _entrant(model: _Model, measured: Answered, common: Common) -> Entrant:
    found = [measured.answers[sha] for sha in common.sha256]
    return Entrant(
        name=model.name,
        answers=np.array([common.classes.index(each.answer) for each in found], np.int64),
        sure=np.array([each.score for each in found]),
        losses=np.array([each.loss for each in found]),
        model_id=model.model_id,
    )


def _left_out(n_relabelled: int, measured: Sequence[Answered]) -> Iterator[str]:
    if n_relabelled:
        yield f"Left out, because the runs were given different labels: {counted(n_relabelled)}."
    n_copies = sum(each.n_copies for each in measured)
    if n_copies:
        yield f"Equal files count once: {counted(n_copies, 'copy')} passed over."


def _nothing_common(models: Sequence[_Model], measured: Sequence[Answered], what: str) -> DataError:
    sizes = ", ".join(
        f"{model.name} {len(each.answers):,}" for model, each in zip(models, measured, strict=True)
    )
    return DataError(
        "There is no picture to compare these models on.",
        code="nothing-common",
        where=f"{what} ({sizes})",
        why="Pictures are matched by content; those one of them has learned from do not count.",
        hint="name labelled pictures that none of them has seen: --data FOLDER",
    )


def _counted(found: Compared, models: Sequence[_Model]) -> Compared:
    """Count this look at every run's test part."""
    command = shlex.join(["fieldmark", "compare", *(each.name for each in models)])
    looks = {
        each.name: counter.look(each.file.resolve().parent, command, each.model_id)
        for each in models
    }
    sides = tuple(
        dataclasses.replace(side, n_looks=looks[side.name].n) for side in found.comparison.sides
    )
    comparison = dataclasses.replace(found.comparison, sides=sides)
    return dataclasses.replace(found, comparison=comparison, looks=looks)
