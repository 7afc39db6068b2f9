from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fieldmark.networks import keras_model
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import initial
from fieldmark.training import step
from fieldmark.training.loop import targets
from fieldmark.training.recipe import Recipe
from tests.training.problems import TINY, recipe, shapes, tiny

needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="there is only the portable step"
)

WEIGHTS = np.array([0.5, 2.0, 1.0], np.float32)


def walked(
    made: Plan, chosen: Recipe, weighted: bool, monkeypatch: pytest.MonkeyPatch, *, portable: bool
) -> tuple[list[tuple[float, float]], dict[str, Any]]:
    """Take 12 steps, some with a smaller batch; return what they said and where they ended."""
    train, _ = shapes(50, batch=16, classes=made.n_classes)
    model = keras_model.build(made, initial(made, seed=0))
    with monkeypatch.context() as patched:
        if portable:
            patched.setattr(
                step, "_tensorflow_step", lambda model, loss: step._portable_step(model)
            )
        take = step.compile_step(model, made, chosen)
    told = []
    for epoch in range(3):
        for pixels, labels in train.epoch(epoch):
            heavy = WEIGHTS[labels] if weighted else None
            told.append(take(pixels, targets(labels, made), heavy, 0.01 + 0.001 * epoch))
    return told, keras_model.read_weights(model, made)


@needs_tensorflow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("head", "optimizer"), [("FC", "adamw"), ("FC", "sgd"), ("FC 1", "adam")])
def test_the_one_call_step_is_keras_train_on_batch(
    head: str, optimizer: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny(TINY.removesuffix("FC") + head, n_classes=2 if head == "FC 1" else 3)
    chosen = recipe(optimizer=optimizer, weight_decay=0.02, label_smoothing=0.05)
    told, ended = walked(made, chosen, weighted, monkeypatch, portable=False)
    expected, wanted = walked(made, chosen, weighted, monkeypatch, portable=True)
    np.testing.assert_allclose(told, expected, atol=1e-4)
    assert len({loss for loss, _ in told}) == 12
    for name, array in wanted.items():
        np.testing.assert_allclose(ended[name], array, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("portable", [False, True])
def test_what_a_step_says_is_of_its_batch_alone(
    portable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch answered all wrong after one answered all right is 0, not a half."""
    made = tiny("INPUT 8x8x1 -> FC", n_classes=2)
    start = {name: np.zeros_like(array) for name, array in initial(made, seed=0).items()}
    start["fc1/bias"][:] = [1, -1]
    model = keras_model.build(made, start)
    if portable:
        monkeypatch.setattr(
            step, "_tensorflow_step", lambda model, loss: step._portable_step(model)
        )
    take = step.compile_step(model, made, recipe(optimizer="sgd"))
    pixels = np.zeros((4, 8, 8, 1), np.uint8)
    good, bad = (targets(np.full(4, label), made) for label in (0, 1))
    told = [take(pixels, wanted, None, 1e-9) for wanted in (good, bad, bad)]
    assert [accuracy for _, accuracy in told] == [1, 0, 0]
    low, high = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    assert [loss for loss, _ in told] == pytest.approx([low, high, high], rel=1e-5)


@needs_tensorflow
def test_a_smaller_batch_is_not_traced_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny()
    model = keras_model.build(made, initial(made, seed=0))
    take = step.compile_step(model, made, recipe())
    train, _ = shapes(50)
    traced: list[int] = []
    usual = step._right
    monkeypatch.setattr(step, "_right", lambda *given: (traced.append(1), usual(*given))[1])
    for pixels, labels in train.epoch(0):
        take(pixels, targets(labels, made), None, 0.01)
    assert train.n_batches == 4
    assert len(traced) == 1


def test_a_tie_between_the_only_logit_and_zero_is_the_first_class() -> None:
    logits = keras.ops.convert_to_tensor(np.array([[0.0], [0.1], [-0.1]], np.float32))
    wanted = keras.ops.convert_to_tensor(np.array([[0], [1], [1]], np.float32))
    assert np.asarray(step._right(wanted, logits)).tolist() == [1, 1, 0]


@pytest.mark.parametrize(("optimizer", "decay"), [("adamw", 0.3), ("sgd", 0.2)])
def test_the_recipes_optimizer_and_decay_are_the_models(optimizer: str, decay: float) -> None:
    made = tiny()
    model = keras_model.build(made, initial(made, seed=0))
    step.compile_step(model, made, recipe(optimizer=optimizer, weight_decay=decay, lr=0.5))
    assert type(model.optimizer).__name__.lower().removeprefix("fused") == optimizer
    assert model.optimizer.weight_decay == decay
    assert float(model.optimizer.learning_rate) == pytest.approx(0.5)
