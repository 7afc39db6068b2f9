"""``fieldmark predict``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fieldmark.cli.options import JsonLines, Precision, Quiet, RunsFolder
from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import Screen, json_line, screen, shown
from fieldmark.data import table
from fieldmark.errors import DataError, UsageError

_KINDS: Final = ("labelled", "unsure", "unknown", "not read")

_BY_SUFFIX: Final = {".csv": "csv", ".jsonl": "jsonl"}

MANY: Final = 100
"""Files from which on the engine that starts later and answers more in a second is ahead."""

if TYPE_CHECKING:
    from fieldmark.inference.predictor import Prediction, Predictor, Unread

    Line = Callable[[Prediction | Unread], str]


def predict(
    run: Annotated[str, typer.Argument(help="Run folder, run name, model file, or latest.")],
    files: Annotated[
        list[str], typer.Argument(help="Files, folders, globs; - reads a picture or a list.")
    ],
    top: Annotated[int, typer.Option(help="Classes shown for each file.", min=1)] = 5,
    format_: Annotated[
        str,
        typer.Option("--format", help="table, jsonl, csv; else as -o ends.", metavar="FORMAT"),
    ] = "",
    recursive: Annotated[bool, typer.Option(help="Look into sub-folders too.")] = True,
    sets: Annotated[
        bool, typer.Option("--sets", help="Show the classes that hold the right one, too.")
    ] = False,
    precision: Precision = "float32",
    file: Annotated[
        str, typer.Option("--out", "-o", help="Write into a file; can go on.", metavar="FILE")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace that file.")] = False,
    runs_folder: RunsFolder = "runs",
    json_: JsonLines = False,
    quiet: Quiet = False,
) -> int:
    """Label new pictures, one line each.

    Answers that are not clear enough are called unsure, pictures unlike all that were learned from
    unknown. A file that cannot be read is named with its reason; the others are answered, and the
    exit status is 3.

    With -o the answers come into a file that is written whole at the end. The same command again,
    after whatever stopped it, goes on and ends with the same bytes.

    Example: fieldmark predict latest new/*.jpg
    """
    from fieldmark import runs as folders
    from fieldmark.inference.predictor import Predictor, as_precision

    style = "jsonl" if json_ else format_ or _BY_SUFFIX.get(Path(file).suffix.lower(), "table")
    if style not in ("table", "jsonl", "csv"):
        raise UsageError(
            f"There is no format {format_!r}.",
            code="format-unknown",
            where="--format",
            hint="table, jsonl or csv",
        )
    if file:
        from fieldmark.data.split_file import check_new

        check_new(Path(file), force=force, why="Nothing is overwritten unasked.")
    out = screen().settle(as_json=json_ if file else style != "table", quiet=quiet)
    out.stream = not file
    many = len(files) >= MANY or any(name == "-" or Path(name).is_dir() for name in files)
    predictor = Predictor.open(
        folders.find(run, Path(runs_folder)), precision=as_precision(precision), bulk=many
    )
    if sets and predictor.bundle.thresholds.set_margin is None:
        raise _no_sets(run)
    asked = _Asked(files, recursive, sets, style, top)
    count = _filed(predictor, asked, Path(file), force) if file else _shown(out, predictor, asked)
    if not count.total():
        raise DataError(
            "There is no picture in what was given.",
            code="no-pictures",
            where=", ".join(files[:5]),
            hint="name files, or a folder that holds pictures",
        )
    _closing(out, predictor, count)
    return 3 if count["not read"] else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What to answer, and how to say it."""

    files: list[str]
    recursive: bool
    sets: bool
    style: str
    top: int


def _shown(out: Screen, predictor: Predictor, asked: _Asked) -> Counter[str]:
    """Print the answers as they come."""
    from fieldmark.inference.predictor import Unread

    head, line = _lines(predictor, asked, room=out.room)
    if head:
        out.result(head)
    count: Counter[str] = Counter()
    for answer in _answers(predictor, asked):
        count[_kind(answer)] += 1
        if asked.style == "table" and isinstance(answer, Unread):
            out.error([line(answer)])
        else:
            out.result(line(answer))
    return count


def _filed(predictor: Predictor, asked: _Asked, path: Path, force: bool) -> Counter[str]:
    """Write the answers into a file, or the rest of them."""
    from fieldmark.workflow.answering import Answering, answered

    files = asked.files
    if files == ["-"]:
        names = _as_list(sys.stdin.buffer.read())
        if names is None:
            raise UsageError(
                "A picture that comes through a pipe has no name for a file of answers.",
                code="usage",
                where="-o",
                hint="leave -o out, or name the picture",
            )
        files = names
    head, line = _lines(predictor, asked, room=sys.maxsize, timed=False)
    how = Answering(
        predictor=predictor,
        line=line,
        kind=_kind,
        head=head,
        sets=asked.sets,
        options={"format": asked.style, "top": asked.top, "sets": asked.sets},
    )
    with TrainingScreen(screen()) as watcher:
        return answered(files, path, how, recursive=asked.recursive, force=force, listen=watcher)


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


def _answers(predictor: Predictor, asked: _Asked) -> Iterator[Prediction | Unread]:
    from fieldmark.errors import UnreadableExample
    from fieldmark.inference.predictor import Unread
    from fieldmark.workflow.finding import pictures
    from fieldmark.workflow.machine import cores

    def many(names: list[str]) -> Iterator[Prediction | Unread]:
        found = pictures(names, recursive=asked.recursive)
        return predictor.predict_files(found, threads=cores(), sets=asked.sets)

    if asked.files != ["-"]:
        yield from many(asked.files)
        return
    data = sys.stdin.buffer.read()
    names = _as_list(data)
    if names is not None:
        yield from many(names)
        return
    try:
        yield predictor.predict(data, sets=asked.sets)
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


def _lines(
    predictor: Predictor, asked: _Asked, *, room: int, timed: bool = True
) -> tuple[str, Line]:
    """Return the first line, empty where there is none, and what makes a line of an answer.

    ``room`` is the columns there are; ``timed`` leaves in what differs from time to time.
    """
    if asked.style == "table":
        return "", _table(predictor, asked.top, room)
    return _csv(predictor) if asked.style == "csv" else ("", _json_lines(asked.top, timed))


def _table(predictor: Predictor, top: int, room: int) -> Line:
    from fieldmark.inference.predictor import Unread

    said = [shown(name) for name in predictor.classes]
    widest = max(map(len, [*said, *_KINDS[1:3]] if predictor.bundle.thresholds.decides else said))

    def line(answer: Prediction | Unread) -> str:
        if isinstance(answer, Unread):
            return f"{_name(answer)}  not read   {answer.reason} [{answer.code}]"
        return _line(answer, widest, top, room)

    return line


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


def _json_lines(top: int, timed: bool) -> Line:
    from fieldmark.inference.predictor import Unread

    def line(answer: Prediction | Unread) -> str:
        said = answer.to_dict() if isinstance(answer, Unread) else answer.to_dict(top)
        if not timed:
            said.pop("ms", None)
        return json_line(said)

    return line


def _csv(predictor: Predictor) -> tuple[str, Line]:
    from fieldmark.inference.predictor import Unread

    columns = [f"score:{name}" for name in predictor.classes]

    def line(answer: Prediction | Unread) -> str:
        if isinstance(answer, Unread):
            return table.line([answer.file, "", "", answer.code, "", *("" for _ in columns)])
        scores = {entry.label: f"{entry.score:.6f}" for entry in answer.scores}
        row = [scores[name] for name in predictor.classes]
        told = [answer.label, f"{answer.score:.6f}", "", answer.decision or ""]
        return table.line([answer.file, *told, *row])

    return table.line(["file", "label", "score", "problem", "decision", *columns]), line
