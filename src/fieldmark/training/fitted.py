"""What goes into a training and what comes out, as values. No framework: the workflow reads them.

``Start`` is where it begins, ``StopSignal`` how it is asked to end, ``Fitted`` what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import Weights
from fieldmark.training.checkpoint import Checkpoints
from fieldmark.training.events import EpochDone, FineTuned, Stopped
from fieldmark.training.head import Head
from fieldmark.training.recipe import HeadRecipe, Recipe

N_SHOWN: Final = 16
"""Training pictures that are kept as the network saw them first."""
N_PROOF: Final = 64
"""Validation pictures on which the exported network is held against this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What was measured, and what is left to do."""

    n_measured: int
    """Steps it rests on."""
    step_s: float
    """Seconds of one step of what is left."""
    steps_left: int
    judge_s: float
    """Seconds of one validation."""
    judgements_left: int
    picture_s: float
    """Seconds of an answer to one picture."""
    n_sizes: int = 1
    """Sizes of pictures in the steps that are left: each has a graph of its own to build."""

    @property
    def left_s(self) -> float:
        """Seconds until training ends.

        Examples
        --------
        >>> Pace(n_measured=10, step_s=0.5, steps_left=100, judge_s=2.0, judgements_left=5,
        ...      picture_s=0.01).left_s
        60.0
        """
        return self.step_s * self.steps_left + self.judge_s * self.judgements_left


Told = Callable[[Pace], None]


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A network, the weights it begins with, and what of it stays as it is.

    Raises
    ------
    UsageError
        Code ``start``: a frozen step that is not in the plan, or nothing left to learn.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> from fieldmark.networks.volumes import plan
    >>> made = plan(parse("INPUT 8x8x3 -> CONV 4 3x3 -> BN -> RELU -> GAP -> FC"), 2)
    >>> start = Start(made, frozen=frozenset({"conv1", "bn1"}))
    """

    plan: Plan
    weights: Weights | None = None
    """As :attr:`Plan.weight_shapes` names them; None: drawn from the recipe's seed."""
    frozen: frozenset[str] = frozenset()
    """Names of steps whose weights do not change. A frozen BN keeps its averages and uses them."""
    checkpoints: Checkpoints | None = None
    """Where training keeps its state, and goes on from what is kept; None: nowhere."""
    paced: Told | None = None
    """Told once how long the rest takes; None: that is not measured."""

    def __post_init__(self) -> None:
        learned = {step.name for step in self.plan.steps if step.weight_shapes}
        strangers = sorted(self.frozen - {step.name for step in self.plan.steps})
        if strangers or learned <= self.frozen:
            what = f"There is no step {strangers[0]!r}." if strangers else "Every step is frozen."
            raise UsageError(
                what,
                code="start",
                where="the steps to freeze",
                why="Frozen steps are named as in the layer table, and something has to learn.",
                hint=f"steps with weights: {', '.join(sorted(learned))}",
            )


class StopSignal(Protocol):
    """Something that can ask for a stop."""

    requested: bool
    """After the running epoch: the best is kept and measured."""
    terminated: bool
    """After the running step: where training stands is kept, and nothing else is done."""


@dataclass(frozen=True, slots=True)
class RangeTest:
    """Learning rates tried, and the training loss at each."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What training leaves behind."""

    weights: dict[str, NDArray[np.float32]]
    """Of the last epoch where one cycle ran to its end; else of the one with the lowest validation
    loss."""
    history: tuple[EpochDone, ...]
    stopped: Stopped
    recipe: Recipe | HeadRecipe
    """With the learning rate and the number of epochs as they were used."""
    range_test: RangeTest | None
    first_pixels: NDArray[np.uint8]
    """(n, height, width, channels): what the network was shown first, augmentation included."""
    first_labels: NDArray[np.int64]
    proof_pixels: NDArray[np.uint8]
    """(n, height, width, channels): real validation pictures for the parity gate."""
    proof_logits: NDArray[np.float32]
    """(n, n_classes): what the fitted network answers on them."""
    head: Head | None = None
    """Of a pretrained backbone: how its head was solved."""
    tuning: tuple[FineTuned, ...] = ()
    """Steps of fine-tuning, kept or undone."""
