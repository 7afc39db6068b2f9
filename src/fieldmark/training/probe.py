"""What a few steps before the first epoch tell: the learning rate, and the epochs a budget allows.

The loop undoes these steps afterwards, so that a run with both written down repeats this one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.training import schedule
from fieldmark.training.events import Listener, Progress, RateFound
from fieldmark.training.fitted import RangeTest
from fieldmark.training.pace import FORWARD_SHARE
from fieldmark.training.recipe import RATE_BOUNDS, Recipe

RANGE_TEST_STEPS: Final = 100
TIMING_STEPS: Final = 20
"""Where only the time of a step is asked for."""

Step = Callable[[NDArray[np.uint8], NDArray[np.int64], float], tuple[float, float]]
"""(pixels, labels, learning rate) -> (loss, accuracy): trains by one batch."""


def n_steps(recipe: Recipe) -> int:
    """Return how many steps the probe takes at most."""
    return RANGE_TEST_STEPS if recipe.lr is None else TIMING_STEPS


def probed(
    step: Step,
    batches: Iterable[tuple[NDArray[np.uint8], NDArray[np.int64]]],
    recipe: Recipe,
    listen: Listener,
) -> tuple[RangeTest | None, float]:
    """Train with growing rates, through all sizes.

    Returns
    -------
    range_test : RangeTest or None
        None if the rate is given.
    step_s : float
        Seconds a step of the whole training takes.
    """
    rates = schedule.range_test_rates(n_steps(recipe))
    losses: list[float] = []
    clock = [time.monotonic()]
    spent: dict[int, list[float]] = {}
    for rate, (pixels, labels) in zip(rates, batches, strict=False):
        loss, _ = step(pixels, labels, rate)
        clock.append(time.monotonic())
        spent.setdefault(pixels.shape[1], []).append(clock[-1] - clock[-2])
        losses.append(loss)
        listen(Progress(stage="lr", done=len(losses), total=len(rates), loss=loss))
        if not math.isfinite(loss) or (len(losses) > 10 and loss > 4 * min(losses)):
            break
    test = None
    if recipe.lr is None:
        low, high = RATE_BOUNDS[recipe.optimizer]
        chosen = schedule.suggest(rates, losses, low=low, high=high)
        test = RangeTest(tuple(rates[: len(losses)]), tuple(losses), chosen)
        listen(RateFound(lr=chosen))
    return test, schedule.step_seconds(spent, recipe.sizes)


def epoch_seconds(step_s: float, sizes: Sequence[int], given: tuple[int, float, int]) -> float:
    """Return what an epoch and its validation take.

    Parameters
    ----------
    step_s : float
        Seconds of a step, the mean over all sizes.
    sizes : sequence of int
        Of pictures while training; empty: the network's.
    given : tuple
        Steps in an epoch, batches' worth of validation pictures, and the network's size in pixels.

    Examples
    --------
    >>> epoch_seconds(0.5, (), (10, 3.0, 64))
    5.5
    """
    in_epoch, n_valid, side = given
    pixels = sum(size**2 for size in sizes) / max(len(sizes), 1)
    larger = side**2 / pixels if pixels else 1.0
    return step_s * (in_epoch + larger * n_valid * FORWARD_SHARE)


def decided(recipe: Recipe, test: RangeTest | None, epoch_s: float, spent_s: float) -> Recipe:
    """Fill in what the recipe left open: the rate, and the epochs that the time allows."""
    if recipe.lr is None and test is not None:
        recipe = replace(recipe, lr=test.chosen)
    if recipe.epochs is None:
        left_s = (recipe.time_s or 0.0) - spent_s
        recipe = replace(recipe, epochs=epochs_within(left_s, epoch_s))
    return recipe


def epochs_within(left_s: float, epoch_s: float) -> int:
    """Return how many epochs a time allows, at least 1.

    Stopped by the clock, one cycle would never come down: some room is left.

    Examples
    --------
    >>> epochs_within(100.0, 9.0), epochs_within(1.0, 9.0)
    (10, 1)
    """
    return max(1, int(0.92 * left_s / max(epoch_s, 1e-6)))
