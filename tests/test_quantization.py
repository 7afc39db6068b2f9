"""An int8 network answers nearly as the float one does, and ships only when that was measured."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from fieldmark import quantization, rng
from fieldmark.bundle import check_onnx
from fieldmark.errors import DataError
from fieldmark.inference.runtime import OUTPUTS, Outputs, Runtime, open_runtime
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.quantization import Gate, gate, quantize
from tests.networks.strategies import Case, cases, random_pixels, random_weights

LITE = """INPUT 32x32x3 -> BN -> CONV 8 3x3 same step 2 -> BN -> RELU6 -> DWCONV 3x3 same -> BN ->
RELU6 -> CONV 8 1x1 -> BN -> {CONV 24 1x1 -> BN -> RELU6 -> DWCONV 3x3 same -> BN -> RELU6 ->
CONV 8 1x1 -> BN} -> CONV 32 1x1 -> BN -> RELU6 -> GAP -> FC"""


def network(text: str, seed: int = 1) -> tuple[bytes, NDArray[np.uint8]]:
    """Return a float graph with drawn weights and 64 drawn pictures for it."""
    made = plan(parse(text), 3)
    weights = random_weights(made, seed)
    for name in ("gamma", "beta", "mean", "variance"):  # one scale for all channels, as pictures
        if f"bn1/{name}" in weights:
            weights[f"bn1/{name}"][:] = {
                "gamma": 1,
                "beta": 0,
                "mean": 127 / 255,
                "variance": 0.25,
            }[name]
    return onnx_graph(made, weights), random_pixels(made, 64, seed)


@pytest.fixture(scope="module")
def lite() -> tuple[bytes, bytes, NDArray[np.uint8]]:
    graph, pixels = network(LITE)
    return graph, quantize(graph, [pixels[:32], pixels[32:]]), pixels


def relative(found: Any, wanted: Any) -> float:
    return float(np.sqrt(((found - wanted) ** 2).mean() / (wanted**2).mean()))


def operators(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def test_every_output_stays_and_nearly_keeps_its_value(lite):
    graph, int8, pixels = lite
    wanted = open_runtime(graph).run(pixels, OUTPUTS)
    found = open_runtime(int8).run(pixels, OUTPUTS)
    for name in OUTPUTS:
        assert getattr(found, name).shape == getattr(wanted, name).shape
        assert 0 < relative(getattr(found, name), getattr(wanted, name)) < 0.1, name


def test_the_engines_agree_on_int8(lite):
    pytest.importorskip("openvino")
    _, int8, pixels = lite
    one = open_runtime(int8).run(pixels, ("logits",)).logits
    other = open_runtime(int8, engine="openvino", bulk=True).run(pixels, ("logits",)).logits
    assert relative(other, one) < 0.05


def test_int8_passes_the_rules_of_the_model_file_and_is_smaller(lite):
    graph, int8, _ = lite
    check_onnx(int8)
    weights = onnx.load_from_string(int8).graph.initializer
    kernels = [each for each in weights if each.name.endswith("kernel_quantized")]
    assert {numpy_helper.to_array(each).dtype for each in kernels} == {np.dtype(np.int8)}
    assert len([n for n in operators(graph) if n == "Conv"]) == len(kernels)


def test_the_last_fc_and_the_pooling_stay_float(lite):
    _, int8, _ = lite
    held = onnx.load_from_string(int8).graph
    made_by = {node.output[0]: node.op_type for node in held.node}
    for kind in ("Gemm", "Softmax"):
        inputs = [node.input[0] for node in held.node if node.op_type == kind]
        assert [made_by[name] for name in inputs if "Linear" in made_by[name]] == []
    (gemm,) = [node for node in held.node if node.op_type == "Gemm"]
    assert gemm.input[1] == "fc1/kernel"


def test_the_activations_go_into_the_ranges(lite):
    graph, int8, _ = lite
    assert "Clip" in operators(graph)
    assert "Clip" not in operators(int8)


def test_pixels_are_read_as_the_8_bit_numbers_they_are(lite):
    graph, int8, _ = lite
    assert operators(graph)[:5] == ["Cast", "Mul", "Transpose", "Mul", "Add"]
    first = [node for node in onnx.load_from_string(int8).graph.node if "pixels" in node.name]
    assert [node.op_type for node in first][:1] == ["Transpose"]
    assert {"Cast", "Mul"} & set(operators(int8)) == set()
    (conv,) = [n for n in onnx.load_from_string(int8).graph.node if n.name == "conv1"]
    (scaled,) = [n for n in onnx.load_from_string(int8).graph.node if conv.input[0] in n.output]
    assert scaled.op_type == "DequantizeLinear"
    assert scaled.input[0] == "pixels/turned"


@pytest.mark.parametrize(
    "text",
    [
        "INPUT 8x8x3 -> {CONV 3 3x3 same} -> GAP -> FC",  # the pixels are read by the sum as well
        "INPUT 8x8x3 -> RELU6 -> CONV 4 3x3 -> GAP -> FC",
        "INPUT 8x8x3 -> POOL 2x2 -> CONV 4 3x3 -> GAP -> FC",
        "INPUT 8x8x3 -> GAP -> FC",
        "INPUT 8x8x3 -> FC",
    ],
)
def test_a_scaling_that_others_read_too_is_left_alone(text):
    graph, pixels = network(text)
    int8 = quantize(graph, [pixels])
    assert operators(int8)[:1] != ["Transpose"]
    wanted = open_runtime(graph).run(pixels, ("logits",)).logits
    assert relative(open_runtime(int8).run(pixels, ("logits",)).logits, wanted) < 0.1


def test_a_scaling_that_differs_by_channel_is_left_alone():
    made = plan(parse("INPUT 8x8x3 -> BN -> CONV 4 3x3 -> GAP -> FC"), 3)
    graph = onnx_graph(made, random_weights(made, 3))
    pixels = random_pixels(made, 32, 3)
    int8 = quantize(graph, [pixels])
    assert "Mul" in operators(int8)
    wanted = open_runtime(graph).run(pixels, ("logits",)).logits
    assert relative(open_runtime(int8).run(pixels, ("logits",)).logits, wanted) < 0.1


@settings(max_examples=12, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_any_list_becomes_a_network_with_all_its_outputs(case: Case, seed: int) -> None:
    made = plan(case.network, case.n_classes)
    graph = onnx_graph(made, random_weights(made, seed))
    pixels = random_pixels(made, 8, seed)
    found = open_runtime(quantize(graph, [pixels])).run(pixels, OUTPUTS)
    wanted = open_runtime(graph).run(pixels, OUTPUTS)
    for name in OUTPUTS:
        assert getattr(found, name).shape == getattr(wanted, name).shape
    np.testing.assert_allclose(found.scores.sum(axis=1), 1, atol=1e-5)


def test_the_same_pictures_give_the_same_bytes(lite):
    graph, int8, pixels = lite
    assert quantize(graph, [pixels[:32], pixels[32:]]) == int8


def test_other_pictures_give_other_ranges(lite):
    graph, int8, pixels = lite
    assert quantize(graph, [pixels // 4]) != int8


def test_nothing_is_left_behind_and_nothing_is_said(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    graph, pixels = network(LITE)
    handlers = list(logging.getLogger().handlers)
    quantize(graph, [pixels])
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert logging.getLogger().handlers == handlers


def test_without_pictures_there_are_no_ranges():
    graph, pixels = network(LITE)
    with pytest.raises(DataError, match="not one picture") as caught:
        quantize(graph, [])
    assert caught.value.code == "nothing-to-measure"
    with pytest.raises(DataError, match="not one picture"):
        gate(graph, graph, pixels=pixels[:0], labels=np.zeros(0, np.int64))


class Says:
    """A runtime that gives each picture the class that is written in its first value."""

    name, shape = "says", (1, 1, 2)

    def __init__(self, which: int) -> None:
        self.which = which

    def run(self, pixels: NDArray[np.uint8], outputs: Any = ("scores",)) -> Outputs:
        return Outputs(scores=np.eye(4, dtype=np.float32)[pixels[:, 0, 0, self.which]])

    def stream(self, batches: Any, outputs: Any = ("scores",)) -> Iterator[Outputs]:
        return (self.run(pixels, outputs) for pixels in batches)


def gated(labels: Any, float_says: Any, int8_says: Any, monkeypatch: pytest.MonkeyPatch) -> Gate:
    def opened(graph: bytes, **given: Any) -> Runtime:
        return Says(graph[0])

    monkeypatch.setattr(quantization, "open_runtime", opened)
    pixels = np.stack([float_says, int8_says], axis=1).astype(np.uint8)[:, None, None, :]
    return gate(b"\0", b"\1", pixels=pixels, labels=np.asarray(labels))


def test_the_gate_counts_what_each_network_has_right(monkeypatch):
    labels = np.repeat([0, 1, 3], [500, 300, 200])
    says = labels.copy()
    says[:3], says[500:501], says[800:801] = 1, 0, 0  # three, one and one are lost
    base = labels.copy()
    base[499] = 1  # and one is gained
    found = gated(labels, base, np.where(np.arange(1000) == 499, labels, says), monkeypatch)
    assert (found.n, found.float_accuracy, found.int8_accuracy) == (1000, 0.999, 0.995)
    assert found.drop == pytest.approx(0.004)
    low, high = found.interval
    assert low < 0.004 < high
    assert (found.worst_class, found.n_worst_class) == (3, 200)
    assert found.worst_class_drop == pytest.approx(1 / 200)
    assert found.passed
    assert found.words.startswith("int8 passed: accuracy 99.5 % against 99.9 %, a loss of 0.40")
    assert "n = 1000" in found.words


def test_equal_networks_pass_with_an_interval_that_is_not_zero(monkeypatch):
    labels = np.arange(400) % 4
    found = gated(labels, labels, labels, monkeypatch)
    assert found.passed
    assert found.drop == 0
    assert found.interval[0] < 0 < found.interval[1]


def test_a_loss_in_all_classes_does_not_pass(monkeypatch):
    labels = np.arange(1000) % 4
    says = labels.copy()
    says[:6] = (says[:6] + 1) % 4
    found = gated(labels, labels, says, monkeypatch)
    assert found.drop == pytest.approx(0.006)
    assert not found.passed
    assert found.words.startswith("int8 did not pass")


def test_a_loss_in_one_class_does_not_pass(monkeypatch):
    labels = np.repeat([0, 1], [960, 40])
    says = labels.copy()
    says[-1] = 0  # a thousandth of all, but 2.5 points of its class
    found = gated(labels, labels, says, monkeypatch)
    assert found.drop == pytest.approx(0.001)
    assert (found.worst_class, found.worst_class_drop) == (1, pytest.approx(0.025))
    assert not found.passed


def test_a_real_network_is_gated_on_real_answers(lite):
    graph, int8, pixels = lite
    labels = open_runtime(graph).run(pixels).scores.argmax(axis=1)
    found = gate(graph, int8, pixels=pixels, labels=labels, batch=7)
    assert found.float_accuracy == 1
    assert found.int8_accuracy > 0.7
    flipped = rng.derive(0, "noise").integers(0, 3, len(labels))
    assert gate(graph, int8, pixels=pixels, labels=flipped).float_accuracy < 0.7


def test_the_temporary_folder_is_gone_after_an_error_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    graph, pixels = network(LITE)

    def breaking() -> Iterator[NDArray[np.uint8]]:
        yield pixels[:8]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        quantize(graph, breaking())
    assert list(Path(tmp_path).iterdir()) == []
