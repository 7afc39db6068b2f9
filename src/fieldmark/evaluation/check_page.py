"""What a check found as one HTML file that needs nothing else: to read, to print, to mail.

Pure: :func:`render` turns facts into text. The promises are those of
:mod:`fieldmark.evaluation.page`: no script, no request, everything escaped, below 5 MB whatever
comes in. Serious findings come first; pictures of one finding stand side by side; what is not shown
is counted.

The words are in ``check_page.html.j2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.template import bad_facts, reasons, template
from fieldmark.evaluation.thumbnails import Picture, dealt

MAX_PAGE_BYTES: Final = 5_000_000
"""Of the whole file."""
MAX_FINDINGS: Final = 12
"""Findings of one kind that are shown; the others are counted."""
MAX_PICTURES: Final = 6
"""Pictures of one finding that are shown; the others are counted."""
MAX_LEFT_OUT: Final = 200
"""Files listed one by one; the counts by reason always hold all."""
MAX_CLASSES: Final = 500
"""Rows of the table of classes."""

_FEWER: Final = (MAX_FINDINGS, 6, 3, 1, 0)
"""Findings per kind, tried in turn until the page is small enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One finding."""

    pictures: tuple[Picture, ...] = ()
    """The files it is about, shown side by side; empty when it is about classes or the folder."""
    labels: tuple[str, ...] = ()
    """The classes meant, when there are no files."""
    text: str = ""
    """What was measured, in words, with the figure: ``99.3 % alike``."""
    done: str = "shown only"
    """``left out``, ``one kept``, ``kept on one side`` or ``shown only``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Everything found of one kind."""

    code: str
    """Stable: ``near-copy``."""
    title: str
    """As a heading: ``near copies``."""
    why: str
    """What it does to a number or a network, in one sentence."""
    next: str
    """What a person may do about it."""
    serious: bool = False
    n: int
    """Findings in all, at least as many as are given."""
    n_files: int = 0
    """Files in all; 0: it is not about files."""
    findings: tuple[Shown, ...] = ()
    """The most important first; the first 12 are shown, pictures are needed for no more."""

    @property
    def done(self) -> str:
        """What was done about them: each way once, the first one first."""
        return ", ".join(dict.fromkeys(found.done for found in self.findings)) or "shown only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """How well a fact that is not content tells the classes apart."""

    fact: str
    """``width and height``."""
    accuracy: Measurement
    """Of a small model on this fact alone, on pictures it did not learn from."""
    baseline: float
    """What guessing would reach, in [0, 1]."""
    verdict: str
    """In words: ``tells the classes apart``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """What copies on both sides would have added to the number."""

    naive: Measurement
    """With a split that ignores copies."""
    honest: Measurement
    """With copies kept on one side."""
    text: str
    """The difference in words, and with what it was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFacts:
    """Everything the page says, as plain values; an empty value leaves its part of the page out."""

    name: str
    """Of the folder: ``flowers``."""
    folder: str = ""
    """Where it is, as one would type it."""
    created: str = ""
    """Date and time as text, given by the caller so that the same check gives the same page."""
    n_found: int
    """Files; always ``n_used + n_left_out``."""
    n_used: int
    n_left_out: int
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Class name to (files, used), in class order."""
    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Class name to ``{"train": n, "valid": n, "test": n}``; empty: no ready-made parts."""
    sections: tuple[Section, ...] = ()
    """One per kind; those without a finding are not shown."""
    left_out: tuple[dict[str, str], ...] = ()
    """``{"path", "code", "reason"}`` of every file that was found and not used."""
    shortcuts: tuple[Shortcut, ...] = ()
    tax: Tax | None = None
    looked_for: tuple[str, ...] = ()
    """Titles of every kind that was looked for, found or not."""
    timings: dict[str, str] = field(default_factory=dict)
    """What took how long: ``{"reading": "6 s"}``."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was done, one sentence each."""
    more: str = ""
    """The file with the full list: ``flowers.check.json``."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One finding as the template wants it."""

    shown: Shown
    pictures: list[tuple[Picture, str]]
    """With the picture's address; empty: not shown."""
    n_more: int

    @property
    def has_pictures(self) -> bool:
        return any(address for _, address in self.pictures)


@dataclass(frozen=True, slots=True)
class _Part:
    """One section as the template wants it."""

    id: str
    section: Section
    found: list[_Found]
    n_bare: int
    """Findings whose pictures had no room."""

    @property
    def is_of_single_files(self) -> bool:
        """Whether each finding is one file: then they share one sheet of pictures."""
        return any(each.has_pictures for each in self.found) and all(
            len(each.shown.pictures) == 1 for each in self.found
        )


def render(facts: CheckFacts) -> str:
    """Write the page.

    Parameters
    ----------
    facts : CheckFacts
        Names and texts in it may hold anything.

    Returns
    -------
    str
        A complete HTML document of less than 5 MB, to be written as UTF-8; the same facts give the
        same text.

    Raises
    ------
    UsageError
        With code ``report-facts`` when the files do not add up, a section gives more findings than
        it counts, or a file that was left out lacks a key.

    Examples
    --------
    >>> facts = CheckFacts(name="pets", n_found=12, n_used=12, n_left_out=0)
    >>> render(facts).startswith("<!doctype html>")
    True
    """
    if facts.n_found != facts.n_used + facts.n_left_out:
        raise bad_facts(
            f"{facts.n_found} files found are not {facts.n_used} used + {facts.n_left_out} left out"
        )
    for section in facts.sections:
        if section.n < len(section.findings):
            raise bad_facts(f"{section.code} counts {section.n} of {len(section.findings)}")
    html = ""
    for most in _FEWER:
        html = _filled(facts, most)
        if len(html.encode()) < MAX_PAGE_BYTES:
            break
    return html


def _filled(facts: CheckFacts, most: int) -> str:
    sections = sorted(
        (each for each in facts.sections if each.n), key=lambda each: not each.serious
    )
    used = [used for _, used in facts.counts.values()]
    return template("check_page.html.j2").render(
        facts=facts,
        parts=_parts(sections, most),
        n_serious=sum(section.serious for section in sections),
        smallest=min(used, default=0),
        largest=max(used, default=0),
        classes=list(facts.counts.items())[:MAX_CLASSES],
        reasons=reasons(facts.left_out),
        listed=facts.left_out[:MAX_LEFT_OUT],
    )


def _parts(sections: Sequence[Section], most: int) -> list[_Part]:
    sizes = [[_bytes(found) for found in section.findings[:most]] for section in sections]
    n_pictured = dealt(sizes)
    return [
        _part(f"found-{at}", section, most, n)
        for at, (section, n) in enumerate(zip(sections, n_pictured, strict=True), start=1)
    ]


def _part(name: str, section: Section, most: int, n_pictured: int) -> _Part:
    found = [
        _Found(
            shown,
            [(each, each.address if at < n_pictured else "") for each in _first(shown)],
            len(shown.pictures) - len(_first(shown)),
        )
        for at, shown in enumerate(section.findings[:most])
    ]
    n_bare = sum(_bytes(each.shown) > 0 for each in found[n_pictured:])
    return _Part(name, section, found, n_bare)


def _first(shown: Shown) -> tuple[Picture, ...]:
    return shown.pictures[:MAX_PICTURES]


def _bytes(shown: Shown) -> int:
    return sum(each.n_bytes for each in _first(shown))
