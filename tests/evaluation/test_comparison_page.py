import dataclasses
import functools

import numpy as np
import pytest

from fieldmark import rng
from fieldmark.evaluation import comparison_page
from fieldmark.evaluation.comparison import Common, Entrant, compare_answers
from fieldmark.evaluation.comparison_page import (
    MAX_CHANGED,
    MAX_PAGE_BYTES,
    ComparisonFacts,
    render,
    wanted,
)
from fieldmark.evaluation.template import shown
from fieldmark.evaluation.thumbnails import BUDGET_BYTES
from fieldmark.modalities.encode import encode_jpeg
from tests.evaluation.promises import HOSTILE, Promises
from tests.evaluation.reader import Reader


@functools.cache
def thumbnail(size=32):
    noise = rng.derive(1, "jpeg").integers(0, 256, (size, size, 3))
    return encode_jpeg(noise.astype(np.uint8))


def comparison(words=("plain",), n=60, n_runs=3, n_wrong=12):
    """Runs and pictures called ``words``; run k is wrong on ``n_wrong`` pictures of its own."""
    words = tuple(words)
    classes = tuple(dict.fromkeys((*words, "rose", "tulip")))
    labels = np.arange(n) % len(classes)
    common = Common(
        classes=classes,
        paths=tuple(words[at % len(words)] for at in range(n)),
        sha256=tuple(f"{at:064x}" for at in range(n)),
        labels=labels.astype(np.int64),
    )
    entrants = []
    for at in range(n_runs):
        answers = labels.copy()
        wrong = (np.arange(n_wrong) + at * (n_wrong - 2)) % n
        answers[wrong] = (answers[wrong] + 1 + at % 2) % len(classes)
        probs = np.eye(len(classes))[answers] * 0.5 + 0.5 / len(classes)
        entrants.append(Entrant.of_scores(words[at % len(words)], probs, labels))
    found = compare_answers(common, entrants, conditions={words[0]: words[-1]})
    return dataclasses.replace(found, notes=(*found.notes, words[0]))


def facts_of(words=("plain",), n_runs=3, **changes):
    found = comparison(words, n_runs=n_runs)
    thumbnails = {each.sha256: thumbnail() for each in wanted(found)}
    made = ComparisonFacts(comparison=found, thumbnails=thumbnails, created=words[0])
    return dataclasses.replace(made, **changes)


FULL = render(facts_of())
EVIL = render(facts_of(HOSTILE, n_runs=len(HOSTILE)))
BARE = render(ComparisonFacts(comparison=comparison(n_runs=2, n_wrong=0)))


@pytest.mark.parametrize("html", [FULL, EVIL, BARE], ids=["plain", "hostile", "bare"])
class TestPromises(Promises):
    kind = "compare"


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_are_shown_as_what_they_are(word):
    found = Reader(render(facts_of((word, "plain"))))
    assert shown(word) in "".join(found.texts)


def text_of(facts):
    return " ".join("".join(Reader(render(facts)).texts).split())


def test_every_number_of_the_text_is_on_the_page():
    found = comparison(("pets-1", "pets-2"), n_runs=2)
    text = text_of(ComparisonFacts(comparison=found))
    difference = found.differences[0]
    assert "pets-2 and pets-1 are not told apart by their accuracy." in text
    assert found.sides[0].accuracy.text in text
    assert f"({found.sides[1].log_loss.interval})" in text
    assert f"{difference.n_fixed} fixed, {difference.n_broken} broken" in text
    assert "Agresti-Min, 95.0 %" in text
    assert "exact McNemar, p =" in text
    assert "Holm" not in text


def test_several_runs_have_a_section_each_and_the_adjusted_p_value():
    html = render(facts_of(("a", "b", "c"), n_runs=3))
    sections = [attrs["id"] for attrs in Reader(html).all("section")]
    assert sections == ["summary", "runs", "against-1", "against-2", "method"]
    assert html.count("(Holm)") == 2


def test_a_picture_shows_what_it_was_and_is_taken_for():
    found = comparison(("cat", "dog"), n=12, n_runs=2, n_wrong=3)
    first = found.differences[0].changed[0]
    facts = ComparisonFacts(comparison=found, thumbnails={first.sha256: thumbnail()})
    html = render(facts)
    pictures = Reader(html).all("img")
    assert [attrs["alt"] for attrs in pictures] == [f"{first.path}, labelled {first.label}"]
    assert f"now {first.after}" in text_of(facts)
    assert "no thumbnail" in html


def test_the_looks_are_shown_where_they_were_counted():
    found = comparison(n_runs=2)
    sides = tuple(dataclasses.replace(side, n_looks=1234) for side in found.sides)
    assert "1,234" in text_of(ComparisonFacts(comparison=dataclasses.replace(found, sides=sides)))
    assert "1,234" not in text_of(ComparisonFacts(comparison=found))


def test_nothing_changed_is_said():
    assert "Both gave the same answer to every picture." in "".join(Reader(BARE).texts)


def test_what_is_not_shown_is_counted():
    found = comparison(n=400, n_runs=2, n_wrong=100)
    (difference,) = found.differences
    n_hidden = difference.n_broken - MAX_CHANGED
    assert n_hidden > 0
    assert f"and {n_hidden} pictures more" in text_of(ComparisonFacts(comparison=found))
    assert len(wanted(found)) == sum(
        min(MAX_CHANGED, len(difference.of(kind))) for kind in ("broken", "fixed", "other")
    )


def test_the_page_stays_small_whatever_comes_in():
    found = comparison(("x" * 5000, "y" * 5000), n=300, n_runs=40, n_wrong=90)
    big = thumbnail(128)
    facts = ComparisonFacts(comparison=found, thumbnails={e.sha256: big for e in wanted(found)})
    html = render(facts)
    assert len(html.encode()) < MAX_PAGE_BYTES
    pictures = sum(len(attrs["src"]) for attrs in Reader(html).all("img"))
    assert 0 < pictures <= BUDGET_BYTES * 1.01


def test_fewer_pictures_are_shown_before_the_page_grows_too_large(monkeypatch):
    facts = facts_of()
    whole = render(facts)
    monkeypatch.setattr(comparison_page, "MAX_PAGE_BYTES", len(whole) - 1)
    assert len(render(facts)) < len(whole)


def test_hundreds_of_runs_are_cut_and_counted(monkeypatch):
    monkeypatch.setattr(comparison_page, "MAX_SHOWN_RUNS", 2)
    html = render(facts_of(("a", "b"), n_runs=6))
    assert "against-2" in html
    assert 'id="against-3"' not in html
    assert "and 3 more" in html


def test_the_same_facts_give_the_same_page():
    assert render(facts_of()) == FULL
