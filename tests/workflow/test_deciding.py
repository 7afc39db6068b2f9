"""From answers on the validation part to the rules of a model file."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fieldmark.bundle.deciding import check_deciding, thresholds
from fieldmark.config import DecideSettings, Settings
from fieldmark.errors import ConfigError
from fieldmark.evaluation.decision import margins
from fieldmark.evaluation.unknown import Familiar, distances
from fieldmark.workflow.deciding import Evidence, decided
from tests.workflow.conftest import Finished


def evidence(n: int = 400, seed: int = 0) -> Evidence:
    draw = np.random.default_rng(seed)
    centres = 3 * draw.standard_normal((3, 20))
    known_labels, labels = draw.integers(0, 3, 300), draw.integers(0, 3, n)
    known = centres[known_labels] + draw.standard_normal((300, 20))
    features = centres[labels] + draw.standard_normal((n, 20))
    logits = 4 * np.eye(3)[labels] + 1.5 * draw.standard_normal((n, 3))
    return Evidence(
        known=known.astype(np.float32),
        known_labels=known_labels,
        features=features.astype(np.float32),
        logits=logits.astype(np.float32),
        labels=labels,
        units=np.arange(n),
        untouched=True,
    )


def in_groups(seed: int, n_groups: int = 40, size: int = 10) -> tuple[Evidence, float]:
    """Return groups that are right or wrong as one, a tenth of them wrong, all of them sure.

    And what the share of wrong answers is among pictures of new groups.
    """
    draw = np.random.default_rng(seed)
    wrong = np.repeat(draw.random(n_groups) < 0.1, size)
    labels = draw.integers(0, 3, n_groups * size)
    said = np.where(wrong, (labels + 1) % 3, labels)
    given = dataclasses.replace(
        evidence(n_groups * size, seed),
        logits=(5 * np.eye(3)[said] + 0.1 * draw.random((len(said), 3))).astype(np.float32),
        labels=labels,
        units=np.repeat(np.arange(n_groups), size),
    )
    return given, 0.1


def test_the_rules_are_what_a_model_file_may_hold():
    rules = decided(evidence(), DecideSettings(), seed=0)
    check_deciding(rules.decision, rules.arrays, 3)
    found = thresholds(rules.decision)
    assert (found.error, found.confidence, found.share) == (0.05, 0.95, 0.02)
    assert found.temperature == rules.temperature
    assert found.text == rules.promise
    assert found.set_margin is not None


def test_the_counts_are_of_validation_pictures_that_are_not_unknown():
    given = evidence()
    rules = decided(given, DecideSettings(), seed=0)
    apart = distances(Familiar(**rules.arrays), given.features)
    near = apart < rules.decision["unknown"]["distance"]
    assert (~near).sum() == 8  # 2 % of 400 and one
    accept = rules.decision["accept"]
    assert accept["n"] == near.sum()
    assert accept["n_accepted"] == (near & (margins(given.logits) >= accept["margin"])).sum()


def test_strangers_are_unknown():
    given = evidence()
    rules = decided(given, DecideSettings(), seed=0)
    odd = np.random.default_rng(5).standard_normal((100, 20)).astype(np.float32)
    apart = distances(Familiar(**rules.arrays), odd)
    assert (apart >= rules.decision["unknown"]["distance"]).mean() > 0.9


def test_what_was_used_while_training_promises_less():
    used = dataclasses.replace(evidence(), untouched=False)
    rules = decided(used, DecideSettings(), seed=0)
    assert rules.decision["accept"]["exact"] is False
    assert "not exact" in rules.promise


def test_of_pictures_that_belong_together_one_counts():
    given, _ = in_groups(0)
    rules = decided(given, DecideSettings(unknown=0.0), seed=0)
    assert rules.decision["accept"]["n"] == 40
    assert "one picture of each group counted, for groups like these" in rules.promise or (
        "59 validation groups are needed, there are 40" in rules.promise
    )
    assert thresholds(rules.decision).text == rules.promise
    assert decided(given, DecideSettings(unknown=0.0), seed=0).decision == rules.decision


def test_a_promise_about_groups_is_kept_where_counting_pictures_would_break_it():
    settings = DecideSettings(error=0.09, unknown=0.0)
    broken = {"groups": 0, "pictures": 0}
    for seed in range(60):
        given, truth = in_groups(seed)
        alone = dataclasses.replace(given, units=np.arange(len(given.labels)))
        for name, each in (("groups", given), ("pictures", alone)):
            promised = decided(each, settings, seed=seed).decision["accept"]["error"]
            broken[name] += promised is not None and promised < truth
    assert broken["groups"] <= 8  # 5 % of 60, and three standard deviations
    assert broken["pictures"] > 9


def test_unknown_can_be_switched_off():
    rules = decided(evidence(), DecideSettings(unknown=0.0), seed=0)
    assert (rules.arrays, thresholds(rules.decision).distance) == ({}, None)
    assert rules.decision["accept"]["n"] == 400


@pytest.mark.parametrize("n", [1, 10, 48])
def test_too_few_validation_pictures_are_said(n):
    rules = decided(evidence(n), DecideSettings(), seed=0)
    check_deciding(rules.decision, rules.arrays, 3)
    assert rules.arrays == {}
    assert "needs 49 validation pictures" in rules.decision["unknown_text"]
    assert "too few to calibrate" in rules.decision["calibration"]["text"]


def test_features_that_do_not_differ_judge_nothing():
    given = evidence()
    same = dataclasses.replace(given, known=np.ones_like(given.known))
    rules = decided(same, DecideSettings(), seed=0)
    assert rules.arrays == {}
    assert "do not differ" in rules.decision["unknown_text"]


@pytest.mark.parametrize(("name", "value"), [("error", 0.0), ("confidence", 1.0), ("unknown", 0.6)])
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        Settings().changed("decide", {name: value})


def test_a_finished_run_decides_and_says_so_everywhere(finished: Finished):
    held = finished.run.predictor.bundle
    assert held.thresholds.decides
    told = [event for event in finished.events if getattr(event, "code", "") == "decision"]
    assert [event.text for event in told] == [held.thresholds.text]
    report = finished.run.report
    assert report.doubt is not None
    assert report.doubt.promise == held.thresholds.text
    assert held.thresholds.text in (finished.run.folder / "MODEL_CARD.md").read_text("utf-8")
    assert "[decide]" in (finished.run.folder / "config.toml").read_text("utf-8")
