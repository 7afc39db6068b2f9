import dataclasses
import xml.etree.ElementTree as ET

import pytest

from fieldmark.evaluation import page_charts
from fieldmark.evaluation.intervals import wilson
from fieldmark.evaluation.more_data import LearningPoint
from fieldmark.evaluation.page_facts import HeadPoint, RateTest
from fieldmark.evaluation.risk_coverage import risk_coverage
from tests.evaluation.made_report import answers, doubt_of

NAN = float("nan")


def drawn(chart):
    return [ET.fromstring(drawing) for _, drawing in chart.drawings]


def styles(root):
    return [each.get("class") for each in root.iter() if each.tag in ("path", "circle")]


def described(chart):
    return " ".join(root.find("desc").text for root in drawn(chart))


def settings(*strengths, chosen=1.0, columns=1280):
    return tuple(
        HeadPoint(
            strength=each,
            n_columns=columns,
            log_loss=0.5 + abs(each - 1.0) / 10,
            log_loss_se=0.02,
            accuracy=0.8,
            chosen=each == chosen,
        )
        for each in strengths
    )


CHARTS = {
    "epochs": page_charts.learning_curves(
        [{"epoch": 1, "loss": 2.0, "val_loss": 1.9}, {"epoch": 2, "loss": 1.0, "val_loss": 1.2}], 2
    ),
    "rates": page_charts.rate_chart(RateTest((0.001, 0.01, 0.1), (2.0, 1.5, 9.0), 0.01)),
    "strengths": page_charts.strength_chart(settings(0.1, 1.0, 10.0)),
    "reliability": page_charts.reliability_chart(doubt_of(3, "")),
    "coverage": page_charts.coverage_chart(risk_coverage(*answers(3, 200)), doubt_of(3, "")),
    "more_data": page_charts.more_data_chart(
        (
            LearningPoint(n=100, value=0.7, low=0.6, high=0.8, forecast=False),
            LearningPoint(n=200, value=0.8, low=0.7, high=0.9, forecast=True),
        )
    ),
}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
class TestEveryChart:
    def test_has_a_table_without_gaps(self, chart):
        assert chart.rows
        assert {len(row) for row in chart.rows} == {len(chart.headings)}
        assert "nan" not in str(chart.rows)

    def test_its_legend_explains_exactly_what_is_drawn(self, chart):
        lines = {"train", "valid", "best", "ideal", "area", "dot", "ring"}
        shown = {style for root in drawn(chart) for style in styles(root)} & lines
        told = {style for style, _ in chart.legend}
        assert told <= shown
        # The dots of a line need no words of their own, nor the line of the dots.
        assert shown - told <= {"dot", "valid"}

    def test_says_itself_in_words(self, chart):
        assert len(described(chart)) > 20
        assert all(title for title, _ in chart.drawings)


def test_no_two_charts_share_an_id():
    ids = [each.get("id") for chart in CHARTS.values() for root in drawn(chart) for each in root]
    found = [each for each in ids if each]
    assert len(found) == len(set(found)) == 2 * (len(CHARTS) + 0)


class TestLearningCurves:
    def test_the_kept_epoch_is_stressed(self):
        chart = CHARTS["epochs"]
        assert chart.marked == 1
        assert chart.rows[1][0] == "2 (kept)"
        assert ("best", "epoch 2, kept") in chart.legend

    def test_without_a_kept_epoch_nothing_is_stressed(self):
        chart = page_charts.learning_curves([{"epoch": 1, "loss": 2.0}], None)
        assert chart.marked is None

    @pytest.mark.parametrize(
        ("key", "style"), [("loss", "train"), ("val_loss", "valid"), ("val_accuracy", "valid")]
    )
    def test_a_part_without_numbers_is_not_in_the_legend(self, key, style):
        chart = page_charts.learning_curves([{"epoch": 1, key: 0.5}], None)
        assert [each for each, _ in chart.legend] == [style]

    def test_no_number_is_no_chart(self):
        assert page_charts.learning_curves([{"epoch": 1, "loss": NAN}], 1) is None
        assert page_charts.learning_curves([], None) is None


class TestRates:
    def test_an_exploding_loss_does_not_flatten_the_rest(self):
        test = RateTest((0.001, 0.01, 0.1, 1.0), (2.0, 1.0, 1e9, NAN), 0.01)
        (root,) = drawn(page_charts.rate_chart(test))
        numbers = [text.text for text in root.iter("text")]
        assert "3" in numbers
        assert not [text for text in numbers if text.startswith("1e")]

    def test_the_table_holds_what_was_measured(self):
        test = RateTest((0.001, 0.01), (2.0, 1e9), 0.001)
        assert page_charts.rate_chart(test).rows == (("0.001", "2"), ("0.01", "1e+09"))

    def test_the_chosen_rate_is_told(self):
        assert "0.01 was chosen" in described(CHARTS["rates"])

    def test_no_finite_loss_is_no_chart(self):
        assert page_charts.rate_chart(RateTest((0.1,), (NAN,), 0.1)) is None


class TestStrengths:
    def test_the_table_is_in_order_and_the_chosen_one_is_stressed(self):
        chart = page_charts.strength_chart(settings(10.0, 0.1, 1.0))
        assert [row[0] for row in chart.rows] == ["0.1", "1 (chosen)", "10"]
        assert chart.marked == 1

    def test_the_curve_is_of_the_chosen_columns_and_the_table_of_all(self):
        path = settings(0.1, 1.0) + settings(0.1, 1.0, 10.0, chosen=-1, columns=320)
        chart = page_charts.strength_chart(path)
        assert len(chart.rows) == 5
        assert styles(drawn(chart)[0]).count("dot") == 2

    def test_a_path_without_a_choice_is_drawn_all_the_same(self):
        chart = page_charts.strength_chart(settings(0.1, 1.0, chosen=-1))
        assert chart.marked is None
        assert "best" not in styles(drawn(chart)[0])

    def test_nothing_compared_is_no_chart(self):
        assert page_charts.strength_chart(()) is None
        nothing = [dataclasses.replace(each, log_loss=NAN) for each in settings(1.0)]
        assert page_charts.strength_chart(nothing) is None


class TestReliability:
    def test_every_bin_is_a_dot_with_its_interval(self):
        doubt, chart = doubt_of(3, ""), CHARTS["reliability"]
        (root,) = drawn(chart)
        assert styles(root).count("dot") == styles(root).count("whisker") == len(doubt.after.bins)
        first = doubt.after.bins[0]
        low, high = wilson(round(first.accuracy * first.n), first.n)
        assert chart.rows[0][3] == f"{100 * low:.1f} to {100 * high:.1f}"

    def test_without_bins_there_is_no_chart(self):
        doubt = doubt_of(3, "")
        empty = dataclasses.replace(doubt, after=dataclasses.replace(doubt.after, bins=()))
        assert page_charts.reliability_chart(empty) is None


class TestCoverage:
    def test_the_models_own_thresholds_are_marked(self):
        doubt, chart = doubt_of(3, ""), CHARTS["coverage"]
        said = f"{doubt.coverage.text} accepted, {doubt.error.text} of them wrong"
        assert said in described(chart)
        assert next(words for style, words in chart.legend if style == "ring").endswith(said)

    def test_a_model_that_accepts_nothing_has_no_mark(self):
        curve = risk_coverage(*answers(3, 200))
        nothing = dataclasses.replace(doubt_of(3, ""), error=None)
        for doubt in (nothing, None):
            (root,) = drawn(page_charts.coverage_chart(curve, doubt))
            assert "ring" not in styles(root)

    def test_the_table_ends_with_all_answers(self):
        assert CHARTS["coverage"].rows[-1][:2] == ("100.0 %", "200")

    def test_no_points_are_no_chart(self):
        assert page_charts.coverage_chart((), None) is None


class TestMoreData:
    def test_measured_and_forecast_are_told_apart(self):
        chart = CHARTS["more_data"]
        assert [row[-1] for row in chart.rows] == ["measured", "forecast"]
        assert "200 pictures: 80.0 % (forecast)" in described(chart)

    def test_without_a_forecast_there_is_no_band(self):
        measured = (
            LearningPoint(n=100, value=0.7, low=0.6, high=0.8, forecast=False),
            LearningPoint(n=200, value=0.75, low=0.65, high=0.85, forecast=False),
        )
        chart = page_charts.more_data_chart(measured)
        assert "area" not in styles(drawn(chart)[0])
        assert [style for style, _ in chart.legend] == ["dot"]

    def test_no_points_are_no_chart(self):
        assert page_charts.more_data_chart(()) is None
