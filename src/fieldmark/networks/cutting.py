"""A plan cut in two: what comes before a step, and what comes behind it.

Pure. The front is run once per picture and its output kept; the back is trained on that. Steps keep
their names, so weights move between the whole and its parts by name.
"""

from __future__ import annotations

from dataclasses import replace

from fieldmark.networks.layers import Dense, GlobalPool
from fieldmark.networks.volumes import Plan, Step


def front(plan: Plan, at: int) -> Plan:
    """Return the steps up to ``at``, with an average and an FC behind so that they are a network.

    Its last feature map, ``maps_at``, is the output of step ``at``.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> from fieldmark.networks.volumes import plan
    >>> made = plan(parse("INPUT 8x8x3 -> CONV 4 3x3 -> RELU -> CONV 5 3x3 -> GAP -> FC"), 2)
    >>> [step.name for step in front(made, 1).steps]
    ['conv1', 'relu1', 'average', 'unused']
    """
    volume = plan.steps[at].output
    average = Step("average", GlobalPool("mean"), (at,), volume, volume[2:])
    unused = Step(
        "unused", Dense(plan.n_classes), (at + 1,), volume[2:], (plan.n_classes,), bias=True
    )
    return replace(plan, steps=(*plan.steps[: at + 1], average, unused), backbone=None)


def back(plan: Plan, at: int) -> Plan:
    """Return the steps behind ``at``; they read its output where the whole reads the picture.

    Raises
    ------
    ValueError
        A step behind the cut reads one before it.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> from fieldmark.networks.volumes import plan
    >>> made = plan(parse("INPUT 8x8x3 -> CONV 4 3x3 -> RELU -> CONV 5 3x3 -> GAP -> FC"), 2)
    >>> back(made, 1).input, [step.name for step in back(made, 1).steps]
    ((6, 6, 4), ['conv2', 'gap1', 'fc1'])
    """
    behind = plan.steps[at + 1 :]
    if any(source < at for step in behind for source in step.sources):
        raise ValueError(f"steps behind {plan.steps[at].name} read what lies before it")
    moved = tuple(
        replace(step, sources=tuple(source - at - 1 for source in step.sources)) for step in behind
    )
    return replace(plan, steps=moved, backbone=None, entering=plan.steps[at].output)
