"""Start a command, kill it at a moment that was drawn, and see from outside what it was doing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from benchmarks.options import REPOSITORY

Kind = Literal["scratch", "head", "tuned", "repeats", "check", "predict"]

SEGMENT: Final = 16
MOMENTS: Final = (
    "start, reading files",
    "looking: between segments",
    "looking: writing a segment",
    "decoding",
    "features: between segments",
    "features: writing a segment",
    "loading Keras, range test",
    "steps",
    "writing a checkpoint",
    "solving, export, thresholds",
    "measuring, bundle, documents",
    "further trainings",
    "judging labels, page",
    "answering",
)
TIMEOUT_S: Final = 600
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
_BUILDING: Final = "cache/.building-*"
_KEPT: Final = "out.csv.fieldmark-part/answers"
_NOTED: Final = "runs/*/looks.jsonl"
_TUNING: Final = (
    "planned",
    "runs/*/checkpoint/.fieldmark-*.part",
    "runs/*/checkpoint/*.safetensors",
    "runs/*/checkpoint/*.safetensors",
    "early_stop",
    "runs/*/.measured.fieldmark",
    _NOTED,
)
_SOLVING: Final = ("run_started", "early_stop", "runs/*/.measured.fieldmark", _NOTED)
_HALF: Final = {
    "cache/looks/*/.fieldmark-*.part": "looking: writing a segment",
    "cache/features/*/.fieldmark-*.part": "features: writing a segment",
    "runs/*/checkpoint/.fieldmark-*.part": "writing a checkpoint",
    "runs/*/.measured.fieldmark": "measuring, bundle, documents",
}
"""What is there while it is written -> what goes on then."""
_WHOLE: Final = (_BUILDING, _LOOKED, _EXTRACTED)
_SIGNS: Final[dict[Kind, tuple[str, ...]]] = {
    "scratch": _TUNING,
    "head": _SOLVING,
    "tuned": _TUNING,
    "repeats": (*_SOLVING, *["runs/*/repeats.json"] * 6),
    "check": (_EXTRACTED, "page.html"),
    "predict": (_KEPT,),
}
"""What is waited for: an event, or a file that is not there yet or grows."""
_EARLY: Final = (_LOOKED, "cache/looks/*/.fieldmark-*.part")
_FEATURES: Final = (_EXTRACTED, "cache/features/*/.fieldmark-*.part")
_WITH_FEATURES: Final = ("head", "tuned", "repeats", "check")
_START: Final = """
import sys
from fieldmark.data import feature_store
feature_store.SEGMENT_ROWS = int(sys.argv.pop(1))
from fieldmark.__main__ import main
main()
"""


@dataclass
class Victim:
    """One command in a folder of its own, which holds its runs and its cache."""

    room: Path
    arguments: list[str]
    kind: Kind
    draw: random.Random = field(default_factory=random.Random)
    segment: int = 1024
    """Rows of looks and features that are written together."""
    n_pictures: int = 0
    _before: dict[str, set[tuple[str, int]]] = field(default_factory=dict)

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

    def _start(self) -> subprocess.Popen[bytes]:
        self.room.mkdir(exist_ok=True)
        with (self.room / "out").open("wb") as out, (self.room / "err").open("wb") as err:
            return subprocess.Popen(
                [sys.executable, "-c", _START, str(self.segment), *self.arguments],
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
        # What was half written stays behind, until it is old.
        self._before = {sign: self._there(sign) for sign in (*_HALF, *_WHOLE)}
        if self.draw.random() < 0.2:
            after_s = self.draw.uniform(0, 0.5 * whole_s)
            return lambda spent_s: spent_s >= after_s
        sign = self.draw.choice(self._signs())
        (self.room / "out").unlink(missing_ok=True)  # what the process before this one has said
        before = self._there(sign)
        # What is half written is so for a moment only.
        while_s = 0.0 if sign.endswith(".part") else self.draw.uniform(0, 0.04 * whole_s)
        if sign in (*_EARLY, *_FEATURES, _KEPT):  # the next ones follow at once
            while_s *= 0.2
        seen: list[float] = []

        def waited(spent_s: float) -> bool:
            if not seen and self._there(sign) - before:
                seen.append(spent_s)
            return bool(seen) and spent_s - seen[0] >= while_s

        return waited

    def _signs(self) -> tuple[str, ...]:
        """Return what may be waited for: half of the time what is done only once, while it is."""
        early: tuple[str, ...] = ()
        if self.kind != "predict" and not self._all_there(_LOOKED):
            early = _EARLY
        elif self.kind == "scratch" and not self._there("cache/*.json"):
            early = (_BUILDING,)
        elif self.kind in _WITH_FEATURES and not self._all_there(_EXTRACTED):
            early = _FEATURES
        if early and self.draw.random() < 0.5:
            return early
        # A look that is noted is noted once.
        return tuple(s for s in _SIGNS[self.kind] if s != _NOTED or not self._there(s))

    def _all_there(self, segments: str) -> bool:
        """Whether every picture is in a segment."""
        lengths = []
        for path, _ in self._there(segments):
            with contextlib.suppress(OSError, ValueError):
                lengths.append(len(json.loads(Path(path).read_bytes())))
        return sum(lengths) >= self._n_wanted

    @property
    def _n_wanted(self) -> int:
        """How many pictures there are."""
        if not self.n_pictures:
            data = next(Path(word) for word in self.arguments if Path(word).is_dir())
            self.n_pictures = sum(1 for _ in data.rglob("*.bmp"))
        return self.n_pictures

    def _there(self, sign: str) -> set[tuple[str, int]]:
        """Return the files of a pattern, each as it is now; or whether an event was told."""
        if "/" not in sign and "." not in sign:
            return {(sign, 0)} if sign in self._told() else set()
        found = set()
        for path in self.room.glob(sign):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.add((str(path), status.st_size if sign == _KEPT else status.st_ino))
        return found

    def _told(self) -> list[str]:
        with contextlib.suppress(OSError):
            said = (self.room / "out").read_text(encoding="utf-8", errors="replace")
            return [event for event in _EVENTS if f'"event": "{event}"' in said]
        return []

    def _seen(self) -> str:
        """Tell from outside what a stopped process was doing."""
        if self._done():
            return ""
        told = self._told()
        for sign, moment in _HALF.items():
            if self._there(sign) - self._before[sign]:
                return moment
        if any(self.room.glob("runs/*/checkpoint/turns")):
            return "further trainings" if told[-1:] else "start, reading files"
        if told:
            return _EVENTS[told[-1]]
        return self._early()

    def _early(self) -> str:
        """Tell what was going on before anything was said."""
        if self.kind == "predict":
            return "answering" if self._there(_KEPT) else "start, reading files"
        if self._there(_BUILDING) - self._before[_BUILDING]:
            return "decoding"
        if self._there(_EXTRACTED) - self._before[_EXTRACTED]:
            done = self.kind == "check" and self._all_there(_EXTRACTED)
            return "judging labels, page" if done else "features: between segments"
        if self._there(_LOOKED) - self._before[_LOOKED] and not self._all_there(_LOOKED):
            return "looking: between segments"
        return "start, reading files"

    def _done(self) -> bool:
        if self.kind in ("check", "predict"):
            return any((self.room / name).exists() for name in ("page.json", "out.csv"))
        whole = any(self.room.glob("runs/*/[!.]*.fieldmark"))
        return whole and not any(self.room.glob("runs/*/checkpoint/turns"))
