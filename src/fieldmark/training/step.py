"""One step of training: the same mathematics on every backend.

On TensorFlow the whole step (rate, gradient, update, both metrics) is one graph call; Keras'
``train_on_batch`` does the same with a dozen small calls around it, which cost the tutorial's
network about 1 of 19 ms at batch 32. On JAX and torch ``train_on_batch`` is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fieldmark.networks.volumes import Plan
from fieldmark.training.optimizers import optimizer
from fieldmark.training.recipe import Recipe

TrainStep = Callable[
    [NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32] | None, float],
    tuple[float, float],
]
"""(pixels, targets, weight per example or None, learning rate) -> (loss, accuracy) of the batch."""


def compile_step(model: keras.Model, plan: Plan, recipe: Recipe) -> TrainStep:
    """Give the model its loss and optimizer, and return what trains it by one batch."""
    kind = "BinaryCrossentropy" if plan.n_outputs == 1 else "CategoricalCrossentropy"
    loss = getattr(keras.losses, kind)(from_logits=True, label_smoothing=recipe.label_smoothing)
    tensorflow = keras.backend.backend() == "tensorflow"
    model.compile(
        optimizer(recipe.optimizer, lr=recipe.lr or 1e-3, weight_decay=recipe.weight_decay),
        loss,
        metrics=[keras.metrics.MeanMetricWrapper(_right, name="accuracy")],
        # XLA compiles convolutions badly on a CPU; JAX knows nothing else.
        jit_compile=keras.backend.backend() == "jax",
    )
    model.optimizer.build(model.trainable_variables)
    return _tensorflow_step(model, loss) if tensorflow else _portable_step(model)


def compile_look(model: keras.Model) -> Callable[[NDArray[np.uint8]], Any]:
    """Return what shows the model a batch as in training, without learning from it.

    Only the averages of batch normalisation move.
    """

    def look(pixels: Any) -> Any:
        return model(pixels, training=True)

    if keras.backend.backend() != "tensorflow":
        return look
    import tensorflow as tf

    return tf.function(look, reduce_retracing=True)  # type: ignore[no-any-return]


def _portable_step(model: keras.Model) -> TrainStep:
    def step(
        pixels: NDArray[np.uint8],
        wanted: NDArray[np.float32],
        weight: NDArray[np.float32] | None,
        rate: float,
    ) -> tuple[float, float]:
        model.optimizer.learning_rate = rate
        model.reset_metrics()  # Keras 3.9 averages over all steps otherwise
        logs = model.train_on_batch(pixels, wanted, sample_weight=weight, return_dict=True)
        return float(logs["loss"]), float(logs["accuracy"])

    return step


def _tensorflow_step(model: keras.Model, loss: keras.losses.Loss) -> TrainStep:
    import tensorflow as tf

    variables = model.trainable_variables

    def graph(pixels: Any, wanted: Any, weight: Any, rate: Any) -> tuple[Any, Any]:
        model.optimizer.learning_rate.assign(rate)
        with tf.GradientTape() as tape:
            logits = model(pixels, training=True)
            value = loss(wanted, logits, sample_weight=weight)
        model.optimizer.apply(tape.gradient(value, variables), variables)
        return value, tf.reduce_mean(_right(wanted, logits))

    def traced(height: int, width: int) -> tuple[Any, Any]:
        # Any number of examples: the last batch of an epoch is smaller and must not be traced anew.
        signature = [
            tf.TensorSpec((None, height, width, model.input_shape[3]), model.inputs[0].dtype),
            tf.TensorSpec((None, model.output_shape[1]), tf.float32),
        ]
        rate = tf.TensorSpec((), tf.float32)
        weighted = tf.function(graph, input_signature=[*signature, tf.TensorSpec((None,)), rate])
        plain = tf.function(
            lambda pixels, wanted, rate: graph(pixels, wanted, None, rate),
            input_signature=[*signature, rate],
        )
        return weighted, plain

    by_size: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def step(
        pixels: NDArray[np.uint8],
        wanted: NDArray[np.float32],
        weight: NDArray[np.float32] | None,
        rate: float,
    ) -> tuple[float, float]:
        size = pixels.shape[1:3]
        if size not in by_size:
            by_size[size] = traced(*size)
        weighted, plain = by_size[size]
        if weight is None:
            value, accuracy = plain(pixels, wanted, rate)
        else:
            value, accuracy = weighted(pixels, wanted, weight, rate)
        return float(value), float(accuracy)

    return step


def _right(wanted: Any, logits: Any) -> Any:
    """1 where the highest logit, or the sign of the only one, is right."""
    if logits.shape[-1] == 1:
        hits = keras.ops.equal(wanted > 0.5, logits > 0.0)
        return keras.ops.cast(keras.ops.squeeze(hits, -1), "float32")
    hits = keras.ops.equal(keras.ops.argmax(wanted, -1), keras.ops.argmax(logits, -1))
    return keras.ops.cast(hits, "float32")
