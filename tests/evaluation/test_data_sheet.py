"""The data sheet: everything that was found is accounted for, the rest is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.card_facts import Together, Unused
from fieldmark.evaluation.data_sheet import data_sheet
from fieldmark.evaluation.markdown import n_open
from tests.evaluation import made_up
from tests.evaluation.promises import HOSTILE

GOLDEN = Path(__file__).parents[1] / "golden" / "papers" / "DATA_SHEET.md"
SECTIONS = [
    "Motivation",
    "Composition",
    "Sizes and formats",
    "What belongs together",
    "How the parts were made",
    "Labels and cleaning",
    "What was left out",
    "Collection",
    "Uses, distribution and maintenance",
]


def headings(sheet: str) -> list[str]:
    return re.findall(r"^## (.*)$", sheet, re.MULTILINE)


def section(sheet: str, name: str) -> str:
    return sheet.partition(f"## {name}\n")[2].partition("\n## ")[0]


def test_the_sheet_of_a_made_up_run_is_the_golden_one() -> None:
    assert data_sheet(made_up.data()) == GOLDEN.read_text(encoding="utf-8")


def test_every_section_is_there_in_order() -> None:
    assert headings(data_sheet(made_up.data())) == SECTIONS


def test_used_and_left_out_are_everything_that_was_found() -> None:
    sheet = data_sheet(made_up.data())
    assert "1,105 files found: 1,096 used, 9 left out." in sheet
    counts = re.findall(r"^\| (?:\w+-)*\w+ \| (\d+) \| [^|]+ \|$", sheet, re.MULTILINE)
    assert sum(map(int, counts)) == 9


def test_the_table_of_classes_adds_up() -> None:
    rows = re.findall(
        r"^\| (\w+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$",
        data_sheet(made_up.data()),
        re.MULTILINE,
    )
    numbers = {row[0]: [int(cell.replace(",", "")) for cell in row[1:]] for row in rows}
    total = numbers.pop("all")
    assert list(numbers) == list(made_up.CLASSES)
    assert [sum(column) for column in zip(*numbers.values(), strict=True)] == total
    assert all(sum(row[:3]) == row[3] for row in numbers.values())


def test_the_first_files_of_each_reason_are_named() -> None:
    found = section(data_sheet(made_up.data()), "What was left out")
    assert "rose/copy 4.jpg and 2 more" in found
    assert "copy 5" not in found
    assert found.index("exact-copy") < found.index("truncated")


def test_nothing_left_out_is_said() -> None:
    sheet = data_sheet(made_up.data(unused=()))
    assert section(sheet, "What was left out").strip() == "Nothing."
    assert "1,096 files found: 1,096 used, 0 left out." in sheet


def test_both_hashes_are_there_to_compare() -> None:
    sheet = data_sheet(made_up.data())
    assert f"- pictures: `{'0f' * 32}`" in sheet
    assert f"- pictures, parts and labels: `{'a7' * 32}`" in sheet


def test_pictures_that_were_not_looked_at_have_no_sizes() -> None:
    found = section(data_sheet(made_up.data(shapes=None)), "Sizes and formats")
    assert "were not looked at" in found
    assert "|" not in found


def test_what_a_person_grouped_is_told_with_where_it_was_said() -> None:
    data = made_up.data(groups=Together(4, 31), groups_from="name:^(\\w+)_")
    found = section(data_sheet(data), "What belongs together")
    assert "(from `name:^(\\w+)_`): 4 sets with 31 pictures." in found


def test_copies_that_were_not_looked_for_are_not_called_none() -> None:
    data = made_up.data(audited=False, cleaned=False, copies=Together(0, 0))
    sheet = data_sheet(data)
    assert "Near copies were not looked for." in sheet
    assert "equal files and leaks were not left out" in sheet


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("folders", "the folder a picture lies in."),
        ("parts", "inside of ready-made parts."),
        ("csv", "a list of files with their labels."),
        ("name", "a part of the file name."),
        ("another", "A label is another."),
    ],
)
def test_where_labels_come_from_is_said(layout: str, words: str) -> None:
    assert words in section(data_sheet(made_up.data(layout=layout)), "Labels and cleaning")


def test_a_saved_split_is_named_and_notes_are_kept() -> None:
    data = made_up.data(split_file="split.csv", notes=("2 files are new.",))
    found = section(data_sheet(data), "How the parts were made")
    assert "those of the saved split `split.csv`" in found
    assert "- 2 files are new." in found


def test_the_draw_is_told_with_seed_and_shares() -> None:
    found = section(data_sheet(made_up.data(shares=(0.2, 0.1))), "How the parts were made")
    assert "the seed 3; shares 0.70 training, 0.20 validation, 0.10 test." in found


def test_a_fix_list_is_named_with_what_it_left_out() -> None:
    unused = (Unused("a.jpg", "left-out-by-list", "blurred"),)
    data = made_up.data(fix_list="overrides.csv", unused=unused)
    found = section(data_sheet(data), "Labels and cleaning")
    assert "The fix list `overrides.csv` was obeyed; it left out 1 file." in found


def test_only_a_person_can_answer_some_questions() -> None:
    sheet = data_sheet(made_up.data())
    assert n_open(sheet) == 11
    for word in ("purpose", "licence", "agree", "ethical review", "Who keeps them", "people"):
        assert any(word in line for line in sheet.splitlines() if line.startswith("- [ ]")), word


NAMES = st.sampled_from(HOSTILE) | st.text(st.characters(), min_size=1, max_size=20)
MARKUP = st.text(st.sampled_from("`|\\<>[]()*_~#!&$-+.\n\r :/@wW1a"), min_size=1, max_size=20)


@given(st.lists(NAMES | MARKUP, min_size=3, max_size=3, unique=True), NAMES | MARKUP)
def test_no_name_changes_the_shape_of_a_sheet(classes: list[str], name: str) -> None:
    one, two, three = classes
    data = made_up.data(
        (one, two, three),
        name=name,
        unused=(Unused(name, "truncated", name),),
        groups_from=name,
        split_file=name,
        fix_list=name,
        notes=(name,),
    )
    sheet = data_sheet(data)
    sheet.encode("utf-8")
    assert headings(sheet) == SECTIONS
    assert n_open(sheet) == 11
    rows = [line for line in sheet.splitlines() if line.startswith("|")]
    assert len(rows) == 6 + 5 + 3
    for line in rows:
        cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) - 1
        assert cells in (3, 4, 5), line
