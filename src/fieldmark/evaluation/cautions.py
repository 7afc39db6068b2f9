"""What a reader must know before trusting the numbers, in sentences.

Pure. Each warning is one sentence with its numbers and, where there is one, the way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from fieldmark.evaluation.baselines import AS_SAID
from fieldmark.evaluation.report import Report
from fieldmark.evaluation.slices import Slices
from fieldmark.evaluation.wording import counted, percent, printable

SMALL_TEST: Final = 100
"""Test pictures; with fewer, even 90 % right is uncertain by more than 5 points either way."""
SMALL_CLASS: Final = 10
"""Test pictures of one class; with fewer, its recall is uncertain by about 25 points."""
IMBALANCE: Final = 5
"""How many times more training pictures the largest class may have than the smallest."""
BY_HEART: Final = 0.15
"""Training accuracy above validation accuracy at the epoch that was kept."""
FEW_GROUPS: Final = 30
"""Groups of test pictures that belong together; fewer say too little about how groups differ."""
OFTEN: Final = 0.08
"""Two classes are often confused from this share of their pictures on, and three pictures."""
HALF: Final = 0.5
"""Accepted answers; a model that keeps fewer says so."""
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Light:
    """A traffic light in words."""

    level: Literal["good", "careful", "bad"]
    text: str
    """One sentence."""


def light(report: Report) -> Light:
    """Say in one sentence whether the model has learned something, and what it confuses.

    Parameters
    ----------
    report : Report
        The numbers on the test part.

    Returns
    -------
    Light
        ``good`` when the whole interval is above chance and above each rule, ``bad`` when the
        accuracy is not even on these pictures above chance.

    Examples
    --------
    >>> import numpy as np
    >>> from fieldmark.evaluation.report import measure
    >>> report = measure(np.eye(2)[[0, 1] * 20], np.array([0, 1] * 20), ("cat", "dog"),
    ...                  baseline_class="cat", conditions={}, seed=0)
    >>> light(report).text
    'Better than chance.'
    """
    chance = report.baseline
    level: Literal["good", "careful", "bad"]
    if report.accuracy.value <= chance.value:
        level, said = "bad", "Not better than chance"
    elif not report.beats_chance:
        level, said = "careful", "Not clearly better than chance"
    else:
        paired = [
            (AS_SAID[each.name], each.ahead)
            for each in report.baselines
            if each.name in AS_SAID and each.ahead is not None
        ]
        unbeaten = [name for name, ahead in paired if ahead.low <= 0]
        level = "careful" if unbeaten else "good"
        said = "Better than chance"
        if unbeaten:
            said += f", but not clearly better than {_names(unbeaten)}"
        elif paired:
            said += " and than the simple baselines"
    return Light(level, said + _confused(report) + ".")


def _confused(report: Report) -> str:
    """Name the two classes that are confused most, either way, if they often are."""
    counts, best, words = report.confusion, 0.0, ""
    sizes = [sum(row) for row in counts]
    for one in range(len(counts)):
        for other in range(one):
            n = counts[one][other] + counts[other][one]
            share = n / max(1, sizes[one] + sizes[other])
            if n >= 3 and share >= OFTEN and share > best:
                best = share
                pair = (report.classes[other], report.classes[one])
                words = "; {} and {} are often confused".format(*map(printable, pair))
    return words


def cautions(
    report: Report,
    counts: Mapping[str, Mapping[str, int]],
    kept_epoch: Mapping[str, float],
    slices: Slices | None = None,
) -> tuple[str, ...]:
    """Say what limits the numbers of a report; nothing when nothing does.

    Parameters
    ----------
    report : Report
        The numbers on the test part.
    counts : mapping of str to mapping of str to int
        Class name to examples per part (``train``); may be empty.
    kept_epoch : mapping of str to float
        ``accuracy`` and ``val_accuracy`` at the epoch whose weights were kept; may be empty.
    slices : Slices, optional
        Kinds of test pictures that were looked at.

    Returns
    -------
    tuple of str
        Most important first.
    """
    said = [
        _not_better(report),
        *_worse(slices),
        _accepted(report),
        _missing(report),
        _small_test(report),
        _few_groups(report),
        _small_classes(report),
        _imbalance(counts),
        _by_heart(kept_epoch),
    ]
    return tuple(sentence for sentence in said if sentence)


def _not_better(report: Report) -> str:
    return report.verdict if report.matched else ""


def _worse(slices: Slices | None) -> list[str]:
    """Name the kinds of pictures on which it is surely worse."""
    if slices is None:
        return []
    return [f"{line[:1].upper()}{line[1:]}." for line in slices.lines()]


def _accepted(report: Report) -> str:
    doubt = report.doubt
    if doubt is None or doubt.coverage.value >= HALF:
        return ""
    if not doubt.coverage.value:
        return f"No answer is accepted, every one is unsure or unknown: {doubt.promise}"
    share = f"{doubt.coverage.text} ({doubt.coverage.interval})"
    return f"Only {share} of the answers are accepted; the others are called unsure or unknown."


def _missing(report: Report) -> str:
    if not report.missing_classes:
        return ""
    names = _names(report.missing_classes)
    return f"Not estimable, because there are no test pictures of it: {names}."


def _small_test(report: Report) -> str:
    if report.n >= SMALL_TEST:
        return ""
    return (
        f"The test part holds only {counted(report.n)}: "
        f"one picture more or less moves the accuracy by {100 / report.n:.1f} points."
    )


def _few_groups(report: Report) -> str:
    if report.n_groups is None or report.n_groups >= FEW_GROUPS:
        return ""
    return (
        f"The test pictures come in only {counted(report.n_groups, 'group')} that belong together; "
        f"with fewer than {FEW_GROUPS} the intervals are unreliable."
    )


def _small_classes(report: Report) -> str:
    few = [f"{printable(one.name)} ({one.n})" for one in report.per_class if one.n < SMALL_CLASS]
    if not few:
        return ""
    return f"Fewer than {SMALL_CLASS} test pictures, so hardly measured: {_names(few)}."


def _imbalance(counts: Mapping[str, Mapping[str, int]]) -> str:
    sizes = {name: parts.get("train", 0) for name, parts in counts.items()}
    if not sizes or max(sizes.values()) <= IMBALANCE * min(sizes.values()):
        return ""
    large, small = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    return (
        f"Unequal classes: {counted(sizes[large])} of {printable(large)} for training, "
        f"but {sizes[small]:,} of {printable(small)}. Read the table per class."
    )


def _by_heart(kept_epoch: Mapping[str, float]) -> str:
    if not {"accuracy", "val_accuracy"} <= set(kept_epoch):
        return ""
    training, validation = kept_epoch["accuracy"], kept_epoch["val_accuracy"]
    if not training - validation > BY_HEART:
        return ""
    return (
        f"Training {percent(training)}, validation {percent(validation)}: the network has learned "
        "the training pictures by heart. Try --augment strong, or more pictures."
    )


def _names(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
