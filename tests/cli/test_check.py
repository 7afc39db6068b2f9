"""``fieldmark check``: what it writes, where, and what it leaves alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.photos import write_photos

QUICK = "--no-suspects"


@pytest.fixture
def photos(here: Path) -> Path:
    """Photographs with one conflict and one exact copy."""
    folder = write_photos(here / "photos", 8)
    first = (folder / "left" / "p0000.jpg").read_bytes()
    (folder / "left" / "same.jpg").write_bytes(first)
    conflict = (folder / "left" / "p0007.jpg").read_bytes()
    (folder / "right" / "conflict.jpg").write_bytes(conflict)
    return folder


def test_page_and_list_lie_in_the_current_folder(fieldmark: Command, photos: Path) -> None:
    done = fieldmark("check", "photos", QUICK)
    assert done.status == 0
    assert "same picture, two labels: 2 files, serious, left out [label-conflict]" in done.out
    assert done.out.endswith("Full list: photos.check.html, photos.check.json\n")
    assert "<!doctype html>" in Path("photos.check.html").read_text(encoding="utf-8")[:20].lower()
    whole = json.loads(Path("photos.check.json").read_text(encoding="utf-8"))
    assert {each["code"] for each in whole["findings"]} >= {"label-conflict", "exact-copy"}


def test_a_page_of_its_own_is_replaced_and_anothers_is_not(
    fieldmark: Command, photos: Path
) -> None:
    assert fieldmark("check", "photos", QUICK).status == 0
    assert fieldmark("check", "photos", QUICK).status == 0
    Path("photos.check.html").write_text("my notes")
    done = fieldmark("check", "photos", QUICK)
    assert done.status == 2
    assert "[file-exists]" in done.err
    assert Path("photos.check.html").read_text() == "my notes"
    assert fieldmark("check", "photos", QUICK, "--html", "none").status == 0
    assert fieldmark("check", "photos", QUICK, "--html", "other.html").status == 0
    assert Path("other.json").exists()


def test_inside_the_folder_no_page_is_written_unasked(
    fieldmark: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    before = sorted(photos.rglob("*"))
    done = fieldmark("check", ".", QUICK)
    assert done.status == 0
    assert "name one with --html" in done.err
    assert sorted(photos.rglob("*")) == before


def test_strict_fails_on_what_is_serious_and_on_nothing_else(
    fieldmark: Command, photos: Path
) -> None:
    assert fieldmark("check", "photos", QUICK, "--strict", "--html", "none").status == 4
    (photos / "right" / "conflict.jpg").unlink()
    assert fieldmark("check", "photos", QUICK, "--strict", "--html", "none").status == 0


def test_a_fix_list_is_written_once_and_keeps_decisions_when_forced(
    fieldmark: Command, photos: Path
) -> None:
    words = ("check", "photos", QUICK, "--html", "none", "--fix-list", "fix.csv")
    done = fieldmark(*words)
    assert done.out.endswith("To decide: fix.csv\n")
    listed = Path("fix.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(listed.splitlines()))
    assert [row["action"] for row in rows] == ["leave-out", "leave-out"]
    again = fieldmark(*words)
    assert again.status == 2
    assert "[file-exists]" in again.err
    Path("fix.csv").write_text("path,action\nleft/p0014.jpg,leave-out\n", encoding="utf-8")
    assert fieldmark(*words, "--force").status == 0
    rows = list(csv.DictReader(Path("fix.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["path"] for row in rows] == [
        "left/p0014.jpg",
        "left/p0007.jpg",
        "right/conflict.jpg",
    ]


def test_a_fix_list_is_obeyed(fieldmark: Command, photos: Path) -> None:
    Path("fix.csv").write_text("path,action,value\nright/conflict.jpg,relabel,left\n")
    words = ("check", "photos", QUICK, "--html", "none", "--overrides", "fix.csv", "--json")
    (found,) = [json.loads(line) for line in fieldmark(*words).out.splitlines()]
    codes = [each["code"] for each in found["findings"]]
    assert "label-conflict" not in codes
    assert codes.count("exact-copy") == 2


def test_the_likeness_asked_for_is_a_setting(fieldmark: Command, photos: Path) -> None:
    done = fieldmark("check", "photos", QUICK, "--near", "7")
    assert done.status == 2
    assert "[setting-range]" in done.err


def test_names_are_shown_and_never_obeyed(fieldmark: Command, photos: Path) -> None:
    first = photos / "left" / "p0014.jpg"
    first.rename(photos / "left" / "\x1b[31m=cmd\n<script>.jpg")
    copy = (photos / "left" / "\x1b[31m=cmd\n<script>.jpg").read_bytes()
    (photos / "right" / "-rf.jpg").write_bytes(copy)
    done = fieldmark("check", "photos", QUICK, "--fix-list", "fix.csv")
    assert done.status == 0
    assert "\x1b" not in done.out + done.err
    assert "\\x1b[31m=cmd\\n<script>.jpg" in " ".join(done.out.split())
    page = Path("photos.check.html").read_text(encoding="utf-8")
    assert "<script>.jpg" not in page
    assert "&lt;script&gt;.jpg" in page
    text = Path("fix.csv").read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert fieldmark("split", "photos", "--overrides", "fix.csv", "-o", "s.csv").status == 0
