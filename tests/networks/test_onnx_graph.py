"""The graph that answers: standard, self-contained, the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.errors import BundleError
from fieldmark.networks.onnx_graph import IR_VERSION, OPSET, onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import Plan, plan
from tests.networks.strategies import Case, cases, random_pixels, random_weights

quiet = settings(max_examples=40, deadline=None)
TEXT = (
    "INPUT 12x10x3 -> CONV 4 3x3 -> BN -> RELU -> POOL 2x2 -> {CONV 4 3x3 same -> BN} -> RELU6 -> "
    "DROPOUT 0.3 -> FC 6 -> BN -> SIGMOID -> FC"
)


def made(text: str = TEXT, n_classes: int = 3) -> Plan:
    return plan(parse(text), n_classes)


def graph(text: str = TEXT, n_classes: int = 3) -> onnx.ModelProto:
    found = made(text, n_classes)
    return onnx.load_model_from_string(onnx_graph(found, random_weights(found, 0)))


def kinds(text: str) -> list[str]:
    return [node.op_type for node in graph(text, 2).graph.node]


def shapes(values: object) -> dict[str, list[str | int]]:
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in values  # type: ignore[attr-defined]
    }


@quiet
@given(cases(), st.integers(0, 2**32 - 1))
def test_any_list_gives_a_valid_graph_and_the_same_bytes(case: Case, seed: int) -> None:
    found = plan(case.network, case.n_classes)
    written = onnx_graph(found, random_weights(found, seed))
    assert written == onnx_graph(found, random_weights(found, seed))
    model = onnx.load_model_from_string(written)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert model.ir_version == IR_VERSION
    assert not model.functions
    for tensor in model.graph.initializer:
        assert tensor.data_location == onnx.TensorProto.DEFAULT
        assert not tensor.external_data


def test_the_order_in_which_weights_come_does_not_matter() -> None:
    found = made()
    weights = random_weights(found, 0)
    backwards = dict(reversed(weights.items()))
    assert onnx_graph(found, weights) == onnx_graph(found, backwards)


def test_another_process_writes_the_same_bytes() -> None:
    code = (
        "import hashlib; from fieldmark.networks.parser import parse;"
        "from fieldmark.networks.volumes import plan;"
        "from fieldmark.networks.weights import initial;"
        "from fieldmark.networks.onnx_graph import onnx_graph;"
        f"made = plan(parse({TEXT!r}), 3);"
        "print(hashlib.sha256(onnx_graph(made, initial(made, seed=1))).hexdigest())"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    hashes = set()
    for hash_seed in ("1", "2"):  # sets and dicts of words are in another order in each
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
        ran = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        hashes.add(ran.stdout)
    assert len(hashes) == 1


def test_the_interface_is_the_documented_one() -> None:
    model = graph()
    assert shapes(model.graph.input) == {"pixels": ["n", 12, 10, 3]}
    assert shapes(model.graph.output) == {
        "scores": ["n", 3],
        "logits": ["n", 3],
        "features": ["n", 6],
        "maps": ["n", 4, 5, 4],
    }
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert {value.type.tensor_type.elem_type for value in model.graph.output} == {
        onnx.TensorProto.FLOAT
    }
    assert model.producer_name == "fieldmark"


@pytest.mark.parametrize(
    ("text", "maps"),
    [
        ("INPUT 8x9x3 -> FC", ["n", 3, 8, 9]),
        ("INPUT 8x9x1 -> CONV 5 3x3 -> GAP -> FC", ["n", 5, 6, 7]),
        ("INPUT 8x9x1 -> CONV 5 3x3 -> BN -> FC", ["n", 5, 6, 7]),
    ],
)
def test_maps_are_channels_first_and_the_last_there_are(text: str, maps: list[str | int]) -> None:
    assert shapes(graph(text, 2).graph.output)["maps"] == maps


@pytest.mark.parametrize("n", [1, 2, 7])
def test_any_number_of_pictures_is_answered(n: int) -> None:
    found = made()
    session = onnxruntime.InferenceSession(
        onnx_graph(found, random_weights(found, 0)), providers=["CPUExecutionProvider"]
    )
    scores, logits = session.run(["scores", "logits"], {"pixels": random_pixels(found, n, 0)})
    assert scores.shape == logits.shape == (n, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_nodes_carry_the_plans_names() -> None:
    names = {node.name for node in graph().graph.node}
    assert {"conv1", "relu1", "pool1", "conv2", "add1", "relu6_1", "flatten1", "fc1"} <= names


@pytest.mark.parametrize(
    ("body", "n_norms"),
    [
        ("CONV 4 3x3 -> BN", 0),
        ("DWCONV 3x3 -> BN", 0),
        ("FC 4 -> BN", 0),
        ("[CONV 4 3x3]*2 -> BN", 0),
        ("CONV 4 3x3 -> BN -> BN", 1),
        ("CONV 4 3x3 -> RELU -> BN", 1),
        ("CONV 4 3x3 -> {BN}", 1),  # the sum needs the value before it as well
        ("BN", 1),
    ],
)
def test_a_norm_is_folded_into_what_it_alone_reads(body: str, n_norms: int) -> None:
    used = kinds(f"INPUT 12x12x3 -> {body} -> FC")
    scaling = 1  # of the pixels
    assert used.count("Mul") - scaling == n_norms


def test_dropout_leaves_no_trace() -> None:
    assert kinds("INPUT 8x8x3 -> DROPOUT 0.5 -> FC") == kinds("INPUT 8x8x3 -> FC")


def test_a_graph_computes_what_a_pencil_computes() -> None:
    found = made("INPUT 8x8x1 -> POOL 4x4 -> FC", 2)
    kernel = np.array([[1, 0], [0, 1], [2, 0], [0, -1]], np.float32)
    weights = {"fc1/kernel": kernel, "fc1/bias": np.array([0.5, 0], np.float32)}
    pixels = np.zeros((1, 8, 8, 1), np.uint8)
    pixels[0, 1, 2], pixels[0, 3, 7], pixels[0, 4, 0], pixels[0, 7, 7] = 255, 51, 102, 204
    session = onnxruntime.InferenceSession(
        onnx_graph(found, weights), providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(["logits"], {"pixels": pixels})
    np.testing.assert_allclose(logits, [[1 + 2 * 0.4 + 0.5, 0.2 - 0.8]], atol=1e-6)


@pytest.mark.parametrize(
    "spoil",
    [lambda weights: weights.pop("fc1/kernel"), lambda weights: weights["fc1/kernel"].fill(np.nan)],
    ids=["missing", "not a number"],
)
def test_weights_that_do_not_fit_give_no_graph(spoil: object) -> None:
    found = made()
    weights: dict[str, NDArray[np.float32]] = random_weights(found, 0)
    spoil(weights)  # type: ignore[operator]
    with pytest.raises(BundleError, match="fc1/kernel"):
        onnx_graph(found, weights)
