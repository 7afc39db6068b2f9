"""Start the real command line, kill it at a moment, start it again: for tests and benchmarks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300
POLL_S = 0.002
NOON = "1700000000"
"""``SOURCE_DATE_EPOCH``: two runs that begin at the same moment."""


@dataclass(frozen=True)
class Command:
    """``fieldmark train ...`` in a folder of its own, which holds the runs and the cache."""

    room: Path
    arguments: tuple[str, ...]

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        self.room.mkdir(exist_ok=True)
        # Files, not pipes: a full pipe would stop the process, and a killed one still has said it.
        with (self.room / "out").open("ab") as out, (self.room / "err").open("ab") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "fieldmark", "train", *self.arguments, *more],
                cwd=self.room,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT / "src"),
                    "FIELDMARK_CACHE": str(self.room / "cache"),
                    "SOURCE_DATE_EPOCH": NOON,
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def finish(self, *more: str) -> int:
        """Run to the end; return the exit status."""
        process = self.start(*more)
        try:
            return process.wait(TIMEOUT_S)
        finally:
            process.kill()
            process.wait()

    def killed_when(
        self, moment: Callable[[], bool], *more: str, by: signal.Signals = signal.SIGKILL
    ) -> int:
        """Send a signal as soon as something is so; return the exit status."""
        process = self.start(*more)
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while not moment() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(POLL_S)
            process.send_signal(by)
            return process.wait(TIMEOUT_S)
        finally:
            process.kill()
            process.wait()

    @property
    def runs(self) -> list[str]:
        return sorted(path.name for path in (self.room / "runs").glob("*-*"))

    @property
    def said(self) -> str:
        return (self.room / "err").read_text(encoding="utf-8", errors="replace")

    def there(self, pattern: str) -> Callable[[], bool]:
        """Whether a file of the run folder is there."""
        return lambda: any((self.room / "runs").glob(f"*-*/{pattern}"))

    def has_said(self, text: str, times: int = 1) -> Callable[[], bool]:
        """Whether it is on the screen, of all processes so far, so many times."""
        return lambda: (self.room / "err").is_file() and self.said.count(text) >= times
