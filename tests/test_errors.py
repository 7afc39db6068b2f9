"""Every error has four parts, a code and an exit status, and is caught by one name."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import errors
from fieldmark.errors import (
    BundleError,
    ConfigError,
    DataError,
    FieldmarkError,
    GateError,
    LayerListError,
    MissingExtra,
    OutOfMemory,
    ParityError,
    StorageError,
    Terminated,
    TrainingDiverged,
    UnreadableExample,
    UsageError,
)

STATUS = {
    FieldmarkError: 1,
    UsageError: 2,
    ConfigError: 2,
    LayerListError: 2,
    DataError: 3,
    UnreadableExample: 3,
    TrainingDiverged: 3,
    StorageError: 3,
    OutOfMemory: 3,
    GateError: 4,
    ParityError: 4,
    MissingExtra: 5,
    BundleError: 6,
    Terminated: 143,
}
kinds = pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)


def test_the_list_of_errors_is_complete() -> None:
    found = {
        thing
        for _, thing in inspect.getmembers(errors, inspect.isclass)
        if issubclass(thing, Exception)
    }
    assert found == set(STATUS)


@kinds
def test_exit_statuses_are_never_renumbered(kind: type[FieldmarkError]) -> None:
    assert kind.exit_status == STATUS[kind]
    assert kind("what", code="a-code").exit_status == STATUS[kind]


@kinds
def test_one_name_catches_all(kind: type[FieldmarkError]) -> None:
    with pytest.raises(FieldmarkError, match=r"^it broke \[a-code\]$"):
        raise kind("it broke", code="a-code")


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (UsageError, ValueError),
        (DataError, ValueError),
        (BundleError, ValueError),
        (TrainingDiverged, ArithmeticError),
        (OutOfMemory, MemoryError),
        (MissingExtra, ImportError),
        (StorageError, OSError),
    ],
)
def test_pythons_own_names_catch_what_they_mean(
    kind: type[FieldmarkError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin, match="it broke"):
        raise kind("it broke", code="a-code")


@kinds
def test_every_error_is_described_and_drawn_in_the_tree(kind: type[FieldmarkError]) -> None:
    assert kind.__doc__
    lines = [line for line in str(errors.__doc__).splitlines() if kind.__name__ in line.split()]
    assert lines
    if kind is not FieldmarkError and FieldmarkError in kind.__bases__:
        assert f" {kind.exit_status} " in lines[0]


def test_the_four_parts_stand_below_each_other() -> None:
    error = DataError(
        "2 of 3 classes have fewer than 5 examples: heron (3), egret (4).",
        code="too-few",
        where="birds/",
        why="fieldmark needs 5 per class so that each can be tested honestly.",
        hint="Add examples.\nOr: --drop-class heron",
    )
    assert str(error) == (
        "2 of 3 classes have fewer than 5 examples: heron (3), egret (4). [too-few]\n"
        "  where: birds/\n"
        "  why:   fieldmark needs 5 per class so that each can be tested honestly.\n"
        "  next:  Add examples.\n"
        "         Or: --drop-class heron"
    )


def test_parts_that_are_empty_take_no_line() -> None:
    assert str(GateError("too low", code="gate")) == "too low [gate]"
    assert str(GateError("too low", code="gate", hint="train on")).splitlines() == [
        "too low [gate]",
        "  next:  train on",
    ]


def test_a_mark_stays_under_its_place_in_the_printed_error() -> None:
    error = LayerListError("no layer", code="layer-list", where="RELU -> OOPS\n        ^")
    lines = str(error).splitlines()
    assert lines[2].index("^") == lines[1].index("OOPS")


parts = st.text(max_size=20)


@given(parts, parts, parts, parts, parts)
def test_machines_get_every_part_under_a_stable_key(
    what: str, code: str, where: str, why: str, hint: str
) -> None:
    error = BundleError(what, code=code, where=where, why=why, hint=hint)
    assert error.to_dict() == {
        "code": code,
        "what": what,
        "where": where,
        "why": why,
        "next": hint,
    }
    assert (error.what, error.code, error.where, error.why, error.hint) == tuple(
        (what, code, where, why, hint)
    )


def test_a_code_is_not_optional() -> None:
    with pytest.raises(TypeError, match="code"):
        FieldmarkError("it broke")  # type: ignore[call-arg]


@kinds
def test_an_error_survives_the_way_between_processes(kind: type[FieldmarkError]) -> None:
    error = kind("it broke", code="a-code", where="here", why="because", hint="go on")
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is kind
        assert again.to_dict() == error.to_dict()
        assert str(again) == str(error)
