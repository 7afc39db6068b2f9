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
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data import files, store
from fieldmark.data.manifest import Example, LeftOut, Manifest
from fieldmark.data.pool import map_ordered
from fieldmark.errors import DataError, UnreadableExample, UsageError
from fieldmark.modalities.base import InputSpec, Modality

MOSTLY: Final = 0.5
"""Above this fraction of unreadable files the folder is refused."""

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
    pixels: NDArray[np.uint8]
    """Read-only, memory-mapped, shape (n_rows, height, width, channels); one row per distinct
    content. Rows of contents that could not be read are 0 and never referred to."""
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
        Codes ``mostly-unreadable``, ``emptied-class``, ``cache-not-writable``.
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
    shelf = store.Shelf(_safe_directory(manifest, settings), settings.limit_bytes)
    hashes = sorted({example.sha256 for example in manifest.examples})
    found = shelf.find(_key(spec, hashes), spec.shape, hashes)
    if found is not None:
        _check_readable(manifest, found.failures, {})
        return _decoded(manifest, _Entry(found, {}))
    return _decoded(manifest, _build(manifest, modality, spec, settings, progress, shelf=shelf))


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    stored: store.Stored
    changed: dict[str, UnreadableExample]
    """Trouble with a path rather than with a content: vanished, or other bytes than were hashed."""


def _key(spec: InputSpec, hashes: list[str]) -> str:
    return hashlib.sha256("\n".join([spec.key, *hashes]).encode()).hexdigest()


def _safe_directory(manifest: Manifest, settings: CacheSettings) -> Path:
    directory = (settings.directory or default_directory()).resolve()
    if files.is_inside(str(directory), str(manifest.root.resolve())):
        raise UsageError(
            "The cache would lie inside the folder of pictures.",
            code="cache-inside-data",
            where=str(directory),
            why="It would be found as data the next time, and your folder is yours.",
            hint="set FIELDMARK_CACHE to a folder elsewhere",
        )
    return directory


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
    copies: dict[str, list[Example]] = defaultdict(list)
    for (
        example
    ) in manifest.examples:  # in file order: neighbours on the disk are read one after another
        copies[example.sha256].append(example)
    failures: dict[str, tuple[str, str]] = {}
    changed: dict[str, UnreadableExample] = {}
    with store.Writer(shelf.directory if shelf else None, len(hashes), spec.shape) as writer:
        results = _results(manifest.root, copies, modality, spec, settings.threads)
        for n_done, (sha, result, moved) in enumerate(results, start=1):
            changed.update(moved)
            if isinstance(result, UnreadableExample):
                failures[sha] = (result.code, result.what)
            elif result is not None:
                writer.put(row_of[sha], result)
            if progress is not None:
                progress(n_done, len(hashes))
        # Refused before it is published: a folder mended in the meantime must not meet its old
        # failures.
        _check_readable(manifest, failures, changed)
        absent = {sha for sha, its in copies.items() if all(e.path in changed for e in its)}
        if shelf is None or absent:
            # Without the bytes of every hash this is not the entry that its key would promise.
            return _Entry(writer.keep_for_now(hashes, failures), changed)
        return _Entry(shelf.publish(writer, _key(spec, hashes), hashes, failures), changed)


Result = tuple[str, NDArray[np.uint8] | UnreadableExample | None, dict[str, UnreadableExample]]


def _results(
    root: Path,
    copies: dict[str, list[Example]],
    modality: Modality,
    spec: InputSpec,
    threads: int,
) -> Iterator[Result]:
    """Yield, per content, its array or its reason, and the paths that no longer hold it."""

    def decoded(sha: str) -> Result:
        moved: dict[str, UnreadableExample] = {}
        for example in copies[sha]:
            try:
                with files.opened(root / example.path) as file:
                    data = file.read()
                if hashlib.sha256(data).hexdigest() != sha:
                    raise UnreadableExample(
                        "the file was changed while this ran", code="changed-while-running"
                    )
            except UnreadableExample as error:
                moved[example.path] = error
                continue
            try:
                return sha, modality.decode(data, spec), moved
            except UnreadableExample as error:
                return sha, error, moved
        return sha, None, moved

    yield from map_ordered(decoded, copies, threads=threads, ahead=8 * threads)


def _left_out(
    manifest: Manifest,
    failures: dict[str, tuple[str, str]],
    changed: dict[str, UnreadableExample],
) -> tuple[LeftOut, ...]:
    left_out = []
    for example in manifest.examples:
        if example.path in changed:
            error = changed[example.path]
            left_out.append(LeftOut(path=example.path, code=error.code, reason=error.what))
        elif example.sha256 in failures:
            code, reason = failures[example.sha256]
            left_out.append(LeftOut(path=example.path, code=code, reason=reason))
    return tuple(left_out)


def _check_readable(
    manifest: Manifest,
    failures: dict[str, tuple[str, str]],
    changed: dict[str, UnreadableExample],
) -> None:
    left_out = _left_out(manifest, failures, changed)
    bad = {entry.path for entry in left_out}
    counts = Counter(entry.code.replace("-", " ") for entry in left_out)
    grouped = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
    first = "\n".join(f"{entry.path}: {entry.reason}" for entry in left_out[:3])
    if len(left_out) > MOSTLY * len(manifest.examples):
        raise DataError(
            f"{len(left_out):,} of {len(manifest.examples):,} files could not be read: {grouped}.",
            code="mostly-unreadable",
            where=f"{manifest.root}\n{first}",
            why="So many suggest a broken copy or the wrong folder rather than a few bad pictures.",
            hint="copy the folder again, or convert the files to JPEG or PNG",
        )
    kept = {example.label for example in manifest.examples if example.path not in bad}
    emptied = [name for name in manifest.classes if name not in kept]
    if emptied and left_out:
        raise DataError(
            f"no file of {', '.join(emptied[:8])} could be read: {grouped}.",
            code="emptied-class",
            where=f"{manifest.root}\n{first}",
            why="A class that was never seen can be neither learned nor tested.",
            hint="copy the files again, or remove the class",
        )


def _decoded(manifest: Manifest, entry: _Entry) -> Decoded:
    left_out = _left_out(manifest, entry.stored.failures, entry.changed)
    bad = {one.path for one in left_out}
    kept = tuple(example for example in manifest.examples if example.path not in bad)
    row_of = {sha: row for row, sha in enumerate(entry.stored.hashes)}
    return Decoded(
        manifest=manifest.with_examples(kept, left_out),
        pixels=entry.stored.pixels,
        rows=np.array([row_of[example.sha256] for example in kept], dtype=np.int64),
    )
