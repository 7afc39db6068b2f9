import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.errors import UsageError
from fieldmark.evaluation.association import Factorials, fisher, grouped_test

COUNTS = st.tuples(*[st.integers(0, 60)] * 4).filter(lambda table: sum(table) > 0)


@given(COUNTS)
@settings(max_examples=200)
def test_fisher_equals_scipys(table):
    expected = scipy.stats.fisher_exact([table[:2], table[2:]])[1]
    assert fisher(table) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@given(COUNTS)
def test_which_side_is_called_the_part_does_not_matter(table):
    assert fisher(table) == pytest.approx(fisher((*table[2:], *table[:2])), rel=1e-9)


def test_fisher_knows_the_lady_who_tastes_tea():
    assert fisher((4, 0, 0, 4)) == pytest.approx(2 / 70)
    assert fisher((3, 1, 1, 3)) == pytest.approx(34 / 70)


def test_fisher_bears_large_counts():
    p = fisher((3000, 9500, 6000, 31500), Factorials(50_000))
    assert 0 < p < 1e-60


def test_fisher_refuses_what_is_no_count():
    with pytest.raises(UsageError, match="are no counts") as caught:
        fisher((-1, 3, 3, 3))
    assert caught.value.code == "interval"


def test_nobody_wrong_or_everybody_in_the_part_says_nothing():
    ones, groups = np.ones(20, np.bool_), np.arange(20) // 2
    half = np.arange(20) < 10
    assert grouped_test(ones, half, groups) == 1
    assert grouped_test(half, ones, groups) == 1
    assert fisher((0, 10, 0, 10)) == 1


@given(st.integers(0, 1000), st.integers(1, 12))
@settings(max_examples=60)
def test_the_grouped_test_gives_a_probability_and_does_not_care_for_order(seed, size):
    rng = np.random.default_rng(seed)
    right, inside, groups = rng.random(60) < 0.8, rng.random(60) < 0.3, np.arange(60) // size
    p = grouped_test(right, inside, groups)
    order = rng.permutation(60)
    assert 0 < p <= 1
    assert grouped_test(right[order], inside[order], groups[order]) == pytest.approx(p)


def test_a_difference_inside_of_every_group_is_seen():
    groups = np.arange(200) // 2
    inside = np.arange(200) % 2 == 0
    right = ~inside | (groups % 2 == 0)
    assert grouped_test(right, inside, groups) < 1e-8


def test_wrong_together_counts_as_about_one():
    """40 of 50 wrong in five films, 0 of 150 in fifteen: far less sure than of 200 pictures."""
    groups = np.repeat(np.arange(20), 10)
    inside, right = groups < 5, groups > 3
    counts = (40, 10, 0, 150)
    assert fisher(counts) < 1e-20
    assert 0.001 < grouped_test(right, inside, groups) < 0.1
