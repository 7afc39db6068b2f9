import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import DataError
from fieldmark.evaluation.calibration import softmax
from fieldmark.evaluation.decision import accept, margins
from fieldmark.evaluation.intervals import wilson
from fieldmark.evaluation.risk_coverage import MAX_POINTS, risk_coverage


def drawn(n=300, n_classes=4, seed=0):
    draws = rng.derive(seed, "risk")
    labels = draws.integers(0, n_classes, n)
    logits = draws.normal(0, 1, (n, n_classes))
    logits[np.arange(n), labels] += 1.5
    return logits, labels


def test_the_last_point_is_the_error_of_all_answers():
    logits, labels = drawn()
    last = risk_coverage(softmax(logits, 1.0), labels)[-1]
    n_wrong = int((logits.argmax(axis=1) != labels).sum())
    assert last.coverage == 1.0
    assert last.error.n == 300
    assert last.error.value == n_wrong / 300
    assert (last.error.low, last.error.high) == wilson(n_wrong, 300)


def test_each_point_is_what_counting_by_hand_gives():
    logits, labels = drawn(200)
    wrong = logits.argmax(axis=1) != labels
    order = np.argsort(-margins(logits))
    for point in risk_coverage(softmax(logits, 1.0), labels, max_points=10):
        n = point.error.n
        assert point.coverage == n / 200
        assert point.error.value == pytest.approx(wrong[order[:n]].mean())


def test_the_place_of_the_models_own_threshold_lies_on_the_curve():
    logits, labels = drawn(2000)
    rule = accept(logits, labels, error=0.1)
    curve = risk_coverage(softmax(logits, 1.0), labels, max_points=2000)
    (point,) = [each for each in curve if each.error.n == rule.n_accepted]
    assert point.error.value == pytest.approx(rule.n_wrong / rule.n_accepted)


def test_a_temperature_changes_nothing():
    logits, labels = drawn()
    plain = risk_coverage(softmax(logits, 1.0), labels)
    assert risk_coverage(softmax(logits, 2.5), labels) == plain


def test_answers_that_are_equally_sure_are_never_parted():
    scores = np.array([[0.9, 0.1]] * 30 + [[0.6, 0.4]] * 10)
    labels = np.array([0] * 30 + [1] * 10)
    curve = risk_coverage(scores, labels)
    assert [(each.error.n, each.error.value) for each in curve] == [(30, 0.0), (40, 0.25)]
    # Nor does the order of the rows matter, which decides nothing.
    assert risk_coverage(scores[::-1], labels[::-1]) == curve


def test_scores_of_exactly_zero_are_numbers_too():
    curve = risk_coverage(np.eye(2)[[0, 1, 0]], np.array([0, 1, 1]))
    assert [(each.coverage, each.error.value) for each in curve] == [(1.0, pytest.approx(1 / 3))]


def test_nothing_to_measure_is_an_error():
    with pytest.raises(DataError, match="not one example"):
        risk_coverage(np.empty((0, 2)), np.empty(0, np.int64))


@given(st.integers(1, 200), st.integers(2, 5), st.integers(1, 80), st.integers(0, 50))
def test_points_are_few_rise_and_end_at_all(n, n_classes, most, seed):
    logits, labels = drawn(n, n_classes, seed)
    curve = risk_coverage(softmax(logits, 1.0), labels, max_points=most)
    kept = [each.error.n for each in curve]
    assert 1 <= len(curve) <= most
    assert kept == sorted(set(kept))
    assert kept[-1] == n
    assert all(each.error.low <= each.error.value <= each.error.high for each in curve)


def test_fifty_points_are_enough_for_a_chart():
    logits, labels = drawn(5000)
    curve = risk_coverage(softmax(logits, 1.0), labels)
    assert len(curve) == MAX_POINTS
    steps = np.diff([0, *(each.coverage for each in curve)])
    assert steps == pytest.approx(1 / MAX_POINTS)


def test_where_pictures_come_in_groups_every_interval_counts_groups():
    logits, labels = drawn(40)
    logits, labels = np.repeat(logits, 6, axis=0), np.repeat(labels, 6)
    groups = np.repeat(np.arange(40), 6)
    alone = risk_coverage(softmax(logits, 1.0), labels)
    together = risk_coverage(softmax(logits, 1.0), labels, groups=groups)
    for one, other in zip(alone, together, strict=True):
        assert (one.coverage, one.error.value) == (other.coverage, other.error.value)
        assert other.error.high - other.error.low > one.error.high - one.error.low
        assert other.error.n_groups == len(np.unique(groups[: one.error.n]))
