"""Examples that must stay together: on one side of every split, in one fold of every fold. Pure.

Two examples belong together when they share a group (said by a person), a cluster (near copies,
frames of one burst) or a content (byte for byte the same file), directly or through others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.manifest import Example


@dataclass(frozen=True, slots=True)
class Unit:
    """Examples that stay together, by their positions."""

    key: str
    """The same for the same examples, whatever their order and names."""
    members: tuple[int, ...]
    labels: tuple[str, ...]
    """Every label among them, sorted: one for most, several for a person who did all classes."""


def units(examples: Sequence[Example], positions: Iterable[int] | None = None) -> list[Unit]:
    """Join examples that belong together (union-find).

    Parameters
    ----------
    examples : sequence of Example
        With hashes; one without is joined by its group and cluster only.
    positions : iterable of int, optional
        Only these; default: all.

    Returns
    -------
    list of Unit
        By their first member; each position is in exactly one.

    Examples
    --------
    >>> one = Example(path="1.jpg", label="a", sha256="0f", group="g")
    >>> two = Example(path="2.jpg", label="b", sha256="0f")
    >>> six = Example(path="3.jpg", label="b", sha256="77", group="g")
    >>> [unit.members for unit in units([one, two, six])]
    [(0, 1, 2)]
    """
    wanted = list(range(len(examples)) if positions is None else positions)
    parent = {at: at for at in wanted}

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first: dict[str, int] = {}
    for at in wanted:
        for key in _keys(examples[at]):
            parent[root(at)] = root(first.setdefault(key, at))
    members: dict[int, list[int]] = defaultdict(list)
    for at in wanted:
        members[root(at)].append(at)
    return [_unit(examples, tuple(together)) for together in members.values()]


def unit_numbers(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Return the number of every example's unit: from 0, in the order of their first members."""
    numbers = np.empty(len(examples), np.int64)
    for number, unit in enumerate(units(examples)):
        numbers[list(unit.members)] = number
    return numbers


def _unit(examples: Sequence[Example], members: tuple[int, ...]) -> Unit:
    found = [examples[at] for at in members]
    # A group keeps its rank whichever files it has; a cluster's name may change with its files.
    groups = [f"group:{each.group}" for each in found if each.group]
    key = min(groups or [f"sha:{each.sha256}" if each.sha256 else each.path for each in found])
    return Unit(key, members, tuple(sorted({each.label for each in found})))


def _keys(example: Example) -> list[str]:
    kinds = (("group", example.group), ("cluster", example.cluster), ("sha", example.sha256))
    return [f"{kind}:{name}" for kind, name in kinds if name]
