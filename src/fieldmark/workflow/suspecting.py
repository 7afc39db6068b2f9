"""What only a network or a small model can see: suspected labels, and shortcuts.

Each reads the folder and the cache, changes nothing and says how long it took. Everything is scored
by models that saw neither the picture nor a copy of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.config import Settings
from fieldmark.data.findings import Finding
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Example, Manifest
from fieldmark.data.shortcuts import Fact, facts, most_telling
from fieldmark.evaluation.intervals import wilson
from fieldmark.evaluation.suspects import FEW, suspects
from fieldmark.evaluation.wording import counted, percent, printable
from fieldmark.training.events import Listener, silent
from fieldmark.training.events import Progress as ProgressEvent
from fieldmark.training.features import Features
from fieldmark.training.head import MAX_ORIGINALS, Head, HeadSettings, Rows, solve
from fieldmark.training.rows import Balance, subset, taken
from fieldmark.workflow.backbone import features_of_all

MATTERS: Final = 0.25
"""Share of the way from guessing to perfect that a fact must surely go to be warned of, in accuracy
or in what it tells about the class. Bytes per pixel, which are partly content, go 0.13 of it on
flowers and 0.18 on cats and dogs in accuracy, and tell at most 0.11 on three folders."""
_FAMILY_LEVEL: Final = 0.95
"""That no fact of a folder without shortcuts is warned of."""
SEED: Final = 0
_ALL: Final = "all of them"


def looked(
    manifest: Manifest,
    *,
    threads: int,
    settings: Settings | None = None,
    listen: Listener = silent,
) -> Features | None:
    """Return the pretrained features of every example; None without a pretrained backbone.

    Parameters
    ----------
    manifest : Manifest
        With hashes, and without what cannot be read.
    threads : int
    settings : Settings, optional
        As ``train`` would get them: then it finds the same features in the cache.
    listen : callable
        Gets progress of the stage ``features``.
    """

    def said(done: int, total: int) -> None:
        listen(ProgressEvent(stage="features", done=done, total=total))

    return features_of_all(manifest, settings=settings, threads=threads, progress=said)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Suspicion:
    """The suspected labels of a folder."""

    findings: tuple[Finding, ...]
    """Those that are more probably wrong than right, the most suspicious first."""
    ranked: tuple[Example, ...]
    """All that were judged, the most suspicious first."""
    p_wrong: tuple[float, ...]
    """The probability of each of these that its label is wrong, in [0, 1]."""
    notes: tuple[str, ...]
    """What could not be judged, and why."""
    seconds: float


def suspected(
    features: Features | None, used: Manifest | None = None, *, seed: int = SEED
) -> Suspicion:
    """Find labels that are probably wrong.

    Parameters
    ----------
    features : Features or None
        From :func:`looked`; near copies marked by ``cluster`` in its manifest.
    used : Manifest, optional
        Only its examples are judged, and judged by; default: all.
    seed : int, default=0
        Of the folds.

    Returns
    -------
    Suspicion
        Without findings, and with a note, where nothing can be judged.
    """
    started = time.monotonic()
    if features is None:
        why = "Wrong labels are not estimable: no pretrained backbone is installed or asked for."
        return _unjudged(why, started)
    manifest = used or features.manifest
    rows = rows_of(features, manifest.examples)
    if len(np.unique(rows.labels)) < 2:
        return _unjudged("Wrong labels are not estimable: there is only one class.", started)
    logits = _unseen_logits(rows, seed)
    if logits is None:
        why = f"Wrong labels are not estimable: fewer than {FEW} pictures of a class."
        return _unjudged(why, started)
    found = suspects(logits, _compact(rows.labels), groups=rows.groups)
    present = np.unique(rows.labels)
    findings = tuple(
        _suspect(
            manifest.examples[at], found.p_wrong[at], manifest.classes[present[found.likely[at]]]
        )
        for at in found.listed.tolist()
    )
    few = [manifest.classes[present[at]] for at in found.few]
    return Suspicion(
        findings=findings,
        ranked=tuple(manifest.examples[at] for at in found.order.tolist()),
        p_wrong=tuple(found.p_wrong[found.order].tolist()),
        notes=_few_note(few),
        seconds=time.monotonic() - started,
    )


def _suspect(example: Example, p_wrong: float, likely: str) -> Finding:
    text = f"{100 * p_wrong:.0f} % likely wrong; rather {printable(likely)}"
    return Finding(
        code="suspect-label",
        paths=(example.path,),
        labels=(example.label,),
        text=text,
        measure=float(p_wrong),
    )


def _unjudged(why: str, started: float) -> Suspicion:
    seconds = time.monotonic() - started
    return Suspicion(findings=(), ranked=(), p_wrong=(), notes=(why,), seconds=seconds)


def _few_note(few: list[str]) -> tuple[str, ...]:
    if not few:
        return ()
    names = ", ".join(map(printable, few[:5])) + (" and others" if len(few) > 5 else "")
    return (f"Labels not estimable, with fewer than {FEW} pictures: {names}.",)


def _unseen_logits(rows: Rows, seed: int) -> NDArray[np.float32] | None:
    """Return logits (n, n_classes) by heads that saw neither a row nor one of its group.

    Of more rows than are cross-validated, whole groups are set apart; a head solved without them
    answers for them.
    """
    chosen = subset(rows, MAX_ORIGINALS, seed)
    head = solved(taken(rows, chosen), "none", seed)
    if not len(head.scored):
        return None
    logits = head.logits(rows.features)
    logits[chosen[head.scored]] = head.out_of_fold
    return logits


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """How well one fact that is not content tells the classes apart."""

    fact: str
    accuracy: float
    """Balanced: the mean of the classes' recalls, cross-validated, in [0, 1]."""
    low: float
    high: float
    """Its 95 % interval."""
    n: int
    baseline: float
    """Of guessing: 1 / classes."""
    information: float
    """Share of the doubt about the class that the fact takes away, at most 1. Two sizes for five
    classes never name one of them, but tell much."""
    warns: bool
    """Whether it is surely more than :data:`MATTERS` of the way from guessing to perfect."""
    content: bool
    """Whether it is partly content, and so told without a warning."""
    telling: str
    """``640x480: 98 % of 200 are cat``."""

    def __str__(self) -> str:
        span = f"{percent(self.accuracy)} ({100 * self.low:.1f} to {100 * self.high:.1f})"
        words = f"{self.fact} alone: {span} right of {counted(self.n)}"
        words += f", guessing {percent(self.baseline)}"
        words += f"; {self.telling}" if self.telling else ""
        return f"{words}; partly content, so no warning" if self.content else words

    def finding(self, classes: tuple[str, ...]) -> Finding:
        """Return it as a finding about these classes."""
        return Finding(code="shortcut", labels=classes, text=str(self), measure=self.accuracy)


def shortcuts(manifest: Manifest, looks: Looks, *, seed: int = SEED) -> tuple[Shortcut, ...]:
    """Ask of every fact that is not content whether it tells the classes apart.

    Parameters
    ----------
    manifest : Manifest
        Readable examples with hashes; near copies marked by ``cluster``.
    looks : Looks
        Of their contents.
    seed : int, default=0
        Of the folds.

    Returns
    -------
    tuple of Shortcut
        One per fact that differs among the files, most telling first, and one of all together.
        Empty where fewer than two classes have :data:`~fieldmark.evaluation.suspects.FEW` files.

    Notes
    -----
    File names are no pixels: a network cannot use them. They tell that the classes come from
    different sources, which it can.
    """
    groups = unit_numbers(manifest.examples)
    index = {name: at for at, name in enumerate(manifest.classes)}
    labels = np.array([index[each.label] for each in manifest.examples], np.int64)
    n_each = _n_groups(labels, groups, len(manifest.classes))
    used = np.flatnonzero(np.isin(labels, np.flatnonzero(n_each >= FEW)))
    if len(np.unique(labels[used])) < 2:
        return ()
    examples = [manifest.examples[at] for at in used.tolist()]
    names = tuple(manifest.classes[at] for at in np.unique(labels[used]))
    rows = looks.of([each.sha256 for each in examples])
    gathered = [
        each
        for each in facts(rows, [each.path for each in examples], names)
        if each.columns.shape[1]
    ]
    plain = [kinds for each in gathered if not each.content for kinds in each.kinds]
    together = [Fact(_ALL, tuple(plain))] if len(gathered) > 1 and plain else []
    given = _compact(labels[used]), groups[used], names
    judged = [_shortcut(each, *given, len(gathered) + 1, seed) for each in [*gathered, *together]]
    return tuple(sorted(judged, key=lambda each: (each.fact == _ALL, -each.accuracy)))


def _shortcut(
    fact: Fact,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    names: tuple[str, ...],
    n_asked: int,
    seed: int,
) -> Shortcut:
    everyone = np.ones(len(labels), np.bool_)
    rows = Rows(features=fact.columns, labels=labels, groups=groups, original=everyone)
    head = solved(rows, "weights", seed)
    right = head.out_of_fold.argmax(axis=1) == labels[head.scored]
    of, n_classes = labels[head.scored], len(names)
    n_each = _n_groups(of, groups[head.scored], n_classes)
    recall = np.array([right[of == at].mean() for at in range(n_classes)])
    accuracy = float(recall.mean())
    # Copies count once; the mean of recalls varies as a share of so many would.
    careful = (recall * n_each + 1) / (n_each + 2)
    variance = float((careful * (1 - careful) / n_each).sum()) / n_classes**2
    middle = float(careful.mean())
    n_effective = max(1, min(len(of), round(middle * (1 - middle) / variance)))
    low, high = wilson(round(accuracy * n_effective), n_effective)
    surely, _ = wilson(
        round(accuracy * n_effective), n_effective, 1 - 2 * (1 - _FAMILY_LEVEL) / n_asked
    )
    baseline = 1 / n_classes
    information, told = _information(head, of, n_each, 1 - (1 - _FAMILY_LEVEL) / n_asked)
    matters = surely > baseline + MATTERS * (1 - baseline) or told > MATTERS
    telling = most_telling(fact, labels, tuple(map(printable, names)))
    return Shortcut(
        fact=fact.name,
        accuracy=accuracy,
        low=min(low, accuracy),
        high=max(high, accuracy),
        n=len(of),
        baseline=baseline,
        information=information,
        warns=not fact.content and matters,
        content=fact.content,
        telling=str(telling) if telling else "",
    )


def _information(
    head: Head, labels: NDArray[np.int64], n_each: NDArray[np.int64], level: float
) -> tuple[float, float]:
    """Return the share of the doubt that is taken away, every class alike, and its lower bound."""
    logits = head.out_of_fold.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    n_classes = len(n_each)
    gains = 1 + scores[np.arange(len(labels)), labels] / np.log(n_classes)
    by_class = [gains[labels == at] for at in range(n_classes)]
    mean = float(np.mean([each.mean() for each in by_class]))
    variance = sum(each.var() / n for each, n in zip(by_class, n_each, strict=True))
    spread = float(np.sqrt(variance)) / n_classes
    return mean, mean - NormalDist().inv_cdf(level) * spread


def solved(rows: Rows, balance: Balance, seed: int) -> Head:
    """Solve a head for the classes that occur; its logits have a column for each of these."""
    settings = HeadSettings(balance=balance)
    n_classes = len(np.unique(rows.labels))
    compact = Rows(
        features=rows.features,
        labels=_compact(rows.labels),
        groups=rows.groups,
        original=rows.original,
    )
    return solve(compact, n_classes=n_classes, settings=settings, seed=seed)


def rows_of(features: Features, examples: Sequence[Example]) -> Rows:
    """Line examples up, each an original; what belongs together in one group."""
    index = {name: at for at, name in enumerate(features.manifest.classes)}
    return Rows(
        features=features.rows[[features.row_of[each.sha256] for each in examples]],
        labels=np.array([index[each.label] for each in examples], np.int64),
        groups=unit_numbers(examples),
        original=np.ones(len(examples), np.bool_),
    )


def _compact(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the labels renumbered: the classes that occur, from 0."""
    return np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _n_groups(
    labels: NDArray[np.int64], groups: NDArray[np.int64], n_classes: int
) -> NDArray[np.int64]:
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    return np.bincount(pairs[0], minlength=n_classes)
