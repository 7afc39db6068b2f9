import io
import math
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from fieldmark import rng
from fieldmark.errors import UsageError
from fieldmark.evaluation import charts

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
HOSTILE = (
    "$\\frac{",
    "$x^2$ and $",
    "line\nbreak\ttab",
    "薔薇の花 العربية \N{ROCKET}",
    "x" * 200,
    "",
    "a\udcffb",
    "\u202ereversed",
    "<script>&\"'",
    "_^{}\\",
)


def pictures(n, height=24, width=32, channels=3):
    draws = rng.derive(0, "pictures")
    return [draws.integers(0, 256, (height, width, channels)).astype(np.uint8) for _ in range(n)]


def opened(data, kind):
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == kind
    return image


class TestPng:
    def test_curves_have_the_promised_size(self):
        assert opened(charts.curves_png(HISTORY, 6), "PNG").size == (990, 396)

    def test_one_epoch_is_visible(self):
        one = np.asarray(opened(charts.curves_png(HISTORY[:1]), "PNG"))
        empty = np.asarray(opened(charts.curves_png([{"epoch": 1, "loss": 2.0}]), "PNG"))
        assert (one != empty).any()

    def test_gaps_in_the_history_are_no_obstacle(self):
        history = [{"epoch": 1, "loss": math.nan}, {"epoch": 2, "loss": 1.0}, {"epoch": 3}]
        opened(charts.curves_png(history), "PNG")

    @pytest.mark.parametrize("history", [(), ({"epoch": 1.0},), ({"loss": math.inf},)])
    def test_curves_of_nothing_are_an_error(self, history):
        with pytest.raises(UsageError, match="nothing to draw") as caught:
            charts.curves_png(history)
        assert caught.value.code == "nothing-to-draw"

    def test_a_learning_rate_test_may_explode(self):
        rates = np.logspace(-6, 0, 60).tolist()
        losses = [*np.linspace(2.3, 1.1, 50).tolist(), *[4.0, 1e3, 1e9], *[math.nan] * 7]
        assert opened(charts.lr_find_png(rates, losses, 1e-3), "PNG").size == (660, 396)

    @pytest.mark.parametrize(
        ("rates", "losses"), [([], []), ([1e-3], [math.nan]), ([1e-3, 1e-2], [1.0])]
    )
    def test_a_learning_rate_test_without_losses_is_an_error(self, rates, losses):
        with pytest.raises(UsageError, match="nothing to draw"):
            charts.lr_find_png(rates, losses, 1e-3)

    @pytest.mark.parametrize("normalized", [True, False])
    def test_confusion_survives_hostile_names(self, normalized):
        n = len(HOSTILE)
        opened(charts.confusion_png(np.eye(n, dtype=int).tolist(), HOSTILE, normalized), "PNG")

    def test_counts_and_shares_are_different_pictures(self):
        counts, names = [[8, 2], [0, 40]], ["cat", "dog"]
        assert charts.confusion_png(counts, names, True) != charts.confusion_png(
            counts, names, False
        )

    def test_a_class_without_pictures_is_an_empty_row(self):
        opened(charts.confusion_png([[3, 0], [0, 0]], ["cat", "dog"], True), "PNG")

    def test_many_classes_stay_a_picture_of_bounded_size(self):
        n = 150
        image = opened(
            charts.confusion_png(np.eye(n, dtype=int).tolist(), [f"c{i}" for i in range(n)], True),
            "PNG",
        )
        assert max(image.size) < 2000

    @pytest.mark.parametrize(("rows", "names"), [([], []), ([[1, 0], [0, 1]], ["a"])])
    def test_a_matrix_that_does_not_fit_its_names_is_an_error(self, rows, names):
        with pytest.raises(UsageError, match="names do not fit"):
            charts.confusion_png(rows, names, True)


class TestJpg:
    def test_a_gallery_survives_hostile_titles(self):
        opened(charts.gallery_jpg(pictures(len(HOSTILE)), HOSTILE), "JPEG")

    def test_a_gallery_grows_by_rows(self):
        three = opened(charts.gallery_jpg(pictures(3), "abc"), "JPEG")
        four = opened(charts.gallery_jpg(pictures(4), "abcd"), "JPEG")
        assert three.width == four.width
        assert four.height == 2 * three.height

    def test_grey_pictures_and_odd_sizes_mix(self):
        mixed = [*pictures(1, channels=1), *pictures(1, height=5, width=90)]
        opened(charts.gallery_jpg(mixed, ["grey", "wide"], columns=5), "JPEG")

    @pytest.mark.parametrize(("n", "titles", "columns"), [(0, [], 3), (2, ["a"], 3), (1, "a", 0)])
    def test_a_gallery_needs_one_title_for_each_picture(self, n, titles, columns):
        with pytest.raises(UsageError, match="nothing to draw"):
            charts.gallery_jpg(pictures(n), titles, columns)

    @pytest.mark.parametrize(
        "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))]
    )
    def test_what_is_no_picture_is_an_error(self, image):
        with pytest.raises(UsageError, match="cannot be drawn"):
            charts.gallery_jpg([image], ["a"])


class TestAllPictures:
    DRAWN = (
        lambda: charts.curves_png(HISTORY, 6),
        lambda: charts.confusion_png([[8, 2], [1, 9]], ["cat", "dog"], True),
        lambda: charts.gallery_jpg(pictures(2), ["a", "b"]),
        lambda: charts.lr_find_png([1e-4, 1e-3, 1e-2], [2.0, 1.0, 3.0], 1e-3),
    )

    @pytest.mark.parametrize("draw", DRAWN)
    def test_the_same_values_give_the_same_bytes(self, draw):
        assert draw() == draw()

    @pytest.mark.parametrize("draw", DRAWN)
    def test_no_date_and_no_program_is_written_into_the_file(self, draw):
        data = draw()
        assert b"tIME" not in data
        assert b"matplotlib" not in data.lower()

    def test_the_users_matplotlib_settings_are_neither_used_nor_changed(self):
        plain = charts.curves_png(HISTORY)
        with matplotlib.rc_context({"lines.linewidth": 9.0, "font.size": 30.0}):
            assert charts.curves_png(HISTORY) == plain
            assert matplotlib.rcParams["lines.linewidth"] == 9.0

    def test_the_global_drawing_state_is_never_touched(self):
        # In a process of its own: other tests of this worker may have imported pyplot.
        code = (
            "import sys; from fieldmark.evaluation import charts;"
            "charts.curves_png([{'epoch': 1, 'loss': 1.0}]);"
            "charts.confusion_png([[1, 0], [0, 1]], ['a', 'b'], True);"
            "print('matplotlib.pyplot' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "False"
