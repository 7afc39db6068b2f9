import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation import intervals
from fieldmark.evaluation.intervals import (
    bootstrap,
    bootstrap_confusion,
    paired_difference,
    wilson,
)
from fieldmark.evaluation.metrics import balanced_accuracy_of, confusion, macro_f1_of


def counts_of(labels, predicted, n_classes):
    return confusion(np.asarray(labels), np.asarray(predicted), n_classes)


@given(st.data(), st.integers(1, 5000), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_wilson_equals_scipy(data, n, level):
    n_correct = data.draw(st.integers(0, n))
    expected = scipy.stats.binomtest(n_correct, n).proportion_ci(level, method="wilson")
    assert wilson(n_correct, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"),
    [(95, 100, 0.888, 0.978), (20, 20, 0.839, 1.0), (50, 50, 0.929, 1.0), (0, 20, 0.0, 0.161)],
)
def test_wilson_gives_the_published_values(n_correct, n, low, high):
    assert wilson(n_correct, n) == pytest.approx((low, high), abs=5e-4)


@given(st.data(), st.integers(1, 10_000))
def test_wilson_holds_the_rate_and_stays_in_range(data, n):
    n_correct = data.draw(st.integers(0, n))
    low, high = wilson(n_correct, n)
    assert 0.0 <= low <= n_correct / n <= high <= 1.0


@given(st.data(), st.integers(1, 1000))
def test_wilson_is_the_same_seen_from_the_errors(data, n):
    n_correct = data.draw(st.integers(0, n))
    low, high = wilson(n_correct, n)
    assert wilson(n - n_correct, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_all_right_is_never_certain_and_all_wrong_is_exactly_zero():
    assert wilson(7, 7)[1] == 1.0
    assert wilson(7, 7)[0] < 1.0
    assert wilson(0, 7)[0] == 0.0


def test_more_examples_and_lower_levels_make_narrower_intervals():
    def width(n_correct, n, level=0.95):
        low, high = wilson(n_correct, n, level)
        return high - low

    assert width(900, 1000) < width(90, 100) < width(9, 10)
    assert width(90, 100, 0.5) < width(90, 100, 0.95) < width(90, 100, 0.99)


@pytest.mark.parametrize("rate", [0.5, 0.75, 0.9, 0.97])
@pytest.mark.parametrize("n", [50, 200, 646])
def test_wilson_covers_the_truth_as_often_as_it_says(rate, n):
    """Exact, by summing the binomial distribution over all outcomes whose interval holds it."""
    covered = [k for k in range(n + 1) if wilson(k, n)[0] <= rate <= wilson(k, n)[1]]
    # Counts are whole, so coverage moves around 95 % in steps: Brown, Cai and DasGupta, figure 5.
    assert 0.92 < scipy.stats.binom.pmf(covered, n, rate).sum() < 0.98


def test_nothing_counted_is_an_error():
    with pytest.raises(DataError, match="not one example") as caught:
        wilson(0, 0)
    assert caught.value.code == "nothing-to-measure"
    assert caught.value.hint


@pytest.mark.parametrize(("n_correct", "n"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_an_error(n_correct, n):
    with pytest.raises(UsageError, match=f"{n_correct} correct of {n}"):
        wilson(n_correct, n)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95.0])
def test_impossible_levels_are_an_error(level):
    with pytest.raises(UsageError, match="between 0 and 1"):
        wilson(1, 2, level)
    with pytest.raises(UsageError, match="between 0 and 1"):
        bootstrap(np.ones(3), rng=rng.derive(0), level=level)


def test_the_same_seed_gives_the_same_interval():
    values = rng.derive(1, "values").exponential(size=200)
    first = bootstrap(values, rng=rng.derive(5, "a"))
    assert first == bootstrap(values, rng=rng.derive(5, "a"))
    assert first != bootstrap(values, rng=rng.derive(6, "a"))


def test_the_mean_interval_agrees_with_scipy():
    values = rng.derive(2, "values").exponential(size=300)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=rng.derive(3)
    ).confidence_interval
    got = bootstrap(values, rng=rng.derive(4), n_resamples=4000)
    # Two Monte Carlo runs: each end is uncertain by about 3 % of the interval's width.
    assert got == pytest.approx((expected.low, expected.high), abs=0.02)


def test_any_statistic_of_rows_can_be_bounded():
    values = np.arange(101.0)
    low, high = bootstrap(values, lambda rows: np.median(rows, axis=-1), rng=rng.derive(0))
    assert low < 50 < high
    assert (low, high) != bootstrap(values, rng=rng.derive(0))


def test_memory_stays_bounded_and_does_not_change_the_answer(monkeypatch):
    values = rng.derive(7).normal(size=100)
    at_once = bootstrap(values, rng=rng.derive(0), n_resamples=500)
    seen = []

    def noting(rows):
        seen.append(rows.shape)
        return rows.mean(axis=-1)

    monkeypatch.setattr(intervals, "_MAX_NUMBERS", 1000)
    assert bootstrap(values, noting, rng=rng.derive(0), n_resamples=500) == at_once
    assert set(seen) == {(10, 100)}


def test_more_values_than_fit_are_taken_one_resample_at_a_time(monkeypatch):
    monkeypatch.setattr(intervals, "_MAX_NUMBERS", 10)
    low, high = bootstrap(np.arange(50.0), rng=rng.derive(0), n_resamples=100)
    assert low < 24.5 < high


def test_one_value_has_an_interval_of_no_width():
    assert bootstrap(np.array([0.25]), rng=rng.derive(0)) == (0.25, 0.25)


def test_bootstrapping_nothing_is_an_error():
    with pytest.raises(DataError, match="not one example"):
        bootstrap(np.array([]), rng=rng.derive(0))
    with pytest.raises(DataError, match="not one example"):
        bootstrap_confusion(np.zeros((2, 2), dtype=np.int64), macro_f1_of, rng=rng.derive(0))


def test_the_bootstrap_of_a_mean_covers_the_truth_about_as_often_as_it_says():
    n_trials, n_covered = 400, 0
    for trial in range(n_trials):
        values = rng.derive(11, "trial", trial).exponential(size=120)
        low, high = bootstrap(values, rng=rng.derive(12, trial), n_resamples=300)
        n_covered += low <= 1.0 <= high
    # 95 % less the known loss of the percentile method on skewed data; 3 standard errors is 0.033.
    assert 0.89 < n_covered / n_trials < 0.98


def test_counting_by_multinomial_is_resampling_examples():
    draws = rng.derive(3)
    labels = draws.integers(0, 3, 250)
    predicted = np.where(draws.random(250) < 0.7, labels, draws.integers(0, 3, 250))
    codes = (labels * 3 + predicted).astype(np.float64)

    def by_examples(rows):
        return np.array(
            [macro_f1_of(np.bincount(row.astype(int), minlength=9).reshape(3, 3)) for row in rows]
        )

    slow = bootstrap(codes, by_examples, rng=rng.derive(8))
    fast = bootstrap_confusion(counts_of(labels, predicted, 3), macro_f1_of, rng=rng.derive(9))
    # Two Monte Carlo runs of 2,000 on an interval about 0.12 wide.
    assert fast == pytest.approx(slow, abs=0.01)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_resampled_averages_are_finite_and_in_range(pairs):
    labels, predicted = zip(*pairs, strict=True)
    counts = counts_of(labels, predicted, 5)
    for statistic in (macro_f1_of, balanced_accuracy_of):
        low, high = bootstrap_confusion(counts, statistic, rng=rng.derive(0), n_resamples=50)
        assert 0.0 <= low <= high <= 1.0
        assert math.isfinite(high)


def test_many_classes_are_resampled_in_pieces(monkeypatch):
    counts = np.diag(np.full(30, 4)).astype(np.int64)
    counts[0, 1] = 5
    whole = bootstrap_confusion(counts, macro_f1_of, rng=rng.derive(0), n_resamples=40)
    monkeypatch.setattr(intervals, "_MAX_NUMBERS", 1800)
    assert bootstrap_confusion(counts, macro_f1_of, rng=rng.derive(0), n_resamples=40) == whole


@given(st.data(), st.integers(1, 5000))
def test_a_paired_difference_holds_the_difference_and_turns_with_its_sides(data, n):
    n_lost = data.draw(st.integers(0, n))
    n_gained = data.draw(st.integers(0, n - n_lost))
    low, high = paired_difference(n_lost, n_gained, n)
    assert -1 <= low < high <= 1
    # Half an example in each cell pulls it towards 0, by less than 2 / n.
    assert low - 2 / n <= (n_lost - n_gained) / n <= high + 2 / n
    assert paired_difference(n_gained, n_lost, n) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("rate_lost", "rate_gained"), [(0.02, 0.02), (0.05, 0.01), (0.01, 0.01)])
def test_a_paired_difference_covers_as_often_as_it_says(rate_lost, rate_gained):
    draw = rng.derive(0, "paired")
    n, truth = 400, rate_lost - rate_gained
    counts = draw.multinomial(n, [rate_lost, rate_gained, 1 - rate_lost - rate_gained], 2000)
    bounds = [paired_difference(int(lost), int(gained), n) for lost, gained, _ in counts]
    covered = np.mean([low <= truth <= high for low, high in bounds])
    assert 0.93 < covered <= 0.99


@pytest.mark.parametrize(("n_lost", "n_gained", "n"), [(-1, 0, 5), (0, -1, 5), (3, 3, 5)])
def test_counts_that_are_no_part_of_the_whole_are_refused(n_lost, n_gained, n):
    with pytest.raises(UsageError, match="are not among 5") as caught:
        paired_difference(n_lost, n_gained, n)
    assert caught.value.code == "interval"
