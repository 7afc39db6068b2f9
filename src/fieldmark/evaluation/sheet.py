"""What a network is shown, as one HTML file: the classes, the input, what augmentation does.

Pure: :func:`render` and :func:`render_brief` turn facts into text. The promises are those of
:mod:`fieldmark.evaluation.page`; :func:`render_brief` is a piece for a notebook, with fewer
pictures and styles that reach no further than itself.

The words are in ``sheet.html.j2`` and ``sheet_brief.html.j2``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fieldmark.evaluation.template import template
from fieldmark.evaluation.thumbnails import BUDGET_BYTES, Picture, dealt

BRIEF_BUDGET: Final = 220_000
"""Bytes of the pictures in a notebook; with all words the piece stays below 300 kB."""
_BRIEF_CLASSES: Final = 8
_BRIEF_PICTURES: Final = 4
"""Of each class, and of one that is changed."""
MAX_CLASSES: Final = 500
"""Classes with a heading of their own; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSheet:
    """A few pictures of one class."""

    label: str
    n: int
    """Pictures in all."""
    pictures: tuple[Picture, ...] = ()
    """A sample; one that could not be read has no thumbnail and its reason as the note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One picture, and exactly what the network receives of it."""

    original: Picture
    array: bytes
    """The array as PNG, or as JPEG where it is large."""

    @property
    def n_bytes(self) -> int:
        """Characters that both take in a page."""
        return self.original.n_bytes + self.as_picture.n_bytes

    @property
    def as_picture(self) -> Picture:
        """The array as a picture of the same file."""
        return Picture(path=self.original.path, label=self.original.label, thumbnail=self.array)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One picture as the network receives it, and as training changes it."""

    original: Picture
    drawn: tuple[bytes, ...]
    """One per epoch, the first one first."""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The changed ones, with the epoch as the note."""
        return tuple(
            Picture(
                path=self.original.path,
                label=self.original.label,
                thumbnail=each,
                note=f"epoch {epoch}",
            )
            for epoch, each in enumerate(self.drawn, start=1)
        )

    @property
    def n_bytes(self) -> int:
        """Characters that all take in a page."""
        return self.original.n_bytes + sum(each.n_bytes for each in self.pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFacts:
    """Everything the page says, as plain values."""

    name: str
    """Of the folder: ``flowers``."""
    n: int
    """Pictures listed in the folder, over all classes."""
    classes: tuple[ClassSheet, ...]
    """In class order."""
    size: tuple[int, int]
    """Height and width of the array, in pixels."""
    channels: int = 3
    fit: str
    """``crop``, ``pad`` or ``stretch``."""
    augment: str
    """``light``."""
    ranges: dict[str, str] = field(default_factory=dict)
    """What it may change, and how far: ``{"rotation": "up to 10 degrees"}``; empty: nothing."""
    received: tuple[Received, ...] = ()
    changed: tuple[Changed, ...] = ()
    seed: int
    """Of the sample and of the changes."""
    notes: tuple[str, ...] = ()
    """What a reader should know, one sentence each."""

    @property
    def n_shown(self) -> int:
        """Pictures on the contact sheets."""
        return sum(len(each.pictures) for each in self.classes)

    @property
    def unread(self) -> tuple[Picture, ...]:
        """Pictures of the sample that could not be read."""
        return tuple(
            picture for each in self.classes for picture in each.pictures if not picture.thumbnail
        )


def render(facts: SheetFacts) -> str:
    """Write the page.

    Parameters
    ----------
    facts : SheetFacts
        Names in it may hold anything.

    Returns
    -------
    str
        A complete HTML document, to be written as UTF-8; the same facts give the same text.

    Examples
    --------
    >>> facts = SheetFacts(name="pets", n=0, classes=(), size=(64, 64), fit="crop", augment="none",
    ...                    seed=0)
    >>> render(facts).startswith("<!doctype html>")
    True
    """
    return _filled("sheet.html.j2", facts, facts.classes[:MAX_CLASSES], BUDGET_BYTES)


def render_brief(facts: SheetFacts) -> str:
    """Write a piece of HTML of less than 300 kB for a notebook.

    Parameters
    ----------
    facts : SheetFacts

    Examples
    --------
    >>> facts = SheetFacts(name="pets", n=0, classes=(), size=(64, 64), fit="crop", augment="none",
    ...                    seed=0)
    >>> render_brief(facts).startswith('<div class="fieldmark-sheet">')
    True
    """
    classes = [
        ClassSheet(label=each.label, n=each.n, pictures=each.pictures[:_BRIEF_PICTURES])
        for each in facts.classes[:_BRIEF_CLASSES]
    ]
    changed = [
        Changed(original=each.original, drawn=each.drawn[:_BRIEF_PICTURES])
        for each in facts.changed[:1]
    ]
    fewer = dataclasses.replace(facts, received=facts.received[:1], changed=tuple(changed))
    return _filled("sheet_brief.html.j2", fewer, classes, BRIEF_BUDGET)


def _filled(name: str, facts: SheetFacts, classes: Sequence[ClassSheet], budget: int) -> str:
    # What the network receives comes first: a contact sheet can spare a picture, this cannot.
    sizes = [
        [each.n_bytes for each in facts.changed],
        [each.n_bytes for each in facts.received],
        *([picture.n_bytes for picture in each.pictures] for each in classes),
    ]
    n_changed, n_received, *n_pictured = dealt(sizes, budget)
    pairs = list(zip(classes, n_pictured, strict=True))
    return template(name).render(
        facts=facts,
        classes=pairs,
        received=facts.received[:n_received],
        changed=facts.changed[:n_changed],
        n_bare=sum(picture.n_bytes > 0 for each, n in pairs for picture in each.pictures[n:]),
        small=max(facts.size) < 160,
    )
