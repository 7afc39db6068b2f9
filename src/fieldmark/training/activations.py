"""What the frozen front of a network makes of every picture, kept on disk while its back trains.

Each picture is run as it is and mirrored: the two rows stand in for augmentation, which needs
pixels. Half precision: a cut network is trained on it, and the whole one is proven afterwards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.reading import FilePixels
from fieldmark.errors import DataError
from fieldmark.inference.runtime import Runtime

BATCH: Final = 8
_ROOM: Final = 1.1
"""Free space wanted, as a multiple of what is written."""

Progress = Callable[[int, int], None]


def activations(
    pixels: FilePixels,
    at: NDArray[np.int64],
    runtime: Runtime,
    volume: tuple[int, int, int],
    *,
    mirrored: bool,
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
    mirrored : bool
        Add the mirrored pictures behind the plain ones.
    progress : callable
        Called with pictures done and pictures in all.

    Returns
    -------
    float16 array of shape (n or 2 n, rows, columns, maps)
        In a file without a name, gone with the array.

    Raises
    ------
    DataError
        Code ``cache-not-writable``: the disk has no room for it.
    """
    n = len(at)
    out = _room(((1 + mirrored) * n, *volume))

    def batches() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, n, BATCH):
            plain = pixels[at[start : start + BATCH]]
            yield plain
            if mirrored:
                yield np.ascontiguousarray(plain[:, :, ::-1])

    starts = [start + turn * n for start in range(0, n, BATCH) for turn in range(1 + mirrored)]
    for start, given in zip(starts, runtime.stream(batches(), ("maps",)), strict=True):
        if given.maps is not None:
            rows = given.maps.transpose(0, 2, 3, 1)
            out[start : start + len(rows)] = rows
        progress(min(start % n + BATCH, n), n)
    return out


def _room(shape: tuple[int, int, int, int]) -> NDArray[np.float16]:
    """Map a file that has no name."""
    size = 2 * int(np.prod(shape))
    folder = Path(tempfile.gettempdir())
    import shutil

    if shutil.disk_usage(folder).free < _ROOM * size:
        raise DataError(
            "There is no room for what the frozen layers make of the pictures.",
            code="cache-not-writable",
            where=str(folder),
            why=f"{size / 1e6:,.0f} MB are needed.",
            hint="make room, set TMPDIR to another disk, or leave --fine-tune out",
        )
    with tempfile.TemporaryFile(prefix="fieldmark-") as file:
        return np.memmap(file, np.float16, "w+", shape=shape)
