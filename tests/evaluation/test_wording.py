import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.wording import clip, columns, counted, pad, percent, printable

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)
"""Lone surrogates included: they are what a file name that is not UTF-8 becomes."""


@given(ANY_TEXT)
def test_a_printable_name_is_one_line_and_can_be_written_as_utf_8(text):
    line = printable(text)
    assert len(line.splitlines()) <= 1
    assert line.encode("utf-8").decode("utf-8") == line


@given(ANY_TEXT)
def test_a_printable_name_steers_neither_terminal_nor_reading_direction(text):
    hidden = {"Cc", "Cs", "Zl", "Zp"}
    assert not any(unicodedata.category(char) in hidden for char in printable(text))
    assert not set(printable(text)) & set("\x1b\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200f")


@given(ANY_TEXT)
def test_spelling_a_name_out_twice_changes_nothing(text):
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("a\udcff\udc80", r"a\xff\x80"),
        ("a\ud800", r"a\ud800"),
        ("\u2028", r"\u2028"),
        ("薔薇", "薔薇"),
        ("العربية", "العربية"),
        ("$x^2$ <b>", "$x^2$ <b>"),
        ("\N{WOMAN}\N{ZERO WIDTH JOINER}\N{ROCKET}", "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{ROCKET}"),
    ],
)
def test_names_show_what_is_in_them(text, shown):
    assert printable(text) == shown


@given(ANY_TEXT, st.integers(0, 40))
def test_a_clipped_text_never_takes_more_columns_than_it_may(text, width):
    assert columns(clip(printable(text), width)) <= width


@given(ANY_TEXT, st.integers(1, 40))
def test_a_padded_name_takes_exactly_its_columns(text, width):
    assert columns(pad(text, width)) == width


@given(st.text("abc薔", max_size=20))
def test_a_text_that_fits_is_left_alone(text):
    assert clip(text, columns(text)) == text


def test_wide_signs_take_two_columns_and_accents_none():
    assert columns("薔") == 2
    assert columns("e\N{COMBINING ACUTE ACCENT}") == 1
    assert clip("薔薇の花", 5) == "薔.."


def test_percentages_have_one_decimal_and_a_blank():
    assert percent(0.74613) == "74.6 %"
    assert percent(1) == "100.0 %"
    assert percent(0) == "0.0 %"


@pytest.mark.parametrize(
    ("n", "noun", "text"),
    [
        (1, "picture", "1 picture"),
        (0, "picture", "0 pictures"),
        (1234567, "file", "1,234,567 files"),
        (2, "class", "2 classes"),
    ],
)
def test_counts_agree_with_their_noun(n, noun, text):
    assert counted(n, noun) == text
