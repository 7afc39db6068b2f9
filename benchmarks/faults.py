"""What is lost when a call that writes fails, whichever it is? Nothing.

``fieldmark train`` is run once with every call counted that makes, writes, syncs, renames or
removes something in its runs folder or its cache. Then it is run again for each of these calls and
each way to fail, in a folder that holds an earlier run; looked at; and run once more by the same
command without a fault. Its model file is compared with that of a run that nothing disturbed.

The calls are struck by ``tests/faults/shim.c``; a run starts as a fork of a process that has
imported everything, which makes thousands of them possible.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import queue
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.options import REPOSITORY, Options, Record, Result
from benchmarks.summaries import table

SHIM: Final = REPOSITORY / "tests" / "faults" / "shim.c"
SIDE: Final = REPOSITORY / "benchmarks" / "sides" / "faults.py"
NETS: Final[dict[str, tuple[str, ...]]] = {
    "solved head": ("--net", "features", "--size", "64"),
    "gradients": ("--net", "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> GAP -> FC", "--epochs", "2"),
}
N_EACH: Final = 12
EVERY: Final = 5
"""From so many repeats on, every call is struck; below, one of :data:`SPARSE` / repeats."""
SPARSE: Final = 40
SERVERS: Final = 2
DEFINED: Final = (0, 3, -9)
"""Exit statuses that are allowed: finished, an error in four parts, the kill itself."""
_SAID: Final = re.compile(r"^fieldmark: .*\[([a-z-]+)\]$", re.MULTILINE)
_NOTED: Final = re.compile(r'"code": "([a-z]+-not-[a-z]+)"')


@dataclass(frozen=True)
class Mode:
    """One way to fail."""

    name: str
    letter: str
    errno: int = 0
    kinds: tuple[str, ...] = ()
    """Of calls; empty: all."""


MODES: Final = (
    Mode("disk full once", "o", errno.ENOSPC),
    Mode("disk full from then on", "f", errno.ENOSPC),
    Mode("disk fails once", "o", errno.EIO, ("fsync", "rename", "remove", "truncate")),
    Mode("half a write, then full", "t", errno.ENOSPC, ("write",)),
    Mode("kill -9", "k"),
)


class Unable(Exception):
    """No fault can be made on this machine."""


def run(options: Options) -> Result:
    step = 1 if options.repeats >= EVERY else SPARSE // options.repeats
    records: list[Record] = []
    counted: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="fieldmark-faults-") as name:
        room = Path(name)
        try:
            shim = compiled(room)
        except Unable as why:
            return Result([f"skipped: {why}"])
        data = _draw(room / "blocks", options.pictures or N_EACH)
        for net, given in NETS.items():
            with Bench(room / net.replace(" ", "-"), data, given, shim) as bench:
                counted[net] = len(bench.calls)
                for record in bench.all(step):
                    records.append({"net": net, **record})
                    if record["wrong"]:
                        print(f"  {net}: {record}", file=sys.stderr, flush=True)
    return Result(_lines(records, counted), {"calls": counted, "trials": records})


def compiled(folder: Path) -> Path:
    """Make the library that strikes.

    Raises
    ------
    Unable
        It is not Linux, or there is no compiler.
    """
    if sys.platform != "linux":
        raise Unable("faults are injected on Linux only")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unable("there is no C compiler to make tests/faults/shim.c with")
    library = folder / "shim.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True, timeout=60
    )
    return library


class Server:
    """A process that has imported everything and becomes a run when it is asked."""

    def __init__(self, shim: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SIDE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY / "src"),
                "LD_PRELOAD": str(shim),
                "SOURCE_DATE_EPOCH": "1700000000",
                "OPENBLAS_NUM_THREADS": "1",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
        )

    def ask(self, **asked: Any) -> int:
        """Return the exit status; negative: the signal."""
        if self._process.stdin and self._process.stdout:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())
        raise RuntimeError("the server has no pipes")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Bench:
    """One command: what it calls undisturbed, and what becomes of it when each call fails."""

    def __init__(self, room: Path, data: Path, given: tuple[str, ...], shim: Path) -> None:
        self.room, self._data = room, data
        room.mkdir()
        settings = room / "each_step.toml"
        settings.write_text("[run]\ncheckpoint_s = 0\n", encoding="utf-8")
        self._words = ["train", str(data), *given, "--config", str(settings)]
        self._words += ["--threads", "1", "--json"]
        self._untouched = told(data)
        server = Server(shim)
        try:
            self._begin(server)
        finally:
            server.close()
        self._seen: dict[str, tuple[int, str]] = {}
        modules = (room / "modules").read_text(encoding="utf-8").split()
        self._servers: queue.SimpleQueue[Server] = queue.SimpleQueue()
        self._open = [Server(shim) for _ in range(SERVERS)]
        for each in self._open:
            self._servers.put(each)
        self._modules = modules

    def _begin(self, server: Server) -> None:
        """Make an earlier run, then the twin, counting its calls."""
        first, twin = self.room / "first", self.room / "twin"
        first.mkdir()
        small = [*self._words[:2], *NETS["gradients"], "--threads", "1", "--seed", "1"]
        if server.ask(words=small, room=str(first)):
            raise RuntimeError((first / "err").read_text(encoding="utf-8", errors="replace"))
        self._earlier = told(first / "runs" / "blocks-1")
        self._copied(twin)
        self.calls = self._struck(server, twin, loaded=str(self.room / "modules"))[1]
        self._model = model(twin)
        if not self._model:
            raise RuntimeError((twin / "err").read_text(encoding="utf-8", errors="replace"))

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *given: object) -> None:
        for each in self._open:
            each.close()

    def all(self, step: int = 1) -> Iterator[Record]:
        """Strike every ``step``-th call in every way that concerns its kind."""
        wanted = [
            (at, mode)
            for mode in MODES
            for at, (kind, _) in enumerate(self.calls, start=1)
            if not mode.kinds or kind in mode.kinds
        ]
        with ThreadPoolExecutor(SERVERS) as pool:
            yield from pool.map(lambda each: self.struck(*each), wanted[::step])

    def struck(self, at: int, mode: Mode) -> Record:
        """Strike one call, look at what is left, and give the same command again."""
        server = self._servers.get()
        room = self.room / f"{mode.letter}-{mode.errno}-{at}"
        try:
            return self._trial(server, room, at, mode)
        finally:
            self._servers.put(server)
            shutil.rmtree(room, ignore_errors=True)

    def _trial(self, server: Server, room: Path, at: int, mode: Mode) -> Record:
        self._copied(room)
        status, calls = self._struck(server, room, at, mode)
        kind, path = calls[at - 1] if len(calls) >= at else ("none", "")
        said = (room / "err").read_text(encoding="utf-8", errors="replace")
        heard = (room / "out").read_text(encoding="utf-8", errors="replace")
        codes = _SAID.findall(said)
        finished, wrong = model(room), []
        if status not in DEFINED or "Traceback" in said or (status == 3 and not codes):
            wrong.append(f"status {status}: {said[-300:]}")
        if finished not in (b"", self._model):
            wrong.append("another model file")
        if status == 0 and not finished:
            wrong.append("no model file, and status 0")
        state = None if finished else left(room)
        if state is not None and state not in self._seen:
            self._seen[state] = at, mode.name
            again = server.ask(words=self._words, room=str(room))
            if model(room) != self._model:
                wrong.append(f"again: status {again}, another model file or none")
            if list((room / "runs").rglob(".*")):
                wrong.append("something without a name is left in the runs folder")
        if told(room / "runs" / "blocks-1") != self._earlier:
            wrong.append("the earlier run has changed")
        if told(self._data) != self._untouched:
            wrong.append("the data has changed")
        return {
            "mode": mode.name,
            "at": at,
            "kind": kind,
            "path": re.sub(r"[0-9a-f]{16,}", "#", path.removeprefix(str(room))),
            "status": status,
            "code": codes[-1] if codes else "",
            "notes": sorted(set(_NOTED.findall(heard))),
            "finished": bool(finished),
            "again": state and self._seen[state] == (at, mode.name),
            "state": state,
            "wrong": wrong,
        }

    def _copied(self, room: Path) -> None:
        """Make a room that holds an earlier run and no cache."""
        room.mkdir()
        shutil.copytree(self.room / "first" / "runs", room / "runs")

    def _struck(
        self, server: Server, room: Path, at: int = 0, mode: Mode | None = None, **more: str
    ) -> tuple[int, list[tuple[str, str]]]:
        """Return the exit status, and kind and path of each call."""
        mode = mode or Mode("", "-")
        journal = room.with_suffix(".calls")
        plan = [at, mode.letter, mode.errno, str(journal), f"{room}/runs:{room}/cache"]
        asked = {"words": self._words, "room": str(room), "plan": plan, **more}
        if hasattr(self, "_modules"):
            asked["modules"] = self._modules
        status = server.ask(**asked)
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
        journal.unlink()
        calls = [line.partition(" ") for line in lines]
        return status, [(kind, path) for kind, _, path in calls]


def model(room: Path) -> bytes:
    """Return the model file of the second run; empty: it is not there."""
    with contextlib.suppress(OSError):
        return (room / "runs" / "blocks-2" / "blocks-2.fieldmark").read_bytes()
    return b""


def left(room: Path) -> str:
    """Return a hash of what a run has left: names and sizes, for times differ in every run.

    From states that are the same in this, the same command is given once.
    """
    found = []
    for top in ("runs", "cache"):
        for path in sorted((room / top).rglob("*")):
            name = re.sub(r"[0-9a-f]{16,}", "#", str(path.relative_to(room)))
            found.append(f"{name} {path.stat().st_size if path.is_file() else '/'}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()[:12]


def told(folder: Path) -> dict[str, str]:
    """Return the hash of every file of a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _lines(records: list[Record], counted: dict[str, int]) -> list[str]:
    rows = []
    for mode in MODES:
        for kind in dict.fromkeys(each["kind"] for each in records):
            its = [each for each in records if (each["mode"], each["kind"]) == (mode.name, kind)]
            if its:
                rows.append([mode.name, kind, *_counts(its)])
    rows.append(["all", "", *_counts(records)])
    head = ["fault", "call", "n", "finished", "killed", "stopped with", "states resumed", "lost"]
    calls = ", ".join(f"{n} of {net}" for net, n in counted.items())
    n_right = sum(not each["wrong"] for each in records)
    return [
        *table(head, rows),
        f"calls: {calls}; {n_right} of {len(records)} faults lost nothing",
    ]


def _counts(its: list[Record]) -> list[str]:
    wrong = [each for each in its if each["wrong"]]
    codes = Counter(each["code"] for each in its if each["status"] == 3)
    states = {(each["net"], each["state"]) for each in its if each["state"]}
    bad = {(each["net"], each["state"]) for each in wrong if each["again"]}
    return [
        str(len(its)),
        str(sum(each["finished"] for each in its)),
        str(sum(each["status"] == -9 for each in its)),
        ", ".join(f"{n} {code}" for code, n in codes.most_common()) or "-",
        f"{len(states - bad)} of {len(states)}",
        str(len(wrong)),
    ]


def _draw(folder: Path, n: int) -> Path:
    """Write bitmaps of coarse noise, brighter in one half or the other: two classes."""
    noise, side, cell = random.Random(0), 48, 6
    head = struct.pack("<2sIHHI", b"BM", 54 + 3 * side * side, 0, 0, 54)
    head += struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 3 * side * side, 0, 0, 0, 0)
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for number in range(n):
            rows = bytearray()
            for _ in range(0, side, cell):
                row = bytearray()
                for x in range(0, side, cell):
                    bright = 60 * ((x < side // 2) == (label == "left"))
                    row += bytes(noise.randrange(190) + bright for _ in range(3)) * cell
                rows += row * cell
            (folder / label / f"{number}.bmp").write_bytes(head + rows)
    return folder
