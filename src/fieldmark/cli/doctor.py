"""``fieldmark doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from fieldmark.cli.options import Json
from fieldmark.cli.screen import screen, shown
from fieldmark.errors import GateError


def doctor(
    speed: Annotated[bool, typer.Option(help="Measure how fast it is too: 3 seconds.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 if there is a warning.")] = False,
    out_folder: Annotated[
        str, typer.Option("--out", "-o", help="Where runs would be written.", metavar="FOLDER")
    ] = "runs",
    json_: Json = False,
) -> int:
    """Say what is installed, what is missing, how fast it runs here.

    Exit status 0 if fieldmark train FOLDER can run here, without a network; 5 if something that it
    needs is missing. Nothing is sent anywhere, and nothing is left behind.

    Example: fieldmark doctor --no-speed
    """
    from fieldmark.workflow.doctor import doctor as examine

    out = screen().settle(as_json=json_)
    found = examine(out_folder, measure=speed)
    if json_:
        out.json(found.to_dict())
    else:
        out.wrapped((shown(line) for line in found.lines()), hang=12)
        out.next("fieldmark demo" if found.ready else found.lacking[0].rpartition("; ")[2])
    if strict and found.ready and found.warnings:
        raise GateError(
            f"Warnings: {len(found.warnings)}, and --strict was given.",
            code="doctor-strict",
            where="; ".join(found.warnings),
            hint="what each warning names, or leave --strict out",
        )
    return 0 if found.ready else 5
