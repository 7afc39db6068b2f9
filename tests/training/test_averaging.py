from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.training.averaging import EVERY, WeightAverage


def closed_form(seen: list[tuple[int, np.ndarray]], decay: float) -> np.ndarray:
    """Write the average as one weighted sum: each array times all decays that came after it."""
    decays = [min(decay, (1 + step) / (10 + step)) ** EVERY for step, _ in seen]
    total = np.zeros_like(seen[0][1], dtype=np.float64)
    for at, (_, array) in enumerate(seen):
        own = 1.0 if at == 0 else 1 - decays[at]
        total += own * float(np.prod(decays[at + 1 :])) * array
    return total


@given(st.integers(1, 60), st.floats(0, 0.9999), st.integers(0, 99))
def test_the_average_is_the_closed_formula(n: int, decay: float, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    seen = [(EVERY * k, drawn.normal(size=(2, 3)).astype(np.float32)) for k in range(1, n + 1)]
    average = WeightAverage(decay)
    for step, array in seen:
        average.update({"w": array}, step=step)
    np.testing.assert_allclose(average.weights["w"], closed_form(seen, decay), atol=1e-5)


def test_weights_that_do_not_move_are_their_own_average() -> None:
    average = WeightAverage(0.99)
    still = {"a": np.full(3, 2.5, np.float32), "b": np.full((2, 2), -1, np.float32)}
    for step in range(0, 100, EVERY):
        average.update(still, step=step)
    for name, array in still.items():
        np.testing.assert_array_equal(average.weights[name], array)


def test_the_drawn_weights_are_soon_forgotten_whatever_the_decay() -> None:
    average = WeightAverage(0.9999)
    average.update({"w": np.ones(1, np.float32)}, step=EVERY)
    for k in range(2, 11):
        average.update({"w": np.zeros(1, np.float32)}, step=EVERY * k)
    assert average.weights["w"][0] < 1e-3


def test_what_was_taken_in_may_be_changed_afterwards() -> None:
    average = WeightAverage(0.5)
    first = {"w": np.ones(2, np.float32)}
    average.update(first, step=0)
    first["w"][:] = 9
    assert average.weights["w"].tolist() == [1, 1]


def test_the_average_stays_float32() -> None:
    average = WeightAverage(0.9)
    for step in (0, EVERY):
        average.update({"w": np.ones(2, np.float32)}, step=step)
    assert average.weights["w"].dtype == np.float32


def test_before_the_first_update_there_is_nothing() -> None:
    assert WeightAverage(0.9).weights == {}


def test_decay_zero_follows_at_once() -> None:
    average = WeightAverage(0.0)
    for step, value in ((5, 1.0), (10, 7.0)):
        average.update({"w": np.full(1, value, np.float32)}, step=step)
    assert average.weights["w"][0] == pytest.approx(7.0)
