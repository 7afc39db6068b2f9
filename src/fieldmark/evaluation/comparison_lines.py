"""A comparison as plain text: who, how far apart, and the pictures that changed. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.thumbnails import dealt
from fieldmark.evaluation.wording import clip, columns, counted, pad, printable

if TYPE_CHECKING:
    from fieldmark.evaluation.comparison import Changed, Comparison, Difference

N_SHOWN: Final = 20
"""Changed pictures of one comparison that are listed; all are in the JSON."""
WORDS: Final = {"broken": "broken", "fixed": "fixed", "other": "both wrong"}
"""Kind of change -> as it is shown."""


def points(found: Measurement) -> str:
    """Write a difference of rates with its interval.

    Examples
    --------
    >>> points(Measurement("accuracy difference", 0.018, -0.004, 0.04, 500))
    '+1.8 points (-0.4 to +4.0)'
    """
    value, low, high = (_signed(100 * each, 1) for each in (found.value, found.low, found.high))
    return f"{value} points ({low} to {high})"


def nats(found: Measurement) -> str:
    """Write a difference of losses with its interval.

    Examples
    --------
    >>> nats(Measurement("log loss difference", -0.031, -0.05, -0.012, 500, unit="nats"))
    '-0.031 (-0.050 to -0.012)'
    """
    value, low, high = (_signed(each, 3) for each in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _signed(number: float, digits: int) -> str:
    text = f"{number:+.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text


def p_text(p: float) -> str:
    """Write a p value: never as 0.

    Examples
    --------
    >>> p_text(0.0432), p_text(3e-9)
    ('p = 0.043', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def sentence(first: str, found: Difference) -> str:
    """Say what the intervals allow to be said, and no more."""
    name, other = printable(found.name), printable(first)
    match found.verdict:
        case "unclear":
            said = f"{name} and {other} are not told apart by their accuracy."
        case word:
            said = f"{name} is {word} than {other}."
    match found.loss_verdict:
        case "better":
            said += " Its log loss is lower."
        case "worse":
            said += " Its log loss is higher."
    return said


def shown(found: Difference, most: int = N_SHOWN) -> list[Changed]:
    """Choose the pictures to show: of every kind some, where the scores moved most, first."""
    kinds = [found.of(kind) for kind in ("broken", "fixed", "other")]
    n_each = dealt([[1] * len(kind) for kind in kinds], most)
    return [each for kind, n in zip(kinds, n_each, strict=True) for each in kind[:n]]


def lines(comparison: Comparison, width: int, room: int = 0) -> list[str]:
    """Write it down, no line wider than ``width`` terminal columns.

    ``room`` is for the lines of pictures, whose paths a reader may want whole; 0: ``width``.
    """
    said = _clipped(_table(comparison, width), width)
    for found in comparison.differences:
        said += ["", *_clipped(_difference(comparison, found, width), width)]
        listed = [_changed(each) for each in shown(found)]
        if len(found.changed) > len(listed):
            listed.append(f"  and {len(found.changed) - len(listed):,} more")
        said += ["", *_clipped(listed, room or width)] if listed else []
    for note in comparison.notes:
        said += ["", *_clipped(textwrap.wrap(printable(note), width), width)]
    return said


def _clipped(said: Iterable[str], width: int) -> list[str]:
    # Text is wrapped by characters; a name of Chinese signs takes twice the columns.
    return [clip(line, max(1, width)).rstrip() for line in said]


def matching(comparison: Comparison) -> Iterator[str]:
    """Say how many pictures are common, only in one, or left out."""
    names = " and ".join(printable(each.name) for each in comparison.sides[:2])
    if len(comparison.sides) > 2:
        names = "all runs"
    yield f"{counted(comparison.n)} that {names} have in common, matched by content."
    for side in comparison.sides:
        if side.n_only:
            yield f"Only in {printable(side.name)}, so left out: {counted(side.n_only)}."
        if side.n_learned:
            yield (
                f"Left out, because {printable(side.name)} was trained or chosen on them: "
                f"{counted(side.n_learned)}."
            )


def _table(comparison: Comparison, width: int) -> Iterator[str]:
    for said in matching(comparison):
        yield from textwrap.wrap(said, width)
    yield ""
    names = max(columns(printable(each.name)) for each in comparison.sides)
    wide = min(max(names, 4), max(8, width - 50))
    yield f"  {pad('run', wide)}  accuracy      (95 %)   log loss       (95 %)"
    for side in comparison.sides:
        yield (
            f"  {pad(side.name, wide)}  {side.accuracy.text:>8}  "
            f"{side.accuracy.short_interval:>10}   {side.log_loss.text:>8}  "
            f"{side.log_loss.short_interval:>11}"
        )


def _difference(comparison: Comparison, found: Difference, width: int) -> Iterator[str]:
    first = comparison.sides[0].name
    said = [
        f"{printable(found.name)} minus {printable(first)}",
        f"  accuracy  {points(found.accuracy)}   {found.accuracy.method}",
        f"  log loss  {nats(found.log_loss)}   {found.log_loss.method}",
        f"  {found.n_fixed:,} fixed, {found.n_broken:,} broken, {len(found.of('other')):,} both "
        f"wrong: exact McNemar {p_text(found.p_adjusted)}"
        + (" (Holm)" if len(comparison.differences) > 1 else ""),
    ]
    for line in said:
        yield from textwrap.wrap(line, width, subsequent_indent=" " * 12)
    yield from textwrap.wrap(sentence(first, found), width)


def _changed(each: Changed) -> str:
    before = f"{printable(each.before)} {100 * each.before_score:.0f} %"
    after = f"{printable(each.after)} {100 * each.after_score:.0f} %"
    label = f", is {printable(each.label)}" if each.kind == "other" else ""
    return f"  {WORDS[each.kind]:<10}  {before} -> {after}{label}  {printable(each.path)}"
