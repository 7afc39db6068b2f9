"""The curve finds what was put in, its band holds what it should, and little data says little."""

from __future__ import annotations

import dataclasses
import json
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.errors import UsageError
from fieldmark.evaluation.more_data import (
    EXPONENTS,
    ClassGain,
    MoreData,
    Scored,
    fitted,
    forecast,
    resampled,
)

SIZES = np.repeat([50, 100, 200, 400, 800], [5, 5, 4, 3, 1])


def scored(
    a: float, b: float, c: float, *, seed: int = 0, n: int = 400, sizes: Any = SIZES
) -> Scored:
    """Draw pictures of different difficulty; each is wrong where its difficulty is not reached."""
    draw = np.random.default_rng(seed)
    share = a + b * sizes.astype(float) ** -c
    hard = draw.random(n)
    noise = draw.normal(0, 0.02, (len(sizes), n))
    wrong = hard[None] + noise < share[:, None]
    return Scored(
        sizes=sizes,
        wrong=wrong,
        losses=np.where(wrong, 1.5, 0.1),
        labels=np.arange(n) % 2,
        groups=np.arange(n),
        n=int(sizes.max()),
    )


def drawn(given: Scored, classes: tuple[str, ...] = ("cat", "dog")) -> MoreData:
    return forecast(given, classes, rng=np.random.default_rng(1))


# --- the fit


@given(st.floats(0, 0.4), st.floats(0.1, 3), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_a_power_law_is_found_again(a: float, b: float, c: float) -> None:
    sizes = np.array([50, 100, 200, 400, 800])
    found = fitted(sizes, a + b * sizes[None].astype(float) ** -c)
    ahead = found[0] + found[1] * 3200.0 ** -found[2]
    assert ahead[0] == pytest.approx(a + b * 3200.0**-c, abs=0.002 + 0.01 * b)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=6))
def test_the_fit_never_rises_and_never_falls_below_nothing(means: list[float]) -> None:
    sizes = 50 * 2 ** np.arange(len(means))
    a, b, c = (float(each[0]) for each in fitted(sizes, np.array([means])))
    assert a >= 0
    assert b >= 0
    assert EXPONENTS[0] <= c <= EXPONENTS[1]
    ahead = a + b * float(4 * sizes[-1]) ** -c
    assert 0 <= ahead <= max(means) + 1e-9


def test_a_flat_curve_promises_nothing() -> None:
    a, b, _ = fitted(np.array([10, 20, 40]), np.full((1, 3), 0.2))
    assert float(a[0]) == pytest.approx(0.2)
    assert float(b[0]) == pytest.approx(0)


def test_large_subsets_count_for_more() -> None:
    sizes = np.array([10, 100, 1000])
    a, b, c = fitted(sizes, np.array([[0.5, 0.2, 0.3]]))
    through = a + b * sizes[:, None] ** -c
    assert abs(through[2, 0] - 0.3) < abs(through[1, 0] - 0.2)


def test_two_sizes_are_no_curve() -> None:
    with pytest.raises(UsageError, match="through 2 sizes") as told:
        drawn(scored(0.1, 1, 0.5, sizes=np.array([10, 10, 20])))
    assert told.value.code == "curve"


def test_a_size_without_pictures_is_no_curve() -> None:
    sizes = np.array([0, 10, 20, 40])
    given = dataclasses.replace(scored(0.1, 1, 0.5, sizes=sizes + 1), sizes=sizes)
    with pytest.raises(UsageError, match="the smallest 0"):
        drawn(given)


# --- the forecast


def test_points_are_measured_up_to_all_pictures_and_forecast_to_four_times() -> None:
    found = drawn(scored(0.05, 2, 0.5))
    assert [(each.n, each.forecast) for each in found.accuracy] == [
        (50, False),
        (100, False),
        (200, False),
        (400, False),
        (800, False),
        (1600, True),
        (3200, True),
    ]
    assert [each.n for each in found.log_loss] == [each.n for each in found.accuracy]


def test_a_steep_curve_gains_and_a_flat_one_does_not() -> None:
    steep, flat = drawn(scored(0.0, 3, 0.5)), drawn(scored(0.2, 0.0, 0.5))
    assert steep.gain_low > 0
    assert steep.gain == pytest.approx(3 * (800**-0.5 - 1600**-0.5), abs=0.02)
    assert flat.gain == pytest.approx(0, abs=0.01)


def test_a_forecast_lies_well_within_its_band_and_the_band_widens() -> None:
    # The ends are pushed out to hold the forecast: one at an end would come from a band beside it.
    bands = np.array(
        [
            [(each.value, each.low, each.high) for each in points if each.forecast]
            for seed in range(12)
            for found in [drawn(scored(0.05, 2, 0.5, seed=seed))]
            for points in (found.accuracy, found.log_loss)
        ]
    )
    value, low, high = np.moveaxis(bands, -1, 0)
    places = (value - low) / (high - low)
    assert (places > 0.1).all()
    assert (places < 0.9).all()
    widths = high - low
    assert (widths[:, 1] > widths[:, 0]).mean() > 0.8
    assert widths[:, 1].mean() > 1.05 * widths[:, 0].mean()


def test_a_part_of_the_pictures_is_carried_on_to_all_of_them() -> None:
    part = dataclasses.replace(scored(0.05, 2, 0.5, n=4000), n=4000)
    found = drawn(part)
    assert found.n == 4000
    assert [each.n for each in found.accuracy if each.forecast] == [8000, 16000]
    assert found.now == pytest.approx(1 - (0.05 + 2 * 4000**-0.5), abs=0.03)
    assert found.gain == pytest.approx(2 * (4000**-0.5 - 8000**-0.5), abs=0.01)
    assert found.class_line.startswith("The curve was drawn with 800 of the pictures. ")
    average = sum(each.gain for each in found.per_class) / 2
    assert average == pytest.approx(found.gain, abs=0.005)


def test_the_gain_of_many_pictures_is_less_and_surer() -> None:
    given = scored(0.05, 2, 0.5, n=2000)
    few, many = drawn(given), drawn(dataclasses.replace(given, n=8000))
    assert many.gain < few.gain
    assert many.gain_high - many.gain_low < few.gain_high - few.gain_low


def test_the_band_holds_the_truth_of_a_power_law_nearly_always() -> None:
    a, b, c = 0.08, 2.0, 0.5
    truth = 1 - (a + b * 1600.0**-c)
    held = 0
    for seed in range(40):
        twice = next(e for e in drawn(scored(a, b, c, seed=seed)).accuracy if e.forecast)
        held += twice.low <= truth <= twice.high
    assert held >= 35


def test_groups_widen_the_band() -> None:
    single = scored(0.05, 2, 0.5)
    # All pictures of a group are alike: eight times fewer to resample.
    order = np.argsort(single.wrong.sum(axis=0), kind="stable")
    alike = dataclasses.replace(
        single,
        wrong=single.wrong[:, order],
        losses=single.losses[:, order],
        groups=np.arange(400) // 8,
    )
    bands = [next(e for e in drawn(each).accuracy if e.forecast) for each in (single, alike)]
    assert bands[1].high - bands[1].low > 1.5 * (bands[0].high - bands[0].low)


def test_resamples_draw_whole_groups_and_begin_with_the_data() -> None:
    groups = np.array([3, 3, 9, 9, 9])
    weights = resampled(groups, np.random.default_rng(0))
    assert weights[0].tolist() == [1] * 5
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 4]).all()
    assert (weights[1:, 0] + weights[1:, 2] == 2).all()


def test_the_same_generator_gives_the_same_curve() -> None:
    assert drawn(scored(0.05, 2, 0.5)) == drawn(scored(0.05, 2, 0.5))


# --- classes and words


def test_a_class_that_learns_on_while_the_other_is_done_is_named() -> None:
    given = scored(0.0, 4, 0.5, n=1000)
    given.wrong[:, given.labels == 1] = False
    found = drawn(given)
    assert found.most == ("cat",)
    assert found.per_class[0].name == "cat"
    assert found.class_line == "More pictures would help most: cat"


def test_classes_that_learn_alike_cannot_be_told_apart() -> None:
    found = drawn(scored(0.05, 2, 0.5))
    assert found.most == ()
    assert found.class_line.endswith("cannot be told.")


def test_nothing_is_said_of_a_class_with_few_scored_pictures() -> None:
    given = scored(0.05, 2, 0.5)
    few = dataclasses.replace(given, labels=np.where(np.arange(400) < 19, 1, 0))
    assert [each.name for each in drawn(few).per_class] == ["cat"]


def test_a_class_is_named_only_above_the_average_and_safely() -> None:
    found = drawn(scored(0.05, 2, 0.5))
    sure = ClassGain("fox\n", 100, 0.2, found.gain + 0.01, 0.3)
    unsure = ClassGain("owl", 100, 0.2, found.gain - 0.01, 0.3)
    told = dataclasses.replace(found, per_class=(sure, unsure))
    assert told.most == ("fox\n",)
    assert told.class_line.endswith("most: fox\\n")


def test_the_line_fits_a_terminal_and_says_now_and_then() -> None:
    found = dataclasses.replace(drawn(scored(0.05, 2, 0.5)), n=10_000)
    assert len(found.line) <= 80
    twice = next(each for each in found.accuracy if each.forecast)
    assert found.line.startswith(f"Twice 10,000 pictures: {100 * twice.value:.1f} % (")
    assert f", fit now {100 * found.now:.1f}: " in found.line


@given(st.floats(0.3, 0.9), st.floats(0, 0.1), st.floats(-0.1, 0))
def test_the_line_adds_up_as_it_is_shown(now: float, gain: float, low: float) -> None:
    found = drawn(scored(0.05, 2, 0.5, n=60))
    twice = dataclasses.replace(found.accuracy[-2], value=now + gain)
    told = dataclasses.replace(
        found, accuracy=(found.accuracy[0], twice), now=now, gain=gain, gain_low=low
    )
    shown = re.fullmatch(r"Twice 800 pictures: (\S+) % .*, fit now (\S+): (\S+) .*", told.line)
    assert shown is not None
    then, before, gained = map(Decimal, shown.groups())
    assert then - before == gained
    assert "-0.0" not in told.line


def test_the_gain_is_the_difference_of_fitted_values() -> None:
    for seed in range(5):
        found = drawn(scored(0.05, 2, 0.5, seed=seed))
        twice = next(each for each in found.accuracy if each.forecast)
        assert found.gain == pytest.approx(twice.value - found.now)
        assert found.gain_low < found.gain < found.gain_high


def test_the_json_is_plain_and_holds_the_words() -> None:
    found = drawn(scored(0.05, 2, 0.5))
    kept = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert kept["schema"] == "fieldmark.learning_curve/1"
    assert kept["line"] == found.line
    assert len(kept["accuracy"]) == 7
