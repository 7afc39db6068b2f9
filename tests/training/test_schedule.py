from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.training.schedule import (
    range_test_rates,
    rate,
    size_at,
    smoothed,
    step_seconds,
    suggest,
)

peaks = st.floats(1e-6, 10)
lengths = st.integers(1, 400)


@given(peaks, lengths)
def test_one_cycle_stays_above_zero_and_never_passes_its_peak(peak: float, n: int) -> None:
    rates = [rate("one-cycle", peak, step, n) for step in range(n)]
    assert all(0 < each <= peak * (1 + 1e-12) for each in rates)


@given(peaks, st.integers(8, 400))
def test_one_cycle_climbs_then_falls(peak: float, n: int) -> None:
    rates = [rate("one-cycle", peak, step, n) for step in range(n)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top] == pytest.approx(peak)
    assert 0.15 <= top / (n - 1) <= 0.36  # a quarter, as far as whole steps allow
    assert rates[0] == pytest.approx(0.05 * peak)
    assert rates[-1] == pytest.approx(0.001 * peak)


@given(peaks, lengths, st.integers(0, 1000))
def test_one_cycle_stays_at_its_last_rate_beyond_the_end(peak: float, n: int, more: int) -> None:
    last = rate("one-cycle", peak, n - 1, n)
    assert rate("one-cycle", peak, max(n - 1, 1) + more, n) == pytest.approx(
        last if n > 1 else rate("one-cycle", peak, 1, 1)
    )


@given(peaks, lengths, st.integers(0, 1000))
def test_constant_is_constant(peak: float, n: int, step: int) -> None:
    assert rate("constant", peak, step, n) == peak


def test_range_test_rates_grow_by_one_factor_from_low_to_high() -> None:
    rates = range_test_rates(6, low=1e-5, high=1.0)
    assert rates == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    assert range_test_rates(1, low=0.5) == [0.5]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_smoothing_stays_between_the_lowest_and_the_highest_loss(losses: list[float]) -> None:
    calm = smoothed(losses)
    assert len(calm) == len(losses)
    assert calm[0] == pytest.approx(losses[0])
    assert all(min(losses) - 1e-9 <= each <= max(losses) + 1e-9 for each in calm)


def test_smoothing_of_one_high_value_fades() -> None:
    calm = smoothed([10.0, 0.0, 0.0, 0.0], decay=0.5)
    assert calm == pytest.approx([10, 10 / 3, 10 / 7, 10 / 15])


def test_the_suggested_rate_is_a_third_of_where_the_loss_is_lowest() -> None:
    rates = [1e-3, 6e-3, 3e-2, 3e-1]
    assert suggest(rates, [0.7, 0.5, 0.6, 2.0], low=1e-4, high=1.0) == pytest.approx(2e-3)
    assert suggest(rates, [0.7, 0.6, 0.5, 2.0], low=1e-4, high=1.0) == pytest.approx(1e-2)


def test_one_lucky_batch_does_not_decide_a_long_range_test() -> None:
    rates = range_test_rates(100)
    losses = [1.0 - 0.005 * step if step < 80 else 5.0 for step in range(100)]
    lucky = losses.copy()
    lucky[10] = 0.55  # lower than anything: 0.6 is where the slope ends
    found = suggest(rates, lucky, low=1e-9, high=1.0)
    assert found == pytest.approx(suggest(rates, losses, low=1e-9, high=1.0))
    assert rates[75] / 3 <= found <= rates[82] / 3


@given(
    st.lists(
        st.one_of(st.floats(0, 1e6), st.just(math.inf), st.just(math.nan)), min_size=1, max_size=99
    )
)
def test_the_suggested_rate_is_always_within_the_bounds(losses: list[float]) -> None:
    found = suggest(range_test_rates(100), losses, low=1e-3, high=1e-2)
    assert 1e-3 <= found <= 1e-2


def test_without_one_finite_loss_the_lowest_rate_is_suggested() -> None:
    assert suggest([0.1, 0.2], [math.nan, math.inf], low=0.003, high=0.1) == 0.003


# --- picture sizes


@given(st.lists(st.integers(8, 256), min_size=1, max_size=5), lengths)
def test_sizes_come_in_their_order_each_for_an_equal_part(sizes: list[int], n: int) -> None:
    parts = [step * len(sizes) // n for step in range(n)]
    assert [size_at(sizes, step, n) for step in range(n)] == [sizes[part] for part in parts]
    counts = [parts.count(part) for part in range(len(sizes))]
    assert max(counts) - min(counts) <= 1


def test_beyond_the_last_step_the_last_size_stays() -> None:
    assert [size_at((32, 64), step, 4) for step in (3, 4, 400)] == [64, 64, 64]


def test_the_seconds_of_a_step_are_the_mean_over_its_sizes_without_their_first() -> None:
    spent = {32: [5.0, 1.0, 1.0, 1.0], 64: [9.0, 3.0, 3.0]}
    assert step_seconds(spent, (32, 64)) == 2.0
    assert step_seconds(spent, (32, 32, 32, 64)) == 1.5
    assert step_seconds({48: [4.0, 2.0, 2.0]}, ()) == 2.0


def test_a_size_that_was_not_reached_costs_as_much_per_pixel() -> None:
    assert step_seconds({32: [1.0]}, (32, 64, 128)) == pytest.approx((1 + 4 + 16) / 3)
