"""What the files of a run are made of: the values that training leaves, side by side. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldmark.config import Settings
from fieldmark.data.cache import Pixels
from fieldmark.data.manifest import Example, Manifest, Note
from fieldmark.evaluation.more_data import MoreData
from fieldmark.evaluation.repeats import Repeats
from fieldmark.export import Exported
from fieldmark.networks.layer_table import LayerTable
from fieldmark.quantization import Gate
from fieldmark.runs import RunFolder
from fieldmark.training.fitted import Fitted
from fieldmark.workflow.weak_spots import WeakSpots


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the files are made of."""

    folder: RunFolder
    settings: Settings
    """Resolved: no ``auto`` left."""
    manifest: Manifest
    table: LayerTable
    network: str
    backbone: str
    """Name of the pretrained part; empty if there is none."""
    origin: tuple[str, ...]
    """Where a backbone from elsewhere comes from, one sentence each."""
    fitted: Fitted
    exported: Exported
    verdict: Gate | None
    """What int8 costs; None: it was not asked for."""
    pixels: Pixels
    """(n_rows, height, width, channels): the decoded pictures."""
    rows: NDArray[np.int64]
    """One row of ``pixels`` per example of the manifest."""
    command: str
    created: str
    decision: dict[str, Any] = field(default_factory=dict)
    """``decision.json`` of the model file: temperature and thresholds, and what they mean."""
    notes: tuple[Note, ...] = ()
    """What was said about lists and parts."""
    seconds: float | None = None
    """From the command to the end of training."""

    curve: MoreData | None = None
    """Whether more pictures would help."""

    @property
    def test(self) -> tuple[tuple[int, Example], ...]:
        """Position and example of the test part, in the manifest's order."""
        numbered = enumerate(self.manifest.examples)
        return tuple((at, example) for at, example in numbered if example.split == "test")

    @property
    def history(self) -> list[dict[str, float]]:
        """Epochs as plain numbers."""
        return [
            {
                "epoch": done.epoch,
                "seconds": round(done.seconds, 3),
                "loss": done.loss,
                "accuracy": done.accuracy,
                "val_loss": done.val_loss,
                "val_accuracy": done.val_accuracy,
                "lr": done.lr,
            }
            for done in self.fitted.history
        ]


@dataclass(frozen=True, slots=True)
class Worst:
    """One test picture with a high loss."""

    example: Example
    image: NDArray[np.uint8]
    predicted: str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the model says of the test part."""

    scores: NDArray[np.float32]
    """(n_test, n_classes): in the order of :attr:`RunFacts.test`."""
    worst: tuple[Worst, ...]
    """The pictures with the highest losses, highest first."""
    weak: WeakSpots
    """Where it fails."""
    repeats: Repeats | None = None
    """What further trainings say."""
