"""The run folder: numbered, never overwritten, every file written whole or not at all.

``runs/<name>-<n>/`` holds one training; ``runs/latest.txt`` names the newest. A run is *finished*
once it holds its bundle. Nothing here knows what the files mean.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fieldmark.atomic import PREFIX, SUFFIX, give_name, storing, unnamed, write_whole
from fieldmark.bundle import refuse_foreign
from fieldmark.errors import UsageError

LATEST: Final = "latest"
_KIND: Final = "run-"
"""In the names of what is written under the lock; other writers of the folder do not hold it."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder."""

    path: Path

    @property
    def name(self) -> str:
        """``flowers-1``."""
        return self.path.name

    @property
    def bundle(self) -> Path:
        """Where the model file is, or will be."""
        return self.path / f"{self.name}.fieldmark"

    @property
    def finished(self) -> bool:
        """Whether the model file is there."""
        return self.bundle.is_file()

    def write(self, name: str, content: bytes | str) -> Path:
        """Write one file whole; parents are made."""
        path = self.path / name
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        return path

    def write_json(self, name: str, value: Any) -> Path:
        """Write a value as JSON, two spaces, keys in the order given.

        Letters beyond ASCII come as escapes: a file's name may be no text, or a terminal's command.
        """
        return self.write(name, json.dumps(value, indent=2) + "\n")


def create(parent: Path, name: str, fill: Callable[[RunFolder], None] | None = None) -> RunFolder:
    """Make the next numbered folder and name it the latest.

    Parameters
    ----------
    parent : Path
        Usually ``runs``; made if missing.
    name : str
        Usually the data folder's name; anything but letters, digits, ``.``, ``_`` and ``-``
        becomes ``-``, and what is beyond 80 bytes is cut off.
    fill : callable, optional
        Called with the folder before it has its name, to write what it must never be without.

    Returns
    -------
    RunFolder
        Freshly made; two processes never get the same one.

    Raises
    ------
    StorageError
        What was made so far is gone again; or the folder is there, and not named the latest.
    """
    plain = _plain(name)
    with storing(parent):
        parent.mkdir(parents=True, exist_ok=True)
    room = parent / unnamed(_KIND) if fill is not None else None
    with _writing(parent):
        number = max((each for each, _ in _numbered(parent, plain)), default=0) + 1
        try:
            if room is not None and fill is not None:
                with storing(parent):
                    room.mkdir()
                fill(RunFolder(room))
            while not _made(parent / f"{plain}-{number}", room):
                number += 1
        finally:
            if room is not None:
                shutil.rmtree(room, ignore_errors=True)
    made = RunFolder(parent / f"{plain}-{number}")
    name_latest(made)
    return made


@contextlib.contextmanager
def _writing(parent: Path) -> Iterator[None]:
    """Write into the folder of the runs, when what killed processes left behind there is gone.

    Whoever writes shares a lock on the folder itself, which ends with the process, however it ends;
    who can have it alone knows that every run and note without a name is of the dead.
    """
    if sys.platform == "win32":  # a folder cannot be opened there
        yield
        return
    import fcntl

    folder = None
    with contextlib.suppress(OSError):
        folder = os.open(parent, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in parent.glob(f"{PREFIX}{_KIND}*{SUFFIX}"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    try:
        if folder is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_SH)
        yield
    finally:
        if folder is not None:
            os.close(folder)


def _made(path: Path, room: Path | None) -> bool:
    """Make an empty folder, or give a filled one its name; False: the name is taken."""
    try:
        if room is None:
            with storing(path):
                path.mkdir()
        elif path.exists():  # an empty folder would be replaced
            return False
        else:
            give_name(room, path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def name_latest(run: RunFolder) -> None:
    """Let ``latest`` mean this run.

    Raises
    ------
    StorageError
        It means what it meant.
    """
    parent = run.path.parent
    with _writing(parent):
        write_whole(parent / f"{LATEST}.txt", run.name + "\n", kind=_KIND)


def siblings(parent: Path, name: str) -> list[RunFolder]:
    """List the runs of a name, without their number, by number: the newest first."""
    if not parent.is_dir():
        return []
    found = sorted(_numbered(parent, _plain(name)), reverse=True)
    return [RunFolder(path) for _, path in found if path.is_dir()]


def named(name: str) -> str:
    """Return the name of a run's folder as its model file has it; no other name becomes a path.

    Examples
    --------
    >>> named("flowers-3"), named("../../etc")
    ('flowers-3', 'etc-1')
    """
    plain = _plain(name)
    return plain if re.search(r"-[0-9]+$", plain) else f"{plain}-1"


def _plain(name: str) -> str:
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    # Bytes, not letters: a file system takes 255 of them, and files in the run repeat its name.
    return plain.encode("utf-8")[:80].decode("utf-8", "ignore")


def _numbered(parent: Path, plain: str) -> list[tuple[int, Path]]:
    pattern = re.compile(re.escape(plain) + r"-([0-9]+)")
    matches = ((pattern.fullmatch(each.name), each) for each in parent.iterdir())
    return [(int(match.group(1)), each) for match, each in matches if match]


def find(thing: str | Path, parent: Path) -> Path:
    """Return the bundle that ``thing`` means: a file, a run folder, a run's name, or ``latest``.

    Raises
    ------
    UsageError
        Code ``no-run``.
    BundleError
        Code ``model-foreign``: it is a folder that another tool saved a model in.
    """
    text = str(thing)
    if text == LATEST:
        text = _latest(parent)
    for path in (Path(text), parent / text):
        if path.is_dir() and RunFolder(path.resolve()).finished:
            return RunFolder(path.resolve()).bundle
        if path.is_file():
            return path
    refuse_foreign(Path(text))  # a folder that is another tool's model
    known = [run.name for run in listed(parent) if run.finished]
    raise UsageError(
        f"There is no finished run and no model file {text!r}.",
        code="no-run",
        where=f"this folder and {parent}",
        hint=f"one of: {', '.join(known[-5:])}" if known else "fieldmark train FOLDER makes one",
    )


def _latest(parent: Path) -> str:
    try:
        name = (parent / f"{LATEST}.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return LATEST
    if RunFolder(parent / name).finished:
        return name
    finished = [run for run in listed(parent) if run.finished]
    return finished[-1].name if finished else name


def listed(parent: Path) -> list[RunFolder]:
    """List the run folders of ``parent``, oldest first."""
    if not parent.is_dir():
        return []
    found = [
        RunFolder(path)
        for path in parent.iterdir()
        if path.is_dir() and re.search(r"-[0-9]+$", path.name)
    ]
    return sorted(found, key=lambda run: (run.path.stat().st_mtime_ns, run.name))
