import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.errors import UsageError
from fieldmark.evaluation import drawings
from fieldmark.evaluation.drawings import Axis, Band, Dots, Line, Upright, Words, plot_svg

HISTORY = tuple(
    {
        "epoch": epoch,
        "loss": 2.0 / epoch,
        "val_loss": 2.2 / epoch + 0.02 * epoch,
        "accuracy": 1 - 0.6 / epoch,
        "val_accuracy": 0.8 - 0.5 / epoch,
        "seconds": 8.0,
    }
    for epoch in range(1, 13)
)


class TestCurves:
    def test_is_well_formed_and_describes_itself(self):
        root = ET.fromstring(drawings.curves_svg(HISTORY, "loss", 6))
        title, text = root.find("title"), root.find("desc")
        assert title.text == "Loss by epoch"
        assert "epoch 1" in text.text
        assert "epoch 12" in text.text
        assert root.get("aria-labelledby").split() == [title.get("id"), text.get("id")]

    def test_two_charts_on_a_page_share_no_id(self):
        both = [ET.fromstring(drawings.curves_svg(HISTORY, kind)) for kind in ("loss", "accuracy")]
        ids = [node.get("id") for root in both for node in root.iter() if node.get("id")]
        assert len(ids) == len(set(ids)) == 4

    def test_draws_training_validation_and_the_kept_epoch(self):
        root = ET.fromstring(drawings.curves_svg(HISTORY, "accuracy", 6))
        kinds = [path.get("class") for path in root.iter("path")]
        assert kinds.count("train") == kinds.count("valid") == kinds.count("best") == 1
        assert any(node.text.endswith("%") for node in root.iter("text"))

    def test_leaves_out_what_is_not_there(self):
        root = ET.fromstring(drawings.curves_svg([{"epoch": 1, "loss": 2.0}], "loss"))
        kinds = [path.get("class") for path in root.iter("path")]
        assert "train" in kinds
        assert "valid" not in kinds
        assert "best" not in kinds

    def test_falling_loss_goes_down_the_page(self):
        root = ET.fromstring(drawings.curves_svg([{"loss": 3.0}, {"loss": 1.0}], "loss"))
        (line,) = [path for path in root.iter("path") if path.get("class") == "train"]
        (x1, y1), (x2, y2) = [map(float, p.split()) for p in line.get("d")[1:].split("L")]
        assert x1 < x2
        assert y1 < y2

    def test_names_no_address_and_runs_nothing(self):
        svg = drawings.curves_svg(HISTORY, "loss", 6)
        assert "http" not in svg
        assert "<script" not in svg
        assert len(svg) < 4000

    def test_nothing_to_draw_is_an_error(self):
        with pytest.raises(UsageError, match="nothing to draw"):
            drawings.curves_svg([{"epoch": 1, "accuracy": 0.5}], "loss")

    @settings(max_examples=60)
    @given(
        st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "loss": st.floats(),
                    "val_loss": st.floats(0, 1e6),
                    "epoch": st.integers(0, 1000),
                },
            ),
            max_size=8,
        )
    )
    def test_any_history_gives_a_drawing_inside_its_frame_or_an_error(self, history):
        try:
            root = ET.fromstring(drawings.curves_svg(history, "loss"))
        except UsageError:
            assert not any(
                abs(row.get(key, math.nan)) < 1e30
                for row in history
                for key in ("loss", "val_loss")
            )
            return
        for path in root.iter("path"):
            if path.get("class") in ("train", "valid"):
                for point in path.get("d")[1:].split("L"):
                    x, y = map(float, point.split())
                    assert 0 <= x <= 340
                    assert 0 <= y <= 200

    @given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
    def test_ticks_are_few_and_go_around_the_values(self, low, span):
        ticks = drawings._ticks(low, low + span)
        assert 1 <= len(ticks) <= 7
        slack = 1e-6 * max(1.0, abs(low), span)
        assert ticks[0] <= low + slack
        assert ticks[-1] >= low + span - slack


WORDS = Words(id="thing", title="A thing", text="It rises.")
X, Y = Axis(title="across"), Axis(title="up", unit="percent")


def paths(svg, style):
    root = ET.fromstring(svg)
    return [path.get("d") for path in root.iter("path") if path.get("class") == style]


def ticks(svg):
    return [text.text for text in ET.fromstring(svg).iter("text")]


class TestPlot:
    def test_names_itself_and_its_axes(self):
        svg = plot_svg(WORDS, X, Y, [Line(((0.0, 0.1), (1.0, 0.2)), "valid")])
        root = ET.fromstring(svg)
        assert root.find("title").text == "A thing"
        assert root.find("desc").text == "It rises."
        assert root.get("aria-labelledby") == "thing-chart thing-desc"
        assert {"across", "up", "10 %", "20 %"} <= set(ticks(svg))

    def test_words_from_outside_are_escaped(self):
        evil = "<script>&\"'</svg>"
        words = Words(id="a", title=evil, text=evil)
        svg = plot_svg(words, Axis(title=evil), Axis(title=evil), [Upright(1.0), line()])
        assert "<script" not in svg
        assert ET.fromstring(svg).find("title").text == evil

    def test_marks_are_drawn_from_the_back_to_the_front(self):
        marks = [
            Band(((0.0, 0.1, 0.3), (1.0, 0.2, 0.5))),
            Upright(0.5),
            Line(((0.0, 0.2), (1.0, 0.4)), "train"),
            Dots(((0.5, 0.3, 0.25, 0.35),), "ring"),
        ]
        root = ET.fromstring(plot_svg(WORDS, X, Y, marks))
        kinds = [each.get("class") for each in root.iter() if each.tag in ("path", "circle")]
        assert [kind for kind in kinds if kind != "grid"] == [
            "area",
            "best",
            "train",
            "whisker",
            "ring",
        ]

    def test_a_band_goes_there_above_and_back_below(self):
        svg = plot_svg(WORDS, X, Y, [Band(((0.0, 0.0, 1.0), (2.0, 0.5, 1.0)))])
        (path,) = paths(svg, "area")
        assert path.endswith("Z")
        (_, a), (_, b), (_, c), (_, d) = [
            tuple(map(float, each.split())) for each in path[1:-1].split("L")
        ]
        assert a == b < c < d

    def test_powers_of_ten_are_equally_far_apart(self):
        line = Line(((0.01, 1.0), (0.1, 2.0), (1.0, 3.0)), "valid")
        svg = plot_svg(WORDS, Axis(title="rate", log=True), Y, [line])
        first, second, third = (
            float(each.split()[0]) for each in paths(svg, "valid")[0][1:].split("L")
        )
        assert second - first == pytest.approx(third - second, abs=0.2)
        assert {"0.01", "0.1", "1"} <= set(ticks(svg))

    def test_what_has_no_place_is_left_out(self):
        points = ((0.0, 1.0), (1.0, math.nan), (2.0, 3.0), (math.inf, 1.0), (4.0, 2.0))
        svg = plot_svg(WORDS, Axis(title="rate", log=True), Y, [Line(points, "valid")])
        assert paths(svg, "valid")[0].count("L") == 1
        assert "nan" not in svg
        assert "inf" not in svg

    def test_what_is_beyond_a_given_span_stays_at_its_edge(self):
        whole = Axis(title="share", span=(0.0, 1.0))
        svg = plot_svg(WORDS, X, whole, [Line(((0.0, 0.5), (1.0, 7.0)), "valid")])
        heights = [float(each.split()[1]) for each in paths(svg, "valid")[0][1:].split("L")]
        assert heights[1] == pytest.approx(22.0)

    def test_the_last_number_of_an_axis_is_not_cut_off(self):
        percent = Axis(title="share", unit="percent", span=(0.0, 1.0))
        root = ET.fromstring(plot_svg(WORDS, percent, Y, [Line(((0.0, 0.1), (1.0, 0.2)), "valid")]))
        (last,) = [each for each in root.iter("text") if each.text == "100 %"]
        assert last.get("text-anchor") == "end"
        assert float(last.get("x")) <= 340

    @pytest.mark.parametrize(
        "marks", [[], [Line((), "valid")], [Line(((0.0, math.nan),), "valid")], [Dots((), "dot")]]
    )
    def test_nothing_to_draw_is_an_error(self, marks):
        with pytest.raises(UsageError, match="nothing to draw") as caught:
            plot_svg(WORDS, X, Y, marks)
        assert caught.value.code == "nothing-to-draw"

    @given(
        st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=6),
        st.booleans(),
        st.booleans(),
    )
    def test_any_points_give_a_drawing_inside_its_frame_or_an_error(self, points, log_x, log_y):
        x, y = Axis(title="x", log=log_x), Axis(title="y", log=log_y)
        try:
            root = ET.fromstring(plot_svg(WORDS, x, y, [Line(tuple(points), "valid")]))
        except UsageError:
            return
        for path in root.iter("path"):
            if path.get("class") == "valid":
                for point in path.get("d")[1:].split("L"):
                    across, up = map(float, point.split())
                    assert 40 <= across <= 340
                    assert 0 <= up <= 190
        assert len(list(root.iter("text"))) <= 2 + 7 + 7


def line():
    return Line(((0.0, 0.1), (2.0, 0.2)), "valid")


@given(st.floats(1e-12, 1e12), st.floats(1, 1e12))
def test_powers_are_few_and_lie_between_the_ends(low, times):
    found = drawings._powers(low, low * times)
    assert 1 <= len(found) <= 6
    assert low * 0.99 <= found[0]
    assert found[-1] <= low * times * 1.01
