"""Facts about files that are not what they show: sizes, formats, cameras, borders, names.

Pure. Each fact becomes columns that a linear model can read: values are sorted into kinds, frequent
values as they are, the others by quantiles, and each kind is a column of 0 and 1. So "640x480" can
speak for one class and "800x600" for another, with nothing in between. Whether a fact tells the
classes apart is asked by :mod:`fieldmark.workflow.suspecting`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

FREQUENT: Final = 0.02
"""Share of the files that a value needs to be a kind of its own."""
AT_LEAST: Final = 8
"""Files that it needs in any case; what fewer share tells nothing about the others."""
MOST_KINDS: Final = 24
"""Of one value."""
BINS: Final = 8
"""Quantiles that numbers are sorted into."""
_OTHER: Final = "another value"


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """One value of every file, sorted into kinds."""

    what: str
    """Which value: ``width``."""
    names: tuple[str, ...]
    """Of each kind: ``640``, or ``512 to 640``."""
    of: NDArray[np.int64]
    """(n_files,), indices into ``names``."""

    @property
    def columns(self) -> NDArray[np.float32]:
        """(n_files, n_kinds) of 0 and 1."""
        return np.eye(len(self.names), dtype=np.float32)[self.of]


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """One fact that is not content, or hardly."""

    name: str
    """For people: ``size``, ``file name``."""
    kinds: tuple[Kinds, ...]
    content: bool = False
    """Partly what is shown, as the colour of snow is: told, and never alone a reason to warn."""

    @property
    def columns(self) -> NDArray[np.float32]:
        """(n_files, n_columns); no column where all files are alike."""
        found = [each.columns for each in self.kinds if len(each.names) > 1]
        n_files = len(self.kinds[0].of)
        return np.concatenate(found, axis=1) if found else np.zeros((n_files, 0), np.float32)


def facts(rows: NDArray[np.void], paths: Sequence[str], classes: Sequence[str]) -> tuple[Fact, ...]:
    """Gather what is known of every file without what it shows.

    Parameters
    ----------
    rows : array of shape (n_files,) of :data:`fieldmark.modalities.looking.LOOK`
    paths : sequence of str
        Relative to the folder. Folders are not read: a class folder's name is no fact.
    classes : sequence of str
        Only to strike their names out of the file names: there they are the label once more.

    Returns
    -------
    tuple of Fact

    Examples
    --------
    >>> from fieldmark.modalities.looking import LOOK
    >>> rows = np.zeros(40, LOOK)
    >>> rows["width"], rows["height"] = np.repeat([640, 800], 20), np.repeat([480, 600], 20)
    >>> size = facts(rows, [f"{at}.jpg" for at in range(40)], ["a", "b"])[0]
    >>> size.name, size.kinds[0].names
    ('size', ('640x480', '800x600'))
    """
    width, height = rows["width"].astype(np.float64), rows["height"].astype(np.float64)
    pixels = np.maximum(width * height, 1)
    sizes = [f"{w}x{h}" for w, h in zip(rows["width"], rows["height"], strict=True)]
    border, color = rows["border_color"], rows["mean_color"]
    return (
        Fact(
            "size",
            (
                _valued("size", sizes),
                _numbered("width", width),
                _numbered("height", height),
                _numbered("megapixels", pixels / 1e6),
            ),
        ),
        Fact("shape", (_numbered("width / height", width / np.maximum(height, 1)),)),
        Fact(
            "compression",
            (
                _numbered("JPEG quality", rows["quality"]),
                _numbered("bytes per pixel", rows["n_bytes"] / pixels),
            ),
        ),
        Fact("format", (_valued("format", _texts(rows["format"])),)),
        Fact("camera", (_valued("camera", [text or "none" for text in _texts(rows["camera"])]),)),
        Fact("border", (_numbered("spread of the border's grey", rows["border_spread"]),)),
        Fact("file name", _named(paths, classes)),
        Fact(
            "colour",
            (
                _numbered("brightness", rows["brightness"]),
                *(_numbered(f"mean {name}", color[:, at]) for at, name in enumerate(_RGB)),
                *(_numbered(f"border's {name}", border[:, at]) for at, name in enumerate(_RGB)),
            ),
            content=True,
        ),
    )


_RGB: Final = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Telling:
    """The value of a fact that says most about the class."""

    what: str
    value: str
    label: str
    share: float
    """Of the files with this value, those of the class."""
    n: int
    """Files with this value."""

    def __str__(self) -> str:
        value = self.value if self.what == "size" else f"{self.what} {self.value}"
        return f"{value}: {100 * self.share:.0f} % of {self.n:,} are {self.label}"


def most_telling(fact: Fact, labels: NDArray[np.int64], classes: Sequence[str]) -> Telling | None:
    """Return the value whose files are most surely of one class; None if there are no two values.

    Parameters
    ----------
    fact : Fact
    labels : int array of shape (n_files,)
        Indices into ``classes``.
    classes : sequence of str

    Examples
    --------
    >>> kinds = Kinds("format", ("JPEG", "PNG"), np.repeat([0, 1], 50))
    >>> labels = np.repeat([0, 1], 50)
    >>> print(most_telling(Fact("format", (kinds,)), labels, ("cat", "dog")))
    format JPEG: 100 % of 50 are cat
    """
    usual = np.bincount(labels, minlength=len(classes)) / len(labels)
    best, surest = None, 0.0
    for kinds in fact.kinds:
        if len(kinds.names) < 2:
            continue
        counts = np.zeros((len(kinds.names), len(classes)))
        np.add.at(counts, (kinds.of, labels), 1)
        n_each = counts.sum(axis=1)
        shares = counts / np.maximum(n_each, 1)[:, None]
        # How far from chance, in standard deviations: a rare value must be surer.
        surprise = (shares - usual) * np.sqrt(n_each)[:, None]
        surprise /= np.sqrt(np.maximum(usual * (1 - usual), 1e-9))
        at, label = divmod(int(surprise.argmax()), len(classes))
        if surprise[at, label] > surest:
            surest = float(surprise[at, label])
            share, n = float(shares[at, label]), int(n_each[at])
            best = Telling(kinds.what, kinds.names[at], classes[label], share, n)
    return best


def _texts(values: NDArray[np.bytes_]) -> list[str]:
    return [value.decode("ascii", "replace") for value in values.tolist()]


def _valued(what: str, values: Sequence[str]) -> Kinds:
    """Sort by value; the rare ones together."""
    kept = _frequent(values)
    names = [value if value in kept else _OTHER for value in values]
    order = {name: at for at, name in enumerate(sorted(set(names)))}
    return Kinds(what, tuple(order), np.array([order[name] for name in names], np.int64))


def _frequent(values: Sequence[str]) -> set[str]:
    needed = max(AT_LEAST, FREQUENT * len(values))
    return {value for value, n in Counter(values).most_common(MOST_KINDS) if n >= needed}


def _numbered(what: str, values: NDArray[np.generic]) -> Kinds:
    """Sort by quantiles, but leave a value that many share by itself."""
    numbers = np.asarray(values, np.float64)
    texts = [f"{number:.4g}" for number in numbers.tolist()]
    kept = _frequent(texts)
    alone = np.array([text in kept for text in texts], np.bool_)
    others = numbers[~alone]
    if not len(others):
        return _valued(what, texts)
    edges = np.unique(np.quantile(others, np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, numbers, side="right")
    ends = [f"{edge:.3g}" for edge in edges]
    spans = [f"below {ends[0]}", *map(" to ".join, pairwise(ends))]
    spans.append(f"from {ends[-1]}")
    named = [text if one else spans[at] for text, one, at in zip(texts, alone, bins, strict=True)]
    order = {name: at for at, name in enumerate(dict.fromkeys(sorted(named)))}
    return Kinds(what, tuple(order), np.array([order[name] for name in named], np.int64))


def _named(paths: Sequence[str], classes: Sequence[str]) -> tuple[Kinds, ...]:
    """Return the facts of file names: the word they begin with, how long they are, their digits."""
    struck = _names_of(classes)
    stems = [struck.sub("", PurePosixPath(path).stem.casefold()) for path in paths]
    suffixes = [PurePosixPath(path).suffix for path in paths]
    words = [match[0] if (match := _WORD.match(stem)) else "none" for stem in stems]
    lengths = np.array([len(stem) for stem in stems])
    digits = np.array([sum(char.isdigit() for char in stem) for stem in stems])
    return (
        _valued("beginning with", words),
        _numbered("of length", lengths),
        _numbered("with digits:", digits),
        _valued("ending in", suffixes),
    )


_WORD: Final = re.compile(r"[^\W\d_]+")
_LETTER: Final = r"[^\W\d_]"


def _names_of(classes: Sequence[str]) -> re.Pattern[str]:
    """Match a class's name as a word of a file name, one or many: ``cat`` and ``cats``.

    Of every class in every file, lest the striking itself tell the classes apart. A name without a
    letter is part of a number more often than a name.
    """
    said = []
    for name in sorted({each.casefold() for each in classes}, key=len, reverse=True):
        words = re.findall(r"[^\W_]+", name)
        if words and re.search(_LETTER, name):
            one = words[-1][:-1] if words[-1].endswith("s") and len(words[-1]) > 2 else words[-1]
            said.append(r"[\W_]*".join(map(re.escape, [*words[:-1], one])))
    if not said:
        return re.compile(r"(?!)")  # matches nothing
    return re.compile(rf"(?<!{_LETTER})(?:{'|'.join(said)})s?(?!{_LETTER})")
