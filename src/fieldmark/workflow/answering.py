"""Answer many files into one file, and go on where a killed process stopped.

Files are answered in blocks: the first 64 of the list, the next 64, and so on. A block that is
answered is a record of a journal beside the file; the same command again takes those blocks whose
files still hold the same bytes, answers the others, and only then writes the file, whole. Blocks
begin at the same places whatever was done before, so an engine is given the same batches and the
file comes out with the same bytes. Why so: ``docs/decisions/018-kept-answers.md``.

Memory holds the names of the files and two blocks.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from fieldmark.atomic import storing, write_whole
from fieldmark.data.split_file import check_new
from fieldmark.errors import DataError, Terminated, UnreadableExample, UsageError
from fieldmark.inference.files import read_file
from fieldmark.inference.predictor import Prediction, Predictor, Unread
from fieldmark.pool import map_ordered
from fieldmark.training.events import Listener, Noted, Progress, silent
from fieldmark.workflow.environment import differences, fingerprint
from fieldmark.workflow.finding import pictures
from fieldmark.workflow.interrupt import Interrupt
from fieldmark.workflow.journal import Journal
from fieldmark.workflow.lock import Lock
from fieldmark.workflow.machine import cores

BLOCK: Final = 64
"""Files that are answered and kept together: what a kill costs is two of these at most."""
SUFFIX: Final = ".fieldmark-part"
_ANSWERS: Final = "answers"
_LOCK: Final = "lock"
FORMAT: Final = 1

Answer = Prediction | Unread


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """How answers become lines of a file."""

    predictor: Predictor
    line: Callable[[Answer], str]
    """Without its end; must not depend on anything but the answer and ``options``."""
    kind: Callable[[Answer], str]
    """Under which an answer is counted."""
    head: str = ""
    """The first line; empty: there is none."""
    sets: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """Whatever the lines depend on beside the model."""


def answered(
    given: Sequence[str | Path],
    out: Path,
    how: Answering,
    *,
    recursive: bool = True,
    force: bool = False,
    listen: Listener = silent,
) -> Counter[str]:
    """Answer files, folders and globs into a file that is written whole at the end.

    Parameters
    ----------
    given : sequence of str or Path
        As :func:`fieldmark.workflow.finding.pictures` unfolds them.
    out : Path
        Does not exist, or ``force``; until it is there, ``<out>.fieldmark-part`` beside it holds
        what has been answered.
    how : Answering
    recursive : bool, default=True
        Look into the folders of a folder too.
    force : bool, default=False
        Replace a file that is there.
    listen : callable, optional
        Gets :class:`~fieldmark.training.events.Progress` and
        :class:`~fieldmark.training.events.Noted`.

    Returns
    -------
    Counter of str
        How many answers there are of each kind.

    Raises
    ------
    UsageError
        ``file-exists``: the file, or something else under the name of that folder; ``no-folder``;
        ``out-busy``: another process is writing it.
    DataError
        ``no-pictures``.
    StorageError
        ``disk-full``, ``not-writable``, ``system``; what was answered before is kept.
    Terminated
        ``terminated``: SIGTERM; what has been answered is kept.
    KeyboardInterrupt
        The same after Ctrl-C.
    """
    files = [str(path) for path in pictures(given, recursive=recursive)]
    if not files:
        raise DataError(
            "There is no picture in what was given.",
            code="no-pictures",
            where=", ".join(map(str, given[:5])),
            hint="name files, or a folder that holds pictures",
        )
    with _held(out, force=force) as room, Journal(room / _ANSWERS) as journal:
        work = _Work(files, how, journal, listen)
        work.run()
        write_whole(out, work.text())
        return work.count


@contextmanager
def _held(out: Path, *, force: bool) -> Iterator[Path]:
    """Have the folder beside a file alone; it goes when the file is written."""
    room = out.with_name(out.name + SUFFIX)
    check_new(out, force=force, why="Nothing is overwritten unasked.")
    _make(room)
    lock = Lock(room / _LOCK)
    if not lock.take():
        raise UsageError(
            f"Another process is writing {out.name}.",
            code="out-busy",
            where=str(room),
            hint="wait for it, stop it, or choose another name with -o",
        )
    try:
        check_new(out, force=force, why="Nothing is overwritten unasked.")  # it may have come now
        yield room
        # Still held: whoever comes now makes a folder of their own.
        _clear(room)
    finally:
        lock.release()
    if os.name == "nt":  # an open file cannot be taken away there
        _clear(room)


def _make(room: Path) -> None:
    """Make the folder, or take the one that an earlier process of this user left."""
    with storing(room):
        try:
            room.mkdir(mode=0o700)
            return
        except FileExistsError:
            found = room.lstat()
    theirs = hasattr(os, "geteuid") and found.st_uid != os.geteuid()
    if theirs or not stat.S_ISDIR(found.st_mode):
        raise UsageError(
            f"{room.name} is a link, a file or another user's folder.",
            code="file-exists",
            where=str(room),
            why="Answers are kept in a folder of this name until all are there.",
            hint="move it away, or choose another name with -o",
        )


def _clear(room: Path) -> None:
    """Remove what was kept, and the folder unless somebody put something else there."""
    with suppress(OSError):
        for name in (_ANSWERS, _LOCK):
            (room / name).unlink(missing_ok=True)
        room.rmdir()


class _Work:
    def __init__(
        self, files: list[str], how: Answering, journal: Journal, listen: Listener
    ) -> None:
        self.files = files
        self.how = how
        self.journal = journal
        self.listen = listen
        self.count: Counter[str] = Counter()
        self.places: dict[int, int] = {}
        """Block -> where its record is."""

    def run(self) -> None:
        """Answer what is not answered yet."""
        with Interrupt(self._stopping, keeps=True) as stop:
            self._take_kept(stop)
            before = self._n_done()
            if before:
                text = f"{before:,} of {len(self.files):,} files were answered before: gone on."
                self.listen(Noted(code="continued", text=text))
            todo = [at for at in range(self._n_blocks) if at not in self.places]
            names = (name for at in todo for name in self._block(at))
            answers = self.how.predictor.predict_files(
                names, threads=cores(), batch=BLOCK, sets=self.how.sets
            )
            with closing(answers):
                for at in todo:
                    self._check(stop)
                    some = list(islice(answers, len(self._block(at))))
                    self.places[at] = self.journal.append(self._record(at, some))
                    self._tell("answers", self._n_done())

    def text(self) -> Iterator[bytes]:
        """Yield the file in pieces, and count what is in it."""
        if self.how.head:
            yield _bytes(self.how.head)
        for at in range(self._n_blocks):
            record = self.journal.read(self.places[at])
            self.count.update(record["count"])
            yield b"".join(map(_bytes, record["lines"]))

    @property
    def _n_blocks(self) -> int:
        return -(-len(self.files) // BLOCK)

    def _block(self, at: int) -> list[str]:
        return self.files[at * BLOCK : (at + 1) * BLOCK]

    def _n_done(self) -> int:
        return sum(len(self._block(at)) for at in self.places)

    def _record(self, at: int, answers: Sequence[Answer]) -> dict[str, Any]:
        return {
            "at": at,
            "files": self._block(at),
            "marks": [each.sha256 or getattr(each, "code", "") for each in answers],
            "lines": [self.how.line(each) for each in answers],
            "count": Counter(self.how.kind(each) for each in answers),
        }

    def _take_kept(self, stop: Interrupt) -> None:
        """Find the blocks that need no answer again: their files hold the bytes they held."""
        mine = self._conditions()
        records = self.journal.records()
        _, theirs = next(records, (0, None))
        if theirs != mine:
            if theirs is not None:
                why = "; ".join(_different(theirs, mine))
                text = f"What was answered before is of {why}: everything is answered anew."
                self.listen(Noted(code="begun-anew", text=text))
            self.journal.cut()
            self.journal.append(mine)
            return
        seen = 0
        for place, record in records:
            self._check(stop)
            block = self._block(record["at"])
            if record["files"] == block and record["marks"] == _marks(block):
                self.places[record["at"]] = place
            seen += len(record["files"])
            self._tell("hash", min(seen, len(self.files)))

    def _conditions(self) -> dict[str, Any]:
        """Say what the bytes of the lines depend on beside the files."""
        predictor = self.how.predictor
        return {
            "format": FORMAT,
            "model": predictor.model_id,
            "precision": predictor.precision,
            "engine": predictor.runtime.name,
            "options": dict(self.how.options),
            "computer": fingerprint(cores()),
        }

    def _check(self, stop: Interrupt) -> None:
        """End where that was asked for; what is answered is in the journal."""
        kept = f"{self._n_done():,} of {len(self.files):,} files are answered and kept"
        if stop.terminated:
            raise Terminated(
                f"Stopped by SIGTERM: {kept}.",
                code="terminated",
                why="The system asked the process to end.",
                hint="the same command again goes on",
            )
        if stop.requested:
            self.listen(Noted(code="stopping", text=f"{kept}; the same command again goes on."))
            raise KeyboardInterrupt

    def _stopping(self) -> None:
        text = "Ctrl-C: the files under way are finished, then it stops. Again: quit."
        self.listen(Noted(code="stopping", text=text))

    def _tell(self, stage: str, done: int) -> None:
        self.listen(Progress(stage=stage, done=done, total=len(self.files)))


def _different(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> list[str]:
    """Say in words what an earlier process had other than this one."""
    names = [name for name in mine if theirs.get(name) != mine[name]]
    if names == ["computer"]:
        return differences(theirs["computer"], mine["computer"])
    words = {"options": "other options", "format": "another version", "engine": "another engine"}
    return [words.get(name, f"another {name}") for name in names]


def _marks(files: Sequence[str]) -> list[str]:
    """Return the hash of each file's bytes, or the reason why there are none."""
    n = cores()
    return list(map_ordered(_mark, files, threads=n, ahead=2 * n))


def _mark(file: str) -> str:
    try:
        return hashlib.sha256(read_file(file)).hexdigest()
    except UnreadableExample as error:
        return error.code


def _bytes(line: str) -> bytes:
    """Write a line as the screen would: what is no text in a name becomes an escape."""
    return line.encode("utf-8", "backslashreplace") + b"\n"
