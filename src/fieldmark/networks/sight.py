"""What one unit sees: the receptive field of every step.

Pure. With kernel ``k`` and step ``s``, a layer widens the field by ``(k - 1)`` jumps, and
multiplies the jump (pixels between two neighbours of its output) by ``s``. See Araujo, Norris and
Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

from fieldmark.networks.layers import Backbone, Conv, Dense, Flatten, GlobalPool, Pool
from fieldmark.networks.volumes import Plan, Step


@dataclass(frozen=True, slots=True)
class Sight:
    """What one number of a step's output depends on."""

    field: tuple[int, int]
    """Rows and columns of the picture."""
    jump: tuple[int, int]
    """Rows and columns between the fields of two neighbours."""


def sights(plan: Plan) -> tuple[Sight, ...]:
    """Compute the sight of every step, in the plan's order.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> from fieldmark.networks.volumes import plan
    >>> made = plan(parse("INPUT 64x64x3 -> [CONV 32 3x3 -> RELU -> POOL 2x2]*2 -> FC"), 2)
    >>> sights(made)[5].field
    (10, 10)
    """
    found: list[Sight] = []
    start = Sight((1, 1), (1, 1))
    for step in plan.steps:
        read = [start if source < 0 else found[source] for source in step.sources]
        widest = max(read, key=lambda sight: sight.field)
        found.append(_through(step, widest, plan))
    return tuple(found)


def _through(step: Step, sight: Sight, plan: Plan) -> Sight:
    match step.layer:
        case Conv(kernel=kernel, step=pace):
            steps = (pace, pace)
        case Pool(kernel=kernel) as pool:
            steps = pool.steps
        case GlobalPool() | Dense() | Flatten() | Backbone():  # deep: all of it, nearly always
            return Sight(plan.input[:2], sight.jump)
        case _:
            return sight
    field = tuple(
        min(sight.field[axis] + (kernel[axis] - 1) * sight.jump[axis], plan.input[axis])
        for axis in (0, 1)
    )
    jump = (sight.jump[0] * steps[0], sight.jump[1] * steps[1])
    return Sight((field[0], field[1]), jump)
