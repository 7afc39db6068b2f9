"""Runs that were begun and not finished: what each was asked, and whether this is the same again.

``checkpoint/run.json`` of a run folder says what the run is: settings as asked, data, computer,
command and the moment it began. With it, and as long as no process holds the folder, a training
goes on in it. A finished run has no ``checkpoint`` any more. While further trainings follow
(``--folds``, ``--repeat``), the model file is there and ``checkpoint/turns`` too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fieldmark import runs
from fieldmark.config import Settings, from_tables
from fieldmark.data.manifest import SPLITS, Manifest
from fieldmark.errors import FieldmarkError, UsageError
from fieldmark.runs import RunFolder
from fieldmark.training.events import Listener, Noted
from fieldmark.workflow.environment import differences, fingerprint
from fieldmark.workflow.lock import Lock

FOLDER: Final = "checkpoint"
RECORD: Final = f"{FOLDER}/run.json"
TURNS: Final = f"{FOLDER}/turns"
"""There while further trainings follow the model file, or will."""
FORMAT: Final = 1

_ELSEWHERE: Final = {("run", "out")}
"""Settings that say where a run lies; it lies where it was found."""
_CUT_SHORT: Final = re.compile(r"\.fieldmark-[0-9a-f]{16}\.part|\.measured\.fieldmark")
"""Files of a write or a measuring that was cut short."""
_MOVED: Final = _ELSEWHERE | {("data", "folder")}
"""The folder of the pictures may have been moved: its files are compared."""
_LATER: Final = _MOVED | {("train", "epochs"), ("train", "time"), ("run", "ram")}
"""Settings that may be asked otherwise when a run is continued by name, as long as it has no model
file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run is."""

    created: str
    """When it began, ISO 8601."""
    command: str
    settings: dict[str, dict[str, Any]]
    """As asked: ``auto`` where it was."""
    data: dict[str, Any]
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that can go on."""

    folder: RunFolder
    record: Record

    @property
    def settings(self) -> Settings:
        """What it was asked.

        Raises
        ------
        ConfigError
            They are of another version.
        """
        return from_tables(self.record.settings, Settings())


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A training that is about to get its folder."""

    settings: Settings
    name: str
    """Of the run, before its number."""
    threads: int
    command: str
    wanted: Unfinished | None = None
    """The run to go on with; None: one of the same settings, data and computer, if there is one."""
    anyway: bool = False
    """Go on with the wanted run on another computer too."""
    again: Again | None = None
    """The finished run that this one repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A finished run that is to be made once more, so that its file can be compared."""

    name: str
    """Of its folder, and in its file."""
    created: str


@dataclass(frozen=True, slots=True)
class Held:
    """A run folder that this process holds."""

    folder: RunFolder
    record: Record
    lock: Lock
    note: str = ""
    """What to say of it; empty: it is new."""

    def repeating(self) -> None:
        """Let the run stay unfinished beyond its model file: further trainings follow."""
        (self.folder.path / TURNS).touch()

    def finished(self) -> None:
        """Take away what only an unfinished run needs, and let go of it only then."""
        _ended(self.folder)
        self.lock.release()
        _ended(self.folder)  # Windows removes no file that is open


def begin(asked: Asked, manifest: Manifest, listen: Listener) -> Held:
    """Take a run folder: an unfinished one to go on with, or a new one.

    Raises
    ------
    UsageError
        Codes ``run-busy``, ``resume-differs``, ``resume-environment``, all of a wanted run.
    """
    record = Record(
        created=asked.again.created if asked.again else now(),
        command=asked.command,
        settings=dataclasses.asdict(asked.settings),
        data=data_of(manifest),
        environment=fingerprint(asked.threads),
    )
    if asked.wanted is not None:
        return _continued(asked.wanted, record, anyway=asked.anyway)
    out = Path(asked.settings.run.out)
    if asked.again is not None:
        return _repeated(out / asked.again.name, record)
    for kept in _candidates(out, asked.name):
        if _changes(kept.record, record, but=_ELSEWHERE):
            continue
        held = _taken(kept)
        if held is None:
            continue
        elsewhere = differences(kept.record.environment, record.environment)
        if not elsewhere:
            return held
        held.lock.release()
        text = (
            f"{kept.folder.name} is unfinished and not continued, because something differs: "
            f"{'; '.join(elsewhere)}. All the same: fieldmark train --resume "
            f"{kept.folder.name} --resume-anyway"
        )
        listen(Noted(code="resume-environment", text=text))
    return _new(out, asked.name, record)


def unfinished(thing: str, out: Path) -> Unfinished:
    """Return the run that a person means to go on with.

    Parameters
    ----------
    thing : str
        A run's name or folder; a data folder: its newest unfinished run; empty: the newest of all.
    out : Path
        The folder of the runs.

    Raises
    ------
    UsageError
        Code ``nothing-to-resume``.
    """
    for path in (Path(thing), out / thing) if thing else ():
        kept = _read(RunFolder(path.resolve()))
        if kept is not None:
            return kept
    newest = reversed(runs.listed(out))
    every = [kept for run in newest if (kept := _read(run))]
    name = Path(thing).absolute().name
    if thing and Path(thing).exists():
        given = str(Path(thing).absolute())
        own = [kept for kept in every if kept.record.settings["data"]["folder"] == given]
        found = own or list(_candidates(out, name))
    else:
        found = [] if thing else every
    if found:
        return _moved(found[0], thing)
    known = [kept.folder.name for kept in every[:5]]
    raise UsageError(
        f"There is no unfinished run {thing!r}." if thing else "There is no unfinished run.",
        code="nothing-to-resume",
        where=str(out),
        why="A run goes on from its checkpoint folder, which it has until it is finished.",
        hint=f"one of: {', '.join(known)}" if known else "fieldmark train FOLDER begins one",
    )


def _moved(kept: Unfinished, thing: str) -> Unfinished:
    """Let a run read its pictures where they are now: in the folder that it was named by."""
    folder = Path(thing).absolute()
    if not thing or not folder.is_dir():
        return kept
    settings = dict(kept.record.settings)
    settings["data"] = settings["data"] | {"folder": str(folder)}
    return Unfinished(kept.folder, dataclasses.replace(kept.record, settings=settings))


def repeating(run: RunFolder) -> bool:
    """Whether a run has its model file, and not all of its further trainings are done."""
    return run.finished and (run.path / TURNS).is_file()


def _candidates(out: Path, name: str) -> list[Unfinished]:
    """List the unfinished runs of a name, newest first."""
    found = []
    for run in runs.siblings(out, name):
        if kept := _read(run):
            found.append(kept)
        elif run.finished:  # killed between its last two steps
            _ended(run)
    return found


def _ended(run: RunFolder) -> None:
    """Take away what an unfinished run has, first of all what says that it is one."""
    with contextlib.suppress(OSError):
        (run.path / RECORD).unlink(missing_ok=True)
    shutil.rmtree(run.path / FOLDER, ignore_errors=True)


def _continued(kept: Unfinished, record: Record, *, anyway: bool) -> Held:
    whole = kept.folder.finished  # a model file that is there must come out with the same bytes
    changes = _changes(kept.record, record, but=_MOVED if whole else _LATER)
    if changes:
        raise UsageError(
            f"{kept.folder.name} cannot go on, because something else is asked for.",
            code="resume-differs",
            where="; ".join(changes),
            why="What has been trained belongs to the settings and the pictures of its beginning.",
            hint="the same settings and data; or without --resume, which begins a new run",
        )
    elsewhere = differences(kept.record.environment, record.environment)
    if elsewhere and (whole or not anyway):
        hint = f"--resume-anyway goes on all the same: {kept.folder.name} is then not repeatable"
        raise UsageError(
            f"{kept.folder.name} was begun under other conditions.",
            code="resume-environment",
            where="; ".join(elsewhere),
            why="Each of these can change the weights, so the run would not end as it would have.",
            hint="go on where it was begun: its model file is there already" if whole else hint,
        )
    held = _taken(kept)
    if held is None:
        raise UsageError(
            f"Another process is training {kept.folder.name}.",
            code="run-busy",
            where=str(kept.folder.path),
            hint="wait for it, or stop it",
        )
    return held


def _taken(kept: Unfinished) -> Held | None:
    """Take an unfinished run's folder; None: another process has it."""
    lock = Lock(kept.folder.path / FOLDER / "lock")
    if not lock.take():
        return None
    try:
        if _read(kept.folder) is None:  # whoever held it has finished it in the meantime
            lock.release()
            return None
        for path in kept.folder.path.rglob(".*"):
            if _CUT_SHORT.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        runs.name_latest(kept.folder)
    except BaseException:
        lock.release()
        raise
    what = "further trainings not finished" if kept.folder.finished else "not finished"
    note = f"Begun at {kept.record.created} and {what}: continued."
    return Held(kept.folder, kept.record, lock, note)


def _new(out: Path, name: str, record: Record) -> Held:
    """Make a run folder that is held, and says what it is, from the moment it has its name."""
    locks: list[Lock] = []
    made = runs.create(out, name, lambda folder: locks.append(_filled(folder, record)))
    return Held(made, record, locks[0])


def _repeated(path: Path, record: Record) -> Held:
    """Make a run folder of exactly this name; it is not the latest run, but an old one again.

    Raises
    ------
    UsageError
        Code ``exists``.
    """
    try:
        path.mkdir(parents=True)
    except FileExistsError as error:
        raise UsageError(
            f"{path.name} exists already.",
            code="exists",
            where=str(path),
            why="Nothing is overwritten.",
            hint="give another folder: -o FOLDER",
        ) from error
    folder = RunFolder(path)
    return Held(folder, record, _filled(folder, record))


def _filled(folder: RunFolder, record: Record) -> Lock:
    """Write what a run is into its folder, and hold it."""
    folder.write_json(RECORD, {"format": FORMAT, **dataclasses.asdict(record)})
    lock = Lock(folder.path / FOLDER / "lock")
    lock.take()
    return lock


def _read(run: RunFolder) -> Unfinished | None:
    """Read what a run is; None: it is finished, or nothing that could go on."""
    if run.finished and not repeating(run):
        return None
    with contextlib.suppress(
        OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError
    ):
        facts = json.loads((run.path / RECORD).read_bytes())
        if facts.pop("format") == FORMAT:
            kept = Unfinished(run, Record(**facts))
            with contextlib.suppress(FieldmarkError):
                return kept if kept.settings else None
    return None


def _changes(before: Record, now: Record, *, but: set[tuple[str, str]]) -> list[str]:
    """Name the settings that differ, and whether the data does."""
    found = [
        f"[{table}] {name} was {value!r}, now {now.settings[table][name]!r}"
        for table, values in before.settings.items()
        for name, value in values.items()
        if (table, name) not in but and now.settings.get(table, {}).get(name) != value
    ]
    if before.data != now.data:
        counts = [f"{each['examples']:,} pictures" for each in (before.data, now.data)]
        same = "other content, labels or parts" if counts[0] == counts[1] else ""
        found.append(f"the data: {counts[0]}, now {same or counts[1]}")
    return found


def data_of(manifest: Manifest) -> dict[str, Any]:
    """Say what the data is: every file with its content, label, part and what it is kept with.

    Returns
    -------
    dict
        ``sha256`` of all that, and how many pictures there are: ``examples``, ``left_out``,
        ``train``, ``valid``, ``test``.
    """
    lines = sorted(
        "\t".join((each.path, each.sha256, each.label, each.split or "", each.group, each.cluster))
        for each in manifest.examples
    )
    lines += sorted(f"{each.path}\t{each.code}" for each in manifest.left_out)
    whole = "\n".join((*manifest.classes, *lines)).encode("utf-8", "surrogateescape")
    parts: dict[str, int] = {part: len(manifest.part(part)) for part in SPLITS}
    examples = {"examples": len(manifest.examples), "left_out": len(manifest.left_out)}
    return {"sha256": hashlib.sha256(whole).hexdigest(), **examples, **parts}


def now() -> str:
    """Return the time, or ``SOURCE_DATE_EPOCH``, by which builds are made repeatable."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(given), UTC) if given.isdecimal() else datetime.now(UTC)
    return moment.isoformat(timespec="seconds")
