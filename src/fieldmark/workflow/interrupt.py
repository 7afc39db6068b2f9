"""Ctrl-C: once finishes the epoch, keeps the best and measures it; twice quits at once.

SIGTERM, which a system that shuts down sends: once ends after the running step, with what is needed
to go on kept; twice quits at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """While open, the first SIGINT only sets ``requested``; the second is a KeyboardInterrupt.

    The first SIGTERM only sets ``terminated``; the second ends the process.

    Signals reach the main thread only; elsewhere this does nothing. ``on_request`` is called at the
    first one, so that it can be said at once.
    """

    def __init__(self, on_request: Callable[[], None]) -> None:
        self.requested = False
        self.terminated = False
        self._on_request = on_request
        self._before: Any = None
        self._before_end: Any = None
        self._active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Interrupt:
        if self._active:
            self._before = signal.signal(signal.SIGINT, self._on_signal)
            self._before_end = signal.signal(signal.SIGTERM, self._on_end)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._before)
            signal.signal(signal.SIGTERM, self._before_end)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._on_request()

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        self.terminated = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
