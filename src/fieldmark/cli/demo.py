"""``fieldmark demo``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fieldmark.cli.options import JsonLines, Quiet
from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import screen


def demo(
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder to make; must not exist.", metavar="FOLDER")
    ] = "fieldmark-demo",
    json_: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Go the whole way once, on real handwritten digits.

    Writes 1,797 pictures, checks them, trains, measures and predicts: about a minute.

    Example: fieldmark demo
    """
    from fieldmark.workflow import demonstration

    shown = screen().settle(as_json=json_, quiet=quiet or json_)
    folder = Path(out)
    pictures = demonstration.write_digits(folder)
    shown.say(f"$ fieldmark check {shlex.quote(str(pictures))}")
    found = demonstration.look(pictures)
    used = found.manifest
    shown.say(f"{len(used.examples):,} usable pictures in {len(used.classes)} classes\n")
    command = demonstration.command(pictures, folder)
    shown.say("$ " + shlex.join(command))
    watcher = TrainingScreen(shown)
    with watcher:
        run = demonstration.train(pictures, folder, listen=watcher, command=shlex.join(command))
    if json_:
        return
    shown.results(run.report.lines(shown.width))
    example = demonstration.one_test_picture(run, pictures)
    answer = run.predict(example)
    shown.say(f"\n$ fieldmark predict {run.bundle} {example}")
    shown.result(f"{example}  {answer.label}  {100 * answer.score:.0f} %")
    shown.result("")
    shown.result(f"report  {run.folder / 'report.html'}")
    shown.result(f"model   {run.bundle}")
    shown.say(f"\nNext:  fieldmark predict {run.bundle} {pictures}")
    shown.say("       fieldmark train YOUR_FOLDER")
