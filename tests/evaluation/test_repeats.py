"""Repeats are put together honestly: every picture once, both kinds of luck, nothing invented."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.errors import DataError
from fieldmark.evaluation.intervals import effective_n, wilson, wilson_rate
from fieldmark.evaluation.repeats import SHARED, Outcome, Repeats, summarize, trial


def outcome(right: list[int], at: Any = None, **changed: Any) -> Outcome:
    flags = np.array(right, np.bool_)
    fields: dict[str, Any] = {
        "repeat": 1,
        "fold": None,
        "seed": 0,
        "at": np.arange(len(right)) if at is None else np.array(at),
        "right": flags,
        "losses": np.where(flags, 0.1, 2.0),
        "seconds": 1.5,
    }
    return Outcome(**fields | changed)


def folded(rights: list[list[int]], repeat: int = 1) -> list[Outcome]:
    """One repeat: its folds hold the pictures in order."""
    found, start = [], 0
    for fold, right in enumerate(rights, start=1):
        places = range(start, start + len(right))
        found.append(outcome(right, list(places), repeat=repeat, fold=fold, seed=repeat))
        start += len(right)
    return found


def alone(n: int) -> np.ndarray:
    return np.arange(n)


def put(outcomes: list[Outcome], n_folds: int, n_repeats: int, groups: Any = None) -> Repeats:
    n = max(int(each.at.max()) for each in outcomes) + 1
    numbers = alone(n) if groups is None else np.array(groups)
    return summarize(outcomes, numbers, n_folds=n_folds, n_repeats=n_repeats, seed=0)


def width(found: Repeats) -> float:
    return found.accuracy.high - found.accuracy.low


HALF = [[1, 1, 1, 0], [1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1]]


# --- one training


def test_one_training_is_measured_on_its_own_pictures() -> None:
    found = trial(outcome([1, 1, 1, 0], [4, 5, 6, 7], fold=2), alone(8))
    assert (found.accuracy.value, found.accuracy.n) == (0.75, 4)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(wilson(3, 4))
    assert found.log_loss.value == pytest.approx((0.3 + 2) / 4)
    assert found.log_loss.unit == "nats"


def test_groups_of_one_training_count_once() -> None:
    groups = np.repeat(np.arange(5), 4)
    right = [1] * 16 + [0] * 4
    found = trial(outcome(right), groups)
    assert found.accuracy.n_groups == 5
    worth = effective_n(np.array(right, np.bool_), groups)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(wilson_rate(0.8, worth))


def test_nothing_tested_is_no_number() -> None:
    with pytest.raises(DataError, match="not one example") as told:
        trial(outcome([]), alone(1))
    assert told.value.code == "nothing-to-measure"
    with pytest.raises(DataError, match="not one example"):
        summarize([], alone(1), n_folds=2, n_repeats=1, seed=0)


# --- folds


def test_the_mean_of_folds_is_over_pictures_and_not_over_folds() -> None:
    found = put(folded([[1] * 6, [0, 0]]), 2, 1)
    assert found.accuracy.value == 0.75
    assert found.accuracy.n == 8


def test_the_interval_of_one_dealing_is_that_of_its_pictures_raised_by_what_is_shared() -> None:
    found = put(folded(HALF), 4, 1)
    rate = 13 / 16
    assert found.accuracy.value == pytest.approx(rate)
    expected = wilson_rate(rate, 16 / (1 + SHARED))
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(expected)
    assert found.accuracy.low < wilson(13, 16)[0]


def test_more_repeats_narrow_the_interval_but_never_below_that_of_the_pictures() -> None:
    """A hundred dealings of the same 16 pictures are no 1,600 pictures."""
    widths = [
        width(put([o for r in range(n) for o in folded(HALF, r + 1)], 4, n)) for n in (1, 3, 100)
    ]
    low, high = wilson(13, 16)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] > high - low
    assert widths[-1] == pytest.approx(high - low, rel=0.01)


def test_a_perfect_result_keeps_its_doubt() -> None:
    found = put(folded([[1] * 10, [1] * 10]), 2, 1)
    assert found.accuracy.value == found.accuracy.high == 1.0
    assert found.accuracy.low == pytest.approx(wilson_rate(1.0, 20 / (1 + SHARED))[0])


def test_what_belongs_together_is_counted_once() -> None:
    rights = [[1, 1, 1, 1, 0, 0, 0, 0], [1] * 8]
    single = put(folded(rights), 2, 1)
    together = put(folded(rights), 2, 1, np.repeat(np.arange(4), 4))
    assert together.accuracy.value == single.accuracy.value
    assert together.accuracy.n_groups == 4
    assert width(together) > width(single)
    assert single.accuracy.n_groups is None


def test_the_spread_of_folds_stands_beside_what_pictures_alone_would_give() -> None:
    found = put(folded([[1, 1, 1, 1], [1, 1, 0, 0]]), 2, 1)
    assert found.between_folds == pytest.approx(math.sqrt(0.125))
    assert found.by_pictures == pytest.approx(math.sqrt(0.75 * 0.25 * 2 / 8))
    assert found.between_repeats is None


def test_the_spread_of_folds_is_taken_within_each_repeat() -> None:
    """Whole repeats that differ are another kind of luck."""
    good, bad = folded([[1, 1], [1, 1]]), folded([[0, 0], [0, 0]], 2)
    found = put([*good, *bad], 2, 2)
    assert found.between_folds == 0
    assert found.between_repeats == pytest.approx(math.sqrt(0.5))


def test_a_repeat_that_was_stopped_counts_its_pictures_but_not_its_mean() -> None:
    found = put([*folded(HALF), folded([[0, 0, 0, 0]], 2)[0]], 4, 2)
    assert not found.complete
    assert (len(found.trials), found.n_planned) == (5, 8)
    assert found.accuracy.n == 16
    # Each of the first four pictures was tested twice: half of their answers count.
    assert found.accuracy.value == pytest.approx((1.5 + 10) / 16)
    assert found.between_repeats is None


def test_one_fold_alone_says_what_it_has_seen() -> None:
    found = put(folded([[1, 1, 0, 1]]), 5, 1)
    assert found.accuracy.n == 4
    assert found.between_folds is None
    assert not found.complete


# --- seeds on the same parts


def test_seeds_that_agree_leave_the_interval_of_the_test_part() -> None:
    right = [1] * 45 + [0] * 5
    found = put([outcome(right, repeat=r + 1, seed=r) for r in range(3)], 0, 3)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(wilson(45, 50))
    assert found.between_repeats == 0
    assert found.between_folds is None


def test_seeds_that_differ_widen_it() -> None:
    right = [1] * 45 + [0] * 5
    other = [1] * 30 + [0] * 20
    found = put([outcome(right), outcome(other, repeat=2), outcome(right, repeat=3)], 0, 3)
    assert found.accuracy.value == pytest.approx(0.8)
    assert found.accuracy.low < wilson(40, 50)[0]
    assert found.accuracy.high > wilson(40, 50)[1]
    assert found.between_repeats == pytest.approx(math.sqrt(0.03))


def test_pictures_are_counted_once_however_many_seeds_answered_them() -> None:
    found = put([outcome([1, 0], repeat=r + 1) for r in range(4)], 0, 4)
    assert found.accuracy.n == 2


# --- the log loss


def test_the_log_loss_is_the_mean_and_its_interval_is_stretched() -> None:
    outcomes = folded(HALF)
    found, single = (
        put(outcomes, 4, 1),
        trial(outcome([r for each in HALF for r in each]), alone(16)),
    )
    assert found.log_loss.value == pytest.approx(single.log_loss.value)
    assert 0 <= found.log_loss.low <= found.log_loss.value <= found.log_loss.high
    stretched = found.log_loss.high - found.log_loss.low
    assert stretched > 1.1 * (single.log_loss.high - single.log_loss.low)


def test_losses_that_do_not_differ_have_no_width_and_no_fault() -> None:
    found = put(folded([[1, 1], [1, 1]]), 2, 1)
    assert found.log_loss.low == found.log_loss.high == pytest.approx(0.1)


# --- words and files


def test_it_is_said_in_at_most_four_lines_of_eighty_columns() -> None:
    for found in (
        put([o for r in range(3) for o in folded(HALF, r + 1)], 4, 3),
        put(folded(HALF)[:2], 4, 3),
        put([outcome([1, 0, 1], repeat=r + 1) for r in range(3)], 0, 3),
    ):
        lines = found.lines()
        assert len(lines) <= 4
        assert max(map(len, lines)) <= 80


def test_the_words_say_how_often_and_by_whom() -> None:
    twelve = put([o for r in range(3) for o in folded(HALF, r + 1)], 4, 3)
    assert twelve.lines()[0] == (
        "12 more trainings, every picture tested 3 times by one that never saw it:"
    )
    assert "folds 12.5 (pictures alone 19.5), repeats 0.0" in twelve.lines()[2]
    assert put(folded(HALF)[:2], 4, 3).lines()[0].startswith("Stopped after 2 of 12 trainings")
    seeds = put([outcome([1, 0, 1], repeat=r + 1) for r in range(3)], 0, 3)
    assert seeds.lines()[0].endswith("the first of them ships:")
    assert "seeds 0.0" in seeds.lines()[2]


def test_it_is_read_again_as_it_was_written() -> None:
    found = put([o for r in range(2) for o in folded(HALF, r + 1)], 4, 2)
    assert Repeats.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("spoiled", [{"schema": "other/1"}, {"trials": 3}, {"accuracy": None}])
def test_what_is_no_such_file_is_refused(spoiled: dict[str, Any]) -> None:
    fields = put(folded(HALF), 4, 1).to_dict() | spoiled
    with pytest.raises(DataError, match="no repeats that can be read") as told:
        Repeats.from_dict(fields)
    assert told.value.code == "report-unknown"


# --- for all of them


@given(
    st.integers(2, 5).flatmap(
        lambda k: st.lists(
            st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=k, max_size=k),
            min_size=1,
            max_size=3,
        )
    )
)
def test_the_value_is_always_within_its_interval(rights: list[list[list[int]]]) -> None:
    n_folds = len(rights[0])
    outcomes = [o for r, each in enumerate(rights) for o in folded(each, r + 1)]
    found = put(outcomes, n_folds, len(rights))
    for one in (found.accuracy, found.log_loss):
        assert one.low <= one.value <= one.high
    assert 0 <= found.accuracy.low <= found.accuracy.high <= 1
    assert found.accuracy.n == 3 * n_folds
    assert found.complete


@given(st.permutations(range(8)))
def test_the_order_of_the_pictures_decides_nothing(order: list[int]) -> None:
    right = np.array([1, 1, 1, 0, 1, 0, 1, 1])[order]
    halves = [order[:4], order[4:]]
    outcomes = [
        outcome(right[4 * k : 4 * k + 4].tolist(), at, fold=k + 1) for k, at in enumerate(halves)
    ]
    straight = [dataclasses.replace(each, at=np.sort(each.at)) for each in outcomes]
    found, same = put(outcomes, 2, 1), put(straight, 2, 1)
    assert found.accuracy == same.accuracy
