import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation.intervals import wilson
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.metrics import (
    accuracy,
    balanced_accuracy,
    brier,
    log_loss,
    macro_auc,
    macro_f1,
    top_k,
)
from fieldmark.evaluation.report import SCHEMA, Report, measure
from fieldmark.evaluation.resampling import Resampling
from fieldmark.evaluation.wording import columns

MEASURED = ("accuracy", "log_loss", "macro_f1", "balanced_accuracy", "brier", "auc", "top_k")
FLOWERS = ("daisy", "dandelion", "rose", "sunflower", "tulip")


def scores(n, n_classes, *, seed=0, sure=2.0, only=None):
    """Scores of a network that is mostly right; ``only`` names the classes that occur."""
    draws = rng.derive(seed, "scores")
    labels = draws.choice(only if only is not None else np.arange(n_classes), n)
    logits = draws.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += sure
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels


def flowers(n=646, *, seed=0, only=None, sure=2.0):
    probs, labels = scores(n, 5, seed=seed, only=only, sure=sure)
    return measure(
        probs, labels, FLOWERS, baseline_class="dandelion", conditions={"part": "test"}, seed=0
    )


class TestMeasure:
    def test_holds_the_numbers_of_the_metrics(self):
        probs, labels = scores(300, 5)
        report = flowers(300)
        assert report.accuracy.value == accuracy(probs, labels)
        assert report.log_loss.value == log_loss(probs, labels)
        assert report.macro_f1.value == macro_f1(probs, labels)
        assert report.balanced_accuracy.value == balanced_accuracy(probs, labels)
        assert report.brier.value == brier(probs, labels)
        assert report.auc.value == macro_auc(probs, labels)
        assert (report.n, report.n_groups, report.top_k) == (300, None, None)

    def test_more_than_five_classes_are_judged_by_the_first_five_too(self):
        probs, labels = scores(300, 6, sure=0.5)
        names = tuple("abcdef")
        report = measure(probs, labels, names, baseline_class="a", conditions={}, seed=0)
        n_right = round(300 * top_k(probs, labels, 5))
        assert report.top_k.name == "top-5 accuracy"
        assert 0 < n_right < 300
        assert (report.top_k.low, report.top_k.high) == wilson(n_right, 300)

    def test_groups_widen_every_interval_and_change_no_number(self):
        probs, labels = scores(100, 6, sure=0.5)
        five = np.repeat(np.arange(100), 5)
        named = {"baseline_class": "a", "conditions": {}}

        def measured(seed):
            return measure(probs[five], labels[five], tuple("abcdef"), **named, seed=seed)

        alone, grouped = measured(0), measured(Resampling(0, groups=five))
        assert (alone.n_groups, grouped.n_groups) == (None, 100)
        for name in MEASURED:
            one, other = getattr(alone, name), getattr(grouped, name)
            assert (one.value, one.n) == (other.value, other.n)
            assert (one.n_groups, other.n_groups) == (None, 100)
            # Five copies of everything: sqrt(5) as wide.
            assert 1.8 < (other.high - other.low) / (one.high - one.low) < 2.8, name
        for one, other in zip(alone.per_class, grouped.per_class, strict=True):
            assert one.recall.value == other.recall.value
            assert other.recall.low < one.recall.low
            assert other.precision.low < one.precision.low

    def test_groups_of_one_are_no_groups(self):
        probs, labels = scores(50, 5)
        named = {"baseline_class": "rose", "conditions": {}}
        alone = measure(probs, labels, FLOWERS, **named, seed=Resampling(0, np.arange(50)[::-1]))
        assert alone == measure(probs, labels, FLOWERS, **named, seed=0)

    @pytest.mark.parametrize("groups", [np.arange(2), np.zeros((3, 1), int), np.zeros(3)])
    def test_groups_that_do_not_fit_are_an_error(self, groups):
        with pytest.raises(UsageError, match="were given for 3 labels") as caught:
            measure(
                np.eye(3),
                np.arange(3),
                ("a", "b", "c"),
                baseline_class="a",
                conditions={},
                seed=Resampling(0, groups),
            )
        assert caught.value.code == "bad-scores"

    def test_every_number_lies_in_its_interval(self):
        report = flowers()
        found = [getattr(report, name) for name in MEASURED if name != "top_k"] + [report.baseline]
        for one in report.per_class:
            found += [one.recall, one.precision]
        for number in found:
            assert number.low <= number.value <= number.high, number
            assert number.low < number.high, number

    def test_says_how_each_interval_was_made(self):
        report = flowers()
        assert (report.accuracy.method, report.accuracy.unit) == ("Wilson", "fraction")
        for name, unit in (
            *(("log_loss", "nats"), ("macro_f1", "score"), ("balanced_accuracy", "fraction")),
            *(("brier", "score"), ("auc", "score")),
        ):
            one = getattr(report, name)
            assert (one.method, one.unit) == ("BCa bootstrap", unit), name

    def test_the_baseline_always_answers_one_class(self):
        _, labels = scores(300, 5)
        report = flowers(300)
        n = int((labels == 1).sum())
        assert report.baseline_class == "dandelion"
        assert report.baseline.value == n / 300
        assert (report.baseline.low, report.baseline.high) == wilson(n, 300)

    def test_the_confusion_matrix_counts_every_example_once(self):
        report = flowers(300)
        assert sum(map(sum, report.confusion)) == 300
        assert [sum(row) for row in report.confusion] == [one.n for one in report.per_class]

    def test_the_commonest_mistake_is_named_by_class(self):
        probs = np.array([[0.9, 0.1, 0.0]] * 3 + [[0.0, 0.2, 0.8]])
        labels = np.array([0, 1, 1, 2])
        report = measure(probs, labels, ("a", "b", "c"), baseline_class="b", conditions={}, seed=0)
        assert [one.mistaken_for for one in report.per_class] == [None, ("a", 2), None]

    def test_a_class_without_test_examples_is_missing_and_not_zero(self):
        report = flowers(only=[0, 1, 3])
        assert report.missing_classes == ("rose", "tulip")
        assert [one.name for one in report.per_class] == ["daisy", "dandelion", "sunflower"]
        assert len(report.confusion) == 5

    def test_a_class_that_is_never_named_has_no_precision(self):
        report = measure(
            np.array([[0.9, 0.1], [0.8, 0.2]]),
            np.array([0, 1]),
            ("cat", "dog"),
            baseline_class="cat",
            conditions={},
            seed=0,
        )
        assert report.per_class[1].precision is None
        assert report.per_class[1].recall.value == 0.0

    def test_the_seed_fixes_the_resampled_intervals(self):
        probs, labels = scores(200, 5)

        def with_seed(seed):
            return measure(probs, labels, FLOWERS, baseline_class="rose", conditions={}, seed=seed)

        assert with_seed(3) == with_seed(3)
        assert with_seed(3).log_loss != with_seed(4).log_loss
        assert with_seed(3).accuracy == with_seed(4).accuracy

    def test_nothing_to_measure_is_an_error(self):
        with pytest.raises(DataError, match="not one example") as caught:
            measure(
                np.empty((0, 5)),
                np.empty(0, dtype=int),
                FLOWERS,
                baseline_class="rose",
                conditions={},
                seed=0,
            )
        assert caught.value.code == "nothing-to-measure"

    @pytest.mark.parametrize(
        ("classes", "baseline"), [(("a", "b"), "a"), (("a", "b", "c"), "d"), ((), "")]
    )
    def test_classes_that_do_not_fit_are_an_error(self, classes, baseline):
        with pytest.raises(UsageError, match="3 columns of scores") as caught:
            measure(
                np.eye(3), np.arange(3), classes, baseline_class=baseline, conditions={}, seed=0
            )
        assert caught.value.code == "bad-scores"

    def test_the_callers_conditions_can_change_without_changing_the_report(self):
        conditions = {"part": "test"}
        report = measure(
            np.eye(2), np.arange(2), ("a", "b"), baseline_class="a", conditions=conditions, seed=0
        )
        conditions["part"] = "training"
        assert report.conditions == {"part": "test"}


class TestMeasurement:
    def test_reads_as_a_sentence_with_its_doubt(self):
        found = Measurement("accuracy", 0.7461, 0.7112, 0.7781, 646)
        assert str(found) == "accuracy 74.6 % (71.1 to 77.8, 646 pictures)"

    def test_one_picture_is_not_plural(self):
        assert str(Measurement("recall", 1.0, 0.207, 1.0, 1)) == (
            "recall 100.0 % (20.7 to 100.0, 1 picture)"
        )

    def test_what_is_no_share_is_not_shown_in_percent(self):
        found = Measurement("log loss", 0.7234, 0.65, 0.79, 1646, unit="nats")
        assert str(found) == "log loss 0.723 (0.650 to 0.790, 1,646 pictures)"

    def test_cannot_be_changed(self):
        with pytest.raises(dataclasses.FrozenInstanceError, match="value"):
            Measurement("a", 0.5, 0.4, 0.6, 9).value = 1.0


class TestVerdict:
    def test_a_good_network_is_clearly_better(self):
        assert flowers().verdict.startswith('Clearly better than always answering "dandelion" (')

    def test_a_few_pictures_prove_little(self):
        probs = np.array([[0.9, 0.1]] * 4 + [[0.2, 0.8]] * 2)
        labels = np.array([0, 0, 0, 1, 1, 1])
        report = measure(probs, labels, ("cat", "dog"), baseline_class="dog", conditions={}, seed=0)
        assert report.verdict == (
            'Better than always answering "dog" (50.0 %) on these pictures, but perhaps by chance.'
        )

    def test_a_network_that_learned_nothing_is_not_better(self):
        probs = np.array([[0.9, 0.1]] * 6)
        report = measure(
            probs, np.arange(6) % 2, ("cat", "dog"), baseline_class="dog", conditions={}, seed=0
        )
        assert report.verdict == 'Not better than always answering "dog" (50.0 %).'


class TestJson:
    def test_what_was_written_is_read_back_equal(self):
        for report in (flowers(), flowers(only=[1, 4]), flowers(1)):
            assert Report.from_dict(json.loads(report.to_json())) == report
            assert Report.from_dict(report.to_dict()) == report

    def test_names_its_schema_first(self):
        assert next(iter(flowers().to_dict().items())) == ("schema", "fieldmark.report/1")

    def test_the_keys_are_the_published_ones(self):
        assert list(flowers().to_dict()) == [
            "schema",
            "classes",
            "accuracy",
            "log_loss",
            "macro_f1",
            "baseline",
            "baseline_class",
            "per_class",
            "confusion",
            "missing_classes",
            "n",
            "conditions",
            "balanced_accuracy",
            "brier",
            "auc",
            "top_k",
            "n_groups",
            "doubt",
            "baselines",
        ]

    def test_a_report_from_before_these_numbers_is_still_read(self):
        fields = flowers().to_dict()
        for added in ("balanced_accuracy", "brier", "auc", "top_k", "n_groups"):
            del fields[added]
        for one in (fields["accuracy"], fields["log_loss"], fields["per_class"][0]["recall"]):
            del one["n_groups"]
        found = Report.from_dict(fields)
        assert (found.balanced_accuracy, found.brier, found.auc) == (None, None, None)
        assert found.accuracy == flowers().accuracy
        assert "Brier" not in "\n".join(found.lines(80))

    def test_holds_plain_values_and_never_a_nan(self):
        def refuse(constant):
            raise AssertionError(constant)

        text = flowers(3, only=[0]).to_json()
        found = json.loads(text, parse_constant=refuse)
        assert found == flowers(3, only=[0]).to_dict()
        assert text.isascii()
        assert text.endswith("}\n")

    def test_missing_classes_are_listed_and_have_no_numbers(self):
        found = flowers(only=[0, 1]).to_dict()
        assert found["missing_classes"] == ["rose", "sunflower", "tulip"]
        assert [one["name"] for one in found["per_class"]] == ["daisy", "dandelion"]

    def test_a_field_added_later_is_passed_over(self):
        fields = flowers().to_dict()
        fields["calibration"] = {"error": 0.1}
        fields["accuracy"]["seeds"] = 3
        assert Report.from_dict(fields) == flowers()

    @pytest.mark.parametrize("schema", [None, "fieldmark.report/2", "fieldmark.prediction/1"])
    def test_another_schema_is_refused(self, schema):
        with pytest.raises(DataError, match=r"schema is .*, not 'fieldmark.report/1'") as caught:
            Report.from_dict({**flowers().to_dict(), "schema": schema})
        assert caught.value.code == "report-unknown"

    @pytest.mark.parametrize("field", ["classes", "accuracy", "per_class", "confusion", "n"])
    @pytest.mark.parametrize("damage", ["missing", "null", "word"])
    def test_a_damaged_field_is_refused(self, field, damage):
        fields = flowers().to_dict()
        if damage == "missing":
            del fields[field]
        else:
            fields[field] = None if damage == "null" else "word"
        with pytest.raises(DataError, match="missing or misshapen"):
            Report.from_dict(fields)

    @pytest.mark.parametrize("part", ["value", "low", "high"])
    def test_a_number_that_is_not_finite_is_refused(self, part):
        fields = flowers().to_dict()
        fields["log_loss"][part] = float("nan")
        with pytest.raises(DataError, match="log loss is not a finite number"):
            Report.from_dict(fields)

    @settings(max_examples=15)
    @given(st.lists(st.text(max_size=20), min_size=2, max_size=6, unique=True))
    def test_any_class_names_survive(self, names):
        n = len(names)
        report = measure(
            np.eye(n), np.arange(n), tuple(names), baseline_class=names[0], conditions={}, seed=0
        )
        assert Report.from_dict(json.loads(report.to_json())).classes == tuple(names)

    def test_the_schema_is_version_one(self):
        assert SCHEMA == "fieldmark.report/1"


class TestLines:
    def test_eighty_columns_hold_everything(self):
        report = flowers()
        lines = report.lines(80)
        assert lines[0].startswith(f"  accuracy      {report.accuracy.text}   (")
        assert lines[0].endswith(f'always "dandelion": {report.baseline.text}')
        assert lines[1].startswith(f"  balanced      {report.balanced_accuracy.text}   (")
        assert lines[1].endswith(f"macro F1  {report.macro_f1.text}  ({report.macro_f1.interval})")
        assert lines[2].endswith(f"Brier     {report.brier.text}  ({report.brier.interval})")
        assert lines[3].split()[:2] == ["AUC", report.auc.text]
        heading = lines.index("")
        assert heading == 4
        assert lines[heading + 1].split("  ")[-1] == "most often taken for"
        assert [line.split()[0] for line in lines[heading + 2 :]] == list(FLOWERS)

    def test_with_more_than_five_classes_the_first_five_count_beside_the_auc(self):
        probs, labels = scores(300, 6)
        report = measure(probs, labels, tuple("abcdef"), baseline_class="a", conditions={}, seed=0)
        line = report.lines(80)[3]
        assert line.startswith(f"  top 5         {report.top_k.text}")
        assert line.endswith(f"AUC       {report.auc.text}  ({report.auc.interval})")

    def test_a_narrow_screen_holds_the_same_numbers_one_under_the_other(self):
        lines = flowers().lines(60)
        names = ["accuracy", "always", "balanced", "log", "AUC", "macro", "Brier"]
        assert [line.split()[0] for line in lines[:7]] == names

    def test_groups_are_told_of(self):
        probs, labels = scores(60, 5)
        drawn = Resampling(0, np.arange(60) // 2)
        report = measure(probs, labels, FLOWERS, baseline_class="rose", conditions={}, seed=drawn)
        assert "  the intervals count 30 groups, not pictures" in report.lines(80)
        assert str(report.accuracy).endswith(", 60 pictures in 30 groups)")

    def test_a_class_row_reads_as_in_the_documentation(self):
        row = flowers().lines(80)[6]
        one = flowers().per_class[0]
        assert row.split() == [
            "daisy",
            f"{100 * one.recall.value:.1f}",
            "%",
            f"{100 * one.recall.low:.1f}-{100 * one.recall.high:.1f}",
            str(one.n),
            one.mistaken_for[0],
            str(one.mistaken_for[1]),
        ]

    def test_the_numbers_stand_under_each_other(self):
        rows = flowers().lines(80)[6:]
        assert len({row.index("%") for row in rows}) == 1

    def test_a_narrow_screen_gives_the_baseline_its_own_line(self):
        lines = flowers().lines(60)
        assert lines[1].startswith('  always "dandelion": ')
        assert lines[1].endswith(")")

    def test_what_cannot_be_estimated_says_so(self):
        lines = flowers(only=[0, 1]).lines(80)
        assert "  tulip      not estimable: no test pictures" in lines

    @given(st.integers(1, 200), st.lists(st.text(max_size=90), min_size=2, max_size=4, unique=True))
    @settings(max_examples=60)
    def test_no_line_is_wider_than_the_screen_whatever_the_names(self, width, names):
        n = len(names)
        labels = np.arange(12) % n
        report = measure(
            np.eye(n)[np.roll(labels, 1)],
            labels,
            tuple(names),
            baseline_class=names[0],
            conditions={},
            seed=0,
        )
        for line in report.lines(width):
            assert columns(line) <= width
            assert "\n" not in line
            assert "\x1b" not in line

    def test_a_long_name_does_not_cut_the_count_of_its_mistakes(self):
        probs = np.array([[0.1, 0.9]] * 7 + [[0.2, 0.8]])
        labels = np.array([0] * 7 + [1])
        report = measure(
            probs, labels, ("a" * 90, "b" * 90), baseline_class="a" * 90, conditions={}, seed=0
        )
        assert [line for line in report.lines(70) if line.endswith(".. 7")]


def test_measuring_imports_neither_matplotlib_nor_a_framework():
    code = (
        "import sys, fieldmark.evaluation.report, fieldmark.evaluation.page;"
        "print([m for m in ('matplotlib', 'jinja2', 'PIL', 'scipy', 'sklearn', 'keras', 'rich')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
