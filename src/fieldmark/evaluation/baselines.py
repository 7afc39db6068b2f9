"""What simple rules reach on the same pictures, beside every result. Pure.

A network is worth its trouble only as far as it is ahead of what needs none. How far is measured
picture by picture: what is hard for both does not widen the interval of their difference.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.evaluation.comparison_lines import points
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.measures import share_of
from fieldmark.evaluation.paired import accuracy_difference
from fieldmark.evaluation.wording import columns, counted, pad, printable

MOST_FREQUENT: Final = "most frequent class"
COLOURS: Final = "colours"
NEAREST: Final = "nearest picture"
SIMPLE: Final = (MOST_FREQUENT, COLOURS, NEAREST)
"""The names of rules; any other name is that of an earlier run, which always ends in a number."""
LEVEL: Final = 0.95
AS_SAID: Final = {COLOURS: "colours alone", NEAREST: "the nearest picture"}
"""The rules that look at a picture, as a sentence names them."""
_WIDE: Final = 46
"""Columns that a row takes beside the name, with the gaps, before the difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One simple rule, or an earlier model, on the pictures the report is about."""

    name: str
    """For people: one of :data:`SIMPLE`, or that of a run, ``flowers-1``."""
    what: str
    """One sentence on what it does with a picture."""
    accuracy: Measurement
    ahead: Measurement | None
    """Accuracy of the model minus that of the rule, paired picture by picture; in [-1, 1]. None
    where the pictures are not all the same ones."""

    @property
    def simple(self) -> bool:
        """Whether this is a rule, and not an earlier run."""
        return self.name in SIMPLE

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Baseline:
        """Read the fields by name; others are passed over.

        Raises
        ------
        KeyError, TypeError, ValueError
            A field is missing or misshapen.
        """
        ahead = fields["ahead"]
        return cls(
            name=str(fields["name"]),
            what=str(fields["what"]),
            accuracy=Measurement.from_dict(fields["accuracy"]),
            ahead=None if ahead is None else Measurement.from_dict(ahead),
        )


def baseline(
    name: str,
    what: str,
    right_model: NDArray[np.bool_],
    right_rule: NDArray[np.bool_],
    groups: NDArray[np.int64] | None,
    seed: int,
) -> Baseline:
    """Measure a rule, and how far a model is ahead of it.

    Parameters
    ----------
    name, what : str
        See :class:`Baseline`.
    right_model, right_rule : bool array of shape (n,)
        Whether each picture is answered rightly; at least one picture, the same order in both.
    groups : int array of shape (n,), optional
        Equal for pictures that belong together; None: each stands alone.
    seed : int

    Returns
    -------
    Baseline
        Accuracy with Wilson's interval, the difference with that of Agresti and Min; with groups
        both are widened by the design effect.

    Raises
    ------
    UsageError
        Code ``bad-scores``: the arrays are empty or do not fit together.

    References
    ----------
    A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 2005.

    Examples
    --------
    >>> model, rule = np.arange(100) < 90, np.arange(100) % 2 < 1
    >>> found = baseline("colours", "A linear rule on colours.", model, rule, None, 0)
    >>> found.accuracy.text, points(found.ahead)
    ('50.0 %', '+40.0 points (+27.8 to +50.6)')
    """
    n = len(right_model)
    if not n or len(right_rule) != n or (groups is not None and len(groups) != n):
        raise UsageError(
            f"{n} answers of a model and {len(right_rule)} of a rule cannot be compared.",
            code="bad-scores",
            why="Each picture needs one answer of both.",
            hint="give the answers to the same pictures, in the same order",
        )
    if groups is not None and len(np.unique(groups)) == n:
        groups = None
    return Baseline(
        name=name,
        what=what,
        accuracy=share_of("accuracy", right_rule, groups),
        ahead=accuracy_difference(right_rule, right_model, groups, level=LEVEL, seed=seed),
    )


def best_rule(baselines: Sequence[Baseline]) -> Baseline | None:
    """Return the best rule that looks at the picture, the first of equals; None: there is none."""
    rules = [each for each in baselines if each.name in AS_SAID]
    return max(rules, key=lambda each: each.accuracy.value, default=None)


def as_good(rule: Baseline | None) -> bool:
    """Whether a rule, if there is one, has at least as many right as the model."""
    return rule is not None and rule.ahead is not None and rule.ahead.value <= 0


def beats_chance(
    accuracy: Measurement, always: Measurement, baselines: Sequence[Baseline] = ()
) -> bool:
    """Whether a model is clearly ahead of always answering the most frequent class.

    Picture by picture where that was compared; else by the two intervals, which asks for more.
    """
    paired = [each.ahead for each in baselines if each.name == MOST_FREQUENT and each.ahead]
    return paired[0].low > 0 if paired else accuracy.low > always.high


def verdict(
    accuracy: Measurement,
    always: Measurement,
    always_class: str,
    rule: Baseline | None,
    *,
    clear: bool | None = None,
) -> str:
    """Say whether a model beats the commonest class, and the best rule that looks at a picture.

    Parameters
    ----------
    accuracy : Measurement
        Of the model.
    always : Measurement
        What always answering ``always_class`` reaches.
    always_class : str
    rule : Baseline, optional
        Of :func:`best_rule`.
    clear : bool, optional
        Of :func:`beats_chance`; default: by the two intervals.

    Examples
    --------
    >>> model, rule = np.arange(100) < 90, np.arange(100) % 2 < 1
    >>> colours = baseline("colours", "", model, rule, None, 0)
    >>> always = share_of("baseline", np.arange(100) < 30, None)
    >>> verdict(share_of("accuracy", model, None), always, "rose", colours)
    'Clearly better than always answering "rose" (30.0 %) and than colours alone (50.0 %).'
    """
    simple = f'always answering "{printable(always_class)}" ({always.text})'
    other = f"{AS_SAID[rule.name]} ({rule.accuracy.text})" if rule else ""
    behind = as_good(rule)
    if accuracy.value <= always.value:
        return f"Not better than {simple}" + (f", nor than {other}." if behind else ".")
    if not (beats_chance(accuracy, always) if clear is None else clear):
        said = f"Better than {simple} on these pictures, but perhaps by chance"
        return said + (f"; not better than {other}." if behind else ".")
    if rule is None or rule.ahead is None:
        return f"Clearly better than {simple}."
    if rule.ahead.low > 0:
        return f"Clearly better than {simple} and than {other}."
    if behind:
        return f"Clearly better than {simple}, but not better than {other}."
    return f"Clearly better than {simple}; better than {other} too, but perhaps by chance."


def lines(baselines: Sequence[Baseline], n: int, width: int) -> Iterator[str]:
    """Write them as a table, no line wider than ``width`` where 60 columns or more are given.

    Parameters
    ----------
    baselines : sequence of Baseline
    n : int
        Pictures of the report; where a baseline has other pictures, it is said.
    width : int
        Terminal columns.
    """
    longest = max((columns(printable(each.name)) for each in baselines), default=0)
    differences = [f"{points(each.ahead)}" if each.ahead else "" for each in baselines]
    room = width - (_WIDE - 19) - max(map(len, differences), default=0)
    wide = min(longest, max(room, len(MOST_FREQUENT)))
    in_one = room >= len(MOST_FREQUENT)
    if baselines:
        heading = f"  {pad('beside it', wide)}  accuracy      (95 %)"
        yield heading + ("   the model is ahead by" if in_one else "")
    for each, difference in zip(baselines, differences, strict=True):
        text, interval = each.accuracy.text, each.accuracy.short_interval
        row = f"  {pad(each.name, wide)}  {text:>8}  {interval:>10}"
        yield row + (f"   {difference}" if in_one else "")
        if difference and not in_one:
            yield f"    the model is ahead by {difference}"
        if each.accuracy.n != n:
            yield f"    on the {counted(each.accuracy.n)} of {n:,} that it was asked about too"


def wrapped(sentence: str, width: int) -> list[str]:
    """Break a sentence into indented lines."""
    return textwrap.wrap(sentence, max(width, 20), initial_indent="  ", subsequent_indent="  ")
