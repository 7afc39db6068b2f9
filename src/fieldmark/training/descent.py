"""Several smooth convex problems of the same size, minimised side by side by L-BFGS.

They share the passes over the data, which is where the time goes, and nothing else: each has its
own step lengths and its own curvature. Pure NumPy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
"""(n_problems, n_outputs, n_columns)"""
Numbers = NDArray[np.float64]
"""(n_problems,)"""
Objective = Callable[[Points], tuple[Numbers, Points]]
"""From points to values and gradients."""

MEMORY = 10
"""Pairs of steps and gradient changes that are remembered."""
_SUFFICIENT = 1e-4
_ROUNDING = 1e-6
"""A relative rise of the value that float32 gradients may cause without a step being too long."""
_SHORTEST = 1e-6


def minimised(
    objective: Objective,
    start: Points,
    precondition: Callable[[Points], Points],
    *,
    tolerance: float,
    max_steps: int = 200,
) -> Points:
    """Minimise from a start until every problem is nearly solved.

    Parameters
    ----------
    objective : Objective
        Convex in every problem.
    start : float32 array of shape (n_problems, n_outputs, n_columns)
        Not changed.
    precondition : callable
        Multiplies by a symmetric approximation of the inverse Hessian, for each problem.
    tolerance : float
        Stop at an estimated distance from the minimum value of this much: half the product of the
        gradient and the step.
    max_steps : int, default=200
        Of all problems together.

    References
    ----------
    Nocedal and Wright, "Numerical Optimization", 2006, algorithm 7.4.
    """
    point = start
    value, gradient = objective(point)
    pairs: list[tuple[Points, Points, Numbers]] = []
    scale = np.ones(len(start))
    for _ in range(max_steps):
        step = _two_loops(gradient, pairs, precondition, scale)
        slope = _dot(gradient, step)
        active = slope / 2 > tolerance
        if not active.any():
            break
        length = np.where(active, 1.0, 0.0)
        while True:
            new_point = point - _times(length, step)
            new_value, new_gradient = objective(new_point)
            wanted = value - _SUFFICIENT * length * slope + _ROUNDING * np.abs(value)
            long = active & ~(new_value <= wanted) & (length > _SHORTEST)
            if not long.any():
                break
            length = np.where(long, length / 2, length)
        failed = active & ~(new_value <= wanted)
        if failed.any():  # taking such a step could end where the loss is flat and wrong
            length = np.where(failed, 0.0, length)
            if not length.any():
                if not pairs:
                    break
                pairs, scale = [], np.ones(len(start))
                continue
            new_point = point - _times(length, step)
            new_value, new_gradient = objective(new_point)
        moved, turned = new_point - point, new_gradient - gradient
        point, value, gradient = new_point, new_value, new_gradient
        curvature = _dot(moved, turned)
        convex = curvature > 0
        inverse = np.where(convex, 1 / np.where(convex, curvature, 1), 0.0)
        pairs = [*pairs[1 - MEMORY :], (moved, turned, inverse)]
        stretch = _dot(turned, precondition(turned))
        scale = np.where(convex, curvature / np.where(stretch > 0, stretch, 1), scale)
    return point


def _two_loops(
    gradient: Points,
    pairs: list[tuple[Points, Points, Numbers]],
    precondition: Callable[[Points], Points],
    scale: Numbers,
) -> Points:
    step = gradient.copy()
    shares = []
    for moved, turned, inverse in reversed(pairs):
        share = inverse * _dot(moved, step)
        step -= _times(share, turned)
        shares.append(share)
    step = _times(scale, precondition(step))
    for (moved, turned, inverse), share in zip(pairs, reversed(shares), strict=True):
        step += _times(share - inverse * _dot(turned, step), moved)
    return step


def _dot(a: Points, b: Points) -> Numbers:
    products = [float(np.dot(x.reshape(-1), y.reshape(-1))) for x, y in zip(a, b, strict=True)]
    return np.array(products)


def _times(factors: Numbers, points: Points) -> Points:
    return factors.astype(np.float32)[:, None, None] * points
