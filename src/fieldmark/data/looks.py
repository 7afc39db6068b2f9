"""What one look at every picture of a folder shows, as arrays: a row per distinct content.

Touches the disk. The looking itself is :func:`fieldmark.modalities.looking.look`, once per content,
in threads. Rows are kept in the cache by content hash, so a second check, or the training after it,
decodes nothing for it. Rows take 4 kB each; many of them lie in a file, not in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.feature_store import SEGMENT_ROWS, FeatureShelf, room_for
from fieldmark.data.manifest import Manifest
from fieldmark.data.reading import Troubles, decoded_contents
from fieldmark.modalities.base import DECODE_VERSION, InputSpec
from fieldmark.modalities.looking import LOOK, VERSION, Looking

LIMIT_BYTES: Final = 2 * 2**30
"""Of all that is kept on the disk in this form, beside the features."""
_KEY: Final = hashlib.sha256(f"look {VERSION} {DECODE_VERSION} {LOOK}".encode()).hexdigest()[:32]
_IN_MEMORY_BYTES: Final = 1 << 27
_ANY: Final = InputSpec(height=64, width=64)  # a look follows no spec

Progress = Callable[[int, int], None]


FACTS: Final = np.dtype(
    [(name, LOOK[name]) for name in LOOK.names or () if name not in ("thumb", "colors")]
)
"""A look without its thumbnail and its colours."""


@dataclass(frozen=True, eq=False)
class Looks:
    """The rows, and where each content's row is."""

    rows: NDArray[np.void]
    """(n_contents,) of :data:`fieldmark.modalities.looking.LOOK`: one named field per fact."""
    row_of: dict[str, int] = field(default_factory=dict)
    """SHA-256 of a content -> its row. Contents that could not be read have none."""
    problem: str = ""
    """Why they could not be kept for the next time; empty: they are."""

    @cached_property
    def facts(self) -> NDArray[np.void]:
        """(n_contents,) of :data:`FACTS`: the rows without pictures of them, in memory."""
        found = np.empty(len(self.rows), FACTS)
        for name in FACTS.names or ():
            found[name] = self.rows[name]
        return found

    def of(self, hashes: Sequence[str]) -> NDArray[np.void]:
        """Return the facts of these contents, in this order."""
        return self.facts[np.array([self.row_of[sha] for sha in hashes], np.int64)]


def look_at(
    manifest: Manifest,
    *,
    threads: int,
    directory: Path | None,
    refuse: bool = True,
    progress: Progress | None = None,
) -> tuple[Manifest, Looks]:
    """Look at every distinct content of a manifest once.

    Parameters
    ----------
    manifest : Manifest
        With hashes.
    threads : int
        Pictures decoded at the same time.
    directory : Path or None
        The cache folder; None keeps nothing.
    refuse : bool, default=True
        Refuse a folder that is mostly unreadable; False: say what each file is, whatever it is.
    progress : callable, optional
        Called with contents done and contents in all, from the calling thread.

    Returns
    -------
    Manifest
        Without the examples that could not be read; they are in ``left_out`` with their reason.
    Looks
        In the order in which the contents are first met.

    Raises
    ------
    DataError
        Codes ``folder-vanished``; and ``mostly-unreadable``, ``emptied-class`` where asked for.
    """
    hashes = list(dict.fromkeys(example.sha256 for example in manifest.examples))
    shelf = FeatureShelf(directory, _KEY, LOOK.itemsize, LIMIT_BYTES, "looks")
    place = {sha: row for row, sha in enumerate(hashes)}
    raw = room_for(len(hashes), LOOK.itemsize, np.uint8, _IN_MEMORY_BYTES)
    known = [sha for sha in hashes if sha in shelf]
    have = _read(shelf, known, place, raw)
    troubles = Troubles()
    unsaved: list[str] = []
    contents = decoded_contents(manifest, Looking(), _ANY, threads=threads, skip=have)
    for done, content in enumerate(contents, start=1):
        troubles.note(content)
        if content.pixels is not None:
            raw[place[content.sha256]] = content.pixels
            unsaved.append(content.sha256)
        if shelf.due(len(unsaved)):
            shelf.add(unsaved, raw[[place[sha] for sha in unsaved]])
            unsaved = []
        if progress is not None:
            progress(done, len(hashes) - len(have))
    shelf.add(unsaved, raw[[place[sha] for sha in unsaved]])
    troubles.check_there(manifest)
    if refuse:
        troubles.check(manifest)
    gone = set(troubles.failures) | troubles.absent
    return troubles.without(manifest), Looks(
        raw.view(LOOK)[:, 0],
        {sha: row for sha, row in place.items() if sha not in gone},
        shelf.problem,
    )


def _read(
    shelf: FeatureShelf, known: Sequence[str], place: dict[str, int], raw: NDArray[np.uint8]
) -> set[str]:
    """Copy what an earlier look left behind, a segment's worth at a time; return what there was."""
    have: set[str] = set()
    for start in range(0, len(known), SEGMENT_ROWS):
        some = known[start : start + SEGMENT_ROWS]
        found = np.empty((len(some), LOOK.itemsize), np.uint8)
        copied = shelf.read(some, found)
        raw[[place[sha] for sha, is_here in zip(some, copied, strict=True) if is_here]] = found[
            copied
        ]
        have |= {sha for sha, is_here in zip(some, copied, strict=True) if is_here}
    return have
