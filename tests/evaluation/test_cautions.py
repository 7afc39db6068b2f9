import dataclasses

import numpy as np
import pytest

from fieldmark.evaluation.baselines import Baseline
from fieldmark.evaluation.cautions import Light, cautions, light
from fieldmark.evaluation.doubt import measure_doubt
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.report import measure
from fieldmark.evaluation.resampling import Resampling


def report_of(n_right, n_wrong, *, classes=("cat", "dog")):
    """Equal classes; the same number of right and wrong answers for each of the first two."""
    labels = np.array([0, 1] * (n_right + n_wrong))
    predicted = labels.copy()
    predicted[: 2 * n_wrong] = 1 - predicted[: 2 * n_wrong]
    probs = np.eye(len(classes))[predicted]
    return measure(probs, labels, classes, baseline_class="cat", conditions={}, seed=0)


GOOD = report_of(95, 5)
EQUAL = {"cat": {"train": 400}, "dog": {"train": 300}}


def test_a_sound_run_carries_no_warning():
    assert cautions(GOOD, EQUAL, {"accuracy": 0.96, "val_accuracy": 0.94}) == ()
    assert cautions(GOOD, {}, {}) == ()


def test_a_network_that_beats_nothing_says_so_first():
    found = cautions(report_of(100, 100), {"cat": {"train": 900}, "dog": {"train": 9}}, {})
    assert found[0] == 'Not better than always answering "cat" (50.0 %).'
    assert len(found) == 2


def test_missing_classes_are_named():
    report = report_of(95, 5, classes=("cat", "dog", "fox"))
    assert cautions(report, {}, {}) == (
        "Not estimable, because there are no test pictures of it: fox.",
    )


def test_many_missing_classes_are_counted():
    report = report_of(95, 5, classes=("cat", "dog", *(f"c{i}" for i in range(8))))
    assert cautions(report, {}, {})[0].endswith("c0, c1, c2, c3, c4 and 3 more.")


def test_a_small_test_part_says_what_one_picture_moves():
    (found,) = cautions(report_of(19, 1), {}, {})
    assert found == (
        "The test part holds only 40 pictures: "
        "one picture more or less moves the accuracy by 2.5 points."
    )


def test_classes_with_a_handful_of_test_pictures_are_named():
    found = cautions(report_of(4, 0), {}, {})
    assert "Fewer than 10 test pictures, so hardly measured: cat (4), dog (4)." in found


@pytest.mark.parametrize(("small", "warned"), [(200, False), (199, True), (0, True)])
def test_unequal_classes_are_warned_about_beyond_five_to_one(small, warned):
    counts = {"cat": {"train": 1000}, "dog": {"train": small}}
    found = cautions(GOOD, counts, {})
    assert bool(found) == warned
    if warned:
        assert found[0].startswith("Unequal classes: 1,000 pictures of cat for training, but ")


@pytest.mark.parametrize(("validation", "warned"), [(0.83, False), (0.71, True), (0.99, False)])
def test_learning_by_heart_is_named_with_the_way_out(validation, warned):
    found = cautions(GOOD, {}, {"accuracy": 0.97, "val_accuracy": validation})
    assert bool(found) == warned
    if warned:
        assert found[0] == (
            "Training 97.0 %, validation 71.0 %: the network has learned the training pictures "
            "by heart. Try --augment strong, or more pictures."
        )


def test_epochs_without_a_number_are_no_reason_to_warn():
    assert cautions(GOOD, {}, {"accuracy": float("nan"), "val_accuracy": 0.5}) == ()
    assert cautions(GOOD, {}, {"loss": 0.5}) == ()


def test_hostile_names_stay_in_one_line():
    report = report_of(4, 0, classes=("cat", "dog", "a\n\x1b[2J"))
    counts = {"x\ny": {"train": 100}, "cat": {"train": 1}}
    for sentence in cautions(report, counts, {}):
        assert "\n" not in sentence
        assert "\x1b" not in sentence


@pytest.mark.parametrize(("n_groups", "warned"), [(29, True), (30, False)])
def test_few_groups_make_intervals_unreliable(n_groups, warned):
    labels = np.arange(1200) % 2
    drawn = Resampling(0, np.arange(1200) % n_groups)
    report = measure(
        np.eye(2)[labels], labels, ("cat", "dog"), baseline_class="cat", conditions={}, seed=drawn
    )
    wanted = (
        "The test pictures come in only 29 groups that belong together; "
        "with fewer than 30 the intervals are unreliable."
    )
    assert cautions(report, {}, {}) == ((wanted,) if warned else ())


def ahead(low, name="colours"):
    measured = Measurement("difference", low + 0.05, low, low + 0.1, 200)
    return Baseline(name=name, what="", accuracy=measured, ahead=measured)


def beside(found, rules):
    return dataclasses.replace(found, baselines=tuple(rules))


class TestLight:
    def test_a_sound_model_is_better_than_chance(self):
        assert light(GOOD) == Light("good", "Better than chance.")

    def test_simple_rules_that_are_beaten_are_counted_in(self):
        found = light(beside(GOOD, [ahead(0.1), ahead(0.01, "nearest picture")]))
        assert found == Light("good", "Better than chance and than the simple baselines.")

    def test_a_rule_that_is_not_clearly_beaten_is_named(self):
        found = light(beside(GOOD, [ahead(0.1), ahead(-0.01, "nearest picture")]))
        assert found.level == "careful"
        assert found.text == "Better than chance, but not clearly better than the nearest picture."

    def test_a_rule_on_other_pictures_says_nothing(self):
        other = dataclasses.replace(ahead(0.1), ahead=None)
        assert light(beside(GOOD, [other])) == light(GOOD)

    def test_an_earlier_run_is_no_simple_rule(self):
        before = ahead(-0.2, "flowers-1")
        assert light(beside(GOOD, [before])) == light(GOOD)

    def test_overlapping_intervals_ask_for_care(self):
        found = light(report_of(6, 5))
        assert found.level == "careful"
        assert found.text.startswith("Not clearly better than chance")

    def test_what_is_no_better_than_chance_is_bad_whatever_rules_say(self):
        found = light(beside(report_of(50, 50), [ahead(0.3)]))
        assert found.level == "bad"
        assert found.text.startswith("Not better than chance")

    def test_classes_that_are_often_confused_are_named(self):
        assert (
            light(report_of(80, 20)).text == "Better than chance; cat and dog are often confused."
        )

    @pytest.mark.parametrize(("n_right", "n_wrong"), [(99, 1), (20, 1), (19, 0)])
    def test_a_few_mistakes_are_not_often(self, n_right, n_wrong):
        assert "confused" not in light(report_of(n_right, n_wrong)).text

    def test_the_pair_with_the_largest_share_is_named_and_not_the_largest_class(self):
        labels = np.repeat([0, 1, 2, 3], [400, 400, 20, 20])
        predicted = labels.copy()
        predicted[:45] = 1
        predicted[800:806] = 3
        report = measure(
            np.eye(4)[predicted], labels, tuple("abcd"), baseline_class="a", conditions={}, seed=0
        )
        assert "c and d are often confused" in light(report).text


def doubted(n_accepted):
    labels = np.arange(200) % 2
    decisions = ["accept"] * n_accepted + ["unsure"] * (200 - n_accepted)
    return measure_doubt(
        np.eye(2)[labels], labels, decisions, temperature=1.0, promise="At most 5 %.", seed=0
    )


@pytest.mark.parametrize(
    ("n_accepted", "said"),
    [
        (0, "No answer is accepted, every one is unsure or unknown: At most 5 %."),
        (80, "Only 40.0 % (33.5 to 46.9) of the answers are accepted"),
        (100, ""),
    ],
)
def test_few_accepted_answers_are_a_limit(n_accepted, said):
    found = cautions(dataclasses.replace(GOOD, doubt=doubted(n_accepted)), {}, {})
    assert found == () if not said else found[0].startswith(said)
