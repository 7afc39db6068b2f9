"""``fieldmark reproduce``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fieldmark.cli.options import Json, Quiet, RunsFolder
from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import Screen, screen, shown
from fieldmark.errors import GateError

if TYPE_CHECKING:
    from fieldmark.workflow.reproducing import Reproduction


def reproduce(
    file: Annotated[str, typer.Argument(help="Model file, run folder, run name, or latest.")],
    data: Annotated[
        str, typer.Argument(help="What it was trained on; default: where its run folder says.")
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Compare data and computer only; train nothing.")
    ] = False,
    out_folder: Annotated[
        str, typer.Option("--out", "-o", help="Keep the new run there.", metavar="FOLDER")
    ] = "",
    runs_folder: RunsFolder = "runs",
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model again and compare it with its file, byte by byte.

    Compares the data and the computer with what the file says of them, trains with the same
    settings, seed and parts, and names every part that differs, and by how much. Exit status 4 if
    anything does. Nothing is overwritten.

    Example: fieldmark reproduce flowers.fieldmark flowers
    """
    from fieldmark.training.events import silent
    from fieldmark.workflow.reproducing import reproduce as again

    out = screen().settle(as_json=json_, quiet=quiet or json_)
    with TrainingScreen(out) as watcher:
        found = again(
            file,
            data,
            out=out_folder,
            train=not check,
            runs_folder=runs_folder,
            listen=silent if json_ else watcher,
        )
    _tell(out, found)


def _tell(out: Screen, found: Reproduction) -> None:
    if out.as_json:
        out.json(found.to_dict())
    else:
        out.wrapped((shown(line) for line in found.lines()), hang=10)
    if not found.passed:
        raise GateError(
            "The model did not come out the same."
            if found.identical is False
            else "Data or computer are not the same.",
            code="not-reproduced",
            where=shown(str(found.file)),
            why="; ".join([*(found.data or ()), *(found.environment or ()), *found.reasons]),
            hint="the same data, versions, processor and threads give the same bytes",
        )
