"""Small ONNX backbones that tests write themselves, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Layout = Literal["nchw", "nhwc"]
SIZE = 16
N_MAPS = 12

Shape = list[str | int]


def constant(name: str, array: NDArray[Any]) -> TensorProto:
    return numpy_helper.from_array(np.asarray(array), name)


def model(
    nodes: list[Any],
    inputs: list[tuple[str, int, Shape]],
    outputs: list[tuple[str, Shape]],
    constants: list[TensorProto],
    opset: int = 17,
) -> Any:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made


def backbone(
    layout: Layout = "nchw",
    *,
    pooled: bool = True,
    size: int | str = SIZE,
    batch: int | str = "n",
    seed: int = 0,
) -> Any:
    """CONV, a border, CONV, HardSwish, the average of each map if ``pooled``; ``maps`` too."""
    generator = np.random.default_rng(seed)
    first = generator.normal(0, 0.4, (8, 3, 3, 3)).astype(np.float32)
    second = generator.normal(0, 0.2, (N_MAPS, 8, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Constant", [], ["pads"], value=constant("", np.array([0, 0, 1, 1] * 2))),
        helper.make_node("Conv", ["planes", "first"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Pad", ["b", "pads"], ["c"]),
        helper.make_node("Conv", ["c", "second", "bias"], ["d"]),
        helper.make_node("HardSwish", ["d"], ["e"]),
        helper.make_node("Dropout", ["e"], ["f"]),
    ]
    planes: Shape = [batch, 3, size, size]
    rows = size // 2 if isinstance(size, int) else "rows"
    out: Shape = [batch, N_MAPS, rows, rows]
    if layout == "nhwc":
        nodes.insert(0, helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]))
        nodes.append(helper.make_node("Transpose", ["f"], ["maps"], perm=[0, 2, 3, 1]))
        planes, out = [batch, size, size, 3], [batch, rows, rows, N_MAPS]
    else:
        nodes[1].input[0] = "image"
        nodes.append(helper.make_node("Identity", ["f"], ["maps"]))
    outputs: list[tuple[str, Shape]] = [("maps", out)]
    if pooled:
        axes = [1, 2] if layout == "nhwc" else [2, 3]
        node = helper.make_node("ReduceMean", ["maps"], ["list"], axes=axes, keepdims=0)
        nodes.append(node)
        outputs.append(("list", [batch, N_MAPS]))
    constants = [
        constant("first", first),
        constant("second", second),
        constant("bias", generator.normal(0, 0.1, N_MAPS).astype(np.float32)),
    ]
    return model(nodes, [("image", TensorProto.FLOAT, planes)], outputs, constants)


def saved(made: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(made, str(path))
    return path
