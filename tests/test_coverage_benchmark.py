"""The coverage of intervals is counted right, and shown without flattery."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fieldmark import rng

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.coverage")


@pytest.fixture(scope="module")
def cover() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "cover", ROOT / "benchmarks" / "sides" / "cover.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cell(held: int, n_sets: int = 100, **changed: object) -> dict[str, object]:
    found = {"kind": "Wilson", "n": 50, "p": 0.9, "held": held, "n_sets": n_sets}
    return found | {"too_low": 2, "width": 0.1} | changed


@pytest.mark.parametrize(
    ("held", "outside"), [(92, True), (93, False), (97, False), (98, True), (0, True)]
)
def test_what_lies_outside_the_wanted_range_is_marked(coverage, held, outside) -> None:
    assert ("*" in coverage.shown(cell(held))) is outside
    assert bool(coverage.missed([cell(held)])) is outside


def test_a_miss_says_how_many_and_on_which_side(coverage) -> None:
    assert coverage.missed([cell(90)]) == [
        "outside: Wilson, n = 50, p = 0.9: 10 missed, 2 of them too low"
    ]


def test_the_table_has_a_row_per_kind_and_size_and_a_column_per_rate(coverage) -> None:
    cells = [cell(95, kind=kind, n=n, p=p) for kind in "AB" for n in (50, 200) for p in (0.5, 0.9)]
    head, *rows = coverage.as_table(cells)
    assert head.split() == ["interval", "p", "=", "0.5", "p", "=", "0.9"]
    assert [row.split("  ")[0] for row in rows] == [
        "A, n = 50",
        "A, n = 200",
        "B, n = 50",
        "B, n = 200",
    ]


def test_grouped_answers_are_as_alike_as_they_say(cover) -> None:
    right = cover.grouped(200_000, 0.8, rng.derive(0)).reshape(-1, cover.SIZE)
    assert right.mean() == pytest.approx(0.8, abs=0.01)
    # Of a mean of m correlated answers: p (1 - p) / m times 1 + (m - 1) correlation.
    wanted = 0.8 * 0.2 / cover.SIZE * (1 + (cover.SIZE - 1) * cover.ALIKE)
    assert right.mean(axis=1).var() == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("groups", [False, True])
def test_a_drawn_test_set_has_the_right_answers_it_was_given(cover, groups) -> None:
    right = rng.derive(1).random(100) < 0.7
    found = cover.sample(right, rng.derive(2), 0, groups=groups)
    np.testing.assert_array_equal(found.right, right)
    assert np.bincount(found.truth).tolist() == [50, 50]
    assert found.n_groups == (20 if groups else None)


def test_the_truth_of_the_brier_score_is_its_mean_over_many(cover) -> None:
    right = cover.single(100_000, 0.9, rng.derive(3))
    found = cover.sample(right, rng.derive(4), 0, groups=False)
    given = found.scores[np.arange(found.n), found.truth]
    assert np.square(1 - given).mean() == pytest.approx(cover.brier_truth(0.9), abs=0.003)


def test_every_kind_is_counted_in_every_cell(cover) -> None:
    found = list(cover.cells(3, [50], [0.5, 0.9]))
    assert [(each["kind"], each["p"]) for each in found] == [
        (kind, p) for kind in cover.KINDS for p in (0.5, 0.9)
    ]
    for each in found:
        assert 0 <= each["held"] + each["too_low"] <= each["n_sets"] == 3
        assert 0.05 < each["width"] < 0.9


def test_an_interval_that_is_always_wrong_is_never_counted_as_holding(cover, monkeypatch) -> None:
    monkeypatch.setattr(
        cover,
        "KINDS",
        {"low": (False, lambda _: (0.0, 0.1), float), "high": (True, lambda _: (1.0, 1.0), float)},
    )
    low, high = cover.cells(4, [50], [0.5])
    assert (low["held"], low["too_low"]) == (0, 4)
    assert (high["held"], high["too_low"]) == (0, 0)
