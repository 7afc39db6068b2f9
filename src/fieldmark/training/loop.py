"""Fit one network, top to bottom: the only loop.

Every draw is named (order, augmentation, initial weights), so the same seed, data, versions,
backend and thread count give byte-identical weights, in one go or gone on with from a checkpoint
after any step. Nothing but checkpoints is written to disk here.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from fieldmark.data.batches import Batches
from fieldmark.errors import out_of_memory
from fieldmark.networks import keras_model, weights
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import Weights
from fieldmark.training import backend, norms, probe, resuming, schedule, stopping
from fieldmark.training.averaging import EVERY, WeightAverage
from fieldmark.training.checkpoint import State
from fieldmark.training.events import EpochDone, Listener, Noted, Progress, Stopped
from fieldmark.training.fitted import N_PROOF, N_SHOWN, Fitted, RangeTest, Start, StopSignal
from fieldmark.training.judging import answer, finite, judged, targets
from fieldmark.training.pace import Pacing
from fieldmark.training.recipe import Recipe
from fieldmark.training.step import compile_step

WORTH_KEEPING_S: Final = 10
"""Seconds of a training that ran to its end, above which a later kill shall not cost them."""


def fit(
    start: Start | Plan,
    train: Batches,
    valid: Batches,
    recipe: Recipe,
    *,
    listen: Listener,
    stop: StopSignal,
) -> Fitted:
    """Train until the recipe, the clock, the person or the loss says stop.

    Parameters
    ----------
    start : Start or Plan
        A plan alone begins with weights drawn from the recipe's seed, and all of them learn.
    train, valid : Batches
        ``valid`` unshuffled and unaugmented.
    recipe : Recipe
    listen : callable
        Gets every event.
    stop : StopSignal
        Looked at after each epoch, and for its end after each step.

    Returns
    -------
    Fitted

    Raises
    ------
    TrainingDiverged
        Code ``diverged``: the loss was not finite before one epoch was done.
    BundleError
        Code ``weights-mismatch``: the given weights do not belong to the plan.
    OutOfMemory
        Code ``out-of-memory``: the backend could not get the memory it needs.
    UsageError
        Code ``resume-differs``: what is kept is of another training, or beyond the epochs asked.
    Terminated
        Code ``terminated``.
    """
    begin = start if isinstance(start, Start) else Start(start)
    loop = _Loop(begin, train, valid, recipe, listen, stop)
    try:
        loop.prepare()
        return loop.run()
    except Exception as error:
        if not (loop.computing and out_of_memory(error)):
            raise
        said = str(error)
    # Raised out here: what the first error holds on to, the network with all it computed, is free.
    found = stopping.out_of_memory(train.batch_size, said)
    found.late = bool(loop.history)
    raise found


@dataclass
class _Loop:
    start: Start
    train: Batches
    valid: Batches
    recipe: Recipe
    listen: Listener
    stop: StopSignal
    history: list[EpochDone] = field(default_factory=list)
    range_test: RangeTest | None = None
    best: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    best_epoch: int = 0
    step: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    n: int = 0
    ended: Stopped | None = None
    computing: bool = True

    def prepare(self) -> None:
        """Build, compile and go on from what is kept; else find what the recipe leaves open."""
        self.started = time.monotonic()
        self.asked_epochs = self.recipe.epochs
        backend.seed(self.recipe.seed)
        self.plan = self.start.plan
        first = self.start.weights
        start = weights.initial(self.plan, seed=self.recipe.seed) if first is None else first
        grows = bool(self.recipe.sizes)
        self.model = keras_model.build(self.plan, start, seed=self.recipe.seed, any_size=grows)
        keras_model.freeze(self.model, self.start.frozen)
        self.train_step = compile_step(self.model, self.plan, self.recipe)
        self.draws = [(state, state.numpy().copy()) for state in resuming.draw_states(self.model)]
        self.average = WeightAverage(self.recipe.ema) if self.recipe.ema else None
        self.pacing = Pacing(self.start.paced)
        if self._restored():
            return
        if self.recipe.lr is None or self.recipe.epochs is None:
            batches = self._endless(probe.n_steps(self.recipe), self.recipe.sizes)
            found = probe.probed(self._train_on, batches, self.recipe, self.listen)
            self.range_test, step_s = found
            self._reset(start)
            self._decide(step_s)
            self._tell_pace(step_s)
        self.began = time.monotonic()

    def _restored(self) -> bool:
        """Go on from the newest checkpoint, if there is one."""
        kept = self.start.checkpoints
        state = kept.newest() if kept else None
        for name in kept.damaged if kept else ():
            text = f"The checkpoint {name} is damaged; an earlier one is taken, or none."
            self.listen(Noted(code="checkpoint-damaged", text=text))
        if state is None:
            return False
        resuming.check(state, self.model, self.plan, self.recipe)
        resuming.assign(state, self.model)
        if self.average is not None:
            self.average.weights = resuming.weights(state, "average", self.plan)
        self.recipe, self.ended = resuming.planned(state, self.recipe)
        self.step, self.sums, self.n = state.step, np.array(state.sums), state.n
        self.history, self.range_test = list(state.history), resuming.range_test(state)
        self.best, self.best_epoch = resuming.weights(state, "best", self.plan), state.best_epoch
        now = time.monotonic()
        self.started, self.began = now - state.spent_s, now - state.epoch_s
        for event in resuming.told(state, self.recipe, self._steps_per_epoch()):
            self.listen(event)
        return True

    def _keep(self, *, even_if_early: bool = False) -> None:
        """Write a checkpoint if it is time for one; end if the process was asked to."""
        kept, end = self.start.checkpoints, self.stop.terminated
        if kept is not None and (kept.due or end or even_if_early):
            began = time.monotonic()
            problem = kept.attempt(self._state)
            kept.spent_s += time.monotonic() - began
            if problem:
                self.listen(Noted(code="checkpoint-not-written", text=problem))
        if end:
            raise resuming.terminated(kept is not None, epoch=len(self.history) + 1)

    def _state(self) -> State:
        now = time.monotonic()
        average = self.average.weights if self.average is not None else {}
        return State(
            step=self.step,
            sums=(float(self.sums[0]), float(self.sums[1])),
            n=self.n,
            epoch_s=now - self.began,
            spent_s=now - self.started,
            history=tuple(self.history),
            best_epoch=self.best_epoch,
            asked_epochs=self.asked_epochs,
            epochs=self.recipe.epochs or 1,
            lr=self.recipe.lr or 0.0,
            stopped=self.ended,
            arrays=resuming.arrays(self.model, average, self.best, self.range_test),
        )

    def _reset(self, start: Weights) -> None:
        keras_model.write_weights(self.model, self.plan, start)
        for variable in self.model.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        for state, before in self.draws:
            state.assign(before)
        backend.seed(self.recipe.seed)

    def _decide(self, step_s: float) -> None:
        n_valid = len(self.valid.rows) / self.train.batch_size
        given = (self._steps_per_epoch(), n_valid, self.plan.input[0])
        epoch_s = probe.epoch_seconds(step_s, self.recipe.sizes, given)
        spent_s = time.monotonic() - self.started
        self.recipe = probe.decided(self.recipe, self.range_test, epoch_s, spent_s)

    def _tell_pace(self, step_s: float | None = None) -> None:
        """Say how long what is left takes; settling at the end is about as many steps."""
        epochs, in_epoch = self.recipe.epochs or 1, self._steps_per_epoch()
        settles = norms.N_BATCHES // 3 if self.average or self.recipe.sizes else 0
        left = epochs * in_epoch - self.step + settles
        left_of = (left, epochs - len(self.history))
        self.pacing.measured(self.model, self.valid, self.recipe.sizes, left_of, step_s=step_s)

    def _steps_per_epoch(self) -> int:
        return self.recipe.steps_per_epoch or self.train.n_batches

    def run(self) -> Fitted:
        """Run the epochs; keep the best; say why it ended."""
        self.computing = False
        if self.ended is None:
            self.ended = self._run()
            if self.ended.reason != "diverged":  # what is kept is from before it did
                long = time.monotonic() - self.started > WORTH_KEEPING_S
                self._keep(even_if_early=long or self.ended.reason != "done")
        self.listen(self.ended)
        return self._finish(self.ended)

    def _run(self) -> Stopped:
        epochs = self.recipe.epochs or 1
        n_steps = epochs * self._steps_per_epoch()
        batches = self._endless(n_steps, self.recipe.sizes, first=self.step)
        for epoch in range(len(self.history) + 1, epochs + 1):
            loss, accuracy, rate = self._epoch(batches, n_steps)
            if epoch == epochs:
                self._settle_last()
            trained = time.monotonic()
            val_loss, val_accuracy = self._validate() if math.isfinite(loss) else (math.nan, 0.0)
            best = val_loss < self._best_loss()
            kept = self._kept() if best else {}
            if not (math.isfinite(val_loss) and finite(kept)):
                return self._diverged(epoch)
            now = time.monotonic()
            done = EpochDone(
                epoch=epoch,
                epochs=epochs,
                loss=loss,
                accuracy=accuracy,
                val_loss=val_loss,
                val_accuracy=val_accuracy,
                lr=rate,
                seconds=now - self.began,
                train_seconds=trained - self.began,
                best=best,
            )
            self.history.append(done)
            self.began, self.sums, self.n = now, np.zeros(2), 0
            if best:
                self.best, self.best_epoch = kept, epoch
            self.listen(done)
            stopped = self._why_stop(epoch, epochs)
            if stopped:
                return stopped
            if epoch < epochs:
                self._keep()
        if self.recipe.schedule == "one-cycle":
            # The rate has come down: the end is where one cycle is good, and no epoch is picked
            # by a validation part it then would have seen.
            last = self._kept()
            if finite(last):
                self.best, self.best_epoch = last, epochs
        return self._stopped("done", f"All {epochs} epochs are done.")

    def _epoch(
        self, batches: Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]], n_steps: int
    ) -> tuple[float, float, float]:
        """Run what is left of one epoch's steps: mean loss, accuracy, last rate."""
        in_epoch = self._steps_per_epoch()
        begun = self.step - in_epoch * len(self.history)
        for done in range(begun + 1, in_epoch + 1):
            pixels, labels = next(batches)
            began = time.monotonic()
            self.computing = True
            loss, accuracy = self._train_on(pixels, labels, self._rate(self.step, n_steps))
            self.computing = False
            self.sums += np.array([loss, accuracy]) * len(labels)
            self.n += len(labels)
            self.step += 1
            if self.pacing.waiting and (
                self.pacing.step(pixels.shape[1], time.monotonic() - began) or done == in_epoch
            ):
                self._tell_pace()
            if self.average is not None and self.step % EVERY == 0:
                live = keras_model.read_weights(self.model, self.plan)
                self.average.update(live, step=self.step)
            self.listen(Progress(stage="epoch", done=done, total=in_epoch, loss=loss))
            if not math.isfinite(loss):
                break
            self._keep()
        loss, accuracy = (self.sums / self.n).tolist()
        return loss, accuracy, self._rate(self.step - 1, n_steps)

    def _rate(self, step: int, n_steps: int) -> float:
        return schedule.rate(self.recipe.schedule, self.recipe.lr or 0.0, step, n_steps)

    def _endless(
        self, n_steps: int, sizes: tuple[int, ...], *, first: int = 0
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Yield batches for ever, each of the size that its step of ``n_steps`` asks for."""
        n = self.train.n_batches
        for epoch in itertools.count(first // n):
            steps = range(epoch * n, (epoch + 1) * n)
            each = [schedule.size_at(sizes, step, n_steps) for step in steps] if sizes else []
            yield from self.train.epoch(epoch, sizes=each, first=max(first - epoch * n, 0))

    def _train_on(
        self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], rate: float
    ) -> tuple[float, float]:
        weight = None
        if self.recipe.class_weights is not None:
            weight = np.asarray(self.recipe.class_weights, np.float32)[labels]
        return self.train_step(pixels, targets(labels, self.plan), weight, rate)

    def _kept(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights an epoch is judged by: the average if there is one."""
        if self.average is not None and self.average.weights:
            return {name: array.copy() for name, array in self.average.weights.items()}
        return keras_model.read_weights(self.model, self.plan)

    def _validate(self) -> tuple[float, float]:
        average = self.average.weights if self.average is not None else {}
        live = keras_model.read_weights(self.model, self.plan) if average else {}
        if not (finite(live) and finite(average)):
            return math.nan, 0.0
        if average:
            keras_model.write_weights(self.model, self.plan, average)
        found = judged(self.model, self.valid, self.recipe.label_smoothing)
        if average:
            keras_model.write_weights(self.model, self.plan, live)
        return found

    def _settle_last(self) -> None:
        """Give the weights that training ends with their own averages, before they are judged."""
        found = self._settled(self._kept())
        if self.average is not None and self.average.weights:
            self.average.weights = found

    def _settled(self, found: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        averaged = self.average is not None and bool(self.average.weights)
        if not (averaged or self.recipe.sizes) or not finite(found):
            return found  # batch normalisation's running averages are of these very weights
        looked = itertools.islice(self._endless(1, ()), norms.N_BATCHES)
        pixels = (pixels for pixels, _ in looked)
        return norms.renewed(self.model, self.plan, found, pixels, frozen=self.start.frozen)

    def _best_loss(self) -> float:
        return min((done.val_loss for done in self.history), default=math.inf)

    def _why_stop(self, epoch: int, epochs: int) -> Stopped | None:
        if epoch == epochs:
            return None
        limit = self.recipe.time_s
        found = stopping.early(
            epoch,
            requested=self.stop.requested,
            waited=epoch - self.best_epoch,
            patience=self.recipe.patience,
            used_up=limit is not None and time.monotonic() - self.started >= limit,
        )
        return self._stopped(*found) if found else None

    def _stopped(self, reason: str, text: str) -> Stopped:
        return Stopped(reason=reason, text=text, best_epoch=self.best_epoch)

    def _diverged(self, epoch: int) -> Stopped:
        best = self.best_epoch if self.best else 0
        text = stopping.diverged(epoch, self.step, self.recipe.lr or 0.0, best)
        return self._stopped("diverged", text)

    def _finish(self, stopped: Stopped) -> Fitted:
        if stopped.reason != "done":
            self.best = self._settled(self.best)
        keras_model.write_weights(self.model, self.plan, self.best)
        first, labels = next(self._endless(1, self.recipe.sizes))
        # Spread over the part: its order is the files', so the first ones are of one class.
        n = len(self.valid.rows)
        spread = np.unique(np.linspace(0, n - 1, min(n, N_PROOF)).astype(np.int64))
        pixels = np.array(self.valid.pixels[self.valid.rows[spread]])
        return Fitted(
            weights=self.best,
            history=tuple(self.history),
            stopped=stopped,
            recipe=self.recipe,
            range_test=self.range_test,
            first_pixels=np.array(first[:N_SHOWN]),
            first_labels=labels[:N_SHOWN],
            proof_pixels=pixels,
            proof_logits=answer(self.model, pixels),
        )
