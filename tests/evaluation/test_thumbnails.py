import base64

from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.thumbnails import dealt, inside_bytes

GROUPS = st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=6)
BUDGETS = st.integers(0, 500)


def spent(groups, kept):
    return sum(sum(items[:n]) for items, n in zip(groups, kept, strict=True))


@given(st.binary(max_size=100))
def test_the_size_inside_a_page_is_that_of_base64(data):
    assert inside_bytes(len(data)) == len(base64.b64encode(data))


@given(GROUPS, BUDGETS)
def test_the_budget_is_kept_and_nothing_is_invented(groups, budget):
    kept = dealt(groups, budget)
    assert spent(groups, kept) <= budget
    assert all(0 <= n <= len(items) for items, n in zip(groups, kept, strict=True))


@given(GROUPS, BUDGETS)
def test_a_group_ends_only_where_nothing_more_fits(groups, budget):
    kept = dealt(groups, budget)
    left = budget - spent(groups, kept)
    assert all(items[n] > left for items, n in zip(groups, kept, strict=True) if n < len(items))


@given(GROUPS)
def test_with_room_for_all_everything_is_kept(groups):
    assert dealt(groups, sum(map(sum, groups))) == tuple(map(len, groups))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 60))
def test_items_of_one_size_are_dealt_in_turns(lengths, n_fit):
    kept = dealt([[10] * n for n in lengths], 10 * n_fit)
    assert sum(kept) == min(n_fit, sum(lengths))
    for n, length in zip(kept, lengths, strict=True):
        assert n == length or n >= max(kept) - 1


def test_a_long_group_leaves_room_for_a_short_one():
    assert dealt([[10] * 100, [10]], 40) == (3, 1)


def test_what_costs_nothing_is_always_kept():
    assert dealt([[0, 0], [0]], 0) == (2, 1)


def test_an_item_too_large_closes_its_own_group_only():
    assert dealt([[10, 1000, 1], [10, 10]], 100) == (1, 2)
