"""The running average of the weights: steadier than the last step's. Pure NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldmark.networks.weights import Weights

EVERY = 5
"""Steps between two updates; the decay is raised to that power, so the average means the same."""


class WeightAverage:
    """An exponential moving average of named arrays.

    Parameters
    ----------
    decay : float
        Per step, in [0, 1). Early on the average follows faster: after n steps the decay is at most
        ``(1 + n) / (10 + n)``, so that the drawn weights are soon forgotten.

    References
    ----------
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the warm-up
    is TensorFlow's ``ExponentialMovingAverage(num_updates=...)``.

    Examples
    --------
    >>> average = WeightAverage(0.9)
    >>> average.update({"w": np.zeros(1, np.float32)}, step=0)
    >>> average.update({"w": np.ones(1, np.float32)}, step=5)
    >>> round(float(average.weights["w"][0]), 2)
    0.99
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, NDArray[np.float32]] = {}

    def update(self, weights: Weights, *, step: int) -> None:
        """Take one more set of weights in; call it every :data:`EVERY` steps."""
        if not self.weights:
            self.weights = {name: array.copy() for name, array in weights.items()}
            return
        decay = min(self.decay, (1 + step) / (10 + step)) ** EVERY
        for name, array in weights.items():
            average = self.weights[name]
            average += np.float32(1 - decay) * (array - average)
