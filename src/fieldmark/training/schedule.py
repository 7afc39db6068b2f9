"""Learning rates over a training. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

Schedule = Literal["constant", "one-cycle"]


def rate(schedule: Schedule, peak: float, step: int, n_steps: int) -> float:
    """Return the learning rate of one step.

    Parameters
    ----------
    schedule : {"constant", "one-cycle"}
        ``one-cycle`` climbs from a twentieth of the peak over the first quarter of the steps and
        falls along a half cosine to a thousandth of it at the last.
    peak : float
        The highest rate.
    step : int
        0 for the first; beyond ``n_steps`` the rate stays at its last value.
    n_steps : int
        Of the whole training, at least 1.

    References
    ----------
    Smith and Topin, "Super-Convergence", 2018, arXiv:1708.07120.

    Examples
    --------
    >>> [round(rate("one-cycle", 1.0, step, 9), 3) for step in (0, 2, 8)]
    [0.05, 1.0, 0.001]
    """
    if schedule == "constant":
        return peak
    last = max(n_steps - 1, 1)
    warm = max(round(0.25 * last), 1)
    step = min(step, last)
    if step < warm:
        return peak * (0.05 + 0.95 * step / warm)
    share = (step - warm) / max(last - warm, 1)
    return peak * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * share)))


def size_at(sizes: Sequence[int], step: int, n_steps: int) -> int:
    """Return the picture size of one step: each of ``sizes`` gets an equal part of the steps.

    Small pictures cost less and show most of what there is to learn early on; the last part is for
    detail. A size may stand there twice to last longer.

    References
    ----------
    Howard, "Training Imagenet in 3 hours for USD 25", fast.ai, 2018; Tan and Le, "EfficientNetV2",
    2021, arXiv:2104.00298, section 4.

    Examples
    --------
    >>> [size_at((32, 32, 64), step, 6) for step in range(6)]
    [32, 32, 32, 32, 64, 64]
    """
    part = step * len(sizes) // max(n_steps, 1)
    return sizes[min(part, len(sizes) - 1)]


def step_seconds(spent: Mapping[int, Sequence[float]], sizes: Sequence[int]) -> float:
    """Return what a step of a whole training takes, from a few steps at each of its sizes.

    Parameters
    ----------
    spent : mapping of int to sequence of float
        Seconds of single steps by picture size; the median counts, because the first step of a size
        also builds its graph.
    sizes : sequence of int
        As for :func:`size_at`; empty: all steps are of one size. A size that was not reached is
        taken to cost as much per pixel as the largest one that was.

    Examples
    --------
    >>> step_seconds({32: [9.0, 0.01, 0.01]}, (32, 64))
    0.025
    """
    medians = {size: statistics.median(each) for size, each in spent.items()}
    largest = max(medians)
    pixel_s = medians[largest] / largest**2
    return statistics.fmean(medians.get(size, pixel_s * size**2) for size in sizes or (largest,))


def range_test_rates(n_steps: int, low: float = 1e-5, high: float = 1.0) -> list[float]:
    """Return rates that grow by the same factor each step, for :func:`suggest`."""
    factor = (high / low) ** (1 / max(n_steps - 1, 1))
    return [low * factor**step for step in range(n_steps)]


def smoothed(losses: Sequence[float], decay: float = 0.9) -> list[float]:
    """Average losses exponentially, corrected for the start."""
    found: list[float] = []
    average = 0.0
    for n, loss in enumerate(losses, start=1):
        average = decay * average + (1 - decay) * loss
        found.append(average / (1 - decay**n))
    return found


def suggest(rates: Sequence[float], losses: Sequence[float], *, low: float, high: float) -> float:
    """Choose a peak rate from a range test.

    Parameters
    ----------
    rates, losses : sequences of the same length
        Growing learning rates and the training loss at each; losses may end early or be infinite.
    low, high : float
        What the optimizer stands. Where pictures are hard, a hundred steps show more noise than
        slope, and the lowest point alone would be anywhere.

    Returns
    -------
    float
        The rate where the smoothed loss is lowest, divided by 3 (high, but before it turns), and
        within the bounds.

    References
    ----------
    Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, arXiv:1506.01186,
    section 3.3.

    Examples
    --------
    >>> losses = [0.7, 0.5, 0.6, float("inf")]
    >>> suggest([0.001, 0.012, 0.1, 1.0], losses, low=0.001, high=0.01)
    0.004
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not finite:
        return low
    calm = smoothed(finite, decay=0.9 if len(finite) > 20 else 0.0)
    lowest = min(range(len(calm)), key=calm.__getitem__)
    return min(max(rates[lowest] / 3, low), high)
