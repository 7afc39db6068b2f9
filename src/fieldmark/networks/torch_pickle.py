"""The pickles of a torch file, run by a machine that can make nothing but descriptions.

A pickle is a program, and the standard library's machine calls whatever it names. This one knows
the 27 opcodes that a state dict is made of, and all it can make are numbers, texts, tuples, lists,
dicts, storages and tensors, the last two being descriptions. It calls nothing and imports nothing.
No step makes more than one value, so the limits below bound time and memory whatever a file says.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np

from fieldmark.errors import BundleError

MAX_STEPS: Final = 100_000
"""Opcodes per pickle; EfficientNet-Lite2's longest has 14,000."""
MAX_STACK: Final = 10_000
"""Values and marks at one time; torch fills dicts 1,000 pairs at a time."""
MAX_MEMO: Final = 50_000
MAX_TEXT: Final = 512
"""Bytes of one text or name."""
MAX_DIMENSIONS: Final = 8

_PROTOCOL_2: Final = b"\x80\x02"
_STOP: Final = b"."


class _Name(Enum):
    """All that a file may name; here each is only itself, and none can be called."""

    ORDERED_DICT = b"collections\nOrderedDict"
    REBUILD_TENSOR = b"torch._utils\n_rebuild_tensor_v2"
    DOUBLE = b"torch\nDoubleStorage"
    FLOAT = b"torch\nFloatStorage"
    HALF = b"torch\nHalfStorage"
    LONG = b"torch\nLongStorage"
    INT = b"torch\nIntStorage"
    BYTE = b"torch\nByteStorage"


_NAMES: Final = {each.value: each for each in _Name}
_DTYPES: Final[dict[_Name, np.dtype[Any]]] = {
    _Name.DOUBLE: np.dtype("<f8"),
    _Name.FLOAT: np.dtype("<f4"),
    _Name.HALF: np.dtype("<f2"),
    _Name.LONG: np.dtype("<i8"),
    _Name.INT: np.dtype("<i4"),
    _Name.BYTE: np.dtype("u1"),
}


@dataclass(frozen=True)
class Storage:
    """A row of numbers at the end of the file."""

    key: str
    dtype: np.dtype[Any]
    n_numbers: int

    @property
    def n_bytes(self) -> int:
        """Its length in the file."""
        return self.n_numbers * self.dtype.itemsize


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """What its array takes; a side of 0 counts as 1, since NumPy multiplies the others."""
        return math.prod(max(side, 1) for side in self.shape) * self.storage.dtype.itemsize

    @property
    def fits(self) -> bool:
        """Whether every number of the view lies inside of the storage."""
        if 0 in self.shape:
            return self.offset <= self.storage.n_numbers
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((side - 1) * stride for side, stride in steps)
        return last < self.storage.n_numbers


class Machine:
    """Runs one pickle of a file.

    Values are never compared, hashed or printed as a whole: a tuple that holds another ten times,
    and so on ten levels down, stays the few pointers it is.

    Parameters
    ----------
    data : bytes
        The file.
    start : int
        Where the pickle begins.

    Attributes
    ----------
    storages : dict of str to Storage
        Every storage that was described, by its key.
    """

    def __init__(self, data: bytes, start: int) -> None:
        self.storages: dict[str, Storage] = {}
        self._data = data
        self._at = start
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def run(self) -> tuple[object, int]:
        """Return what the pickle describes, and where it ends.

        Raises
        ------
        BundleError
            Codes ``weights-unsafe`` and ``weights-damaged``.

        Examples
        --------
        >>> Machine(bytes.fromhex("80 02 4b 07 85 2e"), 0).run()
        ((7,), 6)
        """
        if self._take(2) != _PROTOCOL_2:
            raise self._unsafe("a pickle that is not of protocol 2")
        for _ in range(MAX_STEPS):
            opcode = self._take(1)
            if opcode == _STOP:
                value = self._pop()
                if self._stack or self._marks:
                    raise self._unsafe("a pickle that leaves values over")
                return value, self._at
            step = _STEPS.get(opcode)
            if step is None:
                raise self._unsafe(f"the opcode 0x{opcode.hex()}")
            step(self)
            if len(self._stack) + len(self._marks) > MAX_STACK:
                raise self._unsafe(f"more than {MAX_STACK:,} values at a time")
        raise self._unsafe(f"more than {MAX_STEPS:,} steps")

    def _unsafe(self, what: str) -> BundleError:
        return unsafe(what, self._at)

    # Bytes --------------------------------------------------------------------------------------

    def _take(self, n: int) -> bytes:
        taken = self._data[self._at : self._at + n]
        if len(taken) < n:
            raise damaged("they end inside of a pickle", self._at)
        self._at += n
        return taken

    def _number(self, n_bytes: int, *, signed: bool = False) -> int:
        number = int.from_bytes(self._take(n_bytes), "little", signed=signed)
        if number < 0:
            raise self._unsafe("a negative number")
        return number

    def _text(self) -> str:
        n_bytes = self._number(4)
        if n_bytes > MAX_TEXT:
            raise self._unsafe(f"a text of {n_bytes:,} bytes, more than {MAX_TEXT}")
        try:
            return self._take(n_bytes).decode("utf-8")
        except UnicodeDecodeError:
            raise damaged("a text that is not valid Unicode", self._at) from None

    def _line(self) -> bytes:
        end = self._data.find(b"\n", self._at, self._at + MAX_TEXT)
        if end < 0:
            raise damaged("a name without an end", self._at)
        return self._take(end + 1 - self._at)[:-1]

    # Stack --------------------------------------------------------------------------------------

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _top(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise self._unsafe("a step that lacks its value")
        return self._stack[-1]

    def _pop(self) -> object:
        value = self._top()
        del self._stack[-1]
        return value

    def _popped(self, n: int) -> list[object]:
        """Take n values off, in the order in which they were put there."""
        return [self._pop() for _ in range(n)][::-1]

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _since_mark(self) -> list[object]:
        if not self._marks:
            raise self._unsafe("a step that lacks its mark")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _remember(self, index: int) -> None:
        if index in self._memo or len(self._memo) >= MAX_MEMO:
            raise self._unsafe(f"a memo used twice, or for more than {MAX_MEMO:,} values")
        self._memo[index] = self._top()

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise self._unsafe("a memo that was never filled")
        self._push(self._memo[index])

    # Containers ---------------------------------------------------------------------------------

    def _set_items(self, items: list[object]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(items) % 2:
            raise self._unsafe("items for something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str) or key in target:
                raise self._unsafe("a dict's key that is no text, or that is there already")
            target[key] = value

    def _append(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise self._unsafe("values for something that is no list")
        target += values

    # What would run code in another machine -----------------------------------------------------

    def _global(self) -> None:
        module, name = self._line(), self._line()
        known = _NAMES.get(module + b"\n" + name)
        if known is None:
            shown = (module + b"." + name).decode("utf-8", "backslashreplace")
            raise self._unsafe(f"they name {shown!r}")
        self._push(known)

    def _persistent(self) -> None:
        """Turn ``("storage", type, key, place, length, None)`` into a storage."""
        match self._pop():
            case (str(kind), _Name() as name, str(key), str(), length, None) if (
                kind == "storage" and name in _DTYPES
            ):
                (n_numbers,) = self._sizes((length,))
                storage = Storage(key, _DTYPES[name], n_numbers)
            case _:
                raise self._unsafe("a persistent value that is no storage")
        if self.storages.setdefault(key, storage) != storage:
            raise damaged(f"the storage {key!r} is described in two ways", self._at)
        self._push(storage)

    def _reduce(self) -> None:
        """Carry out the only two calls there are, neither of which is one."""
        match self._popped(2):
            case _Name.ORDERED_DICT, ():
                self._push(OrderedDict())
            case (
                _Name.REBUILD_TENSOR,
                (Storage() as storage, offset, tuple(shape), tuple(strides), bool(), dict(hooks)),
            ) if not hooks:
                (start,) = self._sizes((offset,))
                tensor = Tensor(storage, start, self._sizes(shape), self._sizes(strides))
                self._push(self._fitting(tensor))
            case _:
                raise self._unsafe("a call that makes no tensor")

    def _sizes(self, values: tuple[object, ...]) -> tuple[int, ...]:
        """Return the values if all are whole numbers: True is one to Python, not here."""
        numbers = tuple(each for each in values if type(each) is int)
        if len(numbers) != len(values) or len(values) > MAX_DIMENSIONS:
            raise self._unsafe("a size that is no whole number, or too many of them")
        return numbers

    def _fitting(self, tensor: Tensor) -> Tensor:
        if len(tensor.shape) != len(tensor.strides):
            raise damaged("a tensor with more sides than strides, or fewer", self._at)
        if not tensor.fits:
            raise damaged("a tensor that reaches beyond its storage", self._at)
        return tensor

    def _build(self) -> None:
        """Drop what torch notes beside a state dict: the versions of its layers."""
        match self._pop(), self._top():
            case {"_metadata": dict(), **rest}, OrderedDict() if not rest:
                return
        raise self._unsafe("a state for something other than a dict of tensors")


_STEPS: Final[dict[bytes, Callable[[Machine], None]]] = {
    b"(": Machine._mark,  # MARK
    b"N": lambda m: m._push(None),  # NONE
    b"\x88": lambda m: m._push(True),  # NEWTRUE
    b"\x89": lambda m: m._push(False),  # NEWFALSE
    b"K": lambda m: m._push(m._number(1)),  # BININT1
    b"M": lambda m: m._push(m._number(2)),  # BININT2
    b"J": lambda m: m._push(m._number(4, signed=True)),  # BININT
    b"X": lambda m: m._push(m._text()),  # BINUNICODE
    b")": lambda m: m._push(()),  # EMPTY_TUPLE
    b"\x85": lambda m: m._push(tuple(m._popped(1))),  # TUPLE1
    b"\x86": lambda m: m._push(tuple(m._popped(2))),  # TUPLE2
    b"\x87": lambda m: m._push(tuple(m._popped(3))),  # TUPLE3
    b"t": lambda m: m._push(tuple(m._since_mark())),  # TUPLE
    b"]": lambda m: m._push([]),  # EMPTY_LIST
    b"a": lambda m: m._append(m._popped(1)),  # APPEND
    b"e": lambda m: m._append(m._since_mark()),  # APPENDS
    b"}": lambda m: m._push({}),  # EMPTY_DICT
    b"s": lambda m: m._set_items(m._popped(2)),  # SETITEM
    b"u": lambda m: m._set_items(m._since_mark()),  # SETITEMS
    b"q": lambda m: m._remember(m._number(1)),  # BINPUT
    b"r": lambda m: m._remember(m._number(4)),  # LONG_BINPUT
    b"h": lambda m: m._recall(m._number(1)),  # BINGET
    b"j": lambda m: m._recall(m._number(4)),  # LONG_BINGET
    b"c": Machine._global,  # GLOBAL
    b"Q": Machine._persistent,  # BINPERSID
    b"R": Machine._reduce,  # REDUCE
    b"b": Machine._build,  # BUILD
}
"""Every opcode there is, under the name that Python's ``pickletools`` gives it."""


def unsafe(what: str, at: int) -> BundleError:
    """Return the refusal of what a file asks for."""
    return BundleError(
        f"The weights were refused: {what}.",
        code="weights-unsafe",
        where=f"byte {at:,}",
        why="A torch file is a program; only the steps that describe arrays are carried out.",
        hint="do not use this file; take one whose origin you know",
    )


def damaged(what: str, at: int) -> BundleError:
    """Return the error about a file that contradicts itself."""
    return BundleError(
        f"The weights cannot be read: {what}.",
        code="weights-damaged",
        where=f"byte {at:,}",
        why="A network with a part of its weights answers anything.",
        hint="copy the file again, or install again the package it came with",
    )
