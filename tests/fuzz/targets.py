"""What is given hostile bytes: every reader of something that a stranger may have made.

A target takes bytes and returns, or raises one of fieldmark's own errors. Anything else that
escapes is a finding: it is mended and its bytes become a file of ``corpus``. Seeds are good inputs,
made here, so that changes of them come far into the readers.
"""

from __future__ import annotations

import importlib.util
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fieldmark import bundle
from fieldmark.bundle import check_onnx, contents, refuse_foreign
from fieldmark.bundle.strict_json import load_json
from fieldmark.config import read as read_settings
from fieldmark.data import arrays, listing, overrides, split_file, table
from fieldmark.errors import (
    BundleError,
    DataError,
    FieldmarkError,
    LayerListError,
    UnreadableExample,
)
from fieldmark.modalities.base import InputSpec
from fieldmark.modalities.image import IMAGE
from fieldmark.networks import CATALOGUE, foreign_file
from fieldmark.networks.foreign import SCALINGS
from fieldmark.networks.layer_table import layer_table
from fieldmark.networks.parser import parse
from fieldmark.networks.torch_file import read_tensors
from fieldmark.networks.volumes import plan

CORPUS = Path(__file__).parent / "corpus"
GOLDEN = Path(__file__).parents[1] / "golden"
KiB = 1 << 10


@dataclass(frozen=True)
class Target:
    """One reader."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    allowed: tuple[type[BaseException], ...]
    """What it may raise; all of them are FieldmarkError."""
    words: tuple[bytes, ...] = ()
    """Pieces that its format is made of."""
    max_bytes: int = 64 * KiB


@cache
def folder() -> Path:
    """A folder for readers that want a path; in memory where there is such a place."""
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else None
    keep.append(tempfile.TemporaryDirectory(prefix="fieldmark-fuzz-", dir=base))
    return Path(keep[0].name)


keep: list[tempfile.TemporaryDirectory[str]] = []


def saved(data: bytes, name: str) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


# Layer lists ------------------------------------------------------------------------------------


def layers(data: bytes) -> None:
    network = parse(data.decode("utf-8", "replace"))
    made = plan(network, 2 + len(data) % 7)
    layer_table(made).lines(60)
    again = parse(str(network))
    assert plan(again, 2 + len(data) % 7).n_weights == made.n_weights


def layer_seeds() -> list[bytes]:
    found = [str(each.network(size=None, n_classes=3)).encode() for each in CATALOGUE.values()]
    return [*found, b"INPUT 16x16x3\n{CONV 3 3x3 same -> BN}\n[POOL 2x2]*2 # x\nDROPOUT .5 -> FC"]


LAYER_WORDS = (
    *(b"INPUT ", b"CONV ", b"DWCONV ", b"POOL ", b"AVGPOOL ", b"GAP", b"GMP", b"BN", b"RELU"),
    *(b"SIGMOID", b"SOFTMAX", b"DROPOUT .5", b"FLATTEN", b"FC", b" -> ", b"[", b"]*3", b"{", b"}"),
    *(b"same", b"valid", b"step ", b"9999x9999", b"1000000", b"BACKBONE efficientnet-lite0"),
)

# Model files ------------------------------------------------------------------------------------


@cache
def tiny() -> Any:
    spec = importlib.util.spec_from_file_location("tiny", GOLDEN / "make_bundle_v1.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden_bundles() -> list[bytes]:
    return [path.read_bytes() for path in sorted(GOLDEN.glob("*.fieldmark"))]


def model_file(data: bytes) -> None:
    bundle.read(saved(data, "x.fieldmark"), weights=True)


@cache
def good_parts() -> Mapping[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(golden_bundles()[-1])) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def model_parts(data: bytes) -> None:
    """The first byte chooses a part; the rest is what that part holds, its hash being right."""
    names = [name for name in good_parts() if name != "fieldmark.json"]
    name = names[data[0] % len(names)] if data else names[0]
    parts = {**good_parts(), name: data[1:]}
    contents.from_parts(parts, name="n", created="", model_id="", weights=True)


def part_seeds() -> list[bytes]:
    names = [name for name in good_parts() if name != "fieldmark.json"]
    return [bytes([at]) + good_parts()[name] for at, name in enumerate(names)]


def graph(data: bytes) -> None:
    cost = check_onnx(data)
    assert cost.batch(16) * cost.n_values <= max(1 << 29, cost.n_values)


def graph_seeds() -> list[bytes]:
    return [tiny().model().SerializeToString(), good_parts()["model.onnx"]]


def tensors(data: bytes) -> None:
    for array in contents._load_arrays("weights.safetensors", data).values():
        array.sum()


def tensor_seeds() -> list[bytes]:
    return [good_parts()[name] for name in ("weights.safetensors", "unknown.safetensors")]


def numbers(data: bytes) -> None:
    json.dumps(load_json("report.json", data))


def stranger(data: bytes) -> None:
    refuse_foreign(saved(data, "model.bin"))


def stranger_seeds() -> list[bytes]:
    return [b"\x89HDF\r\n\x1a\n", b"\x80\x04\x95\0", b"PK\3\4" + bytes(26) + b"config.json{}"]


def backbone(data: bytes) -> None:
    foreign_file.from_bytes(data, "onnx:x.onnx", (16, 16), SCALINGS["imagenet"])


def backbone_seeds() -> list[bytes]:
    from tests import foreign_nets

    return [foreign_nets.backbone(each).SerializeToString() for each in ("nchw", "nhwc")]


def torch_file(data: bytes) -> None:
    read_tensors(data, limit_bytes=1 << 20)


def torch_seeds() -> list[bytes]:
    from tests.networks import torch_files

    arrays = {"a.weight": np.ones((2, 3), np.float32), "b": np.arange(4)}
    views = {name: torch_files.contiguous(name, array) for name, array in arrays.items()}
    return [torch_files.written(views)]


def cached(data: bytes) -> None:
    """What a damaged cache holds: its readers expect these two errors and build it anew."""
    try:
        arrays.mapped(saved(data, "rows.npy")).sum()
    except (OSError, ValueError) as error:
        raise DataError("damaged", code="damaged") from error


def cache_seeds() -> list[bytes]:
    found = []
    for kind in ("u1", "f4", "i8"):
        stream = io.BytesIO()
        np.save(stream, np.arange(12).reshape(3, 4).astype(kind))
        found.append(stream.getvalue())
    return found


# Pictures ---------------------------------------------------------------------------------------


def picture(data: bytes) -> None:
    spec = InputSpec(height=16, width=24, fit=("crop", "pad", "stretch")[len(data) % 3])
    pixels = IMAGE.decode(data, spec)
    assert pixels.shape == spec.shape


def picture_seeds() -> list[bytes]:
    ramp = np.arange(20 * 30 * 3, dtype=np.uint32).reshape(20, 30, 3)
    image = Image.fromarray((ramp % 251).astype(np.uint8))
    found = []
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM"):
        for each in (image, image.convert("L"), image.convert("P")):
            stream = io.BytesIO()
            try:
                each.save(stream, kind)
            except (OSError, KeyError):  # a mode that this format has not
                continue
            found.append(stream.getvalue())
    stream = io.BytesIO()
    Image.fromarray((ramp[:, :, 0] * 30).astype(np.uint16)).save(stream, "PNG")
    return [*found, stream.getvalue()]


# Lists and settings -----------------------------------------------------------------------------


def lists(data: bytes) -> None:
    path = saved(data, "list.csv")
    for read in (overrides.read, split_file.read, table.rows):
        try:
            read(path)
        except FieldmarkError:
            continue
    listing.read(path, folder())


def list_seeds() -> list[bytes]:
    return [
        b'path,label,group,split\r\na/b.jpg,x,g1,train\r\n\'=c.jpg,"y,z",,test\r\n',
        b"path;action;value;reason;sha256\na.jpg;relabel;dog;;\nb.jpg;leave-out;;why;00ff\n",
        b"path,sha256,label,group,cluster,split,fold\ncat/1.jpg,0f,cat,,,train,3\n",
    ]


def settings(data: bytes) -> None:
    read_settings(saved(data, "config.toml"))


def setting_seeds() -> list[bytes]:
    from fieldmark.config import Settings, to_toml

    return [to_toml(Settings()).encode(), b'[train]\nlr = 0.1\n[net]\nname = "small"\n']


ONNX_WORDS = (b"Conv", b"Concat", b"MatMul", b"Reshape", b"axis", b"pads", b"\x08\xff\xff\x7f")
JSON_WORDS = (b"{", b"}", b"[", b"]", b'"a":', b",", b"NaN", b"1e999", b"\\ud800", b"null")

TARGETS: dict[str, Target] = {
    "layers": Target(layers, layer_seeds, (LayerListError,), LAYER_WORDS, 4 * KiB),
    "model_file": Target(model_file, golden_bundles, (BundleError,), JSON_WORDS),
    "model_parts": Target(model_parts, part_seeds, (BundleError,), JSON_WORDS),
    "graph": Target(graph, graph_seeds, (BundleError,), ONNX_WORDS),
    "tensors": Target(tensors, tensor_seeds, (BundleError,), JSON_WORDS),
    "json": Target(numbers, lambda: [b'{"a": [1, 2.5e3, "x"]}'], (BundleError,), JSON_WORDS),
    "stranger": Target(stranger, stranger_seeds, (BundleError,)),
    "backbone": Target(backbone, backbone_seeds, (FieldmarkError,), ONNX_WORDS),
    "torch_file": Target(torch_file, torch_seeds, (BundleError,), (b"ctorch\n", b"\x85R.", b"q\0")),
    "cached": Target(cached, cache_seeds, (DataError,), (b"'descr'", b"(", b'"""', b"\n ")),
    "picture": Target(picture, picture_seeds, (UnreadableExample,)),
    "lists": Target(lists, list_seeds, (FieldmarkError,), (b"path", b"label", b'"', b"\r", b"\0")),
    "settings": Target(
        settings,
        setting_seeds,
        (FieldmarkError,),
        (b"[" * 900, b"{a=" * 900, b"9" * 900, b'"""', b"inf", b"1979-01-01"),
    ),
}


def tried(name: str, data: bytes) -> None:
    """Give one target bytes; whatever it may not raise comes out."""
    target = TARGETS[name]
    try:
        target.run(data)
    except target.allowed:
        return
