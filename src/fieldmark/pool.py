"""Threads that work ahead, and answers that come back in order.

Threads, not processes: decoding, warping, hashing and reading all let go of Python's lock. They are
daemons: one that never returns, on a network drive that does not answer, keeps no command alive.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from fieldmark.errors import DataError, FieldmarkError

T = TypeVar("T")
R = TypeVar("R")

STUCK_S: Final = 600.0
"""For one item; a file of 200 MB takes half of it at a slow line's megabyte a second."""
_WAITS: Final = 20
"""It is waited for so many times: of the time that a process is stopped (Ctrl-Z), one counts."""


def map_ordered(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    threads: int,
    ahead: int,
    named: Callable[[T], str] = str,
) -> Generator[R, None, None]:
    """Yield ``function(item)`` for every item, in order, at most ``ahead`` of them begun.

    Memory is bounded however slow the consumer is. Closing the generator, or an exception in the
    function, waits for what runs and drops the rest. Where the system gives fewer threads, fewer
    work; with none at all, the caller's does.

    Parameters
    ----------
    function : callable
    items : iterable
    threads : int
    ahead : int
    named : callable, optional
        What to call an item of which something has to be said.

    Raises
    ------
    DataError
        Code ``stuck``: nothing came of an item for :data:`STUCK_S`.
    Exception
        Whatever the function raised; one that is not fieldmark's own has a note with the name.

    Examples
    --------
    >>> list(map_ordered(abs, [-3, 2, -1], threads=2, ahead=2))
    [3, 2, 1]
    """
    workers = _Workers(max(1, threads))
    waiting: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            waiting.append((item, workers.begin(function, item)))
            if len(waiting) >= ahead:
                yield _answer(*waiting.popleft(), named, workers)
        while waiting:
            yield _answer(*waiting.popleft(), named, workers)
    finally:
        for _, future in waiting:
            future.cancel()
        workers.end()


def _answer(item: T, future: Future[R], named: Callable[[T], str], workers: _Workers) -> R:
    for _ in range(_WAITS):
        if wait([future], STUCK_S / _WAITS).done:
            break
    else:
        workers.stuck = True
        raise DataError(
            f"Nothing has come of {named(item)} for {STUCK_S / 60:.0f} minutes.",
            code="stuck",
            why="Most often a disk or a network drive does not answer.",
            hint="see that the file can be opened, then run the same command again",
        )
    try:
        return future.result()
    except FieldmarkError:
        raise
    except Exception as error:
        error.add_note(f"at {named(item)}")
        raise


class _Workers:
    def __init__(self, n: int) -> None:
        self.stuck = False
        self._n = n
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[Any], Any], Any] | None] = (
            SimpleQueue()
        )

    def begin(self, function: Callable[[T], R], item: T) -> Future[R]:
        future: Future[R] = Future()
        if len(self._threads) < self._n:
            self._grow()
        if self._threads:
            self._jobs.put((future, function, item))
        else:
            _work(future, function, item)
        return future

    def _grow(self) -> None:
        thread = threading.Thread(target=self._run, name="fieldmark", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # a limit of the system: what there is must do
            self._n = len(self._threads)
        else:
            self._threads.append(thread)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            _work(*job)
            del job  # else its answer would stay until the next one comes

    def end(self) -> None:
        """Let the threads end; wait for what they are at, unless one has been waited for enough."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads if not self.stuck else ():
            thread.join()


def _work(future: Future[Any], function: Callable[[Any], Any], item: Any) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(item)
    except BaseException as error:  # whatever it is, it is the caller's to see
        future.set_exception(error)
    else:
        future.set_result(result)
