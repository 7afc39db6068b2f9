"""``fieldmark check``."""

from __future__ import annotations

from typing import Annotated

import typer

from fieldmark.cli.options import Json, LabelFrom, Labels, Quiet
from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import screen, shown


def check(
    folder: Annotated[str, typer.Argument(help="Class folders, ready-made parts, or a CSV.")],
    labels: Labels = "",
    label_from: LabelFrom = "folder",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 4 if something serious is found.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find broken, copied, mislabelled, odd and leaking files. Changes nothing.

    Example: fieldmark check flowers
    """
    from fieldmark.workflow.checking import check as look

    out = screen().settle(as_json=json_, quiet=quiet)
    with TrainingScreen(out) as watcher:
        found = look(folder, labels=labels or None, label_from=label_from, listen=watcher)
    if json_:
        out.json(found.to_dict())
    else:
        out.results(found.lines(out.width))
        out.next(f"fieldmark train {shown(folder)}")
    return 4 if strict and found.serious else 0
