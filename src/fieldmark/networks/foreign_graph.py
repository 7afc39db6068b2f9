"""Make a foreign ONNX graph plain: our opset, only what one output needs, names of our own.

Operators that need no place in a model file are rewritten: constants become weights, DROPOUT is
nothing in prediction, and a border of zeros is a convolution with one weight per map. The last one
because ``Pad`` takes its sizes from a tensor, where no check of a model file would see them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.networks.foreign import INPUT, OUTPUT

OPSET: Final = 17
IR_VERSION: Final = 8

Shape = tuple[int, ...]


def converted(model: Any) -> Any:
    """Return the model in our opset.

    Raises
    ------
    ValueError
        It has no opset of the standard domain.
    Exception
        Whatever the converter of ``onnx`` raises: it knows many steps, and not all.
    """
    import onnx

    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1:
        raise ValueError("it does not say which opset it is written in")
    kinds = {node.op_type for node in model.graph.node}
    if all(_is_the_same(kind, versions[0]) for kind in kinds):
        del model.opset_import[:]
        model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
        return model
    return onnx.version_converter.convert_version(model, OPSET)


def _is_the_same(kind: str, version: int) -> bool:
    """Whether an operator of that opset is ours as well: most changed long ago, or never."""
    from onnx import defs

    try:
        schemas = [defs.get_schema(kind, each, "") for each in (version, OPSET)]
    except defs.SchemaError:
        return True  # no operator at all; the refusal should name it
    return bool(schemas[0].since_version == schemas[1].since_version)


@dataclass
class ForeignGraph:
    """The nodes behind one output, and the weights they read."""

    nodes: list[Any]
    constants: dict[str, NDArray[Any]]
    shapes: dict[str, Shape]
    """Of every tensor whose shape is known, for ``batch`` pictures."""
    batch: int
    seen: dict[str, str] = field(default_factory=dict)
    """Foreign name -> ours."""
    borders: set[str] = field(default_factory=set)
    """Names of the ones that stand for a border."""

    @property
    def n_weights(self) -> int:
        """Numbers it has learned."""
        learned = [each for name, each in self.constants.items() if name not in self.borders]
        return sum(each.size for each in learned if each.dtype.kind == "f")

    @property
    def n_values(self) -> int:
        """Numbers in all tensors together, for one picture; KeyError: a shape is not known."""
        names = [name for node in self.nodes for name in node.output if name]
        return sum(math.prod(self.shapes[name]) for name in names) // self.batch

    @property
    def multiply_adds(self) -> int:
        """Of convolutions and products, for one picture."""
        return sum(self._work(node) for node in self.nodes) // self.batch

    def _work(self, node: Any) -> int:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            return 0
        first, second = (self.shapes.get(name, ()) for name in node.input[:2])
        per_number = math.prod(second[1:]) if node.op_type == "Conv" else first[-1] if first else 0
        return math.prod(self.shapes.get(node.output[0], ())) * per_number

    def make_plain(self) -> None:
        """Rewrite what a model file need not know."""
        rewritten: list[Any] = []
        for node in self.nodes:
            rewritten += self._plain(node)
        self.nodes = rewritten

    def _plain(self, node: Any) -> list[Any]:
        from onnx import helper

        match node.op_type:
            case "Constant":
                value = _constant(node)
                if value is None:
                    return [node]
                self.constants[node.output[0]] = value
                return []
            case "Dropout":
                return [helper.make_node("Identity", node.input[:1], node.output[:1])]
            case "Pad":
                return self._border(node)
        return [node]

    def _border(self, node: Any) -> list[Any]:
        """Write a border of zeros as a convolution of 1x1 with ones, map by map."""
        from onnx import helper

        given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        extra = [self.constants.get(name) for name in node.input[1:] if name]
        if given.get("mode", b"constant") != b"constant" or any(each is None for each in extra):
            return [node]
        pads, *filling = [np.asarray(each).ravel() for each in extra]
        shape = self.shapes.get(node.input[0], ())
        axes = {int(at) for at in np.flatnonzero(pads) % max(len(shape), 1)}
        unusual = any(each.any() for each in filling) or (pads < 0).any() or len(shape) != 4
        last = not axes <= {2, 3}
        if unusual or (last and not axes <= {1, 2}):
            return [node]
        rows, columns = (1, 2) if last else (2, 3)
        n_maps = shape[3 if last else 1]
        source, target, own = node.input[0], node.output[0], f"{node.output[0]}/border"
        self.constants[f"{own}/ones"] = np.ones((n_maps, 1, 1, 1), np.float32)
        self.borders.add(f"{own}/ones")
        begin, end = (
            [int(pads[at]) for at in (rows, columns)],
            [int(pads[4 + at]) for at in (rows, columns)],
        )
        inner = (f"{own}/in", f"{own}/out") if last else (source, target)
        conv = helper.make_node(
            "Conv",
            [inner[0], f"{own}/ones"],
            [inner[1]],
            kernel_shape=[1, 1],
            pads=begin + end,
            group=n_maps,
        )
        if not last:
            return [conv]
        before = [shape[at] for at in (0, 3, 1, 2)]
        after = [self.shapes[target][at] for at in (0, 3, 1, 2)]
        self.shapes |= {inner[0]: tuple(before), inner[1]: tuple(after)}
        return [
            helper.make_node("Transpose", [source], [inner[0]], perm=[0, 3, 1, 2]),
            conv,
            helper.make_node("Transpose", [inner[1]], [target], perm=[0, 2, 3, 1]),
        ]

    def as_planes(self, name: str) -> str:
        """Put maps before rows and columns; return the new tensor's name."""
        from onnx import helper

        planes = f"{name}/planes"
        self.nodes.append(helper.make_node("Transpose", [name], [planes], perm=[0, 3, 1, 2]))
        self.shapes[planes] = tuple(self.shapes[name][at] for at in (0, 3, 1, 2))
        return planes

    def keep(self, output: str) -> None:
        """Drop the nodes and weights that ``output`` does not need."""
        needed = {output}
        kept = []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= set(node.input) - {""}
                kept.append(node)
        self.nodes = kept[::-1]
        self.constants = {name: each for name, each in self.constants.items() if name in needed}

    def written(self, given: tuple[str, Shape], wanted: tuple[str, Shape]) -> bytes:
        """Write the graph from input to output, each a name with its shape for ``batch``."""
        from onnx import TensorProto, checker, helper, numpy_helper

        self.seen = {given[0]: INPUT, wanted[0]: OUTPUT, "": ""}
        nodes = [self._renamed(node) for node in self.nodes]
        shapes = [("n", *shape[1:]) for _, shape in (given, wanted)]
        graph = helper.make_graph(
            nodes,
            "backbone",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shapes[0])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shapes[1])],
            [
                numpy_helper.from_array(self.constants[name], ours)
                for name, ours in self.seen.items()
                if name in self.constants
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))

    def _renamed(self, node: Any) -> Any:
        from onnx import helper

        names = [
            [self.seen.setdefault(name, f"t{len(self.seen)}") for name in each]
            for each in (node.input, node.output)
        ]
        again = helper.make_node(node.op_type, *names)
        for attribute in node.attribute:
            again.attribute.add().CopyFrom(attribute)
            again.attribute[-1].ClearField("doc_string")
        return again


def _constant(node: Any) -> NDArray[Any] | None:
    from onnx import AttributeProto, numpy_helper

    value = node.attribute[0]
    match value.type:
        case AttributeProto.TENSOR:
            return np.asarray(numpy_helper.to_array(value.t))
        case AttributeProto.FLOAT:
            return np.array(value.f, np.float32)
        case AttributeProto.FLOATS:
            return np.array(value.floats, np.float32)
        case AttributeProto.INT:
            return np.array(value.i, np.int64)
        case AttributeProto.INTS:
            return np.array(value.ints, np.int64)
    return None


def known_shapes(model: Any) -> dict[str, tuple[int, Shape]]:
    """Return element type and shape of every tensor for which both are known."""
    graph, found = model.graph, {}
    for info in (*graph.input, *graph.value_info, *graph.output):
        its = info.type.tensor_type
        sizes = [each.dim_value for each in its.shape.dim if each.HasField("dim_value")]
        if its.HasField("shape") and len(sizes) == len(its.shape.dim) and its.elem_type:
            found[info.name] = (int(its.elem_type), tuple(sizes))
    for tensor in graph.initializer:
        found[tensor.name] = (int(tensor.data_type), tuple(tensor.dims))
    return found
