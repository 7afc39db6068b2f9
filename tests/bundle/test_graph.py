"""The graph check, held against the ``onnx`` library and against ways around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fieldmark.bundle import check_onnx
from fieldmark.errors import BundleError


def tensor() -> TensorProto:
    return numpy_helper.from_array(np.arange(4, dtype=np.float32), "extra")


def external(location: str, **more: str) -> TensorProto:
    made = tensor()
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        made.external_data.add(key=key, value=value)
    return made


def with_initializer(model: Any, made: TensorProto) -> Any:
    model.graph.initializer.append(made)
    return model


def with_attribute(model: Any, attribute: Any) -> Any:
    model.graph.node[0].attribute.append(attribute)
    return model


@pytest.fixture
def model(tiny: ModuleType) -> Any:
    return tiny.model()


def test_the_networks_that_fieldmark_writes_pass(model):
    check_onnx(model.SerializeToString())


def test_every_plain_thing_that_onnx_can_say_passes(model):
    model.doc_string = "text"
    model.producer_name = "someone"
    model.producer_version = "1"
    model.model_version = 3
    model.domain = "org.example"  # a name for the model, no operator's domain
    model.opset_import[0].domain = "ai.onnx"
    model.graph.doc_string = "text"
    model.graph.node[0].domain = "ai.onnx"
    model.graph.node[0].doc_string = "text"
    model.graph.value_info.add().name = "maps"
    helper.set_model_props(model, {"key": "value"})
    for name, value in {"f": 1.5, "i": 3, "s": "x", "fs": [1.0], "is": [1, 2], "ss": ["a"]}.items():
        with_attribute(model, helper.make_attribute(name, value))
    with_attribute(model, helper.make_attribute("t", tensor()))
    for kind in (TensorProto.INT64, TensorProto.DOUBLE, TensorProto.INT8, TensorProto.UINT64):
        with_initializer(model, helper.make_tensor("n", kind, [2], [1, 2]))
    with_initializer(model, helper.make_tensor("s", TensorProto.STRING, [1], [b"text"]))
    check_onnx(model.SerializeToString())


def test_a_tensor_that_states_the_default_place_passes(model):
    model.graph.initializer[0].data_location = TensorProto.DEFAULT
    assert model.graph.initializer[0].HasField("data_location")
    check_onnx(model.SerializeToString())


LOCATIONS = [
    "weights.bin",
    "../weights.bin",
    "/etc/passwd",
    "/proc/self/environ",
    "*/_ORT_MEM_ADDR_/*",
    "",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_external_data_is_refused_wherever_it_points(model, location):
    with_initializer(model, external(location, offset="0", length=str(1 << 40)))
    with pytest.raises(BundleError, match="external data") as caught:
        check_onnx(model.SerializeToString())
    assert caught.value.code == "model-unsafe"


def test_external_data_in_the_current_directory_is_refused(model, tmp_path: Path, monkeypatch):
    (tmp_path / "weights.bin").write_bytes(np.zeros(4, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    with_initializer(model, external("weights.bin"))
    with pytest.raises(BundleError, match="external data"):
        check_onnx(model.SerializeToString())


def without_place(made: TensorProto) -> TensorProto:
    made.ClearField("data_location")
    return made


def without_entries(made: TensorProto) -> TensorProto:
    made.ClearField("external_data")
    return made


def foreign_node(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


def foreign_opset(model: Any) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))


def look_alike_domain(model: Any) -> None:
    model.graph.node[0].domain = "ai.onnx\0"


def local_function(model: Any) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("ours", "F", ["x"], ["y"], nodes, opset))


def sub_graph(model: Any) -> None:
    with_attribute(model, helper.make_attribute("body", helper.make_graph([], "g", [], [])))


def sub_graphs(model: Any) -> None:
    with_attribute(model, helper.make_attribute("bodies", [helper.make_graph([], "g", [], [])]))


def training_graph(model: Any) -> None:
    model.training_info.add()


def sparse_initializer(model: Any) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external("weights.bin"))


def tensor_attribute(model: Any) -> None:
    with_attribute(model, helper.make_attribute("value", external("weights.bin")))


def tensors_attribute(model: Any) -> None:
    with_attribute(model, helper.make_attribute("values", [external("weights.bin")]))


def only_entries(model: Any) -> None:
    with_initializer(model, without_place(external("weights.bin")))


def only_place(model: Any) -> None:
    with_initializer(model, without_entries(external("weights.bin")))


ATTACKS: list[tuple[Callable[[Any], None], str]] = [
    (foreign_node, "'com.microsoft'"),
    (foreign_opset, "'ai.onnx.ml'"),
    (look_alike_domain, "domain"),
    (local_function, "local functions"),
    (sub_graph, "a sub-graph"),
    (sub_graphs, "sub-graphs"),
    (training_graph, "a training graph"),
    (sparse_initializer, "GraphProto 15"),
    (tensor_attribute, "external data"),
    (tensors_attribute, "external data"),
    (only_entries, "external data"),
    (only_place, "external data"),
]


@pytest.mark.parametrize(("attack", "words"), ATTACKS, ids=[a.__name__ for a, _ in ATTACKS])
def test_what_could_reach_beyond_the_graph_is_refused_by_its_name(model, attack, words):
    attack(model)
    with pytest.raises(BundleError, match=words) as caught:
        check_onnx(model.SerializeToString())
    assert caught.value.code == "model-unsafe"
    assert caught.value.why
    assert caught.value.hint


def field(number: int, wire: int, payload: bytes = b"") -> bytes:
    return varint(number << 3 | wire) + payload


def varint(value: int, length: int = 0) -> bytes:
    """Encode; ``length`` pads to so many bytes, which protobuf readers mostly accept."""
    found = []
    while value > 0x7F or len(found) + 1 < length:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def block(number: int, payload: bytes) -> bytes:
    return field(number, 2, varint(len(payload)) + payload)


HIDDEN = external("weights.bin").SerializeToString()


@pytest.mark.parametrize(
    "tail",
    [
        block(7, block(5, HIDDEN)),  # a second graph, which protobuf merges into the first
        block(7, b"") + block(7, block(5, HIDDEN)),
        varint(7 << 3 | 2, 5) + varint(len(block(5, HIDDEN))) + block(5, HIDDEN),  # padded tag
        varint(1 << 32 | 7 << 3 | 2)
        + varint(len(block(5, HIDDEN)))
        + block(5, HIDDEN),  # wraps round
        block(7, field(5, 3) + HIDDEN + field(5, 4)),  # a group
        block(7, block(5, field(14, 0, varint(1 << 32 | 1)))),  # wraps round to EXTERNAL
        block(7, block(5, field(14, 0, varint(1, 9)))),
        block(7, block(5, field(14, 2, b"\x01\x01"))),
        block(7, field(5, 0, b"\x01")),  # a tensor that is a number
        block(99, b"from the future"),
        b"\x00",  # field number 0
        b"\x3a",  # a tag without anything
        b"\x3a\x05\x00",  # longer than the file
        b"\x3a" + b"\xff" * 9 + b"\x01",  # longer than any file
        b"\x80" * 11,
        b"\x0d\x00",  # four bytes announced, one given
        b"\x09\x00",
        b"\x0e",  # wire type 6
        b"\x0f",
    ],
)
def test_no_other_spelling_gets_around_the_check(model, tail):
    with pytest.raises(BundleError, match="ONNX graph"):
        check_onnx(model.SerializeToString() + tail)


@pytest.mark.parametrize("data", [b"", b"\x08\x08", b"\x08\x08\x12\x01x"])
def test_bytes_without_a_graph_are_refused(data):
    with pytest.raises(BundleError, match="not an ONNX graph") as caught:
        check_onnx(data)
    assert caught.value.code == "model-damaged"


def test_a_million_tiny_fields_are_refused_in_time(model):
    with pytest.raises(BundleError, match="more than 250,000 fields"):
        check_onnx(model.SerializeToString() + b"\x08\x01" * 1_000_001)


def is_clean(data: bytes) -> bool:
    """What the onnx library sees, on the bytes that it can read at all."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception:
        return True  # ONNX Runtime reads with the same library, and refuses too
    tensors = [*model.graph.initializer]
    for node in model.graph.node:
        tensors += [attribute.t for attribute in node.attribute]
        tensors += [one for attribute in node.attribute for one in attribute.tensors]
    domains = {node.domain for node in model.graph.node}
    domains |= {opset.domain for opset in model.opset_import}
    nested = any(a.HasField("g") or a.graphs for node in model.graph.node for a in node.attribute)
    outside = any(t.data_location != TensorProto.DEFAULT or t.external_data for t in tensors)
    return not (
        nested
        or outside
        or model.functions
        or model.training_info
        or model.graph.sparse_initializer
        or not domains <= {"", "ai.onnx"}
    )


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_passes_is_clean_in_the_eyes_of_onnx(tiny, data):
    hostile = tiny.model()
    for attack, _ in data.draw(st.lists(st.sampled_from(ATTACKS), max_size=2)):
        attack(hostile)
    raw = bytearray(hostile.SerializeToString())
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        check_onnx(bytes(raw))
    except BundleError:
        return
    assert is_clean(bytes(raw))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_as_a_verdict(data):
    try:
        check_onnx(data)
    except BundleError:
        return
    assert is_clean(data)


@pytest.mark.parametrize(
    "operator", ["Teleport", "ConstantOfShape", "Expand", "Tile", "If", "Loop"]
)
def test_an_operator_that_is_not_on_the_list_is_refused_before_anything_runs(operator):
    node = helper.make_node(operator, ["x"], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", [], []))
    with pytest.raises(BundleError, match=f"the operator '{operator}'"):
        check_onnx(model.SerializeToString())


def test_the_writer_of_networks_uses_only_operators_on_the_list():
    from fieldmark.networks import CATALOGUE, weights
    from fieldmark.networks.onnx_graph import onnx_graph
    from fieldmark.networks.volumes import plan

    for architecture in CATALOGUE.values():
        made = plan(architecture.network(size=32), 2)
        check_onnx(onnx_graph(made, weights.initial(made, seed=0)))
