"""The files of the cache: written whole or not at all, checked before use, oldest removed first.

Touches the disk. An entry is ``<key>.npy``, an ordinary NumPy file, and ``<key>.json``, which is
written last and makes it an entry. Rows stand in the order of the sorted hashes, so that two
processes write the same bytes and may overwrite each other at any moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.atomic import check_room, storing
from fieldmark.data.arrays import mapped
from fieldmark.data.feature_store import STALE_S
from fieldmark.modalities.base import DECODE_VERSION

SCHEMA: Final = "fieldmark.cache/1"
_HEADER_BYTES: Final = 128
HINT: Final = "make room there, set FIELDMARK_CACHE to a folder on another disk, or --no-cache"
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_BUILDING: Final = re.compile(r"\.building-[a-z0-9_]+\.(npy|json)")
"""Names of ours; whatever else lies in the folder is somebody's own."""
_TEMPORARY: Final = "make room there, or set TMPDIR to a folder on another disk"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """One complete entry, mapped."""

    pixels: NDArray[np.uint8]
    hashes: tuple[str, ...]
    """SHA-256 of the content in each row."""
    failures: dict[str, tuple[str, str]]
    """Code and reason of each content that no picture could be made of."""


class Writer:
    """A file that takes rows in any order and then either becomes an entry or vanishes.

    Written with ordinary writes, not through a mapping: a full disk is then an error with a name
    instead of a signal that kills the process.

    Parameters
    ----------
    directory : Path or None
        The cache; None: a temporary folder.
    n_rows : int
    shape : tuple of int
        Of a row.

    Raises
    ------
    StorageError
        Here and in every method.
    """

    def __init__(self, directory: Path | None, n_rows: int, shape: tuple[int, int, int]) -> None:
        self.shape = (n_rows, *shape)
        self._row_bytes = int(np.prod(shape))
        size = _HEADER_BYTES + n_rows * self._row_bytes
        place = directory or Path(tempfile.gettempdir())
        self._hint = HINT if directory else _TEMPORARY
        with storing(place, needed=size, hint=self._hint):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            check_room(place, size, hint=self._hint)
            handle, name = tempfile.mkstemp(prefix=".building-", suffix=".npy", dir=place)
        self.path = Path(name)
        self._file: BinaryIO = os.fdopen(handle, "wb")

    def __enter__(self) -> Writer:
        try:
            with storing(self.path.parent, hint=self._hint):
                self._file.write(_header(self.shape))
                self._file.truncate(_HEADER_BYTES + self.shape[0] * self._row_bytes)
        except BaseException:  # where entering fails, nobody leaves
            self._vanish()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._vanish()

    def _vanish(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        _remove(self.path)

    def put(self, row: int, array: NDArray[np.uint8]) -> None:
        """Write one row."""
        with storing(self.path.parent, hint=self._hint):
            self._file.seek(_HEADER_BYTES + row * self._row_bytes)
            self._file.write(np.ascontiguousarray(array).data)

    def finish(self) -> None:
        """Bring everything to the disk and close the file."""
        with storing(self.path.parent, hint=self._hint):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def keep_for_now(self, hashes: list[str], failures: dict[str, tuple[str, str]]) -> Stored:
        """Map the file without a name: its space is free again when the array is."""
        self.finish()
        pixels = mapped(self.path)
        try:
            self.path.unlink()
        except OSError:  # Windows keeps mapped files; remove it with the array, or at the end
            weakref.finalize(pixels, _remove, self.path)
        return Stored(pixels=pixels, hashes=tuple(hashes), failures=failures)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


class Shelf:
    """The folder of entries."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self.directory = directory
        self._limit_bytes = limit_bytes

    def find(self, key: str, shape: tuple[int, int, int], hashes: list[str]) -> Stored | None:
        """Return a complete entry of exactly this shape and these contents; None for any doubt."""
        try:
            facts = json.loads(self._facts_path(key).read_text(encoding="utf-8"))
            stored = _read(facts, self._pixels_path(key), hashes)
        except (OSError, ValueError, TypeError, KeyError, EOFError):
            return None
        if stored.pixels.shape != (len(hashes), *shape):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._facts_path(key))  # last used now
        return stored

    def publish(
        self, writer: Writer, key: str, hashes: list[str], failures: dict[str, tuple[str, str]]
    ) -> Stored:
        """Make a finished file an entry and return it mapped; then keep to the limit."""
        writer.finish()
        facts = {
            "schema": SCHEMA,
            "decode_version": DECODE_VERSION,
            "shape": writer.shape,
            "hashes": hashes,
            "failures": failures,
        }
        with storing(self.directory, hint=HINT):
            temporary = writer.path.with_suffix(".json")
            try:
                with temporary.open("w", encoding="utf-8") as file:
                    json.dump(facts, file)
                    file.flush()
                    os.fsync(file.fileno())
                pixels = mapped(
                    writer.path
                )  # before the rename: ours even if another process evicts it
                with contextlib.suppress(PermissionError):  # Windows: another process has it mapped
                    writer.path.replace(self._pixels_path(key))
                    temporary.replace(self._facts_path(key))
            finally:
                _remove(temporary)
        self._keep_to_limit(key)
        return Stored(pixels=pixels, hashes=tuple(hashes), failures=failures)

    def _keep_to_limit(self, in_use: str) -> None:
        """Remove the least recently used entries, and what killed processes left behind."""
        entries: list[tuple[float, int, str]] = []
        with contextlib.suppress(OSError):
            for path in self.directory.iterdir():
                with contextlib.suppress(OSError):
                    building, ours = _BUILDING.fullmatch(path.name), _KEY.fullmatch(path.stem)
                    status = path.stat()
                    # A kill between the two renames leaves pixels without their facts.
                    orphan = path.suffix == ".npy" and not self._facts_path(path.stem).exists()
                    if building or (ours and orphan):
                        if time.time() - status.st_mtime > STALE_S:
                            path.unlink()
                    elif ours and path.suffix == ".json" and self._pixels_path(path.stem).exists():
                        size = status.st_size + self._pixels_path(path.stem).stat().st_size
                        entries.append((status.st_mtime, size, path.stem))
        total = sum(size for _, size, _ in entries)
        for _, size, key in sorted(entries):
            if total <= self._limit_bytes:
                return
            if key != in_use:
                with contextlib.suppress(OSError):
                    self._facts_path(key).unlink()  # first: without it the other is no entry
                    self._pixels_path(key).unlink()
                    total -= size

    def _pixels_path(self, key: str) -> Path:
        return self.directory / f"{key}.npy"

    def _facts_path(self, key: str) -> Path:
        return self.directory / f"{key}.json"


def _header(shape: tuple[int, ...]) -> bytes:
    """Return a NumPy file header, version 1.0, padded to a fixed length."""
    fields = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    text = fields.ljust(_HEADER_BYTES - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin-1")


def _read(facts: Any, path: Path, hashes: list[str]) -> Stored:
    if (facts["schema"], facts["decode_version"]) != (SCHEMA, DECODE_VERSION):
        raise ValueError("written by another version")
    if facts["hashes"] != hashes:
        raise ValueError("other contents")
    shape = tuple(facts["shape"])
    with path.open("rb") as file:
        whole = file.read(_HEADER_BYTES) == _header(shape)
    if not whole or path.stat().st_size != _HEADER_BYTES + int(np.prod(shape)):
        raise ValueError("damaged or cut short")
    failures = {
        str(sha): (str(code), str(reason)) for sha, (code, reason) in facts["failures"].items()
    }
    return Stored(pixels=mapped(path), hashes=tuple(hashes), failures=failures)
