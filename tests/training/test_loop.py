"""What the loop does with the numbers; when it stops is in ``test_stopping.py``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from fieldmark.networks import keras_model
from fieldmark.networks.weights import initial
from fieldmark.training import averaging, judging, loop
from fieldmark.training.events import EpochDone, Event, Progress, RateFound
from fieldmark.training.fitted import N_PROOF, N_SHOWN, Start
from tests.pictures import arrays
from tests.training import one_fit
from tests.training.problems import TINY, Ear, Stop, batches, fit, recipe, shapes, tiny

WITH_DROPOUT = TINY.replace("GAP", "DROPOUT 0.3 -> GAP")


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all((one[name] == other[name]).all() for name in one)


# --- the same again


def test_two_fresh_processes_give_byte_identical_weights_and_another_seed_others() -> None:
    """Everything that draws is on: range test, augmentation, DROPOUT, averaged weights."""
    changes = {"lr": None, "optimizer": "adamw", "ema": 0.9, "augment": "strong"}
    asked = {"net": WITH_DROPOUT, "recipe": changes}
    both = one_fit.side_by_side({**asked, "seeds": [7, 8]}, {**asked, "seeds": [7]})
    (first, other), (again,) = both
    assert first == again
    assert first["weights"] != other["weights"]
    assert first["losses"] != other["losses"]
    assert len(first["losses"]) == 6


def test_the_range_test_leaves_weights_optimizer_and_draws_as_they_were() -> None:
    """So that a run with its rate written down repeats the run that had to find it."""
    data = shapes()
    ear, told = Ear(), Ear()
    searched = fit(tiny(WITH_DROPOUT), recipe(lr=None), data, ear=ear)
    given = fit(tiny(WITH_DROPOUT), recipe(lr=searched.recipe.lr), data, ear=told)
    assert len(ear.losses("lr")) > 10
    assert told.losses("lr") == []
    assert ear.losses() == told.losses()
    assert same(searched.weights, given.weights)


def test_the_probe_of_a_time_budget_leaves_no_trace_either() -> None:
    data = shapes()
    timed = fit(tiny(WITH_DROPOUT), recipe(epochs=None, time_s=2.0), data, stop=Stop(True))
    plain = fit(tiny(WITH_DROPOUT), recipe(epochs=timed.recipe.epochs), data, stop=Stop(True))
    assert len(timed.history) == len(plain.history) == 1
    assert same(timed.weights, plain.weights)


# --- against plain Keras


def reference(size: int) -> keras.Model:
    """The tutorial's network as anybody writes it: float pictures in, a sigmoid out."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    return model


def test_fifty_steps_of_the_tutorial_have_plain_keras_losses() -> None:
    text = "INPUT 64x64x3 -> CONV 32 3x3 -> RELU -> POOL 2x2 -> FC 128 -> RELU -> FC 1"
    made = tiny(text, n_classes=2)
    train, valid = shapes(400, batch=32, size=64, classes=2)
    ear = Ear()
    fit(made, recipe(lr=1e-3, epochs=5, steps_per_epoch=10), (train, valid), ear=ear)

    model = reference(64)
    model.set_weights(list(initial(made, seed=0).values()))
    order = [batch for epoch in range(4) for batch in train.epoch(epoch)][:50]
    expected = []
    for pixels, labels in order:
        model.reset_metrics()
        logs = model.train_on_batch(pixels / np.float32(255), labels[:, None], return_dict=True)
        expected.append(float(logs["loss"]))
    assert len(ear.losses()) == 50
    assert max(expected) > 3 * min(expected)  # it learns: equal losses are not equal by standing
    np.testing.assert_allclose(ear.losses(), expected, rtol=0, atol=1e-3)


def test_a_steps_loss_is_of_that_step_alone() -> None:
    """Before any weight has moved, it is the mean loss of exactly the batch it was given."""
    made = tiny()
    train, valid = shapes(80)
    ear = Ear()
    fit(made, recipe(lr=1e-12, epochs=1), (train, valid), ear=ear)
    model = keras_model.build(made, initial(made, seed=0))
    expected = []
    for pixels, labels in train.epoch(0):
        logits = np.asarray(model(pixels, training=True))
        expected.append(judging.losses(logits, labels).mean())
    assert max(expected) - min(expected) > 1e-3
    np.testing.assert_allclose(ear.losses(), expected, atol=1e-5)


# --- which examples, how heavy


def test_the_last_smaller_batch_trains_too() -> None:
    train, valid = shapes(50)
    ear = Ear()
    fitted = fit(tiny(), recipe(epochs=1), (train, valid), ear=ear)
    assert len(ear.losses()) == 4
    sizes = [len(labels) for _, labels in train.epoch(0)]
    assert sizes == [16, 16, 16, 2]
    weighted = np.average(ear.losses(), weights=sizes)
    assert fitted.history[0].loss == pytest.approx(weighted, rel=1e-6)
    without = replace(train, batch_size=48)
    assert without.n_batches == 2
    done = fit(tiny(), recipe(epochs=1, steps_per_epoch=3), (train, valid))
    assert not same(done.weights, fitted.weights)


def test_steps_per_epoch_go_on_where_the_last_epoch_ended() -> None:
    train, valid = shapes(48)
    whole, pieces = Ear(), Ear()
    one = fit(tiny(), recipe(epochs=2), (train, valid), ear=whole)
    six = fit(tiny(), recipe(epochs=6, steps_per_epoch=1), (train, valid), ear=pieces)
    assert whole.losses() == pieces.losses()
    assert (len(one.history), len(six.history)) == (2, 6)


def test_an_epoch_may_be_longer_than_one_pass() -> None:
    train, valid = shapes(32)
    ear = Ear()
    fitted = fit(tiny(), recipe(epochs=1, steps_per_epoch=5), (train, valid), ear=ear)
    assert len(ear.losses()) == 5
    assert len(fitted.history) == 1


def step_of_one_batch(weights: tuple[float, ...] | None, labels: list[int]) -> dict[str, Any]:
    """The change of each weight by one plain gradient step of rate 1."""
    made = tiny("INPUT 8x8x1 -> FC")
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 1), dtype=np.uint8)
    data = batches(pixels, np.array(labels))
    start = initial(made, seed=0)
    chosen = recipe(optimizer="sgd", lr=1.0, epochs=1, class_weights=weights)
    fitted = fit(made, chosen, (data, data.plain()))
    return {name: fitted.weights[name] - start[name] for name in start}


def test_class_weights_scale_each_examples_gradient() -> None:
    """Nesterov's first step is 1.9 gradients; the bias' gradient is a weighted mean of errors."""
    labels = [0, 0, 0, 1, 2, 2]
    weights = (0.5, 3.0, 0.25)
    made = tiny("INPUT 8x8x1 -> FC")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    start = initial(made, seed=0)
    logits = (pixels.reshape(6, -1) / 255) @ start["fc1/kernel"] + start["fc1/bias"]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    errors = probs - np.eye(3)[labels]
    for given in (None, weights):
        factor = np.ones(6) if given is None else np.array(given)[labels]
        expected = -1.9 * (errors * factor[:, None]).sum(axis=0) / 6
        found = step_of_one_batch(given, labels)["fc1/bias"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_class_of_weight_zero_teaches_nothing() -> None:
    found = step_of_one_batch((1.0, 0.0, 1.0), [1, 1, 1])
    assert all((change == 0).all() for change in found.values())


def test_augmentation_reaches_the_network_in_training_and_never_in_validation() -> None:
    from fieldmark.modalities.augment import STRONG

    train, valid = shapes(48)
    moved = replace(train, augmentation=STRONG)
    plain = fit(tiny(), recipe(epochs=1), (train, valid))
    changed = fit(tiny(), recipe(epochs=1), (moved, valid))
    assert not same(plain.weights, changed.weights)
    assert (plain.first_pixels != changed.first_pixels).any()
    np.testing.assert_array_equal(plain.proof_pixels, changed.proof_pixels)


# --- what is kept


def test_the_weights_of_the_best_epoch_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epoch 2 trains well, epoch 3 with a rate that spoils everything."""
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        loop.schedule, "rate", lambda kind, peak, step, n: 0.01 if step < 8 else 3.0
    )
    kept = loop._Loop._kept

    def spy(self: Any) -> dict[str, Any]:
        seen.append(kept(self))
        return seen[-1]

    monkeypatch.setattr(loop._Loop, "_kept", spy)
    fitted = fit(tiny(), recipe(epochs=3), shapes(64))
    losses = [done.val_loss for done in fitted.history]
    best = losses.index(min(losses))
    assert best < 2
    assert [done.best for done in fitted.history] == [True, losses[1] < losses[0], False]
    assert fitted.stopped.best_epoch == best + 1
    assert same(fitted.weights, seen[best])


def test_the_averaged_weights_are_judged_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    live: list[dict[str, Any]] = []
    update = averaging.WeightAverage.update

    def spy(self: Any, weights: Any, *, step: int) -> None:
        live.append({name: array.copy() for name, array in weights.items()})
        update(self, weights, step=step)

    monkeypatch.setattr(averaging.WeightAverage, "update", spy)
    train, valid = shapes(80)
    made = tiny(TINY.replace("BN -> ", ""))  # its averages would be computed anew at the end
    fitted = fit(made, recipe(epochs=2, ema=0.9), (train, valid))
    assert len(live) == 2  # 10 steps
    expected = averaging.WeightAverage(0.9)
    for step, weights in zip((5, 10), live, strict=True):
        update(expected, weights, step=step)
    assert fitted.stopped.best_epoch == 2
    assert same(fitted.weights, expected.weights)
    assert not same(fitted.weights, live[-1])
    model = keras_model.build(made, fitted.weights)
    pixels, labels = next(iter(valid.epoch(0)))
    judged = judging.losses(judging.answer(model, pixels), labels).mean()
    assert fitted.history[-1].val_loss == pytest.approx(judged, abs=1e-5)


def test_averaging_does_not_disturb_the_training_itself() -> None:
    data = shapes(80)
    plain, averaged = Ear(), Ear()
    fit(tiny(), recipe(epochs=3), data, ear=plain)
    fit(tiny(), recipe(epochs=3, ema=0.9), data, ear=averaged)
    assert plain.losses() == averaged.losses()


def test_fewer_steps_than_an_average_needs_keep_the_weights_themselves() -> None:
    data = shapes(32)
    plain = fit(tiny(), recipe(epochs=1), data)
    averaged = fit(tiny(), recipe(epochs=1, ema=0.9), data)
    assert same(plain.weights, averaged.weights)


def test_the_proof_is_the_kept_networks_answer_to_real_validation_pictures() -> None:
    made = tiny()
    train, valid = shapes(64)
    fitted = fit(made, recipe(epochs=3), (train, valid))
    pixels, _ = next(iter(valid.epoch(0)))
    np.testing.assert_array_equal(fitted.proof_pixels, pixels)  # all 16 of them
    model = keras_model.build(made, fitted.weights)
    np.testing.assert_allclose(
        fitted.proof_logits, judging.answer(model, fitted.proof_pixels), atol=1e-5
    )
    first, labels = next(iter(train.epoch(0)))
    np.testing.assert_array_equal(fitted.first_pixels, first[:N_SHOWN])
    np.testing.assert_array_equal(fitted.first_labels, labels[:N_SHOWN])


def test_the_proof_is_spread_over_all_classes_of_a_sorted_validation_part() -> None:
    pixels, labels = arrays(150)
    order = np.argsort(labels, kind="stable")
    valid = batches(pixels[order], labels[order], batch=16).plain()
    fitted = fit(tiny(), recipe(epochs=1, steps_per_epoch=1), (batches(pixels, labels), valid))
    places = [
        np.flatnonzero((valid.pixels == each).all((1, 2, 3)))[0] for each in fitted.proof_pixels
    ]
    assert len(set(places)) == N_PROOF
    counts = np.bincount(valid.labels[places])
    assert min(counts) >= 21


def test_validation_counts_every_picture_once_whatever_the_batches() -> None:
    pixels, labels = arrays(85)
    train = batches(pixels[:64], labels[:64])
    found = []
    for size in (256, 7):
        valid = batches(pixels[64:], labels[64:], batch=size).plain()
        found.append(fit(tiny(), recipe(epochs=1), (train, valid)).history[0])
    assert found[0].val_loss == pytest.approx(found[1].val_loss, abs=1e-6)
    assert found[0].val_accuracy == found[1].val_accuracy


# --- two classes with one unit


def test_one_sigmoid_unit_answers_with_two_logits() -> None:
    made = tiny("INPUT 8x8x1 -> FC 1", n_classes=2)
    model = keras_model.build(made, initial(made, seed=3))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    z = np.asarray(model(pixels))
    found = judging.answer(model, pixels)
    assert found.shape == (5, 2)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], z[:, 0], atol=1e-6)


def test_targets_are_a_column_for_one_unit_and_one_hot_rows_for_more() -> None:
    labels = np.array([1, 0, 1])
    one = tiny("INPUT 8x8x1 -> FC 1", n_classes=2)
    assert judging.targets(labels, one).tolist() == [[1], [0], [1]]
    two = tiny("INPUT 8x8x1 -> FC", n_classes=2)
    assert judging.targets(labels, two).tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("head", ["FC 1", "FC"])
def test_validation_measures_the_loss_that_training_lowers(head: str, smoothing: float) -> None:
    """With the weights standing still, both losses of the same pictures are the same number."""
    pixels, labels = arrays(16, size=8, shapes=("circle", "square"))
    data = batches(pixels, labels)
    chosen = recipe(optimizer="sgd", lr=1e-12, epochs=1, label_smoothing=smoothing)
    made = tiny(f"INPUT 8x8x3 -> {head}", n_classes=2)
    done = fit(made, chosen, (data, data.plain())).history[0]
    assert done.loss == pytest.approx(done.val_loss, abs=1e-5)
    assert done.accuracy == done.val_accuracy


def test_losses_of_huge_logits_stay_finite() -> None:
    logits = np.array([[1e4, -1e4], [0, 0]], np.float32)
    found = judging.losses(logits, np.array([1, 0]))
    assert found == pytest.approx([2e4, np.log(2)])


# --- what it says


def test_events_come_in_order_and_add_up() -> None:
    ear = Ear()
    fitted = fit(tiny(), recipe(lr=None, epochs=3), shapes(48), ear=ear)
    assert ear.names() == ["lr_found", "epoch", "epoch", "epoch", "early_stop"]
    stages = [event.stage for event in ear.events if isinstance(event, Progress)]
    assert stages == ["lr"] * len(ear.losses("lr")) + ["epoch"] * 9
    epochs = [event for event in ear.events if isinstance(event, EpochDone)]
    assert tuple(epochs) == fitted.history
    assert [(done.epoch, done.epochs) for done in epochs] == [(1, 3), (2, 3), (3, 3)]
    assert all(0 < done.train_seconds <= done.seconds for done in epochs)
    assert all(0 <= done.accuracy <= 1 and 0 <= done.val_accuracy <= 1 for done in epochs)
    counts = [(e.done, e.total) for e in ear.events if isinstance(e, Progress)][-9:]
    assert counts == [(1, 3), (2, 3), (3, 3)] * 3
    rate = next(event for event in ear.events if isinstance(event, RateFound))
    assert fitted.range_test is not None
    assert rate.lr == fitted.range_test.chosen == fitted.recipe.lr
    assert len(fitted.range_test.rates) == len(fitted.range_test.losses)
    assert ear.losses("lr") == list(fitted.range_test.losses)


def test_without_a_search_there_is_no_range_test() -> None:
    ear = Ear()
    fitted = fit(tiny(), recipe(epochs=1), shapes(32), ear=ear)
    assert fitted.range_test is None
    assert ear.names() == ["epoch", "early_stop"]


def test_the_rate_follows_the_schedule_step_by_step() -> None:
    rates: list[float] = []
    usual = loop._Loop._train_on

    class Watched(loop._Loop):
        def _train_on(self, pixels: Any, labels: Any, rate: float) -> tuple[float, float]:
            found = usual(self, pixels, labels, rate)
            rates.append(float(self.model.optimizer.learning_rate))
            return found

    train, valid = shapes(48)
    ear = Ear()
    watched = Watched(Start(tiny()), train, valid, recipe(schedule="one-cycle"), ear, Stop())
    watched.prepare()
    fitted = watched.run()
    expected = [loop.schedule.rate("one-cycle", 0.01, step, 6) for step in range(6)]
    assert rates == pytest.approx(expected, rel=1e-5)
    assert [done.lr for done in fitted.history] == pytest.approx([expected[2], expected[5]])


def test_a_listener_that_fails_stops_the_training() -> None:
    def fail(event: Event) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fit(tiny(), recipe(), shapes(32), ear=Ear(fail))
