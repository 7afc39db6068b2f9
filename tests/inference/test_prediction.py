"""What is answered, in Python and as JSON."""

from __future__ import annotations

import dataclasses
import json

import pytest

from fieldmark.inference.prediction import LabelScore, Prediction, Unread

TULIP = Prediction(
    file="new/a.jpg",
    sha256="9f" * 32,
    scores=(
        LabelScore("tulip", 0.9312345678),
        LabelScore("rose", 0.048),
        LabelScore("daisy", 0.012),
    ),
    model_name="flowers-1",
    model_id="sha256:" + "41" * 32,
    ms=4.2345,
)


def test_the_json_is_the_published_schema_in_its_order():
    expected = {
        "schema": "fieldmark.prediction/1",
        "file": "new/a.jpg",
        "sha256": "9f" * 32,
        "label": "tulip",
        "score": 0.931235,
        "decision": None,
        "reason": "",
        "predictions": [
            {"label": "tulip", "score": 0.931235},
            {"label": "rose", "score": 0.048},
            {"label": "daisy", "score": 0.012},
        ],
        "ood": None,
        "model": {"name": "flowers-1", "id": "sha256:" + "41" * 32},
        "ms": 4.2,
    }
    assert json.dumps(TULIP.to_dict()) == json.dumps(expected)


@pytest.mark.parametrize(("top", "n"), [(None, 3), (1, 1), (2, 2), (99, 3), (0, 0)])
def test_top_shortens_the_list_and_nothing_else(top, n):
    short = TULIP.to_dict(top=top)
    assert short["predictions"] == TULIP.to_dict()["predictions"][:n]
    assert (short["label"], short["score"]) == ("tulip", 0.931235)


def test_the_label_is_that_of_the_highest_score():
    assert (TULIP.label, TULIP.score) == ("tulip", 0.9312345678)


def test_the_time_it_took_does_not_make_two_answers_differ():
    assert dataclasses.replace(TULIP, ms=99.0) == TULIP
    assert dataclasses.replace(TULIP, file="new/b.jpg") != TULIP


def test_an_unread_file_is_told_from_an_answer_by_its_error():
    unread = Unread("new/c.jpg", "truncated", "file ends too early")
    assert unread.to_dict() == {
        "schema": "fieldmark.prediction/1",
        "file": "new/c.jpg",
        "error": {"code": "truncated", "reason": "file ends too early"},
    }
    assert "error" not in TULIP.to_dict()


@pytest.mark.parametrize("name", ["a\nb.jpg", "\x1b[31m.jpg", '"><script>', "\udcff.jpg", "ü.jpg"])
def test_any_file_name_survives_json(name):
    for answer in (dataclasses.replace(TULIP, file=name), Unread(name, "damaged", "damaged")):
        assert json.loads(json.dumps(answer.to_dict()))["file"] == name


def test_answers_cannot_be_changed():
    with pytest.raises(AttributeError, match="file"):
        TULIP.file = "other"
