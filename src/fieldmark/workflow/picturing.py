"""Thumbnails of files on disk, for the pages. Reads only; a file that cannot be read says why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from fieldmark.data import files
from fieldmark.errors import UnreadableExample
from fieldmark.evaluation.thumbnails import Picture
from fieldmark.modalities.encode import encode_jpeg
from fieldmark.modalities.thumbnail import SIDE, thumbnail
from fieldmark.pool import map_ordered
from fieldmark.workflow.machine import cores


def pictured(
    root: Path, wanted: Iterable[Picture], *, side: int = SIDE, quality: int = 80
) -> Iterator[Picture]:
    """Read files and fill in their thumbnails, a few ahead, in the order given.

    Parameters
    ----------
    root : Path
        Of the paths.
    wanted : iterable of Picture
        Without thumbnails.
    side, quality : int
        Pixels of the longer side, and of the JPEG.

    Yields
    ------
    Picture
        With its thumbnail; or without one, and with the reason as its note.
    """

    def one(given: Picture) -> Picture:
        try:
            made = encode_jpeg(thumbnail(contents(root, given.path), side), quality)
        except UnreadableExample as error:
            return dataclasses.replace(given, note=f"{error.what} [{error.code}]")
        return dataclasses.replace(given, thumbnail=made)

    return map_ordered(one, list(wanted), threads=cores(), ahead=4 * cores())


def contents(root: Path, path: str) -> bytes:
    """Read one file.

    Raises
    ------
    UnreadableExample
        As :func:`fieldmark.data.files.opened`.
    """
    with files.opened(root / path) as file:
        return file.read()
