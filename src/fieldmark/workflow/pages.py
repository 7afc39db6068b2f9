"""Where the files of ``check`` and ``show`` go: beside whoever asks, never over foreign files.

Touches the disk. A page, or a list in JSON, is known by a marker in its first bytes, so that asking
again replaces the one of the last time and nothing else.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from fieldmark.atomic import check_room, write_whole
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation.template import PageKind, marker

_OPTION: Final[dict[PageKind, str]] = {"check": "--html", "compare": "--html", "show": "-o"}
_START: Final = 1_000
"""Bytes within which the marker stands."""


def place(given: str | Path, name: str, kind: PageKind, root: Path) -> Path:
    """Decide where a page goes, before any work is done for it.

    Parameters
    ----------
    given : str or Path
        As asked for; empty: ``<name>.<kind>.html`` in the current folder.
    name : str
        Of the data folder; what is no letter, digit, ``.``, ``_`` or ``-`` becomes a dash.
    kind : {"check", "show"}
    root : Path
        The data folder.

    Raises
    ------
    UsageError
        Codes ``page-inside-data`` when nobody named the file and it would lie among the pictures;
        ``file-exists`` when a file stands there that is no such page.
    DataError
        Code ``no-folder``.
    """
    if given:
        path = Path(given)
    else:
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "folder"
        # Bytes, not letters: a file system takes 255 of them.
        path = Path(f"{plain.encode()[:200].decode('utf-8', 'ignore')}.{kind}.html")
        _check_outside(path, root, kind)
    check_replaceable(path, kind)
    return path


def check_replaceable(path: Path, kind: PageKind, mark: str = "") -> None:
    """Refuse a place where a page cannot be written without losing what is not its own.

    ``mark`` is what its first bytes hold; empty: the marker of a page of this kind.

    Raises
    ------
    UsageError
        Code ``file-exists``.
    DataError
        Code ``no-folder``.
    StorageError
        Code ``not-writable``.
    """
    if not path.parent.is_dir():
        raise DataError(
            f"There is no folder {path.parent}.",
            code="no-folder",
            where=str(path),
            hint=f"make the folder, or choose another place with {_OPTION[kind]}",
        )
    check_room(path.parent)
    if os.path.lexists(path) and not _holds(path, mark or marker(kind)):
        raise UsageError(
            f"{path.name} exists already and is no page of fieldmark {kind}.",
            code="file-exists",
            where=str(path),
            why="Only such a page is replaced unasked.",
            hint=f"choose another name with {_OPTION[kind]}, or remove the file",
        )


def write_page(path: Path, html: str, kind: PageKind) -> Path:
    """Write a page whole, replacing only one of its own kind.

    Parameters
    ----------
    path : Path
    html : str
        With the marker of its kind.
    kind : {"check", "show"}

    Returns
    -------
    Path
        The same.

    Raises
    ------
    UsageError, DataError
        As :func:`check_replaceable`.
    StorageError
        An old page is as it was.
    """
    check_replaceable(path, kind)
    write_whole(path, html)
    return path


def _holds(path: Path, mark: str) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return mark.encode() in file.read(_START)


def _check_outside(path: Path, root: Path, kind: PageKind) -> None:
    inside, here = root.resolve(), path.resolve()
    if here.is_relative_to(inside):
        raise UsageError(
            "The page would lie inside the folder of pictures.",
            code="page-inside-data",
            where=str(here),
            why="Your folder is yours: nothing is written into it unasked.",
            hint=f"name the file with {_OPTION[kind]}, or run the command in another folder",
        )
