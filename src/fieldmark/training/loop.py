"""Fit one network, top to bottom: the only loop.

Every draw is named (order, augmentation, initial weights), so the same seed, data, versions,
backend and thread count give byte-identical weights. Nothing is written to disk here.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fieldmark.data.batches import Batches
from fieldmark.errors import TrainingDiverged
from fieldmark.networks import keras_model, weights
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import Weights
from fieldmark.training import backend, norms, probe, schedule
from fieldmark.training.averaging import EVERY, WeightAverage
from fieldmark.training.events import EpochDone, Listener, Progress, Stopped
from fieldmark.training.fitted import (
    N_PROOF,
    N_SHOWN,
    Fitted,
    RangeTest,
    Start,
    StopSignal,
)
from fieldmark.training.judging import answer, finite, judged, targets
from fieldmark.training.recipe import Recipe
from fieldmark.training.step import compile_step


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
        Looked at after each epoch.

    Returns
    -------
    Fitted

    Raises
    ------
    TrainingDiverged
        Code ``diverged``: the loss was not finite before one epoch was done.
    BundleError
        Code ``weights-mismatch``: the given weights do not belong to the plan.
    """
    begin = start if isinstance(start, Start) else Start(start)
    loop = _Loop(begin, train, valid, recipe, listen, stop)
    loop.prepare()
    return loop.run()


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

    def prepare(self) -> None:
        """Build and compile; find the learning rate and the number of epochs if they are open."""
        self.started = time.monotonic()
        backend.seed(self.recipe.seed)
        self.plan = self.start.plan
        first = self.start.weights
        start = weights.initial(self.plan, seed=self.recipe.seed) if first is None else first
        grows = bool(self.recipe.sizes)
        self.model = keras_model.build(self.plan, start, seed=self.recipe.seed, any_size=grows)
        keras_model.freeze(self.model, self.start.frozen)
        self.train_step = compile_step(self.model, self.plan, self.recipe)
        self.draws = [(state, state.numpy().copy()) for state in _draw_states(self.model)]
        if self.recipe.lr is None or self.recipe.epochs is None:
            batches = self._endless(probe.n_steps(self.recipe), self.recipe.sizes)
            found = probe.probed(self._train_on, batches, self.recipe, self.listen)
            self.range_test, step_s = found
            self._reset(start)
            self._decide(step_s)
        self.average = WeightAverage(self.recipe.ema) if self.recipe.ema else None

    def _reset(self, start: Weights) -> None:
        keras_model.write_weights(self.model, self.plan, start)
        for variable in self.model.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        for state, before in self.draws:
            state.assign(before)
        backend.seed(self.recipe.seed)

    def _decide(self, step_s: float) -> None:
        recipe = self.recipe
        if recipe.lr is None and self.range_test is not None:
            recipe = replace(recipe, lr=self.range_test.chosen)
        if recipe.epochs is None:
            # Validation runs forward only: about a third of a training step for as many pixels.
            n_valid = len(self.valid.rows) / self.train.batch_size
            pixels = sum(size**2 for size in recipe.sizes) / max(len(recipe.sizes), 1)
            larger = self.plan.input[0] ** 2 / pixels if pixels else 1.0
            epoch_s = step_s * (self._steps_per_epoch() + larger * n_valid / 3)
            left = (recipe.time_s or 0.0) - (time.monotonic() - self.started)
            recipe = replace(recipe, epochs=probe.epochs_within(left, epoch_s))
        self.recipe = recipe

    def _steps_per_epoch(self) -> int:
        return self.recipe.steps_per_epoch or self.train.n_batches

    def run(self) -> Fitted:
        """Run the epochs; keep the best; say why it ended."""
        epochs = self.recipe.epochs or 1
        n_steps = epochs * self._steps_per_epoch()
        batches = self._endless(n_steps, self.recipe.sizes)
        stopped: Stopped | None = None
        for epoch in range(1, epochs + 1):
            before = time.monotonic()
            loss, accuracy, rate = self._epoch(batches, n_steps)
            if epoch == epochs:
                self._settle_last()
            trained = time.monotonic()
            val_loss, val_accuracy = self._validate() if math.isfinite(loss) else (math.nan, 0.0)
            best = val_loss < self._best_loss()
            kept = self._kept() if best else {}
            if not (math.isfinite(val_loss) and finite(kept)):
                stopped = self._diverged(epoch)
                break
            now = time.monotonic()
            done = EpochDone(
                epoch=epoch,
                epochs=epochs,
                loss=loss,
                accuracy=accuracy,
                val_loss=val_loss,
                val_accuracy=val_accuracy,
                lr=rate,
                seconds=now - before,
                train_seconds=trained - before,
                best=best,
            )
            self.history.append(done)
            if best:
                self.best, self.best_epoch = kept, epoch
            self.listen(done)
            stopped = self._why_stop(epoch, epochs)
            if stopped:
                break
        if stopped is None and self.recipe.schedule == "one-cycle":
            # The rate has come down: the end is where one cycle is good, and no epoch is picked
            # by a validation part it then would have seen.
            last = self._kept()
            if finite(last):
                self.best, self.best_epoch = last, epochs
        ended = stopped or self._stopped("done", f"All {epochs} epochs are done.")
        self.listen(ended)
        return self._finish(ended)

    def _epoch(
        self, batches: Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]], n_steps: int
    ) -> tuple[float, float, float]:
        """One epoch's steps: mean loss, accuracy, last rate."""
        sums, n, rate = np.zeros(2), 0, 0.0
        in_epoch = self._steps_per_epoch()
        for done in range(1, in_epoch + 1):
            pixels, labels = next(batches)
            peak = self.recipe.lr or 0.0
            rate = schedule.rate(self.recipe.schedule, peak, self.step, n_steps)
            loss, accuracy = self._train_on(pixels, labels, rate)
            sums += np.array([loss, accuracy]) * len(labels)
            n += len(labels)
            self.step += 1
            if self.average is not None and self.step % EVERY == 0:
                live = keras_model.read_weights(self.model, self.plan)
                self.average.update(live, step=self.step)
            self.listen(Progress(stage="epoch", done=done, total=in_epoch, loss=loss))
            if not math.isfinite(loss):
                break
        loss, accuracy = (sums / n).tolist()
        return loss, accuracy, rate

    def _endless(
        self, n_steps: int, sizes: tuple[int, ...]
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Yield batches for ever, each of the size that its step of ``n_steps`` asks for."""
        n = self.train.n_batches
        for epoch in itertools.count():
            steps = range(epoch * n, (epoch + 1) * n)
            each = [schedule.size_at(sizes, step, n_steps) for step in steps] if sizes else []
            yield from self.train.epoch(epoch, sizes=each)

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
        if self.stop.requested:
            return self._stopped("interrupted", f"Stopped on request after epoch {epoch}.")
        waited = epoch - self.best_epoch
        if self.recipe.patience and waited >= self.recipe.patience:
            return self._stopped(
                "patience",
                f"Stopped after epoch {epoch}: validation loss has not improved for "
                f"{waited} epochs.",
            )
        spent = time.monotonic() - self.started
        if self.recipe.time_s is not None and spent >= self.recipe.time_s:
            return self._stopped("time", f"Stopped after epoch {epoch}: the time is used up.")
        return None

    def _stopped(self, reason: str, text: str) -> Stopped:
        return Stopped(reason=reason, text=text, best_epoch=self.best_epoch)

    def _diverged(self, epoch: int) -> Stopped:
        rate = self.recipe.lr or 0.0
        if not self.best:
            raise TrainingDiverged(
                f"The loss became infinite or not a number in epoch {epoch}.",
                code="diverged",
                where=f"step {self.step}, learning rate {rate:.2g}",
                why="No epoch was finished, so there are no good weights to keep.",
                hint=f"--lr {rate / 10:.2g}",
            )
        text = (
            f"Stopped in epoch {epoch}: the loss became infinite or not a number (learning rate "
            f"{rate:.2g}). The weights of epoch {self.best_epoch} are kept. "
            f"Next: --lr {rate / 10:.2g}."
        )
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


def _draw_states(model: keras.Model) -> list[Any]:
    """Return the variables from which DROPOUT draws: part of where a training starts."""
    dropouts = (layer for layer in model.layers if isinstance(layer, keras.layers.Dropout))
    return [layer.seed_generator.state for layer in dropouts if layer.rate > 0]
