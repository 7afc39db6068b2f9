"""From trained weights to a graph that answers, and the proof that both give the same answers.

The parity gate: no bundle is written if the ONNX graph and the trained network disagree on real
pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import ParityError
from fieldmark.inference.runtime import open_runtime
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import Weights

TOLERANCE: Final = 1e-3
"""On scores; float32 sums in another order differ by about 1e-6."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A graph with its proof."""

    onnx: bytes
    n_pictures: int
    largest_difference: float
    """Between scores of the graph and of the trained network."""
    scores: NDArray[np.float32]
    """(n, n_classes): the graph's, on the pictures of the proof."""
    logits: NDArray[np.float32]
    """The same before softmax."""


def export(
    plan: Plan,
    weights: Weights,
    *,
    pixels: NDArray[np.uint8],
    logits: NDArray[np.float32],
    tolerance: float = TOLERANCE,
    threads: int = 0,
) -> Exported:
    """Write the graph and hold it against the trained network.

    Parameters
    ----------
    plan, weights
        The trained network.
    pixels : uint8 array of shape (n, height, width, channels)
        Real pictures.
    logits : float32 array of shape (n, n_classes)
        What the trained network answers on them.
    tolerance : float, default=0.001
        The largest difference of a score that passes.
    threads : int, default=0
        That compute; 0 lets the engine choose. What it answers goes into the model file.

    Raises
    ------
    ParityError
        Code ``parity``: a score differs by more.
    """
    onnx = onnx_graph(plan, weights)
    given = open_runtime(onnx, threads=threads).run(pixels, outputs=("scores", "logits"))
    nothing = np.empty((0, 0), np.float32)
    scores = nothing if given.scores is None else given.scores
    answered = nothing if given.logits is None else given.logits
    wanted = _softmax(logits)
    differences = np.abs(scores - wanted)
    largest = float(differences.max())
    if not largest <= tolerance:
        worst = int(differences.max(axis=1).argmax())
        raise ParityError(
            f"The exported network differs from the trained one by {largest:.2g} in a score.",
            code="parity",
            where=f"picture {worst} of {len(pixels)} validation pictures",
            why=f"More than {tolerance:g} means it would not answer as it was measured.",
            hint="report this layer list as a bug; no model file was written",
        )
    return Exported(onnx, len(pixels), largest, scores, answered)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    z = logits.astype(np.float64)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True))
