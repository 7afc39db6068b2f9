"""A folder is looked at whole, described whatever it is, and never changed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.data.findings import KINDS
from fieldmark.training.events import Event, Progress
from tests.photos import CHANGES, jpeg, photo, write_photos
from tests.pictures import SHAPES, png, write_numbers, write_shapes
from tests.workflow.conftest import LEFT_OUT, N_EACH, hashes

WITHOUT = fm.Settings().changed("audit", {"suspects": "no"})


def checked(folder: Path) -> fm.Check:
    return fm.check(folder, settings=WITHOUT)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve photographs in two classes, with one fault of every kind beside them."""
    folder = write_photos(tmp_path / "photos", 6)
    first = (folder / "left" / "p0000.jpg").read_bytes()
    (folder / "left" / "same.jpg").write_bytes(first)
    second = (folder / "left" / "p0007.jpg").read_bytes()
    (folder / "right" / "conflict.jpg").write_bytes(second)
    (folder / "left" / "cut.jpg").write_bytes(jpeg(CHANGES["cut at a corner"](photo(2))))
    (folder / "right" / "near.jpg").write_bytes(jpeg(CHANGES["brighter"](photo(3))))
    (folder / "left" / "short.jpg").write_bytes(first[:700])
    (folder / "left" / "really.png").write_bytes(jpeg(photo(50)))
    (folder / "left" / "notes.txt").write_text("no picture")
    return folder


def test_every_kind_of_fault_is_named_with_its_files(photos: Path) -> None:
    before = hashes(photos)
    found = checked(photos)
    assert {each.code: each.paths for each in found.findings if each.code != "tiny-class"} == {
        "label-conflict": ("left/p0007.jpg", "right/conflict.jpg"),
        "exact-copy": ("left/p0000.jpg", "left/same.jpg"),
        "near-copy-labels": ("left/p0021.jpg", "right/near.jpg"),
        "near-copy": ("left/cut.jpg", "left/p0014.jpg"),
        "wrong-suffix": ("left/really.png",),
    }
    assert {each.path: each.code for each in found.manifest.left_out} == {
        "left/notes.txt": "not-a-picture",
        "left/short.jpg": "truncated",
        "left/p0007.jpg": "label-conflict",
        "right/conflict.jpg": "label-conflict",
        "left/same.jpg": "exact-copy",
    }
    assert hashes(photos) == before


def test_findings_come_in_the_order_of_their_kinds(photos: Path) -> None:
    order = list(KINDS)
    places = [order.index(each.code) for each in checked(photos).findings]
    assert places == sorted(places)


def test_what_makes_a_figure_wrong_is_serious(photos: Path) -> None:
    assert {each.code for each in checked(photos).serious} == {"label-conflict", "near-copy-labels"}


def test_training_uses_what_the_check_says_is_usable(photos: Path, tmp_path: Path) -> None:
    found = checked(photos)
    data = fm.load(photos).clean()
    assert [each.path for each in data] == [each.path for each in found.manifest.examples]
    assert fm.load(photos).check().manifest == found.manifest
    assert data.clean().manifest == data.manifest


def test_a_split_keeps_near_copies_on_one_side(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", 12)
    for number in range(8):
        copy = jpeg(CHANGES["half the size"](photo(number)))
        (folder / "left" / f"small{number}.jpg").write_bytes(copy)
    for seed in range(4):
        sides: dict[str, set[str | None]] = {}
        for each in fm.load(folder).split(seed=seed):
            if each.cluster:
                sides.setdefault(each.cluster, set()).add(each.split)
        assert len(sides) == 8
        assert all(len(each) == 1 for each in sides.values())


def test_files_that_cannot_be_used_are_named_with_their_reason(shapes: Path) -> None:
    before = hashes(shapes)
    found = checked(shapes)
    assert {each.path: each.code for each in found.found.left_out} == LEFT_OUT
    assert all(each.reason for each in found.manifest.left_out)
    assert found.manifest.counts() == dict.fromkeys(SHAPES, N_EACH)
    assert hashes(shapes) == before


def test_checking_gives_no_example_a_part(shapes: Path) -> None:
    assert {example.split for example in checked(shapes).manifest.examples} == {None}


def test_leaks_across_ready_made_parts_are_the_first_thing_said(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    write_numbers(folder / "train", range(6))
    write_numbers(folder / "test", range(5, 9))
    found = checked(folder)
    assert [each.paths for each in found.of("leak")] == [
        (f"test/{name}/005.png", f"train/{name}/005.png") for name in SHAPES
    ]
    assert (len(found.manifest.part("train")), len(found.manifest.part("test"))) == (15, 12)
    assert "copies across the ready-made parts: 6 files, serious" in str(found)


@pytest.mark.parametrize("code", ["one-class", "empty-class", "class-not-in-part", "names-collide"])
def test_a_folder_that_training_refuses_is_described(tmp_path: Path, code: str) -> None:
    folder = write_shapes(tmp_path / "data", 3, shapes=("circle",))
    if code == "class-not-in-part":
        write_shapes(folder / "train", 3, shapes=("circle", "square"))
        write_shapes(folder / "test", 2, shapes=("circle", "triangle"))
        for path in (folder / "circle").iterdir():
            path.unlink()
        (folder / "circle").rmdir()
    elif code == "names-collide":
        write_numbers(folder, range(5, 8), shapes=("square",))
        (folder / "square").rename(folder / "Circle")
    elif code == "empty-class":
        write_shapes(folder, 3)
        (folder / "nothing").mkdir()
    with pytest.raises(fm.DataError, match=r"\w"):
        fm.train(folder)
    assert checked(folder).of(code)


def test_a_mostly_unreadable_folder_is_described(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "rotten", 3)
    for path in folder.rglob("*0[01].png"):
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + str(path).encode())
    found = checked(folder)
    assert [each.code for each in found.manifest.left_out] == ["truncated"] * 6
    assert len(found.manifest.examples) == 3
    with pytest.raises(fm.DataError, match="6 of 9 files could not be read") as caught:
        fm.load(folder).clean()
    assert caught.value.code == "mostly-unreadable"


def test_labels_may_come_from_names_and_lists(tmp_path: Path) -> None:
    for at, name in enumerate(SHAPES):
        (tmp_path / f"{name}_{at}.png").write_bytes(png(name, at))
    named = fm.check(tmp_path, label_from=r"name:^(\w+?)_", settings=WITHOUT)
    assert named.manifest.classes == SHAPES
    listed = tmp_path / "labels.csv"
    listed.write_text("path,label\ncircle_0.png,round\nsquare_1.png,edged\n", encoding="utf-8")
    found = fm.check(tmp_path, labels=listed, settings=WITHOUT)
    assert found.manifest.classes == ("edged", "round")
    assert {each.path: each.code for each in found.manifest.left_out} == {
        "triangle_2.png": "not-listed"
    }


def test_the_fix_list_is_obeyed_and_what_it_misses_is_noted(photos: Path) -> None:
    (photos / "overrides.csv").write_text(
        "path,action,value\nright/conflict.jpg,relabel,left\nright/near.jpg,leave-out,\nno.jpg,keep,\n"
    )
    found = checked(photos)
    assert not found.of("label-conflict")
    assert not found.of("near-copy-labels")
    assert ("left/p0007.jpg", "right/conflict.jpg") in [
        each.paths for each in found.of("exact-copy")
    ]
    (note,) = found.notes
    assert "there is no file no.jpg" in note


def test_the_fix_list_that_is_written_changes_nothing_until_it_is_edited(photos: Path) -> None:
    found = checked(photos)
    listed = photos.parent / "fix.csv"
    listed.write_text(found.fix_list(), encoding="utf-8")
    rows = list(csv.DictReader(listed.read_text(encoding="utf-8").splitlines()))
    assert {row["path"]: row["action"] for row in rows} == {
        "left/p0007.jpg": "leave-out",
        "right/conflict.jpg": "leave-out",
        "left/p0021.jpg": "",
        "right/near.jpg": "",
    }
    assert all(len(row["sha256"]) == 64 and row["reason"] for row in rows)
    obeyed = fm.load(photos, overrides=listed).clean()
    assert [each.path for each in obeyed] == [each.path for each in found.manifest.examples]
    edited = listed.read_text(encoding="utf-8").replace(
        "right/near.jpg,,", "right/near.jpg,leave-out,"
    )
    listed.write_text(edited, encoding="utf-8")
    assert "right/near.jpg" not in [each.path for each in fm.load(photos, overrides=listed).clean()]
    again = list(csv.DictReader(found.fix_list(listed).splitlines()))
    assert {row["path"]: row["action"] for row in again}["right/near.jpg"] == "leave-out"


def test_printed_it_is_a_table_that_fits(photos: Path) -> None:
    found = checked(photos)
    for width in (60, 80, 120):
        assert max(map(len, found.lines(width))) <= width
    text = str(found)
    assert text.startswith("photos: 17 pictures in 2 classes (read in ")
    assert "same picture, two labels: 2 files, serious, left out [label-conflict]" in text
    assert "file ends too early: 1 file, skipped [truncated]" in text
    assert text.splitlines()[-1] == "14 usable. Smallest class 7, largest 7."


def test_as_json_it_holds_everything(photos: Path) -> None:
    found = checked(photos)
    whole = json.loads(found.to_json())
    assert whole["schema"] == "fieldmark.check/2"
    assert whole["classes"]["left"] == {"files": 9, "used": 7}
    assert len(whole["findings"]) == len(found.findings)
    assert {each["path"] for each in whole["left_out"]} == {
        each.path for each in found.manifest.left_out
    }
    assert set(whole["seconds"]) == {"list", "read", "look", "compare", "ask"}


def test_page_and_list_are_written_and_replace_only_their_own(photos: Path) -> None:
    found = checked(photos)
    page, full = found.save(photos.parent / "x.check.html", created="today")
    assert (page.name, full.name) == ("x.check.html", "x.check.json")
    html = page.read_text(encoding="utf-8")
    assert html.count('src="data:image/jpeg') >= 9
    assert "x.check.json" in html
    found.save(page)
    full.write_text("mine")
    page.write_text("mine")
    with pytest.raises(fm.UsageError, match="exists already") as caught:
        found.save(page)
    assert caught.value.code == "file-exists"
    assert (page.read_text(), full.read_text()) == ("mine", "mine")


def test_a_folder_of_nothing_but_blank_pictures_can_be_described(tmp_path: Path) -> None:
    from PIL import Image

    from tests.photos import png as file_of

    for name in ("a", "b"):
        (tmp_path / "blank" / name).mkdir(parents=True)
        for at in range(3):
            grey = Image.new("L", (20, 20), 40 * at + 10 * (name == "b"))
            (tmp_path / "blank" / name / f"{at}.png").write_bytes(file_of(grey))
    found = checked(tmp_path / "blank")
    assert len(found.of("blank")) == 6
    assert not found.of("near-copy")


def test_nothing_is_kept_when_no_cache_is_wanted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "cache"))
    fm.check(photos, settings=WITHOUT.changed("run", {"cache": False}))
    assert not (tmp_path / "cache").exists()
    checked(photos)
    assert (tmp_path / "cache" / "looks").is_dir()


def test_a_cache_inside_the_folder_is_refused(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(photos / "cache"))
    with pytest.raises(fm.UsageError, match="inside the folder") as caught:
        checked(photos)
    assert caught.value.code == "cache-inside-data"
    assert not (photos / "cache").exists()


def test_progress_goes_through_the_stages(photos: Path) -> None:
    heard: list[Event] = []
    fm.check(photos, settings=WITHOUT.changed("run", {"cache": False}), listen=heard.append)
    stages = [event.stage for event in heard if isinstance(event, Progress)]
    assert list(dict.fromkeys(stages)) == ["hash", "look", "compare"]


def test_the_fix_list_says_what_was_left_out_of_a_leak_too(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    write_numbers(folder / "train", range(6))
    write_numbers(folder / "test", range(5, 9))
    rows = list(csv.DictReader(checked(folder).fix_list().splitlines()))
    actions = {row["path"]: row["action"] for row in rows}
    assert actions["train/circle/005.png"] == "leave-out"
    assert actions["test/circle/005.png"] == ""


def test_keeping_what_cannot_be_read_is_noted(photos: Path) -> None:
    (photos / "overrides.csv").write_text("path,action\nleft/short.jpg,keep\n")
    (note,) = checked(photos).notes
    assert "keeps left/short.jpg, but it is no use: file ends too early" in note
    assert any("left/short.jpg" in each.text for each in fm.load(photos).clean().notes)


def test_what_is_kept_is_not_said_to_be_left_out(photos: Path) -> None:
    (photos / "overrides.csv").write_text(
        "path,action\nleft/p0007.jpg,keep\nright/conflict.jpg,keep\nleft/same.jpg,keep\n"
    )
    found = checked(photos)
    assert found.of("label-conflict")[0].done == "nothing was left out"
    used = {each.path for each in found.manifest.examples}
    assert {"left/p0007.jpg", "right/conflict.jpg", "left/same.jpg"} <= used
    assert "left/p0000.jpg" not in used  # what is kept takes the place of its copy


def test_many_alike_pictures_are_a_finding_and_no_reason_to_stop(tmp_path: Path) -> None:
    """A fixed camera: one background, small changes."""
    from PIL import Image

    background = photo(1)
    for name in ("empty", "full"):
        (tmp_path / "belt" / name).mkdir(parents=True)
        for at in range(40):
            picture = background.copy()
            if name == "full":
                picture.paste(photo(100 + at, (24, 24)), (60 + at % 7, 50 + at % 5))
            shade = Image.new("RGB", picture.size, (at, 2 * at, at))
            mixed = Image.blend(picture, shade, 0.02 + 0.002 * at)
            (tmp_path / "belt" / name / f"{at * 37 % 101:03}.jpg").write_bytes(jpeg(mixed))
    found = checked(tmp_path / "belt")
    (crowd, *_) = found.of("crowd")
    assert len(crowd.paths) > 30
    assert found.serious
    assert len(found.manifest.examples) + len(found.manifest.left_out) == 80


def test_classes_of_the_fix_list_count(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "one", 12, shapes=("circle",))
    with pytest.raises(fm.DataError, match="one label"):
        fm.load(folder)
    lines = [f"circle/{at:03}.png,relabel,ring" for at in range(6)]
    (folder / "overrides.csv").write_text("path,action,value\n" + "\n".join(lines) + "\n")
    assert not checked(folder).of("one-class")
    assert fm.load(folder).clean().manifest.counts() == {"circle": 6, "ring": 6}


def test_names_that_collide_are_described_with_a_fix_list_too(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "data", 3, shapes=("circle", "square"))
    (folder / "square").rename(folder / "Circle")
    (folder / "overrides.csv").write_text("path,action\ncircle/000.png,keep\n")
    assert checked(folder).of("names-collide")


def test_escapes_in_class_names_are_shown(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "data", 3, classes=("a\x1b[31mX", "b"))
    (folder / "b" / "same.jpg").write_bytes((folder / "a\x1b[31mX" / "p0000.jpg").read_bytes())
    text = str(checked(folder))
    assert "\x1b" not in text
    assert "\\x1b[31mX" in text


def test_the_page_is_not_called_as_its_list(photos: Path) -> None:
    with pytest.raises(fm.UsageError, match=r"\.json") as caught:
        checked(photos).save(photos.parent / "x.json")
    assert caught.value.code == "page-name"
