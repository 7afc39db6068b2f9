import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation.intervals import (
    effective_n,
    kish_n,
    paired_difference,
    student_quantile,
    wilson,
    wilson_rate,
)


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
        effective_n(np.ones(3, bool), np.arange(3), level)


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


# --- groups


@given(st.integers(1, 200), st.integers(0, 200))
def test_a_rate_of_whole_counts_has_the_interval_of_the_counts(n, n_correct):
    n_correct = min(n, n_correct)
    assert wilson_rate(n_correct / n, float(n)) == wilson(n_correct, n)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_examples_that_stand_alone_are_worth_their_number(right):
    assert effective_n(np.array(right), np.arange(len(right))) == len(right)


@given(st.data(), st.lists(st.booleans(), min_size=1, max_size=60))
def test_groups_never_make_an_answer_worth_more(data, right):
    n = len(right)
    groups = np.array(data.draw(st.lists(st.integers(0, 9), min_size=n, max_size=n)))
    worth = effective_n(np.array(right), groups)
    assert 0 < worth <= n
    order = data.draw(st.permutations(range(n)))
    assert effective_n(np.array(right)[order], 7 * groups[order] - 3) == pytest.approx(worth)
    assert effective_n(~np.array(right), groups) == pytest.approx(worth)


def test_without_a_mistake_a_group_is_worth_one_example():
    assert effective_n(np.ones(60, bool), np.arange(60) // 5) == 12
    assert effective_n(np.zeros(60, bool), np.arange(60) // 5) == 12
    assert effective_n(np.ones(60, bool), np.zeros(60, int)) == 1


def test_groups_that_stand_or_fall_together_are_worth_little_more_than_their_number():
    groups = np.arange(1000) // 5
    together = rng.derive(0).random(200)[groups] < 0.8
    apart = rng.derive(0).random(1000) < 0.8
    assert 150 < effective_n(together, groups) < 260
    assert 750 < effective_n(apart, groups) <= 1000


def test_few_groups_are_worth_less_since_their_spread_is_hardly_known():
    right = np.array([True, True, True, False] * 10)
    assert effective_n(right, np.arange(40) // 20) < 2
    assert effective_n(right, np.arange(40) // 8) < effective_n(right, np.arange(40) // 4) < 40


def test_the_worth_of_unequal_groups_is_kishs():
    assert kish_n(np.array([5, 5, 5])) == 3
    assert kish_n(np.array([100, 1])) == pytest.approx(101**2 / 10_001)
    right = np.ones(101, bool)
    assert effective_n(right, np.arange(101) // 100) == pytest.approx(101**2 / 10_001)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 29, 1000])
def test_students_quantile_is_scipys(freedom, level):
    share = 0.5 + level / 2
    # Four terms of the series: a thousandth for ten groups, a few percent for four at 99 %.
    tolerance = 1e-9 if freedom < 3 else 0.03 if freedom < 5 else 2e-3
    wanted = scipy.stats.t.ppf(share, freedom)
    assert student_quantile(share, freedom) == pytest.approx(wanted, rel=tolerance)


def test_wilson_for_groups_covers_where_wilson_for_pictures_does_not():
    """Groups of five frames, alike by 0.3: the benchmark ``coverage`` has the whole table."""
    held = {"groups": 0, "pictures": 0}
    n_sets, n = 400, 200
    groups = np.arange(n) // 5
    for number in range(n_sets):
        draw = rng.derive(number, "groups")
        chances = draw.beta(0.9 * 7 / 3, 0.1 * 7 / 3, n // 5)
        right = draw.random(n) < chances[groups]
        rate, worth = right.mean(), effective_n(right, groups)
        for name, size in (("groups", worth), ("pictures", n)):
            low, high = wilson_rate(rate, size)
            held[name] += low <= 0.9 <= high
    assert 0.93 * n_sets < held["groups"] < 0.99 * n_sets
    assert held["pictures"] < 0.91 * n_sets
