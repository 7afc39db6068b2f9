"""Suspected labels: planted ones come first, the probability holds, and a clean set stays clean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.errors import UsageError
from fieldmark.evaluation.suspects import FEW, LISTED, Suspects, suspects


def drawn(
    n: int, n_classes: int, *, flips: float, seed: int = 0, skill: float = 4.0, stretch: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return logits, given labels and which are flipped; ``stretch`` spoils the calibration.

    The true class is drawn from the softmax of the unstretched logits, so these are calibrated.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, skill, (n, n_classes))
    true = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    flipped = rng.random(n) < flips
    other = (true + rng.integers(1, n_classes, n)) % n_classes
    return logits * stretch, np.where(flipped, other, true), flipped


def found(logits: np.ndarray, labels: np.ndarray, **named: np.ndarray) -> Suspects:
    return suspects(logits, labels, **named)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_planted_flips_come_first(n_classes: int) -> None:
    logits, labels, flipped = drawn(3000, n_classes, flips=0.05, skill=8.0)
    first = found(logits, labels).order[:300]
    assert flipped[first].sum() >= 0.9 * flipped.sum()


@pytest.mark.parametrize("stretch", [0.3, 1.0, 3.0])
def test_the_probability_is_one_however_the_scores_are_stretched(stretch: float) -> None:
    """Among those said to be wrong with 80 to 100 %, that share was planted; so for each band."""
    logits, labels, flipped = drawn(10_000, 4, flips=0.1, stretch=stretch)
    result = found(logits, labels)
    for low, high in [(0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.01)]:
        inside = (result.p_wrong >= low) & (result.p_wrong < high)
        n = inside.sum()
        assert n > 30
        said, true = result.p_wrong[inside].mean(), flipped[inside].mean()
        assert abs(said - true) < 0.02 + 3 * np.sqrt(said * (1 - said) / n), (low, high)
    assert result.sharpness == pytest.approx(1 / stretch, rel=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_set_stays_clean(seed: int) -> None:
    logits, labels, _ = drawn(2000, 4, flips=0.0, seed=seed)
    result = found(logits, labels)
    assert np.nansum(result.p_wrong) < 0.01 * len(labels)
    assert len(result.listed) <= 0.003 * len(labels)


def test_one_class_mislabelled_as_another_is_seen_in_the_table() -> None:
    logits, labels, _ = drawn(5000, 3, flips=0.0, skill=6.0)
    rng = np.random.default_rng(1)
    labels = np.where((labels == 0) & (rng.random(5000) < 0.2), 2, labels)
    noise = found(logits, labels).noise
    assert noise[0, 2] == pytest.approx(0.2, abs=0.03)
    assert max(noise[0, 1], noise[1, 0], noise[2, 0]) < 0.02
    np.testing.assert_allclose(noise.sum(axis=1), 1)


def test_the_likelier_class_is_the_true_one() -> None:
    logits, labels, flipped = drawn(3000, 4, flips=0.05, skill=8.0)
    result = found(logits, labels)
    sure = np.flatnonzero(flipped & (result.p_wrong > 0.9))
    assert len(sure) > 50
    assert (result.likely[sure] == logits[sure].argmax(axis=1)).mean() > 0.95
    assert (result.likely != labels).all()


def test_listed_are_those_that_are_more_probably_wrong_than_right_in_order() -> None:
    logits, labels, _ = drawn(2000, 3, flips=0.1)
    result = found(logits, labels)
    chances = result.p_wrong[result.listed]
    assert (chances >= LISTED).all()
    assert (np.diff(chances) <= 0).all()
    assert len(result.listed) == (result.p_wrong >= LISTED).sum()


def test_the_whole_ranking_is_there() -> None:
    logits, labels, _ = drawn(500, 3, flips=0.1)
    result = found(logits, labels)
    assert sorted(result.order.tolist()) == list(range(500))
    assert result.n == 500


def test_a_class_with_few_examples_is_not_judged() -> None:
    logits, labels, _ = drawn(600, 3, flips=0.05)
    labels = np.where(labels == 2, 1, labels)
    rare = np.arange(FEW - 1)
    labels[rare] = 2
    result = found(logits, labels)
    assert result.few == (2,)
    assert np.isnan(result.p_wrong[rare]).all()
    assert (result.likely[rare] == 2).all()
    assert not set(rare) & set(result.order.tolist())
    assert result.n == 600 - len(rare)


def test_copies_count_once() -> None:
    logits, labels, _ = drawn(600, 2, flips=0.05)
    many = np.flatnonzero(labels == 0)
    groups = np.arange(600)
    groups[many] = groups[many[0]]
    assert found(logits, labels).few == ()
    assert found(logits, labels, groups=groups).few == (0,)


@pytest.mark.parametrize("n", [0, 1, 2 * FEW - 2])
def test_too_few_examples_give_no_number(n: int) -> None:
    labels = np.arange(n) % 2
    result = found(np.zeros((n, 2)), labels)
    assert result.n == 0
    assert len(result.listed) == 0
    assert np.isnan(result.p_wrong).all()
    assert set(result.few) == set(labels.tolist())


def test_scores_that_know_nothing_accuse_nobody() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(400, 2)), rng.integers(0, 2, 400)
    assert len(found(logits, labels).listed) <= 0.05 * 400


def test_a_perfect_and_a_huge_score_are_borne() -> None:
    labels = np.repeat([0, 1, 2], 40)
    logits = np.where(labels[:, None] == np.arange(3), 1e6, -1e6)
    labels[5] = 1
    result = found(logits, labels)
    assert result.listed.tolist() == [5]
    assert result.likely[5] == 0


@settings(max_examples=25)
@given(
    n=st.integers(1, 80),
    n_classes=st.integers(2, 6),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 300.0]),
)
def test_whatever_comes_the_result_is_a_ranking_with_probabilities(
    n: int, n_classes: int, seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    result = found(rng.normal(0, 1, (n, n_classes)) * scale, labels)
    judged = result.p_wrong[result.order]
    assert ((judged >= 0) & (judged <= 1)).all()
    assert np.isnan(result.p_wrong).sum() == n - result.n


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), shift=st.floats(-50, 50))
def test_a_constant_added_to_all_scores_changes_nothing(seed: int, shift: float) -> None:
    logits, labels, _ = drawn(200, 3, flips=0.1, seed=seed)
    first, second = found(logits, labels), found(logits + shift, labels)
    np.testing.assert_allclose(first.p_wrong, second.p_wrong, atol=1e-4)


def test_names_of_classes_do_not_matter() -> None:
    logits, labels, _ = drawn(900, 3, flips=0.1)
    turned = found(logits[:, [2, 0, 1]], (labels + 1) % 3)
    np.testing.assert_allclose(turned.p_wrong, found(logits, labels).p_wrong, atol=1e-9)


@pytest.mark.parametrize(
    ("logits", "labels", "groups"),
    [
        (np.zeros((3, 2)), np.array([0, 1]), None),
        (np.zeros(3), np.array([0, 1, 0]), None),
        (np.zeros((2, 1)), np.array([0, 0]), None),
        (np.zeros((2, 2)), np.array([0, 2]), None),
        (np.zeros((2, 2)), np.array([-1, 0]), None),
        (np.array([[0.0, np.nan], [0.0, 1.0]]), np.array([0, 1]), None),
        (np.zeros((2, 2)), np.array([0, 1]), np.array([1])),
    ],
)
def test_what_does_not_fit_is_refused(
    logits: np.ndarray, labels: np.ndarray, groups: np.ndarray | None
) -> None:
    with pytest.raises(UsageError, match="do not fit") as refused:
        suspects(logits, labels, groups=groups)
    assert refused.value.code == "bad-scores"
