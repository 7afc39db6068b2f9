"""``fieldmark predict``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fieldmark.cli.options import JsonLines, Precision, Quiet, RunsFolder
from fieldmark.cli.screen import Screen, screen, shown
from fieldmark.data import table
from fieldmark.errors import DataError, UsageError

_KINDS: Final = ("labelled", "unsure", "unknown", "not read")

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
    sets: Annotated[
        bool, typer.Option("--sets", help="Show the classes that hold the right one, too.")
    ] = False,
    precision: Precision = "float32",
    runs_folder: RunsFolder = "runs",
    json_: JsonLines = False,
    quiet: Quiet = False,
) -> int:
    """Label new pictures, one line each.

    Answers that are not clear enough are called unsure, pictures unlike all that were learned from
    unknown. A file that cannot be read is named with its reason; the others are answered, and the
    exit status is 3.

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
    out.stream = True
    many = len(files) >= MANY or any(name == "-" or Path(name).is_dir() for name in files)
    predictor = Predictor.open(
        folders.find(run, Path(runs_folder)), precision=as_precision(precision), bulk=many
    )
    if sets and predictor.bundle.thresholds.set_margin is None:
        raise _no_sets(run)
    show = {"table": _table, "jsonl": _json_lines, "csv": _csv}[style]
    count = show(out, predictor, _answers(predictor, files, recursive, sets), top)
    if not count.total():
        raise DataError(
            "There is no picture in what was given.",
            code="no-pictures",
            where=", ".join(files[:5]),
            hint="name files, or a folder that holds pictures",
        )
    _closing(out, predictor, count)
    return 3 if count["not read"] else 0


def _closing(out: Screen, predictor: Predictor, count: Counter[str]) -> None:
    """Say how many answers there were of each kind, and of which model."""
    model = f"Model {predictor.name}"
    if predictor.bundle.created:
        model += f" ({predictor.bundle.created[:10]})"
    kinds = ["labelled", *(kind for kind in _KINDS[1:] if count[kind])]
    counted = ", ".join(f"{count[kind]:,} {kind}" for kind in kinds)
    n = count.total()
    out.say(f"{n:,} {'file' if n == 1 else 'files'}: {counted}.  {model}")
    if not predictor.bundle.thresholds.decides:
        out.say("This model file is older and says of no answer whether it is sure; train again.")


def _no_sets(run: str) -> UsageError:
    return UsageError(
        "The model file has no rule for prediction sets.",
        code="no-sets",
        where=run,
        why="They need a validation part: 19 pictures for 95 %; older files have none either.",
        hint="leave --sets out, or train again on more pictures",
    )


def _answers(
    predictor: Predictor, files: list[str], recursive: bool, sets: bool
) -> Iterator[Prediction | Unread]:
    from fieldmark.errors import UnreadableExample
    from fieldmark.inference.predictor import Unread
    from fieldmark.workflow.finding import pictures
    from fieldmark.workflow.machine import cores

    def many(names: list[str]) -> Iterator[Prediction | Unread]:
        found = pictures(names, recursive=recursive)
        return predictor.predict_files(found, threads=cores(), sets=sets)

    if files != ["-"]:
        yield from many(files)
        return
    data = sys.stdin.buffer.read()
    names = _as_list(data)
    if names is not None:
        yield from many(names)
        return
    try:
        yield predictor.predict(data, sets=sets)
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


def _kind(answer: Prediction | Unread) -> str:
    """Return under which of :data:`_KINDS` an answer is counted."""
    decision = getattr(answer, "decision", "not read")
    return "labelled" if decision in ("accept", None) else str(decision)


def _table(
    out: Screen, predictor: Predictor, answers: Iterator[Prediction | Unread], top: int
) -> Counter[str]:
    from fieldmark.inference.predictor import Unread

    said = [shown(name) for name in predictor.classes]
    widest = max(map(len, [*said, *_KINDS[1:3]] if predictor.bundle.thresholds.decides else said))
    count: Counter[str] = Counter()
    for answer in answers:
        count[_kind(answer)] += 1
        if isinstance(answer, Unread):
            out.error([f"{_name(answer)}  not read   {answer.reason} [{answer.code}]"])
            continue
        out.result(_line(answer, widest, top, out.room))
    return count


def _line(answer: Prediction, widest: int, top: int, room: int) -> str:
    """Write one answer: what was decided, then what else it may be."""
    kind = _kind(answer)
    if kind == "labelled":
        line = f"{_name(answer)}  {shown(answer.label):<{widest}}  {100 * answer.score:3.0f} %"
        others = answer.scores[1:top]
    else:
        line, others = f"{_name(answer)}  {kind:<{widest}}       ", answer.scores[:top]
    if answer.members is not None:
        line += "  {" + ", ".join(shown(entry.label) for entry in answer.members) + "}"
    for entry in others:
        other = f"  {shown(entry.label)} {100 * entry.score:.0f} %"
        if len(line) + len(other) > room:
            break
        line += other
    return line


def _json_lines(
    out: Screen, predictor: Predictor, answers: Iterator[Prediction | Unread], top: int
) -> Counter[str]:
    from fieldmark.inference.predictor import Unread

    count: Counter[str] = Counter()
    for answer in answers:
        count[_kind(answer)] += 1
        out.json(answer.to_dict() if isinstance(answer, Unread) else answer.to_dict(top))
    return count


def _csv(
    out: Screen, predictor: Predictor, answers: Iterator[Prediction | Unread], top: int
) -> Counter[str]:
    from fieldmark.inference.predictor import Unread

    columns = [f"score:{name}" for name in predictor.classes]
    out.result(table.line(["file", "label", "score", "problem", "decision", *columns]))
    count: Counter[str] = Counter()
    for answer in answers:
        count[_kind(answer)] += 1
        if isinstance(answer, Unread):
            out.result(table.line([answer.file, "", "", answer.code, "", *("" for _ in columns)]))
            continue
        scores = {entry.label: f"{entry.score:.6f}" for entry in answer.scores}
        row = [scores[name] for name in predictor.classes]
        told = [answer.label, f"{answer.score:.6f}", "", answer.decision or ""]
        out.result(table.line([answer.file, *told, *row]))
    return count
