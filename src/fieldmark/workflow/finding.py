"""Which files are meant by what a person typed: files, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from fieldmark.data import files
from fieldmark.modalities import MODALITIES


def pictures(given: Iterable[str | Path], *, recursive: bool = True) -> Iterator[Path]:
    """Unfold folders and globs, in a stable order.

    Parameters
    ----------
    given : iterable of str or Path
        A folder stands for the pictures in it, by suffix, without hidden and system files.
    recursive : bool, default=True
        Look into the folders of a folder too.

    Yields
    ------
    Path
        What does not exist, or is no possible name, is passed on: whoever reads it says why.
    """
    for each in given:
        path = Path(each)
        if _is_folder(path):
            yield from _inside(path, recursive)
        elif not _exists(path) and any(mark in str(each) for mark in "*?["):
            found = sorted(glob.glob(str(each), recursive=True))  # noqa: PTH207 - Path.glob refuses a**.png
            yield from [Path(name) for name in found if not _is_folder(Path(name))] or [path]
        else:
            yield path


def _inside(folder: Path, recursive: bool) -> Iterator[Path]:
    suffixes = MODALITIES["image"].suffixes
    tree = files.walk(folder)
    for name in tree.files:
        if PurePosixPath(name).suffix.lower() in suffixes and (recursive or "/" not in name):
            yield folder / name
    # What cannot be listed may hold pictures: it is passed on, so that it is named.
    closed = (each.path for each in tree.left_out if each.code == "unreadable-folder")
    yield from (folder / path for path in closed if recursive or not path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long, or not a name at all
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
