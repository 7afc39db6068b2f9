"""The same mathematics in a cheaper order, for training.

Pure. Two rewrites, exact because the functions involved never decrease, so that the largest value
stays the largest:

* ``CONV -> RELU -> POOL`` becomes ``CONV -> POOL -> RELU``: a 2x2 window leaves a quarter of the
  values.
* ``CONV -> POOL`` adds the bias behind the pool, because every value of a map gets the same bias.

The plan, the table and the ONNX graph keep the order of the list: only the Keras model uses this.
The idea is known from fast training recipes, for example Jordan, "94% on CIFAR-10 in 3.29 Seconds
on a Single GPU", 2024, arXiv:2404.00498.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from fieldmark.networks.layers import Activation, Backbone, Conv, Layer, Pool
from fieldmark.networks.volumes import Add, Concat, Plan, Volume

BIAS_SUFFIX: Final = "_bias"
"""Of the operation that adds a CONV's bias later: ``conv1_bias``."""


@dataclass(frozen=True, slots=True)
class Bias:
    """The bias of a CONV, added later than the list says."""

    of: str
    """The step whose bias this is."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing the Keras model computes, in computing order."""

    name: str
    layer: Layer | Backbone | Add | Concat | Bias
    sources: tuple[str, ...]
    """Names of the operations read; "pixels" is the picture."""
    input: Volume
    output: Volume
    bias: bool


def operations(plan: Plan) -> tuple[Operation, ...]:
    """List what the Keras model computes: the plan's steps, in the cheaper order.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> from fieldmark.networks.volumes import plan
    >>> made = plan(parse("INPUT 8x8x3 -> CONV 4 3x3 -> RELU -> POOL 2x2 -> FC"), 2)
    >>> [operation.name for operation in operations(made)]
    ['conv1', 'pool1', 'conv1_bias', 'relu1', 'flatten1', 'fc1']
    """
    names = ["pixels", *(step.name for step in plan.steps)]
    found = [
        Operation(
            step.name,
            step.layer,
            tuple(names[at + 1] for at in step.sources),
            step.input,
            step.output,
            step.bias,
        )
        for step in plan.steps
    ]
    at = 0
    while at < len(found):
        if _is_max_pool(found[at]):
            found = _pool_earlier(found, at)
        at += 1
    return tuple(found)


def _pool_earlier(found: list[Operation], at: int) -> list[Operation]:
    """Move the pool at ``at`` before the activation and the bias that only it reads."""
    pool = found[at]
    before = _only_source(found, pool)
    activation: Operation | None = None
    if before is not None and _never_decreases(before):
        activation = before
        before = _only_source(found, activation)
    late_bias = before is not None and isinstance(before.layer, Conv) and before.bias
    if activation is None and not late_bias:
        return found
    source = before.name if late_bias and before else (activation or pool).sources[0]
    moved = [replace(pool, sources=(source,))]
    if late_bias and before:
        volume = pool.output
        moved.append(
            Operation(
                before.name + BIAS_SUFFIX, Bias(before.name), (pool.name,), volume, volume, False
            )
        )
    if activation is not None:
        last = moved[-1].name
        moved.append(replace(activation, sources=(last,), input=pool.output, output=pool.output))
    gone = {pool.name} | ({activation.name} if activation else set())
    result: list[Operation] = []
    for operation in found:
        if operation.name == pool.name:
            result += moved
        elif late_bias and before and operation.name == before.name:
            result.append(replace(operation, bias=False))
        elif operation.name not in gone:
            readdressed = tuple(
                moved[-1].name if source == pool.name else source for source in operation.sources
            )
            result.append(replace(operation, sources=readdressed))
    return result


def _only_source(found: list[Operation], reader: Operation) -> Operation | None:
    """Return what ``reader`` reads if it is the only one to read it."""
    name = reader.sources[0]
    readers = [operation for operation in found if name in operation.sources]
    if len(readers) != 1 or len(reader.sources) != 1:
        return None
    return next((operation for operation in found if operation.name == name), None)


def _is_max_pool(operation: Operation) -> bool:
    return isinstance(operation.layer, Pool) and operation.layer.reduce == "max"


def _never_decreases(operation: Operation) -> bool:
    return isinstance(operation.layer, Activation)
