from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import pool
from fieldmark.errors import DataError
from fieldmark.pool import map_ordered


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


def test_an_exception_says_of_which_item_it_is() -> None:
    def fail(item: int) -> int:
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError, match="no") as caught:
        list(map_ordered(fail, [7], threads=1, ahead=1, named=lambda item: f"cat/{item}.jpg"))
    assert caught.value.__notes__ == ["at cat/7.jpg"]


@pytest.mark.parametrize("error", [SystemExit("worker"), KeyboardInterrupt("worker")])
def test_nothing_a_thread_dies_of_is_lost(error: BaseException) -> None:
    def die(item: int) -> int:
        raise error

    with pytest.raises(type(error), match="worker"):
        list(map_ordered(die, [1, 2], threads=2, ahead=2))


def test_a_thread_that_never_returns_is_named_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "STUCK_S", 0.05)
    free = threading.Event()

    def hang(item: int) -> int:
        if item == 1:
            free.wait()
        return item

    results = map_ordered(hang, range(9), threads=2, ahead=4, named="{}.jpg".format)
    assert next(results) == 0
    with pytest.raises(DataError, match=r"1\.jpg") as caught:
        next(results)
    assert caught.value.code == "stuck"
    free.set()


def test_the_time_that_a_process_was_stopped_is_not_held_against_an_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, free = pool.wait, threading.Event()

    def stopped(futures: list[Future[int]], seconds: float) -> object:
        """As after Ctrl-Z and fg: the time is over, and only now the work goes on."""
        monkeypatch.setattr(pool, "wait", real)
        found = real(futures, 0)
        free.set()
        return found

    def work(item: int) -> int:
        free.wait()
        return item

    monkeypatch.setattr(pool, "wait", stopped)
    assert list(map_ordered(work, [1, 2], threads=1, ahead=1)) == [1, 2]


def test_a_thread_that_never_returns_does_not_keep_the_process_alive() -> None:
    code = """
import threading
from fieldmark import pool
pool.STUCK_S = 0.1
try:
    list(pool.map_ordered(lambda item: threading.Event().wait(), [1], threads=1, ahead=1))
except pool.DataError as error:
    print(error.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "stuck\n"), done.stderr


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_where_the_system_gives_fewer_threads_fewer_work(
    allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, left, who = threading.Thread.start, [allowed], set()

    def limited(thread: threading.Thread) -> None:
        if left[0] == 0:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    def work(item: int) -> int:
        time.sleep(0.001)
        who.add(threading.current_thread())
        return -item

    monkeypatch.setattr(threading.Thread, "start", limited)
    assert list(map_ordered(work, range(30), threads=4, ahead=8)) == [-each for each in range(30)]
    assert len(who) == max(1, allowed)
    assert (threading.main_thread() in who) == (allowed == 0)
