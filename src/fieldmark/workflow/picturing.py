"""Thumbnails of files on disk, for the pages. Reads only; a file that cannot be read says why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fieldmark.data import files
from fieldmark.data.pool import map_ordered
from fieldmark.errors import UnreadableExample
from fieldmark.evaluation.thumbnails import Picture
from fieldmark.modalities.encode import encode_jpeg
from fieldmark.modalities.thumbnail import SIDE, thumbnail
from fieldmark.workflow.dataset import cores


def pictured(
    root: Path, wanted: Iterable[Picture], *, side: int = SIDE, quality: int = 80
) -> Iterator[tuple[Picture, bytes]]:
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
    bytes
        The file; empty where it could not be read.
    """

    def one(given: Picture) -> tuple[Picture, bytes]:
        thumb, note, data = b"", given.note, b""
        try:
            with files.opened(root / given.path) as file:
                data = file.read()
            thumb = encode_jpeg(thumbnail(data, side), quality)
        except UnreadableExample as error:
            note, data = f"{error.what} [{error.code}]", b""
        made = Picture(path=given.path, label=given.label, thumbnail=thumb, note=note)
        return made, data

    return map_ordered(one, list(wanted), threads=cores(), ahead=4 * cores())
