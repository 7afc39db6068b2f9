"""What is promised, how it is compared with what came, and when that is said. No training here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.workflow.promise import NOTABLE_S, SCHEMA, Actual, Promise, compared, missed

seconds = st.floats(0, 1e6)


def promise(**changes: float) -> Promise:
    usual = {"at_s": 20.0, "training_s": 70.0, "finish_s": 10.0, "memory": 10**9}
    return Promise(**(usual | changes), rests_on="10 steps")  # type: ignore[arg-type]


def actual(**changes: float) -> Actual:
    usual = {"seconds": 100.0, "trained_s": 90.0, "memory": 9 * 10**8, "checkpoint_s": 0.5}
    return Actual(**(usual | changes))  # type: ignore[arg-type]


@given(seconds, seconds, seconds, seconds, st.integers(0, 10**12))
def test_the_range_holds_the_promise_and_nothing_that_is_over_already(
    at_s: float, training_s: float, finish_s: float, perhaps_s: float, memory: int
) -> None:
    made = promise(
        at_s=at_s, training_s=training_s, finish_s=finish_s, perhaps_s=perhaps_s, memory=memory
    )
    near = 1e-6 * (1 + made.high)
    assert at_s <= made.low + near
    assert made.low <= made.seconds + near
    assert made.seconds <= made.high - perhaps_s + near
    assert made.memory_mb * 10**6 >= memory
    event = made.event()
    assert event.low <= event.seconds <= event.high


def test_what_is_kept_compares_every_stage() -> None:
    kept = compared([promise()], actual())
    assert kept["schema"] == SCHEMA
    assert kept["held"]
    assert (kept["time_ratio"], kept["memory_ratio"]) == (1.0, round(900 / 1050, 3))
    (said,) = kept["promises"]
    assert [said[name] for name in ("prepare_s", "training_s", "finish_s")] == [20, 70, 10]
    real = kept["actual"]
    assert [real[name] for name in ("prepare_s", "training_s", "finish_s")] == [20, 70, 10]
    assert real["checkpoint_s"] == 0.5


def test_the_last_of_several_promises_counts() -> None:
    first = promise(training_s=10.0)
    kept = compared([first, promise()], actual())
    assert [each["time_ratio"] for each in kept["promises"]] == [2.5, 1.0]
    assert kept["held"]
    assert not compared([promise(), first], actual())["held"]


@pytest.mark.parametrize(("took", "said"), [(124.0, ""), (126.0, "26 % more"), (70.0, "30 % less")])
def test_a_promise_that_was_missed_by_more_than_a_quarter_is_said(took: float, said: str) -> None:
    text = missed([promise()], actual(seconds=took))
    assert bool(text) == bool(said)
    assert said in text


def test_a_few_seconds_are_not_worth_a_line_but_are_kept() -> None:
    short = promise(at_s=1.0, training_s=2.0, finish_s=1.0)
    late = actual(seconds=4 + NOTABLE_S - 1, trained_s=2.0)
    assert missed([short], late) == ""
    assert not compared([short], late)["held"]


def test_too_much_memory_is_always_said() -> None:
    text = missed([promise()], actual(memory=2 * 10**9))
    assert text == "It took 2,000 MB of memory instead of 1,050."
    assert missed([], actual()) == ""
