"""Read a backbone from an ONNX file: refuse what could do harm, keep what the features need.

What comes out is small and plain: one float32 picture in, one list or feature map out, any number
of pictures at a time, weights inside, standard operators, names of our own. Which operators may run
is the model file's question (:mod:`fieldmark.bundle`), asked by whoever sees both. The file is
parsed and its shapes are inferred; nothing of it is run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from fieldmark.errors import BundleError, FieldmarkError, UsageError
from fieldmark.networks.foreign import (
    SCALINGS,
    ForeignBackbone,
    Layout,
    Scaling,
    file_and_output,
)
from fieldmark.networks.foreign_graph import ForeignGraph, Shape, converted, known_shapes
from fieldmark.networks.layers import Backbone

MAX_BYTES: Final = 1 << 29
"""Of a file: 134 million weights."""
MAX_VALUES: Final = 200_000_000
"""Numbers in all tensors together, for one picture: 0.8 GB of float32."""
MAX_NODES: Final = 20_000
_BATCH: Final = 2
"""Pictures for which shapes are inferred: 1 would hide that a file answers only one at a time."""

_FLOAT: Final = 1
"""``onnx.TensorProto.FLOAT``: float32."""


def read(item: Backbone, size: tuple[int, int]) -> ForeignBackbone:
    """Read the file of ``BACKBONE onnx:FILE`` or ``onnx:FILE@output``.

    Parameters
    ----------
    item : Backbone
        Its ``scale`` is ``imagenet`` unless given.
    size : (int, int)
        Rows and columns of the pictures it is to see.

    Raises
    ------
    UsageError
        ``backbone-missing``: there is no such file. ``backbone-unsuited``: another input than one
        float32 picture, or no features among its outputs.
    BundleError
        ``backbone-damaged``: no ONNX file. ``backbone-unsafe``: it reaches beyond its bytes, or
        would need too much memory.
    """
    name, output = file_and_output(item.source)
    try:
        with Path(name).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"The backbone's file cannot be read: {error.strerror or error}.",
            code="backbone-missing",
            where=name,
            hint="check the path; a relative one starts in the current folder",
        ) from error
    if len(data) > MAX_BYTES:
        raise unsafe(name, f"The file is larger than {MAX_BYTES >> 20} MiB")
    scaling = SCALINGS[item.scale or "imagenet"]
    return from_bytes(data, item.source, size, scaling, output=output)


def from_bytes(
    data: bytes, source: str, size: tuple[int, int], scaling: Scaling, *, output: str = ""
) -> ForeignBackbone:
    """Read a backbone from the bytes of an ONNX file; as :func:`read` otherwise.

    ``output`` may name any tensor of the graph; empty: the last output that is a list of features
    or a feature map.
    """
    model = _parsed(data, source)
    _check_plain(model, source)
    try:
        model, name, layout = _for_pictures(converted(model), size, source)
        known = known_shapes(model)
        wanted, shape = _output(model, known, output, source)
        graph = _plain(model, known)
        if layout == "nhwc" and len(shape) == 4:
            planes = graph.as_planes(wanted)
            shape = graph.shapes[planes]
        else:
            planes = wanted
        graph.keep(planes)
        _check_memory(graph, source)
        onnx = graph.written((name, known[name][1]), (planes, shape))
    except FieldmarkError:
        raise
    except Exception as error:  # of the onnx package: it raises what its C++ half gives it
        words = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
        raise unsuited(
            source, f"The graph cannot be used: {words[:200] or type(error).__name__}"
        ) from error
    return ForeignBackbone(
        source=source,
        onnx=onnx,
        input_name=name,
        output_name=wanted,
        layout=layout,
        size=size,
        output=(*shape[2:], shape[1]) if len(shape) == 4 else shape[1:],
        scaling=scaling,
        sha256=hashlib.sha256(data).hexdigest(),
        n_weights=graph.n_weights,
        multiply_adds=graph.multiply_adds,
    )


def unsafe(source: str, what: str) -> BundleError:
    """Return the refusal of a file that could do harm."""
    return BundleError(
        f"{what}.",
        code="backbone-unsafe",
        where=source,
        why="What is trained becomes part of the model file, which must not be able to run code, "
        "reach files or exhaust a machine.",
        hint="export it again: standard operators, weights inside; or stop earlier with "
        "onnx:FILE@NAME",
    )


def unsuited(source: str, what: str, why: str = "") -> UsageError:
    """Return the refusal of a file that gives no features for a picture."""
    return UsageError(
        f"{what}.",
        code="backbone-unsuited",
        where=source,
        why=why
        or "A backbone turns one float32 picture (n, 3, rows, columns) or (n, rows, "
        "columns, 3) into a list (n, f) or a feature map.",
        hint="export it for inference with a free batch; onnx:FILE@NAME takes another output",
    )


def _parsed(data: bytes, source: str) -> Any:
    import onnx

    cause: Exception | None = None
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own, whose name is not ours to import
        model, cause = onnx.ModelProto(), error
    if not model.graph.node:
        raise BundleError(
            "The backbone is not an ONNX file.",
            code="backbone-damaged",
            where=source,
            hint="copy it again, or export it again; a file of Git LFS is only a pointer",
        ) from cause
    return model


def _check_plain(model: Any, source: str) -> None:
    """Refuse what reaches beyond the graph's own bytes, before anything looks at its contents."""
    graph = model.graph
    attributes = [each for node in graph.node for each in node.attribute]
    tensors = [*graph.initializer, *(each.t for each in attributes)]
    tensors += [tensor for each in attributes for tensor in each.tensors]
    if any(tensor.data_location or tensor.external_data for tensor in tensors):
        raise unsafe(source, "Its weights lie in another file (external data)")
    if any(each.HasField("g") or each.graphs for each in attributes):
        raise unsafe(source, "It holds control flow (If, Loop or Scan)")
    if model.functions or model.training_info or graph.sparse_initializer:
        raise unsafe(source, "It holds functions, a training graph or sparse weights")
    strangers = sorted({node.domain for node in graph.node} - {"", "ai.onnx"})
    if strangers:
        raise unsafe(source, f"It uses operators of the domain {strangers[0][:60]!r}")
    if len(graph.node) > MAX_NODES:
        raise unsafe(source, f"It has more than {MAX_NODES:,} nodes")
    for node in graph.node:
        if any(each.name == "training_mode" and each.i for each in node.attribute):
            raise unsuited(source, f"Its {node.op_type} is in training mode")


def _for_pictures(model: Any, size: tuple[int, int], source: str) -> tuple[Any, str, Layout]:
    """Fix the input to pictures of a size and infer every shape; also its name and layout."""
    import onnx

    graph = model.graph
    inside = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in inside]
    if len(inputs) != 1:
        names = ", ".join(each.name[:40] for each in inputs[:4])
        raise unsuited(source, f"It has {len(inputs)} inputs ({names})")
    tensor = inputs[0].type.tensor_type
    sizes = [each.dim_value for each in tensor.shape.dim]  # 0: free
    if tensor.elem_type != _FLOAT:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise unsuited(source, f"Its input is {kind}")
    if len(sizes) != 4 or 3 not in (sizes[1], sizes[3]) or sizes[0] not in (0, 1, _BATCH):
        raise unsuited(source, f"Its input has the shape {_shown(sizes)}")
    layout: Layout = "nchw" if sizes[1] == 3 else "nhwc"
    fixed = sizes[2:] if layout == "nchw" else sizes[1:3]
    if any(have not in (0, wanted) for have, wanted in zip(fixed, size, strict=True)):
        why = f"It takes pictures of {fixed[0]}x{fixed[1]} only."
        raise unsuited(source, f"The list's INPUT is {size[0]}x{size[1]}", why)
    wanted = (_BATCH, 3, *size) if layout == "nchw" else (_BATCH, *size, 3)
    for dimension, number in zip(tensor.shape.dim, wanted, strict=True):
        dimension.dim_value = number
    del graph.value_info[:]
    for each in graph.output:
        each.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    return inferred, inputs[0].name, layout


def _output(
    model: Any, known: dict[str, tuple[int, Shape]], asked: str, source: str
) -> tuple[str, Shape]:
    """Choose the output: as asked, or the last one that looks like features."""
    names = [asked] if asked else [each.name for each in reversed(model.graph.output)]
    made = {name for node in model.graph.node for name in node.output}
    for name in names:
        kind, shape = known.get(name, (0, ()))
        usable = name in made and kind == _FLOAT and len(shape) in (2, 4) and all(shape)
        if usable and shape[0] == _BATCH:
            return name, shape
        if usable:
            raise unsuited(source, f"It answers one picture at a time (its output {name[:60]})")
    _check_known(model.graph.node, known, source)
    given = ", ".join(f"{name[:40]} {_shown(known.get(name, (0, ()))[1])}" for name in names[:4])
    raise unsuited(source, f"No list of features among its outputs: {given}")


def _plain(model: Any, known: dict[str, tuple[int, Shape]]) -> ForeignGraph:
    from onnx import numpy_helper

    graph = ForeignGraph(
        nodes=list(model.graph.node),
        constants={
            tensor.name: np.asarray(numpy_helper.to_array(tensor))
            for tensor in model.graph.initializer
        },
        shapes={name: shape for name, (_, shape) in known.items()},
        batch=_BATCH,
    )
    graph.make_plain()
    return graph


def _check_known(nodes: Iterable[Any], known: Container[str], source: str) -> None:
    for node in nodes:
        if any(name and name not in known for name in node.output):
            raise unsuited(source, f"The size of what its {node.op_type[:40]} gives is not known")


def _check_memory(graph: ForeignGraph, source: str) -> None:
    _check_known(graph.nodes, graph.shapes, source)
    if graph.n_values > MAX_VALUES:
        raise unsafe(source, f"It computes {graph.n_values:,} numbers for one picture")


def _shown(sizes: list[int] | Shape) -> str:
    return "(" + ", ".join(str(size) if size else "?" for size in sizes) + ")"
