"""What needs a network is looked for where it is wanted, and is never in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fieldmark as fm
from fieldmark.workflow import deeper as room
from tests.photos import CHANGES, jpeg, photo
from tests.pictures import write_shapes

HUES = {"sea": (60, 110, 190), "wood": (60, 150, 70)}


def hued(name: str, number: int) -> Image.Image:
    """Return a photograph in the colours of its class: easy for any network."""
    picture = np.asarray(photo(1000 * len(name) + number), np.float32)
    return Image.fromarray((0.4 * picture + 0.6 * np.array(HUES[name])).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of thirty; two labels of the first exchanged, ten pictures of it copied."""
    root = tmp_path_factory.mktemp("deeper") / "views"
    for name in HUES:
        (root / name).mkdir(parents=True)
        for number in range(30):
            other = next(each for each in HUES if each != name)
            exchanged = number in (7, 19) and name == "sea"
            shown, seed = (other, 300 + number) if exchanged else (name, 100 + number)
            (root / name / f"{number * 37 % 101:03}x.jpg").write_bytes(jpeg(hued(shown, seed)))
    for number in range(10):
        copy = CHANGES["brighter"](hued("wood", 100 + number))
        (root / "wood" / f"copy {number * 31 % 97}y.jpg").write_bytes(jpeg(copy))
    return root


@pytest.fixture(scope="module")
def found(folder: Path) -> fm.Check:
    return fm.check(folder)


def test_exchanged_labels_are_suspected_first(found: fm.Check) -> None:
    suspects = found.of("suspect-label")
    wrong = {f"sea/{number * 37 % 101:03}x.jpg" for number in (7, 19)}
    assert {each.paths[0] for each in suspects[:2]} == wrong
    for each in suspects[:2]:
        assert each.measure is not None
        assert each.measure > 0.5
        assert "rather wood" in each.text
    assert "sea" in suspects[0].labels


def test_the_first_tenth_is_ranked(found: fm.Check) -> None:
    assert len(found.ranking) == 7
    chances = [p for _, p in found.ranking]
    assert chances == sorted(chances, reverse=True)
    assert found.ranking[0][0] == found.of("suspect-label")[0].paths[0]
    assert len(found.to_dict()["labels_ranked"]) == 7


def test_the_leak_tax_has_both_figures_and_their_doubt(found: fm.Check) -> None:
    assert found.tax is not None
    assert found.tax.n_leaked == 20
    assert found.tax.naive is not None
    assert found.tax.naive.low <= found.tax.naive.value <= found.tax.naive.high
    assert found.tax.text in " ".join(str(found).split()).replace(" - ", " ") or "leak tax" in str(
        found
    )


def test_facts_that_tell_nothing_are_kept_without_a_warning(found: fm.Check) -> None:
    assert not found.of("shortcut")
    assert {each.fact for each in found.shortcuts} >= {"compression", "colour"}
    assert not any(each.warns for each in found.shortcuts)


def test_a_size_that_goes_with_the_class_is_warned_of(tmp_path: Path) -> None:
    for name, size in (("a", (64, 48)), ("b", (80, 60))):
        (tmp_path / "sizes" / name).mkdir(parents=True)
        for number in range(30):
            data = jpeg(photo(500 + number + 1000 * (name == "b"), size))
            (tmp_path / "sizes" / name / f"{number * 7919 % 1009}.jpg").write_bytes(data)
    found = fm.check(tmp_path / "sizes")
    assert any(each.text.startswith("size alone") for each in found.of("shortcut"))
    assert found.serious


def test_page_and_json_hold_all_of_it(found: fm.Check) -> None:
    whole: dict[str, Any] = json.loads(found.to_json())
    assert whole["leak_tax"]["n_leaked"] == 20
    assert {each["fact"] for each in whole["shortcuts"]} == {each.fact for each in found.shortcuts}
    assert {"features", "suspects", "leak tax"} <= whole["seconds"].keys()
    html = found.page()
    assert "Shortcuts" in html
    assert "What copies add to a number" in html
    assert "labels that may be wrong" in html.lower()


def test_the_fix_list_asks_about_suspects(found: fm.Check) -> None:
    assert "labels that may be wrong" in found.fix_list()


def test_it_is_not_done_when_not_wanted(folder: Path) -> None:
    without = fm.Settings().changed("audit", {"suspects": "no"})
    found = fm.check(folder, settings=without)
    assert (found.shortcuts, found.tax, found.notes) == ((), None, ())
    assert "features" not in found.seconds


def test_of_many_pictures_it_is_done_only_when_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MANY", 50)
    (note,) = fm.check(folder).notes
    assert "70 pictures; --suspects" in note
    asked = fm.Settings().changed("audit", {"suspects": "yes"})
    assert fm.check(folder, settings=asked).of("suspect-label")


def test_of_one_class_nothing_is_asked(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "one", 4, shapes=("circle",))
    found = fm.check(folder)
    assert found.of("one-class")
    assert found.tax is None


def test_a_value_that_cannot_be_measured_is_null_in_json() -> None:
    from fieldmark.workflow.leaking import LeakTax

    nan = float("nan")
    tax = LeakTax(
        naive=None, honest=None, tax=nan, low=nan, high=nan, n_leaked=3, text="t", seconds=0.1
    )
    told = room.tax_to_dict(tax)
    assert told is not None
    assert (told["tax"], told["n_leaked"]) == (None, 3)
    assert room.tax_to_dict(None) is None
