"""Deal examples into folds for cross-validation: by class, whole groups, repeatably. Pure.

The folds divide all examples, whatever their parts: each is measured once by a network that never
saw it or anything that belongs to it (:mod:`fieldmark.data.grouping`).
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from fieldmark.data import grouping
from fieldmark.data.grouping import Unit
from fieldmark.data.manifest import Manifest
from fieldmark.data.split import mend, ranks
from fieldmark.errors import DataError, UsageError

MAX_FOLDS: Final = 20


def folds(manifest: Manifest, n: int, *, seed: int) -> Manifest:
    """Return the manifest with every example in one of ``n`` folds, numbered from 0.

    Parameters
    ----------
    manifest : Manifest
        With hashes.
    n : int
        2 to 20.
    seed : int
        Another seed deals other folds.

    Returns
    -------
    Manifest
        A class with at least ``n`` units of its own is in every fold, in about equal numbers.
        Order comes from hashes: adding files moves only those at a boundary.

    Raises
    ------
    UsageError
        ``folds``, or ``not-hashed``.
    DataError
        ``too-few``: fewer units than folds.

    Examples
    --------
    >>> from pathlib import Path
    >>> from fieldmark.data.manifest import Example
    >>> four = [Example(path=f"{n}.jpg", label="a", sha256=f"{n}") for n in range(4)]
    >>> dealt = folds(Manifest(root=Path("x"), examples=tuple(four), classes=("a",)), 2, seed=0)
    >>> sorted(each.fold for each in dealt.examples)
    [0, 0, 1, 1]
    """
    _check(manifest, n)
    units = grouping.units(manifest.examples)
    if len(units) < n:
        raise DataError(
            f"{len(units)} groups of files cannot be dealt into {n} folds.",
            code="too-few",
            where=str(manifest.root),
            why="What belongs together stays in one fold, and no fold may be empty.",
            hint=f"--folds {max(2, len(units))} at most, or add examples",
        )
    rank = ranks(units, seed, "folds")
    alike: dict[tuple[str, ...], list[Unit]] = defaultdict(list)
    for unit in sorted(units, key=lambda unit: (rank[unit.key], unit.key)):
        alike[unit.labels].append(unit)
    placed: dict[str, int] = {}
    loads: Counter[int] = Counter()
    # Groups with several classes first: what they leave uneven, the others can still make good.
    for together in sorted(alike.values(), key=lambda them: (-len(them[0].labels), len(them))):
        dealt = _deal(together, n, loads)
        placed.update(dealt)
        for unit in together:
            loads[dealt[unit.key]] += len(unit.members)
    mend(units, placed, tuple(range(n)))
    of = {at: placed[unit.key] for unit in units for at in unit.members}
    return manifest.with_examples(
        tuple(dataclasses.replace(each, fold=of[at]) for at, each in enumerate(manifest.examples))
    )


def _check(manifest: Manifest, n: int) -> None:
    if not 2 <= n <= MAX_FOLDS:
        raise UsageError(
            f"{n} folds make no sense; there may be 2 to {MAX_FOLDS}.",
            code="folds",
            hint="--folds 5",
        )
    if any(not example.sha256 for example in manifest.examples):
        raise UsageError(
            "Folds cannot be dealt before the files have been read.",
            code="not-hashed",
            why="Equal files must stay together, and their names do not tell.",
            hint="call scan.hash_contents first",
        )


def _deal(units: Sequence[Unit], n: int, loads: Counter[int]) -> dict[str, int]:
    """Deal ranked units of the same labels: large ones to the emptiest fold, the rest by rank."""
    total = sum(len(unit.members) for unit in units)
    few = len(units) < n
    large = [unit for unit in units if few or len(unit.members) > max(1.0, total / n / 2)]
    own: Counter[int] = Counter()
    placed: dict[str, int] = {}
    for unit in sorted(large, key=lambda unit: -len(unit.members)):  # ties stay in ranked order
        to = min(range(n), key=lambda fold: (own[fold], loads[fold] + own[fold], fold))
        placed[unit.key] = to
        own[to] += len(unit.members)
    small = [unit for unit in units if unit.key not in placed]
    return placed | _by_rank(small, [max(0.0, total / n - own[fold]) for fold in range(n)])


def _by_rank(units: Sequence[Unit], room: list[float]) -> dict[str, int]:
    """Cut ranked units where the room of each fold ends."""
    n_members = sum(len(unit.members) for unit in units)
    ends = np.cumsum(room) * n_members / (sum(room) or 1.0)
    seen, placed = 0, {}
    for unit in units:
        fold = int(np.searchsorted(ends, seen + len(unit.members) / 2, side="right"))
        placed[unit.key] = min(fold, len(room) - 1)
        seen += len(unit.members)
    return placed
