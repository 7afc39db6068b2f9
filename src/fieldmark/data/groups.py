r"""Groups that a person says: which files come from one plant, patient, place or film.

Files of one group are never on two sides of a split. Where the group stands:

* ``name:REGEX``: in the file name; the pattern's first group, ``name:^(\d+)_`` for ``17_a.jpg``;
* ``folder``: the name of the folder that holds the file, below the class folder;
* ``column:NAME``: a column of the list of labels;
* anything else: a CSV file with the columns ``path`` and ``group``.

What ``folder`` reads is the bare name: ``cat/monday`` and ``dog/monday`` are one group, for one
camera or day rarely keeps to one class.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fieldmark.data import scan
from fieldmark.data.listing import PATH, Places
from fieldmark.data.manifest import Example, Manifest, Note
from fieldmark.data.table import Form, Names, lines, plain
from fieldmark.errors import DataError, UsageError

_HINT: Final = r"--groups folder, --groups 'name:^(\d+)_', --groups column:NAME, or a CSV file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """A manifest with groups filled in."""

    manifest: Manifest
    notes: tuple[Note, ...]
    """``no-group``: how many files have none."""


def given(manifest: Manifest, groups: str, *, labels: Path | None = None) -> Grouped:
    r"""Fill in every example's group.

    Parameters
    ----------
    manifest : Manifest
    groups : str
        See above; empty: groups stay as they are.
    labels : Path, optional
        The list of labels, for ``column:NAME``.

    Returns
    -------
    Grouped
        Files for which no group is found keep the one they had, or none.

    Raises
    ------
    UsageError
        ``groups``: the words make no sense here.
    DataError
        ``no-groups``: not one file has a group by them; ``group-conflict``: a list gives a file
        two; ``no-list``, ``list-damaged``, ``no-columns``.

    Examples
    --------
    >>> one = Example(path="cat/07_1.jpg", label="cat")
    >>> found = given(Manifest(root=Path("x"), examples=(one,), classes=("cat",)), r"name:^(\d+)_")
    >>> found.manifest.examples[0].group
    '07'
    """
    if not groups:
        return Grouped(manifest=manifest, notes=())
    of = _rule(manifest, groups, labels)
    found = [of(example) for example in manifest.examples]
    if manifest.examples and not any(found):
        raise DataError(
            f"Not one of {len(found):,} files has a group by {groups!r}.",
            code="no-groups",
            where=str(manifest.root),
            why=f"The first file is {manifest.examples[0].path}.",
            hint=_HINT,
        )
    examples = tuple(
        dataclasses.replace(example, group=group) if group else example
        for example, group in zip(manifest.examples, found, strict=True)
    )
    alone = [example for example in examples if not example.group]
    notes = []
    if alone:
        text = f"{len(alone):,} of {len(examples):,} files have no group, such as {alone[0].path}."
        notes.append(Note(code="no-group", text=text))
    return Grouped(manifest=manifest.with_examples(examples), notes=tuple(notes))


def _rule(manifest: Manifest, groups: str, labels: Path | None) -> Callable[[Example], str]:
    kind, _, rest = groups.partition(":")
    if groups == "folder":
        above = {"folders": 1, "parts": 2}.get(manifest.layout, 0)
        return lambda example: _folder(example.path, above)
    if kind == "name" and rest:
        pattern = scan.name_pattern(groups)
        if isinstance(pattern, str):
            raise _nonsense(groups, pattern.replace("{}", "group"))
        return lambda example: _in_name(pattern, example.path)
    if kind == "column" and rest:
        if labels is None:
            raise _nonsense(groups, "names a column, but there is no list of labels")
        return _listed(manifest, labels, rest.strip().lower(), "--labels")
    if not Path(groups).is_file():
        raise _nonsense(groups, "is no file, and none of the words that are known")
    return _listed(manifest, Path(groups), "group", "--groups")


def _folder(path: str, above: int) -> str:
    steps = path.split("/")[above:-1]
    return steps[-1] if steps else ""


def _in_name(pattern: re.Pattern[str], path: str) -> str:
    found = pattern.search(path.rpartition("/")[2])
    return (found[1] or "") if found else ""


def _listed(manifest: Manifest, file: Path, column: str, option: str) -> Callable[[Example], str]:
    form = Form(
        what="list of groups" if option == "--groups" else "list of labels",
        option=option,
        columns={"path": PATH, "group": (column,)},
        needed=("path", "group"),
    )
    names = Names(example.path for example in manifest.examples)
    places = Places(file.parent, manifest.root)
    found: dict[str, tuple[str, int]] = {}
    for row in lines(file, form):
        cell, group = row.cells["path"], plain(row.word("group"))
        path = names.find(cell) or places.locate(cell.strip())[0]
        first, number = found.setdefault(path, (group, row.number))
        if first != group:
            raise DataError(
                f"The list gives one file two groups: {first!r} and {group!r}.",
                code="group-conflict",
                where=f"{file}, lines {number} and {row.number}: {path}",
                why="It can be on one side only.",
                hint="remove one of the two lines",
            )
    return lambda example: found.get(example.path, ("", 0))[0]


def _nonsense(groups: str, problem: str) -> UsageError:
    return UsageError(f"--groups {groups!r} {problem}.", code="groups", hint=_HINT)
