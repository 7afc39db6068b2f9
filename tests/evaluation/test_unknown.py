"""What is unlike known pictures: distances by hand, thresholds by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from fieldmark.evaluation.unknown import (
    WIDTH,
    Familiar,
    distances,
    familiar,
    normalised,
    stranger_from,
)


def rows(n: int, n_features: int = 40, seed: int = 0, shift: float = 0.0):
    """Features like a network's: positive, of two classes; ``shift`` moves them elsewhere."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    centres = np.random.default_rng(99).random((3, n_features))
    noise = 0.1 * draw.standard_normal((n, n_features))
    return (centres[labels] + shift * centres[2] + noise).astype(np.float32), labels


def fitted(n: int = 500, **changes) -> Familiar:
    features, labels = rows(n, **changes)
    found = familiar(features, labels, 2, rng=np.random.default_rng(0))
    assert found is not None
    return found


def test_a_distance_is_computed_by_hand():
    known = Familiar(
        means=np.array([[1.0, 0.0, 0.0]], np.float32),
        basis=np.array([[0.0, 1.0, 0.0]], np.float32),
        scales=np.array([0.5, 0.25], np.float32),
    )
    # (0.6, 0.8, 0) lies 0.8 along the direction and 0.4 beside it: (1.6, 1.6) in widths.
    found = distances(known, np.array([[3.0, 4.0, 0.0], [7.0, 0.0, 0.0]], np.float32))
    assert found.tolist() == pytest.approx([np.hypot(1.6, 1.6), 0.0], abs=1e-6)


def test_the_nearest_class_counts():
    known = Familiar(
        means=np.eye(3, dtype=np.float32)[:2],
        basis=np.eye(3, dtype=np.float32)[2:],
        scales=np.ones(2, np.float32),
    )
    found = distances(known, np.array([[0.0, 2.0, 0.0]], np.float32))
    assert found[0] == pytest.approx(0.0, abs=1e-6)


def test_with_all_directions_it_is_mahalanobis():
    features, labels = rows(800, n_features=6)
    known = familiar(features, labels, 2, rng=np.random.default_rng(0))
    unit = normalised(features)
    means = np.stack([unit[labels == k].mean(axis=0) for k in range(2)])
    rest = unit - means[labels]
    inverse = np.linalg.inv(rest.T @ rest / len(rest))
    apart = unit[:, None] - means
    expected = np.sqrt(np.einsum("nki,ij,nkj->nk", apart, inverse, apart).min(axis=1))
    np.testing.assert_allclose(distances(known, features), expected, rtol=1e-3)


def test_directions_are_orthonormal_and_sorted():
    known = fitted(n_features=80)
    assert known.basis.shape == (WIDTH, 80)
    np.testing.assert_allclose(known.basis @ known.basis.T, np.eye(WIDTH), atol=1e-5)
    assert (np.diff(known.scales[:-1]) <= 1e-6).all()
    assert known.n_bytes == 4 * (2 * 80 + WIDTH * 80 + WIDTH + 1)


def test_pictures_from_elsewhere_are_farther():
    known = fitted()
    near = distances(known, rows(300, seed=1)[0])
    assert distances(known, rows(300, seed=2, shift=2.0)[0]).min() > near.max()


def test_brightness_alone_changes_nothing():
    known, features = fitted(), rows(20, seed=1)[0]
    np.testing.assert_allclose(
        distances(known, 7 * features), distances(known, features), rtol=1e-4
    )


def test_many_pictures_are_looked_at_in_pieces(monkeypatch):
    known, features = fitted(), rows(50, seed=1)[0]
    whole = distances(known, features)
    monkeypatch.setattr("fieldmark.evaluation.unknown._MAX_NUMBERS", 100)
    np.testing.assert_allclose(distances(known, features), whole)


def test_black_pictures_and_dead_features_do_no_harm():
    features, labels = rows(100)
    features[:, 5:] = 0
    known = familiar(features, labels, 2, rng=np.random.default_rng(0))
    assert np.isfinite(distances(known, np.zeros((1, 40), np.float32))).all()
    assert np.isfinite(distances(known, features)).all()


@pytest.mark.parametrize(
    ("features", "n_classes"),
    [
        (np.ones((50, 4), np.float32), 2),
        (np.ones((50, 1), np.float32), 2),
        (rows(2)[0], 2),
        (np.full((50, 4), np.nan, np.float32), 2),
    ],
)
def test_where_nothing_can_be_described_nothing_is(features, n_classes):
    labels = np.arange(len(features)) % 2
    assert familiar(features, labels, n_classes, rng=np.random.default_rng(0)) is None


def test_a_class_without_pictures_gets_the_mean_of_all():
    features, labels = rows(100)
    known = familiar(features, labels, 3, rng=np.random.default_rng(0))
    np.testing.assert_allclose(known.means[2], normalised(features).mean(axis=0), rtol=1e-5)


def test_known_pictures_are_called_unknown_as_often_as_allowed():
    share = 0.02
    called = []
    for seed in range(400):
        draw = np.random.default_rng(seed)
        limit = stranger_from(draw.exponential(size=149), share)
        called.append(np.exp(-limit))  # what lies beyond, of an exponential
    # 3 of 150 exactly, on average over validation parts; standard error 0.0006.
    assert np.mean(called) == pytest.approx(share, abs=0.002)


@pytest.mark.parametrize(("share", "n"), [(0.02, 49), (0.05, 19), (0.01, 99)])
def test_a_threshold_needs_enough_pictures(share, n):
    assert stranger_from(np.arange(float(n)), share) == n - 1
    assert stranger_from(np.arange(float(n - 1)), share) is None
