import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation import resampling
from fieldmark.evaluation.metrics import balanced_accuracy_of, macro_f1_of, tallies
from fieldmark.evaluation.resampling import Units, bca, bootstrap, draws, resampled_sums


def means(sums):
    return sums[:, 0] / sums[:, 1]


def units_of(values):
    values = np.asarray(values, np.float64)
    return Units.of(np.stack([values, np.ones(len(values))], axis=1))


def mean_interval(values, groups=None, seed=0, **named):
    return resampling.mean_interval(values, groups, rng=rng.derive(seed), **named)


# --- what is drawn


def test_units_are_the_sums_of_groups_and_equal_ones_are_kept_once():
    rows = np.array([[1.0, 1], [2, 1], [3, 1], [9, 1]])
    found = Units.of(rows, np.array([4, 4, 7, 8]))
    assert found.rows.tolist() == [[3, 1], [3, 2], [9, 1]]
    assert found.counts.tolist() == [1, 1, 1]
    alone = Units.of(rows[[0, 1, 0, 0]])
    assert (alone.rows[:, 0].tolist(), alone.counts.tolist(), alone.n) == ([1, 2], [3, 1], 4)


@pytest.mark.parametrize("n_kinds", [2, 40])
def test_resampled_sums_have_the_moments_of_drawing_with_replacement(n_kinds):
    """Few kinds are drawn as counts and many one by one: both are the same distribution."""
    values = np.arange(100) % n_kinds
    sums = resampled_sums(units_of(values), rng.derive(1), 20_000)
    assert sums.shape == (20_000, 2)
    assert (sums[:, 1] == 100).all()
    assert sums[:, 0].mean() == pytest.approx(values.sum(), rel=0.01)
    assert sums[:, 0].var() == pytest.approx(100 * values.var(), rel=0.05)


def test_every_draw_takes_as_many_units_as_there_are():
    found = np.concatenate(list(draws(30, rng.derive(2), 500)))
    assert found.shape == (500, 30)
    assert (found.sum(axis=1) == 30).all()
    assert found.mean(axis=0) == pytest.approx(np.ones(30), abs=0.2)


def test_memory_stays_bounded_and_does_not_change_the_answer(monkeypatch):
    values = rng.derive(7).normal(size=100)
    at_once = mean_interval(values, n_resamples=400)
    pieces = []
    monkeypatch.setattr(resampling, "_MAX_NUMBERS", 1000)
    assert mean_interval(values, n_resamples=400) == pytest.approx(at_once, abs=1e-12)
    pieces = [piece.shape for piece in draws(100, rng.derive(0), 35)]
    assert pieces == [(10, 100), (10, 100), (10, 100), (5, 100)]


def test_more_units_than_fit_are_taken_one_resample_at_a_time(monkeypatch):
    monkeypatch.setattr(resampling, "_MAX_NUMBERS", 10)
    low, high = mean_interval(np.arange(50.0), n_resamples=100)
    assert low < 24.5 < high


# --- the interval


def test_the_same_seed_gives_the_same_interval_whatever_the_order():
    values = rng.derive(1, "values").exponential(size=200)
    first = mean_interval(values, seed=5)
    assert first == mean_interval(values, seed=5)
    assert first == mean_interval(values[::-1], seed=5)
    assert first != mean_interval(values, seed=6)


def test_the_interval_of_a_skewed_mean_agrees_with_scipys_bca():
    values = rng.derive(2, "values").exponential(size=300)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=rng.derive(3)
    ).confidence_interval
    got = mean_interval(values, seed=4, n_resamples=20_000)
    # Two Monte Carlo runs, and Student's t: each end is uncertain by 2 % of the width, 0.25.
    assert got == pytest.approx((expected.low, expected.high), abs=0.01)
    percentile = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=rng.derive(3)
    ).confidence_interval
    assert got[1] > percentile.high + 0.005, "skew moves the upper end outwards"


def test_without_bias_and_skew_it_is_the_percentile_interval_at_students_t():
    normal = scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    low, high = bca(0.0, normal, np.array([1.0, -1.0] * 500))
    wide = scipy.stats.t.ppf(0.975, 999) * math.sqrt(1000 / 999)
    assert (low, high) == pytest.approx((-wide, wide), abs=0.01)


def test_bias_and_skew_move_the_ends_as_efron_says():
    normal = scipy.stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    influence = np.concatenate([np.full(900, -1.0), np.full(100, 9.0)])
    value = 0.1
    bias = scipy.stats.norm.cdf(value)
    z0 = scipy.stats.norm.ppf(bias)
    a = (influence**3).sum() / (6 * np.square(influence).sum() ** 1.5)
    wide = scipy.stats.t.ppf(0.975, 999) * math.sqrt(1000 / 999)
    wanted = [z0 + (z0 + z) / (1 - a * (z0 + z)) for z in (-wide, wide)]
    assert bca(value, normal, influence) == pytest.approx(wanted, abs=0.01)


def test_the_value_is_inside_even_when_every_resample_lies_on_one_side():
    low, high = bca(5.0, np.linspace(0, 1, 100), np.array([1.0, -1.0, 0.0]))
    assert low <= 5.0 == high


def test_groups_are_drawn_as_a_whole_and_make_the_interval_as_wide_as_they_are_alike():
    groups = np.arange(1000) // 10
    alike = rng.derive(3).normal(size=100)[groups]
    low, high = mean_interval(alike, groups)
    free = mean_interval(alike)
    assert high - low == pytest.approx(math.sqrt(10) * (free[1] - free[0]), rel=0.1)
    by_group = mean_interval(alike[::10])
    assert (low, high) == pytest.approx(by_group, abs=1e-9)


def test_the_names_of_groups_do_not_matter():
    values = rng.derive(4).normal(size=60)
    groups = np.arange(60) // 4
    assert mean_interval(values, groups) == mean_interval(values, 900 - 7 * groups)


def test_few_units_widen_the_interval_beyond_its_percentiles():
    values = rng.derive(5).normal(size=6)
    low, high = mean_interval(values)
    resamples = means(resampled_sums(units_of(values), rng.derive(0), 2000))
    inner = np.quantile(resamples, [0.025, 0.975])
    assert low < inner[0]
    assert high > inner[1]


def test_one_unit_has_an_interval_of_no_width():
    assert mean_interval([0.25]) == (0.25, 0.25)
    assert mean_interval([0.25, 0.75], np.array([3, 3])) == (0.5, 0.5)


def test_bootstrapping_nothing_or_at_no_level_is_an_error():
    with pytest.raises(DataError, match="not one example"):
        mean_interval([])
    with pytest.raises(UsageError, match="between 0 and 1"):
        mean_interval([1.0, 2.0], level=95.0)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_resampled_averages_are_finite_and_in_range(pairs, n_groups):
    labels, predicted = (np.array(each) for each in zip(*pairs, strict=True))
    rows = tallies(labels, predicted, 5)
    for groups in (None, np.arange(len(labels)) % n_groups):
        for statistic in (macro_f1_of, balanced_accuracy_of):
            units = Units.of(rows, groups)
            low, high = bootstrap(units, statistic, rng=rng.derive(0), n_resamples=50)
            value = float(statistic(rows.sum(axis=0)))
            assert -1e-12 <= low <= value + 1e-12
            assert value - 1e-12 <= high <= 1.0 + 1e-12


@pytest.mark.parametrize("n_groups", [None, 60])
def test_the_interval_of_a_mean_covers_the_truth_about_as_often_as_it_says(n_groups):
    n_trials, n_covered = 300, 0
    for trial in range(n_trials):
        draw = rng.derive(11, "trial", trial)
        values = draw.exponential(size=120)
        groups = None
        if n_groups:
            groups = np.arange(120) % n_groups
            values = values + draw.exponential(size=n_groups)[groups] - 1
        low, high = mean_interval(values, groups, seed=trial, n_resamples=500)
        n_covered += low <= 1.0 <= high
    assert 0.91 < n_covered / n_trials < 0.985
