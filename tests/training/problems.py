"""Small things to train on, and a recipe to change: for this room."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.batches import Batches
from fieldmark.modalities.augment import Augmentation
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import Plan, plan
from fieldmark.training import loop
from fieldmark.training.events import Event, Progress
from fieldmark.training.fitted import Fitted, Start
from fieldmark.training.recipe import Recipe
from fieldmark.workflow.machine import cores
from tests.pictures import SHAPES, arrays

TINY = "INPUT 16x16x3 -> CONV 8 3x3 same -> BN -> RELU -> POOL 2x2 -> GAP -> FC"

RECIPE = Recipe(
    optimizer="adam",
    lr=0.01,
    schedule="constant",
    weight_decay=0.0,
    epochs=2,
    steps_per_epoch=0,
    time_s=None,
    batch=16,
    patience=0,
    label_smoothing=0.0,
    class_weights=None,
    ema=0.0,
    augment="none",
    sizes=(),
    seed=0,
    threads=cores(),
)
"""Nothing clever: each test changes what it is about."""


def recipe(**changes: Any) -> Recipe:
    return dataclasses.replace(RECIPE, **changes)


def tiny(layers: str = TINY, n_classes: int = 3) -> Plan:
    return plan(parse(layers), n_classes)


def batches(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    batch: int = 16,
    seed: int = 0,
    augmentation: Augmentation | None = None,
) -> Batches:
    return Batches(
        pixels=pixels,
        rows=np.arange(len(labels)),
        labels=labels,
        ids=np.arange(len(labels), dtype=np.uint64),
        batch_size=batch,
        seed=seed,
        augmentation=augmentation,
        threads=1,
    )


def shapes(n: int = 60, *, batch: int = 16, seed: int = 0, size: int = 16, classes: int = 3) -> Any:
    """Return (training, validation) batches of drawn shapes, a quarter of them for validation."""
    pixels, labels = arrays(n + n // 4, size=size, shapes=SHAPES[:classes])
    train = batches(pixels[:n], labels[:n], batch=batch, seed=seed)
    return train, batches(pixels[n:], labels[n:], batch=256).plain()


@dataclass
class Stop:
    """A request to stop, made before, or by a listener."""

    requested: bool = False
    terminated: bool = False


@dataclass
class Ear:
    """Hears everything; may act on it."""

    act: Callable[[Event], None] = lambda event: None
    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.act(event)

    def losses(self, stage: str = "epoch") -> list[float]:
        """The loss of every step."""
        told = [e for e in self.events if isinstance(e, Progress) and e.stage == stage]
        return [event.loss for event in told if event.loss is not None]

    def names(self) -> list[str]:
        """What was said, in order, without the steps."""
        return [event.name for event in self.events if not isinstance(event, Progress)]


def fit(
    start: Plan | Start,
    recipe: Recipe,
    data: Any,
    *,
    ear: Ear | None = None,
    stop: Stop | None = None,
) -> Fitted:
    train, valid = data
    return loop.fit(start, train, valid, recipe, listen=ear or Ear(), stop=stop or Stop())
