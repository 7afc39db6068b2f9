"""The methods paragraph: right for each way of training, every rate with its interval and n."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.markdown import n_open
from fieldmark.evaluation.methods import WORKS, cited, methods, paragraph
from tests.evaluation import made_up
from tests.evaluation.promises import HOSTILE

GOLDEN = Path(__file__).parents[1] / "golden" / "papers"
RATE = re.compile(r"\d+\.\d %(?! \()")


@pytest.mark.parametrize("way", made_up.WAYS)
def test_the_paragraph_of_a_made_up_run_is_the_golden_one(way: str) -> None:
    golden = (GOLDEN / f"METHODS_{way}.md").read_text(encoding="utf-8")
    assert methods(made_up.facts(way)) == golden


@pytest.mark.parametrize("way", made_up.WAYS)
def test_it_has_the_length_of_a_paragraph(way: str) -> None:
    words = [word for word in paragraph(made_up.facts(way)).split() if re.search("[a-zA-Z]", word)]
    assert 120 <= len(words) <= 200
    assert "\n" not in paragraph(made_up.facts(way))


@pytest.mark.parametrize("way", made_up.WAYS)
def test_every_rate_has_its_interval_and_its_n(way: str) -> None:
    text = paragraph(made_up.facts(way))
    assert RATE.search(text) is None
    assert len(re.findall(r"\d \(?\S* ?\(?[\d.]+-[\d.]+, n = [\d,]+\)", text)) >= 5


@pytest.mark.parametrize(
    ("way", "said", "not_said"),
    [
        ("solved", ["solved by L2-penalised logistic", "5-fold", "Tan and Le"], ["epoch", "AdamW"]),
        ("undone", ["Fine-tuning was tried and undone"], ["AdamW", "trained by"]),
        ("fine-tuned", ["The last blocks were then trained", "50 % of that", "AdamW"], ["undone"]),
        ("scratch", ["random at first", "25 epochs", "decay 0.998"], ["ImageNet", "solved", "Guo"]),
        ("article", ["the tutorial's recipe, Adam (Kingma", "shear, zoom, flips"], ["averaged e"]),
        ("foreign", ["the pretrained network onnx:a-net.onnx"], ["ImageNet", "Tan and Le"]),
    ],
)
def test_each_way_of_training_is_told_as_it_was(
    way: str, said: list[str], not_said: list[str]
) -> None:
    text = paragraph(made_up.facts(way))
    assert [words for words in said if words not in text] == []
    assert [words for words in not_said if words in text] == []


@pytest.mark.parametrize("way", made_up.WAYS)
def test_what_is_cited_is_listed_and_nothing_else(way: str) -> None:
    text = methods(made_up.facts(way))
    body, _, references = text.partition("## References")
    for mark, work in WORKS.items():
        assert (mark in body) == (work in references), mark
    # Every name with a year in the paragraph is a work that is known.
    marks = re.findall(r"[A-Z][\w-]+(?: and [A-Z][\w-]+| et al\.)?, \d{4}", body)
    assert set(marks) <= set(WORKS)
    assert len(marks) >= 4


def test_a_text_that_cites_nothing_has_no_references() -> None:
    assert cited("no work at all") == ()


def test_all_layers_are_told_apart_from_the_last_blocks() -> None:
    training = made_up.training("fine-tuned", tuning=(made_up.step("all", True),))
    assert "All layers were then trained" in paragraph(made_up.facts(training=training))


def test_a_constant_rate_is_not_one_that_is_reached() -> None:
    assert "constant rate of 0.001" in paragraph(made_up.facts("article"))
    assert "one-cycle rate up to 0.004" in paragraph(made_up.facts("scratch"))


def test_a_head_that_nothing_could_be_compared_for_has_no_rate() -> None:
    head = dataclasses.replace(made_up.SOLVED, accuracy=None)
    text = paragraph(made_up.facts(training=made_up.training(head=head)))
    assert "cross-validation" not in text


def test_ridge_and_groups_left_out_one_at_a_time_are_named() -> None:
    head = dataclasses.replace(made_up.SOLVED, method="ridge", n_folds=0)
    text = paragraph(made_up.facts(training=made_up.training(head=head)))
    assert "solved by ridge regression; leave-one-group-out cross-validation" in text


def test_intervals_that_count_groups_say_so() -> None:
    report = made_up.report()
    grouped = dataclasses.replace(report.accuracy, n_groups=42)
    facts = made_up.facts(report=dataclasses.replace(report, accuracy=grouped))
    assert ", counting 42 groups." in paragraph(facts)


def test_parts_that_copies_lie_across_are_not_called_apart() -> None:
    text = "3 sets lie in two parts."
    facts = made_up.facts(data=made_up.data(notes=(text,), divided=(text,)))
    assert "kept in one part" not in paragraph(facts)


def test_a_file_that_decides_nothing_promises_nothing() -> None:
    report = dataclasses.replace(made_up.report(), doubt=None)
    text = paragraph(made_up.facts(report=report))
    assert "accepted" not in text
    assert "Geifman" not in text


def test_nothing_accepted_has_no_error() -> None:
    report = made_up.report()
    assert report.doubt is not None
    doubt = dataclasses.replace(report.doubt, error=None)
    text = paragraph(made_up.facts(report=dataclasses.replace(report, doubt=doubt)))
    assert "of the answers were accepted." in text


def test_what_is_not_known_is_left_out() -> None:
    facts = made_up.facts(seconds=None, versions={}, data=made_up.data(unused=()))
    text = paragraph(facts)
    assert "Training ran on" in text
    assert "left out" not in text
    assert "None" not in text


def test_only_packages_that_compute_are_named() -> None:
    versions = {"python": "3.12", "fieldmark": "0.1", "a-pytorch-model": "12.34", "keras": "3.9"}
    text = paragraph(made_up.facts(versions=versions))
    assert "python 3.12, keras 3.9)" in text
    assert "12.34" not in text


@given(st.sampled_from(HOSTILE) | st.text(st.characters(), max_size=20))
def test_no_name_changes_the_shape_of_the_paragraph(name: str) -> None:
    facts = made_up.facts(
        "foreign",
        data=made_up.data(name=name),
        training=made_up.training("foreign", backbone=name),
        machine=name,
    )
    text = methods(facts)
    text.encode("utf-8")
    assert len(paragraph(facts).splitlines()) == 1
    assert re.findall(r"^#+ .*$", text, re.MULTILINE) == ["# Methods, to paste", "## References"]
    assert n_open(text) == 1
