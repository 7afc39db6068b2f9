"""Batch normalisation's averages, computed anew for the weights that are kept.

A running average lags behind the weights it was taken from; averaged weights never saw a batch at
all, and after training on smaller pictures the averages are those of smaller pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from fieldmark.networks import keras_model
from fieldmark.networks.keras_model import BN_MOMENTUM
from fieldmark.networks.layers import BatchNorm
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import Weights
from fieldmark.training.step import compile_look

N_BATCHES: Final = 40
"""Batches to look at; with a momentum of 0.9 about the last 20 of them count."""


def renewed(
    model: keras.Model,
    plan: Plan,
    weights: Weights,
    batches: Iterable[NDArray[np.uint8]],
    *,
    frozen: frozenset[str] = frozenset(),
) -> dict[str, NDArray[np.float32]]:
    """Return the weights with the means and variances that these batches have in this network.

    Parameters
    ----------
    model : keras.Model
        Of the plan; holds the result afterwards.
    plan : Plan
    weights : mapping of str to float32 array
        Not changed.
    batches : iterable of uint8 arrays of shape (n, height, width, channels)
        Training pictures as the network will see them.
    frozen : frozenset of str
        Steps that keep their averages.

    References
    ----------
    Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018,
    arXiv:1803.05407, section 3.2; Touvron et al., "Fixing the train-test resolution discrepancy",
    2019, arXiv:1906.06423, for the change of size.
    """
    norms = [
        step.name
        for step in plan.steps
        if isinstance(step.layer, BatchNorm) and step.name not in frozen
    ]
    names = [f"{norm}/{name}" for norm in norms for name in ("mean", "variance")]
    found = {name: np.array(array) for name, array in weights.items()}
    if names:
        for name in names:
            found[name] = np.zeros_like(found[name])
        keras_model.write_weights(model, plan, found)
        look, n = compile_look(model), 0
        for n, pixels in enumerate(batches, start=1):  # noqa: B007  (counts them)
            look(pixels)
        # Begun at zero, the running average is short by its momentum's power, as Adam's are.
        seen = keras_model.read_weights(model, plan)
        for name in names:
            found[name] = seen[name] / np.float32(1 - BN_MOMENTUM**n)
    keras_model.write_weights(model, plan, found)
    return found
