"""Where a training begins: drawn or given weights, and steps that do not change."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from fieldmark.errors import BundleError, UsageError
from fieldmark.networks import keras_model
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import initial
from fieldmark.training.fitted import Fitted, Start
from tests.training.problems import TINY, Ear, fit, recipe, shapes, tiny

TWO = TINY.replace("-> GAP", "-> CONV 8 3x3 same -> BN -> RELU -> GAP")
STEM = frozenset({"conv1", "bn1"})


def given(made: Plan, seed: int = 5) -> dict[str, Any]:
    """Weights of a network that has seen something: no bias is 0, no average 0 or 1."""
    draw = np.random.default_rng(seed)
    weights = initial(made, seed=seed)
    for name, array in weights.items():
        if name.endswith(("/mean", "/beta", "/bias")):
            array += draw.normal(0, 0.1, array.shape).astype(np.float32)
        if name.endswith("/variance"):
            array *= draw.uniform(0.5, 2, array.shape).astype(np.float32)
    return weights


def changed(fitted: Fitted, weights: dict[str, Any]) -> set[str]:
    """Names whose arrays are not the same bytes as before."""
    return {name for name in weights if fitted.weights[name].tobytes() != weights[name].tobytes()}


def test_a_plan_alone_begins_with_the_drawn_weights() -> None:
    made, data = tiny(), shapes(48)
    alone = fit(made, recipe(), data)
    drawn = fit(Start(made, initial(made, seed=recipe().seed)), recipe(), data)
    assert not changed(alone, drawn.weights)


def test_training_begins_with_the_given_weights() -> None:
    made, data = tiny(), shapes(48)
    weights = given(made)
    still = fit(Start(made, weights), recipe(optimizer="sgd", lr=1e-20, epochs=1), data)
    assert {name.split("/")[1] for name in changed(still, weights)} == {"mean", "variance"}


def test_given_weights_are_not_changed_in_place() -> None:
    made = tiny()
    weights, before = given(made), given(made)
    fit(Start(made, weights), recipe(ema=0.9), shapes(80))
    assert all(weights[name].tobytes() == before[name].tobytes() for name in before)


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "optimizer": "adamw", "weight_decay": 0.1}])
def test_frozen_steps_stay_bit_for_bit_and_all_others_learn(changes: dict[str, Any]) -> None:
    """The averages of a frozen BN too, also with a range test, weight decay and averaging."""
    made = tiny(TWO)
    weights = given(made)
    fitted = fit(Start(made, weights, STEM), recipe(lr=None, **changes), shapes(80))
    frozen = {name for name in weights if name.split("/")[0] in STEM}
    assert len(frozen) == 5
    assert changed(fitted, weights) == set(weights) - frozen


def test_a_frozen_bn_normalises_by_its_averages_while_training() -> None:
    """So the first step's loss is that of the network as it answers, not as a batch makes it."""
    made = tiny()
    weights = given(made)
    train, valid = shapes(16)
    pixels, labels = next(iter(train.epoch(0)))
    model = keras_model.build(made, weights)
    logits = np.asarray(model(pixels, training=False), np.float64)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    answering = -logits[np.arange(len(labels)), labels].mean()
    firsts = []
    for frozen in (frozenset({"bn1"}), frozenset[str]()):
        ear = Ear()
        fit(Start(made, weights, frozen), recipe(epochs=1), (train, valid), ear=ear)
        firsts.append(ear.losses()[0])
    assert firsts[0] == pytest.approx(answering, abs=1e-5)
    assert firsts[1] != pytest.approx(answering, abs=1e-3)


def test_a_bias_that_is_added_behind_the_pool_is_frozen_with_its_conv() -> None:
    made = tiny("INPUT 16x16x3 -> CONV 8 3x3 same -> RELU -> POOL 2x2 -> GAP -> FC")
    weights = given(made)
    fitted = fit(Start(made, weights, frozenset({"conv1"})), recipe(), shapes(48))
    assert changed(fitted, weights) == {"fc1/kernel", "fc1/bias"}


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(BundleError, match="do not belong") as caught:
        fit(Start(tiny(), given(tiny(TWO))), recipe(), shapes(32))
    assert caught.value.code == "weights-mismatch"


@pytest.mark.parametrize(
    ("frozen", "words"),
    [({"conv1", "conv9"}, "no step 'conv9'"), ({"conv1", "bn1", "fc1"}, "Every step is frozen")],
)
def test_what_cannot_be_frozen_is_refused(frozen: set[str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Start(tiny(), frozen=frozenset(frozen))
    assert caught.value.code == "start"
    assert "bn1, conv1, fc1" in caught.value.hint


def test_the_values_of_a_training_need_no_framework() -> None:
    code = "import sys, fieldmark.training.fitted; print({'keras', 'tensorflow'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
