"""The three parts of a manifest, as positions and labels. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.manifest import SPLITS, Manifest, Split
from fieldmark.errors import DataError

_WORDS: Final[dict[Split, str]] = {"train": "training", "valid": "validation", "test": "test"}


def positions(manifest: Manifest, part: Split) -> NDArray[np.int64]:
    """Return where the examples of one part stand in the manifest."""
    return np.flatnonzero([example.split == part for example in manifest.examples])


def labels_of(manifest: Manifest) -> NDArray[np.int64]:
    """Return the class index of every example."""
    index = {name: at for at, name in enumerate(manifest.classes)}
    return np.array([index[example.label] for example in manifest.examples], np.int64)


def spread(at: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Take ``n`` of many, evenly: their order is the files', so the first are of one class.

    Examples
    --------
    >>> spread(np.arange(10), 3).tolist()
    [0, 4, 9]
    """
    places = np.linspace(0, len(at) - 1, min(len(at), n)).astype(np.int64)
    return at[np.unique(places)]


def check_parts(manifest: Manifest, parts: Iterable[Split] = SPLITS) -> None:
    """Refuse a manifest without one of some parts, or without a class to learn.

    Raises
    ------
    DataError
        Codes ``empty-part``, ``emptied-class``.
    """
    for part in parts:
        if not manifest.part(part):
            raise DataError(
                f"No readable picture is left in the {_WORDS[part]} part.",
                code="empty-part",
                where=str(manifest.root),
                why="All three parts are needed: to learn, to choose, to measure.",
                hint="add pictures, or look at the files that were left out",
            )
    if "train" not in parts:
        return
    gone = [name for name, n in manifest.counts("train").items() if not n]
    if gone:
        raise DataError(
            f"No readable training picture is left of: {', '.join(gone[:8])}.",
            code="emptied-class",
            where=str(manifest.root),
            why="A class that was never seen cannot be learned.",
            hint="add pictures of it, or look at the files that were left out",
        )
