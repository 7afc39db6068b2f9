r"""CSV files: whatever a name holds, it does no harm and comes back."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fieldmark.data import table
from fieldmark.data.table import Form, Names, cell, lines, plain, written
from fieldmark.errors import DataError

names = st.text(
    st.one_of(st.characters(), st.sampled_from("\\'=+-@ntrxu0\n\r\t\x00\udcff\ud800,;\" ")),
    max_size=12,
)
FORM = Form(
    what="fix list",
    option="--overrides",
    columns={"path": ("path", "file"), "action": ("action",), "reason": ("reason",)},
    needed=("path", "action"),
)


@given(names)
@example("a\\nb")
@example("a\nb")
@example("\\\\n")
@example("'=x")
@example("''=x")
@example("\\")
@example("\\x41")
@example("\x85\udc85")
def test_every_name_comes_back(name: str) -> None:
    assert plain(cell(name)) == name


@given(names, names)
@example("a\nb", "a\\nb")
@example("=x", "'=x")
def test_two_names_never_look_the_same(one: str, other: str) -> None:
    assert (cell(one) == cell(other)) == (one == other)


@given(names)
def test_no_cell_is_a_formula_or_holds_what_a_terminal_obeys(name: str) -> None:
    shown = cell(name)
    assert not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in shown)
    assert not {"\u202e", "\u2066", "\u2028"} & set(shown)
    shown.encode()  # no halves of characters
    if len(shown) > 1 and shown[0] in "=+-@":
        float(shown)


@given(st.lists(st.lists(names, min_size=2, max_size=2), max_size=5))
def test_every_table_comes_back_from_any_reader_of_csv(rows: list[list[str]]) -> None:
    text = written(["path", "label"], rows)
    text.encode()
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [[plain(each) for each in row] for row in read] == [["path", "label"], *rows]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("rose 1.jpg", "rose 1.jpg"),
        ("Käuzchen/ß.jpg", "Käuzchen/ß.jpg"),
        ("a\\b.jpg", "a\\b.jpg"),
        ("C:\\new", "C:\\\\new"),  # would read as a line break
        ("a\nb\\", "a\\nb\\\\"),
        ("\x1b[31m", "\\x1b[31m"),
        ("caf\udce9", "caf\\xe9"),
        ("caf\u0085", "caf\\u0085"),
        ("\u202egpj", "\\u202egpj"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+49", "+49"),
        ("+a", "'+a"),
        ("-rf.jpg", "'-rf.jpg"),
        ("@sum(a)", "'@sum(a)"),
        (" =1+1", "' =1+1"),
        ("＝1+1", "'＝1+1"),
        ("-", "-"),
        ("'quoted'", "'quoted'"),
        ("<script>", "<script>"),
    ],
)
def test_names_look_as_documented(name: str, shown: str) -> None:
    assert cell(name) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-0.5, "-0.5"), ("-0.500000", "-0.500000"), ("-inf", "-inf"), (0, "0"), (None, ""), ("", "")],
)
def test_numbers_are_no_formulas(value: str | float | None, shown: str) -> None:
    assert cell(value) == shown


def test_what_separates_cells_anywhere_is_quoted() -> None:
    assert table.line(["a;b", "a,b", 'a"b', "ab"]) == '"a;b","a,b","a""b",ab'


def test_lines_end_as_the_standard_says() -> None:
    assert written(["a"], [["b"]]) == "a\r\nb\r\n"


def test_own_files_are_read_in_plain_words(tmp_path: Path) -> None:
    rows = [["=x\n", "caf\udce9"], ["-1", "b"]]
    (tmp_path / "x.csv").write_text(written(["path", "score:=\n"], rows), "utf-8", newline="")
    found = table.rows(tmp_path / "x.csv")
    assert found == [{"path": a, "score:=\n": b} for a, b in rows]


def test_files_of_earlier_versions_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b'path,label\r\n"new\nline",caf\xe9\r\n')
    assert table.rows(tmp_path / "x.csv") == [{"path": "new\nline", "label": "caf\udce9"}]


# --- lists that a person wrote


def read(tmp_path: Path, text: str) -> list[tuple[int, str, str, str]]:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8", newline="")
    found = lines(tmp_path / "list.csv", FORM)
    return [(e.number, e.cells["path"], e.word("action"), e.word("reason")) for e in found]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_any_separator_will_do(tmp_path: Path, mark: str) -> None:
    text = f"Action {mark}File{mark}note\r\n keep {mark}a.jpg{mark}x\r\n"
    assert read(tmp_path, text) == [(2, "a.jpg", "keep", "")]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    text = 'path,action,reason\n"a\nb",keep,"two\nlines"\n\nc,keep\n'
    assert [row[0] for row in read(tmp_path, text)] == [2, 6]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "no-list"),
        (b"path,action\ncaf\xe9,keep\n", "list-damaged"),
        (b"path;reason\n", "no-columns"),
        (b"", "no-columns"),
    ],
)
def test_a_list_that_is_none_is_named_with_its_option(
    tmp_path: Path, data: bytes | None, code: str
) -> None:
    file = tmp_path / "list.csv"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(DataError, match="fix list") as caught:
        list(lines(file, FORM))
    assert (caught.value.code, caught.value.where) == (code, str(file))
    assert "--overrides" in caught.value.hint or code != "no-list"


def test_missing_columns_are_named_as_they_should_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column for the action") as caught:
        read(tmp_path, "path,reason\n")
    assert caught.value.hint == "let the first line read: path,action"


# --- which path a cell means

PATHS = ["cat/1.jpg", "=x.jpg", "a\nb.jpg", "a\\nb.jpg", "caf\udce9.jpg", "Ka\u0308fer.jpg"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("cat/1.jpg", "cat/1.jpg"),
        (" cat/1.jpg ", "cat/1.jpg"),
        ("./cat/1.jpg", "cat/1.jpg"),
        ("cat\\1.jpg", "cat/1.jpg"),
        ("=x.jpg", "=x.jpg"),
        ("'=x.jpg", "=x.jpg"),
        ("a\nb.jpg", "a\nb.jpg"),
        ("a\\nb.jpg", "a\nb.jpg"),  # as it was written here, not the file called like the code
        ("a\\\\nb.jpg", "a\\nb.jpg"),
        ("caf\\xe9.jpg", "caf\udce9.jpg"),
        ("K\u00e4fer.jpg", "Ka\u0308fer.jpg"),
        ("dog/1.jpg", None),
        ("", None),
    ],
)
def test_a_cell_finds_its_path(text: str, path: str | None) -> None:
    assert Names(PATHS).find(text) == path


def test_a_name_that_two_files_share_but_for_accents_is_not_guessed() -> None:
    both = Names(["K\u00e4fer.jpg", "Ka\u0308fer.jpg"])
    assert both.find("Ka\u0308fer.jpg") == "Ka\u0308fer.jpg"
    assert Names(["\u212b\u0323", "A\u0323\u030a"]).find("\u1ea0\u030a") is None


@given(st.lists(names, unique=True, max_size=6))
def test_every_written_name_is_found_among_any_others(paths: list[str]) -> None:
    known = Names(paths)
    assert [known.find(cell(path)) for path in paths] == paths


def test_cells_beyond_the_header_are_left_out(tmp_path):
    (tmp_path / "list.csv").write_text("path,label\r\na.jpg,x,surplus,more\r\nb.jpg\r\n")
    assert table.rows(tmp_path / "list.csv") == [
        {"path": "a.jpg", "label": "x"},
        {"path": "b.jpg", "label": ""},
    ]


def test_a_cell_longer_than_any_name_is_damage(tmp_path):
    (tmp_path / "list.csv").write_text(f"path,label\r\n{'x' * 200_000},y\r\n")
    with pytest.raises(DataError, match="not a CSV file") as caught:
        table.rows(tmp_path / "list.csv")
    assert caught.value.code == "list-damaged"
