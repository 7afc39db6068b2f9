"""A network's weights as plain arrays: drawn, packed and unpacked without any framework.

Names are those of :attr:`~fieldmark.networks.volumes.Plan.weight_shapes` (``conv1/kernel``).
Because they are drawn here and not by a backend, TensorFlow, JAX and torch start from the same
network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.errors import BundleError
from fieldmark.networks.volumes import Plan

Weights = Mapping[str, NDArray[np.float32]]
"""Full weight name to array."""


def initial(plan: Plan, *, seed: int) -> dict[str, NDArray[np.float32]]:
    """Draw the weights a training starts from.

    Kernels are uniform in +-sqrt(6 / (fan in + fan out)), biases 0, batch normalisation the
    identity: the defaults of Keras, hence of the tutorial.

    Parameters
    ----------
    plan : Plan
    seed : int
        Each kernel is drawn from ``(seed, "weights", name)``: adding a layer leaves others as they
        were.

    Returns
    -------
    dict of str to float32 array

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010.
    """
    return {
        name: _drawn(name, shape, seed=seed).astype(np.float32)
        for name, shape in plan.weight_shapes.items()
    }


def _drawn(name: str, shape: tuple[int, ...], *, seed: int) -> NDArray[np.float64]:
    if name.endswith(("/gamma", "/variance")):
        return np.ones(shape)
    if not name.endswith("/kernel"):
        return np.zeros(shape)
    window = math.prod(shape[:-2])
    limit = math.sqrt(6.0 / (window * (shape[-2] + shape[-1])))
    return rng.derive(seed, "weights", name).uniform(-limit, limit, shape)


def check(plan: Plan, weights: Weights) -> None:
    """Hold names, shapes and values against the plan.

    Raises
    ------
    BundleError
        Code ``weights-mismatch``.
    """
    wanted = plan.weight_shapes
    found = {name: tuple(array.shape) for name, array in weights.items()}
    if found != wanted:
        differ = sorted(set(wanted.items()) ^ set(found.items()))[:3]
        raise BundleError(
            f"The weights do not belong to this layer list: {differ}.",
            code="weights-mismatch",
            why="Every array must have the name and shape its layer asks for.",
            hint="use the layer list that was saved beside the weights",
        )
    broken = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if broken:
        raise BundleError(
            f"Weights that are not finite numbers: {broken[:3]}.",
            code="weights-mismatch",
            hint="train again with a smaller --lr",
        )
