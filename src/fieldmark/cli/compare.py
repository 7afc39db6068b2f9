"""``fieldmark compare``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldmark.cli.evaluate import say_looks
from fieldmark.cli.options import Json, LabelFrom, Labels, Overrides, Quiet, RunsFolder
from fieldmark.cli.screen import Screen, screen, shown
from fieldmark.errors import GateError

if TYPE_CHECKING:
    from fieldmark.workflow.comparing import Compared


def compare(
    a: Annotated[str, typer.Argument(help="Run folder, run name, latest or model file.")],
    b: Annotated[str, typer.Argument(help="What to compare with it.")],
    more: Annotated[
        list[str] | None, typer.Argument(help="More of them; each is compared with A.")
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="Measure all anew on these pictures; default: what their test parts share.",
            metavar="FOLDER",
        ),
    ] = "",
    labels: Labels = "",
    label_from: LabelFrom = "folder",
    overrides: Overrides = "auto",
    fail_if_worse: Annotated[
        bool, typer.Option("--fail-if-worse", help="Exit 4 if any is surely worse than A.")
    ] = False,
    html: Annotated[
        str, typer.Option(help="Write a page with the pictures that changed.", metavar="FILE")
    ] = "",
    runs_folder: RunsFolder = "runs",
    json_: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compare two or more runs on the same pictures.

    Matched by content; what one of them was trained on is left out. Surely worse: the interval of
    the difference in accuracy lies below 0 as a whole.

    Example: fieldmark compare flowers-1 flowers-2 --fail-if-worse
    """
    from fieldmark.config import DataSettings
    from fieldmark.workflow.comparing import compare as line_up
    from fieldmark.workflow.pages import check_replaceable

    out = screen().settle(as_json=json_, quiet=quiet)
    if not data and (labels or label_from != "folder" or overrides != "auto"):
        raise typer.BadParameter("--labels, --label-from and --overrides need --data")
    if html:
        check_replaceable(Path(html), "compare")
    source = DataSettings(folder=data, labels=labels, label_from=label_from, overrides=overrides)
    found = line_up(a, b, *(more or []), data=source, runs_folder=runs_folder)
    if json_:
        out.json(found.to_dict())
    else:
        out.results(found.lines(out.width, out.room))
    _say(out, found)
    if html:
        _write(out, found, Path(html))
    if fail_if_worse:
        _check(found)
    return 3 if found.unread else 0


def _say(out: Screen, found: Compared) -> None:
    for each in found.unread:
        out.error([f"{shown(each.file)}  not read   {each.reason} [{each.code}]"])
    for name, looks in found.looks.items():
        say_looks(out, looks, name)


def _write(out: Screen, found: Compared, path: Path) -> None:
    from fieldmark.workflow.changed_pictures import save

    created = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    save(found, path, created=created)
    if not out.as_json:
        out.result(shown(str(path)))


def _check(found: Compared) -> None:
    from fieldmark.evaluation.comparison_lines import points

    worse = found.comparison.worse
    if worse:
        first = found.comparison.sides[0].name
        said = ", ".join(f"{each.name} {points(each.accuracy)}" for each in worse)
        raise GateError(
            f"Surely worse than {first}: {said}.",
            code="worse",
            where=f"{found.comparison.n} pictures",
            why="The whole interval of the difference lies below 0, and --fail-if-worse was given.",
            hint="look at the pictures that broke: --html FILE, or keep the earlier run",
        )
