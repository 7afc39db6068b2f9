"""The zoo: hostile model files and files of weights, each built here, with the code it must get.

``python -m tests.bundle.zoo FOLDER`` writes all of them. Whoever writes another reader of model
files may use them too: the names say what is wrong.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fieldmark.bundle import container

GOLDEN = Path(__file__).parents[1] / "golden"
DAMAGED, UNSAFE, NEWER, FOREIGN = "model-damaged", "model-unsafe", "model-newer", "model-foreign"

Parts = dict[str, bytes]
Door = Literal["model", "weights"]


@dataclass(frozen=True)
class Beast:
    """One hostile file."""

    name: str
    code: str
    make: Callable[[], bytes]
    sparse_bytes: int = 0
    """Length that the file is given beyond its bytes."""
    door: Door = "model"

    def write(self, folder: Path) -> Path:
        """Write it and return its place."""
        path = folder / f"{self.name}{'.fieldmark' if self.door == 'model' else '.pth'}"
        path.write_bytes(self.make())
        if self.sparse_bytes:
            with path.open("r+b") as stream:
                stream.truncate(self.sparse_bytes)
        return path


ZOO: dict[str, Beast] = {}


def beast(
    code: str, door: Door = "model", sparse_bytes: int = 0
) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Take a function that makes a file into the zoo, under its name."""

    def taken(make: Callable[[], bytes]) -> Callable[[], bytes]:
        add(make.__name__, code, make, door, sparse_bytes)
        return make

    return taken


def add(
    name: str, code: str, make: Callable[[], bytes], door: Door = "model", sparse_bytes: int = 0
) -> None:
    assert name not in ZOO
    ZOO[name] = Beast(name, code, make, sparse_bytes, door)


# Good files to start from -----------------------------------------------------------------------


@cache
def tiny() -> ModuleType:
    """The module that makes the tiny network."""
    spec = importlib.util.spec_from_file_location("tiny", GOLDEN / "make_bundle_v1.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def good(number: int = 1) -> bytes:
    return (GOLDEN / f"bundle_v{number}.fieldmark").read_bytes()


def parts(number: int = 1) -> Parts:
    with zipfile.ZipFile(io.BytesIO(good(number))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(pieces: list[tuple[str, bytes]]) -> bytes:
    """Return the zip that fieldmark writes around these parts."""
    members, tail = container.layout((name, zlib.crc32(data), len(data)) for name, data in pieces)
    whole = [member.local() + data for member, (_, data) in zip(members, pieces, strict=True)]
    return b"".join(whole) + tail


def forged(
    changed: Mapping[str, bytes], facts: Mapping[str, Any] | None = None, of: int = 1
) -> bytes:
    """Return a file whose hashes, sizes and zip are right, whatever the changed parts say."""
    whole = {**parts(of), **changed}
    stated = json.loads(whole.pop("fieldmark.json"))
    stated["parts"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in whole.items()
    }
    stated["network"] = hashlib.sha256(whole["network.txt"]).hexdigest()[:16]
    stated.update(facts or {})
    manifest = json.dumps(stated, sort_keys=True).encode()
    return packed([("fieldmark.json", manifest), *whole.items()])


def with_manifest(text: bytes) -> bytes:
    return packed([*{**parts(), "fieldmark.json": text}.items()])


def zipped(method: int, contents: Mapping[str, bytes] | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in (parts() if contents is None else contents).items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def at_central(offset: int, form: str, *values: int, member: int = 1) -> bytes:
    """Change fields of one member in the directory at the end."""
    data = bytearray(good())
    place = -1
    for _ in range(member + 1):
        place = data.index(b"PK\1\2", place + 1)
    struct.pack_into(form, data, place + offset, *values)
    return bytes(data)


# The zip ----------------------------------------------------------------------------------------

add("empty", DAMAGED, lambda: b"")
add("no_zip_at_all", DAMAGED, lambda: b"\0" * 4096)
add("cut_in_the_middle", DAMAGED, lambda: good()[: len(good()) // 2])
add("cut_by_one_byte", DAMAGED, lambda: good()[:-1])
add("script_in_front", DAMAGED, lambda: b"#!/bin/sh\ntouch owned\n" + good())
add("bytes_behind", DAMAGED, lambda: good() + b"tail")
add("comment", DAMAGED, lambda: good()[:-2] + b"\2\0hi")
add("deflated", UNSAFE, lambda: zipped(zipfile.ZIP_DEFLATED))
add("bzip2", UNSAFE, lambda: zipped(zipfile.ZIP_BZIP2))
add("lzma", UNSAFE, lambda: zipped(zipfile.ZIP_LZMA))
add("other_zip", DAMAGED, lambda: zipped(zipfile.ZIP_STORED, {"readme.txt": b"hello"}))
add("zipped_again", DAMAGED, lambda: zipped(zipfile.ZIP_STORED))
add("zip_in_zip", UNSAFE, lambda: forged({"inner.fieldmark": good()}))
add("beyond_one_gibibyte", UNSAFE, good, sparse_bytes=(1 << 30) + 1)
add("sparse_tail", DAMAGED, good, sparse_bytes=1 << 29)
add("encrypted_flag", DAMAGED, lambda: at_central(8, "<H", 1))
add("data_descriptor_flag", DAMAGED, lambda: at_central(8, "<H", 8))
add("symlink_mode", DAMAGED, lambda: at_central(38, "<I", 0o120777 << 16))
add("stated_as_deflated", UNSAFE, lambda: at_central(10, "<H", 8))
add("sizes_of_zip64", UNSAFE, lambda: at_central(20, "<I", 0xFFFFFFFF))
add("both_sizes_of_zip64", UNSAFE, lambda: at_central(20, "<II", 0xFFFFFFFF, 0xFFFFFFFF))
add("overlapping_parts", DAMAGED, lambda: at_central(42, "<I", 0))
add("wrong_checksum", DAMAGED, lambda: at_central(16, "<I", 7))
add("part_on_another_disk", DAMAGED, lambda: at_central(34, "<H", 3))
add("too_many_members", DAMAGED, lambda: packed([(f"part{n}", b"") for n in range(65)]))
add("no_members", DAMAGED, lambda: b"PK\5\6" + bytes(18))
add("part_twice", UNSAFE, lambda: packed([*parts().items(), ("model.onnx", b"another")]))
add("manifest_twice", UNSAFE, lambda: packed([*parts().items(), ("fieldmark.json", b"{}")]))
add("other_order", DAMAGED, lambda: packed([*parts().items()][:1] + [*parts().items()][:0:-1]))

for _name, _path in {
    "absolute_path": "/etc/cron.d/x",
    "path_upwards": "../owned",
    "path_upwards_inside": "golden/../../owned",
    "path_of_windows": "..\\owned",
    "path_of_a_drive": "C:/owned",
    "path_of_a_share": "\\\\server\\owned",
    "python_beside": "evil.py",
    "pickle_beside": "evil.pkl",
    "name_with_nul": "model.onnx\0",
    "name_with_escape_codes": "\x1b]0;owned\x07",
    "name_in_other_case": "Model.onnx",
    "folder_entry": "golden/",
}.items():
    add(_name, UNSAFE, lambda path=_path: forged({path: b"payload"}))


@beast(UNSAFE)
def bomb_of_zeros() -> bytes:
    return zipped(zipfile.ZIP_DEFLATED, {**parts(), "card.md": bytes(50 << 20)})


@beast(UNSAFE)
def bomb_in_one_part() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in parts().items():
            method = zipfile.ZIP_DEFLATED if name == "card.md" else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), bytes(50 << 20) if method else data, method)
    return stream.getvalue()


@beast(DAMAGED)
def end_record_of_zip64() -> bytes:
    data = good()
    end = data[-22:]
    n, _, size, start = struct.unpack_from("<HHII", end, 8)
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, n, n, size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(data) - 22, 1)
    return data[:-22] + record + locator + end


@beast(DAMAGED)
def more_members_than_there_are() -> bytes:
    data = bytearray(good())
    struct.pack_into("<HH", data, len(data) - 14, 63, 63)
    return bytes(data)


@beast(DAMAGED)
def two_directories() -> bytes:
    data = good()
    return data + data[data.index(b"PK\1\2") :]


@beast(DAMAGED)
def header_with_another_name() -> bytes:
    return good().replace(b"network.txt", b"network.xyz", 1)


@beast(DAMAGED)
def extra_field() -> bytes:
    data = bytearray(good())
    place = data.index(b"PK\1\2")
    struct.pack_into("<H", data, place + 30, 4)
    return bytes(data)


# The manifest and the hashes --------------------------------------------------------------------

add("manifest_of_two_megabytes", UNSAFE, lambda: with_manifest(b" " * (2 << 20)))
add("manifest_too_deep", UNSAFE, lambda: with_manifest(b"[" * 100_000 + b"]" * 100_000))
add("manifest_with_a_key_twice", DAMAGED, lambda: with_manifest(b'{"format": 1, "format": 1}'))
add("manifest_with_nan", DAMAGED, lambda: with_manifest(b'{"format": NaN}'))
add("manifest_of_other_bytes", DAMAGED, lambda: with_manifest(b"\xff\xfe{}"))
add("manifest_of_a_pickle", DAMAGED, lambda: with_manifest(pickle.dumps({"format": 1})))
add("format_from_the_future", NEWER, lambda: forged({}, {"format": 99}))
add("format_without_end", NEWER, lambda: forged({}, {"format": 10**30}))
add("format_zero", DAMAGED, lambda: forged({}, {"format": 0}))
add("format_one_too_high", DAMAGED, lambda: forged({}, {"format": 2}))
add("field_too_many", DAMAGED, lambda: forged({}, {"loader": "os.system"}))
add("another_network", DAMAGED, lambda: forged({}, {"network": "0" * 16}))
add("parts_that_are_none", DAMAGED, lambda: forged({}, {"parts": {"model.onnx": None}}))
add("name_that_moves_the_cursor", DAMAGED, lambda: forged({}, {"name": "\x1b[2J"}))


@beast(DAMAGED)
def swapped_network() -> bytes:
    """A graph of another model, its checksum right and its hash not."""
    return packed([*{**parts(), "model.onnx": tiny().model(2).SerializeToString()}.items()])


# Texts, JSON, arrays ----------------------------------------------------------------------------


def part(name: str, text: bytes, of: int = 1) -> Callable[[], bytes]:
    return lambda: forged({name: text}, of=of)


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npy_header(text: str) -> bytes:
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode()


SPEC = json.loads(parts()["input.json"])
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
add("report_too_deep", UNSAFE, part("report.json", DEEP))
add("report_of_many_lists", UNSAFE, part("report.json", b'{"a":[' + b"[]," * 2_000_001 + b"0]}"))
add("report_too_long", UNSAFE, part("report.json", b'{"a":"' + b"x" * (17 << 20) + b'"}'))
add(
    "report_with_a_number_of_5000_digits", DAMAGED, part("report.json", b'{"a":%s}' % (b"9" * 5000))
)
add("report_with_infinity", DAMAGED, part("report.json", b'{"a": -Infinity}'))
add("classes_that_repeat", DAMAGED, part("classes.json", b'["a", "b", "a"]'))
add("class_of_half_a_character", DAMAGED, part("classes.json", b'["a", "b", "\\ud800"]'))
add("classes_too_many", DAMAGED, part("classes.json", json.dumps([*map(str, range(9))]).encode()))
add("temperature_beyond_numbers", DAMAGED, part("decision.json", b'{"temperature": 1e999}'))
add("temperature_of_nan", DAMAGED, part("decision.json", b'{"temperature": NaN}'))
add("input_from_the_future", NEWER, part("input.json", json.dumps({**SPEC, "version": 9}).encode()))
add(
    "input_of_a_version_beyond_numbers",
    DAMAGED,
    part("input.json", json.dumps(SPEC).replace('"version": 1', '"version": 1e999').encode()),
)
add(
    "input_of_a_billion_rows",
    DAMAGED,
    part("input.json", json.dumps({**SPEC, "height": 10**9}).encode()),
)
add("card_of_five_megabytes", UNSAFE, part("card.md", b"x" * (5 << 20)))
add("network_of_other_bytes", DAMAGED, part("network.txt", b"\xff\xfe"))
add(
    "scores_of_pickled_objects",
    DAMAGED,
    part("golden/scores.npy", npy(np.array([[print]] * 3, dtype=object), allow_pickle=True)),
)
add(
    "scores_of_four_terabytes",
    DAMAGED,
    part(
        "golden/scores.npy",
        npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }\n"),
    ),
)
add(
    "scores_with_code_in_front",
    DAMAGED,
    part("golden/scores.npy", npy_header("__import__('os').system('touch owned')\n")),
)
add("scores_with_open_text_in_front", DAMAGED, part("golden/scores.npy", npy_header('"""')))
add("scores_of_nan", DAMAGED, part("golden/scores.npy", npy(np.full((3, 3), np.nan, np.float32))))
add("scores_of_other_numbers", DAMAGED, part("golden/scores.npy", npy(np.zeros((3, 3), "<i8"))))

# Arrays in safetensors --------------------------------------------------------------------------


def arrays(table: bytes | Mapping[str, Any], data: bytes = b"") -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(start: int, stop: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def weights(name: str, code: str, table: bytes | Mapping[str, Any], data: bytes = b"") -> None:
    add(f"weights_{name}", code, part("weights.safetensors", arrays(table, data)))


add("weights_cut", DAMAGED, part("weights.safetensors", b"\x10"))
add(
    "weights_of_a_pickle",
    UNSAFE,
    part("weights.safetensors", b"\x80\x04K\x01."),
)
add("weights_stated_table", UNSAFE, part("weights.safetensors", b"\xff" * 8 + b"{}"))
weights("large_table", UNSAFE, b" " * (2 << 20))
weights("deep_table", UNSAFE, b'{"a":' * 100_000)
weights("list_for_table", DAMAGED, b"[]")
weights("name_twice", DAMAGED, b'{"a":%s,"a":%s}' % ((json.dumps(entry(0, 4, [1])).encode(),) * 2))
weights("overlap", DAMAGED, {"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12))
weights("gap", DAMAGED, {"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12))
weights("bytes_behind", DAMAGED, {"a": entry(0, 4, [1])}, bytes(99))
weights("beyond_the_end", DAMAGED, {"a": entry(0, 4 << 30, [1 << 30])})
weights("negative_side", DAMAGED, {"a": entry(0, 4, [-1, -1])}, bytes(4))
weights("endless_side", DAMAGED, {"a": entry(0, 4, [1 << 63, 0])}, bytes(4))
weights("float_side", DAMAGED, {"a": entry(0, 4, [1.0])}, bytes(4))  # type: ignore[list-item]
weights("unknown_type", DAMAGED, {"a": entry(0, 4, [1], "OBJECT")}, bytes(4))
weights("type_of_a_pickle", DAMAGED, {"a": entry(0, 4, [1], "pickle")}, bytes(4))
weights("shape_of_another_size", DAMAGED, {"a": entry(0, 4, [1 << 20])}, bytes(4))
weights("field_too_many", DAMAGED, {"a": entry(0, 4, [1]) | {"load": "os"}}, bytes(4))
weights("metadata_of_code", DAMAGED, {"__metadata__": {"x": {"y": 1}}})
weights("ten_thousand", UNSAFE, {f"{n}": entry(0, 0, [0]) for n in range(10_001)})
add(
    "unknown_of_infinity",
    DAMAGED,
    part(
        "unknown.safetensors",
        arrays({"a": entry(0, 4, [1])}, np.array([np.inf], "<f4").tobytes()),
        of=3,
    ),
)

# The graph --------------------------------------------------------------------------------------


def graph(name: str, code: str, change: Callable[[Any], None], of: int = 1) -> None:
    def make() -> bytes:
        model = tiny().model()
        change(model)
        place = "model.int8.onnx" if of == 2 else "model.onnx"
        return forged({place: model.SerializeToString()}, of=of)

    add(f"graph_{name}", code, make)


def outside(location: str, **more: str) -> Any:
    made = numpy_helper.from_array(np.arange(4, dtype=np.float32), "extra")
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        made.external_data.add(key=key, value=value)
    return made


for _name, _place in {
    "beside_it": "weights.bin",
    "upwards": "../weights.bin",
    "of_the_system": "/etc/passwd",
    "of_the_process": "/proc/self/environ",
    "of_a_hard_link": "hard-link-to-something.bin",
    "in_the_engines_memory": "*/_ORT_MEM_ADDR_/*",
    "without_a_name": "",
}.items():
    graph(
        f"data_{_name}",
        UNSAFE,
        lambda model, place=_place: model.graph.initializer.append(outside(place)),
    )
graph(
    "data_of_a_terabyte",
    UNSAFE,
    lambda model: model.graph.initializer.append(outside("x", offset="0", length=str(1 << 40))),
)
graph("int8_data_outside", UNSAFE, lambda m: m.graph.initializer.append(outside("x")), of=2)


def attribute(model: Any, made: Any, node: int = 0) -> None:
    model.graph.node[node].attribute.append(made)


def inner() -> Any:
    node = helper.make_node("Identity", ["pixels"], ["y"])
    return helper.make_graph([node], "inner", [], [])


def chain(model: Any, *nodes: Any, constants: tuple[Any, ...] = ()) -> None:
    """Put nodes behind the pooled maps, beside the network that answers."""
    for node in (helper.make_node("Flatten", ["pooled"], ["x0"]), *nodes):
        model.graph.node.add().CopyFrom(node)
    model.graph.initializer.extend(constants)


def constant(name: str, values: Any) -> Any:
    return numpy_helper.from_array(np.asarray(values), name)


graph(
    "data_in_an_attribute", UNSAFE, lambda m: attribute(m, helper.make_attribute("v", outside("x")))
)
graph(
    "data_in_a_sparse_tensor",
    UNSAFE,
    lambda m: m.graph.sparse_initializer.add().values.CopyFrom(outside("x")),
)
graph("foreign_domain", UNSAFE, lambda m: setattr(m.graph.node[0], "domain", "com.microsoft"))
graph("domain_of_custom_code", UNSAFE, lambda m: setattr(m.graph.node[0], "domain", "org.evil"))
graph(
    "foreign_opset", UNSAFE, lambda m: m.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
)
graph(
    "local_function",
    UNSAFE,
    lambda m: m.functions.append(
        helper.make_function(
            *("ours", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])]),
            [helper.make_opsetid("", 17)],
        )
    ),
)
graph("sub_graph", UNSAFE, lambda m: attribute(m, helper.make_attribute("body", inner())))
graph("sub_graphs", UNSAFE, lambda m: attribute(m, helper.make_attribute("bodies", [inner()])))
graph("training_graph", UNSAFE, lambda m: m.training_info.add())
for _kind in ("If", "Loop", "Scan", "ConstantOfShape", "Expand", "Tile", "Pad", "Resize", "Gather"):
    graph(
        f"operator_{_kind}", UNSAFE, lambda m, kind=_kind: setattr(m.graph.node[4], "op_type", kind)
    )
graph("operator_of_python", UNSAFE, lambda m: setattr(m.graph.node[4], "op_type", "PyOp"))


@cache
def ones(*shape: int) -> Any:
    return constant(f"ones{len(shape)}-{shape[0]}", np.ones(shape, np.float32))


def doubled(model: Any) -> None:
    nodes = [helper.make_node("Concat", [f"x{n}"] * 2, [f"x{n + 1}"], axis=1) for n in range(40)]
    chain(model, *nodes)


def outer_product(model: Any) -> None:
    product = helper.make_node("MatMul", [ones(50_000, 1).name, ones(1, 50_000).name], ["x1"])
    chain(model, product, constants=(ones(50_000, 1), ones(1, 50_000)))


def outer_sum(model: Any) -> None:
    total = helper.make_node("Add", [ones(50_000, 1).name, ones(1, 50_000).name], ["x1"])
    chain(model, total, constants=(ones(50_000, 1), ones(1, 50_000)))


def wide_border(model: Any) -> None:
    attribute(model, helper.make_attribute("pads", [20_000] * 4), node=3)


def wide_pool(model: Any) -> None:
    window = {"kernel_shape": [2, 2], "pads": [90_000] * 4}
    chain(model, helper.make_node("MaxPool", ["maps"], ["x1"], **window))


def endless_work(model: Any) -> None:
    nodes = [helper.make_node("Transpose", ["maps"], ["m"], perm=[1, 2, 3, 0])]
    shape = constant("long", np.array([1, -1]))
    big = [helper.make_node("Reshape", ["m", "long"], ["row"])]
    wide = [helper.make_node("Concat", ["row"] * 60, ["y0"], axis=1)]
    wide += [helper.make_node("Concat", ["y0"] * 60, ["y1"], axis=1)]
    turned = [helper.make_node("Transpose", ["y1"], ["y2"])]
    product = [helper.make_node("MatMul", ["y2", "y1"], ["y3"])]
    chain(model, *nodes, *big, *wide, *turned, *product, constants=(shape,))


def reshaped(model: Any) -> None:
    node = helper.make_node("Reshape", ["x0", "shape"], ["x1"])
    chain(model, node, constants=(constant("shape", np.array([1 << 40, -1])),))


def computed_shape(model: Any) -> None:
    cast = helper.make_node("Cast", ["x0"], ["shape"], to=TensorProto.INT64)
    chain(model, cast, helper.make_node("Reshape", ["x0", "shape"], ["x1"]))


def less_than_stated(model: Any) -> None:
    model.graph.initializer[1].dims[0] = 1 << 40


def negative_tensor(model: Any) -> None:
    model.graph.initializer[1].dims[0] = -4


def made_twice(model: Any) -> None:
    model.graph.node[4].output[0] = "conv"


def many_nodes(model: Any) -> None:
    chain(model, *(helper.make_node("Relu", ["x0"], [f"y{n}"]) for n in range(20_001)))


def no_graph(model: Any) -> None:
    model.ClearField("graph")


def free_sizes(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "rows"


graph("doubled_forty_times", UNSAFE, doubled)
graph("outer_product", UNSAFE, outer_product)
graph("outer_sum", UNSAFE, outer_sum)
graph("wide_border", UNSAFE, wide_border)
graph("wide_pool", UNSAFE, wide_pool)
graph("endless_work", UNSAFE, endless_work)
graph("reshaped_to_a_terabyte", DAMAGED, reshaped)
graph("computed_shape", DAMAGED, computed_shape)
graph("less_than_stated", DAMAGED, less_than_stated)
graph("negative_tensor", DAMAGED, negative_tensor)
graph("made_twice", DAMAGED, made_twice)
graph("many_nodes", UNSAFE, many_nodes)
graph("none", DAMAGED, no_graph)
graph("free_sizes", DAMAGED, free_sizes)
add("graph_of_a_million_fields", UNSAFE, part("model.onnx", b"\x08\x01" * 1_000_001))
add("graph_with_long_tags", DAMAGED, part("model.onnx", b"\x88\x80\x00\x01"))
add("graph_of_noise", DAMAGED, part("model.onnx", bytes(range(256)) * 40))

# Models of other tools --------------------------------------------------------------------------


class Payload:
    """Unpickled by Python's own machine, it would make a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch owned",)


def keras_file() -> bytes:
    config = {"module": "os", "class_name": "system", "config": {"units": 300_000_000}}
    contents = {"metadata.json": b"{}", "config.json": json.dumps(config).encode()}
    return zipped(zipfile.ZIP_STORED, {**contents, "model.weights.h5": b"\x89HDF\r\n\x1a\n"})


add("keras_file", FOREIGN, keras_file)
add("hdf5_file", FOREIGN, lambda: b"\x89HDF\r\n\x1a\n" + bytes(500))
add("saved_model", FOREIGN, lambda: b"\x08\x01\x12\x08" + bytes(80))
add("lite_model", FOREIGN, lambda: b"\x1c\0\0\0TFL3" + bytes(80))
add("bare_onnx", FOREIGN, lambda: tiny().model().SerializeToString())
add("bare_weights", FOREIGN, lambda: parts()["weights.safetensors"])
add("bare_array", FOREIGN, lambda: npy(np.zeros(3)))
add("torch_zip", FOREIGN, lambda: zipped(zipfile.ZIP_STORED, {"archive/data.pkl": b"\x80\x02."}))
add("array_zip", FOREIGN, lambda: zipped(zipfile.ZIP_STORED, {"a.npy": npy(np.zeros(3))}))
for _number in (2, 3, 4, 5):
    add(f"pickle_{_number}", FOREIGN, lambda number=_number: pickle.dumps([Payload()], number))

# Files of weights of the older torch ------------------------------------------------------------


def torch_file(state: bytes) -> Callable[[], bytes]:
    """Put any pickle in the place of the state dict."""

    def make() -> bytes:
        from tests.networks import torch_files

        return torch_files.around(state, {})

    return make


for _name, _state in {
    "torch_that_calls_the_shell": pickle.dumps(Payload(), 2),
    "torch_that_names_eval": b"\x80\x02c__builtin__\neval\nq\0.",
    "torch_with_a_text_of_a_gigabyte": b"\x80\x02X\0\0\0\x40.",
    "torch_with_a_memo_never_filled": b"\x80\x02h\7.",
    "torch_of_a_list": b"\x80\x02].",
    "torch_with_an_old_opcode": b"\x80\x02I1\n.",
    "torch_with_endless_steps": b"\x80\x02" + b"]0" * 60_000 + b"].",
}.items():
    add(_name, "weights-unsafe", torch_file(_state), "weights")
add("torch_with_another_start", "weights-damaged", lambda: pickle.dumps({}), "weights")
add("torch_cut", "weights-damaged", lambda: torch_file(b"\x80\x02}.")()[:-30], "weights")


def main(folder: Path) -> None:
    """Write all of them, and a table of their names and codes."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {each.write(folder).name: each.code for each in ZOO.values()}
    (folder / "codes.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
