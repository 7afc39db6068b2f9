"""Decisions and calibration in a report: counted right, read back as they were."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from fieldmark.errors import DataError
from fieldmark.evaluation.calibration import softmax
from fieldmark.evaluation.doubt import Doubt, measure_doubt
from fieldmark.evaluation.page import ReportFacts, render
from fieldmark.evaluation.report import Report, measure
from fieldmark.evaluation.resampling import Resampling

SCORES = np.array([[0.9, 0.1]] * 6 + [[0.4, 0.6]] * 4)
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 0])
DECISIONS = ("accept",) * 6 + ("unsure",) * 3 + ("unknown",)


def doubted(decisions=DECISIONS, **changes) -> Doubt:
    given = {"temperature": 1.0, "promise": "At most <b>5 %</b>.", "seed": 0} | changes
    found = measure_doubt(SCORES, LABELS, decisions, **given)
    assert found is not None
    return found


def report(doubt: Doubt | None) -> Report:
    found = measure(SCORES, LABELS, ("cat", "dog"), baseline_class="cat", conditions={}, seed=0)
    return dataclasses.replace(found, doubt=doubt)


def test_shares_are_counted_with_their_intervals():
    found = doubted()
    assert (found.coverage.value, found.coverage.n) == (0.6, 10)
    assert found.error is not None
    assert (found.error.value, found.error.n) == (pytest.approx(1 / 6), 6)
    assert found.error.low < 1 / 6 < found.error.high
    assert found.unknown.value == 0.1


def test_without_accepted_answers_their_error_is_not_estimable():
    found = doubted(("unsure",) * 10)
    assert (found.coverage.value, found.error) == (0.0, None)
    assert not any("wrong" in line for line in found.lines())
    assert "not estimable: nothing was accepted" in render(
        ReportFacts(name="birds-1", report=report(found))
    )


def test_an_older_model_gives_no_doubt():
    old = (*DECISIONS[:-1], None)
    assert measure_doubt(SCORES, LABELS, old, temperature=1.0, promise="", seed=0) is None


def test_where_pictures_come_in_groups_every_interval_counts_groups():
    groups = np.repeat(np.arange(5), 2)
    alone, together = doubted(), doubted(seed=Resampling(0, groups))
    for name in ("coverage", "error", "unknown"):
        one, other = getattr(alone, name), getattr(together, name)
        assert (one.value, one.n_groups) == (other.value, None)
        assert other.n_groups == (3 if name == "error" else 5)
    assert together.coverage.high - together.coverage.low > 0.6 * (
        alone.coverage.high - alone.coverage.low
    )
    assert Doubt.from_dict(json.loads(json.dumps(dataclasses.asdict(together)))) == together


def test_before_is_what_the_network_said():
    draw = np.random.default_rng(0)
    logits = 4 * draw.standard_normal((200, 3))
    labels = logits.argmax(axis=1)
    given = ("accept",) * 200
    found = measure_doubt(softmax(logits, 2.5), labels, given, temperature=2.5, promise="", seed=0)
    raw = measure_doubt(softmax(logits), labels, given, temperature=1.0, promise="", seed=0)
    assert found is not None
    assert raw is not None
    assert found.before.ece == pytest.approx(raw.after.ece, abs=1e-9)
    assert found.before.ece != pytest.approx(found.after.ece)


def test_json_brings_it_back():
    whole = report(doubted())
    assert Report.from_dict(json.loads(whole.to_json())) == whole
    assert Report.from_dict(json.loads(report(None).to_json())).doubt is None


def test_a_report_from_before_decisions_is_read():
    old = report(None).to_dict()
    del old["doubt"]
    assert Report.from_dict(old) == report(None)


@pytest.mark.parametrize("key", ["coverage", "unknown", "before", "after", "promise", "error"])
def test_a_doubt_with_a_field_missing_is_refused(key):
    told = report(doubted()).to_dict()
    del told["doubt"][key]
    with pytest.raises(DataError, match="missing or misshapen"):
        Report.from_dict(told)


def test_a_number_that_is_none_is_refused():
    told = report(doubted()).to_dict()
    told["doubt"]["after"]["ece"] = float("nan")
    with pytest.raises(DataError, match="misshapen"):
        Report.from_dict(told)


def test_people_see_it_on_the_screen_and_on_the_page():
    whole = report(doubted())
    text = "\n".join(whole.lines(80))
    assert "accepted      60.0 %" in text
    assert "wrong of them 16.7 %" in text
    page = render(ReportFacts(name="birds-1", report=whole))
    assert "At most &lt;b&gt;5 %&lt;/b&gt;." in page
    assert "Which answers are accepted" in page
    assert "Are the scores what they say?" in page
    assert "Which answers" not in render(ReportFacts(name="birds-1", report=report(None)))


@pytest.mark.parametrize("width", [20, 60, 80])
def test_no_line_is_wider_than_the_screen(width):
    assert all(len(line) <= width for line in report(doubted()).lines(width))


def test_the_calibration_stands_on_one_line_where_it_fits_and_on_two_uncut():
    found = doubted()
    (wide,) = [line for line in found.lines() if "ECE" in line]
    assert len(wide) == 64
    assert found.lines(64) == found.lines()
    narrow = found.lines(60)
    assert max(map(len, narrow)) <= 60
    assert len(narrow) == len(found.lines()) + 1
    at = next(at for at, line in enumerate(narrow) if "ECE" in line)
    assert f"{narrow[at]} {narrow[at + 1].strip()}" == wide
