"""The page of a comparison: the pictures that changed, read again where they still are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fieldmark.errors import UnreadableExample
from fieldmark.evaluation.comparison_page import ComparisonFacts, render, wanted
from fieldmark.evaluation.thumbnails import Picture
from fieldmark.workflow.comparing import Compared
from fieldmark.workflow.pages import write_page
from fieldmark.workflow.picturing import contents, pictured


def save(found: Compared, path: str | Path, *, created: str = "") -> Path:
    """Write a comparison as a page.

    Parameters
    ----------
    found : Compared
    path : str or Path
    created : str
        Date and time as text.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    UsageError
        Code ``file-exists``: something else stands there; only such a page is replaced.
    DataError
        Code ``no-folder``.
    """
    facts = ComparisonFacts(
        comparison=found.comparison, thumbnails=_thumbnails(found), created=created
    )
    return write_page(Path(path), render(facts), "compare")


def _thumbnails(found: Compared) -> dict[str, bytes]:
    """Read what the page can show; a file that has gone or changed since has no thumbnail."""
    there = [
        (each.sha256, file)
        for each in wanted(found.comparison)
        if (file := found.roots.get(each.sha256)) and _holds(file, each.sha256)
    ]
    made = pictured(Path(), [Picture(path=str(file)) for _, file in there])
    return {sha: each.thumbnail for (sha, _), each in zip(there, made, strict=True)}


def _holds(file: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(contents(Path(), str(file))).hexdigest() == sha256
    except UnreadableExample:
        return False
