"""What an ONNX graph in a model file may hold: tensors and standard operators, and nothing else.

Pure. The graph is not parsed but walked: only the nesting of its protobuf messages is followed, and
any field that is not in the table below is refused. That is stricter and quicker than ``onnx.load``
(about 80 ms to import, and not needed for answering), and it is the same check on writing and
reading.

Why so strict: ONNX Runtime reads external data through hard links and, for a model given as bytes,
from the current directory; functions, sub-graphs and foreign domains are ways to run what nobody
looked at. The walk is also stricter than protobuf in the two places where readers differ, over-long
tags and groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fieldmark.bundle.refusal import refuse

_MAX_FIELDS: Final = 1_000_000  # a network of 1,000 layers has about 30,000

_PLAIN: Final = ""
_DOMAIN: Final = "domain"
_OPERATOR: Final = "operator"

OPERATORS: Final = frozenset(
    {
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Concat",
        "Conv",
        "DequantizeLinear",
        "Div",
        "Elu",
        "Erf",
        "Flatten",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LayerNormalization",
        "LeakyRelu",
        "MatMul",
        "MaxPool",
        "Mul",
        "PRelu",
        "Pow",
        "QuantizeLinear",
        "ReduceMax",
        "ReduceMean",
        "Relu",
        "Reshape",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
    }
)
"""What a network may compute. None of these makes a tensor larger than its inputs and weights
account for; ``ConstantOfShape``, ``Expand`` and the like turn a few bytes into gigabytes.
``DequantizeLinear`` gives four bytes for one, as ``Cast`` does, and as many values as it reads.

Networks from elsewhere need a few that ours do not. Of one number in, one number out: ``Elu``,
``Erf``, ``HardSigmoid``, ``HardSwish``, ``LeakyRelu``, ``PRelu``, ``Pow``, ``Sqrt``, ``Tanh``. As
large as its input: ``LayerNormalization``. Smaller: ``ReduceMax``, ``ReduceMean``, ``Slice``,
``Split``. The same numbers in another shape: ``Squeeze``, ``Unsqueeze``. Left out on purpose:
``Pad``, ``Resize``, ``Gather`` and ``Tile``, whose output may be of any size, by numbers in tensors
that this walk does not read."""

# Message -> field number -> what is inside: another message, a domain, or plain values.
_ALLOWED: Final[dict[str, dict[int, str]]] = {
    "ModelProto": {
        **dict.fromkeys((1, 2, 3, 4, 5, 6, 14), _PLAIN),  # versions, producer, texts
        7: "GraphProto",
        8: "OperatorSetIdProto",
    },
    "OperatorSetIdProto": {1: _DOMAIN, 2: _PLAIN},
    "GraphProto": {
        **dict.fromkeys((2, 10, 11, 12, 13, 16), _PLAIN),  # name, texts, inputs, outputs, shapes
        1: "NodeProto",
        5: "TensorProto",
    },
    "NodeProto": {
        **dict.fromkeys((1, 2, 3, 6, 9), _PLAIN),  # inputs, outputs, name, texts
        4: _OPERATOR,
        5: "AttributeProto",
        7: _DOMAIN,
    },
    "AttributeProto": {
        **dict.fromkeys((1, 2, 3, 4, 7, 8, 9, 13, 20), _PLAIN),  # name, values, text, type
        5: "TensorProto",
        10: "TensorProto",
    },
    "TensorProto": dict.fromkeys((1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16), _PLAIN),
}

# The dangerous ones by name; every other unknown field is refused by its number.
_REFUSED: Final = {
    ("ModelProto", 20): "a training graph",
    ("ModelProto", 25): "local functions",
    ("AttributeProto", 6): "a sub-graph",
    ("AttributeProto", 11): "sub-graphs",
    ("TensorProto", 13): "external data",
    ("TensorProto", 14): "external data",
}
_TENSOR_LOCATION: Final = ("TensorProto", 14)  # 0, the default, says that the data is inside

_DOMAINS: Final = (b"", b"ai.onnx")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_onnx(onnx: bytes) -> None:
    """Refuse a graph that could reach beyond its own bytes, without opening it.

    Parameters
    ----------
    onnx : bytes
        A serialized ``ModelProto``.

    Raises
    ------
    BundleError
        ``model-unsafe`` for external data, functions, sub-graphs, foreign domains, operators
        that are not in :data:`OPERATORS` and unknown fields; ``model-damaged`` for bytes that are
        no protobuf message with a graph in it.

    Examples
    --------
    >>> check_onnx(bytes([0x3A, 0x00]))  # field 7, the graph, is there and empty
    """
    walk = _Walk(memoryview(onnx))
    walk.message("ModelProto", 0, len(onnx))
    if not walk.graph_seen:
        refuse("model-damaged", "The network is not an ONNX graph.")


class _Walk:
    """One pass over the messages; final."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._n_fields = 0
        self.graph_seen = False

    def message(self, kind: str, start: int, end: int) -> None:
        """Check the fields of one message; the table has no cycle, so neither has this."""
        allowed = _ALLOWED[kind]
        for number, wire, value, stop in self._fields(start, end):
            inside = allowed.get(number)
            if inside is None:
                if (kind, number) == _TENSOR_LOCATION and wire == _VARINT and value == 0:
                    continue
                thing = _REFUSED.get((kind, number), f"an unknown field ({kind} {number})")
                refuse("model-unsafe", f"The ONNX graph holds {thing}.")
            if inside == _PLAIN:
                continue
            if wire != _BYTES:
                refuse("model-damaged", f"The ONNX graph is damaged ({kind} {number}).")
            if inside == _DOMAIN:
                self._domain(bytes(self._data[value:stop]))
            elif inside == _OPERATOR:
                self._operator(bytes(self._data[value:stop]))
            else:
                self.graph_seen |= inside == "GraphProto"
                self.message(inside, value, stop)

    def _domain(self, domain: bytes) -> None:
        if domain not in _DOMAINS:
            name = domain[:60].decode("utf-8", "replace")
            refuse("model-unsafe", f"The ONNX graph uses operators of the domain {name!r}.")

    def _operator(self, operator: bytes) -> None:
        name = operator[:60].decode("utf-8", "replace")
        if name not in OPERATORS:
            refuse("model-unsafe", f"The ONNX graph uses the operator {name!r}.")

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (field number, wire type, value or start of the bytes, end of the field)."""
        at = start
        while at < end:
            self._n_fields += 1
            if self._n_fields > _MAX_FIELDS:
                refuse("model-unsafe", f"The ONNX graph has more than {_MAX_FIELDS:,} fields.")
            tag, after = self._varint(at, end)
            # A longer spelling of the same tag is where protobuf readers begin to disagree.
            if tag >= 1 << 32 or (after - at > 1 and tag < 1 << 7 * (after - at - 1)):
                refuse("model-damaged", "The ONNX graph is damaged (a field's tag).")
            number, wire = tag >> 3, tag & 7
            if wire == _VARINT:
                value, at = self._varint(after, end)
            elif wire == _BYTES:
                size, value = self._varint(after, end)
                at = value + size
            elif wire in (_FIXED64, _FIXED32):
                value = after
                at = after + (8 if wire == _FIXED64 else 4)
            else:
                refuse("model-damaged", "The ONNX graph is damaged (a field's kind).")
            if at > end or number == 0:
                refuse("model-damaged", "The ONNX graph is damaged (a field's length).")
            yield number, wire, value, at

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift, place in enumerate(range(at, min(at + 10, end))):
            byte = self._data[place]
            value |= (byte & 0x7F) << 7 * shift
            if byte < 0x80:
                return value, place + 1
        refuse("model-damaged", "The ONNX graph is damaged (it ends too early).")
