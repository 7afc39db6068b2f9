"""The sizes of a graph, held against the ``onnx`` library's, and the limits on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fieldmark.bundle import Cost, check_onnx, cost_of, shapes, sizing
from fieldmark.bundle.shapes import Node, NotKnown, Tensors, broadcast, infer
from fieldmark.errors import BundleError
from fieldmark.networks import CATALOGUE, weights
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.volumes import plan
from tests.networks.strategies import Case, cases, random_weights


def graph(
    nodes: list[Any],
    constants: dict[str, Any] | None = None,
    given: tuple[int | str, ...] = ("n", 3, 8, 8),
) -> Any:
    """Return a model of one input ``x``, float32."""
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def by_onnx(model: Any, batch: int) -> dict[str, tuple[int, ...]]:
    """What the onnx library says of every computed tensor, for so many pictures."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for each in model.graph.input:
        each.type.tensor_type.shape.dim[0].dim_value = batch
    for each in model.graph.output:
        each.type.tensor_type.ClearField("shape")
    found = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    return {
        info.name: tuple(side.dim_value for side in info.type.tensor_type.shape.dim)
        for info in (*found.value_info, *found.output)
    }


def by_us(model: Any, batch: int) -> dict[str, tuple[int, ...]]:
    reader = sizing._Reader(model.SerializeToString())
    reader.model()
    known = Tensors(dict(reader.shapes), dict(reader.integers))
    known.shapes.update({k: (v[0] or batch, *v[1:]) for k, v in reader.inputs.items()})
    made = {}
    for node in reader.nodes:
        made |= dict(zip(node.outputs, infer(node, known), strict=False))
        known.shapes.update(made)
    return made


@settings(max_examples=60, deadline=None)
@given(case=cases(), seed=st.integers(0, 9))
def test_every_tensor_of_any_network_has_the_size_that_onnx_says(case: Case, seed: int) -> None:
    made = plan(case.network, case.n_classes)
    model = onnx.load_model_from_string(onnx_graph(made, random_weights(made, seed)))
    for batch in (1, 5):
        theirs = by_onnx(model, batch)
        mine = by_us(model, batch)
        assert {name: mine[name] for name in theirs} == theirs
    values = sum(math.prod(shape) for shape in by_us(model, 1).values())
    assert check_onnx(model.SerializeToString()).n_values == values


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_is_far_below_the_limits(name: str) -> None:
    made = plan(CATALOGUE[name].network(size=None, n_classes=100), 100)
    cost = check_onnx(onnx_graph(made, weights.initial(made, seed=0)))
    assert cost.batch(16) == 16
    assert cost.n_values < sizing.MAX_VALUES / 10
    assert cost.multiply_adds < sizing.MAX_WORK / 100
    assert cost.n_weights > 0


OPERATIONS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "conv": ([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": np.ones((4, 3, 3, 2), "f4")}),
    "conv of the article": (
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 0, 2, 1], strides=[2, 3])],
        {"w": np.ones((4, 3, 3, 2), "f4")},
    ),
    "conv with holes": (
        [helper.make_node("Conv", ["x", "w"], ["y"], dilations=[2, 3], auto_pad="VALID")],
        {"w": np.ones((4, 3, 2, 2), "f4")},
    ),
    "depthwise conv": (
        [
            helper.make_node(
                "Conv", ["x", "w"], ["y"], group=3, auto_pad="SAME_UPPER", strides=[3, 3]
            )
        ],
        {"w": np.ones((6, 1, 3, 3), "f4")},
    ),
    "pool": ([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2])], {}),
    "pool rounded up": (
        [
            helper.make_node(
                "AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1
            )
        ],
        {},
    ),
    "pool lower": (
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], auto_pad="SAME_LOWER")],
        {},
    ),
    "global": ([helper.make_node("GlobalMaxPool", ["x"], ["y"])], {}),
    "flatten": ([helper.make_node("Flatten", ["x"], ["y"], axis=2)], {}),
    "flatten from behind": ([helper.make_node("Flatten", ["x"], ["y"], axis=-1)], {}),
    "gemm": (
        [
            helper.make_node("Flatten", ["x"], ["f"]),
            helper.make_node("Gemm", ["f", "w"], ["y"], transB=1),
        ],
        {"w": np.ones((5, 192), "f4")},
    ),
    "matmul": ([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.ones((3, 8, 2), "f4")}),
    "matmul with a vector": (
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"w": np.ones(8, "f4")},
    ),
    "sum": ([helper.make_node("Add", ["x", "w"], ["y"])], {"w": np.ones((2, 1, 3, 1, 8), "f4")}),
    "concat": ([helper.make_node("Concat", ["x", "x", "x"], ["y"], axis=-2)], {}),
    "mean": ([helper.make_node("ReduceMean", ["x"], ["y"], axes=[-1, 1], keepdims=0)], {}),
    "mean of all": ([helper.make_node("ReduceMax", ["x"], ["y"])], {}),
    "reshape": (
        [helper.make_node("Reshape", ["x", "s"], ["y"])],
        {"s": np.array([0, -1, 4])},
    ),
    "slice": (
        [helper.make_node("Slice", ["x", "a", "b", "axes", "steps"], ["y"])],
        {"a": [-2, 6], "b": [-(1 << 40), 100], "axes": [2, -1], "steps": [-2, 1]},
    ),
    "slice to the end": (
        [helper.make_node("Slice", ["x", "a", "b"], ["y"])],
        {"a": [0, 1], "b": [100, 100]},
    ),
    "split": ([helper.make_node("Split", ["x"], ["y", "z"], axis=2)], {}),
    "split in parts": (
        [helper.make_node("Split", ["x", "s"], ["y", "z"], axis=1)],
        {"s": [1, 2]},
    ),
    "unsqueeze": ([helper.make_node("Unsqueeze", ["x", "s"], ["y"])], {"s": [0, -1]}),
    "squeeze": (
        [
            helper.make_node("Unsqueeze", ["x", "s"], ["u"]),
            helper.make_node("Squeeze", ["u"], ["y"]),
        ],
        {"s": [1]},
    ),
    "squeeze one": (
        [
            helper.make_node("Unsqueeze", ["x", "s"], ["u"]),
            helper.make_node("Squeeze", ["u", "s"], ["y"]),
        ],
        {"s": [1]},
    ),
    "transpose": ([helper.make_node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2])], {}),
    "transpose all": ([helper.make_node("Transpose", ["x"], ["y"])], {}),
    "softmax": ([helper.make_node("Softmax", ["x"], ["y"])], {}),
    "prelu": ([helper.make_node("PRelu", ["x", "w"], ["y"])], {"w": np.ones((3, 1, 1), "f4")}),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operator_is_sized_as_onnx_sizes_it(name: str) -> None:
    nodes, constants = OPERATIONS[name]
    model = graph(nodes, {k: np.asarray(v) for k, v in constants.items()})
    for batch in (2, 3):
        theirs = by_onnx(model, batch)
        assert theirs["y"]
        assert {name: by_us(model, batch)[name] for name in theirs} == theirs


@pytest.mark.parametrize("operator", sorted(shapes.OPERATORS))
def test_an_operator_without_inputs_is_an_error_and_no_crash(operator: str) -> None:
    model = graph([helper.make_node(operator, [], ["y"])])
    with pytest.raises(BundleError, match=f"how large the output of {operator}"):
        cost_of(model.SerializeToString())


CONTRADICTIONS = {
    "other maps": (
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        {"w": np.ones((4, 2, 3, 3), "f4")},
    ),
    "other rank": ([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": np.ones((4, 3, 3), "f4")}),
    "window too large": ([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[9, 9])], {}),
    "step of zero": (
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[0, 1])],
        {},
    ),
    "border below zero": (
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], pads=[-1] * 4)],
        {},
    ),
    "sides that do not fit": (
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"w": np.ones(3, "f4")},
    ),
    "an axis beyond": ([helper.make_node("Concat", ["x", "x"], ["y"], axis=4)], {}),
    "another count": ([helper.make_node("Reshape", ["x", "s"], ["y"])], {"s": np.array([7, -1])}),
    "two unknown sides": (
        [helper.make_node("Reshape", ["x", "s"], ["y"])],
        {"s": np.array([-1, -1])},
    ),
    "a negative side": (
        [helper.make_node("Reshape", ["x", "s"], ["y"])],
        {"s": np.array([-3, -64])},
    ),
    "a shape that is computed": ([helper.make_node("Reshape", ["x", "x"], ["y"])], {}),
    "an order of others": ([helper.make_node("Transpose", ["x"], ["y"], perm=[0, 1, 2, 2])], {}),
    "parts of another whole": (
        [helper.make_node("Split", ["x", "s"], ["y", "z"], axis=1)],
        {"s": np.array([3, 3])},
    ),
    "factors that do not fit": (
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"w": np.ones((3, 2), "f4")},
    ),
    "nothing before it": ([helper.make_node("Relu", ["nothing"], ["y"])], {}),
    "a step in a slice of zero": (
        [helper.make_node("Slice", ["x", "a", "b", "a", "a"], ["y"])],
        {"a": np.array([0]), "b": np.array([1])},
    ),
    "more outputs": ([helper.make_node("Add", ["x", "x"], ["y", "z"])], {}),
    "an attribute twice": (
        [helper.make_node("Flatten", ["x"], ["y"], axis=1)],
        {},
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_size_that_is_none_is_refused(name: str) -> None:
    nodes, constants = CONTRADICTIONS[name]
    model = graph(nodes, constants)
    if name == "an attribute twice":
        model.graph.node[0].attribute.append(helper.make_attribute("axis", 2))
    with pytest.raises(BundleError, match="ONNX graph") as caught:
        cost_of(model.SerializeToString())
    assert caught.value.code == "model-damaged"


def test_the_same_size_whether_lists_are_packed_or_not() -> None:
    packed = graph([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 3])])
    data = packed.SerializeToString()
    assert by_us(packed, 1) == {"y": (1, 3, 7, 6)}
    ints = b"\x40\x02\x40\x03"  # field 8 twice, as proto2 writes it
    assert ints in data
    shorter = b"\x42\x02\x02\x03"  # once, packed
    again = onnx.ModelProto.FromString(data.replace(ints, shorter))
    assert by_us(again, 1) == {"y": (1, 3, 7, 6)}


@pytest.mark.parametrize("grow", ["constant", "square", "chain"])
def test_growth_is_refused_however_it_depends_on_the_pictures(grow: str) -> None:
    wide = np.ones((1, 30_000), np.float32)
    nodes = {
        "constant": [helper.make_node("MatMul", ["tall", "wide"], ["y"])],
        "square": [
            helper.make_node("Reshape", ["x", "column"], ["a"]),
            helper.make_node("Reshape", ["x", "row"], ["b"]),
            helper.make_node("MatMul", ["a", "b"], ["c"]),
            helper.make_node("Concat", ["c"] * 40, ["d"], axis=0),
            helper.make_node("Concat", ["d"] * 40, ["y"], axis=0),
        ],
        "chain": [
            helper.make_node("Concat", [f"y{n}" if n else "x"] * 2, [f"y{n + 1}"], axis=1)
            for n in range(60)
        ],
    }[grow]
    constants = {
        "wide": wide,
        "tall": wide.T.copy(),
        "column": np.array([-1, 1]),
        "row": np.array([1, -1]),
    }
    with pytest.raises(BundleError, match="more than 400,000,000 numbers") as caught:
        cost_of(graph(nodes, constants).SerializeToString())
    assert caught.value.code == "model-unsafe"


def test_a_large_network_answers_fewer_pictures_at_once() -> None:
    assert Cost(0, 0, 0, 0).batch(64) == 64
    assert Cost(0, sizing.MAX_VALUES, 0, 0).batch(64) == 1
    assert Cost(0, 1 << 27, 0, 0).batch(64) == 4


@given(st.lists(st.integers(1, 3), max_size=4), st.lists(st.integers(1, 3), max_size=4))
def test_sides_combine_as_numpy_combines_them(one: list[int], other: list[int]) -> None:
    try:
        wanted = np.broadcast_shapes(tuple(one), tuple(other))
    except ValueError:
        with pytest.raises(NotKnown, match="do not fit"):
            broadcast(tuple(one), tuple(other))
    else:
        assert broadcast(tuple(one), tuple(other)) == wanted


def test_every_operator_has_a_rule_that_can_be_asked() -> None:
    with pytest.raises(KeyError, match="Teleport"):
        infer(Node("Teleport", (), ()), Tensors({}, {}))
