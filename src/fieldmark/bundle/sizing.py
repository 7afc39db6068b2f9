"""How large the tensors of an ONNX graph become, computed before any engine sees it. Pure.

A graph of a kilobyte can ask for any amount of memory: 30 ``Concat`` of a tensor with itself make
it 2**30 times as long, and an outer product squares it. So every shape is inferred here, node by
node, and the first number beyond a limit ends it. What cannot be sized is refused.

References
----------
The shape rules are those of the ONNX operator documentation, https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from fieldmark.bundle.protobuf import BYTES, VARINT, Field, Fields
from fieldmark.bundle.refusal import refuse
from fieldmark.bundle.shapes import Node, NotKnown, Shape, Tensors, infer, work

BATCHES: Final = (1, 16)
"""Pictures for which shapes are inferred. One alone would hide a tensor that grows with their
square, many would let one that does not depend on them be many times as large."""
MAX_VALUES: Final = 400_000_000
"""Numbers in all tensors together, for one picture: 1.6 GB of float32."""
MAX_WORK: Final = 200_000_000_000
"""Multiply-adds for one picture; EfficientNet-Lite0 has 0.4 billion."""
MAX_NODES: Final = 20_000

_MAX_RANK: Final = 8
_MAX_LIST: Final = 64
"""Numbers of one attribute, or of a tensor that says a shape."""
_AT_ONCE: Final = 1 << 29
"""Numbers in all tensors of one run: 2 GiB of float32."""
_INT32, _INT64 = 6, 7


@dataclass(frozen=True, slots=True)
class Cost:
    """What a graph takes, by its shapes."""

    n_weights: int
    """Numbers in the tensors that the file holds."""
    n_values: int
    """Numbers in all tensors that are computed, for one picture."""
    largest: int
    """Numbers in the largest of these, for one picture."""
    multiply_adds: int
    """Of convolutions and products, for one picture."""

    def batch(self, wanted: int) -> int:
        """Return how many pictures may be answered at once: ``wanted``, or fewer; at least 1.

        Examples
        --------
        >>> Cost(0, 7_000_000, 0, 0).batch(16), Cost(0, 100_000_000, 0, 0).batch(16)
        (16, 5)
        """
        return max(1, min(wanted, _AT_ONCE // max(1, self.n_values)))


def cost_of(onnx: bytes) -> Cost:
    """Infer every shape of a graph that holds nothing else than the walk of ``graph`` lets pass.

    Raises
    ------
    BundleError
        ``model-unsafe``: tensors that are too large, too much work, or too many nodes.
        ``model-damaged``: sizes that contradict each other or are not known.
    """
    reader = _Reader(onnx)
    reader.model()
    n_values, largest, n_work = (
        max(found) for found in zip(*(_sized(reader, batch) for batch in BATCHES), strict=True)
    )
    n_weights = sum(math.prod(shape) for shape in reader.shapes.values())
    return Cost(n_weights, n_values, largest, n_work)


def _sized(reader: _Reader, batch: int) -> tuple[int, int, int]:
    """Return the numbers in all tensors, in the largest, and the work: for one picture of so many.

    Stops at the first node that is too much: what follows could be as large as it likes.
    """
    known = Tensors(dict(reader.shapes), dict(reader.integers))
    for name, shape in reader.inputs.items():
        known.shapes.setdefault(name, (shape[0] or batch, *shape[1:]) if shape else ())
    n_values = largest = n_work = 0
    for node in reader.nodes:
        try:
            outputs = infer(node, known)
            if len(outputs) < len(node.outputs):
                raise NotKnown("more outputs than there are")
            n_work += work(node, known, outputs)
        except (NotKnown, KeyError, IndexError, ValueError, ZeroDivisionError) as error:
            what = f"The ONNX graph does not say how large the output of {node.kind} is."
            refuse("model-damaged", what, cause=error)
        for name, shape in zip(node.outputs, outputs, strict=False):
            if name in known.shapes:
                refuse("model-damaged", "The ONNX graph makes one tensor twice.")
            known.shapes[name] = shape
            n_values += math.prod(shape)
            largest = max(largest, math.prod(shape))
        if n_values > batch * MAX_VALUES:
            refuse("model-unsafe", f"The ONNX graph computes more than {MAX_VALUES:,} numbers.")
        if n_work > batch * MAX_WORK:
            refuse("model-unsafe", f"The ONNX graph needs more than {MAX_WORK:,} multiply-adds.")
    return -(-n_values // batch), -(-largest // batch), -(-n_work // batch)


class _Reader:
    """Takes what decides about sizes out of the messages; final."""

    def __init__(self, data: bytes) -> None:
        self._fields = Fields(data)
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        """Of the tensors that the file holds."""
        self.integers: dict[str, tuple[int, ...]] = {}
        """The short ones of these that may say a shape."""
        self.inputs: dict[str, Shape] = {}
        """0 is the number of pictures."""

    def model(self) -> None:
        for field in self._inside(None, 7):
            for each in self._inside(field):
                match each[0]:
                    case 1:
                        self._node(each)
                    case 5:
                        self._tensor(each)
                    case 11:
                        self._input(each)

    def _inside(self, field: Field | None, number: int = 0) -> list[Field]:
        """Return the fields of a message, or only those of one number."""
        start, end = (0, len(self._fields.data)) if field is None else field[2:]
        if field is not None and field[1] != BYTES:
            refuse("model-damaged", "The ONNX graph is damaged (a message that is none).")
        return [each for each in self._fields.of(start, end) if number in (0, each[0])]

    def _node(self, field: Field) -> None:
        if len(self.nodes) >= MAX_NODES:
            refuse("model-unsafe", f"The ONNX graph has more than {MAX_NODES:,} nodes.")
        kind, inputs, outputs = "", [], []
        integers: dict[str, tuple[int, ...]] = {}
        words: dict[str, str] = {}
        for each in self._inside(field):
            match each[0]:
                case 1:
                    inputs.append(self._fields.text(each))
                case 2:
                    outputs.append(self._fields.text(each))
                case 4:
                    kind = self._fields.text(each)
                case 5:
                    self._attribute(each, integers, words)
        self.nodes.append(Node(kind, tuple(inputs), tuple(outputs), integers, words))

    def _attribute(
        self, field: Field, integers: dict[str, tuple[int, ...]], words: dict[str, str]
    ) -> None:
        name, number, listed = "", None, []
        for each in self._inside(field):
            match each[0]:
                case 1:
                    name = self._fields.text(each)
                case 3 if each[1] == VARINT:
                    (number,) = self._fields.integers(each)
                case 4:
                    words[name] = self._fields.text(each)
                case 8:
                    listed += self._few(each, _MAX_LIST)
        if name in integers:
            refuse("model-damaged", f"The ONNX graph states {name[:40]!r} twice.")
        if listed or number is not None:
            integers[name] = tuple(listed) if listed else (number or 0,)

    def _few(self, field: Field, most: int) -> list[int]:
        found = []
        for each in self._fields.integers(field):
            found.append(each)
            if len(found) > most:
                refuse("model-unsafe", f"The ONNX graph holds a list of over {most} numbers.")
        return found

    def _tensor(self, field: Field) -> None:
        name, kind = "", 0
        shape: list[int] = []
        listed: list[int] = []
        raw = b""
        short = field[3] - field[2] <= 16 * _MAX_LIST
        for each in self._inside(field):
            match each[0]:
                case 1:
                    shape += self._few(each, _MAX_RANK)
                case 2 if each[1] == VARINT:
                    kind = each[2]
                case 8:
                    name = self._fields.text(each)
                case 5 | 7 if short:
                    listed += self._fields.integers(each)
                case 9 if short and each[1] == BYTES:
                    raw = bytes(self._fields.data[each[2] : each[3]])
        n_bytes = field[3] - field[2]
        if min(shape, default=0) < 0 or math.prod(shape) > 2 * n_bytes:  # two numbers in a byte
            refuse("model-damaged", f"The ONNX graph holds less of {name[:40]!r} than it states.")
        self.shapes[name] = tuple(shape)
        width = {_INT32: 4, _INT64: 8}.get(kind, 0)
        if width and short:
            pieces = (raw[at : at + width] for at in range(0, len(raw), width))
            listed += [int.from_bytes(each, "little", signed=True) for each in pieces]
            self.integers[name] = tuple(listed)

    def _input(self, field: Field) -> None:
        """Read ``ValueInfoProto``: the name, and what stands in type.tensor_type.shape.dim."""
        names = [self._fields.text(each) for each in self._inside(field, 1)]
        shape: list[int] = []
        for kind in self._inside(field, 2):
            for tensor in self._inside(kind, 1):
                for sizes in self._inside(tensor, 2):
                    for dimension in self._inside(sizes, 1):
                        stated = [e[2] for e in self._inside(dimension, 1) if e[1] == VARINT]
                        shape.append(stated[-1] if stated else 0)
        if len(shape) > _MAX_RANK:
            refuse("model-unsafe", "The ONNX graph has an input of too many sides.")
        if not names or not all(shape[1:]):
            return  # whatever reads it has no size, and is refused for that
        self.inputs[names[-1]] = tuple(shape)
