"""The table people read: golden text, numbers by hand, stable keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from fieldmark.networks import CATALOGUE
from fieldmark.networks.layer_table import LayerTable, layer_table
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from tests.networks.strategies import Case, cases

GOLDEN = Path(__file__).parents[1] / "golden" / "layer_table_tutorial.txt"
KEYS = {
    *["number", "name", "kind", "what", "input_shape", "output_shape", "weights"],
    *["multiply_adds", "activation_bytes", "receptive_field", "formula", "hint_codes"],
}


def table(body: str, n_classes: int = 2, size: str = "64x64x3") -> LayerTable:
    return layer_table(plan(parse(f"INPUT {size} -> {body}"), n_classes))


def tutorial() -> LayerTable:
    return layer_table(plan(CATALOGUE["tutorial"].network(), 2), name="tutorial")


def test_the_tutorials_table_is_the_golden_one() -> None:
    assert str(tutorial()) + "\n" == GOLDEN.read_text()


def test_the_golden_numbers_are_those_of_a_pencil() -> None:
    found = tutorial()
    assert found.n_weights == (3 * 3 * 3 + 1) * 32 + (31 * 31 * 32 + 1) * 128 + 129 == 3_937_409
    by_name = {row.name: row for row in found.rows}
    assert by_name["conv1"].multiply_adds == 62 * 62 * 32 * 27
    assert by_name["fc1"].multiply_adds == 30_752 * 128
    assert found.multiply_adds == 62 * 62 * 32 * 27 + 30_752 * 128 + 128
    assert by_name["conv1"].activation_bytes == 62 * 62 * 32 * 4


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("CONV 5 3x2", 18 * 19 * 5 * 3 * 2 * 3),
        ("CONV 5 3x3 same step 2", 10 * 10 * 5 * 9 * 3),
        ("DWCONV 3x3", 18 * 18 * 3 * 9),
        ("POOL 2x2", 0),
        ("BN", 0),
        ("GAP", 0),
        ("{CONV 3 1x1 same}", 20 * 20 * 3 * 3),
    ],
)
def test_multiply_adds_by_hand(layer: str, expected: int) -> None:
    found = table(f"{layer} -> FC", size="20x20x3")
    assert found.multiply_adds - found.rows[-2].multiply_adds == expected


def test_layers_that_keep_the_volume_have_no_number() -> None:
    found = table("CONV 4 3x3 -> BN -> RELU -> DROPOUT 0.5 -> {RELU} -> POOL 2x2 -> GAP -> FC")
    numbers = [(row.kind, row.number) for row in found.rows if row.number is not None]
    assert numbers == [("INPUT", 0), ("CONV", 1), ("POOL", 2), ("GAP", 3), ("FC", 4)]


@pytest.mark.parametrize(
    ("layer", "what", "formula"),
    [
        ("CONV 32 3x3", "32 filters 3x3x3", "(64-3)/1+1 = 62"),
        ("CONV 32 3x3 same", "32 filters 3x3x3", "same size"),
        ("CONV 32 3x3 same step 2", "32 filters 3x3x3", "64/2 = 32, same"),
        ("CONV 32 3x3 same step 3", "32 filters 3x3x3", "64/3 = 22, rounded up"),
        ("CONV 32 3x3 step 2", "32 filters 3x3x3", "(64-3)/2+1 = 31, last row unused"),
        ("CONV 32 4x4 step 7", "32 filters 4x4x3", "(64-4)/7+1 = 9, last 4 rows unused"),
        ("DWCONV 5x3", "a filter 5x3 per map", "(64-5)/1+1 = 60"),
        ("POOL 2x2", "max of 2x2, step 2", "64/2 = 32"),
        ("POOL 3x3", "max of 3x3, step 3", "64/3, last row unused"),
        ("POOL 3x3 step 2", "max of 3x3, step 2", "(64-3)/2+1 = 31, last row unused"),
        ("AVGPOOL 2x4", "mean of 2x4, step 2x4", "64/2 = 32"),
        ("GAP", "mean of each map", "one per map"),
        ("GMP", "max of each map", "one per map"),
        ("BN", "mean 0, spread 1", "4*3 = 12"),
        ("RELU6", "min(max(0, x), 6)", "same size"),
        ("SIGMOID", "1/(1+exp(-x))", "same size"),
        ("DROPOUT 0.25", "25 % set to 0", "same size"),
        ("FLATTEN", "volume to list", "64*64*3"),
    ],
)
def test_every_layer_is_explained(layer: str, what: str, formula: str) -> None:
    row = table(f"{layer} -> FC").rows[1]
    assert row.kind == layer.split(maxsplit=1)[0]
    assert (row.what, row.formula) == (what, formula)


def test_an_fc_without_bias_says_so_in_its_formula() -> None:
    formulas = [row.formula for row in table("GAP -> FC 5 -> BN -> FC").rows if row.kind == "FC"]
    assert formulas == ["3*5", "5*2+2"]


@pytest.mark.parametrize(
    ("head", "kind", "width"), [("FC", "SOFTMAX", 5), ("FC -> SOFTMAX", "SOFTMAX", 5)]
)
def test_the_last_row_is_the_implied_activation(head: str, kind: str, width: int) -> None:
    last = table(f"GAP -> {head}", 5).rows[-1]
    assert (last.name, last.kind, last.output_shape) == ("scores", kind, (width,))


def test_one_unit_ends_in_a_sigmoid_and_two_scores() -> None:
    last = table("GAP -> FC 1").rows[-1]
    assert (last.kind, last.input_shape, last.output_shape) == ("SIGMOID", (1,), (2,))


def test_grey_and_rgb_are_told_apart() -> None:
    assert table("FC").rows[0].what == "RGB picture"
    assert table("FC", size="64x64x1").rows[0].what == "grey picture"


def test_the_json_form_has_the_documented_keys() -> None:
    found = json.loads(json.dumps(tutorial().to_dict()))
    assert list(found) == [
        *["schema", "title", "n_classes", "weights", "multiply_adds", "layers", "hints"]
    ]
    assert found["schema"] == "fieldmark.layers/1"
    assert found["weights"] == 3_937_409
    assert all(set(layer) == KEYS for layer in found["layers"])
    assert [set(hint) for hint in found["hints"]] == [{"code", "step", "text"}] * 2
    assert found["layers"][1]["output_shape"] == [62, 62, 32]


def test_hints_stand_in_the_rows_they_are_about() -> None:
    found = tutorial()
    rows = {row.name: row.hint_codes for row in found.rows if row.hint_codes}
    assert rows == {"pool1": ("net-receptive-field",), "fc1": ("net-wide-flat",)}
    assert {hint.step for hint in found.hints} == set(rows)


def test_sixty_columns_leave_the_reasons_out_and_lose_no_number() -> None:
    found = tutorial()
    lines = found.lines(60)
    assert max(len(line) for line in lines) <= 60
    assert not any("why this size" in line or "(64-3)" in line for line in lines)
    for row in found.rows:
        assert any(line.endswith(f" {row.weights:,}") for line in lines)


@settings(deadline=None)
@given(cases())
def test_the_table_fits_the_screen_and_adds_up_for_any_list(case: Case) -> None:
    made = plan(case.network, case.n_classes)
    found = layer_table(made)
    for width in (60, 79, 80, 120):
        lines = found.lines(width)
        assert all(len(line) <= width and line == line.rstrip() for line in lines)
        assert all(line.startswith((" ", "network", "Hints")) for line in lines if line)
    assert found.n_weights == made.n_weights
    assert [row.name for row in found.rows[1:-1]] == [step.name for step in made.steps]
    assert [row.output_shape for row in found.rows[1:-1]] == [step.output for step in made.steps]
    assert str(found) == "\n".join(found.lines(80))


def test_totals_use_units_a_person_reads() -> None:
    text = str(table("GAP -> FC", size="16x16x1"))
    assert " 4 weights (16 B)   2 multiply-adds   largest volume 1.0 kB" in text
