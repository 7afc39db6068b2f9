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
from fieldmark.networks.efficientnet_lite import PIXEL_DEVIATION, PIXEL_MEAN
from fieldmark.networks.layers import BatchNorm, Conv
from fieldmark.networks.pretrained import load
from fieldmark.networks.volumes import BN_EPSILON, PIXEL_SCALE, Plan, Step

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


def pretrained(plan: Plan) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a plan's backbone, under the plan's names.

    The file's arrays stand in the order in which the network computes, so its modules and the
    plan's weighted steps are walked side by side; kinds and shapes have to agree.

    Returns
    -------
    dict of str to float32 array
        The steps before ``plan.backbone.stop``; empty if there is no backbone, or one from
        elsewhere. The head is not in it.

    Raises
    ------
    MissingExtra
        Code ``extra-missing``: the package that holds the weights is not installed.
    BundleError
        Codes ``weights-damaged``, ``weights-unsafe``, ``weights-mismatch``.
    """
    if plan.backbone is None or plan.foreign is not None:
        return {}
    modules: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name, array in load(plan.backbone.source).items():
        module, _, part = name.rpartition(".")
        modules.setdefault(module, {})[part] = array
    weighted = [step for step in plan.steps[: plan.backbone.stop] if step.weight_shapes]
    found = _scaling(weighted[0])
    for step, arrays in zip(weighted[1:], modules.values(), strict=False):
        found |= {f"{step.name}/{name}": array for name, array in _renamed(step, arrays).items()}
    wanted = {
        f"{step.name}/{name}": shape
        for step in weighted
        for name, shape in step.weight_shapes.items()
    }
    if {name: array.shape for name, array in found.items()} != wanted:
        raise BundleError(
            f"The weights of {plan.backbone.source} do not fit its layer list.",
            code="weights-mismatch",
            why="Every array must have the name and shape its layer asks for.",
            hint="install the version of the package that fieldmark's pyproject.toml names",
        )
    return found


def _scaling(step: Step) -> dict[str, NDArray[np.float32]]:
    """Weights that make a BN behind INPUT compute (pixel - mean) / deviation."""
    mean, deviation = PIXEL_MEAN * PIXEL_SCALE, PIXEL_DEVIATION * PIXEL_SCALE
    values = {"gamma": 1.0, "beta": 0.0, "mean": mean, "variance": deviation**2 - BN_EPSILON}
    return {
        f"{step.name}/{name}": np.full(shape, values[name], np.float32)
        for name, shape in step.weight_shapes.items()
    }


_NORM_PARTS = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}


def _renamed(
    step: Step, arrays: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Give one module's arrays our names, and kernels our order of axes."""
    if isinstance(step.layer, BatchNorm):
        return {_NORM_PARTS.get(name, name): array for name, array in arrays.items()}
    # (filters, maps, rows, columns) becomes (rows, columns, maps, filters); a depthwise kernel is
    # (maps, 1, rows, columns) there and (rows, columns, maps, 1) here.
    depthwise = isinstance(step.layer, Conv) and step.layer.filters is None
    axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
    return {
        {"weight": "kernel"}.get(name, name): np.ascontiguousarray(array.transpose(axes))
        for name, array in arrays.items()
        if array.ndim == len(axes)
    }


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
