"""How a command ends from outside: signals, readers that have gone, streams that are not there.

SIGTERM, and SIGHUP of a terminal that was closed, end a command as an exception does: what is half
written is taken away, and what is whole stays. The second signal ends it at once, and so do a few
seconds in which the first one had no effect.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Any, Final

GRACE_S: Final = 5.0
"""From a signal to the end, whatever a thread that never returns may do."""
TERMINATED: Final = 143
INTERRUPTED: Final = 130

_STATUS: Final = {"SIGTERM": TERMINATED, "SIGHUP": TERMINATED, "SIGINT": INTERRUPTED}
_LINE: Final = "stopped by {}. [terminated]"


class Ended(BaseException):
    """The system asked the process to end; no ``except Exception`` may hold that up."""

    status = TERMINATED


@contextmanager
def by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into :class:`Ended` and SIGINT into KeyboardInterrupt, once each.

    A signal that is ignored, as ``nohup`` and a shell's ``&`` have it, stays ignored. Training by
    gradients has handlers of its own meanwhile (:mod:`fieldmark.workflow.interrupt`).
    """
    before: dict[int, Any] = {}
    for number in (getattr(signal, name, None) for name in _STATUS):  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) == _on_signal:
                signal.signal(number, handler)


def _on_signal(number: int, frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    signal.signal(number, signal.SIG_DFL)
    stopped = KeyboardInterrupt() if name == "SIGINT" else Ended(_LINE.format(name))
    with suppress(RuntimeError):  # no thread can be started; a second signal ends it all the same
        late = threading.Timer(GRACE_S, _end, (name,))
        late.daemon = True
        late.start()
    raise stopped


def _end(name: str) -> None:
    sys.stderr.write(f"fieldmark: {_LINE.format(name)}\n")
    os._exit(_STATUS[name])


def open_streams() -> None:
    """Give the process three streams that can be used, whatever it was started with.

    A closed one is as ``/dev/null``: else the next file that is opened would get its number, and
    what libraries print would go into it. What stderr cannot take is dropped, so that a log that is
    full or gone ends no training. Python's stderr gets a descriptor of its own: the notes which
    numeric libraries write to descriptor 2 while they load can then be kept off the screen
    (:mod:`fieldmark.training.backend`).
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    sys.stderr.flush()
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Deaf(os.dup(2), "w")),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


class _Deaf(io.FileIO):
    """A file that takes whatever it is given, whether or not there is room for it."""

    def write(self, data: Any, /) -> int:
        """Write what can be written."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def drop(stream: IO[str]) -> None:
    """Send what else is written to a stream, and what it holds back, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def close_streams() -> None:
    """Write what is left; a reader that has gone or a full disk is no news any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            drop(stream)
