"""Columns of a list of labels that fieldmark has no use for itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from fieldmark.data import columns
from fieldmark.data.manifest import Example
from fieldmark.errors import DataError

EXAMPLES = tuple(Example(path=f"a/{at}.jpg", label="a") for at in range(3))


def listed(folder: Path, text: str) -> Path:
    (folder / "a").mkdir(exist_ok=True)
    for each in EXAMPLES:
        (folder / each.path).write_bytes(b"x")
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_are_those_it_has_no_use_for_as_they_are_written(tmp_path: Path) -> None:
    path = listed(tmp_path, "File;Class;Weather; Depth m ;split;group;;Weather\n")
    assert columns.names(path) == ("Weather", "Depth m")


def test_values_come_in_the_order_of_the_examples_and_nothing_is_an_empty_text(
    tmp_path: Path,
) -> None:
    path = listed(
        tmp_path, "path,label,Weather,depth\na\\2.jpg,a,rain,3\n./a/0.jpg,a,'=sun,\nb.jpg,a,x,9\n"
    )
    found = columns.read(path, tmp_path, EXAMPLES, ("depth", "Weather"))
    assert found == {"depth": ("", "", "3"), "Weather": ("=sun", "", "rain")}


def test_of_a_picture_that_is_listed_twice_the_first_line_counts(tmp_path: Path) -> None:
    path = listed(tmp_path, "path,label,w\na/0.jpg,a,one\na/0.jpg,a,two\n")
    assert columns.read(path, tmp_path, EXAMPLES, ("w",))["w"][0] == "one"


def test_no_columns_are_read_as_none(tmp_path: Path) -> None:
    path = listed(tmp_path, "path,label\na/0.jpg,a\n")
    assert columns.names(path) == ()
    assert columns.read(path, tmp_path, EXAMPLES, ()) == {}


@pytest.mark.parametrize(
    ("text", "wanted", "code"),
    [("path,label\n", ("w",), "no-columns"), ("label,w\n", ("w",), "no-columns")],
)
def test_a_missing_column_is_an_error(
    text: str, wanted: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="has no column for the") as caught:
        columns.read(listed(tmp_path, text), tmp_path, EXAMPLES, wanted)
    assert caught.value.code == code


def test_a_list_that_is_gone_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        columns.names(tmp_path / "gone.csv")
    assert caught.value.code == "no-list"
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match="list of labels") as caught:
        columns.names(tmp_path / "picture.csv")
    assert caught.value.code == "list-damaged"
