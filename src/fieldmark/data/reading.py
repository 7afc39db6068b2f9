"""Read and decode the files of a manifest: each content once, each trouble with its reason.

Touches the disk, reading only. What it promises: the bytes decoded are the bytes that were hashed;
one file that cannot be read is left out alone; a folder of which most files cannot be read is
refused.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data import files
from fieldmark.data.batches import ids_of
from fieldmark.data.manifest import Example, LeftOut, Manifest
from fieldmark.errors import DataError, UnreadableExample
from fieldmark.modalities.base import InputSpec, Modality
from fieldmark.pool import map_ordered

MOSTLY: Final = 0.5
"""Above this fraction of unreadable files the folder is refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What became of the bytes with one hash."""

    sha256: str
    pixels: NDArray[np.uint8] | None
    """None if they could not be decoded, or are no longer there."""
    failure: UnreadableExample | None = None
    """Why they could not be decoded."""
    changed: dict[str, UnreadableExample] = field(default_factory=dict)
    """Paths that no longer hold these bytes: vanished, or changed since they were hashed."""


def decoded_contents(
    manifest: Manifest,
    modality: Modality,
    spec: InputSpec,
    *,
    threads: int,
    skip: Container[str] = frozenset(),
) -> Iterator[Content]:
    """Decode each distinct content of a manifest once, in file order, a few ahead.

    Parameters
    ----------
    manifest : Manifest
        With hashes.
    modality : Modality
        Its ``decode`` is called in threads.
    spec : InputSpec
        What every picture becomes.
    threads : int
    skip : container of str, optional
        Hashes that are not wanted.

    Yields
    ------
    Content
    """
    copies: dict[str, list[Example]] = defaultdict(list)
    for example in manifest.examples:  # in file order: neighbours on the disk follow each other
        if example.sha256 not in skip:
            copies[example.sha256].append(example)

    def decoded(sha: str) -> Content:
        return _content(sha, copies[sha], manifest.root, modality, spec)

    yield from map_ordered(
        decoded, copies, threads=threads, ahead=8 * threads, named=lambda sha: copies[sha][0].path
    )


def _content(
    sha: str, examples: Sequence[Example], root: Path, modality: Modality, spec: InputSpec
) -> Content:
    changed: dict[str, UnreadableExample] = {}
    for example in examples:
        try:
            data = files.read(root / example.path)
            if hashlib.sha256(data).hexdigest() != sha:
                raise UnreadableExample(
                    "the file was changed while this ran", code="changed-while-running"
                )
        except UnreadableExample as error:
            changed[example.path] = error
            continue
        try:
            return Content(sha, modality.decode(data, spec), changed=changed)
        except UnreadableExample as error:
            return Content(sha, None, error, changed)
    return Content(sha, None, changed=changed)


@dataclass(slots=True)
class Troubles:
    """What could not be read, collected while contents pass by."""

    failures: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Hash -> code and reason: trouble with a content."""
    changed: dict[str, UnreadableExample] = field(default_factory=dict)
    """Path -> reason: trouble with a path rather than with a content."""
    absent: set[str] = field(default_factory=set)
    """Hashes whose bytes no path holds any more."""

    def note(self, content: Content) -> None:
        """Take one content in."""
        self.changed.update(content.changed)
        if content.failure is not None:
            self.failures[content.sha256] = (content.failure.code, content.failure.what)
        elif content.pixels is None:
            self.absent.add(content.sha256)

    def without(self, manifest: Manifest) -> Manifest:
        """Move the examples that could not be read to ``left_out``."""
        left_out = self._left_out(manifest)
        bad = {entry.path for entry in left_out}
        kept = tuple(example for example in manifest.examples if example.path not in bad)
        return manifest.with_examples(kept, left_out)

    def check(self, manifest: Manifest) -> None:
        """Refuse a folder that is mostly unreadable, or has a class of which nothing is left.

        Raises
        ------
        DataError
            Codes ``folder-vanished``, ``mostly-unreadable``, ``emptied-class``.
        """
        self.check_there(manifest)
        left_out = self._left_out(manifest)
        bad = {entry.path for entry in left_out}
        counts = Counter(entry.code.replace("-", " ") for entry in left_out)
        grouped = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
        first = "\n".join(f"{entry.path}: {entry.reason}" for entry in left_out[:3])
        if len(left_out) > MOSTLY * len(manifest.examples):
            raise DataError(
                f"{len(left_out):,} of {len(manifest.examples):,} files could not be read: "
                f"{grouped}.",
                code="mostly-unreadable",
                where=f"{manifest.root}\n{first}",
                why="So many suggest a broken copy or the wrong folder, not a few bad pictures.",
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

    def check_there(self, manifest: Manifest) -> None:
        """Refuse a folder that has vanished; see :func:`fieldmark.data.files.check_there`."""
        reasons = (error.code for error in self.changed.values())
        files.check_there(manifest.root, len(manifest.examples), reasons)

    def _left_out(self, manifest: Manifest) -> tuple[LeftOut, ...]:
        left_out = []
        for example in manifest.examples:
            if example.path in self.changed:
                error = self.changed[example.path]
                left_out.append(LeftOut(path=example.path, code=error.code, reason=error.what))
            elif example.sha256 in self.failures:
                code, reason = self.failures[example.sha256]
                left_out.append(LeftOut(path=example.path, code=code, reason=reason))
        return tuple(left_out)


class FilePixels:
    """The pictures of a manifest as an array that is decoded when it is looked at; final.

    Indexed like the arrays of :class:`~fieldmark.data.cache.Decoded`: row ``i`` is the manifest's
    example ``i``. Nothing is kept, so a folder of any size takes no memory and no disk.

    Parameters
    ----------
    manifest : Manifest
        With hashes.
    modality : Modality
    spec : InputSpec
    threads : int
    """

    def __init__(
        self, manifest: Manifest, modality: Modality, spec: InputSpec, *, threads: int
    ) -> None:
        self._manifest = manifest
        self._modality = modality
        self._spec = spec
        self._threads = threads

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n_examples, height, width, channels)."""
        return (len(self._manifest.examples), *self._spec.shape)

    def ids(self, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return one number per row, from its content: what its draws follow."""
        return ids_of([self._manifest.examples[row].sha256 for row in rows.tolist()])

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        """Decode one row, or an array of rows.

        Raises
        ------
        DataError
            Code ``changed-while-running``: a file that could be read before cannot be read now.
        TypeError
            Something else than whole numbers: a mask or a slice.
        """
        wanted = np.asarray(rows)
        if wanted.size and wanted.dtype.kind not in "iu":
            raise TypeError("pictures are taken by their numbers, not by a mask or a slice")
        decoded = map_ordered(
            self._row,
            wanted.ravel().tolist(),
            threads=self._threads,
            ahead=8 * self._threads,
            named=lambda at: self._manifest.examples[at].path,
        )
        found = np.stack(list(decoded)) if wanted.size else np.empty((0, *self._spec.shape))
        return np.asarray(found, np.uint8).reshape(*wanted.shape, *self._spec.shape)

    def _row(self, at: int) -> NDArray[np.uint8]:
        example = self._manifest.examples[at]
        found = _content(example.sha256, [example], self._manifest.root, self._modality, self._spec)
        if found.pixels is None:
            raise DataError(
                f"{example.path} can no longer be read.",
                code="changed-while-running",
                where=str(self._manifest.root),
                why="It was changed, moved or removed since this run began.",
                hint="run the command again when nothing else writes into the folder",
            )
        return found.pixels
