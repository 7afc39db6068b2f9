"""The counter of looks: how often a run's test part has been measured, kept beside it.

Touches the disk. ``looks.jsonl`` of the run folder holds one JSON object a line: time, command and
model id. Training writes the first. Lines are only ever added, each in one write, so that two looks
at the same time are both counted and a kill leaves at most one line without its end.

A test part answers honestly once. Whoever looks, changes something and looks again chooses by it.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fieldmark.workflow.lock import wait_for

NAME: Final = "looks.jsonl"


@dataclass(frozen=True, slots=True)
class Looks:
    """How often a test part has been looked at.

    Examples
    --------
    >>> print(Looks(3))
    This test part has been looked at 3 times: choosing by it makes the figures too good.
    """

    n: int
    """This time included; at least 1."""
    problem: str = ""
    """Why this look could not be written down; empty: it was."""

    @property
    def text(self) -> str:
        """The same as a sentence; empty at the first look."""
        if self.n < 2:
            return ""
        return (
            f"This test part has been looked at {self.n:,} times: choosing by it makes the figures "
            "too good."
        )

    def __str__(self) -> str:
        return self.text


def line(command: str, model_id: str, time: str = "") -> str:
    """Return one look as it is written down.

    Parameters
    ----------
    command : str
        What repeats it.
    model_id : str
    time : str
        ISO 8601; empty: now.

    Examples
    --------
    >>> line("fieldmark evaluate pets-1", "sha256:ab", "2026-01-02T03:04:05+00:00")[:38]
    '{"time": "2026-01-02T03:04:05+00:00", '
    """
    time = time or datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"time": time, "command": command, "model": model_id}) + "\n"


def without(folder: Path, model_id: str) -> str:
    """Return the looks of a run folder so far, but those by this model.

    A training that was killed after it had measured measures again when it goes on. That is the
    same look by the same model, and counted once; one that then trained longer is another.
    """
    path = folder / NAME
    if path.is_symlink() or not path.is_file():
        return ""
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    return "".join(f"{each}\n" for each in lines if each.strip() and model_id not in each)


def look(folder: Path, command: str, model_id: str) -> Looks:
    """Write down one more look at the test part of a run folder, and count them all.

    A folder without the list is of an earlier version: its training is then counted as the first.

    Parameters
    ----------
    folder : Path
        Of the run.
    command, model_id : str
        As for :func:`line`.

    Returns
    -------
    Looks
        A folder that cannot be written to is no error; the look is then counted this once only.
    """
    path = folder / NAME
    try:
        _begin(path)
        _append(path, line(command, model_id))
    except OSError as error:
        return Looks(max(1, _count(path)) + 1, error.strerror or str(error))
    return Looks(_count(path))


def _begin(path: Path) -> None:
    try:
        # Appending here too: another look may come between making the file and its first line.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return
    try:
        wait_for(descriptor)
        os.write(descriptor, line("fieldmark train", "", "unknown").encode("ascii"))
    finally:
        os.close(descriptor)


def _append(path: Path, text: str) -> None:
    # A link is not followed: a run folder may come from elsewhere, and nothing beside it is ours.
    flags = os.O_RDWR | os.O_APPEND
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{NAME} is no file")
        wait_for(descriptor)  # or another look's line is seen half written
        if os.lseek(descriptor, 0, os.SEEK_END):
            os.lseek(descriptor, -1, os.SEEK_END)
            text = text if os.read(descriptor, 1) == b"\n" else "\n" + text
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def _count(path: Path) -> int:
    if path.is_symlink() or not path.is_file():
        return 0
    try:
        with path.open("rb") as file:
            return sum(1 for each in file if each.strip())
    except OSError:
        return 0
