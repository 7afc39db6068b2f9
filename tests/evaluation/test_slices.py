"""Slices: found where they are, and not where chance alone makes one part look worse."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation.fact_parts import FEW
from fieldmark.evaluation.intervals import effective_n, wilson, wilson_rate
from fieldmark.evaluation.paired import holm
from fieldmark.evaluation.slices import MAX_LINES, SIGNIFICANT, Slices, slices

N_REPORTS = 300
ALLOWED = 24
"""Of 300 reports; with a true share of 5 % more come in 1.2 % of all runs of the test."""


def by_light(n: int, dark: int, p_dark: float, p_rest: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    brightness = rng.permutation(np.linspace(0, 255, n))
    inside = np.argsort(np.argsort(brightness)) < dark
    return rng.random(n) < np.where(inside, p_dark, p_rest), brightness


# --- what is found


def test_a_planted_slice_is_found_and_named_first():
    right, brightness = by_light(400, 100, 0.60, 0.95)
    rng = np.random.default_rng(1)
    facts = {f"noise {at}": rng.normal(size=400) for at in range(8)} | {"brightness": brightness}
    found = slices(right, facts)
    first = found.found[0]
    assert (first.fact, first.accuracy.n, first.rest.n) == ("brightness", 100, 300)
    assert first.value.startswith("darkest quarter (mean grey below ")
    assert first.p_adjusted < SIGNIFICANT
    assert found.worse == (first,)


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_slice_is_found_among_near_copies_too(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(200), 2)
    rainy = groups < 50
    alike = np.repeat(rng.random(200), 2)
    own = rng.random(400)
    draw = np.where(rng.random(400) < 0.5, alike, own)
    right = draw < np.where(rainy, 0.60, 0.95)
    facts = {"weather": np.where(rainy, "rain", "sun").tolist(), "noise": rng.normal(size=400)}
    assert [each.name for each in slices(right, facts, groups=groups).worse] == ["weather: rain"]


def test_a_part_where_the_model_is_better_is_told_and_not_called_worse():
    right, brightness = by_light(400, 100, 1.0, 0.6)
    found = slices(right, {"brightness": brightness})
    assert found.found[0].p_adjusted < SIGNIFICANT
    assert found.found[0].accuracy.value == 1
    assert found.found[0] not in found.worse


def test_of_a_fact_with_two_values_only_the_worse_is_told():
    right = np.array([True] * 90 + [False] * 10 + [True] * 60 + [False] * 40)
    (only,) = slices(right, {"lens": ["old"] * 100 + ["new"] * 100}).found
    assert (only.value, only.accuracy.value, only.rest.value) == ("new", 0.6, 0.9)


def test_a_picture_of_which_the_fact_is_not_known_is_in_neither_slice_nor_rest():
    right = np.ones(100, np.bool_)
    values = np.arange(100.0)
    values[:20] = np.nan
    each = slices(right, {"depth": values}).found
    assert {one.accuracy.n + one.rest.n for one in each} == {80}


def test_what_was_not_looked_at_is_said():
    right = np.ones(50, np.bool_)
    found = slices(right, {"lens": ["a"] * 50, "depth": np.full(50, np.nan)})
    assert found.found == ()
    assert found.n_facts == 0
    assert found.not_looked_at == (
        "lens: the same for all of 50 pictures.",
        "depth: not known of any picture.",
    )


def test_the_intervals_are_wilsons_and_count_groups_where_there_are_any():
    right, brightness = by_light(200, 50, 0.7, 0.9)
    alone = slices(right, {"brightness": brightness}).found[0]
    n = alone.accuracy.n
    assert (alone.accuracy.low, alone.accuracy.high) == wilson(round(n * alone.accuracy.value), n)
    groups = np.arange(200) // 4
    grouped = slices(right, {"all": ["a"] * 100 + ["b"] * 100}, groups=groups).found[0]
    inside = np.arange(200) < 100 if grouped.value == "a" else np.arange(200) >= 100
    worth = effective_n(right[inside], groups[inside])
    assert (grouped.accuracy.low, grouped.accuracy.high) == wilson_rate(
        grouped.accuracy.value, worth
    )
    assert grouped.accuracy.n_groups == 25


def test_groups_never_make_a_difference_surer():
    rng = np.random.default_rng(3)
    for _ in range(20):
        right, values = rng.random(200) < 0.8, rng.normal(size=200)
        groups = rng.integers(0, 60, 200)
        alone = {one.value: one.p_value for one in slices(right, {"x": values}).found}
        for one in slices(right, {"x": values}, groups=groups).found:
            assert one.p_value >= alone[one.value]


def test_one_film_that_went_wrong_is_no_finding_about_its_weather():
    groups = np.repeat(np.arange(12), 30)
    right = groups > 0
    weather = ["fog" if group == 0 else "sun" for group in groups]
    assert slices(right, {"weather": weather}, groups=groups).worse == ()
    # Asked of the film itself, its frames are what counts.
    told = slices(right, {"film": weather}, groups=groups, groups_of={"film": None})
    assert [one.value for one in told.worse] == ["fog"]


# --- chance


def alarms(draw, grouped: bool) -> int:
    found = 0
    for seed in range(N_REPORTS):
        right, facts, groups = draw(np.random.default_rng(seed))
        told = slices(right, facts, groups=groups if grouped else None)
        found += any(one.p_adjusted < SIGNIFICANT for one in told.found)
    return found


@pytest.mark.parametrize("accuracy", [0.75, 0.95])
def test_without_a_true_difference_few_reports_name_a_slice(accuracy):
    def draw(rng):
        facts = {f"f{at}": rng.normal(size=240) for at in range(5)}
        facts["word"] = rng.choice(["a", "b", "c"], 240).tolist()
        return rng.random(240) < accuracy, facts, None

    assert alarms(draw, grouped=False) <= ALLOWED


@pytest.mark.parametrize(
    ("size", "accuracy"), [(2, 0.75), (2, 0.95), (10, 0.75)], ids=["pairs", "rare", "films"]
)
def test_nor_do_they_where_pictures_are_wrong_together(size, accuracy):
    def draw(rng):
        groups = np.repeat(np.arange(240 // size), size)
        # Nine of ten answers are those of the whole group, and so are the facts.
        whole = np.repeat(rng.random(240 // size), size)
        right = np.where(rng.random(240) < 0.9, whole, rng.random(240)) < accuracy
        facts = {f"f{at}": rng.normal(size=240 // size)[groups] for at in range(5)}
        facts["word"] = rng.choice(["a", "b", "c"], 240 // size)[groups].tolist()
        return right, facts, groups

    assert alarms(draw, grouped=True) <= ALLOWED


def test_taken_for_single_pictures_they_would_raise_many_more():
    """What the groups are for: the same films without them."""

    def draw(rng):
        groups = np.repeat(np.arange(24), 10)
        right = np.repeat(rng.random(24) < 0.75, 10)
        return right, {f"f{at}": rng.normal(size=24)[groups] for at in range(5)}, groups

    assert alarms(draw, grouped=False) > 5 * ALLOWED


# --- as values and as words


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_all_are_adjusted_together_and_ordered(seed):
    rng = np.random.default_rng(seed)
    facts = {"a": rng.normal(size=120), "b": rng.choice(["x", "y", "z"], 120).tolist()}
    found = slices(rng.random(120) < 0.7, facts).found
    p_values = [one.p_value for one in found]
    assert p_values == sorted(p_values)
    assert tuple(one.p_adjusted for one in found) == holm(p_values)
    assert min(min(one.accuracy.n, one.rest.n) for one in found) >= FEW


def test_the_order_of_the_pictures_and_of_the_facts_changes_nothing():
    right, brightness = by_light(300, 75, 0.7, 0.9)
    words = np.random.default_rng(0).choice(["x", "y", "z"], 300)
    one = slices(right, {"brightness": brightness, "w": words.tolist()})
    turned = slices(right[::-1], {"w": words[::-1].tolist(), "brightness": brightness[::-1]})
    assert one == turned


def test_at_most_three_lines_and_only_of_what_is_surely_worse():
    right = np.array(([False] * 3 + [True] * 2) * 20 + [True] * 700)
    facts = {f"f{at}": ["bad"] * 100 + ["good"] * 700 for at in range(5)}
    lines = slices(right, facts).lines()
    assert len(lines) == MAX_LINES
    assert lines[0] == (
        "worse on: f0: bad 40.0 % (31 to 50, 100 pictures) against 100.0 % elsewhere"
    )
    assert slices(np.ones(800, np.bool_), facts).lines() == []


def test_the_table_holds_every_slice_and_what_was_not_looked_at():
    right, brightness = by_light(200, 50, 0.7, 0.9)
    table = slices(right, {"brightness": brightness, "lens": ["a"] * 200}).table()
    assert len(table) == 1 + 4 + 1
    assert "darkest quarter" in "".join(table)
    assert table[-1] == "lens: the same for all of 200 pictures."


def test_slices_come_back_from_json():
    right, brightness = by_light(200, 50, 0.7, 0.9)
    found = slices(right, {"brightness": brightness, "lens": ["a"] * 200})
    again = Slices.from_dict(json.loads(json.dumps(dataclasses.asdict(found))))
    assert again == found


def test_a_name_that_steers_a_terminal_is_spelt_out():
    right = np.array([True] * 100 + [False] * 100)
    (line,) = slices(right, {"a\x1b[31m": ["x\ny"] * 100 + ["z\u202e"] * 100}).lines()
    assert "a\\x1b[31m: z\\u202e" in line


def test_no_answers_are_refused():
    with pytest.raises(DataError, match="not one example") as caught:
        slices(np.zeros(0, np.bool_), {})
    assert caught.value.code == "nothing-to-measure"


@pytest.mark.parametrize(
    ("facts", "groups"),
    [({"a": np.zeros(9)}, None), ({"a": np.zeros(10)}, np.zeros(9, np.int64))],
)
def test_facts_and_groups_of_other_pictures_are_refused(facts, groups):
    with pytest.raises(UsageError, match="10 were answered") as caught:
        slices(np.ones(10, np.bool_), facts, groups=groups)
    assert caught.value.code == "bad-scores"
