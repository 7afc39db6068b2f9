"""Give every example its part, training, validation or test: once, and on the record.

Pure: takes a manifest with hashes, returns a new one; reads no file. What it promises:

* Two examples that belong together (:mod:`fieldmark.data.grouping`) are never on two sides, even
  when their labels differ.
* Every class is in every part that is drawn here, in about the fractions asked for.
* Order comes from a hash of the group or content, not from names or positions, so that renaming
  files changes nothing and adding files moves only the few others that lie at a boundary.
* A part that came with the folder is never touched; only parts that are missing are taken out of
  the training part. Copies across ready-made parts stay where they are.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Final, TypeVar

import numpy as np

from fieldmark import rng
from fieldmark.data import grouping
from fieldmark.data.grouping import Unit
from fieldmark.data.manifest import SPLITS, Manifest, Split
from fieldmark.errors import DataError, UsageError

Part = TypeVar("Part", Split, int)

MIN_EXAMPLES: Final = 5
"""Per class, where all three parts are drawn here."""


def assign(
    manifest: Manifest, *, fractions: tuple[float, float, float] = (0.70, 0.15, 0.15), seed: int
) -> Manifest:
    """Return the manifest with every example in one part.

    Parameters
    ----------
    manifest : Manifest
        With hashes. Examples may already have parts: all of them, or none.
    fractions : (float, float, float), default=(0.70, 0.15, 0.15)
        Training, validation and test; above 0, with the sum 1. Of the missing parts only: with a
        ready-made test part, validation is ``valid / (train + valid)`` of the training part.
    seed : int
        Another seed draws other parts.

    Returns
    -------
    Manifest
        The same examples in the same order, each with a part.

    Raises
    ------
    DataError
        ``too-few`` when a class cannot be in every part, ``split-partly-given`` when some examples
        have a part and others do not, ``no-train-part``.
    UsageError
        ``fractions``, or ``not-hashed``.
    """
    _check_asked(manifest, fractions)
    given = {example.split for example in manifest.examples}
    shares = shares_of([s for s in SPLITS if s == "train" or s not in given], fractions)
    if not manifest.examples or not shares:
        return manifest
    drawn = _draw(manifest, shares, seed)
    examples = tuple(
        dataclasses.replace(example, split=drawn[at]) if at in drawn else example
        for at, example in enumerate(manifest.examples)
    )
    return manifest.with_examples(examples)


def shares_of(
    parts: Collection[Split], fractions: tuple[float, float, float]
) -> dict[Split, float]:
    """Return the shares of the test and validation parts that are to be drawn, in that order.

    A part that is not among ``parts`` was there before: it takes no share of the training part.
    """
    wanted = dict(zip(SPLITS, fractions, strict=True))
    missing: list[Split] = [s for s in reversed(SPLITS) if s in parts and s != "train"]
    whole = wanted["train"] + sum(wanted[split] for split in missing)
    return {split: wanted[split] / whole for split in missing}


def _check_asked(manifest: Manifest, fractions: tuple[float, float, float]) -> None:
    if not all(0 < share < 1 for share in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(
            f"The parts were asked to be {fractions}; each must be above 0 and their sum 1.",
            code="fractions",
            hint="for example --val 0.15 --test 0.15",
        )
    given = {example.split for example in manifest.examples}
    if None in given and len(given) > 1:
        raise DataError(
            "some pictures have a part and others have none.",
            code="split-partly-given",
            where=str(manifest.root),
            why="A test part chosen by hand and one drawn by chance do not mix.",
            hint="fill the column split in every line, or leave it out",
        )
    if given and given != {None} and "train" not in given:
        raise DataError(
            "there is a validation or test part, but no training part.",
            code="no-train-part",
            where=str(manifest.root),
            hint="name the folder or part to learn from: train",
        )


def _draw(manifest: Manifest, shares: dict[Split, float], seed: int) -> dict[int, Split]:
    """Return the part of every example that has none yet or is in the training part."""
    open_ = [at for at, e in enumerate(manifest.examples) if e.split in (None, "train")]
    if any(not manifest.examples[at].sha256 for at in open_):
        raise UsageError(
            "The parts cannot be drawn before the files have been read.",
            code="not-hashed",
            why="Equal files must stay together, and their names do not tell.",
            hint="call scan.hash_contents first",
        )
    units = grouping.units(manifest.examples, open_)
    _check_sizes(manifest, units, n_parts=len(shares) + 1)
    placed = place(units, ranks(units, seed, "split"), shares)
    lost = {
        label: sum(label in unit.labels for unit in units)
        for label in manifest.classes
        for part in ("train", *shares)
        if not any(label in unit.labels and placed[unit.key] == part for unit in units)
    }
    if lost:
        what = "groups that cannot be divided so that every part has some"
        raise _too_few(manifest, lost, what, len(shares) + 1)
    return {at: placed[unit.key] for unit in units for at in unit.members}


def ranks(units: Sequence[Unit], seed: int, purpose: str) -> dict[str, float]:
    """Return a number in [0, 1) for every unit's key, from nothing but the key and the seed."""
    ids = np.array(
        [
            int.from_bytes(
                hashlib.blake2b(unit.key.encode("utf-8", "surrogatepass"), digest_size=8).digest(),
                "little",
            )
            for unit in units
        ],
        dtype=np.uint64,
    )
    draws = rng.uniforms(seed, purpose, ids=ids, n_draws=1)[:, 0]
    return {unit.key: float(draw) for unit, draw in zip(units, draws, strict=True)}


def place(
    units: Sequence[Unit], ranks: dict[str, float], shares: dict[Split, float]
) -> dict[str, Split]:
    """Divide units with the same labels among the parts, then mend what a class lacks."""
    alike: dict[tuple[str, ...], list[Unit]] = defaultdict(list)
    for unit in sorted(units, key=lambda unit: (ranks[unit.key], unit.key)):
        alike[unit.labels].append(unit)
    placed: dict[str, Split] = {}
    for labels, members in alike.items():
        if len(members) > len(shares):
            placed.update(_cut(members, shares, every=len(labels) == 1))
        else:  # too few for a cut without favouring a part: the rank itself decides
            placed.update((unit.key, by_rank(ranks[unit.key], shares)) for unit in members)
    mend(units, placed, ("train", *shares))
    return placed


def by_rank(rank: float, shares: dict[Split, float]) -> Split:
    """Return the part of one unit from nothing but its rank: what is added later moves nothing."""
    until = 0.0
    for split, share in shares.items():
        until += share
        if rank < until:
            return split
    return "train"


def _cut(units: list[Unit], shares: dict[Split, float], *, every: bool) -> dict[str, Split]:
    """Cut ranked units: small parts first, with ``every`` one unit each at least; then train."""
    n_examples = sum(len(unit.members) for unit in units)
    # A group larger than a whole part would swallow it; it goes to training, if enough remain.
    limit = max(1.0, max(shares.values()) * n_examples)
    small = [unit for unit in units if len(unit.members) <= limit]
    if len(small) <= len(shares):
        small = sorted(units, key=lambda unit: len(unit.members))
    sizes = np.array([len(unit.members) for unit in small])
    middles = np.cumsum(sizes) - sizes / 2
    placed: dict[str, Split] = {unit.key: "train" for unit in units}
    start, until, left = 0, 0.0, len(shares)
    for split, share in shares.items():
        until += share * n_examples
        stop = int(np.sum(middles < until))
        if every:  # leave one unit for each part still to come, the training part included
            stop = min(max(stop, start + 1), len(small) - left)
        placed.update((unit.key, split) for unit in small[start:stop])
        start, left = max(start, stop), left - 1
    return placed


def mend(units: Sequence[Unit], placed: dict[str, Part], parts: Sequence[Part]) -> None:
    """Move single units to parts that a class is missing from, where that takes nothing away.

    Parameters
    ----------
    units : sequence of Unit
    placed : dict
        Key of every unit -> its part; changed in place.
    parts : sequence
        That every class should be in: splits or folds.
    """
    homes = Counter((label, placed[unit.key]) for unit in units for label in unit.labels)
    holders: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        for label in unit.labels:
            holders[label].append(unit)
    for label in sorted(holders):
        for part in parts:
            if homes[label, part]:
                continue
            spare = [
                unit
                for unit in holders[label]
                if all(homes[other, placed[unit.key]] > 1 for other in unit.labels)
            ]
            if spare:
                moved = min(spare, key=lambda unit: (len(unit.members), unit.key))
                for other in moved.labels:
                    homes[other, placed[moved.key]] -= 1
                    homes[other, part] += 1
                placed[moved.key] = part


def _check_sizes(manifest: Manifest, units: list[Unit], n_parts: int) -> None:
    examples = Counter(manifest.examples[at].label for unit in units for at in unit.members)
    groups = Counter(label for unit in units for label in unit.labels)
    enough = MIN_EXAMPLES if n_parts == len(SPLITS) else n_parts
    few = {name: examples[name] for name in manifest.classes if examples[name] < enough}
    if few:
        raise _too_few(manifest, few, f"fewer than {enough} examples", enough)
    few = {name: groups[name] for name in manifest.classes if groups[name] < n_parts}
    if few:
        what = f"fewer than {n_parts} groups that can be separated"
        raise _too_few(manifest, few, what, n_parts)


def _too_few(manifest: Manifest, few: dict[str, int], what: str, enough: int) -> DataError:
    named = sorted(few, key=lambda name: (few[name], name))
    shown = ", ".join(f"{name} ({few[name]})" for name in named[:8])
    more = f" and {len(named) - 8} more" if len(named) > 8 else ""
    number, verb = len(manifest.classes), "has" if len(few) == 1 else "have"
    return DataError(
        f"{len(few)} of {number} classes {verb} {what}: {shown}{more}.",
        code="too-few",
        where=str(manifest.root),
        why=f"fieldmark needs {enough} per class so that each can be learned and tested honestly.",
        hint="add examples, or merge the class into another",
    )
