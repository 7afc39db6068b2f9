"""What a person, a log or a program sees of a training: bars, lines, or JSON events."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from fieldmark.cli.screen import Screen, shown
from fieldmark.training.events import (
    DataChecked,
    EpochDone,
    Evaluated,
    Event,
    Fetching,
    FineTuned,
    HeadSolved,
    Int8Checked,
    Noted,
    Planned,
    Progress,
    Promised,
    RateFound,
    Repeated,
    RepeatsDone,
    RepeatsPlanned,
    Resumed,
    RunStarted,
    Stopped,
    StopRequested,
)

_STAGES = {
    "hash": "reading",
    "look": "looking",
    "compare": "comparing",
    "decode": "decoding",
    "features": "features",
    "activations": "frozen layers",
    "load": "loading Keras",
    "lr": "range test",
    "epoch": "epoch",
    "repeats": "training again",
}
_HEAD = " epoch    loss   val loss   accuracy   val accuracy    best"
_HAS_BEST = ("done", "patience", "time", "interrupted")
REFRESH_S = 0.1


class TrainingScreen:
    """Listens to a training's events and prints them; final.

    On a terminal: a table that grows, and a bar with the time left. Elsewhere: one line per epoch
    on stderr. With ``--json``: every event but progress as one line on stdout.
    """

    def __init__(self, screen: Screen) -> None:
        self.interrupted = False
        self._screen = screen
        self._bar: Any = None
        self._task: Any = None
        self._stage = ""
        self._drawn = 0.0
        self._epoch = 0
        self._epochs = 0
        self._times: list[float] = []
        self._flags: dict[int, bool] = {}  # whether an epoch was the best so far
        self._by_epochs = self._repeating = self._stopping = False

    def __enter__(self) -> TrainingScreen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_bar()
        if self._stopping and kind is None:  # Ctrl-C came before there was anything to sum up
            self.interrupted = True
            if not self._screen.as_json:
                self._screen.say("Stopped before one more training was done.")

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Progress):
            if self._screen.live:
                self._progress(event)
            return
        self._end_bar()
        if isinstance(event, Stopped):
            self.interrupted |= event.reason == "interrupted"
        if isinstance(event, StopRequested):
            self._stopping = self._repeating
        if isinstance(event, RepeatsDone):
            self.interrupted |= event.interrupted
            self._stopping = False
        if self._screen.as_json:
            self._screen.json(event.to_dict())
        else:
            for line in self._lines(event):
                self._screen.say(line)

    def _lines(self, event: Event) -> list[str]:
        match event:
            case RunStarted():
                return [f"Run {shown(event.run)}"]
            case Noted() | Resumed():
                return [shown(event.text)]
            case DataChecked():
                return _data_lines(event)
            case Planned():
                return self._planned_lines(event)
            case RateFound():
                return [f"Learning rate {event.lr:.2g} (range test)"]
            case Promised():
                return [_promise_line(event)]
            case Fetching():
                return [f"{event.by} may now fetch the {shown(event.what)} (--allow-network)."]
            case HeadSolved():
                return [_head_line(event)]
            case Int8Checked():
                return [event.text]
            case FineTuned():
                self._epoch = self._epochs = 0
                self._times.clear()
                self._flags.clear()
                return [_fine_tuned_line(event)]
            case EpochDone():
                return self._epoch_lines(event)
            case RepeatsPlanned():
                self._repeating = True
                return [_repeats_line(event)]
            case Repeated():
                return [_repeated_line(event)]
            case StopRequested() if self._repeating:
                return [_stop_line(by_epochs=self._by_epochs)]
            case StopRequested():
                return ["Ctrl-C: this epoch is finished, the best kept and measured. Again: quit."]
            case Stopped():
                return [event.text + self._kept(event)]
            case Evaluated():
                return ["Now measured once on the test part:", ""]
            case _:
                return []

    def _kept(self, event: Stopped) -> str:
        """Say which epoch ships: the best one, or the last where one cycle ran to its end."""
        if event.reason not in _HAS_BEST:
            return ""
        if self._flags.get(event.best_epoch, True):
            return f" Best epoch {event.best_epoch}."
        return f" Epoch {event.best_epoch}, the last one, is kept."

    def _planned_lines(self, event: Planned) -> list[str]:
        recipe = event.recipe
        if "folds" in recipe:
            return [_network_line(event)]
        rate = "" if recipe["lr"] is None else f"learning rate {recipe['lr']:.2g}   "
        epochs = recipe["epochs"] or "as many as the time allows"
        self._epochs = recipe["epochs"] or 0
        return [
            _network_line(event),
            f"{rate}batch {recipe['batch']}   epochs {epochs}   {recipe['threads']} threads   "
            f"seed {recipe['seed']}",
        ]

    def _epoch_lines(self, event: EpochDone) -> list[str]:
        self._epoch, self._epochs = event.epoch, event.epochs
        self._flags[event.epoch], self._by_epochs = event.best, True
        self._times.append(event.seconds)
        if self._screen.live:
            return [
                f"{event.epoch:6d}  {event.loss:6.3f}     {event.val_loss:6.3f}    "
                f"{100 * event.accuracy:5.1f} %        {100 * event.val_accuracy:5.1f} %"
                + ("       *" if event.best else "")
            ]
        return [
            f"epoch={event.epoch} loss={event.loss:.4f} accuracy={event.accuracy:.4f} "
            f"val_loss={event.val_loss:.4f} val_accuracy={event.val_accuracy:.4f} "
            f"seconds={event.seconds:.1f} best={int(event.best)}"
        ]

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        last = event.done == event.total
        if self._bar is not None and not last and now - self._drawn < REFRESH_S:
            return  # a bar is for eyes; ten times a second is enough
        self._drawn = now
        words = _STAGES.get(event.stage, event.stage)
        if event.stage == "epoch":
            words = f"epoch {self._epoch + 1}/{self._epochs or '?'}"
        if self._bar is None or self._stage != event.stage:
            self._begin_bar(event.stage)
        loss = "" if event.loss is None else f"loss {event.loss:.3f}"
        self._bar.update(
            self._task,
            description=words,
            completed=event.done,
            total=event.total,
            loss=loss,
            whole=self._whole(event),
        )

    def _whole(self, event: Progress) -> str:
        """Say how long the whole training still takes, from the epochs so far."""
        if event.stage != "epoch" or not self._times or not self._epochs:
            return ""
        each = sum(self._times) / len(self._times)
        left = each * (self._epochs - self._epoch - event.done / max(event.total, 1))
        return f"about {_duration(left)} in all"

    def _begin_bar(self, stage: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._end_bar()
        if stage == "epoch" and self._epoch == 0:
            self._screen.say("\n" + _HEAD)
        console = Console(stderr=True, no_color=not self._screen.colored)
        self._bar = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}", markup=False),
            TimeRemainingColumn(),
            TextColumn("{task.fields[whole]}", markup=False),
            console=console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=None, loss="", whole="")
        self._stage = stage

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _network_line(event: Planned) -> str:
    return (
        f"Network {shown(event.network)} ({event.why}): {event.weights:,} weights, "
        f"{event.multiply_adds / 1e6:.1f} M multiply-adds a picture"
    )


def _head_line(event: HeadSolved) -> str:
    solved = (
        f"Head solved in {event.seconds:.1f} s: {event.method} regression on {event.n_features:,} "
        "features; "
    )
    if event.cv_accuracy is None:
        return solved + "too few pictures to cross-validate"
    rate, low, high = (100 * each for each in (event.cv_accuracy, event.cv_low, event.cv_high))
    folds = f"{event.n_folds}-fold" if event.n_folds else "leave-one-out"
    return (
        f"{solved}{folds} cross-validation of the training part: "
        f"{rate:.1f} % ({low:.1f} to {high:.1f}, {event.n:,} pictures)"
    )


def _fine_tuned_line(event: FineTuned) -> str:
    layers = "every layer" if event.what == "all" else "the last blocks"
    change = (
        f"{100 * event.accuracy_before:.1f} to {100 * event.accuracy:.1f} %, log loss "
        f"{event.log_loss_before:.3f} to {event.log_loss:.3f} ({event.n:,} validation pictures)"
    )
    kept = "kept" if event.kept else "not better, so what it started from is kept"
    return f"Fine-tuned {layers}, {event.share:.0%} of the way: {change}; {kept}."


def _repeats_line(event: RepeatsPlanned) -> str:
    kind = f"on {event.n_folds} folds" if event.n_folds else "with other seeds"
    times = f", dealt {event.n_repeats} times over" if event.n_folds and event.n_repeats > 1 else ""
    about = "" if event.seconds is None else f", about {_duration(event.seconds)}"
    return f"\nHow much of it is luck: {event.n_trainings:,} more trainings {kind}{times}{about}"


def _stop_line(*, by_epochs: bool) -> str:
    if by_epochs:
        return "Ctrl-C: the training under way is dropped, the others are kept. Again: quit."
    return "Ctrl-C: the training under way is finished and is the last. Again: quit."


def _repeated_line(event: Repeated) -> str:
    fold = "" if event.fold is None else f" fold {event.fold}"
    rate, low, high = (100 * each for each in (event.accuracy, event.low, event.high))
    return (
        f"repeat {event.repeat}{fold}: {rate:.1f} % ({low:.1f} to {high:.1f}, {event.n:,} pictures)"
        f", seed {event.seed}, {_duration(event.seconds)}"
    )


def _data_lines(event: DataChecked) -> list[str]:
    lines = [
        f"{event.n_used:,} pictures in {len(event.classes)} classes  .  train {event.train:,}  "
        f"validation {event.valid:,}  test {event.test:,}"
    ]
    if event.n_left_out:
        words = ", ".join(f"{n:,} {code}" for code, n in sorted(event.left_out.items()))
        lines.append(f"{event.n_left_out:,} of {event.n_found:,} files left out: {words}")
    if event.n_together:
        lines.append(f"{event.n_together:,} groups, near copies and bursts on one side each")
    return lines


def _promise_line(event: Promised) -> str:
    memory = f"{-(-event.memory_mb // 100) / 10:.1f} GB"
    pictures = ""
    if event.pictures_mb >= 100:
        pictures = f" ({event.pictures_mb / 1000:.1f} GB of it pictures that it can give back)"
    return (
        f"About {_exact(event.seconds)} in all ({_exact(event.low)} to {_exact(event.high)}), "
        f"at most {memory} of memory{pictures}."
    )


def _exact(seconds: float) -> str:
    """Say a time with two units.

    >>> _exact(14.2), _exact(200.0), _exact(5000.0)
    ('14 s', '3 min 20 s', '1 h 23 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
