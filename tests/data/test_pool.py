from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.data.pool import map_ordered


def n_workers() -> int:
    return sum(thread.name.startswith("fieldmark") for thread in threading.enumerate())


@given(st.lists(st.integers(), max_size=30), st.integers(1, 4), st.integers(1, 9))
def test_answers_come_in_order(items: list[int], threads: int, ahead: int) -> None:
    assert list(map_ordered(abs, items, threads=threads, ahead=ahead)) == [abs(i) for i in items]


def test_answers_come_in_order_when_the_first_is_the_slowest() -> None:
    def slow(item: int) -> int:
        time.sleep(0.02 * (5 - item))
        return item

    assert list(map_ordered(slow, range(5), threads=4, ahead=5)) == list(range(5))


def test_no_more_than_asked_is_begun_ahead() -> None:
    taken = 0

    def items() -> object:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    results = map_ordered(lambda item: item, items(), threads=2, ahead=3)  # type: ignore[arg-type]
    assert next(results) == 0
    assert taken == 3
    results.close()


def test_stopping_early_ends_the_threads() -> None:
    before = n_workers()
    results = map_ordered(abs, range(1000), threads=3, ahead=4)
    next(results)
    assert n_workers() > before
    results.close()
    assert n_workers() == before


def test_an_exception_arrives_and_ends_the_threads() -> None:
    before = n_workers()

    def fail(item: int) -> int:
        if item == 3:
            raise KeyError("three")
        return item

    with pytest.raises(KeyError, match="three"):
        list(map_ordered(fail, range(10), threads=2, ahead=4))
    assert n_workers() == before


def test_nothing_gives_nothing() -> None:
    assert list(map_ordered(abs, [], threads=1, ahead=1)) == []
