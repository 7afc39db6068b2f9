"""What every member of the catalogue promises. A new member is tested by being in the table."""

from __future__ import annotations

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from fieldmark.networks import CATALOGUE, keras_model
from fieldmark.networks.base import Architecture
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import Plan, plan
from fieldmark.networks.weights import initial
from tests.networks.strategies import random_pixels, random_weights

SIZE = 32


def made(member: Architecture, n_classes: int) -> Plan:
    return plan(member.network(size=SIZE, n_classes=n_classes), n_classes)


def onnx_scores(plan_: Plan, seed: int, pixels: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        onnx_graph(plan_, random_weights(plan_, seed)), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(["scores"], {"pixels": pixels})[0])


def keras_scores(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    logits = model(pixels, training=False)
    if logits.shape[1] == 1:
        logits = tf.concat([-logits / 2, logits / 2], axis=1)
    return np.asarray(tf.nn.softmax(logits))


@pytest.mark.parametrize("member", CATALOGUE.values(), ids=list(CATALOGUE))
class TestArchitecture:
    def test_it_says_what_it_is_and_where_it_comes_from(self, member: Architecture) -> None:
        assert CATALOGUE[member.name] is member
        assert member.name == member.name.lower()
        assert member.summary.endswith(".")
        assert len(member.summary) <= 100
        assert member.reference
        assert member.network().input.height == member.network().input.width == member.size

    @pytest.mark.parametrize("n_classes", [2, 5])
    @pytest.mark.parametrize("size", [32, 64, 96, 128])
    def test_its_list_fits_every_usual_size_and_prints_itself(
        self, member: Architecture, size: int, n_classes: int
    ) -> None:
        network = member.network(size=size, n_classes=n_classes)
        assert parse(str(network)) == network
        found = plan(network, n_classes)
        assert found.input == (size, size, 3)
        assert found.maps_at >= 0

    @pytest.mark.parametrize("n_classes", [2, 5])
    def test_logits_have_one_column_per_class(self, member: Architecture, n_classes: int) -> None:
        found = made(member, n_classes)
        model = keras_model.build(found, initial(found, seed=0))
        assert model.output.shape == (None, found.n_outputs)
        assert found.n_outputs == n_classes or (found.n_outputs, n_classes) == (1, 2)
        assert onnx_scores(found, 0, random_pixels(found, 2, 0)).shape == (2, n_classes)

    @pytest.mark.parametrize("n_classes", [2, 5])
    def test_the_graph_agrees_with_keras(self, member: Architecture, n_classes: int) -> None:
        found = made(member, n_classes)
        model = keras_model.build(found, random_weights(found, 4))
        pixels = random_pixels(found, 4, 4)
        graph = onnx_scores(found, 4, pixels)
        np.testing.assert_allclose(graph, keras_scores(model, pixels), rtol=0, atol=1e-4)

    def test_one_example_scores_the_same_alone_and_in_a_batch(self, member: Architecture) -> None:
        found = made(member, 5)
        model = keras_model.build(found, random_weights(found, 4))
        pixels = random_pixels(found, 5, 4)
        together = keras_scores(model, pixels)
        graph = onnx_scores(found, 4, pixels)
        for at in range(5):
            one = pixels[at : at + 1]
            np.testing.assert_allclose(keras_scores(model, one)[0], together[at], atol=1e-5)
            np.testing.assert_allclose(onnx_scores(found, 4, one)[0], graph[at], atol=1e-5)

    @pytest.mark.parametrize("n_classes", [2, 5])
    def test_every_weight_receives_a_gradient(self, member: Architecture, n_classes: int) -> None:
        found = made(member, n_classes)
        model = keras_model.build(found, initial(found, seed=0))
        with tf.GradientTape() as tape:
            logits = model(random_pixels(found, 8, 0), training=True)
            loss = tf.reduce_mean(tf.square(logits - tf.range(8.0)[:, None]))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        for variable, gradient in zip(variables, gradients, strict=True):
            assert gradient is not None, variable.path
            assert np.isfinite(gradient).all(), variable.path
            assert np.asarray(gradient).any(), variable.path

    def test_all_that_is_learned_is_in_the_plan(self, member: Architecture) -> None:
        found = made(member, 5)
        model = keras_model.build(found, initial(found, seed=0))
        assert model.count_params() == found.n_weights
        assert set(keras_model.read_weights(model, found)) == set(found.weight_shapes)
