"""``fieldmark predict``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fieldmark.cli.options import Json, Precision, Quiet, RunsFolder
from fieldmark.cli.screen import Screen, screen, shown
from fieldmark.data import table
from fieldmark.errors import DataError, UsageError

MANY: Final = 100
"""Files from which on the engine that starts later and answers more in a second is ahead."""

if TYPE_CHECKING:
    from fieldmark.inference.predictor import Prediction, Predictor, Unread


def predict(
    run: Annotated[str, typer.Argument(help="Run folder, run name, model file, or latest.")],
    files: Annotated[
        list[str], typer.Argument(help="Files, folders, globs; - reads a picture or a list.")
    ],
    top: Annotated[int, typer.Option(help="Classes shown for each file.", min=1)] = 5,
    format_: Annotated[
        str, typer.Option("--format", help="table, jsonl or csv.", metavar="FORMAT")
    ] = "table",
    recursive: Annotated[bool, typer.Option(help="Look into sub-folders too.")] = True,
    precision: Precision = "float32",
    runs_folder: RunsFolder = "runs",
    json_: Json = False,
    quiet: Quiet = False,
) -> int:
    """Label new pictures, one line each.

    A file that cannot be read is named with its reason; the others are answered, and the exit
    status is 3.

    Example: fieldmark predict latest new/*.jpg
    """
    from fieldmark import runs as folders
    from fieldmark.inference.predictor import Predictor, as_precision

    style = "jsonl" if json_ else format_
    if style not in ("table", "jsonl", "csv"):
        raise UsageError(
            f"There is no format {format_!r}.",
            code="format-unknown",
            where="--format",
            hint="table, jsonl or csv",
        )
    out = screen().settle(as_json=style != "table", quiet=quiet)
    many = len(files) >= MANY or any(name == "-" or Path(name).is_dir() for name in files)
    predictor = Predictor.open(
        folders.find(run, Path(runs_folder)), precision=as_precision(precision), bulk=many
    )
    show = {"table": _table, "jsonl": _json_lines, "csv": _csv}[style]
    n_read, n_unread = show(out, predictor, _answers(predictor, files, recursive), top)
    if not n_read + n_unread:
        raise DataError(
            "There is no picture in what was given.",
            code="no-pictures",
            where=", ".join(files[:5]),
            hint="name files, or a folder that holds pictures",
        )
    model = f"Model {predictor.name}"
    if predictor.bundle.created:
        model += f" ({predictor.bundle.created[:10]})"
    counted = f"{n_read + n_unread} files: {n_read} labelled"
    out.say(f"{counted}, {n_unread} not read.  {model}" if n_unread else f"{counted}.  {model}")
    return 3 if n_unread else 0


def _answers(
    predictor: Predictor, files: list[str], recursive: bool
) -> Iterator[Prediction | Unread]:
    from fieldmark.errors import UnreadableExample
    from fieldmark.inference.predictor import Unread
    from fieldmark.workflow.dataset import cores
    from fieldmark.workflow.finding import pictures

    if files != ["-"]:
        yield from predictor.predict_files(pictures(files, recursive=recursive), threads=cores())
        return
    data = sys.stdin.buffer.read()
    names = _as_list(data)
    if names is not None:
        yield from predictor.predict_files(pictures(names, recursive=recursive), threads=cores())
        return
    try:
        yield predictor.predict(data)
    except UnreadableExample as error:
        yield Unread("-", error.code, error.what)


def _as_list(data: bytes) -> list[str] | None:
    """Return the names if this is a list of paths, None if it is a picture."""
    if b"\0" in data[:1000]:
        return None
    try:
        return [line for line in data.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        return None


def _name(answer: Prediction | Unread) -> str:
    return shown(answer.file or "-")


def _table(
    out: Screen, predictor: Predictor, answers: Iterator[Prediction | Unread], top: int
) -> tuple[int, int]:
    from fieldmark.inference.predictor import Unread

    widest = max(len(shown(name)) for name in predictor.classes)
    n_read = n_unread = 0
    for answer in answers:
        if isinstance(answer, Unread):
            n_unread += 1
            out.error([f"{_name(answer)}  not read   {answer.reason} [{answer.code}]"])
            continue
        n_read += 1
        line = f"{_name(answer)}  {shown(answer.label):<{widest}}  {100 * answer.score:3.0f} %"
        for entry in answer.scores[1:top]:
            other = f"  {shown(entry.label)} {100 * entry.score:.0f} %"
            if len(line) + len(other) > out.room:
                break
            line += other
        out.result(line)
    return n_read, n_unread


def _json_lines(
    out: Screen, predictor: Predictor, answers: Iterator[Prediction | Unread], top: int
) -> tuple[int, int]:
    from fieldmark.inference.predictor import Unread

    n_read = n_unread = 0
    for answer in answers:
        unread = isinstance(answer, Unread)
        n_unread, n_read = n_unread + unread, n_read + (not unread)
        out.json(answer.to_dict() if isinstance(answer, Unread) else answer.to_dict(top))
    return n_read, n_unread


def _csv(
    out: Screen, predictor: Predictor, answers: Iterator[Prediction | Unread], top: int
) -> tuple[int, int]:
    from fieldmark.inference.predictor import Unread

    columns = [f"score:{name}" for name in predictor.classes]
    out.result(table.line(["file", "label", "score", "problem", *columns]))
    n_read = n_unread = 0
    for answer in answers:
        if isinstance(answer, Unread):
            n_unread += 1
            out.result(table.line([answer.file, "", "", answer.code, *("" for _ in columns)]))
            continue
        n_read += 1
        scores = {entry.label: f"{entry.score:.6f}" for entry in answer.scores}
        row = [scores[name] for name in predictor.classes]
        out.result(table.line([answer.file, answer.label, f"{answer.score:.6f}", "", *row]))
    return n_read, n_unread
