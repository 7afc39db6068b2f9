"""From a model to the state that a checkpoint holds, and back; what is said about it.

Everything a training depends on is in it: every variable of the model and of the optimizer
(moments, iteration, what DROPOUT draws from), the averaged weights and the best ones. Order and
augmentation need nothing: they are functions of the seed and the step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import Terminated, UsageError
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import Weights
from fieldmark.training import schedule
from fieldmark.training.checkpoint import State
from fieldmark.training.events import Event, RateFound, Resumed, Stopped
from fieldmark.training.fitted import RangeTest
from fieldmark.training.recipe import Recipe


def draw_states(model: keras.Model) -> list[Any]:
    """Return the variables from which DROPOUT draws: part of where a training starts."""
    dropouts = (layer for layer in model.layers if isinstance(layer, keras.layers.Dropout))
    return [layer.seed_generator.state for layer in dropouts if layer.rate > 0]


def arrays(
    model: keras.Model, average: Weights, best: Weights, test: RangeTest | None
) -> dict[str, NDArray[Any]]:
    """Return everything that a checkpoint holds in arrays, named as :class:`State` says."""
    found = {name: variable.numpy() for name, variable in _variables(model).items()}
    found |= {f"average/{name}": array for name, array in average.items()}
    found |= {f"best/{name}": array for name, array in best.items()}
    if test is not None:
        found |= {"probe/rates": np.array(test.rates), "probe/losses": np.array(test.losses)}
        found["probe/chosen"] = np.array(test.chosen)
    return found


def assign(state: State, model: keras.Model) -> None:
    """Give the model and its optimizer what they held."""
    for name, variable in _variables(model).items():
        variable.assign(state.arrays[name])


def weights(state: State, kind: str, plan: Plan) -> dict[str, NDArray[np.float32]]:
    """Return copies of the ``average`` or ``best`` weights, in the plan's order; empty: none."""
    kept = state.named(kind)
    return {name: np.array(kept[name]) for name in plan.weight_shapes} if kept else {}


def range_test(state: State) -> RangeTest | None:
    """Return the range test that the rate comes from."""
    kept = state.named("probe")
    if not kept:
        return None
    rates, losses = tuple(kept["rates"].tolist()), tuple(kept["losses"].tolist())
    return RangeTest(rates, losses, float(kept["chosen"]))


def check(state: State, model: keras.Model, plan: Plan, recipe: Recipe) -> None:
    """Hold names, shapes and epochs of what is kept against what is to be trained.

    Raises
    ------
    UsageError
        Code ``resume-differs``.
    """
    wanted = {name: tuple(each.shape) for name, each in _variables(model).items()}
    found = {name: array.shape for name, array in state.arrays.items()}
    weights = plan.weight_shapes
    same = all(found.get(name) == shape for name, shape in wanted.items()) and all(
        {name: array.shape for name, array in state.named(kind).items()} in ({}, weights)
        for kind in ("average", "best")
    )
    if not same:
        raise UsageError(
            "The checkpoint is of another network or optimizer.",
            code="resume-differs",
            why="Only the same training can go on from it.",
            hint="train FOLDER without --resume begins anew",
        )
    n_done = len(state.history)
    if recipe.epochs is not None and recipe.epochs < n_done:
        raise UsageError(
            f"{recipe.epochs} epochs are asked for, and {n_done} are done.",
            code="resume-differs",
            where="[train] epochs",
            why="A training cannot be taken back to an earlier epoch.",
            hint=f"--epochs {n_done + 1} or more; without --resume it begins anew",
        )


def planned(state: State, recipe: Recipe) -> tuple[Recipe, Stopped | None]:
    """Return the recipe to go on with, and why training has ended if it has.

    The rate and the number of epochs are those that were decided, unless other epochs are asked
    for now: then the schedule is that of the new number, from the same step on.
    """
    extended = recipe.epochs not in (None, state.asked_epochs, state.epochs)
    epochs = recipe.epochs if extended else state.epochs
    return replace(recipe, lr=state.lr, epochs=epochs), None if extended else state.stopped


def told(state: State, recipe: Recipe, in_epoch: int) -> Iterator[Event]:
    """Yield what was said so far, for a listener that has not heard it, and where it goes on."""
    test = range_test(state)
    if test is not None:
        yield RateFound(lr=test.chosen)
    yield from state.history
    epochs = recipe.epochs or 1
    epoch = min(len(state.history) + 1, epochs)
    done = state.step - in_epoch * len(state.history)
    text = f"Goes on in epoch {epoch} of {epochs}, after step {done} of {in_epoch}."
    if len(state.history) >= epochs or (state.stopped and epochs == state.epochs):
        text = "Training had ended; what follows it is done again."
    if epochs != state.epochs:
        before, now = (
            schedule.rate(recipe.schedule, state.lr, state.step, n * in_epoch)
            for n in (state.epochs, epochs)
        )
        text += (
            f" {state.epochs} epochs were planned, now {epochs}: "
            f"the next step's learning rate is {now:.2g} instead of {before:.2g}."
        )
    yield Resumed(text=text, epoch=epoch, step=state.step)


def terminated(kept: bool, *, epoch: int) -> Terminated:
    """Return the error to end with."""
    return Terminated(
        f"Stopped by SIGTERM in epoch {epoch}.",
        code="terminated",
        why="The system asked the process to end." + (" The checkpoint is kept." if kept else ""),
        hint="the same command again goes on; or: fieldmark train --resume" if kept else "",
    )


def _variables(model: keras.Model) -> dict[str, Any]:
    """Name every variable of a compiled model by its place: names need not be unique in Keras."""
    groups = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {
        f"{kind}/{at}": variable
        for kind, group in groups.items()
        for at, variable in enumerate(group)
    }
