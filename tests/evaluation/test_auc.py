import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.evaluation import auc
from fieldmark.evaluation.auc import Areas
from tests.evaluation.answers import measured


def by_pairs(scores, truth):
    """The definition: every pair of one of the class and one of the rest, equal scores half."""
    found = []
    for at in range(scores.shape[1]):
        own, rest = scores[truth == at, at], scores[truth != at, at]
        if len(own) and len(rest):
            right = (own[:, None] > rest[None]) + 0.5 * (own[:, None] == rest[None])
            found.append(right.mean())
    return np.mean(found) if found else np.nan


def rounded(found, digits=1):
    """Scores with many equal ones."""
    probs, labels = found
    return np.round(probs, digits), labels


@given(measured(), st.booleans())
def test_the_area_is_the_share_of_pairs_in_the_right_order(found, coarse):
    probs, labels = rounded(found) if coarse else found
    value = Areas(probs, labels).value
    assert value == pytest.approx(by_pairs(probs, labels), abs=1e-12, nan_ok=True)


@settings(max_examples=40)
@given(measured(), st.integers(0, 1000), st.booleans())
def test_weights_are_examples_counted_several_times(found, seed, coarse):
    probs, labels = rounded(found) if coarse else found
    times = rng.derive(seed).integers(0, 4, (len(labels), 3))
    got = Areas(probs, labels).weighted(times.astype(np.float32))
    for column, value in zip(times.T, got, strict=True):
        again = np.repeat(np.arange(len(labels)), column)
        wanted = by_pairs(probs[again], labels[again]) if len(again) else np.nan
        assert value == pytest.approx(wanted, abs=1e-12, nan_ok=True)


@given(measured())
def test_growing_scores_by_any_rising_function_changes_nothing(found):
    probs, labels = found
    value = Areas(probs, labels).value
    # Exact in floating point, so that no two scores become equal.
    assert Areas(8 * probs, labels).value == pytest.approx(value, abs=1e-12, nan_ok=True)


@given(measured())
def test_backwards_scores_turn_the_area_around(found):
    probs, labels = found
    value = Areas(probs, labels).value
    assert Areas(-probs, labels).value == pytest.approx(1 - value, abs=1e-12, nan_ok=True)


@settings(max_examples=40)
@given(measured(), st.booleans())
def test_the_influence_is_the_slope_of_the_area_in_each_weight(found, coarse):
    probs, labels = rounded(found) if coarse else found
    areas = Areas(probs, labels)
    if not len(areas.sizes):
        assert not areas.influence().any()
        return
    n, step = len(labels), 1e-6
    moved = np.ones((n, n)) + step * np.eye(n)
    slope = (areas.weighted(moved) - areas.value) / step * n
    assert areas.influence() == pytest.approx(slope, abs=1e-3 * n)
    assert areas.influence().mean() == pytest.approx(0, abs=1e-9)


def answers(n, n_classes, sure, seed=0):
    draw = rng.derive(seed, "answers")
    labels = draw.integers(0, n_classes, n)
    logits = draw.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += sure
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("grouped", [False, True])
def test_the_straight_way_for_many_examples_agrees_with_the_full_one(monkeypatch, grouped):
    areas = Areas(*answers(3000, 3, 2.0))
    groups = np.arange(3000) // 3 if grouped else None
    full = areas.interval(groups, rng.derive(1), 2000)
    monkeypatch.setattr(auc, "MAX_EXACT", 0)
    straight = areas.interval(groups, rng.derive(2), 2000)
    # Two Monte Carlo runs of an interval about 0.01 wide.
    assert straight == pytest.approx(full, abs=1e-3)


def test_the_interval_agrees_with_delongs_variance():
    probs, labels = answers(800, 2, 1.0)
    areas = Areas(probs, labels)
    own, rest = probs[labels == 1, 1], probs[labels == 0, 1]
    above = own[:, None] > rest[None]
    variance = above.mean(axis=1).var(ddof=1) / len(own) + above.mean(axis=0).var(ddof=1) / len(
        rest
    )
    low, high = areas.interval(None, rng.derive(0), 2000)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.06)
    assert low < areas.value < high


def test_groups_of_copies_count_once():
    probs, labels = answers(150, 3, 1.0)
    four = np.repeat(np.arange(150), 4)
    once = Areas(probs, labels).interval(None, rng.derive(3), 2000)
    copied = Areas(probs[four], labels[four])
    assert copied.interval(four, rng.derive(3), 2000) == pytest.approx(once, abs=1e-9)
    low, high = copied.interval(None, rng.derive(3), 2000)
    assert high - low < 0.6 * (once[1] - once[0])


def test_one_group_alone_has_no_width():
    areas = Areas(*answers(30, 2, 1.0))
    assert areas.interval(np.zeros(30, np.int64), rng.derive(0), 100) == (areas.value,) * 2
