"""What else a list of labels tells of its pictures: columns that fieldmark itself does not use.

Kept beside the manifest and read only when somebody asks: an example is what is learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fieldmark.data.listing import PATH, Places
from fieldmark.data.manifest import Example
from fieldmark.data.table import Form, Names, header, lines, plain

MOST: Final = 20
"""Columns that are read, the first ones."""
_OWN: Final = frozenset({*PATH, "label", "class", "group", "split", ""})
_PATH: Final = " path "
"""No column's name: names are stripped."""


def names(listed: Path) -> tuple[str, ...]:
    """Return the columns of a list of labels that fieldmark itself has no use for, as written.

    Raises
    ------
    DataError
        Codes ``no-list``, ``list-damaged``.
    """
    found = dict.fromkeys(each for each in header(listed, _form(())) if each.lower() not in _OWN)
    return tuple(found)


def read(
    listed: Path, root: Path, examples: Sequence[Example], wanted: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Read some columns: one text per example, empty where the list does not say.

    Parameters
    ----------
    listed : Path
        The list of labels.
    root : Path
        The folder it is about.
    examples : sequence of Example
    wanted : sequence of str
        As :func:`names` gives them.

    Returns
    -------
    dict of str to tuple of str
        Where a picture is listed twice, the first line counts.

    Raises
    ------
    DataError
        Codes ``no-list``, ``list-damaged``, ``no-columns``.
    """
    known, places = Names(each.path for each in examples), Places(listed.parent, root)
    rows: dict[str, tuple[str, ...]] = {}
    for line in lines(listed, _form(wanted)):
        cell = line.cells[_PATH]
        path = known.find(cell) or places.locate(cell.strip())[0]
        rows.setdefault(path, tuple(plain(line.word(name)) for name in wanted))
    nothing = ("",) * len(wanted)
    found = [rows.get(each.path, nothing) for each in examples]
    return {name: tuple(row[at] for row in found) for at, name in enumerate(wanted)}


def _form(wanted: Sequence[str]) -> Form:
    columns = {_PATH: PATH} | {name: (name.lower(),) for name in wanted}
    return Form(what="list of labels", option="--labels", columns=columns, needed=(_PATH, *wanted))
