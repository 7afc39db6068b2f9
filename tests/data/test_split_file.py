from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from fieldmark.data import split_file
from fieldmark.data.manifest import Example, Manifest
from fieldmark.data.split_file import Row, SplitFile
from fieldmark.errors import DataError, UsageError

EXAMPLES = (
    Example(
        path="cat/1.jpg",
        label="cat",
        sha256="01",
        group="Minka",
        cluster="c1",
        split="train",
        fold=0,
    ),
    Example(path="cat/2.jpg", label="cat", sha256="02", split="valid", fold=1),
    Example(path="=dog/-3\n.jpg", label="=dog", sha256="03", group="+1a", split="test", fold=2),
    Example(path="caf\udce9/4.jpg", label="x", sha256="04", split="train"),
)


def manifest_of(*examples: Example) -> Manifest:
    classes = tuple(sorted({each.label for each in examples}))
    return Manifest(root=Path("x"), examples=examples, classes=classes)


def saved(tmp_path: Path, text: str) -> SplitFile:
    file = tmp_path / "split.csv"
    file.write_text(text, encoding="utf-8", newline="")
    return split_file.read(file)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    split_file.write(tmp_path / "split.csv", manifest_of(*EXAMPLES))
    found = split_file.read(tmp_path / "split.csv")
    known = found.known(EXAMPLES)
    assert sorted(known) == [0, 1, 2, 3]
    for at, example in enumerate(EXAMPLES):
        row = known[at]
        assert (row.split, row.fold, row.group) == (example.split, example.fold, example.group)
        assert (row.sha256, row.cluster) == (example.sha256, example.cluster)
    assert found.n_folds == 3


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    split_file.write(tmp_path / "split.csv", manifest_of(*EXAMPLES))
    with (tmp_path / "split.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["path", "sha256", "label", "group", "cluster", "split", "fold"]
    assert rows[3] == ["'=dog/-3\\n.jpg", "03", "'=dog", "'+1a", "", "test", "2"]
    assert rows[4][0] == "caf\\xe9/4.jpg"


def test_a_file_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"split\.csv exists") as caught:
        split_file.write(file, manifest_of(*EXAMPLES))
    assert caught.value.code == "file-exists"
    assert "--force" in caught.value.hint
    assert file.read_text() == "mine"
    split_file.write(file, manifest_of(*EXAMPLES), force=True)
    assert file.read_text().startswith("path,sha256")
    assert [each.name for each in tmp_path.iterdir()] == ["split.csv"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder") as caught:
        split_file.write(tmp_path / "no" / "split.csv", manifest_of(*EXAMPLES))
    assert caught.value.code == "no-folder"


def test_two_columns_are_enough(tmp_path: Path) -> None:
    found = saved(tmp_path, "Path;Split\ncat/1.jpg;Training\ncat\\2.jpg;TEST\nx.jpg;\n")
    known = found.known(EXAMPLES)
    assert {at: row.split for at, row in known.items()} == {0: "train", 1: "test"}
    assert found.n_folds == 0


def test_a_renamed_file_is_known_by_its_content(tmp_path: Path) -> None:
    found = saved(tmp_path, "path,sha256,split\nold/name.jpg,01,test\ncat/1.jpg,99,valid\n")
    assert found.known(EXAMPLES)[0].split == "test"


def test_a_changed_file_is_known_by_its_path(tmp_path: Path) -> None:
    found = saved(tmp_path, "path,sha256,split\ncat/1.jpg,99,valid\n")
    assert found.known(EXAMPLES)[0].split == "valid"


def test_of_copies_in_two_parts_each_keeps_its_own() -> None:
    copies = SplitFile(
        rows=(
            Row(path="train/1.jpg", split="train", sha256="01"),
            Row(path="test/1.jpg", split="test", sha256="01"),
        )
    )
    here = [
        Example(path=path, label="a", sha256="01")
        for path in ("test/1.jpg", "train/1.jpg", "third.jpg")
    ]
    assert {at: row.split for at, row in copies.known(tuple(here)).items()} == {
        0: "test",
        1: "train",
    }


def test_a_copy_of_known_ones_in_one_part_is_known_too() -> None:
    one = SplitFile(rows=(Row(path="1.jpg", split="test", sha256="01"),))
    copy = dataclasses.replace(EXAMPLES[0], path="copy.jpg")
    assert one.known((copy,))[0].split == "test"


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("path,split\na.jpg,dev\n", "bad-split-word", "line 2"),
        ("path,split,fold\na.jpg,test,one\n", "bad-fold", "line 2"),
        ("path,split,fold\na.jpg,test,-1\n", "bad-fold", "line 2"),
        ("path,split\na.jpg,test\nb.jpg,test\na.jpg,train\n", "split-conflict", "lines 2 and 4"),
        ("path,label\n", "no-columns", "split.csv"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_line(
    tmp_path: Path, text: str, code: str, where: str
) -> None:
    with pytest.raises(DataError, match=r"\w") as caught:
        saved(tmp_path, text)
    assert caught.value.code == code
    assert where in caught.value.where


def test_a_missing_file_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="split file cannot be read") as caught:
        split_file.read(tmp_path / "split.csv")
    assert caught.value.code == "no-list"
    assert "--split" in caught.value.hint
