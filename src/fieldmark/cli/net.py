"""``fieldmark net``."""

from __future__ import annotations

from typing import Annotated

import typer

from fieldmark.cli.options import Json
from fieldmark.cli.screen import screen


def net(
    name: Annotated[str, typer.Argument(help="Catalogue name, layer list, or a file with one.")],
    size: Annotated[
        int | None, typer.Option(help="Pixels each way, for a catalogue name.", min=8, max=2048)
    ] = None,
    classes: Annotated[int, typer.Option(help="Number of classes.", min=2, max=100_000)] = 2,
    json_: Json = False,
) -> None:
    """Show the layer table: volumes, weights, cost, likely mistakes.

    Example: fieldmark net tutorial --size 64 --classes 5
    """
    from fieldmark.workflow.network import net as find

    out = screen().settle(as_json=json_)
    table = find(name, size=size, classes=classes).table(classes=classes)
    if json_:
        out.json(table.to_dict())
    else:
        out.results(table.lines(out.width))
        out.next(f"fieldmark train FOLDER --net {_quoted(name)}")


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)
