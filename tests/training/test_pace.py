"""The pace of a training is measured on its own steps, and changes nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fieldmark.errors import OutOfMemory, UsageError, out_of_memory
from fieldmark.training import loop, stopping
from fieldmark.training.fitted import Fitted, Pace, Start
from fieldmark.training.pace import MEASURED_STEPS, Pacing
from fieldmark.training.recipe import Recipe
from tests.training.problems import TINY, Ear, Stop, recipe, shapes, tiny

WITH_DROPOUT = TINY.replace("GAP", "DROPOUT 0.2 -> GAP")


def fit(chosen: Recipe, told: list[Pace] | None) -> Fitted:
    given = Start(tiny(WITH_DROPOUT), paced=None if told is None else told.append)
    return loop.fit(given, *shapes(200), chosen, listen=Ear(), stop=Stop())


@pytest.mark.parametrize("lr", [0.01, None], ids=["first steps", "range test"])
def test_the_weights_are_the_same_with_and_without(lr: float | None) -> None:
    chosen, told = recipe(lr=lr, ema=0.9, schedule="one-cycle" if lr is None else "constant"), []
    plain, paced = fit(chosen, None), fit(chosen, told)
    assert all(np.array_equal(plain.weights[name], paced.weights[name]) for name in plain.weights)
    (pace,) = told
    assert pace.step_s > 0
    assert pace.picture_s > 0
    assert pace.judgements_left == 2
    assert pace.n_measured == (MEASURED_STEPS if lr else 0)
    assert pace.steps_left >= 26 - pace.n_measured


def test_a_short_epoch_is_measured_whole() -> None:
    told: list[Pace] = []
    given = Start(tiny(), paced=told.append)
    loop.fit(given, *shapes(40), recipe(epochs=1), listen=Ear(), stop=Stop())
    assert [each.n_measured for each in told] == [3]


def test_nobody_who_wants_to_know_nothing_waits() -> None:
    assert not Pacing(None).waiting


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor with shape[2048,31,31,32]"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_step_without_memory_is_an_error_that_names_the_batch(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object) -> tuple[float, float]:
        raise error

    monkeypatch.setattr(loop._Loop, "_train_on", broken)
    with pytest.raises(OutOfMemory, match="step of 16 pictures") as caught:
        loop.fit(tiny(), *shapes(40), recipe(), listen=Ear(), stop=Stop())
    assert caught.value.code == "out-of-memory"
    assert caught.value.hint.startswith("--batch 8")
    assert caught.value.__context__ is None  # it would hold the network that was too large


@pytest.mark.parametrize(
    "error", [ValueError("out of memory"), OutOfMemory("x", code="y"), UsageError("x", code="y")]
)
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not out_of_memory(error)


def test_one_picture_that_is_too_many_gets_no_smaller_batch() -> None:
    assert "--batch" not in stopping.out_of_memory(1, "").hint


def test_what_is_left_is_steps_and_validations() -> None:
    pace = Pace(
        n_measured=1, step_s=1.0, steps_left=10, judge_s=2.0, judgements_left=3, picture_s=0.1
    )
    assert pace.left_s == 16
    assert dataclasses.replace(pace, steps_left=0).left_s == 6
