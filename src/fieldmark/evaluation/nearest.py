"""The known rows that lie nearest to each of some others. Pure; memory is bounded by blocks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError

BLOCK: Final = 4096
"""Known rows in memory at a time; they may be mapped from a file."""


def nearest(
    rows: NDArray[np.float32],
    known: NDArray[np.float32],
    k: int = 3,
    *,
    among: NDArray[np.int64] | None = None,
    block: int = BLOCK,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the known rows whose direction is nearest to that of each row.

    Parameters
    ----------
    rows : float array of shape (n, n_features)
    known : float array of shape (n_known, at least n_features)
        May be memory-mapped; read once, block by block. Its first ``n_features`` columns count.
    k : int, default=3
        How many; fewer where fewer are known.
    among : int array of shape (n_among,), optional
        Only these rows of ``known``, each once; default: all.
    block : int, default=4096
        Known rows at a time; changes memory and nothing else.

    Returns
    -------
    int64 array of shape (n, min(k, n_among))
        Rows of ``known``, the nearest first; of equally near ones the first in ``among``.
    float32 array of the same shape
        Cosine of both rows, in [-1, 1]; a row of zeros has no direction and is 0 from all.

    Raises
    ------
    UsageError
        Code ``bad-rows`` when both do not have the same number of features, or k or the block is
        below 1.

    Examples
    --------
    >>> known = np.array([[0, 1], [1, 1], [9, 0]], np.float32)
    >>> at, cosine = nearest(np.array([[1, 0]], np.float32), known, 2)
    >>> at.tolist(), cosine.round(3).tolist()
    ([[2, 1]], [[1.0, 0.7070000171661377]])
    """
    if rows.ndim != 2 or known.ndim != 2 or rows.shape[1] > known.shape[1] or min(k, block) < 1:
        raise UsageError(
            f"The {k} nearest of rows {known.shape} cannot be found for rows {rows.shape}.",
            code="bad-rows",
            why="Both need the same features in the same order, and at least one is asked for.",
            hint="pass the features of one network for both",
        )
    wanted, width = _directions(rows), rows.shape[1]
    places = np.arange(len(known)) if among is None else among
    at: NDArray[np.int64] = np.zeros((len(rows), 0), np.int64)
    cosine: NDArray[np.float32] = np.zeros((len(rows), 0), np.float32)
    for start in range(0, len(places), block):
        some = places[start : start + block]
        found = wanted @ _directions(known[some][:, :width]).T
        cosine = np.concatenate([cosine, found], axis=1)
        at = np.concatenate([at, np.broadcast_to(some, found.shape)], axis=1)
        # Stable: what came first stays first among equals, whatever the blocks.
        best = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        cosine = np.take_along_axis(cosine, best, axis=1)
        at = np.take_along_axis(at, best, axis=1)
    return at, np.clip(cosine, -1, 1).astype(np.float32)


def _directions(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    each = np.asarray(rows, np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", each, each))[:, None]
    return (each / np.where(lengths > 0, lengths, 1)).astype(np.float32)
