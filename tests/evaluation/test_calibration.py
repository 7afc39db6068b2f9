"""Temperature and reliability: held against hand computations and against simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.errors import DataError
from fieldmark.evaluation.calibration import (
    MIN_PICTURES,
    best_temperature,
    fit_temperature,
    reliability,
    softmax,
    uncalibrated,
)


def answers(n: int, sharpness: float, seed: int = 0, n_classes: int = 4):
    """Logits whose true temperature is ``sharpness``, and labels drawn from the true scores."""
    draw = np.random.default_rng(seed)
    true = 2 * draw.standard_normal((n, n_classes))
    scores = softmax(true)
    labels = (scores.cumsum(axis=1) < draw.random((n, 1))).sum(axis=1)
    return true * sharpness, labels


def test_two_classes_are_solved_by_hand():
    # Every logit pair is (a, 0), three of four right: sigmoid(a / T) = 3/4, so T = a / ln 3.
    logits = np.array([[2.5, 0.0]] * 4)
    found = best_temperature(logits, np.array([0, 1, 0, 0]))
    assert found == pytest.approx(2.5 / np.log(3), rel=1e-9)


def test_the_temperature_is_the_minimum_of_the_log_loss():
    logits, labels = answers(300, 3.0)
    best = best_temperature(logits, labels)

    def loss(temperature):
        return -np.log(softmax(logits, temperature)[np.arange(300), labels]).mean()

    assert all(loss(best) < loss(best * factor) for factor in (0.9, 0.99, 1.01, 1.1))


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_found_again(sharpness):
    logits, labels = answers(20_000, sharpness)
    assert best_temperature(logits, labels) == pytest.approx(sharpness, rel=0.03)


def test_a_network_that_is_never_wrong_stays_within_bounds():
    found = best_temperature(np.array([[1.0, 0.0]] * 60), np.zeros(60, int))
    assert found == pytest.approx(0.05)
    assert best_temperature(np.array([[1.0, 0.0]] * 60), np.ones(60, int)) == pytest.approx(20.0)


def test_nothing_is_fitted_to_nothing():
    with pytest.raises(DataError, match="not one example"):
        best_temperature(np.empty((0, 2)), np.empty(0, int))


@pytest.mark.parametrize("n", [0, 1, MIN_PICTURES - 1])
def test_too_few_pictures_leave_the_scores_alone_and_say_so(n):
    logits, labels = answers(n, 4.0)
    found = fit_temperature(logits, labels)
    assert found.value == 1.0
    assert f"{n} validation pictures are too few" in found.text


def test_what_helps_on_other_pictures_is_kept():
    found = fit_temperature(*answers(400, 4.0))
    assert found.value == pytest.approx(4.0, rel=0.25)
    assert found.log_loss_after < found.log_loss_before


def test_what_does_not_help_on_other_pictures_is_not_taken():
    kept = [fit_temperature(*answers(60, 1.0, seed)).value == 1.0 for seed in range(60)]
    assert sum(kept) > 30


@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_no_temperature_changes_an_answer_and_it_can_be_undone(seed, temperature):
    logits, _ = answers(5, 1.0, seed)
    scores = softmax(logits, temperature)
    assert (scores.argmax(axis=1) == logits.argmax(axis=1)).all()
    # Scores too small to be told from 0 at a low temperature cannot be told apart again.
    np.testing.assert_allclose(uncalibrated(scores, temperature), softmax(logits), atol=1e-3)


def test_scores_of_zero_can_be_undone_too():
    found = uncalibrated(np.array([[1.0, 0.0]], np.float32), 0.5)
    assert np.isfinite(found).all()


def test_the_error_of_two_bins_is_computed_by_hand():
    # 20 pictures: ten of score 0.6 with 5 right, ten of score 0.9 with 10 right.
    scores = np.array([[0.6, 0.4]] * 10 + [[0.9, 0.1]] * 10)
    labels = np.array([0, 1] * 5 + [0] * 10)
    found = reliability(scores, labels, rng=np.random.default_rng(0))
    assert [(b.n, b.score, b.accuracy) for b in found.bins] == [
        (10, pytest.approx(0.6), 0.5),
        (10, pytest.approx(0.9), 1.0),
    ]
    assert found.ece == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)
    assert found.low <= found.ece <= found.high


@given(st.integers(1, 400), st.integers(0, 1000))
def test_bins_hold_every_picture_once_and_about_equally_many(n, seed):
    logits, labels = answers(n, 2.0, seed)
    found = reliability(softmax(logits), labels, rng=np.random.default_rng(0), n_resamples=5)
    sizes = [each.n for each in found.bins]
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    assert [b.score for b in found.bins] == sorted(b.score for b in found.bins)


def test_a_calibrated_model_lies_in_its_null_band_nineteen_times_of_twenty():
    inside = []
    for seed in range(300):
        logits, labels = answers(200, 1.0, seed)
        draw = np.random.default_rng(seed)
        found = reliability(softmax(logits), labels, rng=draw, n_resamples=200)
        inside.append(found.ece <= found.null_high)
    assert 0.91 <= np.mean(inside) <= 0.985


def test_an_overconfident_model_leaves_its_null_band():
    logits, labels = answers(500, 4.0)
    found = reliability(softmax(logits), labels, rng=np.random.default_rng(0))
    assert found.ece > found.null_high > found.null_mean > 0
    assert "not quite" in found.text
    better = softmax(logits, best_temperature(logits, labels))
    assert reliability(better, labels, rng=np.random.default_rng(0)).text.startswith("No misc")


def test_equal_pictures_of_a_group_widen_the_interval_and_what_chance_would_show():
    draw = np.random.default_rng(3)
    logits = 2 * draw.standard_normal((60, 3))
    labels = draw.integers(0, 3, 60)
    once = reliability(softmax(logits), labels, rng=np.random.default_rng(0))
    many = softmax(np.repeat(logits, 8, axis=0)), np.repeat(labels, 8)
    groups = np.repeat(np.arange(60), 8)
    alone = reliability(*many, rng=np.random.default_rng(0))
    together = reliability(*many, groups=groups, rng=np.random.default_rng(0))
    assert together.ece == alone.ece
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.high - together.low == pytest.approx(once.high - once.low, rel=0.5)
    assert together.null_high > 2 * alone.null_high
    wide, narrow = (one.bins[0].high - one.bins[0].low for one in (together, alone))
    assert wide > 1.5 * narrow


@pytest.mark.parametrize(
    ("n_groups", "size", "alike"), [(400, 1, 0.0), (100, 5, 0.5), (60, 10, 0.9)]
)
def test_calibrated_scores_are_rarely_called_wrong_even_in_groups(n_groups, size, alike):
    draw = np.random.default_rng(11)
    groups = np.repeat(np.arange(n_groups), size)
    called = 0
    for _ in range(60):
        top = np.repeat(draw.uniform(0.55, 0.99, n_groups), size)
        shared = draw.random(n_groups)[groups]
        luck = np.where(draw.random(len(top)) < alike**0.5, shared, draw.random(len(top)))
        labels = (luck >= top).astype(int)
        scores = np.column_stack([top, 1 - top])
        given = None if size == 1 else groups
        found = reliability(scores, labels, groups=given, rng=draw, n_resamples=200)
        called += found.ece > found.null_high
    assert called <= 9  # 5 % of 60, and three standard deviations; without groups more than half


def test_a_temperature_is_judged_on_groups_it_was_not_fitted_on():
    draw = np.random.default_rng(5)
    kept = {"groups": 0, "pictures": 0}
    units = np.repeat(np.arange(60), 10)
    for _ in range(40):
        logits = np.repeat(1.5 * draw.standard_normal((60, 3)), 10, axis=0)
        luck = np.repeat(draw.random(60), 10)
        labels = (luck[:, None] > softmax(logits).cumsum(axis=1)).sum(axis=1)
        kept["groups"] += fit_temperature(logits, labels, units).value != 1
        kept["pictures"] += fit_temperature(logits, labels).value != 1
    assert kept["pictures"] > 30
    assert kept["groups"] < 20
    few = fit_temperature(logits[:400], labels[:400], units[:400])
    assert few.value == 1.0
    assert "40 groups of validation pictures are too few" in few.text


def test_of_a_few_groups_nothing_is_said_about_the_calibration():
    draw = np.random.default_rng(3)
    logits, labels = draw.standard_normal((90, 3)), draw.integers(0, 3, 90)
    for n_groups, told in ((9, False), (10, True)):
        groups = np.arange(90) % n_groups
        found = reliability(softmax(logits), labels, groups=groups, rng=draw)
        assert ((found.low, found.high) != (0.0, 1.0)) is told
