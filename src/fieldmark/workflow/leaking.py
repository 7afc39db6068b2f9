"""The leak tax: how much better a careless split would have looked than an honest one.

Both figures come from the same pretrained features and the same kind of solved head; only who may
be learned from differs. So the tax is what copies, bursts and groups give away.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.grouping import units
from fieldmark.data.manifest import Example
from fieldmark.evaluation.intervals import paired_difference, wilson
from fieldmark.evaluation.metrics import Rate
from fieldmark.evaluation.wording import counted, percent
from fieldmark.training.features import Features
from fieldmark.training.head import MAX_ORIGINALS, Rows
from fieldmark.training.rows import subset, taken
from fieldmark.workflow.suspecting import SEED, rows_of, solved

_NONE: Final = "leak tax: none, no picture has a copy or a group"
_NONE_ACROSS: Final = "leak tax: none, no test picture has a copy or its group in the training part"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakTax:
    """What a naive split says, what the honest one says, and the difference."""

    naive: Rate | None
    """None: nothing leaks, or nothing can be measured."""
    honest: Rate | None
    tax: float
    """Naive minus honest, a fraction; 0 where nothing leaks, NaN where it cannot be measured."""
    low: float
    high: float
    """Its 95 % interval."""
    n_leaked: int
    """Pictures that have a copy, or one of their group, where they could be on the other side; with
    ready-made parts, training pictures."""
    text: str
    """All of it in words."""
    seconds: float


def leak_tax(features: Features, *, seed: int = SEED) -> LeakTax:
    """Measure what leaks add to the accuracy.

    With ready-made parts: heads solved on the training part with and without the pictures that
    leak, both on the same given test part (or validation part, where there is no other). Else:
    cross-validation with every picture for itself, and with what belongs together kept together,
    on the same pictures.

    Parameters
    ----------
    features : Features
        Of *all* readable pictures, also the copies that cleaning leaves out; near copies marked by
        ``cluster`` in its manifest.
    seed : int, default=0
        Of the folds.

    Returns
    -------
    LeakTax

    References
    ----------
    Kapoor and Narayanan, "Leakage and the reproducibility crisis in machine-learning-based
    science", Patterns 2023.
    """
    started = time.monotonic()
    manifest = features.manifest
    test = manifest.part("test") or manifest.part("valid")
    if test:
        return _across_parts(features, manifest.part("train"), test, seed, started)
    return _within(features, manifest.examples, seed, started)


def _within(features: Features, examples: Sequence[Example], seed: int, started: float) -> LeakTax:
    rows = rows_of(features, examples)
    n_leaked = int((np.bincount(rows.groups)[rows.groups] > 1).sum())
    if not n_leaked:
        return _untaxed(_NONE, 0.0, 0, started)
    rows = taken(rows, subset(rows, MAX_ORIGINALS, seed))
    # A unit is named by its first member, so that single pictures have one name in both.
    alone = np.arange(len(rows.labels))
    first = np.unique(rows.groups, return_index=True, return_inverse=True)
    together = first[1][first[2].reshape(-1)]
    right = [_right(rows, groups, seed) for groups in (alone, together)]
    if right[0] is None or right[1] is None:
        return _untaxed(_unmeasured(), np.nan, n_leaked, started)
    n, n_units = len(alone), len(first[0])
    naive, honest = (_rate(int(each.sum()), n, n_units) for each in right if each is not None)
    only_naive, only_honest = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    per_unit = n_units / n
    low, high = paired_difference(
        round(only_naive * per_unit), round(only_honest * per_unit), n_units
    )
    return _taxed((naive, honest), (low, high), n_leaked, "split", started)


def _right(rows: Rows, groups: NDArray[np.intp], seed: int) -> NDArray[np.bool_] | None:
    """Return which rows heads that had not seen their group answer rightly."""
    if len(np.unique(rows.labels)) < 2:
        return None
    apart = Rows(
        features=rows.features,
        labels=rows.labels,
        groups=groups.astype(np.int64),
        original=rows.original,
    )
    head = solved(apart, "none", seed)
    if not len(head.scored):
        return None
    present = np.unique(rows.labels)
    right: NDArray[np.bool_] = present[head.out_of_fold.argmax(axis=1)] == rows.labels
    return right


def _across_parts(
    features: Features,
    train: Sequence[Example],
    test: Sequence[Example],
    seed: int,
    started: float,
) -> LeakTax:
    leaking = _leaking(train, test)
    n_leaked = sum(leaking.values())
    if not n_leaked:
        return _untaxed(_NONE_ACROSS, 0.0, 0, started)
    clean = [each for each in train if not leaking.get(each.path)]
    rows = rows_of(features, test)
    right = [_answered(features, part, rows, seed) for part in (train, clean)]
    if right[0] is None or right[1] is None:
        return _untaxed(_unmeasured(), np.nan, n_leaked, started)
    n = len(rows.labels)
    naive, honest = (_rate(int(each.sum()), n, n) for each in right if each is not None)
    only_naive, only_honest = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    low, high = paired_difference(only_naive, only_honest, n)
    return _taxed((naive, honest), (low, high), n_leaked, "parts", started)


def _answered(
    features: Features, train: Sequence[Example], rows: Rows, seed: int
) -> NDArray[np.bool_] | None:
    """Return which rows a head solved on some examples answers rightly."""
    present = sorted({features.manifest.classes.index(each.label) for each in train})
    if len(present) < 2:
        return None
    head = solved(rows_of(features, train), "none", seed)
    answers = np.array(present)[head.logits(rows.features).argmax(axis=1)]
    right: NDArray[np.bool_] = answers == rows.labels
    return right


def _leaking(train: Sequence[Example], test: Sequence[Example]) -> dict[str, bool]:
    """Tell which training pictures belong to something that is also in the test part."""
    found = dict.fromkeys((each.path for each in train), False)
    for unit in units([*train, *test]):
        if max(unit.members) >= len(train):
            for at in unit.members:
                if at < len(train):
                    found[train[at].path] = True
    return found


def _rate(n_right: int, n: int, n_independent: int) -> Rate:
    """Return a share of ``n`` whose interval counts what belongs together once."""
    low, high = wilson(round(n_right / n * n_independent), n_independent)
    value = n_right / n
    return Rate(value, min(low, value), max(high, value), n)


def _taxed(
    rates: tuple[Rate, Rate],
    interval: tuple[float, float],
    n_leaked: int,
    way: str,
    started: float,
) -> LeakTax:
    naive, honest = rates
    tax = naive.value - honest.value
    low, high = min(interval[0], tax), max(interval[1], tax)
    if way == "split":
        told = f"a naive split would have said {_said(naive)}, the honest one says {_said(honest)}"
    else:
        told = f"with what leaks learned the test pictures give {_said(naive)}, "
        told += f"without it {_said(honest)}"
    points = f"{100 * tax:.1f} points ({100 * low:.1f} to {100 * high:.1f})"
    unclear = "; no more than chance" if low <= 0 <= high else ""
    return LeakTax(
        naive=naive,
        honest=honest,
        tax=tax,
        low=low,
        high=high,
        n_leaked=n_leaked,
        text=f"leak tax: {told}: {points}{unclear}",
        seconds=time.monotonic() - started,
    )


def _said(rate: Rate) -> str:
    span = f"{100 * rate.low:.1f} to {100 * rate.high:.1f}"
    return f"{percent(rate.value)} ({span}, {counted(rate.n)})"


def _unmeasured() -> str:
    return "leak tax: not estimable, too little is left when what belongs together stays together"


def _untaxed(text: str, tax: float, n_leaked: int, started: float) -> LeakTax:
    return LeakTax(
        naive=None,
        honest=None,
        tax=tax,
        low=tax,
        high=tax,
        n_leaked=n_leaked,
        text=text,
        seconds=time.monotonic() - started,
    )
