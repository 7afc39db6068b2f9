"""One process at a time: a lock that the system lets go of when its process ends, in any way."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


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
        self._file: int | None = None

    def take(self) -> bool:
        """Whether the lock could be taken; where it cannot even be made, nobody else holds it.

        In a folder that is gone nothing can be held: whoever had it is done with it.
        """
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            _lock(file)
        except OSError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Let go of it; harmless when it was not taken."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def wait_for(file: int) -> None:
    """Hold an open file alone until it is closed; where that cannot be had, go on without."""
    if sys.platform == "win32":
        return  # what is locked there cannot be read by others
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)


def _lock(file: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
