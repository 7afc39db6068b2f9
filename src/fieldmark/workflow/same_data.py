"""Whether a folder holds the data that a model was made of, and what is different if not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fieldmark.data import table
from fieldmark.data.manifest import Manifest

_NAMED: Final = 3
"""Files of each kind that are named; all are counted."""
_COLUMNS: Final = {
    "sha256": "with another content",
    "label": "with another label",
    "split": "in another part",
    "group": "in another group",
    "cluster": "kept together with others",
}
"""Column of ``data.csv`` -> what is said of a file that differs in it."""


def differences(
    manifest: Manifest, here: Mapping[str, Any], there: str | None, folder: Path | None
) -> tuple[str, ...] | None:
    """Name what is different about the data.

    Parameters
    ----------
    manifest : Manifest
        With hashes and parts.
    here : mapping
        Of the manifest, by :func:`fieldmark.workflow.continuing.data_of`.
    there : str or None
        The hash of the model's data; None: its file does not say.
    folder : Path or None
        The run folder around the model file, whose ``data.csv`` names every file.

    Returns
    -------
    tuple of str, or None
        Nothing: it is the same. None: there is nothing to compare with.
    """
    listed = folder / "data.csv" if folder is not None else Path("nothing")
    if there == here["sha256"]:
        return ()
    if not listed.is_file():
        if there is None:
            return None
        n, left_out = here["examples"], here["left_out"]
        return (f"other files, labels or parts: here {n:,} are used and {left_out:,} left out",)
    rows = {row["path"]: row for row in table.rows(listed) if row["used"] == "1"}
    found = tuple(_named(rows, manifest))
    if found or there is None:
        return found
    return ("the files that are used are the same; what is left out, or the classes, are not",)


def _named(rows: Mapping[str, Mapping[str, str]], manifest: Manifest) -> list[str]:
    own = {each.path: each for each in manifest.examples}
    missing = [path for path in rows if path not in own]
    new = [path for path in own if path not in rows]
    content = {own[path].sha256: path for path in new}
    moved = [path for path in missing if rows[path]["sha256"] in content]
    arrived = {content[rows[path]["sha256"]] for path in moved}
    found = [
        _counted([path for path in missing if path not in moved], "missing, or left out here"),
        _counted([path for path in new if path not in arrived], "new, or left out there"),
        _counted(moved, "under another name"),
    ]
    both = [path for path in rows if path in own]
    for column, words in _COLUMNS.items():
        if column == "cluster":
            continue  # its names are made up anew; the hash of the whole counts it
        other = [path for path in both if rows[path][column] != (getattr(own[path], column) or "")]
        found.append(_counted(other, words))
    return [each for each in found if each]


def _counted(paths: Sequence[str], words: str) -> str:
    if not paths:
        return ""
    named = ", ".join(paths[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")
    return f"{len(paths):,} {words}: {named}"
