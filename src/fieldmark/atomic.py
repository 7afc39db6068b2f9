"""Write a file whole or not at all: the one way that runs and model files reach the disk.

Here an ``OSError`` of our own writing becomes a :class:`~fieldmark.errors.StorageError`, whatever
is written; nowhere else.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from fieldmark.errors import StorageError

PREFIX: Final = ".fieldmark-"
SUFFIX: Final = ".part"
"""Of the name that something has until it is whole."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)
_PLACES: Final = "-o FOLDER; for the cache, the variable FIELDMARK_CACHE"
_ADVICE: Final = {
    "disk-full": "make room, then the same command again: a training goes on where it stood;\n"
    f"or write elsewhere: {_PLACES}",
    "not-writable": f"allow it, or write elsewhere: {_PLACES}",
    "system": "look at the disk, then the same command again: a training goes on where it stood",
}


def write_whole(path: Path, content: bytes | str | Iterable[bytes], *, kind: str = "") -> None:
    """Write a file so that a kill at any moment leaves the old one or the new one whole.

    A temporary name in the same folder, fsync, rename, fsync of the folder.

    Parameters
    ----------
    path : Path
        Its folder exists. A file of that name is replaced.
    content : bytes, str or iterable of bytes
        Text is written as UTF-8; names of files that are not UTF-8 come out as the bytes they are.
    kind : str, default=""
        Of the temporary name, as for :func:`unnamed`.

    Raises
    ------
    StorageError
        The old file is as it was; or the new one is there, and may not outlive a cut of power.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    pieces = [content] if isinstance(content, bytes) else content
    temporary = path.with_name(unnamed(kind))
    with storing(path, needed=len(content) if isinstance(content, bytes) else 0):
        try:
            with temporary.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            give_name(temporary, path)
        except BaseException:
            with suppress(OSError):  # what went wrong first is what is said
                temporary.unlink(missing_ok=True)
            raise


def unnamed(kind: str = "") -> str:
    """Return a name for something that is not whole yet; a kind tells whose it is."""
    return f"{PREFIX}{kind}{secrets.token_hex(8)}{SUFFIX}"


def give_name(temporary: Path, path: Path) -> None:
    """Give a file that has reached the disk its name, so that a cut of power cannot undo it.

    Raises
    ------
    StorageError
        The name is as it was; or it is given, and may not outlive a cut of power.
    """
    with storing(path):
        temporary.replace(path)
        if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is journalled
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@contextmanager
def storing(path: Path, *, needed: int = 0, hint: str = "") -> Iterator[None]:
    """Turn an ``OSError`` of what stands inside into an error with four parts.

    Parameters
    ----------
    path : Path
        What is written, for the message.
    needed : int, default=0
        Bytes that have to be free; 0: not known.
    hint : str, default=""
        What to do next, where it is something else than usual.

    Raises
    ------
    StorageError
        Codes ``disk-full``, ``not-writable`` and, for all else, ``system``.

    Examples
    --------
    >>> with storing(Path("model"), hint="make room"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    fieldmark.errors.StorageError: model could not be written: No space left on device. [disk-full]
      where: ...
    """
    try:
        yield
    except StorageError:  # said already, nearer to what happened
        raise
    except OSError as error:
        raise refusal(error, path, needed, hint) from error


def check_room(path: Path, needed: int = 0, *, hint: str = "") -> None:
    """Refuse a place where something could not be written, before it is worked for.

    Parameters
    ----------
    path : Path
        A folder that is there, or will be made.
    needed : int, default=0
        Bytes that have to be free there.
    hint : str, default=""
        As for :func:`storing`.

    Raises
    ------
    StorageError
        Codes ``not-writable``, ``disk-full``.

    Examples
    --------
    >>> check_room(Path("runs/next"), 1_000)
    """
    place = existing(path)
    with storing(path, needed=needed, hint=hint):
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{place} is no folder")
        if not os.access(place, os.W_OK | os.X_OK):
            read_only = hasattr(os, "statvfs") and os.statvfs(place).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            raise OSError(number, os.strerror(number))
        if shutil.disk_usage(place).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refusal(
    error: OSError, path: Path | None = None, needed: int = 0, hint: str = ""
) -> StorageError:
    """Say what the system refused, as :func:`storing` does; without a path, as it says itself.

    Examples
    --------
    >>> refusal(OSError(errno.EROFS, "Read-only file system", "/mnt/a")).to_dict()["what"]
    'Read-only file system: /mnt/a.'
    """
    code = "system"
    if error.errno in _FULL:
        code = "disk-full"
    elif error.errno in _REFUSED:
        code = "not-writable"
    reason = error.strerror or str(error) or type(error).__name__
    if path is not None:
        what = f"{path.name or path} could not be written: {reason}."
    else:
        name = error.filename  # of some calls a number
        what = f"{reason}: {os.fsdecode(name)}." if isinstance(name, str | bytes) else f"{reason}."
    said = StorageError(
        what.replace("\n", "\\n"),  # a name must not look like a second line of the message
        code=code,
        where=str(path or "").replace("\n", "\\n"),
        why=_space(path, needed) if path and code == "disk-full" else "",
        hint=hint or _ADVICE[code],
    )
    said.errno, said.strerror = error.errno, reason
    return said


def _space(path: Path, needed: int) -> str:
    with suppress(OSError):
        free = shutil.disk_usage(existing(path)).free
        wanted = f", {_size(needed)} are needed" if needed else ""
        return f"{_size(free)} are free there{wanted}."
    return ""


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes >= 100_000 else f"{n_bytes:,} bytes"


def existing(path: Path) -> Path:
    """Return the path, or the nearest thing above it that is there; only a folder can hold it.

    Examples
    --------
    >>> existing(Path.cwd() / "not" / "there") == Path.cwd()
    True
    """
    found = path.absolute()
    while not found.exists() and found != found.parent:
        found = found.parent
    return found
