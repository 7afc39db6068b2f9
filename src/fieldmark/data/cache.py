"""Decode every picture once into a memory-mapped file, keyed by what the pictures are.

Touches the disk. What it promises:

* The key is the decode spec and the set of content hashes: renamed, moved or relabelled files hit
  the cache, a changed pixel or rule misses it.
* An entry is two immutable files, ``<key>.npy`` and ``<key>.json``, written under temporary names
  and renamed when complete; a kill leaves nothing that is taken for an entry, and two processes
  that build the same one end with the same bytes.
* Nothing is kept in memory because there are many pictures.
* The bytes decoded are the bytes that were hashed.
* Never inside the user's data folder; never beyond its limit, the least recently used going first.

Not promised: damage inside a file of the right size is not noticed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fieldmark.data import files, store
from fieldmark.data.manifest import Manifest
from fieldmark.data.reading import FilePixels, Troubles, decoded_contents
from fieldmark.errors import UsageError
from fieldmark.modalities.base import InputSpec, Modality

Pixels = NDArray[np.uint8] | FilePixels

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """Where decoded pictures are kept, and how much of them."""

    directory: Path | None = None
    """None is ``FIELDMARK_CACHE``, else the platform's folder for caches."""
    enabled: bool = True
    """False decodes into a temporary file that is gone afterwards."""
    limit_bytes: int = 20 * 2**30
    """Of all entries together; the one in use stays even when it is larger."""
    threads: int = 2
    """Pictures decoded at the same time, at least 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """Pictures as arrays, and the manifest of those that could be read."""

    manifest: Manifest
    pixels: Pixels
    """Read-only, shape (n_rows, height, width, channels); memory-mapped, one row per distinct
    content, or decoded when looked at. Rows of contents that could not be read are 0 and never
    referred to."""
    rows: NDArray[np.int64]
    """Shape (n_examples,): the row of each of the manifest's examples."""


def default_directory() -> Path:
    """Return ``$FIELDMARK_CACHE``, or ``fieldmark`` in the platform's folder for caches."""
    chosen = os.environ.get("FIELDMARK_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fieldmark"


def decode(
    manifest: Manifest,
    modality: Modality,
    spec: InputSpec,
    *,
    settings: CacheSettings,
    progress: Progress | None = None,
) -> Decoded:
    """Return every example as a row of one array, decoding only what no entry holds yet.

    Parameters
    ----------
    manifest : Manifest
        With hashes.
    modality : Modality
        Its ``decode`` is called in threads.
    spec : InputSpec
        What every picture becomes.
    settings : CacheSettings
        Where and how.
    progress : callable, optional
        Called with contents done and contents in all, from the calling thread; not at all on a hit.

    Returns
    -------
    Decoded
        With unreadable files moved to ``manifest.left_out``.

    Raises
    ------
    DataError
        Codes ``mostly-unreadable``, ``emptied-class``.
    StorageError
        The cache has no room, or may not be written.
    UsageError
        Codes ``cache-inside-data``, ``not-hashed``.
    """
    if not manifest.examples or any(not example.sha256 for example in manifest.examples):
        raise UsageError(
            "Pictures cannot be decoded before their files have been read.",
            code="not-hashed",
            hint="call scan.hash_contents first",
        )
    if not settings.enabled:
        entry = _build(manifest, modality, spec, settings, progress, shelf=None)
        return _decoded(manifest, entry)
    directory = safe_directory(manifest.root, settings.directory)
    shelf = store.Shelf(directory, settings.limit_bytes)
    hashes = sorted({example.sha256 for example in manifest.examples})
    found = shelf.find(_key(spec, hashes), spec.shape, hashes)
    if found is not None:
        troubles = Troubles(failures=found.failures)
        troubles.check(manifest)
        return _decoded(manifest, _Entry(found, troubles))
    return _decoded(manifest, _build(manifest, modality, spec, settings, progress, shelf=shelf))


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    stored: store.Stored
    troubles: Troubles


def _key(spec: InputSpec, hashes: list[str]) -> str:
    return hashlib.sha256("\n".join([spec.key, *hashes]).encode()).hexdigest()


def safe_directory(root: Path, directory: Path | None = None) -> Path:
    """Return the cache folder, the default one unless another is given, if it may be used.

    Raises
    ------
    UsageError
        Code ``cache-inside-data``: it lies inside ``root``, the folder of pictures.
    """
    found = (directory or default_directory()).resolve()
    if files.is_inside(str(found), str(root.resolve())):
        raise UsageError(
            "The cache would lie inside the folder of pictures.",
            code="cache-inside-data",
            where=str(found),
            why="It would be found as data the next time, and your folder is yours.",
            hint="set FIELDMARK_CACHE to a folder elsewhere",
        )
    return found


def _build(
    manifest: Manifest,
    modality: Modality,
    spec: InputSpec,
    settings: CacheSettings,
    progress: Progress | None,
    *,
    shelf: store.Shelf | None,
) -> _Entry:
    """Decode into a new file and, on a shelf, publish it."""
    hashes = sorted({example.sha256 for example in manifest.examples})
    row_of = {sha: row for row, sha in enumerate(hashes)}
    troubles = Troubles()
    with store.Writer(shelf.directory if shelf else None, len(hashes), spec.shape) as writer:
        contents = decoded_contents(manifest, modality, spec, threads=settings.threads)
        for n_done, content in enumerate(contents, start=1):
            troubles.note(content)
            if content.pixels is not None:
                writer.put(row_of[content.sha256], content.pixels)
            if progress is not None:
                progress(n_done, len(hashes))
        # Refused before it is published: a folder mended in the meantime must not meet its old
        # failures.
        troubles.check(manifest)
        if shelf is None or troubles.absent:
            # Without the bytes of every hash this is not the entry that its key would promise.
            return _Entry(writer.keep_for_now(hashes, troubles.failures), troubles)
        key = _key(spec, hashes)
        return _Entry(shelf.publish(writer, key, hashes, troubles.failures), troubles)


def _decoded(manifest: Manifest, entry: _Entry) -> Decoded:
    kept = entry.troubles.without(manifest)
    row_of = {sha: row for row, sha in enumerate(entry.stored.hashes)}
    return Decoded(
        manifest=kept,
        pixels=entry.stored.pixels,
        rows=np.array([row_of[example.sha256] for example in kept.examples], dtype=np.int64),
    )
