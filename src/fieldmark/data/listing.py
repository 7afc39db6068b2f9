"""Read a list of paths and labels: a CSV file with a header line.

Columns, in any order and case: ``path`` (or ``filepath``, ``file``, ``filename``, ``image``),
``label`` (or ``class``), and optionally ``group`` and ``split``. Paths are relative to the list's
folder, or else to the folder it is about. Separated by commas, semicolons or tabs; UTF-8. Pictures
are not opened.
"""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fieldmark.data import files
from fieldmark.data.manifest import SPLIT_WORDS, Example, LeftOut, Split
from fieldmark.errors import DataError

_NAMES: Final = {
    "path": ("path", "filepath", "file", "filename", "image"),
    "label": ("label", "class"),
    "group": ("group",),
    "split": ("split",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    path: str
    label: str
    group: str
    split: str


def read(csv_path: Path, root: Path) -> tuple[tuple[Example, ...], tuple[LeftOut, ...]]:
    """Return the listed examples, sorted by path relative to ``root``, and the rows left out.

    Raises
    ------
    DataError
        Codes ``no-list``, ``list-damaged``, ``no-columns``, ``bad-split-word``, ``label-conflict``.
    """
    places = _Places(csv_path.parent, root)
    examples: dict[str, tuple[Example, int]] = {}
    left_out: list[LeftOut] = []
    for row in _rows(csv_path):
        path, code, reason = places.locate(row.path)
        if not code and not row.label:
            code, reason = "no-label", f"line {row.line} of the list has no label"
        if not code and path in examples:
            first, line = examples[path]
            if first.label != row.label:
                raise _conflict(csv_path, path, (first.label, line), (row.label, row.line))
            code, reason = "listed-twice", f"lines {line} and {row.line} of the list"
        if code:
            left_out.append(LeftOut(path=path, code=code, reason=reason))
            continue
        split = _split(row, csv_path)
        example = Example(path=path, label=row.label, group=row.group, split=split)
        examples[path] = (example, row.line)
    return tuple(examples[path][0] for path in sorted(examples)), tuple(left_out)


def _rows(csv_path: Path) -> Iterator[_Row]:
    try:
        with csv_path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            delimiter = max(",;\t", key=header.count)
            columns = _columns(next(csv.reader([header], delimiter=delimiter), []), csv_path)
            for number, cells in enumerate(csv.reader(file, delimiter=delimiter), start=2):
                if not any(cell.strip() for cell in cells):
                    continue
                found = {
                    name: cells[at].strip() if at is not None and at < len(cells) else ""
                    for name, at in columns.items()
                }
                yield _Row(line=number, **found)
    except OSError as error:
        raise DataError(
            "The list of labels cannot be read.",
            code="no-list",
            where=str(csv_path),
            why=error.strerror or "",
            hint="check the path given with --labels",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            "The list of labels is not a CSV file in UTF-8.",
            code="list-damaged",
            where=str(csv_path),
            why=str(error),
            hint="save it again as CSV, UTF-8",
        ) from error


def _columns(header: list[str], csv_path: Path) -> dict[str, int | None]:
    found = [name.strip().lower() for name in header]
    columns = {
        column: next((found.index(name) for name in names if name in found), None)
        for column, names in _NAMES.items()
    }
    missing = [name for name in ("path", "label") if columns[name] is None]
    if missing:
        raise DataError(
            f"The list has no column for the {' and the '.join(missing)}.",
            code="no-columns",
            where=str(csv_path),
            why=f"Its first line names: {', '.join(found)[:200] or 'nothing'}.",
            hint="let the first line read: path,label",
        )
    return columns


def _split(row: _Row, csv_path: Path) -> Split | None:
    if not row.split:
        return None
    if row.split.lower() not in SPLIT_WORDS:
        raise DataError(
            f"The list puts a picture into an unknown part: {row.split!r}.",
            code="bad-split-word",
            where=f"{csv_path}, line {row.line}",
            hint="write train, valid or test, or leave the column out",
        )
    return SPLIT_WORDS[row.split.lower()]


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


class _Places:
    """Finds listed paths, remembering folders: resolving each one anew takes most of the time."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._bases = (folder, root)
        self._inside = os.path.realpath(root)
        self._real: dict[str, str] = {}

    def locate(self, text: str) -> tuple[str, str, str]:
        """Return the path relative to the root; a code and a reason when it is left out."""
        if not text:
            return "", "no-path", "a line of the list has no path"
        for spelling in dict.fromkeys((text, text.replace("\\", "/"))):  # lists written on Windows
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
