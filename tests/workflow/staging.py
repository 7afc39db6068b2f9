"""The real command line in a process of its own, which waits at a stage until it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120

# A signal interrupts the waiting as it would the work: between two of Python's steps.
_WAITING = """
import pathlib, pkgutil, sys, time
place, _, name = sys.argv.pop(1).rpartition(".")
go = pathlib.Path(sys.argv.pop(1))
def wait(*given, **named):
    if not go.exists():
        go.with_suffix(".here").touch()
    while not go.exists():
        time.sleep(0.02)
    return real(*given, **named)
if place:
    owner = pkgutil.resolve_name(place)
    real = getattr(owner, name)
    setattr(owner, name, wait)
from fieldmark.__main__ import main
main()
"""


@dataclass
class Staged:
    """``fieldmark ...`` in a folder, halted where a function is called for the first time."""

    room: Path
    words: tuple[str, ...]
    stage: str = ""
    """Dotted name of the function, where it is looked up; empty: it is not halted."""
    cache: Path | None = None
    variables: dict[str, str | None] = field(default_factory=dict)
    """Of the environment; None: not there."""
    umask: int = -1
    process: subprocess.Popen[bytes] | None = None

    @property
    def _go(self) -> Path:
        return self.room / "stage.go"

    def start(self) -> Staged:
        self.room.mkdir(exist_ok=True)
        for name in ("stage.go", "stage.here"):
            (self.room / name).unlink(missing_ok=True)
        environment: dict[str, str | None] = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "FIELDMARK_CACHE": str(self.cache or self.room / "cache"),
            "SOURCE_DATE_EPOCH": "1700000000",
            **self.variables,
        }
        with (self.room / "out").open("wb") as out, (self.room / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _WAITING, self.stage, str(self._go), *self.words],
                cwd=self.room,
                env={name: value for name, value in environment.items() if value is not None},
                umask=self.umask,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        return self

    def halted(self) -> Staged:
        """Wait until it has come to the stage."""
        process = self._running
        until = time.monotonic() + TIMEOUT_S
        while not self._go.with_suffix(".here").exists():
            assert process.poll() is None, f"it ended before {self.stage}: {self.err}"
            assert time.monotonic() < until, self.err
            time.sleep(0.01)
        return self

    def go(self) -> Staged:
        """Let it run on."""
        self._go.touch()
        return self

    def send(self, number: signal.Signals) -> Staged:
        self._running.send_signal(number)
        return self

    def ended(self) -> int:
        """Wait for the end; return the exit status as a shell shows it."""
        process = self._running
        try:
            status = process.wait(TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
        return status if status >= 0 else 128 - status

    def whole(self) -> int:
        """Run from begin to end; return the exit status."""
        return self.start().go().ended()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    @property
    def out(self) -> str:
        return (self.room / "out").read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        return (self.room / "err").read_text(encoding="utf-8", errors="replace")
