"""What is wrong, or may be wrong, with a folder: one value per finding, and the kinds there are.

Pure. Who finds what: :mod:`fieldmark.data.audit` and the rooms above it; who acts on it:
:func:`fieldmark.data.audit.cleaned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One sort of finding, worded once for the screen, the page and the fix list."""

    title: str
    """As a heading: ``same picture, two labels``."""
    why: str
    """What it does to a number or a network, in one sentence."""
    next: str
    """What a person may do about it."""
    serious: bool = False
    """Whether ``check --strict`` fails on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found, about one file, a few that belong together, or a whole class."""

    code: str
    """A key of :data:`KINDS`."""
    paths: tuple[str, ...] = ()
    """Relative to the folder, in order; empty when it is about classes or the whole folder."""
    labels: tuple[str, ...] = ()
    """The label of each path; or the classes meant, when there are no paths."""
    text: str
    """What was measured, in words, with the figure: ``99.3 % alike``."""
    measure: float | None = None
    """The same as a number, where there is one; its unit is in ``text``."""
    done: str = "shown only"
    """``left out``, ``one kept``, ``kept on one side`` or ``shown only``."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "code": self.code,
            "paths": list(self.paths),
            "labels": list(self.labels),
            "text": self.text,
            "measure": self.measure,
            "done": self.done,
        }


KINDS: Final[Mapping[str, Kind]] = {
    "label-conflict": Kind(
        title="same picture, two labels",
        why="At least one of the labels is wrong, and the network would be taught both.",
        next="relabel the right ones, or leave them out as now",
        serious=True,
    ),
    "leak": Kind(
        title="copies across the ready-made parts",
        why="A picture that was learned is no test: the figure comes out too good.",
        next="remove it from one of the parts",
        serious=True,
    ),
    "near-leak": Kind(
        title="near copies across the ready-made parts",
        why="A picture that was nearly learned is hardly a test: the figure comes out too good.",
        next="remove it from one of the parts",
        serious=True,
    ),
    "exact-copy": Kind(
        title="exact copies",
        why="One picture would count several times.",
        next="nothing: one of each is used",
    ),
    "near-copy-labels": Kind(
        title="near copies under different labels",
        why="Nearly the same picture is taught as two classes; one label may be wrong.",
        next="look at each pair and relabel, leave out or keep",
        serious=True,
    ),
    "group-leak": Kind(
        title="groups across the ready-made parts",
        why="Pictures of one source were learned and are tested on: the figure comes out too good.",
        next="make the parts by groups: fieldmark split, on a folder without parts",
        serious=True,
    ),
    "crowd": Kind(
        title="so many pictures alike that they cannot be kept together",
        why="As with a fixed camera; pictures of one scene may be on two sides.",
        next="--groups with the source, such as the camera, the day or the piece",
        serious=True,
    ),
    "near-copy": Kind(
        title="near copies",
        why="On two sides of a split they would make the figure too good.",
        next="nothing: they are kept on one side of every split",
    ),
    "burst": Kind(
        title="bursts of one moment",
        why="Frames of one moment on two sides of a split make the figure too good.",
        next="nothing: they are kept on one side of every split",
    ),
    "suspect-label": Kind(
        title="labels that may be wrong",
        why="Wrong labels are learned, and wrong test labels count right answers as errors.",
        next="look at the first ones; relabel or leave out, or keep",
    ),
    "shortcut": Kind(
        title="a fact that is not content tells the classes apart",
        why="A network may learn it instead of the content, and fail on other pictures.",
        next="take the classes in the same way, or make the fact the same for all",
        serious=True,
    ),
    "wrong-suffix": Kind(
        title="named as another format than they are",
        why="Some programs refuse them; here the content decides.",
        next="nothing: they are read as what they are",
    ),
    "odd-size": Kind(
        title="much smaller or larger than the others",
        why="They may be thumbnails or scans that do not belong here.",
        next="look at them",
    ),
    "odd-shape": Kind(
        title="much longer or taller than the others",
        why="Cutting or distorting them to a square may lose what matters.",
        next="look at them; --fit pad keeps all of a picture",
    ),
    "blank": Kind(
        title="blank: hardly anything to see",
        why="A picture of one colour teaches a class its colour.",
        next="leave them out if nothing is there",
    ),
    "dark": Kind(title="very dark", why="There may be nothing to learn from.", next="look at them"),
    "bright": Kind(
        title="very bright", why="There may be nothing to learn from.", next="look at them"
    ),
    "blurred": Kind(
        title="blurred", why="Fine detail is missing that others have.", next="look at them"
    ),
    "tiny-class": Kind(
        title="classes with few pictures",
        why="Their figures will have wide intervals, and little can be learned of them.",
        next="add pictures, or merge the class into another",
    ),
    "imbalance": Kind(
        title="classes of very different size",
        why="A network may favour the large ones; accuracy alone hides it.",
        next="fieldmark train --balance weights, and read the figures per class",
    ),
    "one-class": Kind(
        title="only one class",
        why="A network learns to tell classes apart; it needs at least two.",
        next="add a folder for the other class",
        serious=True,
    ),
    "empty-class": Kind(
        title="class folders without a picture",
        why="A class that was never seen can be neither learned nor tested.",
        next="put pictures into it, or remove the folder",
        serious=True,
    ),
    "class-not-in-part": Kind(
        title="classes missing from a ready-made part",
        why="It cannot be learned, chosen or measured there.",
        next="add pictures of it to that part",
        serious=True,
    ),
    "names-collide": Kind(
        title="names that are one name on other computers",
        why="On macOS and Windows one of the files would overwrite the other.",
        next="rename one of them",
    ),
    "name-not-text": Kind(
        title="file names that are not text",
        why="Other programs may fail on them; here they are shown with \\x codes.",
        next="rename them",
    ),
    "groups-in-names": Kind(
        title="file names that look like groups",
        why="Pictures of one person, place or film on two sides make the figure too good.",
        next="if the word means a source: --groups with the pattern shown",
    ),
}
"""Code -> kind, in the order shown. What could not be read has its own codes: see
:class:`~fieldmark.data.manifest.LeftOut`."""
