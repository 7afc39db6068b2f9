"""Likely mistakes in a layer list, each with a code; one function per question.

Pure. A hint never stops anything. To add one: write a function whose docstring's first line asks a
question, and add it to ``HINTS``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fieldmark.networks.layers import Activation, Conv, Dense, Pool
from fieldmark.networks.sight import Sight
from fieldmark.networks.volumes import Plan, Volume, shown


@dataclass(frozen=True, slots=True)
class Hint:
    """One likely mistake."""

    code: str
    step: str
    """The plan's name of the layer it is about."""
    text: str


def find(plan: Plan, seen: Sequence[Sight]) -> tuple[Hint, ...]:
    """Ask every question of :data:`HINTS`."""
    return tuple(hint for question in HINTS for hint in question(plan, seen))


def stride_as_kernel(plan: Plan, seen: Sequence[Sight]) -> Iterator[Hint]:
    """Ask: does a CONV move as far as it is wide, as ``Conv2D(32, 3, 3)`` does?"""
    for step in plan.steps:
        match step.layer:
            case Conv(kernel=kernel, step=pace) if pace >= 3 and pace >= min(kernel):
                text = (
                    f"{step.name} moves {pace} pixels at a time, so {shown(step.input[:2])} "
                    f"becomes {shown(step.output[:2])} and most positions are skipped. In Keras, "
                    f"Conv2D(32, {pace}, {pace}) means kernel {pace}, step {pace}. Did you mean "
                    f"{shown(kernel)} with step 1?"
                )
                yield Hint("net-stride-as-kernel", step.name, text)


def wide_flat(plan: Plan, seen: Sequence[Sight]) -> Iterator[Hint]:
    """Ask: do most weights sit in one FC behind FLATTEN?"""
    for step in plan.steps:
        if not isinstance(step.layer, Dense) or step.n_weights < max(0.5 * plan.n_weights, 1e5):
            continue
        volume = _flattened(plan, step.sources[0])
        if volume is None:
            continue
        smaller = volume[2] * step.output[0] + step.output[0]
        text = (
            f"{100 * step.n_weights / plan.n_weights:.1f} % of the weights sit in {step.name}. GAP "
            f"(the average of each map) instead of FLATTEN would need {smaller:,} there."
        )
        yield Hint("net-wide-flat", step.name, text)


def _flattened(plan: Plan, source: int) -> Volume | None:
    while source >= 0:
        step = plan.steps[source]
        if step.name.startswith("flatten"):
            return step.input if len(step.input) == 3 and math.prod(step.input[:2]) > 1 else None
        if isinstance(step.layer, (Dense, Conv, Pool)):
            return None
        source = step.sources[0]
    return None


def small_field(plan: Plan, seen: Sequence[Sight]) -> Iterator[Hint]:
    """Ask: do the last maps see less than half of the picture, each way?"""
    at = plan.maps_at
    if at < 0 or any(seen[at].field[axis] * 2 >= plan.input[axis] for axis in (0, 1)):
        return
    sight = seen[at]
    more = tuple(min(sight.field[axis] + 3 * sight.jump[axis], plan.input[axis]) for axis in (0, 1))
    text = (
        f"After {plan.steps[at].name} one unit sees {shown(sight.field)} of the "
        f"{shown(plan.input[:2])} pixels. One more CONV+POOL block would make that {shown(more)}."
    )
    yield Hint("net-receptive-field", plan.steps[at].name, text)


def nothing_between(plan: Plan, seen: Sequence[Sight]) -> Iterator[Hint]:
    """Ask: do two weighted layers follow each other with nothing non-linear between?"""
    linear: dict[int, bool] = {-1: False}
    made_so = plan.backbone.stop if plan.backbone else 0  # narrow CONVs without RELU are its idea
    for at, step in enumerate(plan.steps):
        weighted = isinstance(step.layer, (Conv, Dense))
        after = any(linear[source] for source in step.sources)
        depthwise = isinstance(step.layer, Conv) and step.layer.filters is None
        if at >= made_so and weighted and after and not depthwise and math.prod(step.output) > 1:
            text = (
                f"{step.name} follows another weighted layer with nothing non-linear between: two "
                "linear layers in a row can do no more than one. Put RELU between them."
            )
            yield Hint("net-nothing-between", step.name, text)
        breaks = isinstance(step.layer, Activation) or (
            isinstance(step.layer, Pool) and step.layer.reduce == "max"
        )
        linear[at] = at >= made_so and not breaks and ((weighted and not depthwise) or after)


HINTS = (stride_as_kernel, wide_flat, small_field, nothing_between)
"""Asked in this order."""
