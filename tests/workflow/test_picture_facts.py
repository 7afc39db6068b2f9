"""What is known of pictures beside what they show."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fieldmark.data import scan
from fieldmark.data.manifest import Manifest
from fieldmark.errors import UsageError
from fieldmark.workflow.dataset import hashed
from fieldmark.workflow.picture_facts import SEEN, facts_of
from tests.pictures import write_shapes


@pytest.fixture
def found(tmp_path: Path) -> Manifest:
    return hashed(scan.scan(write_shapes(tmp_path / "shapes", 4)))


def listed(manifest: Manifest, name: str, values: list[str]) -> Path:
    path = manifest.root / "more.csv"
    rows = [
        f"{each.path},{each.label},{value}"
        for each, value in zip(manifest.examples, values, strict=True)
    ]
    path.write_text("\n".join([f"path,label,{name}", *rows]) + "\n", encoding="utf-8")
    return path


def test_every_picture_is_looked_at(found: Manifest) -> None:
    facts = facts_of(found, found.examples)
    assert list(facts) == list(SEEN)
    assert {len(values) for values in facts.values()} == {12}
    assert set(facts["format"]) == {"PNG"}
    assert np.isnan(np.asarray(facts["JPEG quality"], float)).all()
    sizes = [(found.root / each.path).stat().st_size / 1000 for each in found.examples]
    np.testing.assert_allclose(np.asarray(facts["file size"]), sizes)


def test_the_order_is_that_of_the_examples(found: Manifest) -> None:
    turned = found.examples[::-1]
    one, other = facts_of(found, found.examples), facts_of(found, turned)
    np.testing.assert_array_equal(one["brightness"], other["brightness"][::-1])


def test_a_picture_that_went_away_has_no_facts_and_stops_nothing(found: Manifest) -> None:
    gone = dataclasses.replace(found.examples[0], path="gone.png", sha256="0" * 64)
    facts = facts_of(found, (gone, *found.examples[1:]))
    for name, values in facts.items():
        first = values[0]
        assert first == "" if isinstance(first, str) else np.isnan(first), name
    assert np.isfinite(np.asarray(facts["size"], float)[1:]).all()


def test_groups_are_a_fact_where_there_are_any(found: Manifest) -> None:
    examples = tuple(dataclasses.replace(each, group="g") for each in found.examples)
    assert facts_of(found, examples)["group"] == ["g"] * 12
    with pytest.raises(UsageError, match="Nothing called 'group'"):
        facts_of(found, found.examples, by=("group",))


def test_columns_of_the_list_are_facts_numbers_where_all_are(found: Manifest) -> None:
    path = listed(found, "Depth", [str(at) if at else "" for at in range(12)])
    depth = np.asarray(facts_of(found, found.examples, listed=path)["Depth"], float)
    assert np.isnan(depth[0])
    assert depth[1:].tolist() == list(range(1, 12))
    path = listed(found, "Lens", ["old", "7"] * 6)
    assert list(facts_of(found, found.examples, listed=path)["Lens"]) == ["old", "7"] * 6


def test_a_column_called_like_what_is_seen_is_told_apart(found: Manifest) -> None:
    path = listed(found, "size", ["S", "L"] * 6)
    facts = facts_of(found, found.examples, listed=path)
    assert list(facts["size (list)"]) == ["S", "L"] * 6
    assert np.asarray(facts["size"]).dtype.kind == "f"


def test_only_what_is_asked_for_is_gathered_and_pictures_only_where_needed(
    found: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = listed(found, "Lens", ["old", "new"] * 6)
    assert list(facts_of(found, found.examples, by=("blur", "size"))) == ["blur", "size"]
    monkeypatch.setattr("fieldmark.workflow.picture_facts.look_at", None)
    assert list(facts_of(found, found.examples, listed=path, by=("Lens",))) == ["Lens"]


def test_an_unknown_fact_is_refused_with_the_names_there_are(found: Manifest) -> None:
    path = listed(found, "Lens", ["old", "new"] * 6)
    with pytest.raises(UsageError, match="Nothing called 'lense'") as caught:
        facts_of(found, found.examples, listed=path, by=("lense",))
    assert caught.value.code == "by-unknown"
    assert "Lens" in caught.value.hint
    assert "brightness" in caught.value.hint


def test_a_list_that_is_gone_is_passed_over(found: Manifest, tmp_path: Path) -> None:
    assert list(facts_of(found, found.examples, listed=tmp_path / "gone.csv")) == list(SEEN)


def test_a_cache_among_the_pictures_is_not_used(
    found: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(found.root / "cache"))
    assert len(facts_of(found, found.examples, by=("blur",))["blur"]) == 12
    assert not (found.root / "cache").exists()
