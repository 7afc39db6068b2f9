from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fieldmark.data import listing
from fieldmark.data.manifest import Example, LeftOut
from fieldmark.errors import DataError

MakeFolder = Callable[..., Path]


def read(root: Path, text: str | bytes) -> tuple[tuple[Example, ...], tuple[LeftOut, ...]]:
    data = text if isinstance(text, bytes) else text.encode()
    (root / "list.csv").write_bytes(data)
    return listing.read(root / "list.csv", root)


def labels(found: tuple[tuple[Example, ...], tuple[LeftOut, ...]]) -> dict[str, str]:
    return {example.path: example.label for example in found[0]}


def refused(root: Path, text: str | bytes) -> DataError:
    with pytest.raises(DataError, match=r"list") as caught:
        read(root, text)
    return caught.value


@pytest.mark.parametrize(
    "header",
    [
        "path,label",
        "filepath,label",
        "file,class",
        "filename,label",
        "Image,Class",
        " PATH , Label ",
        "path;label",
        "path\tlabel",
        "\ufeffpath,label",
    ],
)
def test_columns_go_by_many_names(header: str, make_folder: MakeFolder) -> None:
    mark = next(mark for mark in ";\t," if mark in header)
    found = read(make_folder("x/1.jpg"), f"{header}\nx/1.jpg{mark}cat\n")
    assert labels(found) == {"x/1.jpg": "cat"}


def test_columns_stand_in_any_order_among_others(make_folder: MakeFolder) -> None:
    text = "note,split,label,group,path\nhm,Validation,cat,g1,1.jpg\n,TRAIN,dog,,2.jpg\n"
    examples, _ = read(make_folder("1.jpg", "2.jpg"), text)
    assert examples == (
        Example(path="1.jpg", label="cat", group="g1", split="valid"),
        Example(path="2.jpg", label="dog", split="train"),
    )


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("val", "valid"),
        ("valid", "valid"),
        ("validation", "valid"),
        ("TEST", "test"),
        ("", None),
    ],
)
def test_parts_go_by_many_words(word: str, split: str | None, make_folder: MakeFolder) -> None:
    examples, _ = read(make_folder("1.jpg"), f"path,label,split\n1.jpg,cat,{word}\n")
    assert examples[0].split == split


def test_an_unknown_part_is_refused_with_its_line(make_folder: MakeFolder) -> None:
    error = refused(make_folder("1.jpg"), "path,label,split\n\n1.jpg,cat,dev\n")
    assert error.code == "bad-split-word"
    assert "'dev'" in error.what
    assert "line 3" in error.where


def test_labels_stay_text(make_folder: MakeFolder) -> None:
    found = read(make_folder("1.png", "2.png"), "path,label\n1.png,007\n2.png,1.0\n")
    assert labels(found) == {"1.png": "007", "2.png": "1.0"}


def test_quoted_cells_hold_commas_and_line_breaks(make_folder: MakeFolder) -> None:
    found = read(make_folder("a, b.jpg"), 'path,label\n"a, b.jpg","cat, ""big"""\n')
    assert labels(found) == {"a, b.jpg": 'cat, "big"'}


def test_paths_written_on_windows_are_found(make_folder: MakeFolder) -> None:
    assert labels(read(make_folder("x/1.jpg"), "path,label\r\nx\\1.jpg,cat\r\n")) == {
        "x/1.jpg": "cat"
    }


def test_paths_are_relative_to_the_list_first_and_else_to_the_folder(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder("1.jpg", "x/2.jpg")
    csv_path = tmp_path / "list.csv"
    csv_path.write_text("path,label\ndata/1.jpg,cat\nx/2.jpg,dog\n")
    assert labels(listing.read(csv_path, root)) == {"1.jpg": "cat", "x/2.jpg": "dog"}


def test_absolute_paths_inside_are_fine(make_folder: MakeFolder) -> None:
    root = make_folder("1.jpg")
    assert labels(read(root, f"path,label\n{root / '1.jpg'},cat\n")) == {"1.jpg": "cat"}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("9.jpg,cat", "vanished"),
        ("x,cat", "not-a-file"),
        ("../secret.jpg,cat", "link-outside"),
        ("x/../../secret.jpg,cat", "link-outside"),
        ("/etc/hostname,cat", "link-outside"),
        (",cat", "no-path"),
        ("1.jpg,", "no-label"),
        ("1.jpg", "no-label"),
        ("nul\0l.jpg,cat", "vanished"),
    ],
)
def test_rows_that_cannot_be_used_are_left_out(
    row: str, code: str, make_folder: MakeFolder, tmp_path: Path
) -> None:
    if row.startswith("/etc") and not Path("/etc/hostname").exists():
        pytest.skip("no such file on this system")
    (tmp_path / "secret.jpg").write_bytes(b"")
    examples, left_out = read(make_folder("1.jpg", "x/2.jpg"), f"path,label\nx/2.jpg,dog\n{row}\n")
    assert [example.path for example in examples] == ["x/2.jpg"]
    assert [entry.code for entry in left_out] == [code]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_listed_links_are_judged_by_where_they_end(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder("1.jpg")
    (tmp_path / "secret.jpg").write_bytes(b"")
    (root / "in.jpg").symlink_to("1.jpg")
    (root / "out.jpg").symlink_to("../secret.jpg")
    (root / "away").symlink_to(tmp_path)
    text = "path,label\nin.jpg,cat\nout.jpg,cat\naway/secret.jpg,cat\n"
    examples, left_out = read(root, text)
    assert [example.path for example in examples] == ["in.jpg"]
    assert [entry.code for entry in left_out] == ["link-outside", "link-outside"]


def test_the_same_line_twice_counts_once(make_folder: MakeFolder) -> None:
    examples, left_out = read(make_folder("1.jpg"), "path,label\n1.jpg,cat\n./1.jpg,cat\n")
    assert len(examples) == 1
    assert [(entry.code, entry.reason) for entry in left_out] == [
        ("listed-twice", "lines 2 and 3 of the list")
    ]


def test_two_labels_for_one_picture_are_refused(make_folder: MakeFolder) -> None:
    error = refused(make_folder("1.jpg"), "path,label\n1.jpg,cat\n1.jpg,dog\n")
    assert error.code == "label-conflict"
    assert "'cat' and 'dog'" in error.what
    assert "lines 2 and 3" in error.where


@pytest.mark.parametrize("header", ["", "name,kind", "path,kind", "label"])
def test_missing_columns_are_named(header: str, make_folder: MakeFolder) -> None:
    error = refused(make_folder(), f"{header}\n1.jpg,cat\n")
    assert error.code == "no-columns"
    assert ("path" in error.what) == ("path" not in header)
    assert "path,label" in error.hint


@pytest.mark.parametrize("data", [b"path,label\ncaf\xe9.jpg,cat\n", b"\xff\xfe\x00p\x00a"])
def test_a_list_in_another_encoding_is_refused(data: bytes, make_folder: MakeFolder) -> None:
    assert refused(make_folder(), data).code == "list-damaged"


def test_a_cell_without_end_is_refused(make_folder: MakeFolder) -> None:
    assert refused(make_folder(), 'path,label\n"' + "x" * 200_000).code == "list-damaged"


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        listing.read(tmp_path / "list.csv", tmp_path)
    assert caught.value.code == "no-list"


def test_a_thousand_lines_take_a_moment(make_folder: MakeFolder) -> None:
    names = [f"{number % 10}/{number}.png" for number in range(1000)]
    root = make_folder(*names)
    text = "path,label\n" + "".join(f"{name},{name[0]}\n" for name in names)
    start = time.perf_counter()
    assert len(read(root, text)[0]) == 1000
    assert time.perf_counter() - start < 1
