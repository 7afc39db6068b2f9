"""What shape each standard operator gives, for those that a model file may hold. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

Shape = tuple[int, ...]


class NotKnown(ValueError):
    """A size depends on something that is computed, or contradicts itself."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: what it reads and makes, and the attributes that sizes depend on."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str, usual: int) -> int:
        """Return an attribute of one number."""
        return self.integers.get(name, (usual,))[0]


@dataclass(frozen=True, slots=True)
class Tensors:
    """What is known so far."""

    shapes: dict[str, Shape]
    integers: Mapping[str, tuple[int, ...]]
    """Of the short tensors of whole numbers that stand in the file."""

    def of(self, node: Node, at: int) -> Shape:
        """Return the shape of one input."""
        return self.shapes[node.inputs[at]]

    def listed(self, node: Node, at: int, attribute: str) -> tuple[int, ...] | None:
        """Return numbers that were an attribute once and are an input since; None: not given."""
        if attribute in node.integers:
            return node.integers[attribute]
        if len(node.inputs) > at and node.inputs[at]:
            return self.integers[node.inputs[at]]
        return None


Rule = Callable[[Node, Tensors], list[Shape]]


def infer(node: Node, known: Tensors) -> list[Shape]:
    """Return the shape of each output.

    Raises
    ------
    NotKnown, KeyError, IndexError, ValueError, ZeroDivisionError
        The node does not say.

    Examples
    --------
    >>> conv = Node("Conv", ("x", "w"), ("y",), {"pads": (1, 1, 1, 1), "strides": (2, 2)})
    >>> infer(conv, Tensors({"x": (1, 3, 9, 9), "w": (4, 3, 3, 3)}, {}))
    [(1, 4, 5, 5)]
    """
    shapes = _RULES[node.kind](node, known)
    if any(side < 0 for shape in shapes for side in shape):
        raise NotKnown("a negative side")
    return shapes


def work(node: Node, known: Tensors, outputs: list[Shape]) -> int:
    """Count the multiplications with an addition, of operators that sum over many numbers."""
    size = math.prod(outputs[0]) if outputs else 0
    match node.kind:
        case "Conv":
            return size * math.prod(known.of(node, 1)[1:])
        case "Gemm":
            return size * known.of(node, 0)[0 if node.number("transA", 0) else 1]
        case "MatMul":
            return size * known.of(node, 0)[-1]
        case "MaxPool" | "AveragePool":
            return size * math.prod(node.integers["kernel_shape"])
    return size


def _same(node: Node, known: Tensors) -> list[Shape]:
    return [known.of(node, 0)] * max(1, len(node.outputs))


def broadcast(one: Shape, other: Shape) -> Shape:
    """Return the shape of two arrays combined number by number.

    Examples
    --------
    >>> broadcast((2, 3, 1), (3, 4))
    (2, 3, 4)
    """
    rank = max(len(one), len(other))
    pairs = zip((1,) * (rank - len(one)) + one, (1,) * (rank - len(other)) + other, strict=True)
    found = []
    for mine, theirs in pairs:
        if mine != theirs and 1 not in (mine, theirs):
            raise NotKnown("sides that do not fit")
        found.append(theirs if mine == 1 else mine)
    return tuple(found)


def _pairwise(node: Node, known: Tensors) -> list[Shape]:
    return [broadcast(known.of(node, 0), known.of(node, 1))]


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise NotKnown("an axis beyond the tensor")
    return axis % rank


def _concat(node: Node, known: Tensors) -> list[Shape]:
    parts = [known.shapes[name] for name in node.inputs]
    first = parts[0]
    axis = _axis(node.integers["axis"][0], len(first))
    rests = {(*part[:axis], *part[axis + 1 :]) for part in parts}
    if len(rests) > 1 or any(len(part) != len(first) for part in parts):
        raise NotKnown("parts that do not fit")
    return [(*first[:axis], sum(part[axis] for part in parts), *first[axis + 1 :])]


def _windows(node: Node, sides: Shape, kernel: tuple[int, ...]) -> Shape:
    n = len(sides)
    strides, dilations = (node.integers.get(name, (1,) * n) for name in ("strides", "dilations"))
    pads = node.integers.get("pads", (0,) * (2 * n))
    auto = node.words.get("auto_pad", "NOTSET")
    if {len(kernel), len(strides), len(dilations)} != {n} or len(pads) != 2 * n:
        raise NotKnown("a window of another rank")
    if min(*kernel, *strides, *dilations) < 1 or min(pads) < 0:
        raise NotKnown("a window that is none")
    found = []
    for at, side in enumerate(sides):
        reach = (kernel[at] - 1) * dilations[at] + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            found.append(-(-side // strides[at]))
            continue
        border = 0 if auto == "VALID" else pads[at] + pads[n + at]
        free = side + border - reach
        up = strides[at] - 1 if node.number("ceil_mode", 0) else 0
        found.append((free + up) // strides[at] + 1 if free >= 0 else -1)
    return tuple(found)


def _conv(node: Node, known: Tensors) -> list[Shape]:
    given, weights = known.of(node, 0), known.of(node, 1)
    kernel = weights[2:]
    if len(given) != len(weights) or node.integers.get("kernel_shape", kernel) != kernel:
        raise NotKnown("weights of another rank")
    if given[1] != weights[1] * node.number("group", 1):
        raise NotKnown("weights for other maps")
    return [(given[0], weights[0], *_windows(node, given[2:], kernel))]


def _pool(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    shape = (*given[:2], *_windows(node, given[2:], node.integers["kernel_shape"]))
    return [shape] * max(1, len(node.outputs))


def _global(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    return [(*given[:2], *(1 for _ in given[2:]))]


def _flatten(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    axis = node.number("axis", 1)
    axis += len(given) if axis < 0 else 0
    return [(math.prod(given[:axis]), math.prod(given[axis:]))]


def _gemm(node: Node, known: Tensors) -> list[Shape]:
    (rows, inner), (again, columns) = known.of(node, 0), known.of(node, 1)
    if node.number("transA", 0):
        rows, inner = inner, rows
    if node.number("transB", 0):
        again, columns = columns, again
    if inner != again:
        raise NotKnown("factors that do not fit")
    return [(rows, columns)]


def _matmul(node: Node, known: Tensors) -> list[Shape]:
    one, other = known.of(node, 0), known.of(node, 1)
    left = one if len(one) > 1 else (1, *one)
    right = other if len(other) > 1 else (*other, 1)
    if left[-1] != right[-2]:
        raise NotKnown("factors that do not fit")
    shape = broadcast(left[:-2], right[:-2])
    shape += (left[-2],) if len(one) > 1 else ()
    return [shape + ((right[-1],) if len(other) > 1 else ())]


def _reduce(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    axes = known.listed(node, 1, "axes")
    if axes is None and node.number("noop_with_empty_axes", 0):
        return [given]
    gone = range(len(given)) if axes is None else {_axis(each, len(given)) for each in axes}
    if node.number("keepdims", 1):
        return [tuple(1 if at in gone else side for at, side in enumerate(given))]
    return [tuple(side for at, side in enumerate(given) if at not in gone)]


def _reshape(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    wanted = list(known.integers[node.inputs[1]])
    if not node.number("allowzero", 0):
        wanted = [given[at] if side == 0 else side for at, side in enumerate(wanted)]
    if wanted.count(-1) == 1:
        rest = math.prod(side for side in wanted if side != -1)
        wanted[wanted.index(-1)] = math.prod(given) // rest
    if math.prod(wanted) != math.prod(given):
        raise NotKnown("another number of numbers")
    return [tuple(wanted)]


def _slice(node: Node, known: Tensors) -> list[Shape]:
    shape = list(known.of(node, 0))
    starts, ends = known.listed(node, 1, "starts"), known.listed(node, 2, "ends")
    if starts is None or ends is None:
        raise NotKnown("a slice without its ends")
    axes = known.listed(node, 3, "axes") or tuple(range(len(starts)))
    steps = known.listed(node, 4, "steps") or (1,) * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = _axis(axis, len(shape))
        # Python writes "to the very beginning" as None, ONNX as any number below -side.
        stop = None if step < 0 and end < -shape[at] else end
        shape[at] = len(range(*slice(start, stop, step).indices(shape[at])))
    return [tuple(shape)]


def _split(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    axis = _axis(node.number("axis", 0), len(given))
    side, n = given[axis], len(node.outputs)
    sizes = known.listed(node, 1, "split")
    if sizes is None:
        each = -(-side // n)
        sizes = (*(each for _ in range(n - 1)), side - each * (n - 1))
    if len(sizes) != n or sum(sizes) != side:
        raise NotKnown("parts that are not the whole")
    return [(*given[:axis], size, *given[axis + 1 :]) for size in sizes]


def _squeeze(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    axes = known.listed(node, 1, "axes")
    if axes is None:
        return [tuple(side for side in given if side != 1)]
    gone = {_axis(each, len(given)) for each in axes}
    if any(given[at] != 1 for at in gone):
        raise NotKnown("a side that is not 1")
    return [tuple(side for at, side in enumerate(given) if at not in gone)]


def _unsqueeze(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    axes = known.listed(node, 1, "axes") or ()
    rank = len(given) + len(axes)
    new = {_axis(each, rank) for each in axes}
    left = iter(given)
    return [tuple(1 if at in new else next(left) for at in range(rank))]


def _transpose(node: Node, known: Tensors) -> list[Shape]:
    given = known.of(node, 0)
    order = node.integers.get("perm", tuple(reversed(range(len(given)))))
    if sorted(order) != list(range(len(given))):
        raise NotKnown("an order of other axes")
    return [tuple(given[at] for at in order)]


_SAME: Final = (
    *("BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Elu", "Erf", "HardSigmoid"),
    *("HardSwish", "Identity", "LayerNormalization", "LeakyRelu", "QuantizeLinear", "Relu"),
    *("Sigmoid", "Softmax", "Sqrt", "Tanh"),
)
_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("Add", "Div", "Mul", "PRelu", "Pow", "Sub"), _pairwise),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global),
    **dict.fromkeys(("ReduceMax", "ReduceMean"), _reduce),
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

OPERATORS: Final = frozenset(_RULES)
"""What a network may compute: exactly the operators whose output can be sized."""
