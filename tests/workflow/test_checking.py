from __future__ import annotations

from pathlib import Path

import pytest

import fieldmark as fm
from tests.pictures import SHAPES, png, write_shapes
from tests.workflow.conftest import LEFT_OUT, N_EACH, hashes


def test_checking_names_every_file_that_cannot_be_used(shapes: Path) -> None:
    before = hashes(shapes)
    found = fm.check(shapes)
    assert {each.path: each.code for each in found.left_out} == LEFT_OUT
    assert all(each.reason for each in found.left_out)
    assert found.counts() == dict.fromkeys(SHAPES, N_EACH)
    assert hashes(shapes) == before


def test_checking_gives_no_example_a_part(shapes: Path) -> None:
    assert {example.split for example in fm.check(shapes).examples} == {None}


def test_checking_shows_ready_made_parts_as_they_are(tmp_path: Path) -> None:
    write_shapes(tmp_path / "parts" / "train", 4)
    write_shapes(tmp_path / "parts" / "test", 2)
    found = fm.check(tmp_path / "parts")
    assert (len(found.part("train")), len(found.part("test"))) == (12, 6)


def test_a_mostly_unreadable_folder_is_refused(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "rotten", 3)
    for path in folder.rglob("*0[01].png"):
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(fm.DataError, match="6 of 9 files could not be read") as caught:
        fm.check(folder)
    assert caught.value.code == "mostly-unreadable"


def test_labels_may_come_from_names_and_lists(tmp_path: Path) -> None:
    for at, name in enumerate(SHAPES):
        (tmp_path / f"{name}_{at}.png").write_bytes(png(name, at))
    assert fm.check(tmp_path, label_from=r"name:^(\w+?)_").classes == SHAPES
    listed = tmp_path / "labels.csv"
    listed.write_text("path,label\ncircle_0.png,round\nsquare_1.png,edged\n", encoding="utf-8")
    found = fm.check(tmp_path, labels=listed)
    assert found.classes == ("edged", "round")
    assert {each.path: each.code for each in found.left_out} == {"triangle_2.png": "not-listed"}
