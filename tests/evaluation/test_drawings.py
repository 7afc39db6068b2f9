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
