"""Details tell a copy from a likeness: through brightness, cutting and clipping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.modalities.aligning import details_alike
from fieldmark.modalities.looking import look
from tests.photos import CHANGES, photo, png

SAME = np.eye(2, 3, dtype=np.float32)


def thumb(number: int, change: str = "") -> np.ndarray:
    picture = photo(number)
    return look(png(CHANGES[change](picture) if change else picture))["thumb"]


@pytest.mark.parametrize(
    "change", ["re-encoded", "half the size", "larger", "brighter", "darker", "flatter", "grey"]
)
def test_a_copy_in_the_same_frame_is_recognised(change: str) -> None:
    for number in range(5):
        assert details_alike(thumb(number, change), thumb(number), SAME) > 0.93


def test_a_part_is_recognised_where_it_was_cut_from() -> None:
    guess = np.array([[0.9, 0, 3.2], [0, 0.9, 3.2]], np.float32)
    for number in range(5):
        assert details_alike(thumb(number, "cut in the middle"), thumb(number), guess) > 0.95


def test_different_pictures_are_not_alike() -> None:
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    assert max(details_alike(thumb(a), thumb(b), SAME) for a, b in pairs) < 0.6


@settings(max_examples=25, deadline=None)
@given(gain=st.floats(0.4, 1.6), offset=st.integers(-60, 60), number=st.integers(0, 50))
def test_gain_and_offset_play_no_part_unless_they_clip_everything(
    gain: float, offset: int, number: int
) -> None:
    first = thumb(number)
    second = np.clip(first * gain + offset, 0, 255).astype(np.uint8)
    clipped = ((second < 5) | (second > 249)).mean()
    if clipped < 0.3:
        assert details_alike(second, first, SAME) > 0.9


def test_refining_is_kept_on_a_lead() -> None:
    first, moved = thumb(1), np.roll(thumb(1), 4, axis=1)
    assert details_alike(moved, first, SAME, slack=1.0) == 0
    assert details_alike(moved, first, SAME, slack=8.0) > 0.8


def test_a_flat_picture_is_like_nothing() -> None:
    flat = np.full((64, 64), 128, np.uint8)
    assert details_alike(flat, thumb(1), SAME) == 0
    assert details_alike(flat, flat, SAME) == 0


def test_what_hardly_overlaps_is_not_judged() -> None:
    away = np.array([[1, 0, 60], [0, 1, 60]], np.float32)
    assert details_alike(thumb(1), thumb(1), away) == 0


def test_a_drawing_in_black_and_white_can_be_a_copy() -> None:
    drawing = np.kron(np.random.default_rng(0).integers(0, 2, (16, 16)), np.ones((4, 4))) * 255
    assert details_alike(drawing.astype(np.uint8), drawing.astype(np.uint8), SAME) > 0.99
