"""The values that flow through the data rooms: examples, and the manifest that lists them.

Pure: nothing here reads or writes a file.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from fieldmark.modalities.shapes import Shapes

Split = Literal["train", "valid", "test"]
"""The three parts. Shown to people as training, validation and test part."""

SPLITS: tuple[Split, ...] = get_args(Split)


SPLIT_WORDS: Final[Mapping[str, Split]] = {
    "train": "train",
    "training": "train",
    "training_set": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
    "test_set": "test",
}
"""The words people use for the parts, in lower case: as folder names and in lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One labelled thing on disk."""

    path: str
    """Relative to the manifest's root, forward slashes on every system."""
    label: str
    """What a person said it is."""
    sha256: str = ""
    """Of the file's bytes, 64 hex digits; empty until it has been read."""
    group: str = ""
    """Said by a person. Examples that share a non-empty group are never split apart."""
    cluster: str = ""
    """Found: near copies and frames of one burst share one; treated like a group."""
    split: Split | None = None
    """None until it was given by the folder, the list or :mod:`fieldmark.data.split`."""
    fold: int | None = None
    """From 0, where the examples were dealt into folds."""

    @property
    def id(self) -> str:
        """First 16 hex digits of the content's hash: renaming a file changes nothing."""
        return self.sha256[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """One file that was found and is not used, and why."""

    path: str
    code: str
    """Stable reason, for example ``truncated`` or ``system-file``."""
    reason: str
    """The same in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a person should know about a list that was obeyed: nothing stops for it."""

    code: str
    """Stable, for example ``override-stale``."""
    text: str
    """One sentence, with the path or the number of files."""

    def __str__(self) -> str:
        return f"{self.text} [{self.code}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Every example of one folder. Used + left out = found; nothing is skipped silently."""

    root: Path
    examples: tuple[Example, ...]
    classes: tuple[str, ...]
    """Class names in the one order that everything uses: sorted as text, once."""
    left_out: tuple[LeftOut, ...] = ()
    layout: str = "folders"
    """``folders``, ``parts`` (ready-made training/test folders), ``csv`` or ``name``."""
    audited: bool = False
    """Whether near copies were looked for, and what spoils a figure was left out."""
    shapes: Shapes | None = None
    """Sizes and formats of the examples, as the audit saw them; None: they were not looked at."""

    @property
    def name(self) -> str:
        """The folder's name for people: ``.`` is spelt out, what is not text is a question mark."""
        return self.root.absolute().name.encode("utf-8", "replace").decode("utf-8")

    def part(self, split: Split) -> tuple[Example, ...]:
        """Return the examples of one part, in the manifest's order."""
        return tuple(example for example in self.examples if example.split == split)

    def counts(self, split: Split | None = None) -> dict[str, int]:
        """Count examples per class, in class order, of one part or of all."""
        found = Counter(
            example.label for example in self.examples if split is None or example.split == split
        )
        return {name: found[name] for name in self.classes}

    def index(self, label: str) -> int:
        """Return the position of a class name."""
        return self.classes.index(label)

    def with_examples(
        self, examples: tuple[Example, ...], left_out: tuple[LeftOut, ...] = ()
    ) -> Manifest:
        """Return a copy with other examples and more files left out; the classes stay."""
        return dataclasses.replace(self, examples=examples, left_out=(*self.left_out, *left_out))
