"""The network runs as it was written, and whatever is no network of ours is refused on opening."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fieldmark.errors import BundleError, UsageError
from fieldmark.inference.runtime import OUTPUTS, OnnxRuntime, Outputs, open_runtime


@pytest.fixture
def model(tiny) -> Any:
    return tiny.model()


@pytest.fixture
def runtime(model) -> OnnxRuntime:
    return OnnxRuntime(model.SerializeToString(), threads=1)


def refused(model: Any, match: str, code: str = "model-damaged") -> None:
    with pytest.raises(BundleError, match=match) as caught:
        open_runtime(model.SerializeToString())
    assert caught.value.code == code
    assert caught.value.why
    assert caught.value.hint


def test_the_logits_are_those_of_plain_numpy(tiny, runtime):
    pixels = tiny.pixels(20, seed=5)
    outputs = runtime.run(pixels, ("logits", "scores"))
    np.testing.assert_allclose(outputs.logits, tiny.logits(pixels), atol=1e-4)
    np.testing.assert_allclose(outputs.scores, tiny.softmax(tiny.logits(pixels)), atol=1e-5)


def test_only_what_was_asked_for_is_given(tiny, runtime):
    assert runtime.run(tiny.pixels()).scores is not None
    for name in OUTPUTS:
        outputs = runtime.run(tiny.pixels(), (name,))
        assert [other for other in OUTPUTS if getattr(outputs, other) is not None] == [name]


def test_every_output_has_the_promised_shape_and_type(tiny, runtime):
    outputs = runtime.run(tiny.pixels(5), OUTPUTS)
    shapes = {name: getattr(outputs, name).shape for name in OUTPUTS}
    assert shapes == {
        "scores": (5, 3),
        "logits": (5, 3),
        "features": (5, 4),
        "maps": (5, 4, 6, 6),
    }
    assert {getattr(outputs, name).dtype for name in OUTPUTS} == {np.dtype(np.float32)}
    np.testing.assert_allclose(outputs.maps.mean(axis=(2, 3)), outputs.features, atol=1e-5)


def test_the_order_of_asking_changes_nothing(tiny, runtime):
    one = runtime.run(tiny.pixels(), OUTPUTS)
    other = runtime.run(tiny.pixels(), OUTPUTS[::-1])
    for name in OUTPUTS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_any_number_of_threads_gives_the_same_scores(tiny, model, threads):
    found = open_runtime(model.SerializeToString(), threads=threads).run(tiny.pixels(9)).scores
    np.testing.assert_allclose(found, tiny.softmax(tiny.logits(tiny.pixels(9))), atol=1e-5)


def test_one_picture_scores_the_same_alone_and_in_a_batch(tiny, runtime):
    pixels = tiny.pixels(33, seed=3)
    alone = np.concatenate([runtime.run(pixels[i : i + 1]).scores for i in range(33)])
    np.testing.assert_allclose(alone, runtime.run(pixels).scores, atol=1e-6)


def test_many_threads_may_ask_at_once(tiny, runtime):
    pixels = tiny.pixels(40, seed=8)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: runtime.run(pixels[i : i + 1]).scores, range(40)))
    np.testing.assert_allclose(np.concatenate(found), runtime.run(pixels).scores, atol=1e-6)


def test_arrays_that_do_not_lie_in_one_piece_are_accepted(tiny, runtime):
    pixels = tiny.pixels(8)
    np.testing.assert_array_equal(
        runtime.run(pixels[::2]).scores, runtime.run(pixels[::2].copy()).scores
    )


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 8, 8, 3), np.float32),
        np.zeros((1, 8, 8, 3), np.int8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((1, 3, 8, 8), np.uint8),
        np.zeros((1, 8, 9, 3), np.uint8),
        np.zeros((1, 8, 8, 1), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
)
def test_other_pixels_are_refused_with_the_shape_that_is_wanted(runtime, pixels):
    with pytest.raises(UsageError, match=r"was given \w+ pixels of shape") as caught:
        runtime.run(pixels)
    assert caught.value.code == "wrong-input"
    assert "(n, 8, 8, 3)" in caught.value.why


@pytest.mark.parametrize(("names", "words"), [(("probs",), "'probs'"), ((), "asked for")])
def test_an_output_that_does_not_exist_is_refused(tiny, runtime, names, words):
    with pytest.raises(UsageError, match=f"no output {words}") as caught:
        runtime.run(tiny.pixels(), names)
    assert caught.value.code == "wrong-output"
    assert "features" in caught.value.hint


def test_the_engine_tells_its_name(runtime):
    assert runtime.name.startswith("onnxruntime 1.")


def test_a_graph_that_reaches_outside_is_refused_before_the_engine_sees_it(model):
    model.graph.node[0].domain = "com.microsoft"
    refused(model, "com.microsoft", "model-unsafe")
    code = (
        "import sys\nfrom fieldmark.errors import BundleError\n"
        "from fieldmark.inference.runtime import open_runtime\n"
        "try: open_runtime(sys.stdin.buffer.read())\n"
        "except BundleError as error: print(error.code, 'onnxruntime' in sys.modules)\n"
    )
    data = model.SerializeToString()
    found = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True
    )
    assert found.stdout == b"model-unsafe False\n"


def rename_input(model: Any) -> None:
    model.graph.node[0].input[0] = "picture"
    model.graph.input[0].name = "picture"


def another_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def float_input(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def free_size(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "H"


def fixed_count(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def no_maps(model: Any) -> None:
    del model.graph.output[3]


@pytest.mark.parametrize(
    "change", [rename_input, another_input, float_input, free_size, fixed_count, no_maps]
)
def test_a_network_with_other_inputs_or_outputs_is_refused(model, change):
    change(model)
    refused(model, "does not have the input and outputs")


def broken_weights(model: Any) -> None:
    model.graph.initializer[1].raw_data = b"123"


def loose_end(model: Any) -> None:
    model.graph.node[3].input[0] = "nowhere"


def no_nodes(model: Any) -> None:
    del model.graph.node[:]


@pytest.mark.parametrize("change", [broken_weights, loose_end, no_nodes])
def test_a_graph_that_the_engine_cannot_open_is_refused(model, change):
    change(model)
    refused(model, "cannot open the network")


def test_what_the_graph_says_about_itself_cannot_reach_the_terminal(model):
    model.graph.node[3].op_type = "Tele\x1b[31mport\n"
    with pytest.raises(BundleError, match="uses the operator") as caught:
        open_runtime(model.SerializeToString())
    assert caught.value.what.isprintable()


def test_a_graph_that_fails_while_running_is_refused(model):
    reshape = helper.make_node("Reshape", ["pooled", "shape"], ["features"])
    model.graph.node[6].CopyFrom(reshape)
    shape = onnx.numpy_helper.from_array(np.array([1, 4], np.int64), "shape")
    model.graph.initializer.append(shape)
    runtime = open_runtime(model.SerializeToString())
    assert runtime.run(np.zeros((1, 8, 8, 3), np.uint8)).scores.shape == (1, 3)
    with pytest.raises(BundleError, match="cannot run the network"):
        runtime.run(np.zeros((2, 8, 8, 3), np.uint8))


def test_outputs_cannot_be_changed():
    with pytest.raises(AttributeError, match="scores"):
        Outputs().scores = None
