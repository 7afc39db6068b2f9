"""What a solved head is solved from: rows of frozen features, and what each row counts for.

Rows are not examples: an example may bring warped copies of itself. Everything here is independent
of the order of the rows and of the names of the classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.rng import uniforms

Balance = Literal["none", "weights"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Frozen features with their labels.

    Features are ordered so that a prefix of the columns is a meaningful smaller set.
    """

    features: NDArray[np.float32]
    """(n_rows, n_features); may be memory-mapped, and is read in blocks."""
    labels: NDArray[np.int64]
    """(n_rows,), class indices."""
    groups: NDArray[np.int64]
    """(n_rows,), at least 0. Rows of a group stay on one side of a fold: an example with its
    copies, or examples of one origin. The numbers are names: folds are a function of them."""
    original: NDArray[np.bool_]
    """(n_rows,); False for a warped copy, which is learned from and never scored."""


def checked(rows: Rows, n_classes: int) -> Rows:
    """Return the rows, or say what is wrong with them.

    Raises
    ------
    UsageError
        With code ``bad-rows`` when shapes disagree, a label is out of range, there are fewer than
        two classes, or one has no original. Features that are not finite are found when read.
    """
    n = len(rows.features)
    shapes = {rows.labels.shape, rows.groups.shape, rows.original.shape}
    problem = ""
    if rows.features.ndim != 2 or shapes != {(n,)} or not n:
        problem = f"features of shape {rows.features.shape} and other parts of shape {shapes}"
    elif rows.labels.min() < 0 or rows.labels.max() >= n_classes:
        problem = f"labels {rows.labels.min()} to {rows.labels.max()} for {n_classes} classes"
    elif rows.groups.min() < 0:
        problem = f"a group numbered {rows.groups.min()}"
    elif n_classes < 2 or (absent := set(range(n_classes)) - set(rows.labels[rows.original])):
        problem = f"no original of classes {sorted(absent)[:10]}" if n_classes > 1 else "one class"
    if problem:
        raise bad_rows(problem)
    return rows


def bad_rows(problem: str) -> UsageError:
    """Return the error that says what is wrong with rows."""
    return UsageError(
        f"A head was to be solved from {problem}.",
        code="bad-rows",
        why="A head needs finite numbers, and two classes to tell apart.",
        hint="pass features (n_rows, n_features); labels, groups and original (n_rows,)",
    )


def row_weights(rows: Rows, balance: Balance) -> NDArray[np.float64]:
    """Return what each row counts for, in total the number of originals.

    An example counts once, however many copies it brings: the rows of one group and class share
    the weight of that group's originals of the class equally (a group of nothing but copies counts
    as one example). With ``balance="weights"`` this is multiplied by ``n / (K * n_k)`` for K
    classes that occur, n_k of the n examples being of the row's own: every class counts the same.

    Examples
    --------
    >>> rows = Rows(
    ...     features=np.zeros((4, 1), np.float32),
    ...     labels=np.array([0, 0, 0, 1]),
    ...     groups=np.array([7, 7, 8, 9]),
    ...     original=np.array([True, False, True, True]),
    ... )
    >>> row_weights(rows, "none").tolist()
    [0.5, 0.5, 1.0, 1.0]
    >>> row_weights(rows, "weights").tolist()
    [0.375, 0.375, 0.75, 1.5]
    """
    pairs = np.stack([rows.groups, rows.labels])
    _, pair, n_rows = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
    pair = pair.reshape(-1)
    n_originals = np.bincount(pair, weights=rows.original, minlength=len(n_rows))
    weights: NDArray[np.float64] = (np.maximum(n_originals, 1) / n_rows)[pair]
    if balance == "weights":
        per_class = np.bincount(rows.labels, weights=weights)
        n_present = np.count_nonzero(per_class)
        weights *= weights.sum() / (n_present * per_class[rows.labels])
    return weights


@dataclass(frozen=True, slots=True)
class _Group:
    number: int
    key: float
    counts: tuple[tuple[int, int], ...]
    """(class, how many originals of it)."""

    @property
    def size(self) -> int:
        return sum(n for _, n in self.counts)


def _groups(rows: Rows, seed: int, purpose: str) -> list[_Group]:
    """Return the groups that have originals, in a drawn order that only their numbers decide."""
    pairs = np.stack([rows.groups[rows.original], rows.labels[rows.original]])
    pairs, counts = np.unique(pairs, axis=1, return_counts=True)
    members: dict[int, list[tuple[int, int]]] = {}
    for group, label, n in zip(*pairs.tolist(), counts.tolist(), strict=True):
        members.setdefault(group, []).append((label, n))
    ids = np.array(list(members), dtype=np.uint64)
    keys = uniforms(seed, purpose, ids=ids, n_draws=1)[:, 0].tolist()
    found = [
        _Group(number, key, tuple(held))
        for (number, held), key in zip(members.items(), keys, strict=True)
    ]
    return sorted(found, key=lambda group: (group.key, group.number))


def deal_folds(rows: Rows, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Give each row a fold so that no group is on two sides and classes are spread evenly.

    Largest groups first, each to the fold that holds the smallest share of its classes, then to the
    smallest fold. So a class with fewer groups than folds is missing from some folds, and one with
    a single group is unseen where it is scored. Rows of groups without an original get -1: they are
    learned from in every fold.

    Returns
    -------
    int64 array of shape (n_rows,)
        In [-1, n_folds); ``n_folds`` is lowered to the number of groups that have originals. All
        -1 when no class has two groups: then nothing can be cross-validated.
    """
    groups = _groups(rows, seed, "head folds")
    n_groups = np.bincount([label for group in groups for label, _ in group.counts])
    n_folds = min(n_folds, len(groups))
    if n_folds < 2 or n_groups.max() < 2:
        return np.full(len(rows.labels), -1)
    per_class = np.bincount(rows.labels[rows.original]).tolist()
    held = [[0] * n_folds for _ in per_class]
    total = [0] * n_folds
    fold_of: dict[int, int] = {}
    for group in sorted(groups, key=lambda group: -group.size):
        crowding = [
            sum(n * held[label][fold] / per_class[label] for label, n in group.counts)
            for fold in range(n_folds)
        ]
        # Rounded: a sum's last bits depend on the order of the classes, and must not decide.
        fold = min(range(n_folds), key=lambda fold: (round(crowding[fold], 9), total[fold]))
        fold_of[group.number] = fold
        total[fold] += group.size
        for label, n in group.counts:
            held[label][fold] += n
    return _looked_up(rows.groups, fold_of)


def subset(rows: Rows, n_originals: int, seed: int) -> NDArray[np.intp]:
    """Choose whole groups with about ``n_originals`` originals, the same share of every class.

    At least ten originals of each class are taken where there are so many. Returns the positions of
    the rows, in ascending order; all of them if there are no more originals than asked for.
    """
    per_class = np.bincount(rows.labels[rows.original])
    share = n_originals / max(per_class.sum(), 1)
    if share >= 1:
        return np.arange(len(rows.labels))
    quota = np.maximum(np.ceil(per_class * share), np.minimum(per_class, 10)).tolist()
    taken = [0] * len(per_class)
    chosen: dict[int, int] = {}
    for group in _groups(rows, seed, "head subset"):
        main = max(group.counts, key=_most)[0]
        if taken[main] < quota[main]:
            chosen[group.number] = 1
            for label, n in group.counts:
                taken[label] += n
    return np.flatnonzero(_looked_up(rows.groups, chosen) == 1)


def _most(count: tuple[int, int]) -> int:
    return count[1]


def _looked_up(groups: NDArray[np.int64], values: dict[int, int]) -> NDArray[np.int64]:
    """Return each group's value, -1 for one that has none."""
    numbers, inverse = np.unique(groups, return_inverse=True)
    table = np.array([values.get(int(number), -1) for number in numbers], dtype=np.int64)
    return table[inverse.reshape(-1)]


def taken(rows: Rows, at: NDArray[np.intp]) -> Rows:
    """Return some of the rows, in this order."""
    return Rows(
        features=rows.features[at],
        labels=rows.labels[at],
        groups=rows.groups[at],
        original=rows.original[at],
    )
