"""The command line: one file per verb. Parse, call one function, print.

Results go to stdout, everything else to stderr. Nothing heavy is imported before a verb needs it.
To add a verb: write ``cli/<verb>.py`` with one function whose docstring is its help, one short
sentence first and an example last, and add it to ``VERBS``; then ``python docs/generate.py``.

Exit status: 0 done, 1 a fault in fieldmark, 2 wrong usage, 3 a problem in the data or some input
files, 4 a gate asked for was not met, 5 something optional is missing, 6 the model file is damaged,
unsafe or too new, 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from inspect import getdoc
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from fieldmark.atomic import refusal
from fieldmark.cli import (
    check,
    compare,
    demo,
    doctor,
    evaluate,
    inspect,
    net,
    predict,
    reproduce,
    runs,
    show,
    split,
    train,
)
from fieldmark.cli.screen import Screen, error_lines, screen
from fieldmark.cli.screen import shown as readable
from fieldmark.ending import INTERRUPTED, drop
from fieldmark.errors import FieldmarkError, OutOfMemory, out_of_memory
from fieldmark.version import __version__

VERBS: Final[dict[str, Callable[..., Any]]] = {
    "demo": demo.demo,
    "doctor": doctor.doctor,
    "check": check.check,
    "show": show.show,
    "split": split.split,
    "net": net.net,
    "train": train.train,
    "evaluate": evaluate.evaluate,
    "compare": compare.compare,
    "reproduce": reproduce.reproduce,
    "predict": predict.predict,
    "inspect": inspect.inspect,
    "runs": runs.runs,
}
"""Every verb, in the order shown."""

_WHAT: Final = "Turn a folder of labelled pictures into a convolutional network you can trust."
_EXAMPLES: Final = (
    "fieldmark demo                  the whole way once",
    "fieldmark train FOLDER          check, train and measure",
    "fieldmark predict latest *.jpg  name new pictures",
)
_ANYWHERE: Final = ("--no-color", "--debug")
"""Global options that are accepted behind the verb too."""


class _Carried(Exception):
    """Something that Typer would turn into an exit status of its own."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Verbs(TyperGroup):
    """All verbs; Ctrl-C and a reader that has gone leave it as they are."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, EOFError, OSError) as error:
            raise _Carried(error) from error


app = typer.Typer(
    name="fieldmark",
    cls=_Verbs,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _name, _verb in VERBS.items():
    app.command(_name)(_verb)


def _version(wanted: bool) -> None:
    if wanted:
        screen().result(f"fieldmark {__version__}")
        raise typer.Exit


# The backspace on a line of its own keeps Typer from joining the lines of the paragraph.
@app.callback(invoke_without_command=True, help="\n".join([_WHAT, "", "\b", *_EXAMPLES]))
def _fieldmark(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    shown = screen().settle(no_color=no_color, debug=debug)
    if context.invoked_subcommand is None:
        shown.results(_short_help(shown.width))


def _short_help(width: int) -> Iterator[str]:
    """Say in a dozen lines what there is to type."""
    yield from textwrap.wrap(_WHAT, width)
    yield ""
    yield from (f"  {example}" for example in _EXAMPLES[1:])
    yield ""
    for name, verb in VERBS.items():
        line = f"  {name:<9} {(getdoc(verb) or '').partition('.')[0]}"
        yield from textwrap.wrap(line, width, subsequent_indent=" " * 12)
    yield ""
    yield "fieldmark VERB --help explains one of them."


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.
    """
    shown = Screen.reset()
    try:
        result = app(_globals_first(arguments), prog_name="fieldmark", standalone_mode=False)
    except _Carried as carried:
        return _failed(shown, carried.error, arguments)
    except Exception as error:  # the last net
        return _failed(shown, error, arguments)
    status = result if isinstance(result, int) else 0
    return _failed(shown, shown.unheard, arguments) if shown.unheard and not status else status


def _globals_first(arguments: Sequence[str]) -> list[str]:
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    moved = [word for word in words[:end] if word in _ANYWHERE]
    return [*moved, *(word for word in words[:end] if word not in _ANYWHERE), *words[end:]]


def _failed(shown: Screen, error: BaseException, arguments: Sequence[str]) -> int:
    """Say what went wrong; return the exit status."""
    status, shown.stream = 1, False
    if out_of_memory(error):
        error = OutOfMemory(
            f"There is no memory left: {error}.",
            code="out-of-memory",
            hint="end other programs, or a smaller --size or --batch",
        )
    elif isinstance(error, OSError) and not isinstance(error, FieldmarkError | BrokenPipeError):
        error = refusal(error)  # not of a file of ours: the results' own way, or a file to read
    match error:
        case FieldmarkError():
            lines, status = error_lines(error), error.exit_status
            if shown.as_json:
                shown.json({"error": error.to_dict()})
        case typer.TyperException():
            lines, status = _usage_lines(error, arguments), 2
        case KeyboardInterrupt() | typer.Abort() | EOFError():
            shown.error(["fieldmark: stopped by Ctrl-C. [interrupted]"])
            return INTERRUPTED
        case BrokenPipeError():
            # The reader has gone, as `| head` does; nothing more can be said to it.
            drop(sys.stdout)
            return 0
        case RuntimeError() if "can't start new thread" in str(error):
            hint = "  next:  end other programs, or allow more (ulimit -u)"
            lines, status = ["fieldmark: the system starts no more threads. [system]", hint], 3
        case _:  # a fault of ours, said as one
            words = "; ".join([f"{type(error).__name__}: {error}", *_notes(error)])
            lines = [
                f"fieldmark: a fault in fieldmark: {readable(words)} [fault]",
                "  why:   This should not happen, whatever the input.",
                "  next:  run it again with --debug and report what it prints",
            ]
    shown.error(lines)
    if shown.debug:
        lines = "".join(traceback.format_exception(error)).splitlines()
        shown.error([readable(line) for line in lines])
    return status


def _notes(error: BaseException) -> list[str]:
    """Return what was noted while it passed by, such as the file it came from."""
    return getattr(error, "__notes__", [])


def _usage_lines(error: typer.TyperException, arguments: Sequence[str]) -> list[str]:
    context = getattr(error, "ctx", None)
    # Typer's own parser loses sight of the verb where an option lacks its value.
    verb = next((word for word in arguments if word in VERBS), "")
    command = context.command_path if context else f"fieldmark {verb}".rstrip()
    what = " ".join(error.format_message().split())
    param: Any = getattr(error, "param", None)
    if param and param.param_type_name == "argument":  # named as the usage line names it
        what = what.replace(f"'{param.name}'", f"'{param.name.upper()}'")
    return [f"fieldmark: {what} [usage]", f"  next:  {command} --help"]
