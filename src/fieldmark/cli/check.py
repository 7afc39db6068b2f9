"""``fieldmark check``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldmark.cli.options import (
    Groups,
    Json,
    LabelFrom,
    Labels,
    Near,
    Overrides,
    Quiet,
    again,
)
from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import Screen, screen, shown

if TYPE_CHECKING:
    from fieldmark.workflow.checking import Check


def check(
    folder: Annotated[str, typer.Argument(help="Class folders, ready-made parts, or a CSV.")],
    html: Annotated[
        str,
        typer.Option(help="The page; default: FOLDER.check.html here; none.", metavar="FILE"),
    ] = "",
    fix_list: Annotated[
        str, typer.Option(help="Write the list of what to decide about.", metavar="CSV")
    ] = "",
    suspects: Annotated[
        bool | None,
        typer.Option(
            "--suspects/--no-suspects",
            help="Look for wrong labels and shortcuts.",
            show_default="up to 10,000 pictures",
        ),
    ] = None,
    near: Near = None,
    labels: Labels = "",
    label_from: LabelFrom = "folder",
    groups: Groups = "",
    overrides: Overrides = "auto",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 4 if something serious is found.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a fix list that exists, keeping its lines.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find broken, copied, mislabelled, odd and leaking files. Changes nothing.

    A page with the pictures side by side, and the full list as JSON, are written into the current
    folder; with --json only where --html says.

    Example: fieldmark check flowers --fix-list flowers.overrides.csv
    """
    from fieldmark.config import Settings
    from fieldmark.data.split_file import check_new
    from fieldmark.workflow.checking import check as look

    out = screen().settle(as_json=json_, quiet=quiet)
    page = _page(out, folder, html)
    if fix_list:
        why = "It may hold your decisions; with --force they are kept and new lines added."
        check_new(Path(fix_list), force=force, why=why, option="--fix-list")
    audit = {"suspects": {None: "auto", True: "yes", False: "no"}[suspects]}
    settings = Settings().changed("data", {"groups": groups, "overrides": overrides})
    settings = settings.changed("audit", audit | ({} if near is None else {"near": near}))
    with TrainingScreen(out) as watcher:
        found = look(
            folder,
            labels=labels or None,
            label_from=label_from,
            settings=settings,
            listen=watcher,
        )
    if json_:
        out.json(found.to_dict())
    else:
        out.results(found.lines(out.width))
    _write(out, found, page, fix_list)
    given = {"--labels": labels, "--label-from": label_from, "--groups": groups, "--near": near}
    given |= {"--overrides": fix_list or overrides}
    out.next(shown(again("train", folder, given)))
    if strict and found.serious:
        codes = ", ".join(dict.fromkeys(each.code for each in found.serious))
        out.error([f"fieldmark: serious findings: {codes} [strict]"])
        return 4
    return 0


def _page(out: Screen, folder: str, html: str) -> Path | None:
    """Decide where the page goes before any work is done for it; None: nowhere."""
    from fieldmark.errors import UsageError
    from fieldmark.workflow.pages import place

    if html == "none" or (out.as_json and not html):
        return None
    root = Path(folder)
    root = root.parent if root.is_file() else root
    try:
        return place(html, root.resolve().name, "check", root)
    except UsageError as error:
        if error.code != "page-inside-data":
            raise
        out.say("No page is written into the folder of pictures: name one with --html.\n")
        return None


def _write(out: Screen, found: Check, page: Path | None, fix_list: str) -> None:
    from fieldmark.atomic import write_whole

    if fix_list:
        file = Path(fix_list)
        write_whole(file, found.fix_list(file if file.exists() else None))
    if page is not None:
        created = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        found.save(page, created=created)
    if not out.as_json:
        if page is not None:
            both = (page, page.with_suffix(".json"))
            out.result("Full list: " + ", ".join(shown(str(path)) for path in both))
        if fix_list:
            out.result("To decide: " + shown(fix_list))
