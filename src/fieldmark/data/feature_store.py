"""Rows of numbers on disk by name, features and looks, in segments that are written whole.

Touches the disk. What it promises:

* A row is found by the name it was stored under, whichever run wrote it: a folder that grew, or an
  extraction that was killed, costs only what is missing.
* A segment is two immutable files, ``<id>.npy`` and then ``<id>.json``, each written whole; a kill
  leaves nothing that is taken for a segment, and two processes cannot disturb each other.
* Beyond its limit, the shelves used longest ago go first, whole; the one in use stays.

Not promised: damage inside a file of the right size is not noticed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.atomic import PREFIX, SUFFIX, check_room, storing, write_whole
from fieldmark.data.arrays import mapped
from fieldmark.errors import StorageError

SEGMENT_ROWS: Final = 1024
"""Rows that are written together; what a kill can cost, if they take less than this time:"""
SEGMENT_S: Final = 30.0
STALE_S: Final = 24 * 3600.0
"""Age of what a killed process must have left behind."""
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_STEM: Final = re.compile(r"[0-9a-f]{24}")
"""Names of ours; whatever else lies beside them is somebody's own."""


class FeatureShelf:
    """The rows of one kind: one backbone, one decode spec, one engine.

    Parameters
    ----------
    directory : Path or None
        The cache folder; None keeps nothing.
    key : str
        32 hexadecimal digits that differ whenever a row's numbers could.
    width : int
        Numbers in a row.
    limit_bytes : int
        Of all shelves together.
    kind : {"features", "looks"}, default="features"
        What the rows are: float32, or the bytes of records. Each kind has a limit of its own.
    """

    def __init__(
        self,
        directory: Path | None,
        key: str,
        width: int,
        limit_bytes: int,
        kind: Literal["features", "looks"] = "features",
    ) -> None:
        self._dtype = np.float32 if kind == "features" else np.uint8
        self._folder = None if directory is None else directory / kind / key
        self._width = width
        self._limit_bytes = limit_bytes
        self._kind = kind
        self.problem = ""
        """Why something could not be kept; empty: all was."""
        self._places: dict[str, tuple[Path, int]] = {}
        self._added = time.monotonic()
        if self._folder is not None and self._folder.is_dir():
            for facts in sorted(self._folder.glob("*.json")):
                self._places.update(self._rows_of(facts))
            with contextlib.suppress(OSError):
                os.utime(self._folder)  # last used now

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def read(self, names: Sequence[str], out: NDArray[Any]) -> NDArray[np.bool_]:
        """Copy the rows of ``names``, all of which are here, into ``out`` of shape (n, width).

        Returns
        -------
        bool array of shape (n,)
            Which were copied. Another process may have taken a segment away in the meantime, to
            keep to its limit; what was in it is not here any more.
        """
        by_file: dict[Path, list[tuple[int, int]]] = {}
        for at, name in enumerate(names):
            path, row = self._places[name]
            by_file.setdefault(path, []).append((at, row))
        copied = np.zeros(len(names), np.bool_)
        for path, pairs in by_file.items():
            here, there = np.array(pairs, np.int64).T
            try:
                out[here] = mapped(path)[there]
            except (OSError, ValueError):
                for at in here:
                    self._places.pop(names[at], None)
                continue
            copied[here] = True
        return copied

    def due(self, n_rows: int) -> bool:
        """Whether so many rows that are not written yet should be written now."""
        return n_rows >= SEGMENT_ROWS or (
            n_rows > 0 and time.monotonic() - self._added >= SEGMENT_S
        )

    def add(self, names: Sequence[str], rows: NDArray[Any]) -> None:
        """Write one segment; without a folder, or where it cannot be written, nothing is kept."""
        self._added = time.monotonic()
        if self._folder is None or not names:
            return
        stem = hashlib.sha256("\n".join(names).encode()).hexdigest()[:24]
        data = io.BytesIO()
        np.save(data, np.ascontiguousarray(rows, self._dtype), allow_pickle=False)
        # A full or read-only disk costs the next run its head start, and this one nothing.
        try:
            with storing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self._folder / f"{stem}.npy", data.getvalue())
            write_whole(self._folder / f"{stem}.json", json.dumps(list(names)))
        except StorageError as error:
            self.problem = (
                f"The {self._kind} of the pictures could not be kept: {error.strerror}. "
                "The next run computes them again."
            )
        with contextlib.suppress(OSError):
            self._sweep()
            self._keep_to_limit()

    def _rows_of(self, facts: Path) -> Iterable[tuple[str, tuple[Path, int]]]:
        """Names and places of one segment; none for any doubt."""
        path = facts.with_suffix(".npy")
        try:
            names = json.loads(facts.read_text(encoding="utf-8"))
            rows = mapped(path)
            if rows.dtype != self._dtype or rows.shape != (len(names), self._width):
                return
        except (OSError, ValueError, TypeError, EOFError):
            return
        yield from ((str(name), (path, row)) for row, name in enumerate(names))

    def _sweep(self) -> None:
        """Remove what killed processes left behind: files without a name, rows without names."""
        for path in self._folder.iterdir() if self._folder is not None else ():
            orphan = path.suffix == ".npy" and not path.with_suffix(".json").exists()
            unnamed = path.name.startswith(PREFIX) and path.suffix == SUFFIX
            if unnamed or (orphan and _STEM.fullmatch(path.stem)):
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > STALE_S:
                        path.unlink()

    def _keep_to_limit(self) -> None:
        if self._folder is None:
            return
        shelves = []
        for folder in self._folder.parent.iterdir():
            if not _KEY.fullmatch(folder.name):
                continue
            with contextlib.suppress(OSError):
                size = sum(file.stat().st_size for file in folder.iterdir())
                shelves.append((folder.stat().st_mtime, size, folder))
        total = sum(size for _, size, _ in shelves)
        for _, size, folder in sorted(shelves):
            if total <= self._limit_bytes:
                return
            if folder != self._folder:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size


def room_for(
    n_rows: int,
    width: int,
    dtype: type[np.generic],
    in_memory_bytes: int = 0,
    hint: str = "make room, or set TMPDIR to a folder on another disk",
) -> NDArray[Any]:
    """Make room for rows: in memory, or in a nameless file when they take more bytes than that.

    Raises
    ------
    StorageError
        There is no room for the file.

    Returns
    -------
    array of shape (n_rows, width)
        Zeros; the space of a file is free again when the array is.
    """
    size = n_rows * width * np.dtype(dtype).itemsize
    if size <= in_memory_bytes:
        return np.zeros((n_rows, width), dtype)
    folder = Path(tempfile.gettempdir())
    with storing(folder, needed=size, hint=hint), tempfile.TemporaryFile(dir=folder) as file:
        check_room(folder, size, hint=hint)
        if hasattr(os, "posix_fallocate"):  # a disk that is full later would kill, not raise
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "w+", shape=(n_rows, width))
