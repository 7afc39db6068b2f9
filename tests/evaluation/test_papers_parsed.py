"""The papers, read by a Markdown reader: names from outside are text, and every sign is shown."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.card_facts import Unused
from fieldmark.evaluation.data_sheet import data_sheet
from fieldmark.evaluation.methods import methods
from fieldmark.evaluation.model_card import model_card
from fieldmark.evaluation.wording import printable
from tests.evaluation import made_up
from tests.evaluation.promises import HOSTILE

reader = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
TEXTS = {"text", "text_special", "softbreak", "inline", "code_inline", "fence"}
NAMES = st.sampled_from([name[:60] for name in HOSTILE]) | st.text(
    st.sampled_from("`|\\<>[]()*_~#!&$-+=.\n\r :/@wW1a;lt"), min_size=1, max_size=20
)


def tokens(text: str) -> list[Any]:
    """Read a paper as CommonMark with tables; HTML would be passed through, as on most pages."""
    body = text.split("---\n", 2)[-1] if text.startswith("---") else text
    parsed = reader.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found: list[Any] = []
    for token in parsed.parse(body):
        found += [token, *(token.children or [])]
    return found


def shape(text: str) -> Counter[str]:
    return Counter(each.type for each in tokens(text) if each.type not in TEXTS)


def seen(text: str) -> str:
    """Return what a reader sees, formatting left out."""
    return "".join(each.content for each in tokens(text) if each.type in TEXTS - {"inline"})


def written(classes: tuple[str, str, str], name: str) -> list[str]:
    """Write all three papers of a run whose every name from outside is a given one."""
    data = made_up.data(
        classes,
        name=name,
        unused=(Unused(name, "truncated", name),),
        groups_from=name,
        split_file=name,
        fix_list=name,
        notes=(name,),
        divided=(name,),
    )
    training = made_up.training("foreign", origin=(name,), network=name, backbone=name)
    report = dataclasses.replace(made_up.report(classes), conditions={name: name})
    facts = made_up.facts(report=report, data=data, training=training, machine=name)
    return [model_card(facts), data_sheet(data), methods(facts)]


USUAL = [shape(text) for text in written(("a", "b", "c"), "x")]


def test_the_usual_papers_have_headings_tables_and_boxes() -> None:
    card, sheet, paragraph = USUAL
    assert card["heading_open"] == 11
    assert card["table_open"] == 4
    assert sheet["table_open"] == 3
    assert paragraph["heading_open"] == 2
    assert not any(found["html_inline"] or found["html_block"] for found in USUAL)


@given(st.lists(NAMES, min_size=3, max_size=3, unique=True), NAMES)
def test_names_are_text_to_a_markdown_reader(classes: list[str], name: str) -> None:
    one, two, three = (f"{each}{at}" for at, each in enumerate(classes))
    papers = written((one, two, three), f"{name}z")
    for text, usual in zip(papers, USUAL, strict=True):
        assert shape(text) == usual
        assert printable(f"{name}z").strip() in seen(text)
    for each in (one, two, three):
        assert printable(each).strip() in seen(papers[0])
