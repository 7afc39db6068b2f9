"""The facts behind the papers: JSON in which every measured number has its doubt."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from fieldmark.evaluation.card_facts import SCHEMA, CardFacts
from fieldmark.evaluation.measurement import Measurement
from tests.evaluation import made_up

MEASURED = {"name", "value", "low", "high", "n", "level", "method", "unit", "n_groups"}


def measurements(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Find whatever has a value and an interval, wherever it is, with its place."""
    if isinstance(value, dict):
        if {"value", "method"} & set(value) and "low" in value:
            yield path, value
            return
        for key, each in value.items():
            yield from measurements(each, f"{path}.{key}")
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from measurements(each, f"{path}[{at}]")


def held(value: Any) -> Iterator[Measurement]:
    """Find every measurement of the facts themselves."""
    if isinstance(value, Measurement):
        yield value
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            yield from held(getattr(value, each.name))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from held(each)


@pytest.mark.parametrize("way", made_up.WAYS)
def test_every_measured_number_has_its_doubt(way: str) -> None:
    found = dict(measurements(made_up.facts(way).to_dict()))
    assert len(found) == len(list(held(made_up.facts(way)))) >= 13
    for place, one in found.items():
        assert set(one) == MEASURED, place
        assert one["low"] <= one["value"] <= one["high"], place
        assert one["n"] > 0, place
        assert one["level"] == 0.95, place
        assert one["method"] in ("Wilson", "BCa bootstrap"), place


def test_they_are_read_again_as_they_were() -> None:
    facts = made_up.facts("fine-tuned")
    found = facts.to_dict()
    step = found["training"]["tuning"][0]["after"]
    assert Measurement.from_dict(step) == facts.training.tuning[0].after
    assert Measurement.from_dict(found["report"]["accuracy"]) == facts.report.accuracy


def test_the_schema_is_named_and_every_field_is_there() -> None:
    found = made_up.facts().to_dict()
    assert found["schema"] == SCHEMA == "fieldmark.facts/1"
    fields = {each.name for each in dataclasses.fields(CardFacts)}
    assert set(found) == fields | {"schema", "cautions"}
    assert found["report"]["schema"] == "fieldmark.report/1"
    assert found["data"]["shapes"]["width"] == {"low": 159, "median": 320, "high": 1024}


def test_the_same_facts_give_the_same_text() -> None:
    one, other = (json.dumps(made_up.facts().to_dict(), allow_nan=False) for _ in range(2))
    assert one == other


def test_nothing_but_plain_values_is_in_it() -> None:
    found = made_up.facts().to_dict()
    assert json.loads(json.dumps(found)) == found


def test_pictures_are_counted_by_part() -> None:
    data = made_up.data()
    assert (data.n("train"), data.n("valid"), data.n("test")) == (790, 156, 150)
    assert data.n() == 1096


def test_cautions_come_from_report_parts_and_notes() -> None:
    divided = ("3 sets lie in two parts.",)
    facts = made_up.facts(
        data=made_up.data(notes=("Something else.", *divided), divided=divided),
        training=made_up.training("scratch"),
    )
    said = facts.cautions
    assert said[-1] == divided[0]
    assert any("by heart" in each for each in said)
    assert any("tulip" in each for each in said)
    assert not any("Something else" in each for each in said)
    assert made_up.facts().to_dict()["cautions"] == list(made_up.facts().cautions)


def test_nothing_in_it_can_be_changed() -> None:
    facts = made_up.facts()
    with pytest.raises(dataclasses.FrozenInstanceError, match="name"):
        facts.name = "another"  # type: ignore[misc]
