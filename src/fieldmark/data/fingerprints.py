"""Which pictures of a folder look alike at first sight: perceptual hashes, and a search over them.

Pure. A fingerprint is the 63 lowest frequencies of a picture's cosine transform without the mean,
scaled to length 1: the perceptual hash of Zauner (2010) before it is cut to bits, so that two of
them have a similarity and not only a distance of 0 to 64. A part of a picture has one as well, so
that a cropped copy is found by the fingerprint of the part it was cut from.

The search is an inverted file (Sivic and Zisserman, ICCV 2003): fingerprints fall into about
4 sqrt(n) cells and are compared with those of the nearest cells only, so that the work grows like
n sqrt(n) instead of n squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng

LEAST: Final = 0.90
"""Similarity of two fingerprints from which on a pair is looked at more closely. Of copies with a
tenth cut off, at random places, 1 in 100 lies below; of pairs of unrelated photos 1 in 100,000
above."""
MAX_PARTNERS: Final = 16
"""Candidates kept per picture, the likest first: pictures that all look alike stay linked, and a
folder of a hundred thousand of them does not become ten milliards of pairs."""
_N_FREQUENCIES: Final = 8
_BINS: Final = 32
"""Pixels each way that the transform is taken of."""
_FLAT: Final = 1.5
"""Standard deviation, in grey levels, below which a picture has no fingerprint."""
_CHUNK: Final = 1_000
_N_PROBES: Final = 8
_EXACT: Final = 1_000
"""Up to so many fingerprints all are compared with all."""
_SAMPLE: Final = 16_384
_ROUNDS: Final = 4

Span = tuple[float, float]
"""From where to where along one side, as fractions of it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a picture may have become another."""

    name: str
    """``same frame``, ``cropped``, ``mirrored`` or ``turned``."""
    rows: Span = (0.0, 1.0)
    columns: Span = (0.0, 1.0)
    turns: int = 0
    """Quarter turns, counter-clockwise."""
    mirrored: bool = False
    """Left and right exchanged, after the turns."""

    def applied(self, thumbs: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn and mirror thumbnails (n, s, s); what is cut off is left to the caller."""
        turned = np.rot90(thumbs, self.turns, axes=(1, 2))
        return turned[:, :, ::-1] if self.mirrored else turned


_SPANS: Final[tuple[Span, ...]] = ((0.0, 1.0), (0.0, 0.9), (0.05, 0.95), (0.1, 1.0))
WAYS: Final = (
    *(
        Way("same frame" if rows == columns == (0.0, 1.0) else "cropped", rows, columns)
        for rows in _SPANS
        for columns in _SPANS
    ),
    Way("cropped", rows=(0.1, 0.9), columns=(0.1, 0.9)),
    *(
        Way(
            "mirrored" if mirrored and turns in (0, 2) else "turned", turns=turns, mirrored=mirrored
        )
        for turns in range(4)
        for mirrored in (False, True)
        if turns or mirrored
    ),
)
"""What is looked for; the first one is the picture as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Pairs whose fingerprints are alike, each pair once; sorted by ``whole``, then ``copy``."""

    whole: NDArray[np.int64]
    """(n_pairs,): number of the picture that was cut, turned or neither."""
    copy: NDArray[np.int64]
    """(n_pairs,): number of the picture that looks like the result."""
    way: NDArray[np.int64]
    """(n_pairs,): position in :data:`WAYS`."""
    similarity: NDArray[np.float32]
    """(n_pairs,), in [LEAST, 1]."""


def resampled(thumbs: NDArray[np.uint8], way: Way, n: int) -> NDArray[np.float32]:
    """Return ``way`` of thumbnails (n_pictures, s, s), averaged to (n_pictures, n, n)."""
    size = thumbs.shape[1]
    rows, columns = _averages(way.rows, size, n), _averages(way.columns, size, n)
    return np.asarray(rows @ way.applied(thumbs).astype(np.float32) @ columns.T, np.float32)


def fingerprints(thumbs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the fingerprints of thumbnails.

    Parameters
    ----------
    thumbs : uint8 array of shape (n_pictures, s, s)

    Returns
    -------
    float32 array of shape (n_pictures, 63)
        Rows of length 1; of a picture without any structure, zeros.

    Examples
    --------
    >>> picture = np.indices((64, 64)).sum(0).astype(np.uint8)[None]
    >>> brighter = picture // 2 + 100
    >>> round(float((fingerprints(picture) @ fingerprints(brighter).T)[0, 0]), 2)
    1.0
    """
    whole = _frequencies((0.0, 1.0), thumbs.shape[1])
    return _unit(whole @ thumbs.astype(np.float32) @ whole.T)


def prints_of_ways(thumbs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the fingerprints of what thumbnails would become: (n_ways, n_pictures, 63).

    Parts share their rows; a turn exchanges frequencies and changes signs, nothing more.
    """
    size, pixels = thumbs.shape[1], thumbs.astype(np.float32)
    along = {rows: _frequencies(rows, size) @ pixels for rows in {way.rows for way in WAYS}}
    found = []
    for way in WAYS:
        made = np.asarray(along[way.rows] @ _frequencies(way.columns, size).T, np.float32)
        found.append(_unit(_turned(made, way.turns, way.mirrored)))
    return np.stack(found)


def _turned(made: NDArray[np.float32], turns: int, mirrored: bool) -> NDArray[np.float32]:
    """Turn the cosine transforms (n, 8, 8) of whole pictures as :meth:`Way.applied` turns them."""
    signs = (-1.0) ** np.arange(_N_FREQUENCIES, dtype=np.float32)
    for _ in range(turns):  # a quarter turn: transposed, then upside down
        made = np.asarray(made.swapaxes(1, 2) * signs[:, None], np.float32)
    return made * signs if mirrored else made


def _unit(made: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave the mean out and scale to length 1; flat pictures become zeros."""
    found = made.reshape(len(made), -1)[:, 1:]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    # Noise of a grey level or so is no structure: one blank page would look like every other.
    flat = length < _FLAT * _BINS
    return np.where(flat, 0.0, found / np.maximum(length, 1e-6)).astype(np.float32)


def candidates(thumbs: NDArray[np.uint8], *, least: float = LEAST, seed: int = 0) -> Candidates:
    """Find the pairs that look alike, each picture against the parts and turns of all others.

    Parameters
    ----------
    thumbs : uint8 array of shape (n_pictures, s, s)
        Grey, square, of distinct contents; may be mapped from a file.
    least : float, default=LEAST
    seed : int
        Of the cells.
    """
    prints = np.concatenate(
        [fingerprints(thumbs[at : at + _CHUNK]) for at in range(0, len(thumbs), _CHUNK)]
        or [np.empty((0, _N_FREQUENCIES**2 - 1), np.float32)]
    )
    cells = _Cells.of(prints, seed)
    found = [_of_chunk(thumbs, cells, at, least) for at in range(0, len(thumbs), _CHUNK)]
    whole, copy, way, similarity = (
        (np.concatenate(column) for column in zip(*found, strict=True))
        if found
        else (np.empty(0, np.int64),) * 4
    )
    return _once(whole, copy, way, similarity.astype(np.float32))


_Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def _of_chunk(thumbs: NDArray[np.uint8], cells: _Cells, start: int, least: float) -> _Columns:
    chunk = thumbs[start : start + _CHUNK]
    queries = prints_of_ways(chunk).reshape(-1, _N_FREQUENCIES**2 - 1)
    query, member, similarity = cells.alike(queries, least)
    way, whole = np.divmod(query, len(chunk))
    whole += start
    other = whole != member
    whole, member, way, similarity = (each[other] for each in (whole, member, way, similarity))
    best = np.lexsort((way, -similarity, member, whole))
    first = np.ones(len(best), np.bool_)
    first[1:] = (np.diff(whole[best]) != 0) | (np.diff(member[best]) != 0)
    best = best[first]
    # The likest few of every picture.
    order = best[np.lexsort((member[best], -similarity[best], whole[best]))]
    starts = np.searchsorted(whole[order], whole[order])
    kept = order[np.arange(len(order)) - starts < MAX_PARTNERS]
    return whole[kept], member[kept], way[kept], similarity[kept]


def _once(
    whole: NDArray[np.int64],
    copy: NDArray[np.int64],
    way: NDArray[np.int64],
    similarity: NDArray[np.float32],
) -> Candidates:
    """Keep the likest of the two directions of each pair."""
    low, high = np.minimum(whole, copy), np.maximum(whole, copy)
    order = np.lexsort((way, whole, -similarity, high, low))
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    kept = order[first]
    kept = kept[np.lexsort((copy[kept], whole[kept]))]
    return Candidates(whole[kept], copy[kept], way[kept], similarity[kept])


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Fingerprints sorted into cells around centres."""

    prints: NDArray[np.float32]
    """(n, 63), in the order of the cells."""
    members: NDArray[np.int64]
    """(n,): which fingerprint each line of ``prints`` is."""
    starts: NDArray[np.int64]
    """(n_cells + 1,): where each cell begins."""
    centres: NDArray[np.float32]
    """(n_cells, 63)."""

    @classmethod
    def of(cls, prints: NDArray[np.float32], seed: int) -> _Cells:
        usable = np.flatnonzero(prints.any(axis=1))
        centres = _centres(prints[usable], seed)
        cell = np.concatenate(
            [
                (prints[usable[at : at + 4096]] @ centres.T).argmax(axis=1)
                for at in range(0, len(usable), 4096)
            ]
            or [np.empty(0, np.int64)]
        )
        order = np.argsort(cell, kind="stable")
        starts = np.searchsorted(cell[order], np.arange(len(centres) + 1))
        return cls(prints[usable[order]], usable[order], starts, centres)

    def alike(
        self, queries: NDArray[np.float32], least: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return number of query, number of fingerprint and similarity of all pairs found."""
        n_probes = min(_N_PROBES, len(self.centres))
        nearness = queries @ self.centres.T
        if n_probes < len(self.centres):
            probed = np.argpartition(-nearness, n_probes - 1, axis=1)[:, :n_probes]
        else:
            probed = np.tile(np.arange(n_probes), (len(queries), 1))
        order = np.argsort(probed.ravel(), kind="stable")
        bounds = np.searchsorted(probed.ravel()[order], np.arange(len(self.centres) + 1))
        found = []
        for cell in range(len(self.centres)):
            asking = order[bounds[cell] : bounds[cell + 1]] // n_probes
            low, high = self.starts[cell], self.starts[cell + 1]
            if not len(asking) or low == high:
                continue
            similarity = queries[asking] @ self.prints[low:high].T
            query, member = np.nonzero(similarity >= least)
            found.append((asking[query], self.members[low + member], similarity[query, member]))
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
        query, member, similarity = (np.concatenate(each) for each in zip(*found, strict=True))
        return query, member, np.minimum(similarity, 1.0)


def _centres(prints: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Choose centres by a few rounds of k-means on the sphere, over a sample."""
    n_cells = 1 if len(prints) <= _EXACT else int(4 * np.sqrt(len(prints)))
    draws = rng.derive(seed, "cells")
    sample = prints[np.sort(draws.permutation(len(prints))[:_SAMPLE])]
    if n_cells == 1:
        return np.ones((1, prints.shape[1]), np.float32)
    centres = sample[draws.permutation(len(sample))[:n_cells]]
    for _ in range(_ROUNDS):
        nearest = (sample @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 0, sums / np.maximum(length, 1e-9), centres)
    return centres


@cache
def _averages(span: Span, size: int, n: int) -> NDArray[np.float32]:
    """Return the matrix (n, size) that averages the pixels of a span into n equal bins."""
    edges = np.linspace(span[0] * size, span[1] * size, n + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.maximum(overlap, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


@cache
def _frequencies(span: Span, size: int) -> NDArray[np.float32]:
    """Return the matrix (8, size) of the lowest frequencies of a span: DCT-II, rows of length 1."""
    at = np.arange(_BINS) + 0.5
    waves = np.cos(np.pi * np.arange(_N_FREQUENCIES)[:, None] * at / _BINS)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    return np.asarray(waves @ _averages(span, size, _BINS), np.float32)
