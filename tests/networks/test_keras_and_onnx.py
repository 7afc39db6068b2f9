"""The property that holds the room together: Keras, ONNX and the plan say the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.errors import BundleError
from fieldmark.networks import keras_model
from fieldmark.networks.layers import Activation, Network
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.rewrites import Bias, operations
from fieldmark.networks.volumes import Plan, plan
from fieldmark.networks.weights import initial
from tests.networks.strategies import Case, cases, random_pixels, random_weights

Arrays = dict[str, NDArray[np.float32]]
TOLERANCE = 1e-4
"""On scores, which lie in 0..1; what an export promises."""

few = settings(max_examples=25, deadline=None)
many = settings(max_examples=300, deadline=None)


def run_onnx(made: Plan, weights: Arrays, pixels: NDArray[np.uint8]) -> Arrays:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_graph(made, weights), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"pixels": pixels}), strict=True))


def run_keras(made: Plan, model: keras.Model, pixels: NDArray[np.uint8]) -> Arrays:
    """Give the graph's outputs, computed by Keras.

    The model is in another order than the list, so its layers do not always hold what the layer of
    that name gives. What the next reader behind a row takes in is the same in both orders.
    """
    reader = next(step.name for step in made.steps if made.maps_at in step.sources)
    maps = model.get_layer(reader).input
    features = model.get_layer(made.steps[-1].name).input
    inside = keras.Model(model.input, [maps, features, model.output])
    found = [np.asarray(value) for value in inside(pixels, training=False)]
    return {"maps": found[0].transpose(0, 3, 1, 2), "features": found[1], "logits": found[2]}


def scores(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    z = logits.astype(np.float64)
    if z.shape[1] == 1:
        p = 1 / (1 + np.exp(-z))
        return np.concatenate([1 - p, p], axis=1)
    raised = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def assert_keras_onnx_and_the_plan_agree(case: Case, seed: int) -> None:
    made = plan(case.network, case.n_classes)
    weights = random_weights(made, seed)
    keras.backend.clear_session()
    model = keras_model.build(made, weights)
    pixels = random_pixels(made, 3, seed)

    assert model.count_params() == made.n_weights
    for operation in operations(made):
        assert model.get_layer(operation.name).output.shape[1:] == operation.output
        if not isinstance(operation.layer, (Activation, Bias)):  # only these may be moved
            step = next(step for step in made.steps if step.name == operation.name)
            assert operation.output == step.output

    ours, theirs = run_onnx(made, weights, pixels), run_keras(made, model, pixels)
    assert ours["scores"].shape == (3, case.n_classes)
    np.testing.assert_allclose(ours["scores"], scores(theirs["logits"]), rtol=0, atol=TOLERANCE)
    for name in ("maps", "features"):
        assert ours[name].shape == theirs[name].shape
        scale = max(1.0, float(np.abs(theirs[name]).max()))
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=TOLERANCE * scale)

    alone = run_onnx(made, weights, pixels[:1])
    np.testing.assert_allclose(alone["scores"], ours["scores"][:1], rtol=0, atol=TOLERANCE)
    logits = np.asarray(model(pixels[:1], training=False))
    np.testing.assert_allclose(scores(logits), ours["scores"][:1], rtol=0, atol=TOLERANCE)


@few
@given(cases(), st.integers(0, 2**32 - 1))
def test_keras_onnx_and_the_plan_agree_on_any_list(case: Case, seed: int) -> None:
    assert_keras_onnx_and_the_plan_agree(case, seed)


@pytest.mark.slow
@many
@given(cases(), st.integers(0, 2**32 - 1))
def test_keras_onnx_and_the_plan_agree_on_many_lists(case: Case, seed: int) -> None:
    assert_keras_onnx_and_the_plan_agree(case, seed)


KNOWN = {
    "tutorial": "INPUT 16x16x3 -> CONV 8 3x3 -> RELU -> POOL 2x2 -> FC 12 -> RELU -> FC 1",
    "fold, then read twice": "INPUT 9x9x3 -> CONV 4 3x3 same -> {BN} -> FC",
    "fold behind a bias": "INPUT 9x9x3 -> [CONV 4 3x3]*2 -> BN -> FC",
    "two norms": "INPUT 9x9x3 -> CONV 4 3x3 -> BN -> BN -> FC 5 -> BN -> BN -> FC",
    "norm of the picture": "INPUT 9x9x1 -> BN -> FC",
    "norm behind pool, list and sum": "INPUT 9x9x3 -> POOL 2x2 -> BN -> {RELU} -> BN -> FLATTEN"
    " -> BN -> FC",
    "depthwise fold": "INPUT 9x9x3 -> DWCONV 3x2 same step 2 -> BN -> RELU6 -> FC",
    "odd borders": "INPUT 10x9x3 -> CONV 4 4x2 same step 3 -> AVGPOOL 3x3 same step 2 -> GMP -> FC",
    "window wider than the volume": "INPUT 8x8x1 -> POOL 5x5 -> AVGPOOL 4x4 same -> FC",
    "pool twice behind one RELU": "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> POOL 2x2 -> POOL 2x2 ->"
    " FC",
    "pool inside a block": "INPUT 9x9x3 -> CONV 4 3x3 -> {POOL 3x3 same step 1} -> POOL 2x2 -> FC",
    "averages do not commute": "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> AVGPOOL 2x2 -> SIGMOID -> "
    "AVGPOOL 2x2 same -> FC",
    "only a head": "INPUT 8x8x1 -> FC 1 -> SIGMOID",
    "blocks in blocks": "INPUT 8x8x3 -> {{{RELU} -> CONV 3 1x1} -> SIGMOID} -> GAP -> {FC 3} -> FC",
}


@pytest.mark.parametrize("text", KNOWN.values(), ids=KNOWN)
def test_the_known_hard_lists_agree(text: str) -> None:
    assert_keras_onnx_and_the_plan_agree(Case(parse(text), 2, 0), seed=5)


def test_one_sigmoid_unit_answers_with_two_scores_that_sum_to_one() -> None:
    made = plan(parse(KNOWN["tutorial"]), 2)
    weights = random_weights(made, 1)
    pixels = random_pixels(made, 4, 1)
    found = run_onnx(made, weights, pixels)
    z = np.asarray(keras_model.build(made, weights)(pixels, training=False))
    assert found["logits"].shape == (4, 2)
    np.testing.assert_allclose(found["scores"].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found["scores"][:, 1], 1 / (1 + np.exp(-z[:, 0])), atol=1e-5)


def test_pixels_are_scaled_inside_both() -> None:
    made = plan(parse("INPUT 8x8x1 -> FC"), 2)
    weights = {"fc1/kernel": np.zeros((64, 2), np.float32), "fc1/bias": np.zeros(2, np.float32)}
    weights["fc1/kernel"][0] = [1, -2]
    pixels = np.full((1, 8, 8, 1), 51, np.uint8)  # a fifth of 255
    model = keras_model.build(made, weights)
    np.testing.assert_allclose(np.asarray(model(pixels)), [[0.2, -0.4]], atol=1e-6)
    np.testing.assert_allclose(run_onnx(made, weights, pixels)["logits"], [[0.2, -0.4]], atol=1e-6)


def mixed() -> tuple[Plan, Network]:
    text = (
        "INPUT 12x12x3 -> CONV 4 3x3 -> RELU -> POOL 2x2 -> CONV 5 2x2 -> BN -> RELU "
        "-> DWCONV 2x2 -> {CONV 5 1x1 -> BN} -> FC 7 -> BN -> RELU -> FC"
    )
    return plan(parse(text), 3), parse(text)


def test_weights_written_are_the_weights_read() -> None:
    made, _ = mixed()
    model = keras_model.build(made, initial(made, seed=0))
    weights = random_weights(made, 3)
    keras_model.write_weights(model, made, weights)
    found = keras_model.read_weights(model, made)
    assert list(found) == list(made.weight_shapes)
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, weights[name])


def test_weights_read_are_copies() -> None:
    made, _ = mixed()
    model = keras_model.build(made, initial(made, seed=0))
    keras_model.read_weights(model, made)["conv1/kernel"][:] = 9
    assert keras_model.read_weights(model, made)["conv1/kernel"].max() < 9


def test_weights_of_another_list_are_refused() -> None:
    made, _ = mixed()
    weights = dict(initial(made, seed=0))
    del weights["fc1/kernel"]
    with pytest.raises(BundleError, match="do not belong to this layer list"):
        keras_model.build(made, weights)


def test_a_wide_fc_kept_transposed_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = mixed()
    weights, pixels = random_weights(made, 3), random_pixels(made, 3, 3)
    usual = keras_model.build(made, weights)
    assert not any(isinstance(layer, keras_model.TransposedDense) for layer in usual.layers)
    monkeypatch.setattr(keras_model, "WIDE", 1)
    wide = keras_model.build(made, weights)
    transposed = [
        layer.name for layer in wide.layers if isinstance(layer, keras_model.TransposedDense)
    ]
    assert transposed == ["fc1", "fc2"]
    assert wide.get_layer("fc1").kernel.shape == made.weight_shapes["fc1/kernel"][::-1]
    np.testing.assert_allclose(np.asarray(wide(pixels)), np.asarray(usual(pixels)), atol=1e-5)
    for name, array in keras_model.read_weights(wide, made).items():
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, weights[name])


def test_the_tutorials_fc_is_wide_and_others_are_not() -> None:
    text = "INPUT 64x64x3 -> CONV 32 3x3 -> RELU -> POOL 2x2 -> FC 128 -> RELU -> FC 1"
    made = plan(parse(text), 2)
    model = keras_model.build(made, initial(made, seed=0))
    kinds = {name: type(model.get_layer(name)).__name__ for name in ("fc1", "fc2")}
    assert kinds == {"fc1": "TransposedDense", "fc2": "Dense"}
    assert model.get_layer("fc1").compute_output_shape((None, 30752)) == (None, 128)


def test_dropout_acts_in_training_only_and_each_layer_drops_its_own_places() -> None:
    made = plan(parse("INPUT 8x8x1 -> DROPOUT 0.5 -> DROPOUT 0.5 -> FC"), 2)
    model = keras_model.build(made, initial(made, seed=0), seed=4)
    first, second = model.get_layer("dropout1"), model.get_layer("dropout2")
    ones = np.ones((1, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(np.asarray(first(ones, training=False)), ones)
    dropped = [np.asarray(layer(ones, training=True)) == 0 for layer in (first, second)]
    assert 10 < dropped[0].sum() < 54
    assert (dropped[0] != dropped[1]).any()


def test_dropout_repeats_with_its_seed() -> None:
    made = plan(parse("INPUT 8x8x1 -> DROPOUT 0.5 -> FC"), 2)
    ones = np.ones((1, 8, 8, 1), np.float32)

    def draw(seed: int) -> Any:
        model = keras_model.build(made, initial(made, seed=0), seed=seed)
        return np.asarray(model.get_layer("dropout1")(ones, training=True))

    np.testing.assert_array_equal(draw(4), draw(4))
    assert (draw(4) != draw(5)).any()
