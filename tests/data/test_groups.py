from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fieldmark.data import groups, scan
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import DataError, FieldmarkError, UsageError

MakeFolder = Callable[..., Path]


def manifest_of(*paths: str, layout: str = "folders") -> Manifest:
    at = 1 if layout == "parts" else 0
    examples = tuple(Example(path=path, label=path.split("/")[at]) for path in paths)
    classes = tuple(sorted({each.label for each in examples}))
    return Manifest(root=Path("x"), examples=examples, classes=classes, layout=layout)


def found(manifest: Manifest, text: str, labels: Path | None = None) -> list[str]:
    return [e.group for e in groups.given(manifest, text, labels=labels).manifest.examples]


def test_the_group_stands_in_the_file_name() -> None:
    manifest = manifest_of("cat/07_1.jpg", "dog/07_9.jpg", "dog/12_1.jpg")
    assert found(manifest, r"name:^(\d+)_") == ["07", "07", "12"]


def test_a_pattern_is_searched_in_the_name_only_not_in_folders() -> None:
    assert found(manifest_of("p1/p2.jpg", "p3/p1.jpg"), r"name:p(\d)") == ["2", "1"]


def test_the_folder_that_holds_the_file_is_its_group() -> None:
    manifest = manifest_of("cat/mon/1.jpg", "cat/mon/deep/2.jpg", "dog/mon/1.jpg", "dog/tue/1.jpg")
    assert found(manifest, "folder") == ["mon", "deep", "mon", "tue"]


def test_a_class_folder_is_no_group_and_how_many_have_none_is_said() -> None:
    given = groups.given(manifest_of("cat/1.jpg", "cat/mon/1.jpg", "dog/2.jpg"), "folder")
    assert [each.group for each in given.manifest.examples] == ["", "mon", ""]
    assert [str(note) for note in given.notes] == [
        "2 of 3 files have no group, such as cat/1.jpg. [no-group]"
    ]


def test_in_ready_made_parts_the_group_lies_below_part_and_class() -> None:
    manifest = manifest_of("train/cat/1.jpg", "train/cat/mon/1.jpg", layout="parts")
    assert found(manifest, "folder") == ["", "mon"]


def test_without_class_folders_any_folder_is_a_group() -> None:
    assert found(manifest_of("mon/1.jpg", layout="csv"), "folder") == ["mon"]


def test_groups_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    listed = tmp_path / "groups.csv"
    listed.write_text("path;group\ncat/1.jpg;Minka\ndog\\1.jpg; '=Rex \nno.jpg;x\n", "utf-8")
    assert found(manifest_of("cat/1.jpg", "dog/1.jpg"), str(listed)) == ["Minka", "=Rex"]


def test_groups_stand_in_a_column_of_the_list_of_labels(make_folder: MakeFolder) -> None:
    root = make_folder("x/1.jpg", "x/2.jpg", "x/3.jpg")
    listed = root / "list.csv"
    listed.write_text(
        f"path,label,Patient\nx/1.jpg,a,p1\n{root}/x/2.jpg,b,p2\nx/3.jpg,b,p1\n", "utf-8"
    )
    manifest = scan.scan(root, labels=listed)
    assert found(manifest, "column:patient", listed) == ["p1", "p2", "p1"]


def test_a_group_column_keeps_working_and_is_kept_where_nothing_is_found() -> None:
    one = Example(path="a/1.jpg", label="a", group="old")
    two = Example(path="a/7_2.jpg", label="a", group="old")
    manifest = Manifest(root=Path("x"), examples=(one, two), classes=("a",))
    assert found(manifest, "") == ["old", "old"]
    given = groups.given(manifest, r"name:^(\d)_")
    assert [each.group for each in given.manifest.examples] == ["old", "7"]
    assert given.notes == ()


def refused(text: str, labels: Path | None = None) -> FieldmarkError:
    with pytest.raises(FieldmarkError, match=r"\w") as caught:
        groups.given(manifest_of("cat/1.jpg", "dog/1.jpg"), text, labels=labels)
    return caught.value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name:[", "no regular expression"),
        (r"name:^\d", "no group in round brackets to take the group from"),
        ("name:", "is no file"),
        ("folders", "is no file"),
        ("missing.csv", "is no file"),
        ("column:patient", "no list of labels"),
    ],
)
def test_words_that_make_no_sense_are_refused(text: str, said: str) -> None:
    error = refused(text)
    assert isinstance(error, UsageError)
    assert error.code == "groups"
    assert said in error.what
    assert "--groups folder" in error.hint


def test_a_rule_that_fits_no_file_is_refused_with_one_of_them() -> None:
    error = refused(r"name:^IMG_(\d+)")
    assert isinstance(error, DataError)
    assert error.code == "no-groups"
    assert "cat/1.jpg" in error.why


def test_a_list_of_groups_without_its_column_is_refused(tmp_path: Path) -> None:
    listed = tmp_path / "groups.csv"
    listed.write_text("path,label\ncat/1.jpg,cat\n", "utf-8")
    assert refused(str(listed)).code == "no-columns"
    assert "no column for the patient" in refused("column:patient", listed).what


def test_two_groups_for_one_file_are_refused_with_both_lines(tmp_path: Path) -> None:
    listed = tmp_path / "groups.csv"
    listed.write_text("path,group\ncat/1.jpg,a\ndog/1.jpg,a\n./cat/1.jpg,b\n", "utf-8")
    error = refused(str(listed))
    assert error.code == "group-conflict"
    assert error.where.endswith("groups.csv, lines 2 and 4: cat/1.jpg")
