"""``fieldmark evaluate``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldmark.atomic import check_room, write_whole
from fieldmark.cli.options import (
    Json,
    LabelFrom,
    Labels,
    Overrides,
    Precision,
    Quiet,
    RunsFolder,
)
from fieldmark.cli.screen import Screen, screen, shown
from fieldmark.data.table import written
from fieldmark.errors import GateError, UsageError
from fieldmark.evaluation.wording import clip

if TYPE_CHECKING:
    from fieldmark.workflow.counter import Looks
    from fieldmark.workflow.measuring import Evaluation


def evaluate(
    run: Annotated[str, typer.Argument(help="Run folder, run name, model file.")] = "latest",
    folder: Annotated[
        str | None, typer.Argument(help="Labelled pictures; default: the run's own test part.")
    ] = None,
    labels: Labels = "",
    label_from: LabelFrom = "folder",
    overrides: Overrides = "auto",
    min_accuracy: Annotated[
        float | None, typer.Option(help="Exit 4 below this accuracy, 0 to 1.", min=0.0, max=1.0)
    ] = None,
    csv_: Annotated[
        str, typer.Option("--csv", help="Write one row per file.", metavar="FILE")
    ] = "",
    by: Annotated[
        list[str] | None,
        typer.Option(help="Show slices by brightness, group, a column ...; repeatable."),
    ] = None,
    precision: Precision = "float32",
    runs_folder: RunsFolder = "runs",
    json_: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure a model on labelled pictures, with intervals.

    Without a folder: on the run's own test part. Folders are matched to classes by name. A fix list
    in the folder is obeyed.

    Example: fieldmark evaluate latest more-flowers --min-accuracy 0.8
    """
    from fieldmark.config import DataSettings
    from fieldmark.workflow.measuring import evaluate as measure

    out = screen().settle(as_json=json_, quiet=quiet)
    if csv_:
        _check_new(Path(csv_))
    data = DataSettings(
        folder=folder or "", labels=labels, label_from=label_from, overrides=overrides
    )
    found = measure(run, data, precision=precision, runs_folder=runs_folder)
    slices = found.slices(by or ())
    if json_:
        unread = [each.to_dict() for each in found.unread]
        left_out = [dataclasses.asdict(each) for each in found.left_out]
        out.json(
            found.report.to_dict()
            | {"unread": unread, "left_out": left_out, "n_seen": found.n_seen}
            | {"notes": [dataclasses.asdict(each) for each in found.notes]}
            | {"looks": dataclasses.asdict(found.looks) if found.looks else None}
            | {"slices": dataclasses.asdict(slices)}
        )
    else:
        out.results(found.report.lines(out.width))
        lines = ["", *slices.table()] if by else slices.lines()
        out.results(shown(clip(f"  {line}", out.room).rstrip()) for line in lines)
    _say(out, found)
    if csv_:
        _write_csv(Path(csv_), found)
    accuracy = found.report.accuracy
    if min_accuracy is not None and accuracy.value < min_accuracy:
        raise GateError(
            f"The accuracy is {accuracy.text}; at least {100 * min_accuracy:g} % was asked for.",
            code="min-accuracy",
            where=f"{found.report.n} pictures, {accuracy.interval}",
            hint="train longer or with more pictures, or lower --min-accuracy",
        )
    return 3 if found.unread else 0


def _say(out: Screen, found: Evaluation) -> None:
    """Say beside the figures what they do not cover and what flatters them."""
    for each in found.unread:
        out.error([f"{shown(each.file)}  not read   {each.reason} [{each.code}]"])
    if found.unread:
        reasons = Counter(each.code for each in found.unread)
        words = ", ".join(f"{n} {code}" for code, n in reasons.most_common())
        out.say(f"{len(found.unread)} files could not be read and do not count: {words}")
    for note in found.notes:
        out.say(shown(str(note)))
    if found.n_seen:
        out.say(
            f"{found.n_seen:,} of these pictures were used to train or choose this model: the "
            "figures are better than on new pictures."
        )
    if found.left_out:
        reasons = Counter(each.code for each in found.left_out)
        words = ", ".join(f"{n} {code}" for code, n in reasons.most_common())
        out.say(f"{len(found.left_out)} other files in the folder left out: {words}")
    if found.looks:
        say_looks(out, found.looks)


def say_looks(out: Screen, looks: Looks, name: str = "") -> None:
    """Say from the second look on how often a test part was looked at, and if it was not noted."""
    whose = f"{shown(name)}: " if name else ""
    if looks.text:
        out.say(whose + looks.text)
    if looks.problem:
        out.say(f"{whose}This look could not be noted in looks.jsonl: {looks.problem}.")


def _check_new(path: Path) -> None:
    """Refuse before anything is measured what could not be written after it."""
    if path.exists():
        raise UsageError(
            f"{path.name} exists already.",
            code="file-exists",
            where=str(path),
            why="Nothing is overwritten unasked.",
            hint="choose another name",
        )
    if not path.parent.is_dir():
        raise UsageError(
            f"There is no folder {path.parent}.",
            code="no-folder",
            where=str(path),
            hint="make the folder, or choose another place",
        )
    check_room(path.parent)


def _write_csv(path: Path, found: Evaluation) -> None:
    header = ["path", "sha256", "label", "predicted", "score", "correct"]
    rows: list[list[str | float]] = [
        [a.file, a.sha256, label, a.label, f"{a.score:.6f}", int(a.label == label)]
        for label, a in found.predictions
    ]
    _check_new(path)
    write_whole(path, written(header, rows))
