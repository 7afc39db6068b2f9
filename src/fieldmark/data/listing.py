"""Read a list of paths and labels: a CSV file with a header line.

Columns, in any order and case: ``path`` (or ``filepath``, ``file``, ``filename``, ``image``),
``label`` (or ``class``), and optionally ``group`` and ``split``. Paths are relative to the list's
folder, or else to the folder it is about. Separated by commas, semicolons or tabs; UTF-8. Pictures
are not opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from fieldmark.data import files
from fieldmark.data.manifest import SPLIT_WORDS, Example, LeftOut, Split
from fieldmark.data.table import Form, lines, plain
from fieldmark.errors import DataError

PATH: Final = ("path", "filepath", "file", "filename", "image")
"""What the column of the paths may be called."""

_FORM: Final = Form(
    what="list of labels",
    option="--labels",
    columns={"path": PATH, "label": ("label", "class"), "group": ("group",), "split": ("split",)},
    needed=("path", "label"),
)


def read(csv_path: Path, root: Path) -> tuple[tuple[Example, ...], tuple[LeftOut, ...]]:
    """Return the listed examples, sorted by path relative to ``root``, and the rows left out.

    Raises
    ------
    DataError
        Codes ``no-list``, ``list-damaged``, ``no-columns``, ``bad-split-word``, ``label-conflict``.
    """
    places = Places(csv_path.parent, root)
    examples: dict[str, tuple[Example, int]] = {}
    left_out: list[LeftOut] = []
    for row in lines(csv_path, _FORM):
        path, code, reason = places.locate(row.word("path"))
        label = row.word("label")
        if not code and not label:
            code, reason = "no-label", f"line {row.number} of the list has no label"
        if not code and path in examples:
            first, line = examples[path]
            if first.label != label:
                raise _conflict(csv_path, path, (first.label, line), (label, row.number))
            code, reason = "listed-twice", f"lines {line} and {row.number} of the list"
        if code:
            left_out.append(LeftOut(path=path, code=code, reason=reason))
            continue
        split = split_word(row.word("split"), f"{csv_path}, line {row.number}")
        example = Example(path=path, label=label, group=row.word("group"), split=split)
        examples[path] = (example, row.number)
    return tuple(examples[path][0] for path in sorted(examples)), tuple(left_out)


def split_word(word: str, where: str) -> Split | None:
    """Return the part that a word in a list means; None for an empty one.

    Raises
    ------
    DataError
        Code ``bad-split-word``.
    """
    if not word:
        return None
    if word.lower() not in SPLIT_WORDS:
        raise DataError(
            f"The list puts a picture into an unknown part: {word!r}.",
            code="bad-split-word",
            where=where,
            hint="write train, valid or test, or leave the column out",
        )
    return SPLIT_WORDS[word.lower()]


def _conflict(
    csv_path: Path, path: str, first: tuple[str, int], second: tuple[str, int]
) -> DataError:
    return DataError(
        f"The list gives one picture two labels: {first[0]!r} and {second[0]!r}.",
        code="label-conflict",
        where=f"{csv_path}, lines {first[1]} and {second[1]}: {path}",
        why="Each picture needs the one label that the network is to answer with.",
        hint="remove one of the two lines",
    )


class Places:
    """Finds listed paths, remembering folders: resolving each one anew takes most of the time."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._bases = (folder, root)
        self._inside = os.path.realpath(root)
        self._real: dict[str, str] = {}

    def locate(self, text: str) -> tuple[str, str, str]:
        """Return the path relative to the root; a code and a reason when it is left out."""
        if not text:
            return "", "no-path", "a line of the list has no path"
        # As it stands there, from a list written on Windows, from one that fieldmark wrote.
        for spelling in dict.fromkeys((text, text.replace("\\", "/"), plain(text))):
            for base in self._bases:
                place = os.path.join(base, spelling)  # noqa: PTH118 - a third of the time
                try:
                    mode = os.lstat(place).st_mode
                except (OSError, ValueError):
                    continue
                return self._judge(place, mode, text)
        return text, "vanished", "in the list, but not on the disk"

    def _judge(self, place: str, mode: int, text: str) -> tuple[str, str, str]:
        folder, name = os.path.split(place)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        real = os.path.normpath(os.path.join(self._real[folder], name))  # noqa: PTH118
        if not files.is_inside(real, self._inside):
            return text, "link-outside", "lies outside the folder"
        path = os.path.relpath(real, self._inside).replace(os.sep, "/")
        if stat.S_ISLNK(mode):
            kind, reason = files.link_kind(real, self._inside)
            return path, "" if kind == "file" else kind, reason
        if not stat.S_ISREG(mode):
            return path, "not-a-file", "a folder, pipe, device or socket"
        return path, "", ""
