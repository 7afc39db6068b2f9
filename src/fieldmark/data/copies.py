"""Near copies: which of the pictures that look alike are the same picture, and which stay together.

Pure. A pair must pass twice: its fingerprints are alike (:mod:`fieldmark.data.fingerprints`), and,
laid over each other, so are its details (:mod:`fieldmark.modalities.aligning`). Many pictures share
a fingerprint, in medicine most of a folder; details are shared by copies.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data import fingerprints
from fieldmark.data.fingerprints import WAYS, Candidates, Way
from fieldmark.modalities.aligning import details_alike
from fieldmark.pool import map_ordered

NEAR: Final = 0.90
"""Likeness of the details from which on two pictures count as copies."""
SMALL: Final = 48
"""Pixels of the short side below which a picture has few details."""
PLAIN: Final = 0.5
"""Share of a picture that has details below which it has few: drawings, symbols, digits. Of 7,300
photos 20 lie below."""
NEAR_FEW: Final = 0.98
"""Likeness asked of pictures with few details, in the same frame, and hardly moved: one disc can be
laid over any other."""
_SLACK, _SLACK_FEW = 5.0, 1.0
"""Pixels of the thumbnail that a corner may be moved."""
_ROUGH: Final = 0.35
"""Likeness of the details before they are laid over each other exactly, from which on that is
tried. Copies cut at random places stay above 0.36; of unrelated pictures with a like fingerprint
seven in ten lie below."""
_TIGHTER: Final = (0.95, 0.98, 0.995)
CROWD: Final = 30
"""Pictures up to which a cluster or burst is never called a crowd."""
_BLOCK: Final = 32
_DETAIL: Final = 2.0
"""Grey levels from which on there is a detail."""
BURST_S: Final = 2.0
"""Seconds between two pictures of one camera that count as one moment."""
BURST_LIKENESS: Final = 0.85
"""Of the fingerprints of frames of one moment, or with consecutive numbers; :data:`NEAR_FEW` for
small pictures."""
_NUMBERED: Final = re.compile(r"^(.*?)(\d{1,9})$")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two contents that are the same picture."""

    first: int
    second: int
    """Rows of the looks, ``first < second``."""
    likeness: float
    """Of the details, in [0, 1]."""
    way: str
    """``same frame``, ``cropped``, ``mirrored`` or ``turned``."""


def near_copies(
    looks: NDArray[np.void],
    *,
    near: float = NEAR,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[Pair, ...]:
    """Find the near copies among distinct contents.

    Parameters
    ----------
    looks : structured array of shape (n,)
        Of :data:`fieldmark.modalities.looking.LOOK`; may be mapped from a file.
    near : float, default=NEAR
        Likeness asked for, in (0, 1].
    threads : int
    progress : callable, optional
        Called with pairs looked at and pairs in all.

    Returns
    -------
    tuple of Pair
        Sorted by first, then second.
    """
    thumbs = looks["thumb"]
    few = np.minimum(looks["width"], looks["height"]) < SMALL
    found = _promising(thumbs, fingerprints.candidates(thumbs), few)
    n = len(found.whole)

    def confirmed(start: int) -> list[Pair]:
        block = range(start, min(start + _BLOCK, n))
        return [pair for at in block if (pair := _judged(thumbs, few, found, at, near))]

    pairs: list[Pair] = []
    starts = range(0, n, _BLOCK)
    for done, block in enumerate(
        map_ordered(confirmed, starts, threads=threads, ahead=4 * threads), start=1
    ):
        pairs += block
        if progress is not None:
            progress(min(done * _BLOCK, n), n)
    return tuple(sorted(pairs, key=lambda pair: (pair.first, pair.second)))


def _promising(thumbs: NDArray[np.uint8], found: Candidates, few: NDArray[np.bool_]) -> Candidates:
    """Drop the pairs whose details do not agree even roughly; note in ``few`` who has few."""
    rows = np.union1d(found.whole, found.copy)
    for start in range(0, len(rows), 1024):
        some = rows[start : start + 1024]
        share = (np.abs(_details(thumbs[some], WAYS[0])) >= _DETAIL).mean(axis=1)
        few[some] |= share < PLAIN
    likeness = np.zeros(len(found.whole), np.float32)
    for way in np.unique(found.way):
        rows = np.flatnonzero(found.way == way)
        for start in range(0, len(rows), 1024):
            some = rows[start : start + 1024]
            wholes = _details(thumbs[found.whole[some]], WAYS[way])
            copies = _details(thumbs[found.copy[some]], WAYS[0])
            likeness[some] = (_unit(wholes) * _unit(copies)).sum(axis=1)
    kept = likeness >= np.where(few[found.copy] | few[found.whole], NEAR_FEW - 0.1, _ROUGH)
    kept &= (found.way == 0) | ~(few[found.copy] | few[found.whole])
    return Candidates(found.whole[kept], found.copy[kept], found.way[kept], found.similarity[kept])


def _details(thumbs: NDArray[np.uint8], way: Way) -> NDArray[np.float32]:
    """Return what a blur takes away from 32x32 averages, in grey levels; (n, 1024)."""
    pixels = fingerprints.resampled(thumbs, way, 32)
    at = np.arange(32)
    blur = np.exp(-((at[:, None] - at) ** 2) / (2 * 2.0**2)).astype(np.float32)
    blur /= blur.sum(axis=1, keepdims=True)
    found = (pixels - blur @ pixels @ blur.T).reshape(len(pixels), -1)
    return np.asarray(found - found.mean(axis=1, keepdims=True))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))


def _judged(
    thumbs: NDArray[np.uint8], few: NDArray[np.bool_], found: Candidates, at: int, near: float
) -> Pair | None:
    whole, copy, way = int(found.whole[at]), int(found.copy[at]), WAYS[found.way[at]]
    size = thumbs.shape[1]
    guess = np.array(
        [
            [way.columns[1] - way.columns[0], 0, way.columns[0] * size],
            [0, way.rows[1] - way.rows[0], way.rows[0] * size],
        ],
        np.float32,
    )
    turned = np.ascontiguousarray(way.applied(thumbs[whole : whole + 1])[0])
    strict = bool(few[whole] or few[copy])
    slack = _SLACK_FEW if strict else _SLACK
    likeness = details_alike(np.ascontiguousarray(thumbs[copy]), turned, guess, slack=slack)
    if likeness < (max(near, NEAR_FEW) if strict else near):
        return None
    first, second = sorted((whole, copy))
    return Pair(first=first, second=second, likeness=min(likeness, 1.0), way=way.name)


def clusters(
    pairs: Sequence[Pair], is_crowd: Callable[[tuple[int, ...]], bool]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Join pairs into clusters, directly or through others.

    Parameters
    ----------
    pairs : sequence of Pair
    is_crowd : callable
        Whether a cluster is so large that nothing could be divided any more. Such a one is taken
        apart by asking for more likeness, step by step up to 0.995.

    Returns
    -------
    tuple of tuple of int
        Each cluster's rows, ascending; clusters by their first row.
    tuple of tuple of int
        The crowds as they were before they were taken apart.

    Examples
    --------
    >>> alike = [Pair(first=0, second=3, likeness=0.99, way="cropped")]
    >>> alike.append(Pair(first=3, second=4, likeness=0.93, way="same frame"))
    >>> clusters(alike, lambda rows: False)
    (((0, 3, 4),), ())
    """
    open_, done = list(pairs), []
    crowds: list[tuple[int, ...]] = []
    for step in (*_TIGHTER, None):
        found = joined([(pair.first, pair.second) for pair in open_])
        large = [rows for rows in found if step is not None and is_crowd(rows)]
        crowds += large if step == _TIGHTER[0] else []
        done += [rows for rows in found if rows not in large]
        inside = {row for rows in large for row in rows}
        open_ = [pair for pair in open_ if pair.first in inside and pair.likeness >= (step or 1)]
    return tuple(sorted(done)), tuple(sorted(crowds))


def joined(links: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the connected parts of some links (union-find), each part's rows ascending."""
    links = list(links)
    parent = {row: row for link in links for row in link}

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in links:
        parent[root(second)] = root(first)
    members: dict[int, list[int]] = defaultdict(list)
    for row in parent:
        members[root(row)].append(row)
    return [tuple(sorted(rows)) for rows in members.values()]


def bursts(paths: Sequence[str], looks: NDArray[np.void]) -> tuple[tuple[int, ...], ...]:
    """Find frames of one moment: by the camera's clock, or by consecutive numbers in the name.

    Parameters
    ----------
    paths : sequence of str
        Of each row.
    looks : structured array of shape (n,)
        Neighbours must look alike too: folders are numbered from 1 for other reasons, and clocks
        stand still.

    Returns
    -------
    tuple of tuple of int
        Rows of each burst, ascending.
    """
    links = [*_consecutive(paths), *_same_moment(looks)]
    if not links:
        return ()
    rows = np.unique(np.array(links))
    prints = fingerprints.fingerprints(looks["thumb"][rows])
    first, second = np.searchsorted(rows, np.array(links)).T
    small = np.minimum(looks["width"][rows], looks["height"][rows]) < SMALL
    least = np.where(small[first] | small[second], NEAR_FEW, BURST_LIKENESS)
    alike = np.einsum("ij,ij->i", prints[first], prints[second]) >= least
    found = joined([link for link, is_alike in zip(links, alike, strict=True) if is_alike])
    return tuple(sorted(found))


def _consecutive(paths: Sequence[str]) -> list[tuple[int, int]]:
    series: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for row, path in enumerate(paths):
        name = PurePosixPath(path)
        match = _NUMBERED.match(name.stem)
        if match:
            series[str(name.parent), match[1], name.suffix].append((int(match[2]), row))
    links = []
    for numbered in series.values():
        numbered.sort()
        for (number, row), (following, other) in pairwise(numbered):
            if following - number == 1:
                links.append((row, other))
    return links


def _same_moment(looks: NDArray[np.void]) -> list[tuple[int, int]]:
    taken = looks["taken_s"]
    rows = np.flatnonzero(np.isfinite(taken) & (looks["camera"] != b""))
    order = rows[np.lexsort((rows, taken[rows], looks["camera"][rows]))]
    # A clock that was never set gives every picture one time; that is no moment.
    stamps = Counter(taken[order].tolist())
    stuck = {stamp for stamp, count in stamps.items() if count > CROWD}
    return [
        (int(a), int(b))
        for a, b in pairwise(order)
        if looks["camera"][a] == looks["camera"][b]
        and taken[b] - taken[a] <= BURST_S
        and not {float(taken[a]), float(taken[b])} & stuck
    ]
