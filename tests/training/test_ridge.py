from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from fieldmark.training import ridge as ridge_module
from fieldmark.training.ridge import decomposed, sharpness
from tests.training.blobs import blobs


def refitted(
    z: np.ndarray, targets: np.ndarray, weights: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Solve weighted ridge with a free intercept from the normal equations."""
    wide = np.hstack([np.ones((len(z), 1)), z.astype(np.float64)])
    penalty = strength * np.eye(wide.shape[1])
    penalty[0, 0] = 0
    found = np.linalg.solve(wide.T * weights @ wide + penalty, wide.T * weights @ targets)
    return found[0], found[1:]


@settings(max_examples=25)
@given(
    seed=st.integers(0, 99),
    shape=st.sampled_from([(24, 5), (12, 40), (30, 30)]),
    strength=st.sampled_from([1e-3, 0.1, 10.0]),
    n_groups=st.sampled_from([3, 8, 1000]),
)
def test_leaving_groups_out_equals_solving_without_them(
    seed: int, shape: tuple[int, int], strength: float, n_groups: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = blobs(*shape, 3, seed=seed)
    groups = (
        np.arange(len(rows.labels)) if n_groups == 1000 else rng.integers(0, n_groups, shape[0])
    )
    weights = rng.uniform(0.2, 1, shape[0])
    weights /= weights.sum()
    honest = decomposed(rows.features, rows.labels, weights, 3).left_out(strength, groups)
    for group in np.unique(groups):
        out = groups == group
        b, w = refitted(rows.features[~out], np.eye(3)[rows.labels[~out]], weights[~out], strength)
        assert np.abs(honest[out] - (b + rows.features[out] @ w)).max() < 1e-6


@pytest.mark.parametrize("shape", [(40, 6), (10, 50)])
def test_the_solution_is_that_of_the_normal_equations(shape: tuple[int, int]) -> None:
    rows = blobs(*shape, 3)
    weights = np.random.default_rng(0).uniform(0.2, 1, shape[0])
    found = decomposed(rows.features, rows.labels, 7 * weights, 3).solution(0.1)
    weights /= weights.sum()
    intercept, slopes = refitted(rows.features, np.eye(3)[rows.labels], weights, 0.1)
    assert found[:, 0] == pytest.approx(intercept, abs=1e-6)
    assert np.abs(found[:, 1:] - slopes.T).max() < 1e-6


def test_float32_is_close_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = blobs(200, 40, 3)
    weights, groups = np.ones(200), np.arange(200) // 2
    exact = decomposed(rows.features, rows.labels, weights, 3)
    monkeypatch.setattr(ridge_module, "_EXACT_SIDE", 0)
    quick = decomposed(rows.features, rows.labels, weights, 3)
    assert quick.turned.dtype == np.float32
    assert np.abs(quick.left_out(0.01, groups) - exact.left_out(0.01, groups)).max() < 1e-3


def test_many_groups_are_taken_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, groups = blobs(60, 5, 2), np.arange(60) // 3
    ridge = decomposed(rows.features, rows.labels, np.ones(60), 2)
    at_once = ridge.left_out(0.1, groups)
    monkeypatch.setattr(ridge_module, "_BATCH", 40)
    assert ridge.left_out(0.1, groups) == pytest.approx(at_once, abs=1e-12)


@given(st.integers(0, 200), st.floats(0.01, 30))
def test_the_factor_is_the_best_one(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 50)
    scores = (np.eye(3)[labels] * 0.3 + rng.normal(size=(50, 3))) / spread
    weights = rng.uniform(0.1, 1, 50)
    weights /= weights.sum()

    doubt = 2 / (50 / 3 + 3)

    def loss(factor: float) -> float:
        logits = factor * scores
        believed = np.where(np.eye(3)[labels], 1 - doubt, doubt / 2)
        return float(weights @ (logsumexp(logits, axis=1) - (believed * logits).sum(axis=1)))

    peer = minimize_scalar(loss, bounds=(0, 1000), method="bounded", options={"xatol": 1e-10})
    assert loss(sharpness(scores, labels, weights)) <= peer.fun + 1e-9


@pytest.mark.parametrize("n", [4, 100])
def test_scores_that_separate_the_classes_are_doubted_by_their_number(n: int) -> None:
    labels = np.arange(n) % 2
    factor = sharpness(np.eye(2)[labels], labels, np.full(n, 1 / n))
    assert 1 / (1 + np.exp(-factor)) == pytest.approx((n / 2 + 1) / (n / 2 + 2))
