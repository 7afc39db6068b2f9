"""Records that a command leaves on the disk while it works, so that the next one can go on.

Touches the disk. What it promises:

* A record is read back as it was written or not at all: each line begins with the hash of the
  rest. What follows the first line that is torn or changed is cut off.
* A kill of the process costs no record that was appended; a cut of power those of the last
  :data:`SYNC_S` seconds.
* Nothing is cut off a file that does not begin as a journal, and no link is followed to one.
* Memory holds one record at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from fieldmark.atomic import refusal, storing
from fieldmark.errors import UsageError

SYNC_S: Final = 30.0
"""Seconds between two waits for the disk."""
_N_DIGITS: Final = 16
_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_HEAD: Final = re.compile(rb"[0-9a-f]{0,15}|[0-9a-f]{16}( (\{.*)?)?", re.DOTALL)
"""How a journal begins, wherever it is torn."""


class Journal:
    """One file of records; for one process at a time.

    Parameters
    ----------
    path : Path
        Made if it is missing; its folder exists.

    Raises
    ------
    UsageError
        Code ``file-exists``: a link, or a file that is no journal; it is as it was.
    StorageError
        Here and in every method.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(Path(folder) / "journal") as kept:
    ...         at = kept.append({"n": 1})
    ...     with Journal(Path(folder) / "journal") as kept:
    ...         found = list(kept.records()), kept.read(at)
    >>> found
    ([(0, {'n': 1})], {'n': 1})
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.is_symlink():
            raise _foreign(path)
        with storing(path):
            self._file = os.fdopen(os.open(path, _FLAGS, 0o600), "r+b")
            # Not through the buffer: it would go on holding what stands there now.
            if not _HEAD.fullmatch(os.read(self._file.fileno(), _N_DIGITS + 2)):
                self._file.close()
                raise _foreign(path)
        self._synced = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with storing(self._path):  # what a full disk did not take is tried once more
            self._file.close()

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield where each record is, and the record; then cut off what is none."""
        place = 0
        while (record := self._at(place)) is not None:
            yield place, record
            self._file.seek(place)
            place += len(self._file.readline())
        self.cut(place)

    def read(self, place: int) -> dict[str, Any]:
        """Return the record at a place.

        Raises
        ------
        StorageError
            Its bytes have changed since.
        """
        record = self._at(place)
        if record is None:
            raise refusal(OSError(f"{self._path} was changed while it was in use"))
        return record

    def append(self, record: dict[str, Any]) -> int:
        """Write a record behind the others; return where it is."""
        data = json.dumps(record).encode("ascii")
        with storing(self._path):
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(_digits(data) + b" " + data + b"\n")
            self._file.flush()
            if time.monotonic() - self._synced >= SYNC_S:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        return place

    def cut(self, place: int = 0) -> None:
        """Drop everything from a place on."""
        with storing(self._path):
            self._file.truncate(place)

    def _at(self, place: int) -> dict[str, Any] | None:
        with storing(self._path):
            self._file.seek(place)
            digits, _, data = self._file.readline().partition(b" ")
        if not data.endswith(b"\n") or _digits(data[:-1]) != digits:
            return None
        found: dict[str, Any] = json.loads(data)
        return found


def _foreign(path: Path) -> UsageError:
    return UsageError(
        f"{path.name} is a link, or was not written by this program.",
        code="file-exists",
        where=str(path),
        why="What is done is kept under this name; nothing of yours is written over.",
        hint="move it away, then the same command again",
    )


def _digits(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest()[:_N_DIGITS].encode("ascii")
