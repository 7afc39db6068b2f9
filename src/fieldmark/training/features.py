"""The features of a folder: what a pretrained backbone says of every picture, once.

Decoding runs ahead in threads while the engine works; rows go to the cache by content, backbone and
decode spec, so a second run, a grown folder or a killed run pays only for what is missing. Pictures
pass through a few batches at a time: memory holds the features and nothing else.

The backbone is the plan's, run by an engine of :mod:`fieldmark.inference`; no training framework.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.data.batches import ids_of
from fieldmark.data.feature_store import FeatureShelf, room_for
from fieldmark.data.manifest import Manifest
from fieldmark.data.reading import Troubles, decoded_contents
from fieldmark.inference.runtime import Runtime
from fieldmark.modalities import augment
from fieldmark.modalities.augment import AUGMENTATIONS
from fieldmark.modalities.base import InputSpec, Modality

BATCH: Final = 8
"""Pictures per run of the backbone, always: the last batch is filled up, because an engine may add
in another order for another size, and then a killed run would not end with the same bytes."""
COPY_AUGMENTATION: Final = "light"
_VERSION: Final = 1
_IN_MEMORY_BYTES: Final = 1 << 29

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extraction:
    """What is extracted, by what, and where it is kept."""

    runtime: Runtime
    backbone: str
    """What names the weights and the graph; part of the cache's key."""
    width: int
    """Numbers in a row."""
    spec: InputSpec
    modality: Modality
    threads: int = 2
    """That decode."""
    directory: Path | None = None
    """The cache folder; None: keep nothing."""
    limit_bytes: int = 5 * 2**30
    seed: int = 0
    """Of the warped copies."""

    @property
    def key(self) -> str:
        """Hexadecimal digits that differ whenever a row's numbers could."""
        words = (_VERSION, self.backbone, self.spec.key, self.runtime.name, self.width)
        return hashlib.sha256("\n".join(map(str, words)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """One row per distinct content and copy."""

    manifest: Manifest
    """Without the examples that could not be read."""
    rows: NDArray[np.float32]
    """(n_rows, n_features)."""
    row_of: dict[str, int]
    """Content hash -> its row; of the parts that were asked for."""
    copies_of: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Content hash -> the rows of its warped copies."""
    n_cached: int = 0
    """Rows that an earlier run had left behind."""
    problem: str = ""
    """Why new ones could not be kept for the next time; empty: they are."""


def extract(
    manifest: Manifest,
    extraction: Extraction,
    *,
    parts: Sequence[str] = ("train", "valid"),
    copies: dict[str, int] | None = None,
    progress: Progress | None = None,
) -> Features:
    """Run the backbone over some parts of a manifest.

    Pictures of the other parts are decoded, so that it is known early which cannot be read, and
    are shown to no network.

    Parameters
    ----------
    manifest : Manifest
        With hashes and parts.
    extraction : Extraction
    parts : sequence of str
    copies : dict of str to int, optional
        Content hash -> how many warped copies of it are wanted as well.
    progress : callable, optional
        Called with contents done and contents in all.

    Returns
    -------
    Features

    Raises
    ------
    DataError
        Codes ``mostly-unreadable``, ``emptied-class``.
    """
    return _Extractor(manifest, extraction, tuple(parts), copies or {}, progress).run()


@dataclass
class _Batch:
    names: list[str] = field(default_factory=list)
    pixels: list[NDArray[np.uint8]] = field(default_factory=list)


class _Extractor:
    def __init__(
        self,
        manifest: Manifest,
        extraction: Extraction,
        parts: tuple[str, ...],
        copies: dict[str, int],
        progress: Progress | None,
    ) -> None:
        self.manifest = manifest
        self.given = extraction
        self.progress = progress
        wanted = {each.sha256: None for each in manifest.examples if each.split in parts}
        self.names = {sha: _names(sha, copies.get(sha, 0), extraction.seed) for sha in wanted}
        flat = [name for names in self.names.values() for name in names]
        self.at = {name: row for row, name in enumerate(flat)}
        self.rows = room_for(len(flat), extraction.width, np.float32, _IN_MEMORY_BYTES)
        self.shelf = FeatureShelf(
            extraction.directory, extraction.key, extraction.width, extraction.limit_bytes
        )
        self.troubles = Troubles()
        self.waiting: deque[list[str]] = deque()
        self.unsaved: list[str] = []

    def run(self) -> Features:
        known = [name for name in self.at if name in self.shelf]
        found = np.empty((len(known), self.given.width), np.float32)
        copied = self.shelf.read(known, found)
        places = np.array([self.at[name] for name in known], np.int64)
        self.rows[places[copied]] = found[copied]
        for given in self.given.runtime.stream(self._batches(), ("features",)):
            if given.features is not None:
                self._take(given.features)
        self._save()
        self.troubles.check(self.manifest)
        gone = set(self.troubles.failures) | self.troubles.absent
        kept = {sha: names for sha, names in self.names.items() if sha not in gone}
        return Features(
            manifest=self.troubles.without(self.manifest),
            rows=self.rows,
            row_of={sha: self.at[names[0]] for sha, names in kept.items()},
            copies_of={
                sha: tuple(self.at[name] for name in names[1:]) for sha, names in kept.items()
            },
            n_cached=int(copied.sum()),
            problem=self.shelf.problem,
        )

    def _batches(self) -> Iterator[NDArray[np.uint8]]:
        """Yield full batches of pictures, and note which rows each one is."""
        have = {
            sha for sha, names in self.names.items() if all(name in self.shelf for name in names)
        }
        total = len({each.sha256 for each in self.manifest.examples} - have)
        contents = decoded_contents(
            self.manifest,
            self.given.modality,
            self.given.spec,
            threads=self.given.threads,
            skip=have,
        )
        batch = _Batch()
        for n_done, content in enumerate(contents, start=1):
            self.troubles.note(content)
            if content.pixels is not None and content.sha256 in self.names:
                for copy, name in enumerate(self.names[content.sha256]):
                    batch.names.append(name)
                    batch.pixels.append(self._copy(content.pixels, content.sha256, copy))
                    if len(batch.names) == BATCH:
                        yield self._sent(batch)
                        batch = _Batch()
            if self.progress is not None:
                self.progress(n_done, total)
        if batch.names:
            batch.pixels += [batch.pixels[-1]] * (BATCH - len(batch.pixels))
            yield self._sent(batch)

    def _sent(self, batch: _Batch) -> NDArray[np.uint8]:
        self.waiting.append(batch.names)
        return np.stack(batch.pixels)

    def _copy(self, pixels: NDArray[np.uint8], sha: str, copy: int) -> NDArray[np.uint8]:
        if copy == 0:
            return pixels
        kind = AUGMENTATIONS[COPY_AUGMENTATION]
        if kind is None:
            return pixels
        draws = rng.uniforms(
            self.given.seed, "copies", copy, ids=ids_of([sha]), n_draws=augment.N_DRAWS
        )
        copied: NDArray[np.uint8] = augment.changed(kind, pixels[None], draws)[0]
        return copied

    def _take(self, features: NDArray[np.float32]) -> None:
        names = self.waiting.popleft()
        self.rows[[self.at[name] for name in names]] = features[: len(names)]
        self.unsaved += names
        if self.shelf.due(len(self.unsaved)):
            self._save()

    def _save(self) -> None:
        self.shelf.add(self.unsaved, self.rows[[self.at[name] for name in self.unsaved]])
        self.unsaved = []


def _names(sha: str, n_copies: int, seed: int) -> list[str]:
    """Name the rows of one content: itself, then its copies."""
    return [sha, *(f"{sha}/{COPY_AUGMENTATION}-{seed}-{copy}" for copy in range(1, n_copies + 1))]
