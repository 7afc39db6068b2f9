"""The averages of batch normalisation belong to the weights that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fieldmark.networks import keras_model
from fieldmark.networks.weights import initial
from fieldmark.training import judging, norms
from fieldmark.training.averaging import WeightAverage
from fieldmark.training.fitted import Start
from tests.pictures import arrays
from tests.training.problems import TINY, Stop, fit, recipe, shapes, tiny

TWO = TINY.replace("-> GAP", "-> CONV 4 3x3 same -> BN -> RELU -> GAP")


def pictures(n: int, size: int = 16) -> list[Any]:
    pixels, _ = arrays(16 * n, size=size)
    return [pixels[at : at + 16] for at in range(0, 16 * n, 16)]


def test_the_averages_are_those_of_what_stands_there() -> None:
    """Of the first BN, that is: of the convolution's maps. All else stays, in what is given too."""
    made = tiny(TWO)
    weights = initial(made, seed=1)
    before = {name: array.copy() for name, array in weights.items()}
    model = keras_model.build(made, weights)
    same = pictures(1) * 12
    found = norms.renewed(model, made, weights, same)
    maps = keras_model.keras.Model(model.input, model.get_layer("conv1").output)(same[0])
    maps = np.asarray(maps).reshape(-1, 8)
    np.testing.assert_allclose(found["bn1/mean"], maps.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found["bn1/variance"], maps.var(axis=0), rtol=1e-2, atol=1e-6)
    averages = {"bn1/mean", "bn1/variance", "bn2/mean", "bn2/variance"}
    assert {name for name in found if (found[name] != before[name]).any()} == averages
    assert all((weights[name] == before[name]).all() for name in before)


def test_what_the_averages_were_before_does_not_matter() -> None:
    made = tiny(TWO)
    weights = initial(made, seed=1)
    other = {name: array + (7 if "/mean" in name else 0) for name, array in weights.items()}
    model = keras_model.build(made, weights)
    shown = pictures(3)
    first, again = (norms.renewed(model, made, given, shown) for given in (weights, other))
    assert all((first[name] == again[name]).all() for name in first)


def test_few_batches_are_not_drawn_towards_zero() -> None:
    made = tiny()
    weights = initial(made, seed=1)
    model = keras_model.build(made, weights)
    one, many = (norms.renewed(model, made, weights, pictures(1) * n) for n in (1, 30))
    np.testing.assert_allclose(one["bn1/mean"], many["bn1/mean"], rtol=1e-4, atol=1e-6)


def test_the_model_holds_the_result_and_frozen_averages_stay() -> None:
    made = tiny(TWO)
    weights = initial(made, seed=1)
    model = keras_model.build(made, weights)
    found = norms.renewed(model, made, weights, pictures(2), frozen=frozenset({"bn1"}))
    assert (found["bn1/mean"] == weights["bn1/mean"]).all()
    assert (found["bn2/mean"] != weights["bn2/mean"]).any()
    held = keras_model.read_weights(model, made)
    assert all((held[name] == found[name]).all() for name in found)


def test_a_network_without_normalisation_stays_as_it_is() -> None:
    made = tiny(TINY.replace("BN -> ", ""))
    weights = initial(made, seed=1)
    found = norms.renewed(keras_model.build(made, weights), made, weights, [])
    assert all((found[name] == weights[name]).all() for name in weights)


# --- in the loop


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record what is settled: the size of the pictures, and the weights."""
    found: list[Any] = []
    usual = norms.renewed

    def renewed(model: Any, plan: Any, weights: Any, batches: Any, **rest: Any) -> Any:
        shown = list(batches)
        found.append((len(shown), shown[0].shape[1], usual(model, plan, weights, shown, **rest)))
        return found[-1][2]

    monkeypatch.setattr(norms, "renewed", renewed)
    return found


@pytest.mark.parametrize("changes", [{"ema": 0.9}, {"sizes": (8, 12)}])
def test_the_end_is_settled_at_the_full_size_and_judged_so(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = looked_at(monkeypatch)
    made, (train, valid) = tiny(), shapes(80)
    fitted = fit(made, recipe(schedule="one-cycle", **changes), (train, valid))
    ((n, size, weights),) = found
    assert (n, size) == (norms.N_BATCHES, 16)
    assert all((fitted.weights[name] == weights[name]).all() for name in weights)
    pixels, labels = next(iter(valid.epoch(0)))
    judged = judging.losses(judging.answer(keras_model.build(made, weights), pixels), labels).mean()
    assert fitted.history[-1].val_loss == pytest.approx(judged, abs=1e-5)


def test_a_training_that_is_stopped_settles_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = looked_at(monkeypatch)
    fitted = fit(tiny(), recipe(epochs=5, ema=0.9), shapes(80), stop=Stop(True))
    assert len(found) == 1
    assert all((fitted.weights[name] == found[0][2][name]).all() for name in fitted.weights)


def test_weights_that_trained_at_one_size_without_averaging_keep_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = looked_at(monkeypatch)
    fit(tiny(), recipe(schedule="one-cycle"), shapes(48))
    assert found == []


def test_frozen_averages_stay_also_at_the_end() -> None:
    made = tiny(TWO)
    weights = initial(made, seed=4)
    start = Start(made, weights, frozenset({"conv1", "bn1"}))
    fitted = fit(start, recipe(ema=0.9, sizes=(8, 16)), shapes(80))
    assert (fitted.weights["bn1/mean"] == weights["bn1/mean"]).all()
    assert (fitted.weights["bn2/mean"] != weights["bn2/mean"]).any()


def test_averaging_takes_the_settled_weights_as_its_own() -> None:
    """What is read from the average afterwards is what was judged."""
    average = WeightAverage(0.9)
    average.update({"w": np.zeros(1, np.float32)}, step=0)
    average.weights = {"w": np.ones(1, np.float32)}
    average.update({"w": np.ones(1, np.float32)}, step=5)
    assert average.weights["w"] == 1
