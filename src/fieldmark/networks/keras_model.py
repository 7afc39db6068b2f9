"""The network as a Keras model, to be trained. One of the two rooms that import Keras.

The model takes uint8 pictures, scales inside, and gives logits. Its layers carry the plan's names,
so weights go in and out by name and are the same arrays on TensorFlow, JAX and torch. It computes
in the cheaper order of :mod:`~fieldmark.networks.rewrites`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.errors import UsageError
from fieldmark.networks.layers import (
    Activation,
    Backbone,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Pool,
)
from fieldmark.networks.rewrites import BIAS_SUFFIX, Bias, Operation, operations
from fieldmark.networks.volumes import BN_EPSILON, PIXEL_SCALE, Add, Concat, Plan
from fieldmark.networks.weights import Weights, check

BN_MOMENTUM: Final = 0.9
"""Of the running averages; Keras' 0.99 needs more steps than a short training has."""
WIDE: Final = 1_000_000
"""Weights from which an FC is kept transposed on TensorFlow; see :class:`TransposedDense`."""


class LateBias(keras.layers.Layer):  # type: ignore[misc]
    """Adds one number per map."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the one weight."""
        self.bias = self.add_weight(shape=(shape[-1],), initializer="zeros", name="bias")

    def call(self, maps: Any) -> Any:
        """Add it."""
        return maps + self.bias


class TransposedDense(keras.layers.Layer):  # type: ignore[misc]
    """An FC whose kernel lies as (units, inputs) in memory: the same numbers, faster on a CPU.

    For the tutorial's 30,752 x 128 kernel and 32 pictures, the three products of a training step
    took 6.1 ms this way and 8.8 ms the usual way (TensorFlow 2.21, 2 cores). TensorFlow only:
    others have no product that reads the transposed kernel in place.
    """

    def __init__(self, units: int, *, use_bias: bool, name: str) -> None:
        super().__init__(name=name)
        self.units = units
        self.use_bias = use_bias

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make kernel and bias."""
        self.kernel = self.add_weight(shape=(self.units, shape[-1]), name="kernel")
        self.bias = (
            self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
            if self.use_bias
            else None
        )

    def call(self, values: Any) -> Any:
        """Multiply and add."""
        import tensorflow as tf

        product = tf.transpose(tf.matmul(self.kernel, values, transpose_b=True))
        return product if self.bias is None else product + self.bias

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the product."""
        return (shape[0], self.units)


def build(plan: Plan, weights: Weights, *, seed: int = 0, any_size: bool = False) -> keras.Model:
    """Build the model and give it its weights.

    Parameters
    ----------
    plan : Plan
    weights : mapping of str to float32 array
        As :attr:`Plan.weight_shapes` names them, for example from
        :func:`fieldmark.networks.weights.initial`.
    seed : int, default=0
        For DROPOUT.
    any_size : bool, default=False
        Accept pictures of any height and width; only for a plan that is :attr:`Plan.size_free`.

    Returns
    -------
    keras.Model
        (n, height, width, channels) uint8 -> (n, n_outputs) float32 logits; the back of a cut plan
        takes float32 maps.

    Raises
    ------
    BundleError
        Code ``weights-mismatch``.
    UsageError
        Code ``nothing-to-fine-tune``: the plan's backbone comes from elsewhere.
    """
    shape = (None, None, plan.input[2]) if any_size else plan.input
    if plan.entering is None:
        pixels = keras.Input(shape, dtype="uint8", name="pixels")
        values = {"pixels": keras.layers.Rescaling(PIXEL_SCALE, name="scaled")(pixels)}
    else:
        pixels = keras.Input(shape, dtype="float32", name="maps")
        values = {"pixels": pixels}
    for operation in operations(plan):
        read = [values[source] for source in operation.sources]
        values[operation.name] = _layer(operation, seed)(read if len(read) > 1 else read[0])
    model = keras.Model(pixels, values[plan.steps[-1].name], name="fieldmark")
    write_weights(model, plan, weights)
    return model


def freeze(model: keras.Model, steps: frozenset[str]) -> None:
    """Keep the weights of these plan steps as they are; call it before the model is compiled.

    A frozen batch normalisation also keeps its averages, and normalises by them while training.
    """
    for layer in model.layers:
        if layer.name.removesuffix(BIAS_SUFFIX) in steps:
            layer.trainable = False


def _layer(operation: Operation, seed: int) -> Callable[[Any], Any]:
    name = operation.name
    match operation.layer:
        case Conv() as conv:
            return _conv(conv, operation)
        case Pool() as pool:
            kind = "MaxPooling2D" if pool.reduce == "max" else "AveragePooling2D"
            layer = getattr(keras.layers, kind)
            return layer(pool.kernel, pool.steps, padding=pool.padding, name=name)  # type: ignore[no-any-return]
        case GlobalPool(reduce="mean"):
            return keras.layers.GlobalAveragePooling2D(name=name)  # type: ignore[no-any-return]
        case GlobalPool():
            return keras.layers.GlobalMaxPooling2D(name=name)  # type: ignore[no-any-return]
        case BatchNorm():
            return keras.layers.BatchNormalization(  # type: ignore[no-any-return]
                momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=name
            )
        case Activation(function=function):
            return keras.layers.Activation(function, name=name)  # type: ignore[no-any-return]
        case Dropout(rate=rate):
            # Named like every other draw: with one seed for all, they would drop the same places.
            own = int(rng.derive(seed, "dropout", name).integers(2**31))
            return keras.layers.Dropout(rate, seed=own, name=name)  # type: ignore[no-any-return]
        case Flatten():
            return keras.layers.Flatten(name=name)  # type: ignore[no-any-return]
        case Dense():
            return _dense(operation)
        case Add():
            return keras.layers.Add(name=name)  # type: ignore[no-any-return]
        case Concat():
            return keras.layers.Concatenate(name=name)  # type: ignore[no-any-return]
        case Bias():
            return LateBias(name=name)
        case Backbone(source=source):
            raise UsageError(
                f"{source} is used as it is; only its head is learned.",
                code="nothing-to-fine-tune",
                why="A network from elsewhere has no layers of ours that could be trained.",
                hint="leave --fine-tune out, or use --net features",
            )


def _conv(conv: Conv, operation: Operation) -> Callable[[Any], Any]:
    given = {
        "strides": conv.step,
        "padding": conv.padding,
        "use_bias": operation.bias,
        "name": operation.name,
    }
    if conv.filters is None:
        return keras.layers.DepthwiseConv2D(conv.kernel, **given)  # type: ignore[no-any-return]
    return keras.layers.Conv2D(conv.filters, conv.kernel, **given)  # type: ignore[no-any-return]


def _dense(operation: Operation) -> Callable[[Any], Any]:
    units = operation.output[0]
    if keras.backend.backend() == "tensorflow" and units * operation.input[0] >= WIDE:
        return TransposedDense(units, use_bias=operation.bias, name=operation.name)
    return keras.layers.Dense(  # type: ignore[no-any-return]
        units, use_bias=operation.bias, name=operation.name
    )


def _variables(model: keras.Model, plan: Plan) -> dict[str, tuple[Any, bool]]:
    """Full weight name -> the Keras variable, and whether it lies transposed."""
    found: dict[str, tuple[Any, bool]] = {}
    for step in plan.steps:
        for name in step.weight_shapes:
            layer = model.get_layer(step.name)
            transposed = isinstance(layer, TransposedDense) and name == "kernel"
            if name == "bias" and layer.bias is None:
                layer = model.get_layer(step.name + BIAS_SUFFIX)
            attribute = {"mean": "moving_mean", "variance": "moving_variance"}.get(name, name)
            found[f"{step.name}/{name}"] = (getattr(layer, attribute), transposed)
    return found


def read_weights(model: keras.Model, plan: Plan) -> dict[str, NDArray[np.float32]]:
    """Copy the weights out by name.

    Returns
    -------
    dict of str to float32 array
        Shapes as in :attr:`Plan.weight_shapes`.
    """
    arrays = {}
    for name, (variable, transposed) in _variables(model, plan).items():
        array = variable.numpy()
        # Order C also when it lay transposed: whoever packs the bytes may trust it.
        arrays[name] = np.array(array.T if transposed else array, np.float32, order="C")
    return arrays


def write_weights(model: keras.Model, plan: Plan, weights: Weights) -> None:
    """Give the model its weights by name; the inverse of :func:`read_weights`."""
    check(plan, weights)
    for name, (variable, transposed) in _variables(model, plan).items():
        variable.assign(weights[name].T if transposed else weights[name])
