"""Pictures that grow while a network is trained, and what is kept where one cycle ends."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fieldmark.networks import keras_model
from fieldmark.networks.weights import initial
from fieldmark.training import judging, loop, step
from fieldmark.training.events import Event
from fieldmark.training.loop import targets
from tests.training.problems import TINY, Ear, Stop, fit, recipe, shapes, tiny

DEEP = TINY.replace("-> GAP", "-> {CONV 8 3x3 same -> BN -> RELU} -> GAP")


def seen_sizes(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[int]:
    """Train on 16-pixel shapes; return the height of the pictures of each step."""
    found: list[int] = []
    usual = loop._Loop._train_on

    def train_on(self: Any, pixels: Any, labels: Any, rate: float) -> tuple[float, float]:
        assert pixels.shape[1] == pixels.shape[2]
        found.append(pixels.shape[1])
        return usual(self, pixels, labels, rate)

    monkeypatch.setattr(loop._Loop, "_train_on", train_on)
    fit(tiny(), recipe(**changes), shapes(48))
    return found


def test_each_size_gets_an_equal_part_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen_sizes(monkeypatch, epochs=2, sizes=(8, 12, 16))
    assert found == [8, 8, 12, 12, 16, 16]


def test_a_size_may_change_within_an_epoch_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen_sizes(monkeypatch, epochs=2, steps_per_epoch=4, sizes=(8, 16))
    assert found == [8] * 4 + [16] * 4


def test_the_range_test_goes_through_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it knows what a step of the whole training takes."""
    found = seen_sizes(monkeypatch, lr=None, epochs=1, sizes=(8, 16))
    searched = found[:-3]
    assert searched[:50] == [8] * 50
    assert set(searched[50:]) == {16}


def test_validation_and_the_proof_are_at_the_full_size() -> None:
    made, (train, valid) = tiny(), shapes(64)
    fitted = fit(made, recipe(epochs=2, sizes=(8, 8)), (train, valid))
    assert fitted.first_pixels.shape[1:] == (8, 8, 3)
    assert fitted.proof_pixels.shape[1:] == (16, 16, 3)
    model = keras_model.build(made, fitted.weights)
    pixels, labels = next(iter(valid.epoch(0)))
    judged = judging.losses(judging.answer(model, pixels), labels).mean()
    best = fitted.history[fitted.stopped.best_epoch - 1]
    assert best.val_loss == pytest.approx(judged, abs=1e-5)


def test_one_size_that_is_the_networks_own_changes_nothing() -> None:
    plain, sized = Ear(), Ear()
    fit(tiny(DEEP), recipe(), shapes(48), ear=plain)
    fit(tiny(DEEP), recipe(sizes=(16,)), shapes(48), ear=sized)
    np.testing.assert_allclose(plain.losses(), sized.losses(), rtol=1e-5)


def test_a_model_for_any_size_gives_the_logits_of_one_for_its_own() -> None:
    made, small = tiny(DEEP), tiny(DEEP.replace("16x16", "12x12"))
    weights = initial(made, seed=2)
    free = keras_model.build(made, weights, any_size=True)
    for each in (made, small):
        shape = (3, *each.input)
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        own = keras_model.build(each, weights)
        np.testing.assert_allclose(free(pixels), own(pixels), atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow is traced")
def test_there_is_one_trace_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny()
    model = keras_model.build(made, initial(made, seed=0), any_size=True)
    take = step.compile_step(model, made, recipe())
    train, _ = shapes(50)
    traced: list[int] = []
    usual = step._right
    monkeypatch.setattr(step, "_right", lambda *given: (traced.append(1), usual(*given))[1])
    for epoch in range(2):
        for pixels, labels in train.epoch(epoch, sizes=[8, 16, 8, 16]):
            take(pixels, targets(labels, made), None, 0.01)
    assert len(traced) == 2


# --- the end of one cycle


def falls_then_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter([0.9, 0.5, 0.7, 0.8])
    monkeypatch.setattr(loop._Loop, "_validate", lambda self: (next(given), 0.5))


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_end_of_one_cycle_is_kept_whatever_epoch_was_luckiest(
    ema: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    falls_then_rises(monkeypatch)
    ended: list[dict[str, Any]] = []
    usual = loop._Loop._finish

    def finish(self: Any, stopped: Any) -> Any:
        ended.append(self._kept())
        return usual(self, stopped)

    monkeypatch.setattr(loop._Loop, "_finish", finish)
    fitted = fit(tiny(), recipe(schedule="one-cycle", epochs=4, ema=ema), shapes(80))
    assert (fitted.stopped.reason, fitted.stopped.best_epoch) == ("done", 4)
    assert [done.best for done in fitted.history] == [True, True, False, False]
    assert all((fitted.weights[name] == ended[0][name]).all() for name in ended[0])


def test_one_cycle_that_is_stopped_early_keeps_the_best_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    falls_then_rises(monkeypatch)
    stop = Stop()

    def act(event: Event) -> None:
        stop.requested = event.name == "epoch" and event.to_dict()["epoch"] == 3

    fitted = fit(
        tiny(), recipe(schedule="one-cycle", epochs=4), shapes(48), ear=Ear(act), stop=stop
    )
    assert (fitted.stopped.reason, fitted.stopped.best_epoch) == ("interrupted", 2)


def test_a_constant_rate_keeps_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    falls_then_rises(monkeypatch)
    assert fit(tiny(), recipe(epochs=4), shapes(48)).stopped.best_epoch == 2
