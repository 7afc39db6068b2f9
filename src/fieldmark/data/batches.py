"""Batches of pictures in a seeded order, each picture changed by its own seeded draws.

Pure over arrays: an epoch is a function of the seed and the epoch's number. Threads only work
ahead; neither their number nor their timing can be seen in the result. Order is drawn under the
purpose ``order``, changes under ``augment``, and an example's changes follow its content, wherever
it stands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.errors import UsageError
from fieldmark.modalities import augment
from fieldmark.modalities.augment import Augmentation
from fieldmark.pool import map_ordered

AHEAD: Final = 4
"""Batches that are made before they are asked for."""

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels of shape (n, height, width, channels), and class indices of shape (n,)."""


def ids_of(hashes: list[str]) -> NDArray[np.uint64]:
    """Return one number per content hash, for :attr:`Batches.ids`.

    Examples
    --------
    >>> ids_of(["00000000000000ff" + 48 * "0"])
    array([255], dtype=uint64)
    """
    return np.array([int(sha[:16], 16) for sha in hashes], dtype=np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batches:
    """The examples of one part, epoch by epoch.

    Examples
    --------
    >>> pixels = np.arange(3 * 8 * 8 * 1, dtype=np.uint8).reshape(3, 8, 8, 1)
    >>> batches = Batches(
    ...     pixels=pixels, rows=np.array([0, 1, 2]), labels=np.array([0, 1, 0]),
    ...     ids=np.array([5, 6, 7], dtype=np.uint64), batch_size=2, seed=1,
    ... )
    >>> [labels.tolist() for _, labels in batches.plain().epoch(0)]
    [[0, 1], [0]]
    """

    pixels: NDArray[Any]
    """Shape (n_rows, height, width, channels), uint8; memory-mapped or not; not changed. Without
    augmentation it may hold other numbers, such as what frozen layers made of the pictures."""
    rows: NDArray[np.int64]
    """Shape (n_examples,): where in ``pixels`` each example stands."""
    labels: NDArray[np.int64]
    """Shape (n_examples,): class indices."""
    ids: NDArray[np.uint64]
    """Shape (n_examples,): see :func:`ids_of`."""
    batch_size: int = 32
    """The last batch may be smaller."""
    seed: int
    augmentation: Augmentation | None = None
    """None leaves every picture as it is."""
    threads: int = 2
    """At least 1."""
    shuffle: bool = True
    """False keeps the given order in every epoch."""

    def __post_init__(self) -> None:
        lengths = {len(self.rows), len(self.labels), len(self.ids)}
        if len(lengths) != 1 or self.batch_size < 1 or self.threads < 1:
            raise UsageError(
                f"Batches of {self.batch_size} with {self.threads} threads cannot be made from "
                f"{sorted(lengths)} rows, labels and ids.",
                code="batches",
                hint="batch_size and threads are at least 1; rows, labels and ids are equally many",
            )

    @property
    def n_batches(self) -> int:
        """Per epoch."""
        return -(-len(self.rows) // self.batch_size)

    def plain(self) -> Batches:
        """Return the same examples in the given order, unchanged: for validation and test."""
        return dataclasses.replace(self, augmentation=None, shuffle=False)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the positions of the examples in the order of one epoch."""
        if not self.shuffle:
            return np.arange(len(self.rows))
        return rng.derive(self.seed, "order", epoch).permutation(len(self.rows))

    def epoch(self, epoch: int, *, sizes: Sequence[int] = (), first: int = 0) -> Iterator[Batch]:
        """Yield one epoch's batches: fresh arrays, made a few batches ahead.

        Stopping early is fine: closing the iterator ends its threads.

        Parameters
        ----------
        epoch : int
            0 for the first.
        sizes : sequence of int, optional
            Height and width of each batch, in pixels, at most those of ``pixels``. Pictures are
            made smaller first and changed then, so that a change means the same at every size.
        first : int, default=0
            The batch to begin with; those before it are not made, and the others are the same.

        Yields
        ------
        pixels : uint8 array of shape (n, height, width, channels)
            n is ``batch_size``, or less in the last batch.
        labels : int64 array of shape (n,)
        """
        order = self.order(epoch)
        # Plain arrays over the same memory: indexing a memmap makes a new memmap each time, slowly.
        pixels = np.asarray(self.pixels)

        def make(start: int) -> Batch:
            chosen = order[start : start + self.batch_size]
            shape = pixels.shape[1:3]
            if sizes:
                shape = (sizes[start // self.batch_size],) * 2
            found = pixels[self.rows[chosen]]
            if found.dtype == np.float16:  # kept in half the room, computed with in full
                found = found.astype(np.float32)
            if shape != found.shape[1:3]:
                found = augment.shrunk(found, *shape)
            return self._changed(found, chosen, epoch), self.labels[chosen].astype(np.int64)

        starts = range(first * self.batch_size, len(order), self.batch_size)
        return map_ordered(make, starts, threads=self.threads, ahead=AHEAD)

    def _changed(
        self, pixels: NDArray[np.uint8], chosen: NDArray[np.int64], epoch: int
    ) -> NDArray[np.uint8]:
        if self.augmentation is None:
            return pixels
        ids = self.ids[chosen]
        draws = rng.uniforms(self.seed, "augment", epoch, ids=ids, n_draws=augment.N_DRAWS)
        return augment.changed(self.augmentation, pixels, draws)
