"""What a bundle may hold: one set of checks, whether it was made here or read from a file."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import bundle
from fieldmark.bundle.contents import Bundle, from_parts, to_parts
from fieldmark.bundle.strict_json import MAX_DEPTH, dump_json, load_json
from fieldmark.errors import BundleError, UsageError
from fieldmark.modalities.base import InputSpec


@pytest.fixture
def tiny_bundle(tiny) -> Bundle:
    return tiny.tiny_bundle()


def back(parts: dict[str, bytes], weights: bool = True) -> Bundle:
    return from_parts(parts, name="n", created="", model_id="", weights=weights)


def refused(path: Any, match: str, code: str = "model-damaged") -> None:
    with pytest.raises(BundleError, match=match) as caught:
        bundle.read(path, weights=True)
    assert caught.value.code == code
    assert caught.value.where == str(path)


def test_parts_become_the_same_bundle_again(tiny_bundle):
    found = back(to_parts(tiny_bundle))
    for name in ("network", "onnx", "classes", "spec", "decision", "recipe", "report", "card"):
        assert getattr(found, name) == getattr(tiny_bundle, name)
    np.testing.assert_array_equal(found.golden_inputs, tiny_bundle.golden_inputs)
    np.testing.assert_array_equal(found.golden_scores, tiny_bundle.golden_scores)
    assert found.weights.keys() == tiny_bundle.weights.keys()
    for name, array in tiny_bundle.weights.items():
        np.testing.assert_array_equal(found.weights[name], array)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(
    classes=st.lists(names, min_size=3, max_size=3, unique=True),
    report=st.dictionaries(names, json_values, max_size=3),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
def test_any_names_and_texts_survive(tiny, classes, report, text):
    made = dataclasses.replace(
        tiny.tiny_bundle(), classes=tuple(classes), report=report, network=text, card=text
    )
    parts = to_parts(made)
    found = back(parts)
    assert (found.classes, found.report) == (tuple(classes), report)
    assert (found.network, found.card) == (text, text)
    assert to_parts(found) == parts


def test_the_layout_of_arrays_in_memory_does_not_change_the_bytes(tiny_bundle):
    turned = dataclasses.replace(
        tiny_bundle,
        golden_inputs=np.asfortranarray(tiny_bundle.golden_inputs),
        golden_scores=np.repeat(tiny_bundle.golden_scores, 2, axis=1)[:, ::2],
        weights={
            name: np.asfortranarray(array)
            for name, array in reversed([*tiny_bundle.weights.items()])
        },
    )
    assert to_parts(turned) == to_parts(tiny_bundle)


def test_weights_of_any_shape_survive(tiny_bundle):
    arrays = {"number": np.float32(3), "none": np.zeros((0, 4)), "whole": np.arange(3)}
    found = back(to_parts(dataclasses.replace(tiny_bundle, weights=arrays))).weights
    assert {name: array.shape for name, array in found.items()} == {
        "number": (),
        "none": (0, 4),
        "whole": (3,),
    }


def test_weights_that_were_not_asked_for_say_so_instead_of_being_lost(tiny_bundle, tmp_path):
    unread = back(to_parts(tiny_bundle), weights=False)
    for use in (list, len, bool, dict, lambda weights: weights["conv1/kernel"]):
        with pytest.raises(UsageError, match="were not read") as caught:
            use(unread.weights)
        assert caught.value.code == "weights-not-read"
    with pytest.raises(UsageError, match="were not read"):
        bundle.write(tmp_path / "x.fieldmark", unread)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines", "\x1b[31mred", "\ud800", 7, None])
def test_a_name_that_cannot_be_shown_is_refused(tiny_bundle, name):
    with pytest.raises(BundleError, match="1 to 200 printable"):
        dataclasses.replace(tiny_bundle, name=name)


@pytest.mark.parametrize(
    "classes",
    [[], ["a", "b", "a"], ["a", "b", ""], ["a", "b", 3], ["a", "b", None], ["a", "b", "\ud800"],
     {"a": 0, "b": 1, "c": 2}, "abc", None, 3, [["a"], ["b"], ["c"]]],
)  # fmt: skip
def test_class_names_that_are_no_list_of_distinct_texts_are_refused(forge, parts_of, classes):
    parts_of["classes.json"] = json.dumps(classes).encode()
    refused(forge(parts_of), "distinct, non-empty texts")


def test_a_class_too_many_is_refused(tiny_bundle):
    with pytest.raises(BundleError, match=r"\(3, 4\) belong together"):
        dataclasses.replace(tiny_bundle, classes=("a", "b", "c", "d"))


@pytest.mark.parametrize("temperature", [0, -1, "1", None, True, [1], {}])
def test_a_temperature_that_is_no_number_above_zero_is_refused(forge, parts_of, temperature):
    parts_of["decision.json"] = json.dumps({"temperature": temperature}).encode()
    refused(forge(parts_of), "temperature is not a number above 0")


@pytest.mark.parametrize("temperature", [float("inf"), float("nan")])
def test_a_temperature_that_is_not_finite_is_refused(tiny_bundle, temperature):
    with pytest.raises(BundleError, match="temperature is not a number above 0"):
        dataclasses.replace(tiny_bundle, decision={"temperature": temperature})


def test_the_temperature_is_one_where_nothing_is_said(tiny_bundle):
    assert dataclasses.replace(tiny_bundle, decision={}).temperature == 1.0
    assert dataclasses.replace(tiny_bundle, decision={"temperature": 2}).temperature == 2.0


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz(array: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, array)
    return stream.getvalue()


def header(text: str, payload: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode() + payload


GOOD = np.full((3, 3), 1 / 3, np.float32)
SCORES = {
    "other type": npy(GOOD.astype(np.float64)),
    "whole numbers": npy(GOOD.astype(np.int32)),
    "big-endian": npy(GOOD.astype(">f4")),
    "Fortran order": npy(np.asfortranarray(np.random.default_rng(0).random((3, 3), np.float32))),
    "objects": npy(np.array([[1, 2, 3]] * 3, dtype=object), allow_pickle=True),
    "another shape": npy(GOOD[:2]),
    "more dimensions": npy(GOOD[None]),
    "no dimensions": npy(np.float32(1)),
    "NaN": npy(np.where(np.eye(3) > 0, np.nan, GOOD).astype(np.float32)),
    "infinity": npy(np.where(np.eye(3) > 0, np.inf, GOOD).astype(np.float32)),
    "negative": npy(np.where(np.eye(3) > 0, -0.1, GOOD).astype(np.float32)),
    "above one": npy(GOOD + 1),
    "shorter than stated": npy(GOOD)[:-1],
    "longer than stated": npy(GOOD) + b"\0",
    "a zip": npz(GOOD),
    "a pickle": b"\x80\x04K\x01.",
    "empty": b"",
    "newer version": b"\x93NUMPY\3\0" + npy(GOOD)[8:],
    "huge": header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 4)}\n"),
    "negative shape": header("{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 3)}\n"),
    "code for a header": header("__import__('os').abort()\n"),
    "deep header": header("(" * 5000 + ")" * 5000),
    "long header": header(" " * 60000),
    "unknown type": header("{'descr': 'evil', 'fortran_order': False, 'shape': (3, 3)}\n"),
    "records": npy(np.zeros((3, 3), dtype=[("a", "<f4")])),
}


@pytest.mark.parametrize("data", SCORES.values(), ids=SCORES)
def test_golden_scores_that_are_no_scores_are_refused(forge, parts_of, data):
    parts_of["golden/scores.npy"] = data
    refused(forge(parts_of), "golden")


INPUTS = {
    "other type": np.zeros((3, 8, 8, 3), np.int8),
    "numbers": np.zeros((3, 8, 8, 3), np.float32),
    "another size": np.zeros((3, 8, 9, 3), np.uint8),
    "grey": np.zeros((3, 8, 8), np.uint8),
    "another count": np.zeros((2, 8, 8, 3), np.uint8),
    "none": np.zeros((0, 8, 8, 3), np.uint8),
}


@pytest.mark.parametrize("array", INPUTS.values(), ids=INPUTS)
def test_golden_inputs_that_the_network_does_not_accept_are_refused(forge, parts_of, array):
    parts_of["golden/inputs.npy"] = npy(array)
    refused(forge(parts_of), "golden")


@pytest.mark.parametrize(("n", "good"), [(0, False), (1, True), (64, True), (65, False)])
def test_there_are_1_to_64_golden_inputs(tiny_bundle, n, good):
    arrays = {
        "golden_inputs": np.zeros((n, 8, 8, 3), np.uint8),
        "golden_scores": np.ones((n, 3), np.float32) / 3,
    }
    if good:
        assert len(dataclasses.replace(tiny_bundle, **arrays).golden_inputs) == n
    else:
        with pytest.raises(BundleError, match="with 1 to 64 inputs"):
            dataclasses.replace(tiny_bundle, **arrays)


SPEC = InputSpec(height=8, width=8).to_dict()


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {**SPEC, "height": 7},
        {**SPEC, "height": "8"},
        {**SPEC, "height": 8.0},
        {**SPEC, "height": None},
        {**SPEC, "channels": True},
        {**SPEC, "fit": "other"},
        {**SPEC, "fit": []},
        {**SPEC, "version": []},
        {**SPEC, "version": "1"},
        {**SPEC, "background": 256},
        [],
        "spec",
    ],
)
def test_a_decode_spec_that_is_none_is_refused(forge, parts_of, spec):
    parts_of["input.json"] = json.dumps(spec).encode()
    refused(forge(parts_of), r"input\.json is not a")


@pytest.mark.parametrize("change", [{"version": 99}, {"gamma": 2.2}])
def test_a_decode_spec_from_the_future_is_refused_as_newer(forge, parts_of, change):
    parts_of["input.json"] = json.dumps({**SPEC, **change}).encode()
    refused(forge(parts_of), "decode spec is newer", "model-newer")


JSON_PARTS = ["classes.json", "input.json", "decision.json", "report.json"]


@pytest.mark.parametrize("part", JSON_PARTS)
@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"nothing", b"\xff", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1, "a": 2}',
     b'{"a": %s}' % (b"1" * 5000), b"\xef\xbb\xbf{}"],
)  # fmt: skip
def test_what_is_not_strict_json_is_refused(forge, parts_of, part, text):
    parts_of[part] = text
    refused(forge(parts_of), f"{part} is not JSON")


@pytest.mark.parametrize("part", JSON_PARTS)
@pytest.mark.parametrize("depth", [33, 100_000])
def test_deep_json_is_refused(forge, parts_of, part, depth):
    parts_of[part] = b'{"a":' * depth + b"1" + b"}" * depth
    refused(forge(parts_of), "nested deeper than 32", "model-unsafe")


@pytest.mark.parametrize("part", ["decision.json", "report.json"])
@pytest.mark.parametrize("text", [b"[]", b"1", b"null", b'"text"'])
def test_an_object_is_asked_for_where_one_belongs(forge, parts_of, part, text):
    parts_of[part] = text
    refused(forge(parts_of), f"{part} is not a JSON object")


def test_json_of_the_allowed_depth_is_read():
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert load_json("report.json", dump_json("report.json", value)) == value
    with pytest.raises(BundleError, match="nested deeper"):
        dump_json("report.json", [value])


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, b"x", "\ud800", {1: 2, "a": 3}, np.float32(1)]
)
def test_a_report_that_json_cannot_carry_is_refused_on_writing(tiny_bundle, value):
    with pytest.raises(BundleError, match=r"report\.json cannot be written as JSON"):
        to_parts(dataclasses.replace(tiny_bundle, report={"value": value}))


def test_a_circular_report_is_refused_on_writing(tiny_bundle):
    report: dict[str, Any] = {}
    report["again"] = report
    with pytest.raises(BundleError, match=r"report\.json cannot be written"):
        to_parts(dataclasses.replace(tiny_bundle, report=report))


@pytest.mark.parametrize("part", ["network.txt", "recipe.toml", "card.md"])
def test_a_text_that_is_none_is_refused(forge, parts_of, part):
    parts_of[part] = b"\xff\xfe"
    refused(forge(parts_of), f"{part} is not UTF-8")


@pytest.mark.parametrize("field", ["network", "recipe", "card"])
def test_a_text_that_cannot_be_written_is_refused(tiny_bundle, field):
    with pytest.raises(BundleError, match="cannot be written as UTF-8"):
        to_parts(dataclasses.replace(tiny_bundle, **{field: "\udcff"}))


def test_the_graph_is_checked_too(tiny_bundle, forge, parts_of):
    parts_of["model.onnx"] += b"\xca\x01\x00"  # field 25, functions
    refused(forge(parts_of), "local functions", "model-unsafe")
    with pytest.raises(BundleError, match="local functions"):
        dataclasses.replace(tiny_bundle, onnx=parts_of["model.onnx"])


WEIGHTS = {
    "empty": b"",
    "no table": (2).to_bytes(8, "little") + b"{}extra",
    "broken table": (9).to_bytes(8, "little") + b"{{{{{{{{{",
    "table beyond the end": (1000).to_bytes(8, "little") + b"{}",
    "a pickle": b"\x80\x04\x95\x10" + bytes(40),
    "data beyond the end": (71).to_bytes(8, "little")
    + b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}',
}


@pytest.mark.parametrize("data", WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_are_none_are_refused_when_asked_for(forge, parts_of, data):
    parts_of["weights.safetensors"] = data
    path = forge(parts_of)
    with pytest.raises(BundleError, match=r"tensors|plain arrays"):
        bundle.read(path, weights=True)
    assert bundle.read(path).classes == bundle.read(path, weights=False).classes


def test_a_huge_table_of_tensors_is_refused_before_it_is_parsed(forge, parts_of):
    parts_of["weights.safetensors"] = (1 << 21).to_bytes(8, "little") + b" " * (1 << 21)
    refused(forge(parts_of), "larger than 1 MiB", "model-unsafe")


def test_making_and_reading_a_bundle_needs_neither_onnx_nor_a_framework(model_file):
    code = (
        "import sys; from fieldmark import bundle; bundle.read(sys.argv[1]);"
        "print(sorted({'onnx', 'onnxruntime', 'keras', 'tensorflow', 'safetensors', 'cv2', 'PIL'}"
        " & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(model_file)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_a_bundle_cannot_be_changed(tiny_bundle):
    with pytest.raises(dataclasses.FrozenInstanceError, match="name"):
        tiny_bundle.name = "other"
