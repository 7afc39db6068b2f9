"""From a folder to split.csv and back: whatever the names hold, and whatever the lists say."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.config import Settings
from fieldmark.data import split_file
from fieldmark.data.manifest import Manifest
from fieldmark.workflow import dataset
from fieldmark.workflow.splitting import split_folder
from tests.photos import CHANGES, jpeg, photo, write_photos
from tests.pictures import unlike
from tests.workflow.conftest import hashes, rows_of

CLASSES = (
    "new\nline",
    "quo\"te's",
    "<script>alert(1)<",
    "-rf",
    "=cmd|' C calc'!A0",
    "k" * 250,
    "comma, semicolon; tab\t",
)
NAMES = (
    "a\nb.jpg",
    'say "hi", = 1;2.jpg',
    "<img src=x onerror=alert(1)>.jpg",
    "--force.jpg",
    "=1+1.jpg",
    "@sum(A1).jpg",
    "l" * 246 + ".jpg",
    "back\\nslash.jpg",
    " space .jpg",
    "\u202egpj.jpg",
)
BYTES = (b"caf\xe9.jpg", b"\xff\xfe.jpg", b"=\x80.jpg")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder beside the data."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    if sys.platform != "linux":
        pytest.skip("other systems refuse such names")
    root = tmp_path / "hos\ntile"
    for at, label in enumerate(CLASSES):
        (root / label).mkdir(parents=True)
        for name in (*map(os.fsencode, NAMES), *BYTES):
            path = root / label / os.fsdecode(name)
            path.write_bytes(unlike(f"{at} {name!r}"))
    return root


def pets(tmp_path: Path, n: int = 10) -> Path:
    """Two classes of files that differ; ``monday`` is a folder in each."""
    for label in ("cat", "dog"):
        for at in range(n):
            folder = tmp_path / "pets" / label / ("monday" if at < 2 else f"day {at}")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{at}.jpg").write_bytes(unlike(f"{label} {at}"))
    return tmp_path / "pets"


def parts(manifest: Manifest) -> dict[str, str | None]:
    return {each.path: each.split for each in manifest.examples}


def data(settings: dict[str, str]) -> Settings:
    return Settings().changed("data", settings)


def test_a_split_is_written_under_the_folders_name_in_the_current_folder(
    tmp_path: Path, here: Path
) -> None:
    before = hashes(pets(tmp_path))
    done = split_folder(tmp_path / "pets")
    assert [path.name for path in here.iterdir()] == ["pets.split.csv"]
    rows = rows_of(here / "pets.split.csv")
    assert {row["path"]: row["split"] for row in rows} == parts(done.manifest)
    assert Counter(row["split"] for row in rows) == {"train": 14, "valid": 4, "test": 2}
    assert all(len(row["sha256"]) == 64 for row in rows)
    assert hashes(tmp_path / "pets") == before


def test_hostile_names_are_split_written_and_read_back_the_same(hostile: Path, here: Path) -> None:
    done = split_folder(hostile, here / "split.csv", settings=Settings())
    assert len(done.manifest.examples) == len(CLASSES) * (len(NAMES) + len(BYTES))
    text = (here / "split.csv").read_bytes().decode("utf-8")
    assert not any(ord(letter) < 32 and letter not in "\r\n" for letter in text)
    with (here / "split.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n")]
    bare = fm.load(hostile).manifest
    known = split_file.read(here / "split.csv").known(bare.examples)  # by path: no hashes yet
    assert [known[at].split for at in range(len(bare.examples))] == [
        each.split for each in done.manifest.examples
    ]
    again = dataset.prepared(bare, Settings().changed("split", {"file": str(here / "split.csv")}))
    assert again.manifest == done.manifest
    assert again.notes == ()


def test_a_folder_with_a_hostile_name_gets_a_split_file_of_that_name(
    hostile: Path, here: Path
) -> None:
    done = split_folder(hostile)
    assert done.file.is_file()
    assert [path.name for path in here.iterdir()] == ["hos\ntile.split.csv"]


def test_nothing_is_overwritten_unasked(tmp_path: Path, here: Path) -> None:
    root = pets(tmp_path)
    split_folder(root)
    kept = (here / "pets.split.csv").read_bytes()
    other = Settings().changed("split", {"seed": 5})
    with pytest.raises(fm.UsageError, match="exists already") as caught:
        split_folder(root, settings=other)
    assert caught.value.code == "file-exists"
    assert (here / "pets.split.csv").read_bytes() == kept
    split_folder(root, settings=other, force=True)
    assert (here / "pets.split.csv").read_bytes() != kept


def test_nothing_is_written_among_the_pictures_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = pets(tmp_path)
    for place in (root, root / "cat"):
        monkeypatch.chdir(place)
        with pytest.raises(fm.UsageError, match="among the pictures") as caught:
            split_folder(root)
        assert caught.value.code == "split-inside-data"
        assert "-o ../pets.split.csv" in caught.value.hint
    split_folder(root, root / "mine.csv")
    assert (root / "mine.csv").is_file()


def test_the_same_seed_writes_the_same_file(tmp_path: Path, here: Path) -> None:
    root = pets(tmp_path)
    first = split_folder(root, "a.csv").file.read_bytes()
    assert split_folder(root, "b.csv").file.read_bytes() == first


def test_folders_are_kept_together_when_asked(tmp_path: Path, here: Path) -> None:
    done = split_folder(pets(tmp_path), settings=data({"groups": "folder"}))
    monday = {each.split for each in done.manifest.examples if each.group == "monday"}
    assert len(monday) == 1
    assert done.n_groups == 9
    assert {row["group"] for row in rows_of(done.file)} >= {"monday", "day 7"}


def test_folds_are_dealt_beside_the_parts(tmp_path: Path, here: Path) -> None:
    done = split_folder(pets(tmp_path), settings=Settings().changed("split", {"folds": 5}))
    assert done.folds() == (4, 4, 4, 4, 4)
    assert Counter(row["fold"] for row in rows_of(done.file)) == dict.fromkeys("01234", 4)


def test_the_fix_list_in_the_folder_is_obeyed(tmp_path: Path, here: Path) -> None:
    root = pets(tmp_path)
    (root / "overrides.csv").write_text(
        "path,action,value\ncat/day 5/5.jpg,leave-out,\ncat/day 6/6.jpg,relabel,dog\nx,keep,\n"
    )
    done = split_folder(root)
    assert done.manifest.counts() == {"cat": 8, "dog": 11}
    assert [note.code for note in done.notes] == ["override-no-file"]
    assert ("cat/day 5/5.jpg", "left-out-by-list") in [
        (each.path, each.code) for each in done.manifest.left_out
    ]
    without = split_folder(root, "b.csv", settings=data({"overrides": "none"}))
    assert without.manifest.counts() == {"cat": 10, "dog": 10}


def test_a_group_in_the_fix_list_wins_over_a_pattern(tmp_path: Path, here: Path) -> None:
    root = pets(tmp_path)
    (tmp_path / "mine.csv").write_text("path,action,value\ncat/day 5/5.jpg,group,Minka\n")
    asked = data({"groups": "folder", "overrides": str(tmp_path / "mine.csv")})
    done = split_folder(root, settings=asked)
    assert [e.group for e in done.manifest.examples if e.path == "cat/day 5/5.jpg"] == ["Minka"]


def test_copies_go_near_copies_stay_together_and_what_is_kept_stays(
    tmp_path: Path, here: Path
) -> None:
    root = write_photos(tmp_path / "photos", 12)
    first = root / "left" / "p0000.jpg"
    (root / "left" / "same.jpg").write_bytes(first.read_bytes())
    for number in range(4):
        cut = CHANGES["cut at one side"](photo(number))
        (root / "left" / f"cut{number}.jpg").write_bytes(jpeg(cut))
    done = split_folder(root)
    assert {each.path: each.code for each in done.manifest.left_out} == {
        "left/same.jpg": "exact-copy"
    }
    assert done.n_clusters == 4
    parts: dict[str, set[str | None]] = {}
    for each in done.manifest.examples:
        if each.cluster:
            parts.setdefault(each.cluster, set()).add(each.split)
    assert all(len(each) == 1 for each in parts.values())
    (root / "overrides.csv").write_text("path,action\nleft/same.jpg,keep\n")
    kept = split_folder(root, force=True)
    assert [each.path for each in kept.manifest.left_out if each.code == "exact-copy"] == [
        "left/p0000.jpg"
    ]


def test_without_cleaning_copies_are_counted_and_kept_together(tmp_path: Path, here: Path) -> None:
    root = pets(tmp_path)
    (root / "cat" / "copy.jpg").write_bytes(unlike("cat 3"))
    done = split_folder(root, settings=Settings().changed("audit", {"clean": False}))
    assert done.n_copied == 1
    same = {
        each.split for each in done.manifest.examples if each.path in ("cat/copy.jpg", "cat/3.jpg")
    }
    assert len(same) == 1


def test_what_was_done_can_be_read_by_machines(tmp_path: Path, here: Path) -> None:
    done = split_folder(pets(tmp_path)).to_dict()
    assert done["schema"] == "fieldmark.split/1"
    assert done["parts"]["train"] == {"cat": 7, "dog": 7}
    assert (done["folds"], done["groups"], done["left_out"], done["notes"]) == ([], 0, [], [])
