"""``fieldmark inspect``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fieldmark.cli.options import Json, RunsFolder
from fieldmark.cli.screen import screen, shown


def inspect(
    file: Annotated[
        str, typer.Argument(help="Model file, run folder, run name, or latest.")
    ] = "latest",
    runs_folder: RunsFolder = "runs",
    json_: Json = False,
) -> None:
    """Look at a model file without running anything of it.

    Names its parts with their hashes, its classes, its network and the memory that it would take.
    A file that would not be opened is refused with the reason, exit status 6.

    Example: fieldmark inspect birds.fieldmark
    """
    from fieldmark.workflow.inspecting import inspect as look

    out = screen().settle(as_json=json_)
    found = look(file, runs_folder=Path(runs_folder))
    if json_:
        out.json(found.to_dict())
        return
    out.results(shown(line) for line in found.lines(out.width))
    out.next(f"fieldmark predict {shlex.quote(shown(file))} FILES")
