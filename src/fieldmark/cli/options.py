"""Options that several verbs share, worded once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from fieldmark.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Print JSON Lines on stdout: one object a line.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")]
Labels = Annotated[str, typer.Option(help="CSV with path,label[,group,split].", metavar="CSV")]
LabelFrom = Annotated[
    str, typer.Option(help="folder, or name:REGEX (first group of the file name).")
]
Groups = Annotated[
    str,
    typer.Option(
        help="Never split apart: folder, name:REGEX, column:NAME or a CSV.", metavar="GROUPS"
    ),
]
Overrides = Annotated[
    str,
    typer.Option(help="Fix list; auto: overrides.csv in the folder; or none.", metavar="CSV"),
]
RunsFolder = Annotated[str, typer.Option(help="Where runs are looked up.", metavar="FOLDER")]
Precision = Annotated[
    str, typer.Option(help="float32, or int8 where the model file holds it.", metavar="PRECISION")
]
Near = Annotated[
    float | None,
    typer.Option(help="Likeness from which on pictures are near copies.", show_default="0.9"),
]
NoClean = Annotated[
    bool,
    typer.Option("--no-clean", help="Leave no copy, conflict or leak out; keep them together."),
]
MAX_FOLDS: Final = 20

_USUAL: Final = {"--label-from": "folder", "--overrides": "auto"}


def checked_folds(n: int | None) -> None:
    """Refuse a number of folds that makes no sense; None and 0: there are none.

    Raises
    ------
    UsageError
        Code ``folds``.
    """
    if n and not 2 <= n <= MAX_FOLDS:
        raise UsageError(
            f"--folds is {n}, but must be 0 or 2 to {MAX_FOLDS}.", code="folds", hint="--folds 5"
        )


def again(verb: str, folder: str, given: Mapping[str, str | float | bool | None]) -> str:
    """Return the command line that goes on with what one verb was given.

    Examples
    --------
    >>> again("train", "pets", {"--groups": "folder", "--overrides": "auto", "--no-clean": True})
    'fieldmark train pets --groups folder --no-clean'
    """
    words = ["fieldmark", verb, folder]
    for option, value in given.items():
        if value in ("", None, False) or value == _USUAL.get(option):
            continue
        words += [option] if value is True else [option, str(value)]
    return shlex.join(words)
