"""What a training says while it runs: values, for a screen, a log or a test to listen to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; ``name`` is its stable word in JSON."""

    name: ClassVar[str] = "event"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"event": self.name} | dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run has its folder."""

    name: ClassVar[str] = "run_started"
    run: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """Some of a counted amount of work is done; not logged."""

    name: ClassVar[str] = "progress"
    stage: str
    """``hash``, ``look``, ``compare``, ``decode``, ``features``, ``activations``, ``load`` (Keras),
    ``lr``, ``epoch``, ``repeats`` (whole trainings)."""
    done: int
    total: int
    loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Something to know about a list that was obeyed; nothing stops for it."""

    name: ClassVar[str] = "noted"
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """A training goes on where an earlier process left it; its epochs so far are told again."""

    name: ClassVar[str] = "resumed"
    text: str
    epoch: int
    """The running one; 1 for the first."""
    step: int
    """Steps done, of all epochs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChecked(Event):
    """The data is read and split."""

    name: ClassVar[str] = "data_checked"
    n_found: int
    n_used: int
    n_left_out: int
    left_out: dict[str, int]
    """How many files by reason."""
    train: int
    valid: int
    test: int
    classes: tuple[str, ...]
    n_together: int = 0
    """Groups, and clusters of near copies and bursts, that were kept on one side each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Event):
    """The network and the recipe are fixed."""

    name: ClassVar[str] = "planned"
    network: str
    layers: str
    why: str
    weights: int
    multiply_adds: int
    recipe: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching(Event):
    """Something may now be fetched from the network, as was allowed."""

    name: ClassVar[str] = "fetching"
    what: str
    by: str
    """What fetches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised(Event):
    """How long it will take and how much memory, from what was measured so far.

    Said again where something that was open is decided and changes it.
    """

    name: ClassVar[str] = "promised"
    seconds: float
    """Of the whole command, from its start to the report."""
    low: float
    high: float
    memory_mb: int
    """That the resident part of the process will not exceed, in 10**6 bytes."""
    pictures_mb: int
    """Of it decoded pictures on disk, which the system may take back at any time."""
    rests_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFound(Event):
    """The range test is done."""

    name: ClassVar[str] = "lr_found"
    lr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone(Event):
    """One epoch with its numbers; losses in nats, accuracies in [0, 1]."""

    name: ClassVar[str] = "epoch"
    epoch: int
    """1 for the first."""
    epochs: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    seconds: float
    """Of training and validation together."""
    train_seconds: float
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSolved(Event):
    """The head on a pretrained backbone is solved; rates in [0, 1], the loss in nats."""

    name: ClassVar[str] = "head_solved"
    method: str
    strength: float
    n_features: int
    n_folds: int
    cv_accuracy: float | None
    """None: there was too little to hold anything out."""
    cv_low: float
    cv_high: float
    """Ends of the 95 % Wilson interval of the cross-validated accuracy."""
    cv_log_loss: float | None
    n: int
    """Training pictures it was cross-validated on."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuned(Event):
    """One step of fine-tuning is measured on the validation part, and kept or undone."""

    name: ClassVar[str] = "fine_tuned"
    what: str
    """``blocks`` or ``all``."""
    kept: bool
    share: float
    """Of the way from the weights before to those after it, in (0, 1]."""
    accuracy_before: float
    accuracy: float
    log_loss_before: float
    log_loss: float
    n: int
    """Validation pictures."""
    n_units: int
    """Of them such as stand alone: what belongs together counts once."""
    recipe: dict[str, Any]
    """How it was trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Checked(Event):
    """An int8 network was held against the float one on the validation part."""

    name: ClassVar[str] = "int8_checked"
    passed: bool
    text: str
    """What it costs, with interval and n."""
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested(Event):
    """Ctrl-C was pressed once."""

    name: ClassVar[str] = "stop_requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """Training is over."""

    name: ClassVar[str] = "early_stop"
    reason: str
    """``solved``, ``done``, ``patience``, ``time``, ``interrupted`` or ``diverged``."""
    text: str
    best_epoch: int
    """The one whose weights are kept: the last where one cycle ran to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated(Event):
    """The test part was measured."""

    name: ClassVar[str] = "evaluated"
    report: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveDrawn(Event):
    """It is known whether more pictures would help."""

    name: ClassVar[str] = "learning_curve"
    curve: dict[str, Any]
    """As in ``learning_curve.json``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run is complete, its model file has its name; only repeats may follow."""

    name: ClassVar[str] = "run_finished"
    folder: str
    bundle: str
    report: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsPlanned(Event):
    """The same training is now run again: on other folds, or with other seeds."""

    name: ClassVar[str] = "repeats_planned"
    n_folds: int
    """0: the same parts in every training."""
    n_repeats: int
    n_trainings: int
    """Still to come."""
    seconds: float | None
    """About how long all of them take; None: nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated(Event):
    """One of them is done and tested on pictures it never saw; rates in [0, 1], loss in nats."""

    name: ClassVar[str] = "repeated"
    repeat: int
    """1 for the first."""
    fold: int | None
    seed: int
    n: int
    accuracy: float
    low: float
    high: float
    """Ends of the 95 % interval; it counts the pictures only."""
    log_loss: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsDone(Event):
    """All of them are done, or those before Ctrl-C."""

    name: ClassVar[str] = "repeats_done"
    repeats: dict[str, Any]
    """As in ``repeats.json``."""
    interrupted: bool


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listen to nothing."""
