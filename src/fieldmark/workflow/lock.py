"""One process at a time: a lock that the system lets go of when its process ends, in any way."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO


class Lock:
    """An advisory lock on a file that is made for it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, other = Lock(Path(folder) / "lock"), Lock(Path(folder) / "lock")
    ...     taken = one.take(), other.take()
    ...     one.release()
    ...     later = other.take()
    ...     other.release()
    >>> taken, later
    ((True, False), True)
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Whether the lock could be taken; where it cannot even be made, nobody else holds it."""
        try:
            file = self._path.open("ab")
        except OSError:
            return True
        try:
            _lock(file)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Let go of it; harmless when it was not taken."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
