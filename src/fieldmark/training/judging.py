"""How a model does while it is trained: its answers, their loss, whether its weights are numbers.

The loop asks at the end of every epoch, and compares what is exported with it afterwards.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from numpy.typing import NDArray

from fieldmark.data.batches import Batches
from fieldmark.networks import keras_model
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import Weights


def judged(model: keras.Model, batches: Batches, smoothing: float) -> tuple[float, float]:
    """Return the mean loss and the accuracy on a part; the loss is NaN if an answer is no number.

    Parameters
    ----------
    model : keras.Model
    batches : Batches
        Unshuffled and unaugmented.
    smoothing : float
        Of the labels, as in training.
    """
    loss, n_right, n = 0.0, 0, 0
    for pixels, labels in batches.epoch(0):
        logits = answer(model, pixels)
        if not np.isfinite(logits).all():
            return math.nan, 0.0
        loss += float(losses(logits, labels, smoothing).sum())
        n_right += int((logits.argmax(axis=1) == labels).sum())
        n += len(labels)
    return loss / n, n_right / n


def answers(plan: Plan, given: Weights, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the Keras model with these weights answers: logits (n, n_classes)."""
    return answer(keras_model.build(plan, given), pixels)


def targets(labels: NDArray[np.int64], plan: Plan) -> NDArray[np.float32]:
    """Return what the loss compares with: (n, 1) of 0 and 1 for a sigmoid, else one-hot rows."""
    if plan.n_outputs == 1:
        return labels.astype(np.float32)[:, None]
    return np.eye(plan.n_classes, dtype=np.float32)[labels]


def answer(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (n, n_classes) logits; a sigmoid's z becomes (-z/2, z/2), as in the ONNX graph."""
    logits = np.asarray(model.predict_on_batch(pixels), np.float32)
    return logits * np.array([-0.5, 0.5], np.float32) if logits.shape[1] == 1 else logits


def losses(
    logits: NDArray[np.float32], labels: NDArray[np.int64], smoothing: float = 0.0
) -> NDArray[np.float64]:
    """Return the cross-entropy of each example, in nats: the loss that training lowers.

    With smoothed labels, because an epoch judged by another loss than it was trained for would
    look best long before it is.
    """
    z = logits.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)
    log_shares = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    picked = log_shares[np.arange(len(labels)), labels]
    return np.asarray(-(1 - smoothing) * picked - smoothing * log_shares.mean(axis=1))


def finite(found: Weights) -> bool:
    """Look at the weights themselves: a RELU turns NaN into 0, so the loss need not show it."""
    return all(bool(np.isfinite(array).all()) for array in found.values())
