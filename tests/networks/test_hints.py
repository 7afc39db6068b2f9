"""Each hint is given when it should be, and not otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from fieldmark.networks import CATALOGUE
from fieldmark.networks.hints import HINTS, Hint, find
from fieldmark.networks.parser import parse
from fieldmark.networks.sight import sights
from fieldmark.networks.volumes import plan
from tests.networks.strategies import Case, cases


def hints(body: str, *, size: str = "64x64x3") -> list[Hint]:
    made = plan(parse(f"INPUT {size} -> {body} -> FC"), 2)
    return list(find(made, sights(made)))


def given_by(code: str, body: str, *, size: str = "64x64x3") -> list[str]:
    return [hint.step for hint in hints(body, size=size) if hint.code == code]


# --- net-stride-as-kernel


@pytest.mark.parametrize(
    ("body", "steps"),
    [
        ("CONV 32 3x3 step 3 -> RELU", ["conv1"]),
        ("CONV 32 1x1 step 3 -> RELU", ["conv1"]),
        ("DWCONV 3x5 step 3", ["dwconv1"]),
        ("CONV 32 3x3 -> RELU -> CONV 32 3x3 step 4", ["conv2"]),
        ("CONV 32 3x3 step 2", []),  # the usual way to halve
        ("CONV 32 2x2 step 2", []),
        ("CONV 32 7x7 step 3", []),
        ("POOL 3x3", []),
    ],
)
def test_a_step_as_wide_as_the_kernel_is_noticed(body: str, steps: list[str]) -> None:
    assert given_by("net-stride-as-kernel", body) == steps


def test_the_keras_1_mistake_is_explained_with_its_numbers() -> None:
    hint = hints("CONV 32 3x3 step 3 -> RELU", size="128x128x3")[0]
    assert "128x128 becomes 42x42" in hint.text
    assert "Conv2D(32, 3, 3) means kernel 3, step 3" in hint.text
    assert "3x3 with step 1?" in hint.text


# --- net-wide-flat


@pytest.mark.parametrize(
    ("body", "steps"),
    [
        ("CONV 32 3x3 -> RELU -> POOL 2x2 -> FC 128 -> RELU", ["fc1"]),
        ("CONV 32 3x3 -> FLATTEN -> DROPOUT 0.5 -> BN -> FC 128 -> RELU", ["fc1"]),
        ("CONV 32 3x3 -> RELU -> GAP -> FC 128 -> RELU", []),
        ("CONV 8 3x3 -> RELU -> POOL 16x16 -> FC 128 -> RELU", []),  # under 100,000 weights
        ("GAP -> FC 1000 -> RELU -> FC 1000 -> RELU", []),  # not behind FLATTEN
        ("CONV 64 64x64 -> RELU -> FC 4000 -> RELU", []),  # 1x1: an average changes nothing
        ("CONV 256 3x3 -> RELU -> GAP -> FLATTEN -> FC 1000 -> RELU", []),  # flat already
        ("GAP -> FLATTEN -> FLATTEN -> FC 50000 -> RELU", []),
    ],
)
def test_most_weights_in_one_fc_behind_flatten_is_noticed(body: str, steps: list[str]) -> None:
    assert given_by("net-wide-flat", body) == steps


def test_the_share_and_the_cheaper_way_are_counted() -> None:
    body = "[CONV 32 3x3 -> RELU -> POOL 2x2]*2 -> FC 128 -> RELU"
    (text,) = (hint.text for hint in hints(body) if hint.code == "net-wide-flat")
    assert text.startswith("98.7 % of the weights sit in fc1.")
    assert text.endswith("instead of FLATTEN would need 4,224 there.")


# --- net-receptive-field


@pytest.mark.parametrize(
    ("body", "size", "given"),
    [
        ("CONV 8 3x3 -> RELU", "64x64x3", True),
        ("CONV 8 31x31 -> RELU", "64x64x3", True),
        ("CONV 8 32x32 -> RELU", "64x64x3", False),  # half is not less than half
        ("CONV 8 40x40 -> RELU", "64x64x3", False),
        ("CONV 8 9x9 -> RELU", "64x16x3", False),  # more than half of the columns
        ("CONV 8 3x9 -> RELU", "16x64x3", True),  # less than half of both
        ("[CONV 8 3x3 same -> RELU -> POOL 2x2]*4", "64x64x3", False),
        ("FC 8 -> RELU", "64x64x3", False),  # no maps at all
    ],
)
def test_maps_that_see_less_than_half_are_noticed(body: str, size: str, given: bool) -> None:
    assert bool(given_by("net-receptive-field", body, size=size)) == given


def test_the_field_is_told_with_what_one_more_block_would_give() -> None:
    body = "[CONV 32 3x3 -> RELU -> POOL 2x2]*2"
    (text,) = (hint.text for hint in hints(body) if hint.code == "net-receptive-field")
    assert text == (
        "After pool2 one unit sees 10x10 of the 64x64 pixels. One more CONV+POOL block would make "
        "that 22x22."
    )


def test_no_block_is_promised_to_see_more_than_the_picture() -> None:
    (hint,) = hints("CONV 8 3x3 step 6 -> RELU", size="18x64x3")[1:]
    assert hint.text.endswith("would make that 18x21.")


# --- net-nothing-between


@pytest.mark.parametrize(
    ("body", "steps"),
    [
        ("CONV 8 3x3 -> CONV 8 3x3 -> RELU", ["conv2"]),
        ("CONV 8 3x3 -> BN -> DROPOUT 0.1 -> CONV 8 3x3 -> RELU", ["conv2"]),
        ("CONV 8 3x3 -> AVGPOOL 2x2 -> CONV 8 3x3 -> RELU", ["conv2"]),
        ("CONV 8 3x3 -> GAP", ["fc1"]),
        ("FC 8 -> FC 8 -> RELU", ["fc2"]),
        ("CONV 8 3x3 -> RELU -> CONV 8 3x3 -> RELU", []),
        ("CONV 8 3x3 -> POOL 2x2 -> CONV 8 3x3 -> RELU", []),  # a largest value is not linear
        ("DWCONV 3x3 -> CONV 8 1x1 -> RELU", []),  # a separable CONV is meant so
        ("CONV 8 1x1 -> RELU -> DWCONV 3x3 -> CONV 8 1x1 -> RELU", []),
        ("RELU -> {CONV 3 3x3 same} -> CONV 3 3x3 -> RELU", ["conv2"]),
        ("RELU -> {CONV 3 3x3 same} -> RELU -> CONV 3 3x3 -> RELU", []),
    ],
)
def test_two_linear_layers_in_a_row_are_noticed(body: str, steps: list[str]) -> None:
    assert given_by("net-nothing-between", body) == steps


# --- all of them


def test_every_hint_is_a_question() -> None:
    for question in HINTS:
        assert str(question.__doc__).splitlines()[0].startswith("Ask: ")
        assert str(question.__doc__).splitlines()[0].endswith("?")


@pytest.mark.parametrize("name", ["small", "residual"])
def test_the_recommended_networks_give_no_hint(name: str) -> None:
    made = plan(CATALOGUE[name].network(), 5)
    assert find(made, sights(made)) == ()


@settings(deadline=None)
@given(cases())
def test_no_list_is_too_odd_to_be_looked_at(case: Case) -> None:
    made = plan(case.network, case.n_classes)
    names = {step.name for step in made.steps}
    for hint in find(made, sights(made)):
        assert hint.step in names
        assert hint.code.startswith("net-")
        assert hint.text.endswith((".", "?"))
