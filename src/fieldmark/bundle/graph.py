"""What an ONNX graph in a model file may hold: tensors and standard operators, and nothing else.

Pure. The graph is not parsed but walked: only the nesting of its protobuf messages is followed, and
any field that is not in the table below is refused. That is stricter and quicker than ``onnx.load``
(about 80 ms to import, and not needed for answering), and it is the same check on writing and
reading.

Why so strict: ONNX Runtime reads external data through hard links and, for a model given as bytes,
from the current directory; functions, sub-graphs and foreign domains are ways to run what nobody
looked at.
"""

from __future__ import annotations

from typing import Final

from fieldmark.bundle.protobuf import BYTES, VARINT, Fields
from fieldmark.bundle.refusal import refuse
from fieldmark.bundle.shapes import OPERATORS
from fieldmark.bundle.sizing import Cost, cost_of

_PLAIN: Final = ""
_DOMAIN: Final = "domain"
_OPERATOR: Final = "operator"

# What a network may compute, OPERATORS: the operators whose output can be sized from their inputs
# and attributes. Left out on purpose: ``ConstantOfShape``, ``Expand``, ``Pad``, ``Resize``,
# ``Gather`` and ``Tile``, which turn a few bytes into gigabytes by numbers in other tensors; and
# whatever holds a graph of its own.

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


def check_onnx(onnx: bytes) -> Cost:
    """Refuse a graph that could reach beyond its own bytes or its limits, without opening it.

    Parameters
    ----------
    onnx : bytes
        A serialized ``ModelProto``.

    Returns
    -------
    Cost
        How large it is, by its shapes.

    Raises
    ------
    BundleError
        ``model-unsafe`` for external data, functions, sub-graphs, foreign domains, operators
        that are not in :data:`OPERATORS`, unknown fields, and tensors that would be too large;
        ``model-damaged`` for bytes that are no protobuf message with a graph in it, and for sizes
        that are not known or contradict each other.

    Examples
    --------
    >>> check_onnx(bytes([0x3A, 0x00])).n_values  # field 7, the graph, is there and empty
    0
    """
    walk = _Walk(onnx)
    walk.message("ModelProto", 0, len(onnx))
    if not walk.graph_seen:
        refuse("model-damaged", "The network is not an ONNX graph.")
    return cost_of(onnx)


class _Walk:
    """One pass over the messages; final."""

    def __init__(self, data: bytes) -> None:
        self._fields = Fields(data)
        self.graph_seen = False

    def message(self, kind: str, start: int, end: int) -> None:
        """Check the fields of one message; the table has no cycle, so neither has this."""
        allowed = _ALLOWED[kind]
        for number, wire, value, stop in self._fields.of(start, end):
            inside = allowed.get(number)
            if inside is None:
                if (kind, number) == _TENSOR_LOCATION and wire == VARINT and value == 0:
                    continue
                thing = _REFUSED.get((kind, number), f"an unknown field ({kind} {number})")
                refuse("model-unsafe", f"The ONNX graph holds {thing}.")
            if inside == _PLAIN:
                continue
            if wire != BYTES:
                refuse("model-damaged", f"The ONNX graph is damaged ({kind} {number}).")
            if inside == _DOMAIN:
                self._domain(bytes(self._fields.data[value:stop]))
            elif inside == _OPERATOR:
                self._operator(bytes(self._fields.data[value:stop]))
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
