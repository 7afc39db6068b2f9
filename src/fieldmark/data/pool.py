"""Threads that work ahead, and answers that come back in order.

Threads, not processes: decoding, warping, hashing and reading all let go of Python's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ordered(
    function: Callable[[T], R], items: Iterable[T], *, threads: int, ahead: int
) -> Generator[R, None, None]:
    """Yield ``function(item)`` for every item, in order, at most ``ahead`` of them begun.

    Memory is bounded however slow the consumer is. Closing the generator, or an exception in the
    function, waits for what runs and drops the rest.

    Examples
    --------
    >>> list(map_ordered(abs, [-3, 2, -1], threads=2, ahead=2))
    [3, 2, 1]
    """
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="fieldmark")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
