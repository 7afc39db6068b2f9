"""The command line: one file per verb. Parse, call one function, print.

Results go to stdout, everything else to stderr. Nothing heavy is imported before a verb needs it.
To add a verb: write ``cli/<verb>.py`` with one function whose docstring is its help and ends in an
example, and add it to ``VERBS``.

Exit status: 0 done, 1 a fault in fieldmark, 2 wrong usage, 3 a problem in the data or some input
files, 4 a gate asked for was not met, 5 something optional is missing, 6 the model file is damaged,
unsafe or too new, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import click
import typer

from fieldmark.cli import check, demo, evaluate, net, predict, runs, train
from fieldmark.cli.screen import Screen, error_lines, screen
from fieldmark.errors import FieldmarkError
from fieldmark.version import __version__

VERBS: Final[dict[str, Callable[..., Any]]] = {
    "demo": demo.demo,
    "check": check.check,
    "net": net.net,
    "train": train.train,
    "evaluate": evaluate.evaluate,
    "predict": predict.predict,
    "runs": runs.runs,
}
"""Every verb, in the order shown."""

INTERRUPTED: Final = 130

app = typer.Typer(
    name="fieldmark",
    no_args_is_help=True,
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


@app.callback()
def _fieldmark(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    r"""Turn a folder of labelled pictures into a convolutional network you can trust.

    \b
    fieldmark demo                    the whole way once, on real digits
    fieldmark train FOLDER            check, split, train, measure, report
    fieldmark predict latest *.jpg    name new pictures
    """
    screen().settle(no_color=no_color, debug=debug)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.
    """
    given = list(arguments)
    for flag in ("--no-color", "--debug"):  # accepted before and after the verb
        if flag in given:
            given = [flag, *(word for word in given if word != flag)]
    shown = Screen.reset()
    try:
        result = app(given, prog_name="fieldmark", standalone_mode=False)
    except FieldmarkError as error:
        shown.error(error_lines(error))
        if shown.debug:
            traceback.print_exc()
        return error.exit_status
    except click.ClickException as error:
        shown.error([f"fieldmark: {error.format_message()} [usage]", "  next:  fieldmark --help"])
        return 2
    except (KeyboardInterrupt, click.Abort):
        shown.error(["fieldmark: stopped by Ctrl-C. [interrupted]"])
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone, as `| head` does; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the last net: a fault of ours, said as one
        return _fault(shown, error)
    return result if isinstance(result, int) else 0


def _fault(shown: Screen, error: Exception) -> int:
    shown.error(
        [
            f"fieldmark: a fault in fieldmark: {type(error).__name__}: {error} [fault]",
            "  why:   This should not happen, whatever the input.",
            "  next:  run it again with --debug and report what it prints",
        ]
    )
    if shown.debug:
        traceback.print_exc()
    return 1
