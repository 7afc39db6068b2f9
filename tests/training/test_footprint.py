"""The memory of a network, from its volumes alone; the factors were measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.networks import CATALOGUE
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.training import footprint
from fieldmark.training.footprint import MB

NET = plan(parse("INPUT 32x32x3 -> CONV 16 3x3 same -> BN -> RELU -> POOL 2x2 -> FC"), 3)


@given(st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 4096))
def test_more_pictures_never_need_less(batch: int, more: int, judged: int) -> None:
    less = footprint.training_bytes(NET, min(batch, more), judged)
    assert less <= footprint.training_bytes(NET, max(batch, more), judged)


@given(st.integers(0, 20_000))
def test_the_batch_that_fits_does_and_twice_as_many_do_not(room_mb: int) -> None:
    batch = footprint.fitting_batch(NET, room_mb * MB)
    if batch:
        assert footprint.training_bytes(NET, batch, batch) <= room_mb * MB
    if batch < 4096:
        larger = max(2 * batch, 1)
        assert footprint.training_bytes(NET, larger, larger) > room_mb * MB


@pytest.mark.parametrize(
    ("name", "size", "batch", "measured"),
    [
        ("small", 128, 32, 89),
        ("small", 128, 256, 547),
        ("tutorial", 64, 32, 31),
        ("tutorial", 64, 1024, 1664),
        ("residual", 128, 64, 268),
    ],
)
def test_a_step_is_never_said_to_need_less_than_was_measured(
    name: str, size: int, batch: int, measured: int
) -> None:
    made = plan(CATALOGUE[name].network(size=size, n_classes=2), 2)
    said = footprint.step_bytes(made, batch) / MB
    assert measured <= said <= 2.2 * measured
