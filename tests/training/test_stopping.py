"""When the loop stops, and what it keeps and says then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fieldmark.errors import TrainingDiverged
from fieldmark.networks import keras_model
from fieldmark.training import judging, loop
from fieldmark.training.checkpoint import Checkpoints
from fieldmark.training.events import EpochDone, Event
from fieldmark.training.fitted import Fitted, Start
from tests.training.problems import TINY, Ear, Stop, fit, recipe, shapes, tiny

PLAIN = TINY.replace("BN -> ", "")
"""Without the normalisation that can hide a broken weight."""


def rates_explode(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """From this step on, counted from 0, the rate is beyond what float32 can bear."""
    monkeypatch.setattr(
        loop.schedule, "rate", lambda kind, peak, step, n: 1e30 if step >= at else peak
    )


def finite(fitted: Fitted) -> bool:
    return all(np.isfinite(array).all() for array in fitted.weights.values())


# --- diverged


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_loss_that_explodes_in_the_first_epoch_is_an_error(optimizer: str, ema: float) -> None:
    chosen = recipe(optimizer=optimizer, lr=1e30, ema=ema)
    with pytest.raises(TrainingDiverged, match="not a number in epoch 1") as caught:
        fit(tiny(PLAIN), chosen, shapes(128))
    assert caught.value.code == "diverged"
    assert caught.value.exit_status == 3
    assert "learning rate 1e+30" in caught.value.where
    assert caught.value.hint == "--lr 1e+29"
    assert "no good weights" in caught.value.why


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("epochs", [1, 3])
def test_weights_spoilt_by_the_last_step_of_the_first_epoch_are_an_error(
    epochs: int, ema: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step's loss shows it; the validation does, or the weights themselves."""
    rates_explode(monkeypatch, at=4)
    ear = Ear()
    with pytest.raises(TrainingDiverged, match="epoch 1"):
        fit(tiny(PLAIN), recipe(epochs=epochs, ema=ema), shapes(80), ear=ear)
    assert ear.names() == []
    assert all(np.isfinite(ear.losses()))


def poison(monkeypatch: pytest.MonkeyPatch, after_step: int) -> None:
    """Make every kernel of the first CONV NaN, behind which a RELU may give zeros."""
    usual = loop._Loop._train_on

    def train_on(self: Any, pixels: Any, labels: Any, rate: float) -> tuple[float, float]:
        found = usual(self, pixels, labels, rate)
        if self.step + 1 == after_step:
            kernel = self.model.get_layer("conv1").kernel
            kernel.assign(np.full(kernel.shape, np.nan, np.float32))
        return found

    monkeypatch.setattr(loop._Loop, "_train_on", train_on)


def test_a_poisoned_weight_is_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, after_step=2)
    with pytest.raises(TrainingDiverged, match="epoch 1"):
        fit(tiny(PLAIN), recipe(), shapes(64))


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("at", [11, 14])
def test_later_the_best_epochs_weights_are_kept_and_it_says_so(
    at: int, ema: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside epoch 3 and by its very last step."""
    data = shapes(80)
    good = fit(tiny(PLAIN), recipe(epochs=2, ema=ema), data)
    rates_explode(monkeypatch, at=at)
    ear = Ear()
    fitted = fit(tiny(PLAIN), recipe(epochs=9, ema=ema), data, ear=ear)
    assert ear.names() == ["epoch", "epoch", "early_stop"]
    assert fitted.stopped.reason == "diverged"
    assert fitted.stopped.text == (
        "Stopped in epoch 3: the loss became infinite or not a number (learning rate 0.01). "
        f"The weights of epoch {good.stopped.best_epoch} are kept. Next: --lr 0.001."
    )
    assert finite(fitted)
    assert all((fitted.weights[name] == good.weights[name]).all() for name in good.weights)
    assert np.isfinite(fitted.proof_logits).all()


def test_the_answer_after_diverging_is_the_kept_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    rates_explode(monkeypatch, at=6)
    fitted = fit(tiny(PLAIN), recipe(epochs=3), shapes(80))
    model = keras_model.build(tiny(PLAIN), fitted.weights)
    again = judging.answer(model, fitted.proof_pixels)
    np.testing.assert_allclose(fitted.proof_logits, again, atol=1e-5)


def test_no_event_ever_carries_a_loss_that_is_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON has no word for it."""
    rates_explode(monkeypatch, at=9)
    ear = Ear()
    fit(tiny(PLAIN), recipe(epochs=3), shapes(80), ear=ear)
    done = [event for event in ear.events if isinstance(event, EpochDone)]
    assert len(done) == 1
    assert np.isfinite([done[0].loss, done[0].val_loss]).all()


def test_a_range_test_that_explodes_is_cut_short_and_the_training_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        loop.schedule, "range_test_rates", lambda n: [1e-3] * 12 + [1e30] * (n - 12)
    )
    ear = Ear()
    fitted = fit(tiny(PLAIN), recipe(optimizer="sgd", lr=None, epochs=1), shapes(64), ear=ear)
    assert len(ear.losses("lr")) == 14  # the step after the one that spoilt the weights
    assert fitted.stopped.reason == "done"
    assert finite(fitted)


# --- patience


def falls_until(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Give these validation losses, whatever the network answers."""
    given = iter(losses)
    monkeypatch.setattr(loop._Loop, "_validate", lambda self: (next(given), 0.5))


def test_patience_counts_epochs_without_a_better_validation_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    falls_until(monkeypatch, [0.9, 0.7, 0.8, 0.6, 0.6, 0.65, 0.61, 0.1])
    fitted = fit(tiny(), recipe(epochs=8, patience=3), shapes(16))
    assert [done.best for done in fitted.history] == [True, True, False, True] + 3 * [False]
    assert fitted.stopped.reason == "patience"
    assert fitted.stopped.best_epoch == 4
    expected = "Stopped after epoch 7: validation loss has not improved for 3 epochs."
    assert fitted.stopped.text == expected


def test_patience_zero_never_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    falls_until(monkeypatch, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    fitted = fit(tiny(), recipe(epochs=6, patience=0), shapes(16))
    assert (fitted.stopped.reason, fitted.stopped.best_epoch) == ("done", 1)
    assert fitted.stopped.text == "All 6 epochs are done."


def test_a_training_that_reaches_its_end_is_done_even_without_patience_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    falls_until(monkeypatch, [0.5, 0.6, 0.7])
    assert fit(tiny(), recipe(epochs=3, patience=2), shapes(16)).stopped.reason == "done"


# --- time


class Clock:
    """A clock that only moves when a step is made: 1 second each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(loop.time, "monotonic", lambda: self.now)
        usual = loop._Loop._train_on

        def train_on(loop_: Any, *given: Any) -> tuple[float, float]:
            self.now += 1.0
            return usual(loop_, *given)

        monkeypatch.setattr(loop._Loop, "_train_on", train_on)


def test_a_time_budget_plans_its_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 probe steps of 1 s leave 100 s; an epoch is 4 steps and a third of one for validation."""
    Clock(monkeypatch)
    ear = Ear()
    chosen = recipe(epochs=None, time_s=120.0)
    fitted = fit(tiny(), chosen, shapes(64), ear=ear, stop=Stop(True))
    assert fitted.recipe.epochs == int(0.92 * 100 / (4 + 1 / 3))
    assert fitted.history[0].epochs == fitted.recipe.epochs
    assert len(ear.losses("lr")) == 20
    assert fitted.range_test is None
    assert "lr_found" not in ear.names()


def test_the_plan_knows_that_validation_is_at_the_full_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At half the height and width a training step has a quarter of validation's pixels."""
    Clock(monkeypatch)
    chosen = recipe(epochs=None, time_s=120.0, sizes=(8,))
    fitted = fit(tiny(), chosen, shapes(64), stop=Stop(True))
    assert fitted.recipe.epochs == int(0.92 * 100 / (4 + 4 / 3))


def test_a_budget_of_nothing_still_gives_one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    fitted = fit(tiny(), recipe(epochs=None, time_s=0.001), shapes(32))
    assert fitted.recipe.epochs == 1
    assert fitted.stopped.reason == "done"


def test_used_up_time_stops_after_the_running_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    fitted = fit(tiny(), recipe(epochs=50, time_s=9.0), shapes(64))
    assert len(fitted.history) == 3  # 4 steps of 1 s each: 4, 8, 12
    assert fitted.stopped.reason == "time"
    assert fitted.stopped.text == "Stopped after epoch 3: the time is used up."
    assert fitted.recipe.epochs == 50


def test_the_real_clock_stops_it_too() -> None:
    fitted = fit(tiny(), recipe(epochs=100_000, time_s=0.3), shapes(32))
    assert fitted.stopped.reason == "time"
    assert 1 <= len(fitted.history) < 100_000


# --- on request


def test_a_request_stops_after_the_running_epoch() -> None:
    stop = Stop()

    def ask(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 2:
            stop.requested = True

    fitted = fit(tiny(), recipe(epochs=9), shapes(32), ear=Ear(ask), stop=stop)
    assert len(fitted.history) == 2
    assert fitted.stopped.reason == "interrupted"
    assert fitted.stopped.text == "Stopped on request after epoch 2."
    assert finite(fitted)


def test_a_request_before_the_first_epoch_still_finishes_it() -> None:
    ear = Ear()
    fitted = fit(tiny(), recipe(epochs=9), shapes(64), ear=ear, stop=Stop(True))
    assert len(ear.losses()) == 4
    assert fitted.stopped.best_epoch == 1


def test_a_request_in_the_last_epoch_changes_nothing() -> None:
    fitted = fit(tiny(), recipe(epochs=1), shapes(32), stop=Stop(True))
    assert fitted.stopped.reason == "done"


@pytest.mark.parametrize("at", [11, 14])
def test_no_checkpoint_loses_the_good_weights(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written after every step, also after the one that spoils the network, unseen by its loss."""
    rates_explode(monkeypatch, at=at)
    kept = Checkpoints(tmp_path, "scratch", every_s=0)
    fitted = fit(Start(tiny(PLAIN), checkpoints=kept), recipe(epochs=9), shapes(80))
    assert fitted.stopped.reason == "diverged"
    newest = Checkpoints(tmp_path, "scratch").newest()
    assert newest is not None
    best = newest.named("best")
    assert newest.best_epoch == fitted.stopped.best_epoch
    assert set(best) == set(fitted.weights)
    assert all((best[name] == fitted.weights[name]).all() for name in best)
