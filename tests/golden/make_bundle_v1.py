"""Makes ``bundle_v1.fieldmark`` and its expected scores; also the tiny network of other tests.

The two files beside this one are committed and read for ever. Do not make them again: a reader that
no longer reads them is wrong, not they. Run as ``python tests/golden/make_bundle_v1.py FOLDER``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fieldmark import bundle, rng
from fieldmark.modalities.base import InputSpec

CLASSES = ("avocet", "heron", "Käuzchen")
SPEC = InputSpec(height=8, width=8)
LAYERS = "INPUT 8x8x3 -> CONV 4 3x3 -> RELU -> GAP -> FC\n"


def weights(seed: int = 1) -> dict[str, NDArray[Any]]:
    """Draw the weights, Keras' way round: kernels (height, width, in, out)."""
    draw = rng.derive(seed, "golden", "weights")
    return {
        "conv1/kernel": draw.normal(size=(3, 3, 3, 4)).astype(np.float32),
        "conv1/bias": draw.normal(size=4).astype(np.float32),
        "fc1/kernel": (4 * draw.normal(size=(4, 3))).astype(np.float32),
        "fc1/bias": draw.normal(size=3).astype(np.float32),
    }


def model(seed: int = 1) -> Any:
    """Return the network as an ``onnx.ModelProto``."""
    arrays = weights(seed)
    constants = {
        "scale": np.float32(255),
        "kernel": np.ascontiguousarray(arrays["conv1/kernel"].transpose(3, 2, 0, 1)),
        "bias": arrays["conv1/bias"],
        "fc_kernel": arrays["fc1/kernel"],
        "fc_bias": arrays["fc1/bias"],
    }
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["image"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["image", "kernel", "bias"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "fc_kernel", "fc_bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 8, 8, 3])],
        [
            helper.make_tensor_value_info("scores", real, ["N", 3]),
            helper.make_tensor_value_info("logits", real, ["N", 3]),
            helper.make_tensor_value_info("features", real, ["N", 4]),
            helper.make_tensor_value_info("maps", real, ["N", 4, 6, 6]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pixels(n: int = 3, seed: int = 1) -> NDArray[np.uint8]:
    """Draw n pictures."""
    return rng.derive(seed, "golden", "pixels").integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def logits(images: NDArray[np.uint8], seed: int = 1) -> NDArray[np.float64]:
    """Answer with NumPy alone, so that the expected scores depend on no engine."""
    arrays = weights(seed)
    scaled = images.astype(np.float64) / 255
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (3, 3), axis=(1, 2))
    maps = np.einsum("nyxcij,ijco->nyxo", windows, arrays["conv1/kernel"].astype(np.float64))
    features = np.maximum(maps + arrays["conv1/bias"], 0).mean(axis=(1, 2))
    found: NDArray[np.float64] = features @ arrays["fc1/kernel"] + arrays["fc1/bias"]
    return found


def softmax(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the shares of each row."""
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def tiny_bundle(temperature: float = 1.5) -> bundle.Bundle:
    """Return a bundle with every part."""
    return bundle.Bundle(
        name="waders-1",
        network=LAYERS,
        onnx=model().SerializeToString(),
        classes=CLASSES,
        spec=SPEC,
        golden_inputs=pixels(),
        golden_scores=softmax(logits(pixels()) / temperature),
        weights=weights(),
        decision={"temperature": temperature},
        recipe="[train]\nepochs = 2\n",
        report={"schema": "fieldmark.report/1", "accuracy": 0.75},
        card="# waders-1\n\nThree birds, for tests.\n",
        created="2026-11-22T21:40:00Z",
    )


def main(folder: Path) -> None:
    """Write the two files."""
    made = tiny_bundle()
    model_id = bundle.write(folder / "bundle_v1.fieldmark", made)
    expected = {
        "name": made.name,
        "model_id": model_id,
        "classes": list(made.classes),
        "temperature": made.temperature,
        "scores": np.round(made.golden_scores.astype(np.float64), 6).tolist(),
    }
    text = json.dumps(expected, ensure_ascii=False, indent=1)
    (folder / "bundle_v1.expected.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
