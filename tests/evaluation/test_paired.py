import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import UsageError
from fieldmark.evaluation.intervals import paired_difference
from fieldmark.evaluation.paired import accuracy_difference, holm, loss_difference, mcnemar

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


def difference(was, now, groups=None, level=0.95):
    return accuracy_difference(
        np.array(was, bool), np.array(now, bool), groups, level=level, seed=0
    )


# --- McNemar


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_equals_scipys_sign_test(n_one, n_other):
    p = mcnemar(n_one, n_other)
    if n_one + n_other == 0:
        assert p == 1.0
    else:
        expected = scipy.stats.binomtest(n_one, n_one + n_other, 0.5).pvalue
        assert p == pytest.approx(expected, rel=1e-9)


@given(st.integers(1_000, 40_000), st.floats(0.45, 0.55))
@settings(max_examples=20)
def test_mcnemar_keeps_its_precision_where_the_terms_leave_the_range_of_floats(n, share):
    n_one = round(n * share)
    expected = scipy.stats.binomtest(n_one, n, 0.5).pvalue
    # scipy's own sum loses digits out here as well.
    assert mcnemar(n_one, n - n_one) == pytest.approx(expected, rel=1e-7)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_does_not_care_which_of_the_two_comes_first(n_one, n_other):
    assert mcnemar(n_one, n_other) == mcnemar(n_other, n_one)


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_more_uneven_division_is_less_likely_by_chance(n_fewer, more):
    n_most = n_fewer + more
    assert mcnemar(n_fewer, n_most + 2) <= mcnemar(n_fewer + 1, n_most + 1)


@pytest.mark.parametrize(
    ("n_one", "n_other", "p"),
    [(0, 0, 1.0), (0, 1, 1.0), (3, 3, 1.0), (0, 5, 0.0625), (0, 6, 0.03125), (1, 7, 0.0703125)],
)
def test_mcnemar_gives_the_values_one_can_count_on_paper(n_one, n_other, p):
    assert mcnemar(n_one, n_other) == p


def test_a_p_value_too_small_for_a_float_is_zero_and_no_error():
    assert mcnemar(0, 5_000) == 0.0
    assert 0 < mcnemar(0, 1_000) < 1e-300


@pytest.mark.parametrize(("n_one", "n_other"), [(-1, 3), (3, -1)])
def test_mcnemar_refuses_what_is_no_count(n_one, n_other):
    with pytest.raises(UsageError, match="are no counts") as caught:
        mcnemar(n_one, n_other)
    assert caught.value.code == "interval"


# --- Holm


@given(P_VALUES)
def test_holm_lies_between_the_p_value_and_bonferronis(p_values):
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, len(p_values) * raw) + 1e-12


@given(P_VALUES)
def test_holm_keeps_the_order(p_values):
    adjusted = holm(p_values)
    for one in range(len(p_values)):
        for other in range(len(p_values)):
            if p_values[one] < p_values[other]:
                assert adjusted[one] <= adjusted[other]


@given(P_VALUES, st.randoms())
def test_holm_does_not_depend_on_the_order_of_the_list(p_values, random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    shuffled = holm([p_values[at] for at in order])
    expected = holm(p_values)
    assert shuffled == tuple(expected[at] for at in order)


@given(P_VALUES)
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    """The procedure as Holm wrote it: from the smallest on, until one fails."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = set()
    for rank, at in enumerate(order):
        if (len(p_values) - rank) * p_values[at] > 0.05:
            break
        rejected.add(at)
    assert {at for at, p in enumerate(holm(p_values)) if p <= 0.05} == rejected


def test_one_p_value_alone_is_not_adjusted():
    assert holm([0.034]) == (0.034,)
    assert holm([]) == ()


# --- differences


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_the_difference_is_that_of_the_two_accuracies(pairs):
    was, now = zip(*pairs, strict=True)
    found = difference(was, now)
    assert found.value == pytest.approx(np.mean(now) - np.mean(was))
    assert found.low <= found.value <= found.high
    assert found.n == len(pairs)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_the_difference_seen_from_the_other_side_has_the_other_sign(pairs):
    was, now = zip(*pairs, strict=True)
    one, other = difference(was, now), difference(now, was)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_without_groups_the_interval_is_agresti_and_mins():
    was, now = [True] * 20 + [False] * 30, [True] * 14 + [False] * 6 + [True] * 2 + [False] * 28
    found = difference(was, now)
    assert found.method == "Agresti-Min"
    assert (found.low, found.high) == paired_difference(2, 6, 50)


def test_a_higher_level_makes_a_wider_interval():
    was, now = [True] * 45 + [False] * 5, [True] * 40 + [False] * 10
    usual, strict = difference(was, now), difference(was, now, level=0.99)
    assert strict.low < usual.low
    assert strict.high > usual.high
    assert strict.level == 0.99


def test_pictures_that_belong_together_widen_the_interval():
    """Ten groups of 20: each is lost or gained as a whole, so there are ten facts, not 200."""
    groups = np.repeat(np.arange(10), 20)
    was, now = groups % 2 == 0, groups < 7
    alone, together = difference(was, now), difference(was, now, groups)
    assert together.low < alone.low
    assert together.high > alone.high
    assert "groups" in together.method


def test_groups_never_make_the_interval_narrower():
    """Gains and losses that even out within each group would, taken at their word."""
    was, now = np.array([True, False] * 20), np.array([False, True] * 20)
    groups = np.repeat(np.arange(20), 2)
    found = difference(was, now, groups)
    assert (found.low, found.high) == paired_difference(20, 20, 40)


def test_where_nothing_has_changed_a_group_counts_as_one_picture():
    same = np.array([True, False] * 20)
    found = difference(same, same, np.repeat(np.arange(10), 4))
    assert (found.low, found.high) == paired_difference(0, 0, 10)


def test_one_group_counts_as_one_picture():
    found = difference([True] * 30, [False] * 30, np.zeros(30, np.int64))
    assert (found.low, found.high) == paired_difference(0, 1, 1)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), min_size=1))
def test_with_any_groups_the_interval_holds_the_one_without(pictures):
    was, now, groups = zip(*pictures, strict=True)
    alone, together = difference(was, now), difference(was, now, np.array(groups))
    # The half examples that Agresti and Min add draw the middle towards 0, more so of a few.
    assert together.high - together.low >= alone.high - alone.low - 1e-9 or abs(together.low) == 1
    assert -1 <= together.low <= together.high <= 1


def test_groups_that_are_lost_as_a_whole_count_as_one_picture_each():
    was, now = np.arange(100) < 80, np.arange(100) < 60
    found = difference(was, now, np.repeat(np.arange(20), 5))
    # 20 groups, of which the variance of 4 lost ones is estimated from 19 degrees of freedom.
    assert (found.low, found.high) == pytest.approx(paired_difference(0, 3.8, 19))


def losses(n, shift, seed=0):
    drawn = rng.derive(seed, "losses")
    was = drawn.exponential(0.5, n)
    return was, was + drawn.normal(shift, 0.2, n)


def test_the_loss_difference_is_drawn_in_pairs():
    """The losses spread by 0.5 and the pairs by 0.2: unpaired, the interval would be far wider."""
    was, now = losses(400, -0.05)
    found = loss_difference(was, now, None, level=0.95, seed=0)
    assert found.value == pytest.approx((now - was).mean())
    half = (found.high - found.low) / 2
    assert half == pytest.approx(1.96 * (now - was).std() / math.sqrt(400), rel=0.1)
    assert found.method == "paired bootstrap"


def test_whole_groups_are_drawn_whatever_their_numbers_and_sizes():
    was, now = losses(60, 0.1)
    groups = np.repeat([7, 3, 900], [10, 20, 30])
    found = loss_difference(was, now, groups, level=0.95, seed=0)
    again = loss_difference(was, now, np.repeat([1, 0, 2], [10, 20, 30]), level=0.95, seed=0)
    assert (found.low, found.high) == (again.low, again.high)
    means = [(now - was)[groups == number].mean() for number in (7, 3, 900)]
    assert min(means) <= found.low <= found.value <= found.high <= max(means)


def test_one_or_two_pictures_have_an_interval_too():
    for n in (1, 2):
        found = loss_difference(np.zeros(n), np.arange(1.0, n + 1), None, level=0.95, seed=0)
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize(("n_groups", "size"), [(40, 1), (10, 20)], ids=["alone", "in groups"])
def test_intervals_of_the_loss_difference_cover_the_truth(n_groups, size):
    n_sets, covered = 300, 0
    groups = None if size == 1 else np.repeat(np.arange(n_groups), size)
    for each in range(n_sets):
        drawn = rng.derive(each, "coverage of losses")
        was = drawn.exponential(0.5, n_groups * size)
        moved = np.repeat(drawn.normal(0.05, 0.15, n_groups), size)
        now = was + moved + drawn.normal(0, 0.1, was.size)
        found = loss_difference(was, now, groups, level=0.95, seed=each)
        covered += found.low <= 0.05 <= found.high
    assert covered / n_sets >= 0.92


def test_groups_of_one_are_the_pictures_themselves():
    was, now = losses(50, 0.1)
    alone = loss_difference(was, now, None, level=0.95, seed=3)
    ones = loss_difference(was, now, np.arange(50), level=0.95, seed=3)
    assert (ones.low, ones.high) == pytest.approx((alone.low, alone.high))


def test_the_same_seed_gives_the_same_interval():
    was, now = losses(50, 0.1)
    one, again, other = (
        loss_difference(was, now, None, level=0.95, seed=seed) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in groups"])
def test_intervals_of_the_difference_cover_the_truth(grouped):
    """400 simulated test sets of 120 pictures; groups of 4 that go wrong together."""
    n_sets, n, size, truth = 400, 120, 4 if grouped else 1, 0.06
    groups = np.repeat(np.arange(n // size), size) if grouped else None
    covered = 0
    for each in range(n_sets):
        drawn = rng.derive(each, "coverage")
        fate = np.repeat(drawn.random(n // size), size)
        was, now = fate < 0.80, (fate < 0.74) | (fate >= 0.88)
        found = accuracy_difference(was, now, groups, level=0.95, seed=0)
        covered += found.low <= truth <= found.high
    assert covered / n_sets >= 0.92


def test_with_few_groups_each_counts_as_one_picture():
    was = np.zeros(24, bool)
    now = np.arange(24) % 2 == 0  # half of every group is gained: groups seem not to differ
    few = difference(was, now, np.arange(24) // 12)
    many = difference(np.tile(was, 10), np.tile(now, 10), np.arange(240) // 12)
    assert few.low < 0
    assert many.low > 0.2
