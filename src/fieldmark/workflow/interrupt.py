"""Ctrl-C: once finishes the epoch, keeps the best and measures it; twice quits at once.

SIGTERM, which a system that shuts down sends, and SIGHUP of a closed terminal: once ends after the
running step, with what is needed to go on kept; twice quits at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """While open, the first SIGINT only sets ``requested``; the second is a KeyboardInterrupt.

    With ``keeps``, the first SIGTERM or SIGHUP only sets ``terminated``, and the second ends the
    process; without, they do what they did before. What is ignored stays ignored.

    Signals reach the main thread only; elsewhere this does nothing. ``on_request`` is called at the
    first one, so that it can be said at once.
    """

    def __init__(self, on_request: Callable[[], None], *, keeps: bool = False) -> None:
        self.requested = False
        self.terminated = False
        self._on_request = on_request
        names = ("SIGINT", "SIGTERM", "SIGHUP") if keeps else ("SIGINT",)
        self._numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        self._before: dict[int, Any] = {}
        self._active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Interrupt:
        for number in self._numbers if self._active else ():
            if signal.getsignal(number) != signal.SIG_IGN:
                handler = self._on_signal if number == signal.SIGINT else self._on_end
                self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._on_request()

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        self.terminated = True
        signal.signal(number, signal.SIG_DFL)
