"""Reading torch's older files: what is read is right, and nothing else is ever done.

A hostile file is refused with one of two codes, runs nothing, and takes neither time nor memory.
"""

from __future__ import annotations

import builtins
import os
import pickle
import pickletools
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.errors import BundleError
from fieldmark.networks import pretrained, torch_pickle
from fieldmark.networks.torch_file import MAX_TENSORS, read_tensors
from tests.networks.torch_files import (
    FACTS,
    KINDS,
    Stored,
    View,
    around,
    contiguous,
    empty_ordered_dict,
    name,
    number,
    program,
    several,
    state_of,
    storage,
    tensor,
    text,
    written,
)

KNOWN = [
    "MARK",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "BININT1",
    "BININT2",
    "BININT",
    "BINUNICODE",
    "EMPTY_TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "TUPLE",
    "EMPTY_LIST",
    "APPEND",
    "APPENDS",
    "EMPTY_DICT",
    "SETITEM",
    "SETITEMS",
    "BINPUT",
    "LONG_BINPUT",
    "BINGET",
    "LONG_BINGET",
    "GLOBAL",
    "BINPERSID",
    "REDUCE",
    "BUILD",
]
SIX = {"0": np.arange(6, dtype="<f4")}
FITTING = tensor(storage(), 0, (2, 3), (3, 1))
REBUILD = name("torch._utils", "_rebuild_tensor_v2")


def refused(file: bytes, *, match: str, code: str = "weights-unsafe") -> None:
    with pytest.raises(BundleError, match=match) as caught:
        read_tensors(file)
    assert caught.value.code == code
    assert caught.value.where.startswith("byte ")
    assert caught.value.why
    assert caught.value.hint


def small_file() -> bytes:
    """Return a file with something of everything: a view, a shared storage, metadata, counters."""
    kernel = Stored("11", np.linspace(-1, 1, 24, dtype="<f4"))
    state = {
        "conv.weight": View(kernel, 0, (4, 2, 3), (1, 12, 4)),
        "conv.half": View(kernel, 12, (12,), (1,)),
        "bn.num_batches_tracked": contiguous("12", np.array(7, "<i8")),
        "bn.bias": contiguous("13", np.ones(4, "<f2")),
    }
    return written(state)


# What is read -----------------------------------------------------------------------------------


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    values = draw(st.integers(0, 2**32 - 1))
    raw = np.random.default_rng(values).integers(0, 100, shape)
    return raw.astype(draw(st.sampled_from(sorted(KINDS))))


@settings(max_examples=60)
@given(st.lists(arrays(), min_size=1, max_size=5), st.booleans())
def test_what_was_written_is_read_again(values: list[NDArray[Any]], metadata: bool) -> None:
    wanted = {f"layer{i}.weight": each for i, each in enumerate(values)}
    state = {key: contiguous(key, each) for key, each in wanted.items()}
    found = read_tensors(written(state, metadata=metadata))
    assert list(found) == list(wanted)
    for key, array in found.items():
        assert array.dtype == wanted[key].dtype
        np.testing.assert_array_equal(array, wanted[key], strict=True)


@settings(max_examples=60)
@given(st.permutations(range(4)), st.integers(0, 5))
def test_a_view_is_read_in_its_own_order(order: list[int], offset: int) -> None:
    """Kernels that came from TensorFlow are stored in its order and turned by their strides."""
    numbers = np.arange(2 * 3 * 4 * 5 + offset, dtype="<f4")
    wanted = numbers[offset:].reshape(2, 3, 4, 5).transpose(order)
    strides = tuple(each // 4 for each in wanted.strides)
    view = View(Stored("0", numbers), offset, wanted.shape, strides)
    found = read_tensors(written({"kernel": view}))["kernel"]
    np.testing.assert_array_equal(found, wanted, strict=True)
    assert found.flags.c_contiguous


def test_two_views_of_one_storage_become_two_arrays() -> None:
    stored = Stored("0", np.arange(6, dtype="<f4"))
    state = {"a": View(stored, 0, (2, 3), (3, 1)), "b": View(stored, 0, (3, 2), (1, 3))}
    found = read_tensors(written(state))
    found["a"][0, 1] = 100
    assert found["b"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_an_array_does_not_keep_the_file_in_memory() -> None:
    assert all(array.base is None for array in read_tensors(small_file()).values())


def test_a_dict_longer_than_one_piece_is_read_whole() -> None:
    """A pickler writes 1,000 pairs at a time, and its memo passes 255."""
    state = {f"n{i}": contiguous(str(i), np.full(1, i, "<f4")) for i in range(2500)}
    found = read_tensors(written(state))
    assert [array.item() for array in found.values()] == list(range(2500))


def test_an_empty_dict_is_read_as_one() -> None:
    assert read_tensors(written({})) == {}


def test_a_number_may_be_repeated_by_a_stride_of_zero() -> None:
    found = read_tensors(around(state_of(a=tensor(storage(), 5, (2, 2), (0, 0))), SIX))
    assert found["a"].tolist() == [[5, 5], [5, 5]]


def test_a_side_of_zero_is_an_empty_array() -> None:
    file = around(state_of(a=tensor(storage(), 6, (3, 0), (1, 1))), SIX)
    assert read_tensors(file)["a"].shape == (3, 0)


# What a file asks for ---------------------------------------------------------------------------


class Evil:
    """What it reduces to is called by whoever unpickles it."""

    def __init__(self, call: object, *arguments: object) -> None:
        self.parts = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


@pytest.mark.parametrize("where", ["file", "dict", "facts", "keys"])
def test_nothing_that_a_file_names_is_ever_called(tmp_path: Path, where: str) -> None:
    mark = tmp_path / "called"
    evil = Evil(os.mkdir, str(mark))
    as_bytes = pickle.dumps({"dict": {"a": evil}}.get(where, evil), protocol=2)
    files = {
        "facts": lambda: around(state_of(a=FITTING), SIX, facts=evil),
        "keys": lambda: around(state_of(a=FITTING), SIX, keys=evil),
    }
    refused(
        files.get(where, lambda: around(as_bytes))(), match="they name 'posix.mkdir'|'nt.mkdir'"
    )
    assert not mark.exists()
    pickle.loads(as_bytes)
    assert mark.exists(), "this pickle would not have done anything anywhere"


@pytest.mark.parametrize(
    "call",
    [os.system, builtins.eval, builtins.exec, getattr, __import__, pickle.loads, type, dict, open],
    ids=lambda call: call.__name__,
)
def test_a_name_outside_of_the_table_is_refused_by_name(call: object) -> None:
    file = around(pickle.dumps({"a": Evil(call, "1")}, protocol=2))
    refused(file, match=rf"they name '\w+\.{call.__name__}'")


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("torch", "load"),
        ("torch", "BFloat16Storage"),
        ("torch", "FloatStorage.__init__"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("collections", "OrderedDict.fromkeys"),
        ("collections", "defaultdict"),
        ("torch ", "FloatStorage"),
        ("", ""),
        ("\x1b[2J\u202e", "x"),
    ],
)
def test_a_name_must_be_exactly_one_of_the_table(module: str, attribute: str) -> None:
    refused(around(program(name(module, attribute))), match="they name '")


def test_a_name_is_shown_without_what_it_does_to_a_screen() -> None:
    with pytest.raises(BundleError, match="they name") as caught:
        read_tensors(around(program(name("\x1b[2J\u202e", "x"))))
    assert caught.value.what.isascii()
    assert caught.value.what.isprintable()


@pytest.mark.parametrize(
    "opcode",
    [each for each in pickletools.opcodes if each.name not in {*KNOWN, "STOP"}],
    ids=lambda each: each.name,
)
def test_every_other_opcode_is_refused(opcode: pickletools.OpcodeInfo) -> None:
    """Among them STACK_GLOBAL, INST, OBJ, NEWOBJ, EXT1, PERSID, DUP, POP and LONG1."""
    raw = opcode.code.encode("latin-1")
    state = program(text("os"), text("system"), raw, b"\x01os\nsystem\n", b")")
    refused(around(state), match=f"the opcode 0x{raw.hex()}")


def test_the_machine_knows_these_opcodes_and_no_more() -> None:
    codes = {each.code.encode("latin-1"): each.name for each in pickletools.opcodes}
    assert [codes[raw] for raw in torch_pickle._STEPS] == KNOWN


@pytest.mark.parametrize("protocol", [0, 1, 3, 4, 5])
def test_only_protocol_2_is_read(protocol: int) -> None:
    refused(around(pickle.dumps({}, protocol=protocol)), match="not of protocol 2")


CALLS = {
    "a call of a call": empty_ordered_dict() + b")R",
    "a dict from a list": name("collections", "OrderedDict") + b"]\x85R",
    "a storage's type": name("torch", "FloatStorage") + b")R",
    "a text": text("os.system") + b")R",
    "a tensor from too little": REBUILD + b")R",
    "a tensor from a list": REBUILD + several(b"]", *[number(0)] * 5) + b"R",
    "a tensor from arguments that are none": REBUILD + number(6) + b"R",
    "a tensor without a storage": tensor(number(6), 0, (1,), (1,)),
    "a tensor in the name of a storage": tensor(name("torch", "FloatStorage"), 0, (1,), (1,)),
    "a tensor in a tensor": tensor(FITTING, 0, (1,), (1,)),
    "hooks": REBUILD
    + several(storage(), number(0), b")", b")", b"\x89", b"}" + text("a") + b"Ns")
    + b"R",
    "a state for a tensor": FITTING + b"}" + text("_metadata") + b"}sb",
    "a state for a plain dict": b"}}" + text("_metadata") + b"}sb",
    "a state that is no dict": empty_ordered_dict() + number(1) + b"b",
    "a state of another name": empty_ordered_dict() + b"}" + text("__class__") + b"}sb",
    "a state with a second name": empty_ordered_dict()
    + b"}("
    + b"".join(text(each) + b"}" for each in ("_metadata", "__dict__"))
    + b"ub",
    "metadata that is no dict": empty_ordered_dict() + b"}" + text("_metadata") + b"Nsb",
}


@pytest.mark.parametrize("piece", CALLS.values(), ids=CALLS)
def test_a_call_or_state_of_any_other_form_is_refused(piece: bytes) -> None:
    refused(around(state_of(a=piece), SIX), match="makes no tensor|other than a dict of tensors")


PERSISTENT = {
    "a text": text("../../etc/passwd"),
    "a number": number(0),
    "too short": several(text("storage"), name("torch", "FloatStorage"), text("0")),
    "another word": several(
        text("module"), name("torch", "FloatStorage"), text("0"), text("cpu"), number(6), b"N"
    ),
    "a type that is a text": several(
        text("storage"), text("FloatStorage"), text("0"), text("cpu"), number(6), b"N"
    ),
    "a type that is no storage's": several(
        text("storage"), name("collections", "OrderedDict"), text("0"), text("cpu"), number(6), b"N"
    ),
    "a key that is a number": several(
        text("storage"), name("torch", "FloatStorage"), number(0), text("cpu"), number(6), b"N"
    ),
    "a view of another": several(
        text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), number(6), b")"
    ),
    "a length that is true": several(
        text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), b"\x88", b"N"
    ),
}


@pytest.mark.parametrize("piece", PERSISTENT.values(), ids=PERSISTENT)
def test_a_persistent_value_is_a_storage_or_refused(piece: bytes) -> None:
    file = around(state_of(a=tensor(piece + b"Q", 0, (1,), (1,))), SIX)
    refused(file, match="no storage|no whole number")


NO_TENSORS = {
    "a number": program(number(1)),
    "a list": program(b"]"),
    "a dict of numbers": state_of(a=number(1)),
    "a dict of dicts": state_of(state_dict=b"}"),
    "a tensor by itself": program(FITTING),
    "a tensor and a storage": state_of(a=FITTING, b=storage()),
}


@pytest.mark.parametrize("state", NO_TENSORS.values(), ids=NO_TENSORS)
def test_anything_but_a_dict_of_tensors_is_refused(state: bytes) -> None:
    refused(around(state, SIX), match="no dict of tensors|is no tensor")


MALFORMED = {
    "no value to take": b"\x85",
    "no value to remember": b"q\x00",
    "no value at the end": b"",
    "a value below a mark": b"N(\x85",
    "no mark": b"Nt",
    "a mark left over": b"N(N",
    "values left over": b"NN",
    "a memo never filled": b"h\x07",
    "a memo filled twice": b"Nq\x00q\x00",
    "items for a list": b"](" + text("a") + b"Nu",
    "half a pair": b"}(" + text("a") + b"u",
    "values for a dict": b"}Na",
    "a key that is a number": b"}" + number(1) + b"Ns",
    "a key twice": b"}(" + (text("a") + b"N") * 2 + b"u",
}


@pytest.mark.parametrize("piece", MALFORMED.values(), ids=MALFORMED)
def test_a_pickle_that_no_pickler_writes_is_refused(piece: bytes) -> None:
    match = "lacks its|leaves values over|a memo|for something that is no|a dict's key"
    refused(around(program(piece)), match=match)


# Sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (6, (), ()),
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (0, (2, 3), (4, 1)),
        (0, (2,), (2**31 - 1,)),
        (7, (0,), (1,)),
        (2**31 - 1, (1,), (1,)),
        (0, (2**31 - 1,) * 8, (1,) * 8),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    file = around(state_of(a=tensor(storage(), offset, shape, strides)), SIX)
    refused(file, match="reaches beyond its storage", code="weights-damaged")


def test_a_tensor_cannot_reach_into_the_next_storage() -> None:
    stored = SIX | {"1": np.arange(6, dtype="<f4")}
    state = state_of(a=tensor(storage("0"), 0, (7,), (1,)), b=tensor(storage("1"), 0, (6,), (1,)))
    refused(around(state, stored), match="beyond its storage", code="weights-damaged")


@pytest.mark.parametrize(
    "piece",
    [
        tensor(storage(), -1, (1,), (1,)),
        tensor(storage(), 0, (-1,), (1,)),
        tensor(storage(), 5, (6,), (-1,)),
        tensor(storage(n=-6), 0, (1,), (1,)),
    ],
    ids=["offset", "side", "stride", "length"],
)
def test_a_negative_number_is_refused(piece: bytes) -> None:
    refused(around(state_of(a=piece), SIX), match="a negative number")


@pytest.mark.parametrize("shape", [(1,) * 9, (1,) * 1000])
def test_a_tensor_has_few_sides(shape: tuple[int, ...]) -> None:
    refused(around(state_of(a=tensor(storage(), 0, shape, shape)), SIX), match="too many of them")


def test_a_tensor_has_a_stride_for_every_side() -> None:
    file = around(state_of(a=tensor(storage(), 0, (2, 3), (1,))), SIX)
    refused(file, match="more sides than strides", code="weights-damaged")


@pytest.mark.parametrize("piece", [b"\x88", b"N", b")", text("1"), FITTING, b"}"])
def test_a_size_is_a_whole_number(piece: bytes) -> None:
    shape = several(piece)
    parts = several(storage(), number(0), shape, shape, b"\x89", empty_ordered_dict())
    file = around(state_of(a=REBUILD + parts + b"R"), SIX)
    refused(file, match="no whole number")


def test_a_storage_said_to_be_long_takes_no_memory() -> None:
    n = 2**31 - 1
    file = around(state_of(a=tensor(storage(n=n), 0, (1,), (1,))), SIX)
    refused(file, match="end inside of the storage '0'", code="weights-damaged")


@pytest.mark.parametrize("shape", [(2**31 - 1,), (2**20, 2**20), (0, *(2**31 - 1,) * 7)])
def test_a_tensor_said_to_be_large_takes_no_memory(shape: tuple[int, ...]) -> None:
    file = around(state_of(a=tensor(storage(), 0, shape, (0,) * len(shape))), SIX)
    tracemalloc.start()
    refused(file, match="bytes of arrays, more than")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_one_storage_under_many_names_counts_each_time() -> None:
    stored = Stored("0", np.zeros(1000, "<f4"))
    file = written({f"n{i}": View(stored, 0, (1000,), (1,)) for i in range(10)})
    assert len(read_tensors(file, limit_bytes=40_000)) == 10
    with pytest.raises(BundleError, match="40,000 bytes of arrays, more than 39,999"):
        read_tensors(file, limit_bytes=39_999)


def test_a_file_above_the_limit_is_not_looked_into() -> None:
    with pytest.raises(BundleError, match="4 bytes, more than 3") as caught:
        read_tensors(b"\0\0\0\0", limit_bytes=3)
    assert caught.value.code == "weights-unsafe"


LENGTHS = {
    "another length": (
        around(state_of(a=FITTING), {"0": np.arange(7, dtype="<f4")})[:-4],
        "another",
    ),
    "a storage too many": (around(state_of(a=FITTING), SIX, keys=["0", "1"]), "other storages"),
    "a storage too few": (around(state_of(a=FITTING), SIX, keys=[]), "other storages"),
    "a storage twice": (around(state_of(a=FITTING), SIX, keys=["0", "0"]), "other storages"),
    "another storage": (around(state_of(a=FITTING), SIX, keys=["1"]), "other storages"),
    "two lengths": (
        around(state_of(a=FITTING, b=tensor(storage(n=5), 0, (1,), (1,))), SIX),
        "described in two ways",
    ),
    "two types": (
        around(state_of(a=FITTING, b=tensor(storage(kind="IntStorage"), 0, (1,), (1,))), SIX),
        "described in two ways",
    ),
    "a byte too many": (small_file() + b"\0", "1 bytes follow"),
    "two files": (small_file() * 2, "bytes follow"),
    "a byte too few": (small_file()[:-1], "end inside"),
    "no Unicode": (around(program(b"X\x01\0\0\0\xff")), "not valid Unicode"),
    "a name without an end": (around(program(b"c" + b"a" * 600)), "a name without an end"),
    "a zip": (b"PK\3\4" + bytes(100), "do not begin"),
    "nothing": (b"", "do not begin"),
    "a big-endian computer": (
        around(state_of(a=FITTING), SIX, facts=FACTS | {"little_endian": False}),
        "little-endian",
    ),
    "another version": (
        around(state_of(a=FITTING), SIX, facts=FACTS | {"protocol_version": 1002}),
        "little-endian",
    ),
}


@pytest.mark.parametrize(("file", "match"), LENGTHS.values(), ids=LENGTHS)
def test_a_file_that_contradicts_itself_is_damaged(file: bytes, match: str) -> None:
    refused(file, match=match, code="weights-damaged")


@pytest.mark.parametrize("keys", ["0", {"0": 1}, [0], [["0"]], None])
def test_the_storages_keys_are_a_list_of_texts(keys: object) -> None:
    head = around(state_of(a=FITTING), {})
    file = head[: -len(pickle.dumps([], protocol=2))] + pickle.dumps(keys, protocol=2)
    refused(file, match="no list of texts")


# Bombs ------------------------------------------------------------------------------------------


def laughs(levels: int = 50) -> bytes:
    """Return a tuple that, written out, is longer than there are atoms."""
    steps = [b")q\x00"]
    for i in range(levels):
        steps.append(b"(" + bytes([ord("h"), i]) * 10 + bytes([ord("t"), ord("q"), i + 1]))
        steps.append(bytes([ord("h"), i + 1]))
    return b"(" + b"".join(steps) + b"t"


BOMBS = {
    "as a value": (state_of(a=laughs()), "is no tensor"),
    "as the file": (program(laughs()), "no dict of tensors"),
    "as a key": (program(b"}", laughs(), b"Ns"), "a dict's key"),
    "as a persistent value": (state_of(a=laughs() + b"Q"), "no storage"),
    "as arguments": (state_of(a=REBUILD + laughs() + b"R"), "makes no tensor"),
    "as a name": (state_of(a=laughs() + b")R"), "makes no tensor"),
    "as a state": (program(empty_ordered_dict(), laughs(), b"b"), "other than a dict"),
    "a dict in itself": (program(b"}q\x00", text("a"), b"h\x00s"), "is no tensor"),
    "a list in itself": (program(b"]q\x00h\x00a"), "no dict of tensors"),
    "very deep": (state_of(a=b"N" + b"\x85" * 90_000), "is no tensor"),
    "too many steps": (state_of(a=b"N" + b"\x85" * 100_000), "more than 100,000 steps"),
    "too many values": (program(b"N" * 10_001), "more than 10,000 values"),
    "too many marks": (program(b"(" * 10_001), "more than 10,000 values"),
    "too long a text": (program(text("a" * 513)), "a text of 513 bytes, more than 512"),
    "a text said to be long": (program(b"X\xff\xff\xff\xff"), "a text of 4,294,967,295 bytes"),
    "a full memo": (
        program(b"N", *(b"r" + i.to_bytes(4, "little") for i in range(50_001))),
        "for more than 50,000 values",
    ),
}


@pytest.mark.parametrize(("state", "match"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_does_not_go_off(state: bytes, match: str) -> None:
    tracemalloc.start()
    refused(around(state), match=match)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20


def test_there_are_not_too_many_tensors() -> None:
    """In pieces of 100, for a dict that is filled at once is too much for the stack already."""
    names = [text(f"n{i}") + b"h\x01" for i in range(MAX_TENSORS + 1)]
    pieces = [b"(" + b"".join(names[i : i + 100]) + b"u" for i in range(0, len(names), 100)]
    fill = program(b"}", text("x"), FITTING, b"q\x01s", *pieces)
    refused(around(fill, SIX), match="tensors, more than 10,000")


# Damage -----------------------------------------------------------------------------------------


def read_or_refused(file: bytes) -> None:
    """Hold what is promised about any bytes at all."""
    found: dict[str, NDArray[Any]] = {}
    code = "read"
    try:
        found = read_tensors(file, limit_bytes=1 << 20)
    except BundleError as error:
        code = error.code
    assert code in ("read", "weights-unsafe", "weights-damaged")
    assert all(isinstance(key, str) for key in found)
    assert {array.dtype.newbyteorder("<").str for array in found.values()} <= set(KINDS)
    assert sum(array.nbytes for array in found.values()) <= 1 << 20


def test_a_small_file_cut_anywhere_is_damaged() -> None:
    file = small_file()
    for n in range(len(file)):
        refused(file[:n], match="end inside|without an end|not begin", code="weights-damaged")


@pytest.mark.parametrize("step", [997, 997_003], ids=["in the pickles", "in the numbers"])
def test_a_real_file_cut_anywhere_is_damaged(step: int) -> None:
    file = pretrained.find("efficientnet-lite0")
    for n in range(0, min(len(file), 50 * step), step):
        refused(file[:n], match="end inside|without an end|not begin", code="weights-damaged")


FLIPS = st.lists(st.tuples(st.integers(0, len(small_file()) - 1), st.integers(1, 255)), max_size=6)


@settings(max_examples=1500)
@given(FLIPS)
def test_flipped_bytes_give_arrays_or_one_of_the_two_codes(flips: list[tuple[int, int]]) -> None:
    file = bytearray(small_file())
    for place, change in flips:
        file[place] ^= change
    read_or_refused(bytes(file))


def test_each_byte_set_to_each_opcode_gives_arrays_or_one_of_the_two_codes() -> None:
    """Random flips seldom hit a known opcode."""
    file = small_file()
    for place in range(21, len(file) - 100, 3):
        for opcode in (*torch_pickle._STEPS, b"."):
            read_or_refused(file[:place] + opcode + file[place + 1 :])


PIECES = st.sampled_from(
    [
        *torch_pickle._STEPS,
        b"q\x01",
        b"h\x01",
        b"r\x02\0\0\0",
        b"j\x02\0\0\0",
        b"K\x01",
        FITTING,
        storage(),
        REBUILD,
        empty_ordered_dict(),
        text("a"),
        text("_metadata"),
        text("storage"),
        name("torch", "FloatStorage"),
        several(number(2), number(3)),
    ]
)


@settings(max_examples=1000)
@given(st.lists(PIECES, max_size=30))
def test_any_row_of_opcodes_gives_arrays_or_one_of_the_two_codes(pieces: list[bytes]) -> None:
    read_or_refused(around(program(*pieces), SIX))


# torch itself -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("which", pretrained.PRETRAINED)
def test_torch_reads_the_same_from_the_real_files(which: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    data = pretrained.find(which)
    (tmp_path / "file.pth").write_bytes(data)
    wanted = torch.load(tmp_path / "file.pth", weights_only=True)
    found = read_tensors(data)
    assert list(found) == list(wanted)
    for key, array in found.items():
        np.testing.assert_array_equal(array, wanted[key].numpy(), strict=True)


@pytest.mark.slow
def test_what_torch_writes_today_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Conv1d(2, 3, 5), torch.nn.BatchNorm2d(4)
    )
    wanted = layers.state_dict()
    wanted["turned"] = torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1)
    for dtype in (torch.half, torch.double, torch.int, torch.long, torch.uint8):
        wanted[str(dtype)] = torch.arange(3).to(dtype)
    for state in (wanted, dict(wanted), {"one": wanted["turned"]}):
        torch.save(state, tmp_path / "new.pth", _use_new_zipfile_serialization=False)
        found = read_tensors((tmp_path / "new.pth").read_bytes())
        assert list(found) == list(state)
        for key, array in found.items():
            np.testing.assert_array_equal(array, state[key].numpy(), strict=True)
