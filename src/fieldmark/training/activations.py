"""What the frozen front of a network makes of every picture, kept on disk while its back trains.

Augmentation needs pixels, so it happens here: each picture is run as it is and in some warped
copies, and an epoch draws from all of them. Half precision: a cut network is trained on it, and the
whole one is proven afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.data.feature_store import room_for
from fieldmark.data.reading import FilePixels
from fieldmark.inference.runtime import Runtime
from fieldmark.modalities import augment
from fieldmark.modalities.augment import Augmentation

BATCH: Final = 8
_ROOM: Final = 1.1
"""Free space wanted, as a multiple of what is written."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Warped copies beside the plain picture."""

    n: int = 0
    augmentation: Augmentation | None = None
    seed: int = 0


def activations(
    pixels: FilePixels,
    at: NDArray[np.int64],
    runtime: Runtime,
    volume: tuple[int, int, int],
    *,
    copies: Copies = Copies(),
    progress: Progress,
) -> NDArray[np.float16]:
    """Run the front over some pictures.

    Parameters
    ----------
    pixels : FilePixels
    at : int64 array of shape (n,)
        Which of them.
    runtime : Runtime
        Of the front; its last feature map is the output of the cut.
    volume : tuple of int
        (rows, columns, maps) of that.
    copies : Copies
        Behind the n plain pictures come n first copies, n second copies, and so on.
    progress : callable
        Called with pictures done and pictures in all.

    Returns
    -------
    float16 array of shape ((1 + copies.n) n, rows, columns, maps)
        In a file without a name, gone with the array.

    Raises
    ------
    StorageError
        Code ``disk-full``: there is no room for it.
    """
    n = len(at)
    turns = range(1 + copies.n)
    out = _room((len(turns) * n, *volume))

    def batches() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, n, BATCH):
            chosen = at[start : start + BATCH]
            plain = pixels[chosen]
            for turn in turns:
                yield _copy(plain, pixels.ids(chosen), turn, copies)

    starts = [start + turn * n for start in range(0, n, BATCH) for turn in turns]
    for start, given in zip(starts, runtime.stream(batches(), ("maps",)), strict=True):
        if given.maps is not None:
            rows = given.maps.transpose(0, 2, 3, 1)
            out[start : start + len(rows)] = rows
        progress(min(start % n + BATCH, n), n)
    return out


def _copy(
    plain: NDArray[np.uint8], ids: NDArray[np.uint64], turn: int, copies: Copies
) -> NDArray[np.uint8]:
    if turn == 0 or copies.augmentation is None:
        return plain
    draws = rng.uniforms(copies.seed, "activations", turn, ids=ids, n_draws=augment.N_DRAWS)
    return augment.changed(copies.augmentation, plain, draws)


def _room(shape: tuple[int, int, int, int]) -> NDArray[np.float16]:
    """Map a file that has no name."""
    hint = "make room, set TMPDIR to a folder on another disk, or leave --fine-tune out"
    room = room_for(shape[0], int(np.prod(shape[1:])), np.float16, hint=hint)
    return room.reshape(shape)
