"""Write a file whole or not at all: the one way that runs and model files reach the disk."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, content: bytes | str | Iterable[bytes]) -> None:
    """Write a file so that a kill at any moment leaves the old one or the new one whole.

    A temporary name in the same folder, fsync, rename, fsync of the folder.

    Parameters
    ----------
    path : Path
        Its folder exists. A file of that name is replaced.
    content : bytes, str or iterable of bytes
        Text is written as UTF-8; names of files that are not UTF-8 come out as the bytes they are.

    Raises
    ------
    OSError
        The disk is full, read-only and the like; the old file is as it was.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    pieces = [content] if isinstance(content, bytes) else content
    temporary = path.with_name(f".fieldmark-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        give_name(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def give_name(temporary: Path, path: Path) -> None:
    """Give a file that has reached the disk its name, so that a cut of power cannot undo it.

    Raises
    ------
    OSError
        The name is as it was.
    """
    temporary.replace(path)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is journalled
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
