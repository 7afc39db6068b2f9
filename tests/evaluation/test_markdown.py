"""Names from outside stay names in Markdown: no heading, no cell, no markup, no link."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.markdown import block, code, left_open, n_open, plain, table
from tests.evaluation.promises import HOSTILE

ANYTHING = st.text(st.characters(), max_size=40) | st.sampled_from(HOSTILE)
MARKUP = st.text(st.sampled_from("`|\\<>[]()*_~#!&$-+.\n\r\t :/@wW1a"), max_size=30)
NAMES = ANYTHING | MARKUP


def unescaped(text: str) -> str:
    """Read a text as Markdown does: a backslash before punctuation is dropped."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def bare(text: str, sign: str) -> bool:
    """Whether a sign stands in a text without a backslash that belongs to it."""
    return sign in re.sub(r"\\[!-/:-@\[-`{-~]", "", text)


@given(NAMES)
def test_a_name_in_running_text_is_one_line_without_markup(name: str) -> None:
    shown = plain(name)
    assert len(shown.splitlines()) <= 1
    for sign in "`*_[]<>|~&$":
        assert not bare(shown, sign), sign


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"])))
def test_what_a_reader_sees_is_the_name(name: str) -> None:
    assert unescaped(plain(name)) == name


def test_usual_names_are_left_as_they_are() -> None:
    for name in (
        "rose",
        "cats-and-dogs",
        "No. 7 (old)",
        "-rf",
        "#7",
        "=1+1",
        "薔薇",
        "Löwenzahn!",
        "a: b",
    ):
        assert plain(name) == name


@pytest.mark.parametrize(
    "name", ["http://a.example", "HTTPS://a.example", "www.a.example", "mail@a.example"]
)
def test_nothing_becomes_a_link_by_itself(name: str) -> None:
    shown = plain(name)
    assert re.search(r"(?i)https?://|www\.|[^\\]@", shown) is None
    assert unescaped(shown) == name


@given(NAMES)
def test_inline_code_ends_where_the_name_does(name: str) -> None:
    shown = code(name)
    if not shown:
        assert name == ""
        return
    fence = re.match("`+", shown)
    assert fence is not None
    inner = shown[len(fence[0]) : -len(fence[0])]
    assert shown.endswith(fence[0])
    assert fence[0] not in re.findall("`+", inner)
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [("- a", "\\- a"), ("#", "\\#"), ("1. a", "1\\. a"), ("---", "\\---"), (" + a", " \\+ a")],
)
def test_a_name_does_not_begin_an_item_or_a_heading(name: str, shown: str) -> None:
    assert plain(name) == shown
    assert unescaped(shown) == name


def test_code_that_begins_with_a_backtick_is_kept_apart_from_its_fence() -> None:
    assert code("`a") == "`` `a ``"
    assert code(" a") == "`  a `"


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_block_ends_where_its_lines_do(lines: list[str]) -> None:
    first, *inner, last = block(lines)
    assert len(inner) == len(lines)
    assert first == last
    assert set(first) == {"`"}
    assert len(first) >= 3
    assert not any(first in line or "\n" in line for line in inner)


def test_a_block_says_its_language() -> None:
    assert block(["x = 1"], "python")[0] == "```python"


@given(st.lists(st.tuples(NAMES, NAMES), max_size=4))
def test_a_table_has_the_cells_it_was_given(rows: list[tuple[str, str]]) -> None:
    lines = table(["a", "b"], [[plain(cell) for cell in row] for row in rows])
    assert len(lines) == len(rows) + 2
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3, line
        assert line.startswith("|")
        assert line.endswith("|")


@given(NAMES)
def test_no_name_counts_as_something_left_to_write(name: str) -> None:
    text = "\n".join([left_open("Why?"), f"for {plain(name)}", f"- {plain(name)}"])
    assert n_open(text) == 1 + (plain(name).startswith(left_open("")[2:]))


def test_a_name_that_looks_like_an_open_line_is_none() -> None:
    assert n_open(f"- {plain(left_open('no')[2:])}") == 0


def test_what_is_left_open_is_a_box_to_tick() -> None:
    assert left_open("What for?") == "- [ ] **For you to write.** What for?"
    assert n_open("\n".join([left_open("a"), "text", left_open("b")])) == 2
