"""Files as ``torch.save`` wrote them before it wrote zips, made without torch.

``written`` lets Python's own pickler do what it did for torch; ``around`` puts any pickle at all in
the place of the state dict; the rest are single pieces of one, for pickles no pickler would write.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
FACTS = {
    "protocol_version": VERSION,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
KINDS = {
    "<f8": "DoubleStorage",
    "<f4": "FloatStorage",
    "<f2": "HalfStorage",
    "<i8": "LongStorage",
    "<i4": "IntStorage",
    "|u1": "ByteStorage",
}


@dataclass(frozen=True)
class Stored:
    """One storage: a key and a row of numbers."""

    key: str
    numbers: NDArray[Any]


@dataclass(frozen=True)
class View:
    """A tensor in a storage; offset and strides count numbers."""

    stored: Stored
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        hooks: OrderedDict[str, object] = OrderedDict()
        parts = (self.stored, self.offset, self.shape, self.strides, False, hooks)
        return _rebuild_tensor_v2, parts


def _rebuild_tensor_v2() -> None:
    """Stand for torch's function, of which a pickle holds the name."""


_rebuild_tensor_v2.__module__ = "torch._utils"
TORCH = types.ModuleType("torch")
TORCH_UTILS = types.ModuleType("torch._utils")
setattr(TORCH_UTILS, "_rebuild_tensor_v2", _rebuild_tensor_v2)  # noqa: B010 - not its attribute
for kind in KINDS.values():
    setattr(TORCH, kind, type(kind, (), {"__module__": "torch"}))


class Pickler(pickle.Pickler):
    """Python's pickler with torch's persistent ids."""

    def persistent_id(self, obj: object) -> tuple[object, ...] | None:
        if not isinstance(obj, Stored):
            return None
        kind = getattr(TORCH, KINDS[obj.numbers.dtype.str])
        return "storage", kind, obj.key, "cpu", obj.numbers.size, None


def contiguous(key: str, values: NDArray[Any]) -> View:
    """Return the view of a storage of its own, row after row."""
    strides = tuple(each // values.itemsize for each in np.ascontiguousarray(values).strides)
    return View(Stored(key, values.ravel()), 0, values.shape, strides[: values.ndim])


def written(state: Mapping[str, View], *, metadata: bool = True) -> bytes:
    """Return the file of a state dict; with metadata as a module's own, else as a plain dict."""
    kept: dict[str, object] = dict(state)
    if metadata:
        kept = OrderedDict(state)
        layers = OrderedDict([("", {"version": 1}), ("conv1", {"version": 2})])
        vars(kept)["_metadata"] = layers
    stream = io.BytesIO()
    with mock.patch.dict(sys.modules, {"torch": TORCH, "torch._utils": TORCH_UTILS}):
        Pickler(stream, protocol=2).dump(kept)
    stored = {view.stored.key: view.stored.numbers for view in state.values()}
    return around(stream.getvalue(), stored)


def around(
    state: bytes,
    stored: Mapping[str, NDArray[Any]] | None = None,
    *,
    facts: object = FACTS,
    keys: object = None,
) -> bytes:
    """Return a file with this pickle in the place of the state dict."""
    stored = stored or {}
    found = sorted(stored) if keys is None else keys
    raw = b"".join(struct.pack("<q", stored[k].size) + stored[k].tobytes() for k in sorted(stored))
    head = b"".join(pickle.dumps(each, protocol=2) for each in (MAGIC, VERSION, facts))
    return head + state + pickle.dumps(found, protocol=2) + raw


# Pieces -----------------------------------------------------------------------------------------


def program(*pieces: bytes) -> bytes:
    return b"\x80\x02" + b"".join(pieces) + b"."


def text(words: str) -> bytes:
    raw = words.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def several(*pieces: bytes) -> bytes:
    """Return a tuple."""
    return b"(" + b"".join(pieces) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def storage(key: str = "0", n: int = 6, *, kind: str = "FloatStorage") -> bytes:
    told = (text("storage"), name("torch", kind), text(key), text("cpu"), number(n), b"N")
    return several(*told) + b"Q"


def tensor(stored: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    sizes = (several(*map(number, each)) for each in (shape, strides))
    parts = (stored, number(offset), *sizes, b"\x89", empty_ordered_dict())
    return name("torch._utils", "_rebuild_tensor_v2") + several(*parts) + b"R"


def empty_ordered_dict() -> bytes:
    return name("collections", "OrderedDict") + b")R"


def state_of(**values: bytes) -> bytes:
    """Return the pickle of a plain dict with these values."""
    items = b"".join(text(key) + value for key, value in values.items())
    return program(b"}(", items, b"u")
