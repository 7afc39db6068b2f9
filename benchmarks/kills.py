"""What is lost when a training is killed at random moments, again and again? Nothing.

Each run is started by the real command, stopped at a random moment, looked at from outside, killed
with SIGKILL and started again by the same command, until it has been killed so many times; then it
may finish. Its model file is compared with that of a twin that nobody disturbed, byte for byte.

A fifth of the moments are drawn from the clock; the others aim at what takes little of the time: a
random while after something was said, or after a checkpoint, the model file or the first of the
other files of the run appears, finished or half written.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.options import REPOSITORY, Options, Record, Result
from benchmarks.summaries import table

NETS: Final[dict[str, tuple[str, ...]]] = {
    "tutorial": ("--net", "tutorial", "--recipe", "article", "--epochs", "3"),
    "small": ("--net", "small", "--epochs", "3"),
    "solved head": ("--net", "features", "--size", "96"),
}
KILLS: Final = 7
"""Of each network, for each repeat."""
A_RUN: Final = 12
"""Kills of one run, before it may finish."""
N_EACH: Final = 60
MOMENTS: Final = (
    "start, scan, audit, decoding",
    "features",
    "loading Keras, range test",
    "steps",
    "writing a checkpoint",
    "solving, export, thresholds",
    "measuring, bundle, documents",
)
TIMEOUT_S: Final = 600


def run(options: Options) -> Result:
    records: dict[str, list[Record]] = {}
    with tempfile.TemporaryDirectory(prefix="fieldmark-kills-") as name:
        room = Path(name)
        data = _draw(room / "blocks", options.pictures or N_EACH)
        (room / "each_step.toml").write_text("[run]\ncheckpoint_s = 0\n", encoding="utf-8")
        for net, given in NETS.items():
            arguments = [str(data), *given, "--config", str(room / "each_step.toml")]
            twin = Training(room / "twin", arguments)
            twin_s = twin.finish()
            records[net] = []
            n_left = KILLS * options.repeats
            while n_left > 0:
                number = len(records[net])
                victim = Training(room / "victim", arguments, random.Random(f"{net}/{number}"))
                moments = victim.killed_often(min(n_left, A_RUN), twin_s)
                n_left -= len(moments)
                same = victim.model() == twin.model()
                print(f"  {net}: {len(moments)} kills, same: {same}", file=sys.stderr, flush=True)
                records[net].append({"moments": moments, "same": same, "twin_s": twin_s})
                shutil.rmtree(victim.room)
            shutil.rmtree(twin.room)
    return Result(_lines(records), records)


@dataclass
class Training:
    """One command in a folder of its own, which holds its runs and its cache."""

    room: Path
    arguments: list[str]
    draw: random.Random = field(default_factory=random.Random)

    def finish(self) -> float:
        """Run to the end; return the seconds it took."""
        began = time.monotonic()
        process = self._start()
        try:
            status = process.wait(TIMEOUT_S)
        finally:
            process.kill()
        if status:
            said = (self.room / "err").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"exit status {status}: {said[-500:]}")
        return time.monotonic() - began

    def killed_often(self, n: int, whole_s: float) -> list[str]:
        """Kill and start again, then let it finish; fewer kills where it was faster than they."""
        moments: list[str] = []
        while len(moments) < n:
            moment = self.killed(whole_s)
            if not moment:
                return moments
            moments.append(moment)
        self.finish()
        return moments

    def killed(self, whole_s: float) -> str:
        """Start, kill at a random moment, and return what was going on then; empty: it was done."""
        waited = self._moment(whole_s)
        process = self._start()
        began = time.monotonic()
        while not waited(time.monotonic() - began) and process.poll() is None:
            time.sleep(0.001)
        if process.poll() is not None:
            return ""
        process.send_signal(signal.SIGSTOP)  # what is seen now is what is killed
        try:
            return self._seen()
        finally:
            process.kill()
            process.wait()

    def model(self) -> bytes:
        """Return the only model file."""
        (path,) = self.room.glob("runs/*/[!.]*.fieldmark")
        return path.read_bytes()

    def _start(self) -> subprocess.Popen[bytes]:
        self.room.mkdir(exist_ok=True)
        with (self.room / "out").open("wb") as out, (self.room / "err").open("wb") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "fieldmark", "train", *self.arguments, "--json"],
                cwd=self.room,
                env={
                    **os.environ,
                    "PYTHONPATH": str(REPOSITORY / "src"),
                    "FIELDMARK_CACHE": str(self.room / "cache"),
                    "SOURCE_DATE_EPOCH": "1700000000",
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def _moment(self, whole_s: float) -> Callable[[float], bool]:
        """Draw a moment: of the clock, or a while after something was said or written."""
        if self.draw.random() < 0.2:
            after_s = self.draw.uniform(0, 0.5 * whole_s)
            return lambda spent_s: spent_s >= after_s
        sign = self.draw.choice(_SIGNS[self._solved])
        if self._solved and not self._there(_LOOKED):
            sign = _LOOKED  # features are extracted once, and next
        (self.room / "out").unlink(missing_ok=True)  # what the process before this one has said
        before = self._there(sign)
        # What is half written is so for a moment only.
        while_s = 0.0 if sign.endswith(".part") else self.draw.uniform(0, 0.04 * whole_s)
        seen: list[float] = []

        def waited(spent_s: float) -> bool:
            if not seen and self._there(sign) - before:
                seen.append(spent_s)
            return bool(seen) and spent_s - seen[0] >= while_s

        return waited

    @property
    def _solved(self) -> bool:
        return "features" in self.arguments

    def _there(self, sign: str) -> set[tuple[str, int]]:
        """Return the files of a pattern, each as it is now; or whether an event was told."""
        if "/" not in sign:
            return {(sign, 0)} if sign in self._told() else set()
        found = set()
        for path in self.room.glob(sign):
            with contextlib.suppress(OSError):
                found.add((str(path), path.stat().st_ino))
        return found

    def _told(self) -> list[str]:
        with contextlib.suppress(OSError):
            said = (self.room / "out").read_text(encoding="utf-8", errors="replace")
            return [event for event in _EVENTS if f'"event": "{event}"' in said]
        return []

    def _seen(self) -> str:
        """Tell from outside what a stopped process was doing."""
        told = self._told()
        if any(self.room.glob("runs/*/[!.]*.fieldmark")):
            return ""
        if any(self.room.glob("runs/*/checkpoint/.fieldmark-*.part")):
            return "writing a checkpoint"
        if any(self.room.glob("runs/*/.measured.fieldmark")):
            return "measuring, bundle, documents"
        if not told:
            extracting = self._solved and self._there(_LOOKED) and not self._there(_EXTRACTED)
            return "features" if extracting else "start, scan, audit, decoding"
        return _EVENTS[told[-1]]


_EVENTS: Final = {
    "run_started": "solving, export, thresholds",
    "planned": "loading Keras, range test",
    "lr_found": "steps",
    "resumed": "steps",
    "epoch": "steps",
    "early_stop": "solving, export, thresholds",
}
"""The last of these that was said -> what follows it."""
_LOOKED: Final = "cache/looks/*/*.json"
_EXTRACTED: Final = "cache/features/*/*.json"
_SIGNS: Final = {
    False: (
        "planned",
        "runs/*/checkpoint/.fieldmark-*.part",
        "runs/*/checkpoint/.fieldmark-*.part",
        "runs/*/checkpoint/*.safetensors",
        "runs/*/checkpoint/*.safetensors",
        "early_stop",
        "runs/*/.measured.fieldmark",
        "runs/*/looks.jsonl",
    ),
    True: ("run_started", "early_stop", "runs/*/.measured.fieldmark", "runs/*/looks.jsonl"),
}
"""Whether the head is solved -> what is waited for: an event, or a file that is not there yet."""


def _lines(records: dict[str, list[Record]]) -> list[str]:
    counts = {
        net: Counter(m for each in its for m in each["moments"]) for net, its in records.items()
    }
    rows = [[moment, *(str(counts[net][moment]) for net in records)] for moment in MOMENTS]
    n = sum(sum(each.values()) for each in counts.values())
    its = [each for of_net in records.values() for each in of_net]
    same = sum(each["same"] for each in its)
    return [
        *table(["killed while", *records], rows),
        f"{n} kills of {len(its)} runs; {same} of {len(its)} ended with the bytes of their twin",
    ]


def _draw(folder: Path, n: int) -> Path:
    """Write bitmaps of noise, brighter in one half or the other: two classes."""
    draw, side = random.Random(0), 48
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for number in range(n):
            pixels = bytearray()
            for _ in range(side):
                for x in range(side):
                    bright = 60 * ((x < side // 2) == (label == "left"))
                    pixels += bytes(draw.randrange(150) + bright for _ in range(3))
            head = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
            head += struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(pixels), 0, 0, 0, 0)
            (folder / label / f"{number}.bmp").write_bytes(head + pixels)
    return folder
