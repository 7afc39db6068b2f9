"""The model card: what was measured with its doubt, what is open, and nothing made up."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation.markdown import n_open, plain
from fieldmark.evaluation.model_card import model_card
from tests.evaluation import made_up
from tests.evaluation.promises import HOSTILE

GOLDEN = Path(__file__).parents[1] / "golden" / "papers" / "MODEL_CARD.md"
SECTIONS = [
    "Intended use, and what is out of scope",
    "Factors",
    "Results on the test part, read once",
    "Decisions and calibration",
    "Classes",
    "Training and evaluation data",
    "Limitations",
    "Network",
    "Where the weights began",
    "How to use it",
    "How to repeat it",
]


def head_and_body(card: str) -> tuple[list[str], str]:
    dashes, head, body = card.split("---\n", 2)
    assert dashes == ""
    return head.splitlines(), body


def headings(card: str) -> list[str]:
    return re.findall(r"^## (.*)$", outside_code(head_and_body(card)[1]), re.MULTILINE)


def outside_code(text: str) -> str:
    return re.sub(r"^(`{3,})\w*\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_the_card_of_a_made_up_run_is_the_golden_one() -> None:
    assert model_card(made_up.facts()) == GOLDEN.read_text(encoding="utf-8")


def test_the_same_facts_give_the_same_card() -> None:
    assert model_card(made_up.facts()) == model_card(made_up.facts())


def test_every_section_is_there_in_order() -> None:
    assert headings(model_card(made_up.facts())) == SECTIONS


@pytest.mark.parametrize("way", made_up.WAYS)
def test_every_way_of_training_has_its_card(way: str) -> None:
    card = model_card(made_up.facts(way))
    began = "Where the weights began" in headings(card)
    assert began == (made_up.training(way).start is not None)
    built = {
        "scratch": "All weights were trained from random ones",
        "solved": "stayed as it is",
        "fine-tuned": "were trained on too",
    }[made_up.training(way).way]
    assert built in card


def test_a_repeated_run_has_the_same_card() -> None:
    """It goes into the model file, whose bytes a repetition gives again."""
    other = made_up.facts(seconds=1e6, created="another day", command="fieldmark train /home/me/x")
    assert model_card(other) == model_card(made_up.facts())


# --- the metadata


def test_the_metadata_names_the_task_and_no_licence_of_the_model() -> None:
    lines, _ = head_and_body(model_card(made_up.facts()))
    assert 'library_name: "fieldmark"' in lines
    assert 'pipeline_tag: "image-classification"' in lines
    assert not [line for line in lines if line.startswith(("license:", "base_model", "datasets"))]
    comments = [line for line in lines if line.startswith("#")]
    assert "for you to choose" in comments[0]
    assert "Apache-2.0" in comments[1]


def test_without_start_weights_no_licence_is_named() -> None:
    lines, _ = head_and_body(model_card(made_up.facts("scratch")))
    assert not any("Apache" in line or "start_weights" in line for line in lines)


def test_the_model_index_has_value_and_interval() -> None:
    lines, _ = head_and_body(model_card(made_up.facts()))
    at = lines.index('    - type: "accuracy"')
    wanted = ["value: 0.9", 'name: "accuracy"', "args:", "  low: 0.842", "  high: 0.938"]
    wanted += ["  level: 0.95", "  n: 150", '  interval: "Wilson"']
    assert [line.removeprefix("      ") for line in lines[at + 1 : at + 9]] == wanted
    assert '      split: "test"' in lines


def test_groups_are_in_the_model_index_too() -> None:
    report = made_up.report()
    grouped = dataclasses.replace(report.accuracy, n_groups=42)
    facts = made_up.facts(report=dataclasses.replace(report, accuracy=grouped))
    assert "        n_groups: 42" in head_and_body(model_card(facts))[0]
    assert "| 150 in 42 groups |" in model_card(facts)


def test_a_measure_that_is_missing_is_not_in_the_metadata() -> None:
    report = dataclasses.replace(made_up.report(), auc=None, brier=None, balanced_accuracy=None)
    card = model_card(made_up.facts(report=report))
    assert "roc_auc" not in card
    assert "Brier" not in card
    assert "None" not in card


def test_a_yaml_reader_finds_the_model_index() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    for name in HOSTILE:
        data = made_up.data(name=name)
        lines, _ = head_and_body(model_card(made_up.facts(data=data)))
        (index,) = yaml.safe_load("\n".join(lines))["model-index"]
        (result,) = index["results"]
        assert index["name"] == "flowers-1"
        assert result["task"]["type"] == "image-classification"
        assert {"type", "name", "split"} == set(result["dataset"])
        assert all({"type", "value", "name"} < set(each) for each in result["metrics"])


# --- the numbers


def test_every_measure_stands_with_interval_and_n() -> None:
    rows = re.findall(r"^\| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$",
                      model_card(made_up.facts()), re.MULTILINE)  # fmt: skip
    found = {row[0]: row[1:] for row in rows}
    assert found["accuracy"] == ("90.0 %", "84.2 to 93.8", "150", "Wilson")
    assert found["macro F1"] == ("0.900", "0.850 to 0.950", "150", "BCa bootstrap")
    assert found["always answering daisy"][0] == "53.3 %"
    measured = [row for name, row in found.items() if name != "measure"]
    assert len(measured) == 7
    assert all(re.fullmatch(r"[\d.]+ to [\d.]+", row[1]) and row[2] == "150" for row in measured)


def test_a_class_without_test_pictures_is_not_estimable() -> None:
    card = model_card(made_up.facts())
    assert "| tulip | not estimable | 0 |  |" in card
    assert "| rose | 85.7 % (75.7 to 92.1) | 70 | never named |" in card


def test_mix_ups_come_with_the_most_frequent_first() -> None:
    card = model_card(made_up.facts())
    assert card.index("| rose | daisy | 10 | 70 |") < card.index("| daisy | rose | 5 | 80 |")


def test_without_a_mistake_there_are_no_mix_ups() -> None:
    report = dataclasses.replace(made_up.report(), confusion=((80, 0, 0), (0, 70, 0), (0, 0, 0)))
    assert "mix-ups" not in model_card(made_up.facts(report=report))


def test_the_promise_is_said_once_and_how_it_went() -> None:
    card = model_card(made_up.facts())
    assert card.count(made_up.PROMISE) == 1
    assert "| wrong among them | 2.5 % | 0.9 to 7.1 | 120 |" in card
    assert "calibration error of the scores: 0.030 (95 % interval 0.015 to 0.060, n = 150)" in card


def test_a_file_that_decides_nothing_has_no_such_section() -> None:
    report = dataclasses.replace(made_up.report(), doubt=None)
    assert "Decisions and calibration" not in headings(model_card(made_up.facts(report=report)))


def test_nothing_accepted_leaves_its_row_out() -> None:
    report = made_up.report()
    assert report.doubt is not None
    doubt = dataclasses.replace(report.doubt, error=None)
    card = model_card(made_up.facts(report=dataclasses.replace(report, doubt=doubt)))
    assert "wrong among them" not in card
    assert "answers accepted" in card


@dataclasses.dataclass(frozen=True)
class Richer:
    """A report with what simple rules reach and with slices, whatever else it has."""

    report: Any
    baselines: Any = ()
    slices: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.report, name)


def test_simple_rules_stand_beside_the_result() -> None:
    report: Any = Richer(made_up.report(), made_up.baselines())
    card = model_card(made_up.facts(report=report))
    assert "| 150 | +30.0 points (+21.0 to +38.0) |" in card
    assert "| flowers-0 | An earlier model. |" in card
    assert "| other pictures |" in card
    assert "colours \\| nothing else." in card


def test_pictures_on_which_it_is_worse_are_factors() -> None:
    report: Any = Richer(made_up.report(), slices=made_up.slices())
    card = model_card(made_up.facts(report=report))
    wanted = "| brightness: darkest quarter (below 61 of 255) | 73.7 % | 58.0 to 85.0 | 38 |"
    assert wanted in card
    assert "By 2 facts of the pictures" in card


# --- what a person has to know


def test_limits_that_the_run_found_are_listed() -> None:
    card = model_card(made_up.facts())
    assert "- Not estimable, because there are no test pictures of it: tulip." in card
    assert "- Unequal classes: 400 pictures of daisy" in card


def test_pictures_in_two_parts_are_a_limit() -> None:
    text = "3 groups or sets of copies lie in two parts."
    card = model_card(made_up.facts(data=made_up.data(notes=(text,), divided=(text,))))
    assert f"- {text}" in card
    assert "belong together are not all in one part" in card


def test_other_notes_do_not_travel_with_the_model() -> None:
    data = made_up.data(notes=("The fix list keeps a/secret-name.jpg.",))
    assert "secret-name" not in model_card(made_up.facts(data=data))


def test_questions_for_a_person_can_be_counted() -> None:
    assert n_open(model_card(made_up.facts())) == 6


def test_a_backbone_from_elsewhere_says_where_it_is_from() -> None:
    card = model_card(made_up.facts("foreign"))
    assert "- Backbone onnx:a-net.onnx, output 'pooled', used as it is." in card


def test_the_snippets_use_real_names() -> None:
    import fieldmark
    from fieldmark.cli import VERBS
    from fieldmark.inference.prediction import Prediction

    card = model_card(made_up.facts())
    verbs = re.findall(r"^fieldmark (\w+)", card, re.MULTILINE)
    assert verbs == ["predict", "evaluate", "train"]
    assert set(verbs) <= set(VERBS)
    assert re.findall(r"\bfm\.(\w+)", card) == ["open"]
    assert "open" in fieldmark.__all__
    asked = set(re.findall(r"\banswer\.(\w+)", card))
    assert asked == {"label", "score", "decision"}
    assert asked <= set(dir(Prediction))


def test_a_name_with_a_blank_can_be_typed() -> None:
    card = model_card(made_up.facts(name="my flowers-1"))
    assert "fieldmark predict 'my flowers-1.fieldmark' new/*.jpg" in card
    assert f"fm.open({json.dumps('my flowers-1.fieldmark')})" in card


def test_many_classes_are_not_all_named_at_the_top() -> None:
    names = tuple(f"class {n:03}" for n in range(50))
    report = dataclasses.replace(made_up.report(), classes=names)
    first = head_and_body(model_card(made_up.facts(report=report)))[1]
    assert "class 019 and 30 more." in first
    assert "tells 50 classes apart" in first


# --- names from outside

NAMES = st.sampled_from(HOSTILE) | st.text(st.characters(), min_size=1, max_size=20)
MARKUP = st.text(st.sampled_from("`|\\<>[]()*_~#!&$-+.\n\r :/@wW1a"), min_size=1, max_size=20)


@given(st.lists(NAMES | MARKUP, min_size=3, max_size=3, unique=True), NAMES | MARKUP)
def test_no_name_changes_the_shape_of_a_card(classes: list[str], name: str) -> None:
    one, two, three = classes
    facts = made_up.facts(
        report=made_up.report((one, two, three)),
        data=made_up.data((one, two, three), name=name),
        training=made_up.training(origin=(f"Backbone {name}.",), network=f"INPUT {name}"),
        machine=name,
    )
    card = model_card(facts)
    card.encode("utf-8")
    body = head_and_body(card)[1]
    assert headings(card) == SECTIONS
    assert n_open(card) == 6
    assert "<" not in re.sub(r"\\<|`[^`\n]*`", "", outside_code(body).replace("``", "`"))
    usual = outside_code(head_and_body(model_card(made_up.facts()))[1])
    rows = [line for line in outside_code(body).splitlines() if line.startswith("|")]
    assert len(rows) == len([line for line in usual.splitlines() if line.startswith("|")])
    assert plain(one) in body
