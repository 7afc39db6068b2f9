"""Text to list: what is printed is read back; every mistake is pointed at."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.errors import LayerListError
from fieldmark.networks.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Input,
    Network,
    Pool,
    Repeat,
    Residual,
)
from fieldmark.networks.parser import MAX_DEPTH, MAX_LAYERS, SYNTAX, parse
from tests.networks.strategies import Case, cases, spellings

quiet = settings(deadline=None)
START = "INPUT 8x8x3 -> "


def refused(text: str) -> LayerListError:
    with pytest.raises(LayerListError, match=r"\[layer-list\]") as caught:
        parse(text)
    assert caught.value.code == "layer-list"
    assert caught.value.what
    assert caught.value.hint
    return caught.value


def marked(error: LayerListError) -> str:
    """Return what stands at the mark, to the end of the line shown."""
    line, mark = error.where.split("\n")
    assert mark.strip() == "^"
    return line[len(mark) - 1 :]


# --- reading


@quiet
@given(cases())
def test_what_is_printed_is_read_back(case: Case) -> None:
    again = parse(str(case.network))
    assert again == case.network
    assert str(again) == str(case.network)


@quiet
@given(st.data())
def test_case_blanks_new_lines_and_comments_mean_nothing(data: st.DataObject) -> None:
    network = data.draw(cases()).network
    assert parse(data.draw(spellings(network))) == network


def test_every_word_of_the_language_is_read() -> None:
    text = (
        "INPUT 32x24x1 -> CONV 8 3x2 -> CONV 8 3x3 same step 2 -> DWCONV 3x3 step 2 -> POOL 2x3 -> "
        "POOL 3x3 same step 2 -> AVGPOOL 2x2 -> BN -> RELU -> RELU6 -> SIGMOID -> DROPOUT 0.25 -> "
        "[RELU -> BN]*3 -> {RELU -> {BN}} -> GAP -> GMP -> FLATTEN -> FC 128 -> FC -> SOFTMAX"
    )
    network = parse(text)
    assert str(network) == text
    pretrained = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 stages 4 -> FC"
    assert str(parse(pretrained)) == pretrained
    words = set(f"{text} {pretrained}".replace("[", "").replace("{", "").split())
    assert set(SYNTAX) <= words


def test_words_become_values() -> None:
    network = parse(
        "INPUT 64x48x3 -> [CONV 32 3x5 same step 2 -> RELU]*2 -> {DWCONV 3x3} -> DROPOUT .5 -> FC"
    )
    conv = Conv(32, (3, 5), "same", 2)
    assert network.input == Input(64, 48, 3)
    assert network.items == (
        Repeat((conv, Activation("relu")), 2),
        Residual((Conv(None, (3, 3)),)),
        Dropout(0.5),
        Dense(),
    )


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("conv 32 3x3 valid step 1", "CONV 32 3x3"),
        ("CONV 032 03x003 step 2 same", "CONV 32 3x3 same step 2"),
        ("pool 2x2 step 2", "POOL 2x2"),
        ("pool 2x3 step 2", "POOL 2x3 step 2"),
        ("avgpool 3X3 SAME STEP 1", "AVGPOOL 3x3 same step 1"),
        ("dropout .50", "DROPOUT 0.5"),
        ("dropout 0", "DROPOUT 0"),
        ("dropout 0.00001", "DROPOUT 0.00001"),
        ("[relu]*1", "[RELU]*1"),
        ("-> \n relu6 ->\n", "RELU6"),
    ],
)
def test_there_is_one_way_to_print_a_layer(written: str, canonical: str) -> None:
    found = str(parse(START + written))
    assert found == START + canonical
    assert str(parse(found)) == found


def test_windows_that_touch_are_the_same_however_they_are_written() -> None:
    assert parse(START + "POOL 2x2 step 2").items == (Pool("max", (2, 2)),)


def test_a_network_keeps_the_text_it_was_read_from_but_is_not_compared_by_it() -> None:
    one, other = parse(START + "FC"), parse("input 8x8x3\nfc  # head")
    assert one == other
    assert one.text != other.text
    assert other.text == "input 8x8x3\nfc  # head"


# --- mistakes

GOLDEN = {
    "": "\n^",
    "CONV 32 3x3": "CONV 32 3x3\n^",
    START + "CONVV 32 3x3": "INPUT 8x8x3 -> CONVV 32 3x3\n               ^",
    START + "RELU\n  CONV 32 3by3 -> FC": "  CONV 32 3by3 -> FC\n          ^",
    START + "[RELU": "INPUT 8x8x3 -> [RELU\n                    ^",
    START + "RELU ! FC": "INPUT 8x8x3 -> RELU ! FC\n                    ^",
}


@pytest.mark.parametrize(("text", "where"), GOLDEN.items())
def test_the_place_is_shown_with_a_mark_under_it(text: str, where: str) -> None:
    assert refused(text).where == where


def test_a_long_line_is_cut_before_the_mark_and_behind_it() -> None:
    long = START + "CONV 32 3x3 -> RELU -> " * 30
    error = refused(long + "OOPS -> " + "RELU -> " * 30 + "FC")
    line, mark = error.where.split("\n")
    assert line.startswith("...")
    assert len(line) == 76
    assert len(mark) == 44
    assert marked(error).startswith("OOPS -> RELU")


@pytest.mark.parametrize("n_blanks", range(0, 120, 7))
def test_the_mark_is_on_the_screen_wherever_the_mistake_is(n_blanks: int) -> None:
    error = refused(START + " " * n_blanks + "OOPS -> FC")
    assert marked(error).startswith("OOPS")
    assert max(len(line) for line in error.where.split("\n")) <= 76


WRONG = {
    "BANANA": ("'BANANA' is not a layer", "BANANA"),
    "end": ("'end' is not a layer", "end"),
    "CONV": ("CONV needs a count", "CONV"),
    "CONV 32": ("CONV needs its size", "CONV 32"),
    "CONV 3x3": ("CONV needs a count here, not '3x3'", "3x3"),
    "CONV 0 3x3": ("'0' is no whole number", "0 3x3"),
    "CONV 1000001 3x3": ("'1000001' is no whole number", "1000001 3x3"),
    "CONV 32 3": ("'3' is no size of 2 numbers", "3"),
    "CONV 32 0x3": ("'0x3' is no size", "0x3"),
    "CONV 32 3x3x3": ("'3x3x3' is no size of 2", "3x3x3"),
    "CONV 32 10000x3": ("no size of 2 numbers from 1 to 9999", "10000x3"),
    "CONV 32 3x3 wide": ("'wide' is neither same, valid nor step", "wide"),
    "CONV 32 3x3 step": ("needs a number after 'step'", "CONV 32 3x3 step"),
    "CONV 32 3x3 step 0": ("'0' is no whole number", "0"),
    "CONV 32 3x3 step two": ("'two' is no whole number", "two"),
    "DWCONV 8 3x3": ("'8' is no size", "8 3x3"),
    "POOL": ("POOL needs its size", "POOL"),
    "POOL 2": ("'2' is no size", "2"),
    "GAP 2x2": ("'2x2' is one word too many", "2x2"),
    "RELU 6": ("'6' is one word too many", "6"),
    "FC two": ("FC needs a count here, not 'two'", "two"),
    "FC 2 3": ("'3' is one word too many", "3"),
    "FC \u0663": ("is no whole number", "\u0663"),
    "DROPOUT": ("DROPOUT needs a rate", "DROPOUT"),
    "DROPOUT 1": ("'1' is no rate from 0 to below 1", "1"),
    "DROPOUT 1.5": ("'1.5' is no rate", "1.5"),
    "DROPOUT 50%": ("The character '%' has no meaning", "%"),
    "RELU FC RELU": ("'FC' is one word too many", "FC RELU"),
    "RELU [FC]*2": ("'[' does not belong here", "[FC]*2"),
    "RELU ] FC": ("']' does not belong here", "] FC"),
    "* FC": ("'*' does not belong here", "* FC"),
    "[RELU]": ("A repeat needs a count", ""),
    "[RELU] FC": ("A repeat needs a count", "FC"),
    "[RELU]*": ("is no whole number (how often)", ""),
    "[RELU]*0": ("'0' is no whole number (how often)", "0"),
    "[RELU]*many": ("'many' is no whole number (how often)", "many"),
    "[RELU}*2": ("'}' does not belong here", "}*2"),
    "{RELU -> FC": ("The list ends before its '}'", ""),
    "{}": ("These brackets are empty", "{}"),
    "[ -> ]*2": ("These brackets are empty", "[ -> ]*2"),
    "INPUT 8x8x3": ("INPUT stands only once", "INPUT 8x8x3"),
    "[INPUT 8x8x3]*2": ("INPUT stands only at the start", "INPUT 8x8x3]*2"),
    "CONV 32 3\u00d73": ("The character '\u00d7' has no meaning", "\u00d73"),
    "RELU - FC": ("The character '-' has no meaning", "- FC"),
}


@pytest.mark.parametrize(("rest", "what", "at"), [(k, *v) for k, v in WRONG.items()])
def test_every_mistake_is_named_and_pointed_at(rest: str, what: str, at: str) -> None:
    error = refused(START + rest)
    assert what in error.what
    assert marked(error) == at


@pytest.mark.parametrize("size", ["8x8", "8", "8x8x3x1", "0x8x3", "axbxc", "x8x3"])
def test_an_input_needs_three_sizes(size: str) -> None:
    assert "is no size of 3 numbers" in refused(f"INPUT {size} -> FC").what


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_a_picture_is_grey_or_rgb(channels: int) -> None:
    error = refused(f"INPUT 8x8x{channels} -> FC")
    assert f"A picture of {channels} channels" in error.what
    assert marked(error).startswith("INPUT")


def test_a_word_almost_right_is_suggested() -> None:
    assert refused(START + "CONVV 32 3x3").hint.startswith("did you mean CONV?")
    assert refused(START + "DROPUOT 0.5").hint.startswith("did you mean DROPOUT?")
    assert refused(START + "QZJ").hint.startswith("known: INPUT, CONV")


def test_the_hint_shows_how_the_layer_is_written() -> None:
    assert refused(START + "CONV 32").hint == "write it like: CONV 32 3x3 [same|valid] [step 2]"


# --- bounds


def nested(depth: int) -> str:
    return START + "[" * depth + "RELU" + "]*1" * depth


def test_brackets_nest_up_to_a_depth() -> None:
    assert isinstance(parse(nested(MAX_DEPTH)).items[0], Repeat)
    error = refused(nested(MAX_DEPTH + 1))
    assert f"More than {MAX_DEPTH} brackets" in error.what
    assert marked(error).startswith("RELU")


def test_layers_are_counted_after_repeats() -> None:
    assert parse(f"{START}[RELU -> BN]*{MAX_LAYERS // 2}")
    more = refused(f"{START}[RELU -> BN]*{MAX_LAYERS // 2} -> FC")
    assert "2,001 layers after repeats; 2,000 is the most" in more.what
    assert "3,000 layers" in refused(START + "[{RELU -> BN}]*1000").what  # the sum is one as well


@pytest.mark.parametrize(
    "rest",
    [
        "[" * 8 + "RELU" + "]*1000000" * 8,
        "[" * 100_000,
        "{" * 8 + "RELU" + "}" * 8 + " -> RELU" * 3_000,
        "A" * 1_000_000,
        "CONV 3 " + "0" * 100_000 + "3x3",
        "FC " + "9" * 100_000,
        "DROPOUT 0." + "1" * 100_000,
    ],
    ids=["repeats", "brackets", "layers", "word", "zeros", "digits", "rate"],
)
def test_a_hostile_list_is_refused_at_once_and_briefly(rest: str) -> None:
    started = time.process_time()
    error = refused(START + rest)
    assert time.process_time() - started < 2
    assert len(str(error)) < 1_000


def outcome(text: str) -> Network | LayerListError:
    try:
        return parse(text)
    except LayerListError as error:
        return error


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    for candidate in (text, START + text):
        found = outcome(candidate)
        assert isinstance(found, Network) or found.code == "layer-list"


marks = ["->", "->", "[", "]", "*", "{", "}", "\n", "#", ".", "-"]
words = ["3x3", "8x8x3", "2", "0.5", "same", "valid", "step", "end", "x", "1e5"]
pieces = st.sampled_from([*SYNTAX, *marks, *words])


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=14).map(" ".join))
def test_any_row_of_words_is_read_back_or_refused_with_a_mark(text: str) -> None:
    found = outcome(START + text)
    if isinstance(found, Network):
        assert parse(str(found)) == found
    else:
        assert found.where.endswith("^")
        assert len(found.where.split("\n")) == 2
