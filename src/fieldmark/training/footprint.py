"""How much memory a network takes: from its volumes, before anything is built. Pure.

The factors were measured on the catalogue's networks (TensorFlow on a CPU) and rounded up: a step
keeps every volume of its pictures and some of their gradients; an answer keeps two volumes; the
optimizer, its averages and the copies that are kept are several times the weights.
"""

from __future__ import annotations

import math
from typing import Final

from fieldmark.networks.volumes import Plan

MB: Final = 10**6
_FLOAT: Final = 4
_STEP: Final = 1.6
_ANSWER: Final = 1.3
_WEIGHTS: Final = 12
"""Copies of the weights while training: gradients, moments, averages, the best, a checkpoint."""
_GRAPH: Final = 150 * MB
"""Of a traced step."""
_ENGINES: Final = 130 * MB
"""Of the engine that proves and measures, and of drawing the pages."""
_EXPORTED: Final = 20
"""Copies of the weights in graphs and engines."""
_AT_ONCE: Final = 64
"""Pictures on which an export is proven, and which an engine may hold at a time."""


def step_bytes(plan: Plan, batch: int) -> int:
    """Return what one step of training takes, beside the weights.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> from fieldmark.networks.volumes import plan
    >>> made = plan(parse("INPUT 8x8x1 -> CONV 4 3x3 -> FC"), 2)
    >>> step_bytes(made, 200) == 2 * step_bytes(made, 100)
    True
    """
    values = sum(math.prod(step.output) for step in plan.steps)
    return int(_STEP * _FLOAT * values * batch)


def answer_bytes(plan: Plan, n: int) -> int:
    """Return what the answers to so many pictures at once take."""
    largest = max(math.prod(step.input) + math.prod(step.output) for step in plan.steps)
    return int(_ANSWER * _FLOAT * largest * n)


def weight_bytes(plan: Plan) -> int:
    """Return what the weights take once, as float32."""
    return _FLOAT * sum(math.prod(shape) for shape in plan.weight_shapes.values())


def finish_bytes(plan: Plan) -> int:
    """Return what export, proof, measuring and the pages add."""
    return _ENGINES + _EXPORTED * weight_bytes(plan) + answer_bytes(plan, _AT_ONCE)


def training_bytes(plan: Plan, batch: int, valid_batch: int) -> int:
    """Return what a whole training adds to a process that has loaded its framework."""
    at_once = max(step_bytes(plan, batch), answer_bytes(plan, valid_batch))
    return _GRAPH + _WEIGHTS * weight_bytes(plan) + at_once + finish_bytes(plan)


def fitting_batch(plan: Plan, room: int) -> int:
    """Return the largest batch, a power of 2, for which there is room; 0: not even one picture."""
    batch = 4096
    while batch and training_bytes(plan, batch, batch) > room:
        batch //= 2
    return batch
