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
from fieldmark.evaluation.metrics import accuracy, log_loss, macro_f1
from fieldmark.evaluation.report import SCHEMA, Measurement, Report, measure
from fieldmark.evaluation.wording import columns

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
        assert report.n == 300

    def test_every_number_lies_in_its_interval(self):
        report = flowers()
        found = [report.accuracy, report.log_loss, report.macro_f1, report.baseline]
        for one in report.per_class:
            found += [one.recall, one.precision]
        for number in found:
            assert number.low <= number.value <= number.high, number
            assert number.low < number.high, number

    def test_says_how_each_interval_was_made(self):
        report = flowers()
        assert (report.accuracy.method, report.accuracy.unit) == ("Wilson", "fraction")
        assert (report.log_loss.method, report.log_loss.unit) == ("bootstrap", "nats")
        assert (report.macro_f1.method, report.macro_f1.unit) == ("bootstrap", "score")

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
            'Better than always answering "dog" (50.0 %) on these pictures, '
            "but the two intervals overlap."
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
            "doubt",
        ]

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
        assert lines[1].startswith("  macro F1      0.")
        heading = lines.index("")
        assert lines[heading + 1].split("  ")[-1] == "most often taken for"
        assert [line.split()[0] for line in lines[heading + 2 :]] == list(FLOWERS)

    def test_a_class_row_reads_as_in_the_documentation(self):
        row = flowers().lines(80)[5]
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
        rows = flowers().lines(80)[5:]
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
        assert report.lines(70)[6].endswith(".. 7")


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
