"""Walk a folder and open its files without being led astray.

Everything in a data folder is taken to be hostile: links out of the folder are not followed, pipes
and devices are never opened, files beyond a limit are not read. Every entry that is met is
returned, as a file or as left out with its reason; a hidden or system folder, and a folder reached
by a link, counts as one entry.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from fieldmark.data.manifest import LeftOut
from fieldmark.errors import DataError, UnreadableExample

MAX_BYTES: Final = 200_000_000
"""Of one file."""

_SYSTEM: Final = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "icon\r"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What lies under a folder. Paths are relative to it, with forward slashes, sorted."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def is_system(name: str) -> bool:
    """Tell whether a name is hidden or belongs to the operating system.

    Examples
    --------
    >>> [is_system(name) for name in (".DS_Store", "Thumbs.db", "cat.jpg")]
    [True, True, False]
    """
    return name.startswith(".") or name.lower() in _SYSTEM


def walk(root: Path) -> Tree:
    """List everything under a folder, reading no file."""
    inside = os.path.realpath(root)
    files: list[str] = []
    folders: list[str] = []
    left_out: list[LeftOut] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:  # noqa: PTH118 - a third of the time
                found = list(entries)
        except OSError as error:
            reason = error.strerror or "cannot be listed"
            left_out.append(LeftOut(path=folder, code="unreadable-folder", reason=reason))
            continue
        for entry in found:
            path = f"{folder}/{entry.name}" if folder else entry.name
            kind, reason = _kind(entry, inside)
            if kind == "file":
                files.append(path)
            elif kind == "folder":
                folders.append(path)
                waiting.append(path)
            else:
                left_out.append(LeftOut(path=path, code=kind, reason=reason))
    return Tree(
        files=tuple(sorted(files)),
        folders=tuple(sorted(folders)),
        left_out=tuple(sorted(left_out, key=lambda entry: entry.path)),
    )


def _kind(entry: os.DirEntry[str], inside: str) -> tuple[str, str]:
    """Return ``("file", "")``, ``("folder", "")`` or the code and the reason for leaving it out."""
    if is_system(entry.name):
        return "system-file", "hidden or made by the operating system"
    if entry.is_symlink():
        return link_kind(entry.path, inside)
    if entry.is_dir(follow_symlinks=False):
        return "folder", ""
    if entry.is_file(follow_symlinks=False):
        return "file", ""
    return "not-a-file", "a pipe, device or socket"


def link_kind(path: str, inside: str) -> tuple[str, str]:
    """Judge a link by where it ends; ``inside`` is the real path of the folder it must stay in."""
    target = os.path.realpath(path)
    if not is_inside(target, inside):
        return "link-outside", "a link to a place outside the folder"
    try:
        mode = os.stat(target).st_mode  # noqa: PTH116
    except OSError:
        return "link-broken", "a link to nothing"
    if stat.S_ISDIR(mode):
        return "link-to-folder", "a link to a folder; the folder itself is read"
    if stat.S_ISREG(mode):
        return "file", ""
    return "not-a-file", "a link to a pipe, device or socket"


def is_inside(path: str, folder: str) -> bool:
    """Tell whether a real path is the folder or lies under it; both are real paths."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open one regular file of at most :data:`MAX_BYTES` for reading.

    Raises
    ------
    UnreadableExample
        Codes ``vanished``, ``no-permission``, ``not-a-file``, ``too-big``, ``unreadable``; also for
        errors while reading inside the ``with``.
    """
    try:  # Path.open has no opener
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableExample("a pipe, device or socket", code="not-a-file")
            if status.st_size > MAX_BYTES:
                size = f"{status.st_size / 1e6:,.0f} MB, more than {MAX_BYTES // 10**6}"
                raise UnreadableExample(size, code="too-big")
            yield file
    except FileNotFoundError as error:
        raise UnreadableExample("the file has vanished", code="vanished") from error
    except PermissionError as error:
        raise UnreadableExample("no permission to read it", code="no-permission") from error
    except IsADirectoryError as error:
        raise UnreadableExample("a folder", code="not-a-file") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableExample(f"cannot be read ({reason})", code="unreadable") from error


def read(path: Path) -> bytes:
    """Read all of one regular file; no more of it than the limit, though it may be growing.

    Raises
    ------
    UnreadableExample
        As :func:`opened`.
    """
    with opened(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UnreadableExample(f"more than {MAX_BYTES // 10**6} MB", code="too-big")
    return data


def check_there(root: Path, n_files: int, reasons: Iterable[str]) -> None:
    """Refuse a folder of which every file has vanished since it was listed.

    Parameters
    ----------
    root : Path
    n_files : int
        That were listed.
    reasons : iterable of str
        The codes of those that could not be read.

    Raises
    ------
    DataError
        Code ``folder-vanished``.

    Examples
    --------
    >>> check_there(Path("flowers"), 3, ["vanished", "vanished"])
    """
    if n_files and sum(code == "vanished" for code in reasons) == n_files:
        raise DataError(
            f"Not one of the {n_files:,} files is there any more.",
            code="folder-vanished",
            where=str(root),
            why="The folder was moved, removed or unmounted while this ran.",
            hint="bring it back, then run the same command again",
        )


def _without_waiting(path: str, flags: int) -> int:
    # A pipe that took the file's place would otherwise keep us waiting for ever. Windows has no
    # such flag.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
