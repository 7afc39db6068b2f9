"""Write the network as an ONNX graph, from pixels to scores, from the list and the weights.

The vocabulary is about fifteen operations; exporters differ by Keras backend and version, and the
path that needs no training must not need Keras. The graph's contract:

========  ========================  ==============================================================
name      shape and type            meaning
========  ========================  ==============================================================
pixels    (n, height, width, c) u8  input; scaling happens inside; n is free
scores    (n, n_classes) f32        softmax of the logits; rows sum to 1
logits    (n, n_classes) f32        a sigmoid's z is written as (-z/2, z/2): the same two scores
features  (n, f) f32                what the last FC reads
maps      (n, maps, rows, cols)     the last feature map
========  ========================  ==============================================================

Batch normalisation behind CONV or FC is folded into its kernel; elsewhere it is one multiply-add.
Pure: arrays in, bytes out, the same bytes for the same arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.networks.foreign import INPUT, OUTPUT, ForeignBackbone
from fieldmark.networks.layers import (
    Activation,
    Backbone,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Pair,
    Pool,
)
from fieldmark.networks.volumes import BN_EPSILON, PIXEL_SCALE, Add, Concat, Plan, Step
from fieldmark.networks.weights import Weights, check

OPSET: Final = 17
IR_VERSION: Final = 8

Array = NDArray[np.float32]


def onnx_graph(plan: Plan, weights: Weights) -> bytes:
    """Write the graph.

    Parameters
    ----------
    plan : Plan
    weights : mapping of str to float32 array
        As :attr:`Plan.weight_shapes` names them.

    Returns
    -------
    bytes
        A self-contained ONNX model, opset 17, no external data, standard operators only.

    Raises
    ------
    BundleError
        Code ``weights-mismatch``: names, shapes or values do not fit the plan.
    """
    check(plan, weights)
    return _Writer(plan, weights).write()


@dataclass
class _Writer:
    plan: Plan
    weights: Weights
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Array | NDArray[np.int64]] = field(default_factory=dict)
    values: dict[int, str] = field(default_factory=dict)
    """Position of a step -> name of the tensor that holds its output."""

    def write(self) -> bytes:
        from onnx import TensorProto, helper, numpy_helper

        self._input()
        for at, step in enumerate(self.plan.steps):
            self.values[at] = self._step(at, step)
        self._outputs()
        height, width, channels = self.plan.input
        n, k = "n", self.plan.n_classes
        rows = self._maps_shape()
        shapes = {
            "scores": (n, k),
            "logits": (n, k),
            "features": (n, *self.plan.steps[-1].input),
            "maps": (n, *rows),
        }
        graph = helper.make_graph(
            self.nodes,
            "fieldmark",
            [
                helper.make_tensor_value_info(
                    "pixels", TensorProto.UINT8, (n, height, width, channels)
                )
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in shapes.items()
            ],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="fieldmark"
        )
        model.ir_version = IR_VERSION
        return bytes(model.SerializeToString(deterministic=True))

    def _input(self) -> None:
        from onnx import TensorProto

        self._node("Cast", ["pixels"], "pixels/float", {"to": TensorProto.FLOAT})
        if self.plan.foreign is not None and self.plan.maps_at >= 0:
            self.values[-1] = "pixels/float"
            return  # it scales in its own way, and the picture itself is nobody's map
        scale = self._constant("pixels/scale", np.float32(PIXEL_SCALE))
        self._node("Mul", ["pixels/float", scale], "pixels/scaled")
        self.values[-1] = self._node(
            "Transpose", ["pixels/scaled"], "pixels/planes", {"perm": [0, 3, 1, 2]}
        )

    def _maps_shape(self) -> tuple[int, int, int]:
        at = self.plan.maps_at
        volume = self.plan.input if at < 0 else self.plan.steps[at].output
        return volume[2], volume[0], volume[1]

    def _outputs(self) -> None:
        last = self.values[len(self.plan.steps) - 1]
        if self.plan.n_outputs == 1:
            halves = self._constant("logits/halves", np.array([-0.5, 0.5], np.float32))
            self._node("Mul", [last, halves], "logits")
        else:
            self._node("Identity", [last], "logits")
        self._node("Softmax", ["logits"], "scores", {"axis": 1})
        self._node("Identity", [self.values[self.plan.features_at]], "features")
        self._node("Identity", [self.values[self.plan.maps_at]], "maps")

    def _step(self, at: int, step: Step) -> str:
        source = self.values[step.sources[0]]
        name = step.name
        match step.layer:
            case Conv():
                return self._conv(at, step, source)
            case Dense():
                kernel, bias = self._folded(at, step)
                inputs = [source, self._constant(f"{name}/kernel", kernel)]
                return self._node("Gemm", [*inputs, self._constant(f"{name}/bias", bias)], name)
            case BatchNorm():
                return self._batch_norm(step, source)
            case Pool() as pool:
                return self._pool(step, pool, source)
            case GlobalPool(reduce=reduce):
                kind = "GlobalAveragePool" if reduce == "mean" else "GlobalMaxPool"
                pooled = self._node(kind, [source], f"{name}/planes")
                return self._node("Flatten", [pooled], name, {"axis": 1})
            case Activation(function=function):
                return self._activation(function, source, name)
            case Dropout():
                return source
            case Flatten():
                # Row by row with all channels of a pixel together, as Keras orders a list.
                if len(step.input) == 3:
                    source = self._node(
                        "Transpose", [source], f"{name}/rows", {"perm": [0, 2, 3, 1]}
                    )
                return self._node("Flatten", [source], name, {"axis": 1})
            case Add():
                return self._node("Add", [self.values[at] for at in step.sources], name)
            case Backbone():
                return self._foreign(step)
            case Concat():
                lists = [self.values[at] for at in step.sources]
                return self._node("Concat", lists, name, {"axis": 1})

    def _foreign(self, step: Step) -> str:
        """Splice a backbone from elsewhere in, every name behind the step's."""
        import onnx

        foreign = self.plan.foreign
        if foreign is None:
            raise TypeError(f"{step.name} has no backbone")
        graph = onnx.load_model_from_string(foreign.onnx).graph
        names = {INPUT: self._foreign_input(step.name, foreign), OUTPUT: step.name, "": ""}
        for tensor in graph.initializer:
            names[tensor.name] = f"{step.name}/{tensor.name}"
            self.constants[names[tensor.name]] = onnx.numpy_helper.to_array(tensor)
        for node in graph.node:
            names |= {given: names.get(given, f"{step.name}/{given}") for given in node.output}
            moved = [[names[name] for name in each] for each in (node.input, node.output)]
            node.input[:], node.output[:] = moved
            node.name = node.output[0]
            self.nodes.append(node)
        return step.name

    def _foreign_input(self, name: str, foreign: ForeignBackbone) -> str:
        """Turn pixels into what the backbone was trained on, in its order of axes."""
        scaling, values = foreign.scaling, "pixels/float"
        if scaling.bgr:
            order = self._constant(f"{name}/bgr", np.eye(3, dtype=np.float32)[::-1])
            values = self._node("MatMul", [values, order], f"{name}/swapped")
        mean = self._constant(f"{name}/mean", np.array(scaling.mean, np.float32))
        deviation = self._constant(f"{name}/deviation", np.array(scaling.deviation, np.float32))
        values = self._node("Sub", [values, mean], f"{name}/centred")
        values = self._node("Div", [values, deviation], f"{name}/scaled")
        if foreign.layout == "nhwc":
            return values
        return self._node("Transpose", [values], f"{name}/planes", {"perm": [0, 3, 1, 2]})

    def _conv(self, at: int, step: Step, source: str) -> str:
        layer = step.layer
        if not isinstance(layer, Conv):
            raise TypeError(f"{step.name} is no CONV")
        kernel, bias = self._folded(at, step)
        depthwise = layer.filters is None
        # HWIO to OIHW; one filter per map is (rows, columns, maps, 1) to (maps, 1, rows, columns).
        kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        inputs = [
            source,
            self._constant(f"{step.name}/kernel", np.ascontiguousarray(kernel)),
            self._constant(f"{step.name}/bias", bias),
        ]
        return self._node(
            "Conv",
            inputs,
            step.name,
            {
                "kernel_shape": list(layer.kernel),
                "strides": [layer.step, layer.step],
                "pads": _pads(step, layer.kernel, (layer.step, layer.step), layer.padding),
                "group": step.input[2] if depthwise else 1,
            },
        )

    def _folded(self, at: int, step: Step) -> tuple[Array, Array]:
        """Kernel and bias of a CONV or FC with the BN behind it, if there is one, worked in."""
        kernel = np.asarray(self.weights[f"{step.name}/kernel"], np.float32)
        bias = np.zeros(step.output[-1], np.float32)
        if step.bias:
            bias = np.asarray(self.weights[f"{step.name}/bias"], np.float32)
        behind = self._norm_behind(at)
        if behind is None:
            return kernel, bias
        scale, shift = self._scale_shift(behind)
        along = scale[:, None] if _is_depthwise(step) else scale
        return kernel * along, bias * scale + shift

    def _norm_behind(self, at: int) -> Step | None:
        steps = self.plan.steps
        readers = [step for step in steps if at in step.sources]
        if len(readers) == 1 and isinstance(readers[0].layer, BatchNorm):
            return readers[0]
        return None

    def _scale_shift(self, norm: Step) -> tuple[Array, Array]:
        part = {
            name: np.asarray(self.weights[f"{norm.name}/{name}"], np.float64)
            for name in ("gamma", "beta", "mean", "variance")
        }
        scale = part["gamma"] / np.sqrt(part["variance"] + BN_EPSILON)
        shift = part["beta"] - part["mean"] * scale
        return scale.astype(np.float32), shift.astype(np.float32)

    def _batch_norm(self, step: Step, source: str) -> str:
        producer = step.sources[0]
        folds = producer >= 0 and isinstance(self.plan.steps[producer].layer, (Conv, Dense))
        if folds and self._norm_behind(producer) is step:
            return source
        scale, shift = self._scale_shift(step)
        if len(step.output) == 3:
            scale, shift = scale[:, None, None], shift[:, None, None]
        scaled = self._node(
            "Mul", [source, self._constant(f"{step.name}/scale", scale)], f"{step.name}/scaled"
        )
        return self._node("Add", [scaled, self._constant(f"{step.name}/shift", shift)], step.name)

    def _pool(self, step: Step, pool: Pool, source: str) -> str:
        window: dict[str, Any] = {
            "kernel_shape": list(pool.kernel),
            "strides": list(pool.steps),
            "pads": _pads(step, pool.kernel, pool.steps, pool.padding),
        }
        if pool.reduce == "max":
            return self._node("MaxPool", [source], step.name, window)
        # A border is no picture: it does not count in the average.
        return self._node("AveragePool", [source], step.name, window | {"count_include_pad": 0})

    def _activation(self, function: str, source: str, name: str) -> str:
        if function == "relu6":
            low = self._constant("zero", np.float32(0.0))
            high = self._constant("six", np.float32(6.0))
            return self._node("Clip", [source, low, high], name)
        return self._node("Relu" if function == "relu" else "Sigmoid", [source], name)

    def _constant(self, name: str, array: Array | np.float32) -> str:
        self.constants[name] = np.asarray(array)
        return name

    def _node(
        self, kind: str, inputs: list[str], output: str, attributes: dict[str, Any] | None = None
    ) -> str:
        from onnx import helper

        node = helper.make_node(kind, inputs, [output], name=output)
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in (attributes or {}).items()
        )
        self.nodes.append(node)
        return output


def _is_depthwise(step: Step) -> bool:
    return isinstance(step.layer, Conv) and step.layer.filters is None


def _pads(step: Step, kernel: Pair, steps: Pair, padding: str) -> list[int]:
    """Rows and columns of zeros as TensorFlow's ``same`` places them: the odd one at the end."""
    if padding == "valid":
        return [0, 0, 0, 0]
    total = [
        max((step.output[axis] - 1) * steps[axis] + kernel[axis] - step.input[axis], 0)
        for axis in (0, 1)
    ]
    begin = [size // 2 for size in total]
    return [*begin, total[0] - begin[0], total[1] - begin[1]]
