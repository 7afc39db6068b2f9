"""What is promised of accepted answers: by hand, by simulation, and whatever the numbers are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.decision import (
    MARGINS,
    accept,
    at_most,
    margins,
    n_needed,
    set_margin,
    upper_bound,
)


def drawn(n: int, seed: int, sharpness: float = 1.5, n_classes: int = 5):
    """Logits of a network that is right as often as its scores say, times a factor."""
    draw = np.random.default_rng(seed)
    true = sharpness * draw.standard_normal((n, n_classes))
    powers = np.exp(true)
    scores = powers / powers.sum(axis=1, keepdims=True)
    labels = (scores.cumsum(axis=1) < draw.random((n, 1))).sum(axis=1)
    return true * 3, labels


def test_the_binomial_tail_is_the_sum_of_its_terms():
    expected = sum(math.comb(20, k) * 0.3**k * 0.7 ** (20 - k) for k in range(5))
    assert at_most(4, 20, 0.3) == pytest.approx(expected, rel=1e-12)
    assert (at_most(20, 20, 0.3), at_most(3, 20, 0.0), at_most(3, 20, 1.0)) == (1.0, 1.0, 0.0)


def test_the_bound_of_no_errors_is_the_root_of_the_doubt():
    for n in (1, 19, 59, 1000):
        assert upper_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-9)
    assert upper_bound(5, 5) == upper_bound(0, 0) == 1.0


@given(st.integers(0, 200), st.integers(1, 400), st.floats(0.5, 0.999))
def test_the_bound_is_where_the_tail_is_the_doubt(n_wrong, n, confidence):
    bound = upper_bound(n_wrong, n, confidence)
    assert min(1.0, n_wrong / n) <= bound <= 1
    if n_wrong < n:
        assert at_most(n_wrong, n, bound) == pytest.approx(1 - confidence, rel=1e-6)


def test_the_bound_is_scipys():
    beta = pytest.importorskip("scipy.stats").beta
    for n_wrong, n in ((0, 10), (3, 100), (77, 5000)):
        assert upper_bound(n_wrong, n) == pytest.approx(beta.ppf(0.95, n_wrong + 1, n - n_wrong))


@given(st.floats(0.005, 0.4), st.floats(0.5, 0.99), st.integers(0, 5))
def test_as_many_as_needed_suffice_and_one_less_does_not(error, confidence, n_wrong):
    n = n_needed(error, confidence, n_wrong)
    assert upper_bound(n_wrong, n, confidence) <= error * (1 + 1e-9)
    assert upper_bound(n_wrong, n - 1, confidence) >= error * (1 - 1e-9)


def test_a_margin_is_the_lead_of_the_first_class():
    assert margins(np.array([[1.0, 5.0, 4.5], [2.0, 2.0, 0.0]])).tolist() == [0.5, 0.0]
    assert margins(np.zeros((2, 1))).tolist() == [np.inf, np.inf]


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_no_temperature_changes_the_order_of_margins(seed, temperature):
    logits, _ = drawn(30, seed)
    order = np.argsort(margins(logits))
    assert (np.argsort(margins(logits / temperature)) == order).all()


@pytest.mark.parametrize("error", [0.05, 0.1])
def test_the_promise_is_broken_no_more_often_than_the_confidence_allows(error):
    everyone, truth = drawn(200_000, 1)
    ahead, wrong = margins(everyone), everyone.argmax(axis=1) != truth
    broken, taken = [], []
    for seed in range(600):
        some = np.random.default_rng(seed).integers(0, len(truth), 400)
        found = accept(everyone[some], truth[some], error=error, confidence=0.9)
        kept = ahead >= (np.inf if found.margin is None else found.margin)
        broken.append(bool(kept.any()) and wrong[kept].mean() > found.error)
        taken.append(kept.mean())
    # 0.9 confidence, 600 tries: more than 0.1 + 3 * 0.0122 has a chance below 1 in 700.
    assert np.mean(broken) <= 0.137
    assert np.mean(taken) > 0.02


def test_more_is_accepted_where_more_errors_are_allowed():
    logits, labels = drawn(2000, 0, sharpness=4.0)
    accepted = [accept(logits, labels, error=each).n_accepted for each in (0.02, 0.05, 0.1, 0.3)]
    assert accepted == sorted(accepted)
    assert accepted[0] < accepted[-1]


def test_what_is_counted_is_what_is_accepted():
    logits, labels = drawn(2000, 3, sharpness=4.0)
    found = accept(logits, labels, error=0.1)
    kept = margins(logits) >= found.margin
    assert found.n_accepted == kept.sum()
    assert found.n_wrong == (logits.argmax(axis=1) != labels)[kept].sum()
    assert upper_bound(found.n_wrong, found.n_accepted) <= 0.1
    assert found.margin in MARGINS


def test_58_right_answers_cannot_promise_5_percent_and_59_can():
    logits = np.array([[50.0, 0.0]] * 59)
    assert accept(logits, np.zeros(59, int)).error == 0.05
    found = accept(logits[:58], np.zeros(58, int))
    assert found.error == pytest.approx(upper_bound(0, 58))
    assert "needs 59 validation pictures" in found.text


def test_a_promise_far_from_what_was_asked_is_not_made():
    logits, labels = drawn(300, 0, sharpness=0.2)
    found = accept(logits, labels, error=0.01)
    assert (found.margin, found.error, found.n_accepted) == (None, None, 0)
    assert found.text.startswith("Nothing is accepted: an error of 1 % cannot be promised; too")


@pytest.mark.parametrize("n", [0, 1, 3])
def test_hardly_any_picture_promises_nothing(n):
    found = accept(np.array([[9.0, 0.0]] * n).reshape(n, 2), np.zeros(n, int))
    assert found.margin is None
    assert f"59 validation pictures are needed, there are {n}" in found.text


def test_the_words_say_when_the_bound_is_not_exact():
    logits = np.array([[50.0, 0.0]] * 100)
    assert "not exact" in accept(logits, np.zeros(100, int), exact=False).text
    assert "not exact" not in accept(logits, np.zeros(100, int)).text


def test_prediction_sets_hold_the_right_class_as_often_as_they_say():
    everyone, truth = drawn(50_000, 2)
    behind = everyone.max(axis=1) - everyone[np.arange(len(truth)), truth]
    covered = []
    for seed in range(300):
        some = np.random.default_rng(seed).integers(0, len(truth), 99)
        covered.append((behind <= set_margin(everyone[some], truth[some], 0.9)).mean())
    # The mean over draws of 99 is 0.9 exactly; its standard error is 0.0017.
    assert np.mean(covered) == pytest.approx(0.9, abs=0.006)


@pytest.mark.parametrize(("confidence", "n"), [(0.95, 19), (0.99, 99), (0.9, 9)])
def test_sets_need_as_many_pictures_as_their_confidence(confidence, n):
    logits, labels = drawn(n, 0)
    assert set_margin(logits, labels, confidence) is not None
    assert set_margin(logits[:-1], labels[:-1], confidence) is None
