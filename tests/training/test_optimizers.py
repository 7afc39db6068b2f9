from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.networks import keras_model
from fieldmark.training.optimizers import FusedAdam, FusedAdamW, OptimizerName, optimizer
from tests.training.problems import tiny

needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the fused update is TensorFlow's"
)
few = settings(max_examples=3, deadline=None, phases=[Phase.generate])

N_STEPS = 30
SHAPES = [(3, 3, 2, 4), (7, 5), (5,)]


def walked(made: Any, seed: int, scale: float, lr: float) -> list[NDArray[np.float32]]:
    """Take 30 steps down random quadratic bowls, each with noise; return where they end."""
    drawn = np.random.default_rng(seed)
    variables = [keras.Variable(drawn.normal(size=shape), dtype="float32") for shape in SHAPES]
    slopes = [scale * drawn.normal(size=shape) for shape in SHAPES]
    for step in range(N_STEPS):
        made.learning_rate = lr * (1 + step % 3)
        noise = [drawn.normal(size=shape) for shape in SHAPES]
        gradients = [
            keras.ops.convert_to_tensor(
                (slope * np.asarray(variable) + scale * each).astype(np.float32)
            )
            for slope, variable, each in zip(slopes, variables, noise, strict=True)
        ]
        made.apply(gradients, variables)
    return [np.asarray(variable) for variable in variables]


def assert_same_walk(
    ours: list[NDArray[np.float32]], theirs: list[NDArray[np.float32]], lr: float
) -> None:
    """At the tutorial's rate of 0.001 this is 1e-6; else in proportion to the way walked."""
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=5e-7 + 5e-4 * lr)


@needs_tensorflow
@few
@given(st.integers(0, 999), st.sampled_from([1e-3, 1.0, 1e2]), st.sampled_from([1e-4, 1e-3, 1e-2]))
def test_the_fused_adam_is_keras_adam(seed: int, scale: float, lr: float) -> None:
    ours = walked(FusedAdam(lr), seed, scale, lr)
    theirs = walked(keras.optimizers.Adam(lr), seed, scale, lr)
    assert_same_walk(ours, theirs, lr)


@needs_tensorflow
@few
@given(st.integers(0, 999), st.sampled_from([1e-4, 1e-2]), st.sampled_from([0.004, 0.1]))
def test_the_fused_adamw_is_keras_adamw(seed: int, lr: float, decay: float) -> None:
    ours = walked(FusedAdamW(lr, weight_decay=decay), seed, 1.0, lr)
    theirs = walked(keras.optimizers.AdamW(lr, weight_decay=decay), seed, 1.0, lr)
    without = walked(FusedAdamW(lr, weight_decay=0.0), seed, 1.0, lr)
    for mine, wanted, bare in zip(ours, theirs, without, strict=True):
        assert np.abs(mine - bare).max() > 10 * np.abs(mine - wanted).max()  # decay is there at all
    assert_same_walk(ours, theirs, lr)


@needs_tensorflow
def test_the_fused_update_fills_kerass_own_moments() -> None:
    """So that a saved optimizer means the same in both."""
    ours, theirs = FusedAdam(0.01), keras.optimizers.Adam(0.01)
    for made in (ours, theirs):
        walked(made, 1, 1.0, 0.01)
    assert int(ours.iterations) == int(theirs.iterations) == N_STEPS
    for mine, wanted in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(wanted), atol=1e-5)


def test_names_make_what_they_say() -> None:
    kinds = {name: optimizer(name, lr=0.1, weight_decay=0.0) for name in ("adam", "adamw", "sgd")}
    assert isinstance(kinds["adam"], keras.optimizers.Adam)
    assert isinstance(kinds["adamw"], keras.optimizers.AdamW)
    assert isinstance(kinds["sgd"], keras.optimizers.SGD)
    assert (kinds["sgd"].momentum, kinds["sgd"].nesterov) == (0.9, True)
    assert all(float(made.learning_rate) == pytest.approx(0.1) for made in kinds.values())


@needs_tensorflow
def test_on_tensorflow_both_adams_are_the_fused_ones() -> None:
    assert isinstance(optimizer("adam", lr=0.1, weight_decay=0.0), FusedAdam)
    assert isinstance(optimizer("adamw", lr=0.1, weight_decay=0.1), FusedAdamW)


def test_elsewhere_they_are_kerass_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for name in ("adam", "adamw"):
        assert not isinstance(optimizer(name, lr=0.1, weight_decay=0.1), (FusedAdam, FusedAdamW))


def after_a_step_without_slope(name: OptimizerName) -> dict[str, tuple[Any, Any]]:
    """Every weight before and after one step in which the loss pulls nowhere."""
    layers = "INPUT 8x8x1 -> CONV 3 3x3 -> BN -> RELU -> POOL 2x2 -> CONV 2 2x2 -> RELU -> FC"
    made = tiny(layers)
    drawn = np.random.default_rng(0)
    start = {
        name: drawn.normal(1, 0.1, shape).astype(np.float32)
        for name, shape in made.weight_shapes.items()
    }
    model = keras_model.build(made, start)
    found = optimizer(name, lr=0.5, weight_decay=0.1)
    nowhere = [keras.ops.zeros(variable.shape) for variable in model.trainable_variables]
    found.apply(nowhere, model.trainable_variables)
    after = keras_model.read_weights(model, made)
    return {key: (start[key], after[key]) for key in start}


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_kernels_decay(name: OptimizerName) -> None:
    found = after_a_step_without_slope(name)
    assert {key.split("/")[1] for key in found} >= {"kernel", "bias", "gamma", "beta"}
    for key, (before, after) in found.items():
        expected = before * (1 - 0.5 * 0.1) if key.endswith("/kernel") else before
        np.testing.assert_allclose(after, expected, rtol=1e-6, err_msg=key)


def test_adam_ignores_weight_decay() -> None:
    for before, after in after_a_step_without_slope("adam").values():
        np.testing.assert_array_equal(before, after)


def test_a_decay_of_zero_is_none() -> None:
    for name in ("adamw", "sgd"):
        assert not optimizer(name, lr=0.1, weight_decay=0.0).weight_decay
