from __future__ import annotations

import numpy as np
import pytest

from fieldmark.training import logistic as logistic_module
from fieldmark.training.descent import minimised
from fieldmark.training.design import Design
from fieldmark.training.logistic import Problems, held_out, spread
from fieldmark.training.rows import Rows
from tests.training.blobs import blobs, softmax


def design_of(rows: Rows) -> Design:
    wide = np.hstack([np.ones((len(rows.features), 1), np.float32), rows.features])
    return Design(np.ascontiguousarray(wide), wide.shape[1])


def problems(rows: Rows, n_classes: int, n_problems: int = 2) -> Problems:
    rng = np.random.default_rng(5)
    weights = rng.uniform(0, 1, (n_problems, len(rows.labels))).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    return Problems(
        design=design_of(rows),
        labels=rows.labels,
        n_classes=n_classes,
        weights=weights,
        unseen=np.zeros((n_problems, n_classes), dtype=bool),
        spread=spread(design_of(rows), np.random.default_rng(0)),
    )


def loss_of(problem: Problems, at: int, weights: np.ndarray, strength: float) -> float:
    """Write the objective down as in the module's contract, in float64."""
    wide = problem.design.features.astype(np.float64)
    probs = softmax(wide @ weights.T)
    n = len(wide)
    given = probs[np.arange(n), problem.labels]
    penalty = strength / 2 * np.square(weights[:, 1:]).sum()
    return float(-problem.weights[at].astype(np.float64) @ np.log(given) + penalty)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_gradient_is_that_of_finite_differences(n_classes: int) -> None:
    rows = blobs(40, 5, n_classes)
    problem = problems(rows, n_classes)
    inner = problem.start()
    inner += np.random.default_rng(1).normal(size=inner.shape).astype(np.float32) * 0.3
    value, gradient, curvature = problem._passed(inner)
    for at in range(2):
        assert value[at] == pytest.approx(loss_of(problem, at, problem.per_class(inner)[at], 0.0))
        for output, column in ((0, 0), (0, 3), (inner.shape[1] - 1, 5)):
            sides = []
            for step in (1e-3, -1e-3):
                moved = inner.astype(np.float64)
                moved[at, output, column] += step
                sides.append(loss_of(problem, at, problem.per_class(moved)[at], 0.0))
            slope = (sides[0] - sides[1]) / 2e-3
            assert gradient[at, output, column] == pytest.approx(slope, abs=2e-5)
    assert (curvature > 0).all()
    assert (curvature <= 0.25).all()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_problems_that_are_solved_side_by_side_are_solved_apart(n_classes: int) -> None:
    rows = blobs(90, 8, n_classes)
    both = problems(rows, n_classes)
    found = both.per_class(both.solved(0.02, both.start(), tolerance=1e-10))
    for at in range(2):
        for other in (found[1 - at], found[at] + 0.02, found[at] * 1.02):
            assert loss_of(both, at, found[at], 0.02) < loss_of(both, at, other, 0.02)
        # Stationary: each direction is as flat as float32 allows.
        for column in (0, 4):
            step = np.zeros_like(found[at], dtype=np.float64)
            step[0, column] = 1e-3
            rise = loss_of(both, at, found[at] + step, 0.02) - loss_of(both, at, found[at], 0.02)
            assert abs(rise) < 2e-6


def test_two_classes_as_log_odds_are_the_two_classes() -> None:
    rows = blobs(80, 6, 2)
    paired = problems(rows, 2, 1)
    # A third class that nobody has turns the pair into an ordinary softmax.
    wide = Problems(
        design=paired.design,
        labels=paired.labels,
        n_classes=3,
        weights=paired.weights,
        unseen=np.array([[False, False, True]]),
        spread=paired.spread,
    )
    assert (paired.paired, wide.paired) == (True, False)
    two = paired.per_class(paired.solved(0.05, paired.start(), tolerance=1e-10))[0]
    three = wide.per_class(wide.solved(0.05, wide.start(), tolerance=1e-10))[0]
    assert np.abs(two[:, 1:] - three[:2, 1:]).max() < 1e-3
    assert (three[2, 1:] == 0).all()
    gap = two[1, 0] - two[0, 0]
    assert three[1, 0] - three[0, 0] == pytest.approx(gap, abs=1e-3)
    inner = paired.start() + np.float32(1.5)
    assert np.array_equal(paired.inner(paired.per_class(inner)), inner)


def test_huge_logits_overflow_nowhere() -> None:
    for n_classes in (2, 3):
        problem = problems(blobs(30, 4, n_classes), n_classes)
        value, gradient, _ = problem._passed(problem.start() + np.float32(1e6))
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()


def test_the_preconditioner_inverts_what_it_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = blobs(200, 10, 3)
    design = design_of(rows)
    known = spread(design, np.random.default_rng(0))
    covariance = rows.features.T.astype(np.float64) @ rows.features / 200
    curvature = np.array([[0.25, 0.1]])
    points = np.random.default_rng(1).normal(size=(1, 2, 11)).astype(np.float32)
    out = known.inverse(curvature, 0.3)(points)
    for output in range(2):
        h = curvature[0, output]
        wanted = np.linalg.solve(h * covariance + 0.3 * np.eye(10), points[0, output, 1:])
        assert np.abs(out[0, output, 1:] - wanted).max() < 1e-4
        assert out[0, output, 0] == pytest.approx(points[0, output, 0] / h)
    monkeypatch.setattr(logistic_module, "RANK", 4)
    part = spread(design, np.random.default_rng(0))
    values = np.linalg.eigvalsh(covariance)
    assert part.values[-1] == pytest.approx(values[-1], rel=0.05)
    assert part.values.sum() + 6 * part.rest == pytest.approx(values.sum(), rel=1e-4)


def test_long_designs_are_sketched_from_a_part_of_their_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    design = design_of(blobs(500, 6, 2))
    whole = spread(design, np.random.default_rng(0))
    monkeypatch.setattr(logistic_module, "_SKETCH_ROWS", 100)
    part = spread(design, np.random.default_rng(0))
    assert part.values == pytest.approx(whole.values, rel=0.4)


def test_classes_that_were_not_seen_get_half_an_example() -> None:
    logits = np.array([[2.0, 0.5, 9.0, 1.0]], dtype=np.float32)
    unseen = np.array([False, False, True, False])
    probs = softmax(held_out(logits, unseen, 20.0))[0]
    assert probs[2] == pytest.approx(0.5 / 20.5)
    others = softmax(logits[:, ~unseen])[0]
    assert probs[~unseen] / probs[~unseen].sum() == pytest.approx(others)
    assert held_out(logits, np.zeros(4, dtype=bool), 20.0) is logits


def test_the_descent_finds_the_lowest_point_of_each_bowl() -> None:
    steepness = np.geomspace(0.01, 100, 12).astype(np.float32)
    centres = np.random.default_rng(0).normal(size=(3, 2, 12)).astype(np.float32)
    n_calls = 0

    def objective(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nonlocal n_calls
        n_calls += 1
        away = points - centres
        return (steepness * away**2).sum(axis=(1, 2)).astype(np.float64) / 2, steepness * away

    start = np.zeros_like(centres)
    found = minimised(objective, start, np.copy, tolerance=1e-10)
    assert (objective(found)[0] < 1e-6).all()
    assert (start == 0).all()
    n_plain, n_calls = n_calls, 0
    minimised(objective, start, lambda points: points / steepness, tolerance=1e-10)
    assert n_calls <= 3 < n_plain


def test_steps_that_overshoot_are_shortened() -> None:
    def objective(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        root = np.sqrt(1 + points.astype(np.float64) ** 2)
        return root.sum(axis=(1, 2)), (points / root).astype(np.float32)

    start = np.full((2, 1, 1), [[[30.0]], [[0.5]]], dtype=np.float32)
    found = minimised(objective, start, lambda points: 100 * points, tolerance=1e-9)
    assert np.abs(found).max() < 1e-3
