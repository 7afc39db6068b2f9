"""Rules beside a result are measured on the same pictures, and a model is told if it needs them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation import measures
from fieldmark.evaluation.baselines import (
    COLOURS,
    MOST_FREQUENT,
    NEAREST,
    Baseline,
    baseline,
    beats_chance,
)
from fieldmark.evaluation.cautions import cautions
from fieldmark.evaluation.comparison_lines import points
from fieldmark.evaluation.intervals import wilson
from fieldmark.evaluation.measures import share_of
from fieldmark.evaluation.paired import accuracy_difference
from fieldmark.evaluation.report import Report, measure
from fieldmark.evaluation.resampling import Resampling
from fieldmark.evaluation.wording import columns

N = 200
EVERY = np.arange(N)


def rule(name: str, n_right: int, *, model: int = 180, n: int = N) -> Baseline:
    """A rule that is right on the first pictures; so is the model, on other numbers of them."""
    every = np.arange(n)
    return baseline(name, "One sentence.", every < model, every < n_right, None, 0)


def report_with(*rules: Baseline, model: int = 180) -> Report:
    """Two equal classes, ``model`` of 200 pictures right, half of them by always saying cat."""
    truth = EVERY % 2
    answers = np.where(model > EVERY, truth, 1 - truth)
    found = measure(
        np.eye(2)[answers], truth, ("cat", "dog"), baseline_class="cat", conditions={}, seed=0
    )
    return dataclasses.replace(found, baselines=rules)


def lead(found: Report) -> str:
    """How far the model is ahead of the first rule, as it is shown."""
    ahead = found.baselines[0].ahead
    assert ahead is not None
    return points(ahead)


# --- one rule


def test_a_rule_has_wilsons_interval_and_the_paired_difference() -> None:
    model, other = EVERY < 180, EVERY % 3 > 0
    found = baseline("colours", "By colours.", model, other, None, 0)
    n_right = int(other.sum())
    assert found.accuracy.value == n_right / N
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(wilson(n_right, N))
    assert found.ahead == accuracy_difference(other, model, None, level=0.95, seed=0)
    assert (found.accuracy.n, found.what) == (N, "By colours.")


def test_groups_widen_both_intervals() -> None:
    model, other, groups = EVERY // 20 < 8, EVERY // 20 % 2 > 0, EVERY // 10
    alone = baseline("colours", "", model, other, None, 0)
    together = baseline("colours", "", model, other, groups, 0)
    assert together.accuracy.n_groups == 20
    assert alone.ahead is not None
    assert together.ahead is not None
    for one, more in ((alone.accuracy, together.accuracy), (alone.ahead, together.ahead)):
        assert more.value == one.value
        assert more.high - more.low > 1.5 * (one.high - one.low)


def test_groups_of_one_are_no_groups() -> None:
    model, other = EVERY < 180, EVERY % 3 > 0
    assert baseline("x", "", model, other, EVERY, 0) == baseline("x", "", model, other, None, 0)


def test_its_accuracy_is_that_of_a_model_with_the_same_answers() -> None:
    truth, groups = EVERY % 2, EVERY // 3
    answers = np.where(EVERY < 130, truth, 1 - truth)
    sample = measures.Sample.of(np.eye(2)[answers], truth, Resampling(0, groups))
    found = baseline("x", "", EVERY < 180, answers == truth, groups, 0)
    assert found.accuracy == measures.share("accuracy", sample, sample.right)


@pytest.mark.parametrize(("n", "n_rule", "n_groups"), [(0, 0, 0), (3, 2, 3), (3, 3, 2)])
def test_answers_that_do_not_fit_together_are_refused(n: int, n_rule: int, n_groups: int) -> None:
    with pytest.raises(UsageError, match="cannot be compared") as caught:
        baseline("x", "", np.ones(n, bool), np.ones(n_rule, bool), np.arange(n_groups), 0)
    assert caught.value.code == "bad-scores"


def test_only_the_three_rules_are_simple() -> None:
    names = (MOST_FREQUENT, COLOURS, NEAREST, "flowers-1")
    assert [rule(name, 100).simple for name in names] == [True, True, True, False]


# --- the verdict


def test_a_model_no_better_than_colours_is_told_so() -> None:
    found = report_with(rule(COLOURS, 180), rule(NEAREST, 120))
    assert found.verdict == (
        'Clearly better than always answering "cat" (50.0 %), but not better than colours '
        "alone (90.0 %)."
    )
    assert found.matched
    assert cautions(found, {}, {})[0] == found.verdict


def test_a_lead_that_may_be_chance_is_called_that() -> None:
    found = report_with(rule(NEAREST, 179))
    assert found.verdict.endswith(
        "; better than the nearest picture (89.5 %) too, but perhaps by chance."
    )
    assert not found.matched
    assert cautions(found, {}, {}) == ()


def test_the_best_rule_is_the_one_that_is_named() -> None:
    found = report_with(rule(MOST_FREQUENT, 100), rule(COLOURS, 110), rule(NEAREST, 140))
    assert found.verdict == (
        'Clearly better than always answering "cat" (50.0 %) and than the nearest picture (70.0 %).'
    )
    assert not found.matched
    assert cautions(found, {}, {}) == ()


def test_an_earlier_run_is_no_simple_rule() -> None:
    plain = report_with(rule(COLOURS, 110))
    with_run = report_with(rule(COLOURS, 110), rule("pets-1", 200))
    assert with_run.verdict == plain.verdict
    assert not with_run.matched
    assert with_run.alone == plain


def test_one_that_does_not_beat_the_commonest_class_is_told_that_first() -> None:
    found = report_with(rule(COLOURS, 199), model=100)
    assert found.verdict == (
        'Not better than always answering "cat" (50.0 %), nor than colours alone (99.5 %).'
    )
    assert found.matched


def test_one_that_beats_nothing_surely_is_told_of_the_rule_that_does() -> None:
    found = report_with(rule(COLOURS, 190, model=110), model=110)
    assert found.verdict == (
        'Better than always answering "cat" (50.0 %) on these pictures, but perhaps by '
        "chance; not better than colours alone (95.0 %)."
    )


def test_the_commonest_class_is_beaten_picture_by_picture_where_that_is_known() -> None:
    always, model = np.arange(40) < 20, np.arange(40) < 28
    lead = baseline(MOST_FREQUENT, "", model, always, None, 0)
    accuracy, chance = share_of("accuracy", model, None), share_of("baseline", always, None)
    assert accuracy.low <= chance.high
    assert not beats_chance(accuracy, chance)
    assert beats_chance(accuracy, chance, [lead])
    assert not beats_chance(accuracy, chance, [baseline(MOST_FREQUENT, "", always, model, None, 0)])


def test_a_rule_that_is_beaten_is_no_excuse() -> None:
    found = report_with(rule(COLOURS, 90, model=100), model=100)
    assert found.verdict == 'Not better than always answering "cat" (50.0 %).'


def test_a_rule_whose_lead_was_not_measured_is_not_called_beaten() -> None:
    unknown = dataclasses.replace(rule(COLOURS, 110), ahead=None)
    found = report_with(unknown)
    assert not found.matched
    assert "colours" not in found.verdict


def test_without_rules_the_verdict_is_the_old_one() -> None:
    assert report_with().verdict == 'Clearly better than always answering "cat" (50.0 %).'


# --- kept and read again


def test_a_report_with_baselines_reads_back_as_itself() -> None:
    missing = dataclasses.replace(rule("pets-1", 100), ahead=None)
    found = report_with(rule(COLOURS, 110), missing)
    assert Report.from_dict(json.loads(found.to_json())) == found


def test_a_report_of_an_older_version_has_none() -> None:
    fields = report_with(rule(COLOURS, 110)).to_dict()
    del fields["baselines"]
    assert Report.from_dict(fields) == report_with()


@pytest.mark.parametrize(
    "broken", [[{}], [{"name": "x"}], ["x"], 7, [{"name": "x", "what": "", "accuracy": None}]]
)
def test_misshapen_baselines_are_refused(broken: object) -> None:
    fields = report_with().to_dict() | {"baselines": broken}
    with pytest.raises(DataError, match="missing or misshapen") as caught:
        Report.from_dict(fields)
    assert caught.value.code == "report-unknown"


# --- in lines


def test_eighty_columns_hold_a_row_each() -> None:
    found = report_with(rule(MOST_FREQUENT, 100), rule(COLOURS, 110), rule("pets-1", 180))
    lines = found.lines(80)
    at = lines.index("  beside it            accuracy      (95 %)   the model is ahead by")
    ahead = lead(dataclasses.replace(found, baselines=found.baselines[1:]))
    assert lines[at + 2] == f"  colours                55.0 %   48.1-61.7   {ahead}"
    assert lines[at + 3].startswith("  pets-1                 90.0 %   85.1-93.4   0.0 points (")
    assert lines[at + 4] == ""
    assert "  " + found.verdict[:60] in " ".join(lines)


def test_on_a_narrow_screen_the_difference_has_its_own_line() -> None:
    found = report_with(rule(COLOURS, 110))
    lines = found.lines(60)
    at = next(place for place, line in enumerate(lines) if line.startswith("  colours"))
    assert lines[at + 1] == f"    the model is ahead by {lead(found)}"


def test_where_the_pictures_are_fewer_it_is_said() -> None:
    found = report_with(rule("pets-1", 100, n=150))
    assert "    on the 150 pictures of 200 that it was asked about too" in found.lines(80)


def test_a_lead_that_was_not_measured_is_left_empty() -> None:
    found = report_with(dataclasses.replace(rule("pets-1", 180), ahead=None))
    assert "  pets-1    90.0 %   85.1-93.4" in found.lines(80)


@given(st.integers(1, 160), st.text(min_size=1, max_size=90))
@settings(max_examples=60)
def test_no_line_is_wider_than_the_screen_whatever_the_name(width: int, name: str) -> None:
    found = report_with(rule(COLOURS, 110), rule(f"{name}-1", 100, n=150))
    for line in found.lines(width):
        assert columns(line) <= width
        assert "\n" not in line
        assert "\x1b" not in line


def test_a_long_name_does_not_push_the_numbers_out() -> None:
    found = report_with(rule("a" * 90 + "-1", 180))
    (row,) = [line for line in found.lines(80) if line.startswith("  aaa")]
    assert row.endswith(lead(found))
