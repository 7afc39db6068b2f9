"""The bytes of a file that somebody named: all of them, or the reason why not."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from fieldmark.errors import UnreadableExample

MAX_FILE_BYTES: Final = 200_000_000
"""A larger file is no picture that anyone meant."""


def read_file(path: Path | str) -> bytes:
    """Read all of one regular file, without waiting for a pipe and without filling the memory.

    Raises
    ------
    UnreadableExample
        ``no-file``, ``no-permission``, ``too-big`` or ``unreadable``.
    """
    try:
        return _read_regular(path)
    except UnreadableExample:
        raise
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in it
        raise UnreadableExample("there is no such file", code="no-file") from error
    except PermissionError as error:
        raise UnreadableExample("no permission to read it", code="no-permission") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableExample(f"cannot be read ({reason})", code="unreadable") from error


def _read_regular(path: Path | str) -> bytes:
    # Without O_NONBLOCK, opening a pipe would wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise UnreadableExample("not a file", code="no-file")
        with open(handle, "rb", closefd=False) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_FILE_BYTES:
        megabytes = MAX_FILE_BYTES // 10**6
        raise UnreadableExample(f"the file has more than {megabytes} MB", code="too-big")
    return data
