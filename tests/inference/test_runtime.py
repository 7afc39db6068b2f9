"""The network runs as it was written, and whatever is no network of ours is refused on opening."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fieldmark.errors import BundleError, MissingExtra, OutOfMemory, UsageError
from fieldmark.inference import runtime as runtime_file
from fieldmark.inference.runtime import OUTPUTS, Outputs, Runtime, open_runtime, unusable

ENGINES = ["onnxruntime", "openvino"]


@pytest.fixture
def model(tiny) -> Any:
    return tiny.model()


@pytest.fixture(params=ENGINES)
def engine(request) -> str:
    """Each engine in turn; OpenVINO is an extra."""
    return request.param if request.param == "onnxruntime" else needs_openvino()


def needs_openvino() -> str:
    if not runtime_file._has_openvino():
        pytest.skip("openvino is not installed")
    return "openvino"


@pytest.fixture
def runtime(model, engine) -> Runtime:
    return open_runtime(model.SerializeToString(), threads=1, engine=engine)


def refused(model: Any, match: str, code: str = "model-damaged", engine: str = "auto") -> None:
    with pytest.raises(BundleError, match=match) as caught:
        open_runtime(model.SerializeToString(), engine=engine)
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
def test_any_number_of_threads_gives_the_same_scores(tiny, model, engine, threads):
    opened = open_runtime(model.SerializeToString(), threads=threads, engine=engine)
    found = opened.run(tiny.pixels(9)).scores
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


def test_the_engine_tells_its_name(runtime, engine):
    name, _, version = runtime.name.partition(" ")
    assert name == engine
    assert version.replace(".", "").isdecimal()


def test_a_graph_that_reaches_outside_is_refused_before_the_engine_sees_it(model, engine):
    model.graph.node[0].domain = "com.microsoft"
    refused(model, "com.microsoft", "model-unsafe", engine)
    code = (
        "import sys\nfrom fieldmark.errors import BundleError\n"
        "from fieldmark.inference.runtime import open_runtime\n"
        f"try: open_runtime(sys.stdin.buffer.read(), engine={engine!r})\n"
        f"except BundleError as error: print(error.code, {engine!r} in sys.modules)\n"
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
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [3]))
    model.graph.node[7].input[2] = "mask"


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
def test_a_network_with_other_inputs_or_outputs_is_refused(model, engine, change):
    change(model)
    refused(model, "does not have the input and outputs|not say how large", engine=engine)


def broken_weights(model: Any) -> None:
    model.graph.initializer[1].raw_data = b"123"


def whole_numbers(model: Any) -> None:
    model.graph.initializer[1].data_type = onnx.TensorProto.INT32


def loose_end(model: Any) -> None:
    model.graph.node[3].input[0] = "nowhere"


def no_nodes(model: Any) -> None:
    del model.graph.node[:]


@pytest.mark.parametrize("change", [whole_numbers, no_nodes])
def test_a_graph_that_the_engine_cannot_open_is_refused(model, engine, change):
    change(model)
    refused(model, "cannot open the network|does not have the input", engine=engine)


@pytest.mark.parametrize("change", [broken_weights, loose_end])
def test_a_graph_that_contradicts_itself_is_refused_before_the_engine(model, engine, change):
    change(model)
    refused(model, "not say how large|holds less of 'kernel'", engine=engine)


def test_what_the_graph_says_about_itself_cannot_reach_the_terminal(model):
    model.graph.node[3].op_type = "Tele\x1b[31mport\n"
    with pytest.raises(BundleError, match="uses the operator") as caught:
        open_runtime(model.SerializeToString())
    assert caught.value.what.isprintable()


def test_a_graph_that_fails_while_running_is_refused(model, engine, monkeypatch):
    reshape = helper.make_node("Reshape", ["pooled", "shape"], ["features"])
    model.graph.node[6].CopyFrom(reshape)
    shape = onnx.numpy_helper.from_array(np.array([1, 4], np.int64), "shape")
    model.graph.initializer.append(shape)
    refused(model, "not say how large the output of Reshape", engine=engine)
    for each in ("onnx_runtime", "openvino_runtime"):  # as if nobody had looked
        monkeypatch.setattr(f"fieldmark.inference.{each}.check_onnx", lambda onnx: None)
    if engine == "openvino":
        refused(model, "cannot run the network", engine=engine)  # already when it has to agree
        return
    runtime = open_runtime(model.SerializeToString(), engine=engine)
    one, two = np.zeros((1, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)
    assert runtime.run(one).scores.shape == (1, 3)
    with pytest.raises(BundleError, match="cannot run the network"):
        runtime.run(two)
    with pytest.raises(BundleError, match="cannot run the network"):
        list(runtime.stream([one, two, two, two, one]))


def batches_of(pixels: Any, sizes: list[int]) -> list[Any]:
    return np.split(pixels, np.cumsum(sizes)[:-1])


@pytest.mark.parametrize("bulk", [False, True])
def test_a_stream_answers_in_order_whatever_the_batches(tiny, model, engine, bulk):
    opened = open_runtime(model.SerializeToString(), engine=engine, bulk=bulk)
    sizes = [1, 30, 2, 1, 17, 1, 8]
    pixels = tiny.pixels(sum(sizes), seed=6)
    found = list(opened.stream(batches_of(pixels, sizes), ("features", "scores")))
    assert [len(each.scores) for each in found] == sizes
    assert {each.maps for each in found} == {None}
    whole = opened.run(pixels, ("features", "scores"))
    for name in ("features", "scores"):
        joined = np.concatenate([getattr(each, name) for each in found])
        np.testing.assert_allclose(joined, getattr(whole, name), atol=1e-5)


def test_a_stream_of_nothing_gives_nothing(runtime):
    assert list(runtime.stream([])) == []


def test_a_stream_takes_only_a_few_batches_ahead(tiny, runtime):
    taken = []

    def endless() -> Iterator[Any]:
        while True:
            taken.append(1)
            yield tiny.pixels(1)

    answers = runtime.stream(endless())
    assert taken == []  # nothing runs that nobody waits for
    for n_answers in range(1, 6):
        next(answers)
        assert n_answers <= len(taken) <= n_answers + 3
    answers.close()
    assert runtime.run(tiny.pixels(1)).scores.shape == (1, 3)


def test_what_the_batches_raise_comes_out_and_the_runtime_answers_on(tiny, runtime):
    def breaking() -> Iterator[Any]:
        yield from batches_of(tiny.pixels(4), [1, 1, 2])
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(runtime.stream(breaking()))
    assert runtime.run(tiny.pixels(1)).scores.shape == (1, 3)
    assert not [t for t in threading.enumerate() if t.name.startswith("fieldmark-network")]


def test_a_wrong_batch_of_a_stream_is_refused_as_it_would_be_alone(tiny, runtime):
    wrong = np.zeros((1, 9, 9, 3), np.uint8)
    with pytest.raises(UsageError, match="was given uint8 pixels") as caught:
        list(runtime.stream([tiny.pixels(2), wrong]))
    assert caught.value.code == "wrong-input"
    with pytest.raises(UsageError, match="no output 'probs'") as caught:
        list(runtime.stream([tiny.pixels(2)], ("probs",)))
    assert caught.value.code == "wrong-output"


def test_answers_of_a_stream_stay_as_they_were(tiny, runtime):
    """An engine writes its next answer where the last one was; what was given out is a copy."""
    batches = batches_of(tiny.pixels(24, seed=9), [2] * 12)
    kept = list(runtime.stream(iter(batches), OUTPUTS))
    for batch, answer in zip(batches, kept, strict=True):
        np.testing.assert_allclose(answer.maps, runtime.run(batch, OUTPUTS).maps, atol=1e-5)


def test_many_streams_may_run_at_once(tiny, runtime):
    def scores(seed: int) -> Any:
        batches = batches_of(tiny.pixels(12, seed=seed), [3] * 4)
        return np.concatenate([each.scores for each in runtime.stream(batches)])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(scores, range(8)))
    for seed, each in enumerate(found):
        wanted = tiny.softmax(tiny.logits(tiny.pixels(12, seed=seed)))
        np.testing.assert_allclose(each, wanted, atol=1e-5)


def test_openvino_is_chosen_for_many_pictures_where_it_is_installed(model, monkeypatch):
    needs_openvino()
    data = model.SerializeToString()
    assert open_runtime(data, bulk=True).name.startswith("openvino ")
    assert open_runtime(data).name.startswith("onnxruntime ")
    monkeypatch.setattr(runtime_file, "_has_openvino", lambda: False)
    assert open_runtime(data, bulk=True).name.startswith("onnxruntime ")


def test_an_engine_that_is_not_installed_is_not_replaced_in_silence(model, monkeypatch):
    monkeypatch.setattr(runtime_file, "_has_openvino", lambda: False)
    with pytest.raises(MissingExtra, match="OpenVINO is not installed") as caught:
        open_runtime(model.SerializeToString(), engine="openvino")
    assert caught.value.code == "extra-missing"
    assert "fieldmark[openvino]" in caught.value.hint


def test_an_engine_that_does_not_exist_is_refused(model):
    with pytest.raises(UsageError, match="no engine 'tensorrt'") as caught:
        open_runtime(model.SerializeToString(), engine="tensorrt")
    assert caught.value.code == "engine-unknown"
    assert "openvino" in caught.value.hint


def test_outputs_cannot_be_changed():
    with pytest.raises(AttributeError, match="scores"):
        Outputs().scores = None


class Another:
    """An engine that answers like another one, but for what is added to its logits."""

    def __init__(self, other: Runtime, added: float) -> None:
        self.other, self.added = other, added
        self.name, self.shape = "another", other.shape

    def run(self, pixels: Any, outputs: Any = ("scores",)) -> Outputs:
        found = self.other.run(pixels, outputs)
        return Outputs(logits=found.logits + self.added, maps=found.maps)


@pytest.mark.parametrize(
    ("added", "agrees"), [(0, True), (1e-4, True), (1, False), (np.nan, False)]
)
def test_engines_agree_when_no_value_is_far_off(model, added, agrees):
    usual = open_runtime(model.SerializeToString())
    difference = runtime_file._difference(Another(usual, added), usual, ("logits", "maps"))
    assert (difference <= runtime_file.AGREEMENT) == agrees


def test_openvino_that_computes_wrongly_is_not_used(model, monkeypatch):
    needs_openvino()
    data = model.SerializeToString()
    monkeypatch.setattr(runtime_file, "_difference", lambda fast, usual, outputs: 0.25)
    assert open_runtime(data, bulk=True).name.startswith("onnxruntime ")
    with pytest.raises(BundleError, match=r"otherwise than ONNX Runtime, by 0\.25") as caught:
        open_runtime(data, engine="openvino")
    assert caught.value.code == "engine-differs"


def test_an_engine_without_memory_is_not_a_damaged_file() -> None:
    found = unusable("The network cannot run", RuntimeError("std::bad_alloc"))
    assert (type(found), found.code) == (OutOfMemory, "out-of-memory")
    assert unusable("The network cannot run", RuntimeError("no")).code == "model-damaged"
