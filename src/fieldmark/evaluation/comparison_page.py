"""A comparison as one HTML file that needs nothing else, with the pictures that changed.

Pure: :func:`render` turns facts into text. The promises are those of
:mod:`fieldmark.evaluation.page`: no script, no request, everything escaped, below 5 MB whatever
comes in. What is not shown is counted.

The words are in ``comparison_page.html.j2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fieldmark.evaluation.comparison import KINDS, Changed, Comparison, Difference, Kind
from fieldmark.evaluation.comparison_lines import matching, nats, p_text, points, sentence
from fieldmark.evaluation.template import template
from fieldmark.evaluation.thumbnails import Picture, dealt

MAX_PAGE_BYTES: Final = 5_000_000
"""Of the whole file."""
MAX_CHANGED: Final = 24
"""Pictures of one kind in one comparison that are shown; the others are counted."""
MAX_SHOWN_RUNS: Final = 100
"""Differences that get a section of their own."""
TITLES: Final[dict[Kind, str]] = {
    "broken": "Right before, wrong now",
    "fixed": "Wrong before, right now",
    "other": "Wrong both times, in another way",
}

_FEWER: Final = (MAX_CHANGED, 12, 6, 3, 1, 0)
"""Pictures per kind, tried in turn until the page is small enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonFacts:
    """Everything the page says."""

    comparison: Comparison
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    """By the content's hash, JPEG or PNG; a picture without one is shown as its name."""
    created: str = ""
    """Date and time as text, given by the caller so that the same facts give the same page."""


@dataclass(frozen=True, slots=True)
class _Row:
    changed: Changed
    address: str
    """Of the thumbnail; empty: not shown."""


@dataclass(frozen=True, slots=True)
class _Kind:
    title: str
    n: int
    rows: list[_Row]


@dataclass(frozen=True, slots=True)
class _Part:
    """One difference as the template wants it."""

    id: str
    difference: Difference
    kinds: list[_Kind]


def wanted(comparison: Comparison) -> tuple[Changed, ...]:
    """Return the changed pictures whose thumbnails the page can show."""
    found: dict[str, Changed] = {}
    for difference in comparison.differences[:MAX_SHOWN_RUNS]:
        for kind in KINDS:
            found |= {each.sha256: each for each in difference.of(kind)[:MAX_CHANGED]}
    return tuple(found.values())


def render(facts: ComparisonFacts) -> str:
    """Write the page.

    Parameters
    ----------
    facts : ComparisonFacts
        Names in it may hold anything.

    Returns
    -------
    str
        A complete HTML document of less than 5 MB, to be written as UTF-8; the same facts give the
        same text.
    """
    html = ""
    for most in _FEWER:
        html = _filled(facts, most)
        if len(html.encode()) < MAX_PAGE_BYTES:
            break
    return html


def _filled(facts: ComparisonFacts, most: int) -> str:
    found = facts.comparison
    differences = found.differences[:MAX_SHOWN_RUNS]
    groups = [each.of(kind)[:most] for each in differences for kind in KINDS]
    pictures = [[_picture(facts, each) for each in group] for group in groups]
    n_pictured = dealt([[picture.n_bytes for picture in group] for group in pictures])
    rows = [
        [
            _Row(each, picture.address if at < n else "")
            for at, (each, picture) in enumerate(zip(group, shown, strict=True))
        ]
        for group, shown, n in zip(groups, pictures, n_pictured, strict=True)
    ]
    parts = []
    for at, each in enumerate(differences):
        own = rows[at * len(KINDS) : (at + 1) * len(KINDS)]
        kinds = [
            _Kind(TITLES[kind], len(each.of(kind)), shown)
            for kind, shown in zip(KINDS, own, strict=True)
        ]
        parts.append(_Part(f"against-{at + 1}", each, [kind for kind in kinds if kind.n]))
    return template("comparison_page.html.j2").render(
        facts=facts,
        found=found,
        first=found.sides[0],
        sides=found.sides[: MAX_SHOWN_RUNS + 1],
        n_more=max(0, len(found.differences) - MAX_SHOWN_RUNS),
        parts=parts,
        matching=list(matching(found))[: 2 * MAX_SHOWN_RUNS],
        points=points,
        nats=nats,
        p_text=p_text,
        sentence=sentence,
    )


def _picture(facts: ComparisonFacts, each: Changed) -> Picture:
    return Picture(path=each.path, thumbnail=facts.thumbnails.get(each.sha256, b""))
