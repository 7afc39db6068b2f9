"""Backbones from elsewhere: features are those of the file; every unsuitable file is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from fieldmark.bundle import check_onnx
from fieldmark.errors import BundleError, FieldmarkError, LayerListError, UsageError
from fieldmark.networks import foreign_file
from fieldmark.networks.foreign import SCALINGS, ForeignBackbone, Scaling, without_folder
from fieldmark.networks.layer_table import layer_table
from fieldmark.networks.layers import Backbone, Network
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import Plan, plan
from fieldmark.networks.weights import initial, pretrained
from tests.foreign_nets import N_MAPS, SIZE, Layout, backbone, constant, model, saved

HERE = (SIZE, SIZE)


def pixels(n: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


def session(graph: bytes | Path) -> Any:
    given = graph if isinstance(graph, bytes) else str(graph)
    return onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])


def read(made: Any, *, output: str = "", scaling: Scaling | None = None) -> ForeignBackbone:
    data = made if isinstance(made, bytes) else made.SerializeToString()
    given = scaling or SCALINGS["imagenet"]
    return foreign_file.from_bytes(data, "onnx:net.onnx", HERE, given, output=output)


def planned(found: ForeignBackbone, n_classes: int = 3) -> Plan:
    network = Network(parse("INPUT 16x16x3 -> GAP -> FC").input, (Backbone(found.source), *HEAD))
    return plan(network, n_classes, foreign=found)


HEAD = parse("INPUT 8x8x3 -> FC").items


def answers(found: ForeignBackbone, given: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    made = planned(found)
    names = ["scores", "features", "maps"]
    run = session(onnx_graph(made, initial(made, seed=0))).run(names, {"pixels": given})
    return dict(zip(names, run, strict=True))


def original(
    made: Any, output: str, given: NDArray[np.uint8], scaling: Scaling, layout: Layout
) -> NDArray[np.float32]:
    """What ONNX Runtime makes of the file as it is, with the same scaling done by NumPy."""
    values = given[..., ::-1] if scaling.bgr else given
    values = ((values - np.array(scaling.mean)) / np.array(scaling.deviation)).astype(np.float32)
    if layout == "nchw":
        values = values.transpose(0, 3, 1, 2)
    return session(made.SerializeToString()).run([output], {"image": values})[0]  # type: ignore[no-any-return]


# --- the same numbers


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("size", [SIZE, "free"])
def test_features_are_those_of_the_file(layout: Layout, pooled: bool, size: int | str) -> None:
    made = backbone(layout, pooled=pooled, size=size)
    found, given = read(made), pixels()
    wanted = original(made, found.output_name, given, found.scaling, layout)
    if not pooled:
        wanted = wanted.mean((1, 2) if layout == "nhwc" else (2, 3))
    got = answers(found, given)
    np.testing.assert_allclose(got["features"], wanted, atol=1e-5)
    assert (found.layout, found.size, found.n_features) == (layout, HERE, N_MAPS)
    assert found.output == ((N_MAPS,) if pooled else (8, 8, N_MAPS))
    assert got["maps"].shape == ((5, 3, 16, 16) if pooled else (5, N_MAPS, 8, 8))


@pytest.mark.parametrize(
    "scaling", [*SCALINGS.values(), Scaling((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), bgr=True)]
)
def test_pixels_are_scaled_as_was_said(scaling: Scaling) -> None:
    made = backbone()
    found, given = read(made, scaling=scaling), pixels()
    wanted = original(made, "list", given, scaling, "nchw")
    got = answers(found, given)["features"]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_any_tensor_can_be_asked_for_by_name() -> None:
    made = backbone()
    found, given = read(made, output="b"), pixels()
    assert found.output == (8, 8, 8)
    wanted = original(_with_output(made, "b"), "b", given, found.scaling, "nchw")
    np.testing.assert_allclose(answers(found, given)["features"], wanted.mean((2, 3)), atol=1e-5)
    assert found.n_weights == 8 * 27  # what the second CONV has learned is left behind


def _with_output(made: Any, name: str) -> Any:
    again = onnx.ModelProto()
    again.CopyFrom(made)
    again.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return again


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_one_picture_at_a_time_in_the_file_is_many_here(layout: Layout) -> None:
    found = read(backbone(layout, batch=1))
    both = answers(found, pixels(4))["features"]
    alone = [answers(found, pixels(4)[at : at + 1])["features"][0] for at in range(4)]
    np.testing.assert_allclose(both, alone, atol=1e-6)


def test_what_is_kept_passes_the_check_of_a_model_file() -> None:
    found = read(backbone())
    check_onnx(found.onnx)
    kinds = {node.op_type for node in onnx.load_model_from_string(found.onnx).graph.node}
    assert kinds == {"Conv", "Relu", "HardSwish", "Identity", "ReduceMean"}


def test_the_same_file_gives_the_same_bytes_and_only_names_of_ours() -> None:
    first, second = read(backbone()), read(backbone())
    assert first == second
    names = {
        name for node in onnx.load_model_from_string(first.onnx).graph.node for name in node.output
    }
    assert all(name == "y" or name.startswith("t") for name in names)


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_files_of_other_opsets_are_converted(opset: int) -> None:
    made = _other_opset(opset)
    found, given = read(made), pixels()
    wanted = original(made, "list", given, found.scaling, "nchw")
    np.testing.assert_allclose(answers(found, given)["features"], wanted, atol=1e-5)


def _other_opset(opset: int) -> Any:
    """A CONV, RELU, and the mean of each map as that opset writes it."""
    weights = np.random.default_rng(0).normal(0, 0.3, (6, 3, 3, 3)).astype(np.float32)
    constants = [constant("w", weights)]
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
    ]
    if opset >= 18:
        constants.append(constant("axes", np.array([2, 3])))
        nodes.append(helper.make_node("ReduceMean", ["b", "axes"], ["list"], keepdims=0))
    else:
        nodes.append(helper.make_node("ReduceMean", ["b"], ["list"], axes=[2, 3], keepdims=0))
    inputs = [("image", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])]
    return model(nodes, inputs, [("list", ["n", 6])], constants, opset)  # type: ignore[arg-type]


# --- the plan, the table, the list


def test_the_plan_has_one_step_for_it_and_none_of_its_weights() -> None:
    made = planned(read(backbone()))
    assert [step.name for step in made.steps] == ["backbone1", "fc1"]
    assert made.weight_shapes == {"fc1/kernel": (N_MAPS, 3), "fc1/bias": (3,)}
    assert made.backbone is not None
    assert made.backbone.stop == 1
    assert pretrained(made) == {}


def test_a_feature_map_is_averaged_and_shown_as_maps() -> None:
    made = planned(read(backbone(pooled=False)))
    assert [step.name for step in made.steps] == ["backbone1", "gap1", "fc1"]
    assert made.maps_at == 0


def test_the_table_shows_one_row_with_its_weights_and_work() -> None:
    found = read(backbone())
    row = next(row for row in layer_table(planned(found)).rows if row.kind == "BACKBONE")
    assert row.weights == found.n_weights == 8 * 27 + N_MAPS * 8 * 9 + N_MAPS
    # Each CONV gives 8x8; the border, as a convolution of ones, is work too.
    work = 64 * (8 * 27 + N_MAPS * 8 * 9)
    assert work <= row.multiply_adds == found.multiply_adds <= 1.02 * work
    assert row.what == "onnx:net.onnx"


def test_the_list_keeps_paths_with_blanks_and_the_scale() -> None:
    text = 'INPUT 16x16x3 -> BACKBONE "onnx:my nets/a -> b.onnx@pool 5" scale unit -> FC'
    network = parse(text)
    assert str(network) == text
    assert network.items[0] == Backbone("onnx:my nets/a -> b.onnx@pool 5", scale="unit")
    assert parse(str(network)) == network


@pytest.mark.parametrize("scale", [None, "imagenet", "unit", "centred", "none"])
@pytest.mark.parametrize("source", ["onnx:/a/b-c.onnx", "keras:MobileNetV2", "onnx:ü ö.onnx", "x"])
def test_printing_and_parsing_are_inverse(source: str, scale: Any) -> None:
    for stages in (0, 3):
        network = Network(
            parse("INPUT 8x8x3 -> FC").input, (Backbone(source, stages, scale), *HEAD)
        )
        assert parse(str(network)) == network


def test_an_unknown_scale_is_pointed_at() -> None:
    with pytest.raises(LayerListError, match="no way to scale"):
        parse("INPUT 16x16x3 -> BACKBONE onnx:a.onnx scale half -> FC")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("INPUT 16x16x3 -> BACKBONE onnx:a.onnx stages 2 -> FC", "stages of onnx:a.onnx"),
        ("INPUT 16x16x3 -> RELU -> BACKBONE onnx:a.onnx -> FC", "right behind INPUT"),
        ("INPUT 16x16x1 -> BACKBONE onnx:a.onnx -> FC", "wants colours"),
        ("INPUT 16x16x3 -> BACKBONE onnx:a.onnx -> FC", "was not read"),
        ("INPUT 64x64x3 -> BACKBONE efficientnet-lite0 scale unit -> FC", "as it was trained"),
    ],
)
def test_a_backbone_that_does_not_fit_the_list_is_pointed_at(text: str, words: str) -> None:
    with pytest.raises(LayerListError, match=words):
        plan(parse(text), 2)


def test_a_plan_for_another_size_is_refused() -> None:
    found = read(backbone(size="free"))
    with pytest.raises(LayerListError, match="for pictures of 32x32"):
        plan(parse("INPUT 32x32x3 -> BACKBONE onnx:net.onnx -> FC"), 2, foreign=found)


def test_others_learn_the_name_and_not_the_folder() -> None:
    assert without_folder(r"onnx:C:\nets\a.onnx") == "onnx:a.onnx"
    assert without_folder("keras:ResNet50") == "keras:ResNet50"


# --- refused


def external(made: Any) -> None:
    made.graph.initializer[0].ClearField("raw_data")
    made.graph.initializer[0].data_location = TensorProto.EXTERNAL
    made.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def custom_domain(made: Any) -> None:
    made.graph.node[1].domain = "com.microsoft"
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def loop(made: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    made.graph.node.append(helper.make_node("Loop", ["", ""], ["looped"], body=body))


def function(made: Any) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    opset = [helper.make_opsetid("", 17)]
    made.functions.append(helper.make_function("ours", "F", ["x"], ["y"], nodes, opset))


def two_inputs(made: Any) -> None:
    extra = helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 3])
    made.graph.input.append(extra)


def int_input(made: Any) -> None:
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8


def half_input(made: Any) -> None:
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def flat_input(made: Any) -> None:
    del made.graph.input[0].type.tensor_type.shape.dim[2:]


def grey_input(made: Any) -> None:
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1


def other_size(made: Any) -> None:
    for at in (2, 3):
        made.graph.input[0].type.tensor_type.shape.dim[at].dim_value = 224


def no_features(made: Any) -> None:
    made.graph.node.append(helper.make_node("ReduceMean", ["list"], ["one"], keepdims=0))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("one", TensorProto.FLOAT, []))


def one_at_a_time(made: Any) -> None:
    made.graph.initializer.append(constant("to", np.array([1, -1])))
    made.graph.node.append(helper.make_node("Reshape", ["list", "to"], ["row"]))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("row", TensorProto.FLOAT, None))


def training_mode(made: Any) -> None:
    made.graph.node[-2].attribute.append(helper.make_attribute("training_mode", 1))


def unknown_operator(made: Any) -> None:
    made.graph.node[2].op_type = "Teleport"


def huge(made: Any) -> None:
    made.graph.node[1].attribute[0].ints[:] = [9_000] * 4


def no_opset(made: Any) -> None:
    del made.opset_import[:]


TROUBLES: list[tuple[Callable[[Any], None], str, str]] = [
    (external, "backbone-unsafe", "external data"),
    (custom_domain, "backbone-unsafe", "'com.microsoft'"),
    (loop, "backbone-unsafe", "control flow"),
    (function, "backbone-unsafe", "functions"),
    (huge, "backbone-unsafe", "numbers for one picture"),
    (two_inputs, "backbone-unsuited", r"2 inputs \(image, mask\)"),
    (int_input, "backbone-unsuited", "input is uint8"),
    (half_input, "backbone-unsuited", "input is float16"),
    (flat_input, "backbone-unsuited", r"the shape \(\?, 3\)"),
    (grey_input, "backbone-unsuited", r"the shape \(\?, 1, 16, 16\)"),
    (other_size, "backbone-unsuited", "INPUT is 16x16"),
    (no_features, "backbone-unsuited", "No list of features"),
    (one_at_a_time, "backbone-unsuited", "one picture at a time"),
    (training_mode, "backbone-unsuited", "training mode"),
    (unknown_operator, "backbone-unsuited", "Teleport"),
    (no_opset, "backbone-unsuited", "which opset"),
]


@pytest.mark.parametrize(
    ("trouble", "code", "words"), TROUBLES, ids=[t[0].__name__ for t in TROUBLES]
)
def test_an_unsuitable_file_is_refused_with_its_reason(
    trouble: Callable[[Any], None], code: str, words: str
) -> None:
    made = backbone()
    trouble(made)
    with pytest.raises(FieldmarkError, match=words) as caught:
        read(made)
    assert caught.value.code == code
    assert caught.value.where == "onnx:net.onnx"
    assert caught.value.why
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\x08\x08"]
)
def test_what_is_no_onnx_file_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="not an ONNX file") as caught:
        read(data)
    assert caught.value.code == "backbone-damaged"


def test_any_damage_ends_in_a_refusal_or_in_a_graph_that_passes() -> None:
    """Flipped bytes: never another exception, never a graph that the model file would refuse."""
    whole = backbone().SerializeToString()
    generator = np.random.default_rng(5)
    for _ in range(60):
        raw = bytearray(whole)
        for at in generator.integers(0, len(raw), 3):
            raw[at] = int(generator.integers(256))
        try:
            found = read(bytes(raw))
        except FieldmarkError:
            continue
        onnx.checker.check_model(onnx.load_model_from_string(found.onnx))


def test_a_name_that_is_not_in_the_graph_is_refused() -> None:
    with pytest.raises(UsageError, match="No list of features"):
        read(backbone(), output="nowhere")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    item = Backbone(f"onnx:{tmp_path / 'none.onnx'}")
    with pytest.raises(UsageError, match="cannot be read") as caught:
        foreign_file.read(item, HERE)
    assert caught.value.code == "backbone-missing"
    assert caught.value.where == str(tmp_path / "none.onnx")


def test_a_file_beyond_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_file, "MAX_BYTES", 1_000)
    path = saved(backbone(), tmp_path / "large.onnx")
    with pytest.raises(BundleError, match="larger than"):
        foreign_file.read(Backbone(f"onnx:{path}"), HERE)
