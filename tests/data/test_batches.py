from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.data import batches
from fieldmark.data.batches import Batches
from fieldmark.errors import UsageError
from fieldmark.modalities import augment
from fieldmark.modalities.augment import AUGMENTATIONS


def make(n: int = 50, *, channels: int = 3, **options: object) -> Batches:
    random = np.random.default_rng(0)
    n_rows = n + 7  # more rows than examples, as with a cache shared between parts
    fields: dict[str, object] = {
        "pixels": random.integers(0, 256, (n_rows, 10, 12, channels), dtype=np.uint8),
        "rows": random.permutation(n_rows)[:n],
        "labels": random.integers(0, 5, n),
        "ids": random.integers(0, 2**63, n).astype(np.uint64),
        "batch_size": 8,
        "seed": 3,
    }
    return Batches(**(fields | options))  # type: ignore[arg-type]


def joined(chosen: Batches, epoch: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pixels, labels = zip(*chosen.epoch(epoch), strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def n_workers() -> int:
    return sum(thread.name.startswith("fieldmark") for thread in threading.enumerate())


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 5))
@settings(max_examples=40)
def test_every_example_comes_once_an_epoch_with_its_label(n: int, size: int, epoch: int) -> None:
    chosen = make(n, batch_size=size)
    pixels, labels = joined(chosen, epoch)
    order = chosen.order(epoch)
    assert sorted(order.tolist()) == list(range(n))
    assert (labels == chosen.labels[order]).all()
    assert (pixels == chosen.pixels[chosen.rows[order]]).all()


@pytest.mark.parametrize(("n", "sizes"), [(16, [8, 8]), (17, [8, 8, 1]), (3, [3]), (0, [])])
def test_the_last_batch_may_be_smaller(n: int, sizes: list[int]) -> None:
    chosen = make(n)
    assert [len(labels) for _, labels in chosen.epoch(0)] == sizes
    assert chosen.n_batches == len(sizes)


def test_types_and_shapes_are_as_promised() -> None:
    for pixels, labels in make(augmentation=augment.LIGHT).epoch(0):
        assert pixels.dtype == np.uint8
        assert pixels.shape == (len(labels), 10, 12, 3)
        assert pixels.flags.c_contiguous
        assert labels.dtype == np.int64


@pytest.mark.parametrize("augmentation", [None, *AUGMENTATIONS.values()])
def test_neither_threads_nor_timing_can_be_seen(augmentation: augment.Augmentation | None) -> None:
    one = joined(make(augmentation=augmentation, threads=1), 4)
    four = joined(make(augmentation=augmentation, threads=4), 4)
    assert (one[0] == four[0]).all()
    assert (one[1] == four[1]).all()


def test_the_same_epoch_can_be_had_again() -> None:
    chosen = make(augmentation=augment.STRONG)
    assert (joined(chosen, 2)[0] == joined(chosen, 2)[0]).all()


def test_other_epochs_and_seeds_come_in_another_order() -> None:
    chosen = make()
    orders = [chosen.order(0), chosen.order(1), dataclasses.replace(chosen, seed=4).order(0)]
    assert len({tuple(order.tolist()) for order in orders}) == 3


def test_other_epochs_change_the_same_example_differently() -> None:
    chosen = make(augmentation=augment.LIGHT, shuffle=False)
    first, second = joined(chosen, 0)[0], joined(chosen, 1)[0]
    assert all((one != other).any() for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("size", [1, 7, 50])
def test_an_examples_change_depends_on_neither_order_nor_batch_size(size: int) -> None:
    chosen = make(augmentation=augment.STRONG)
    shuffled = joined(dataclasses.replace(chosen, batch_size=size), 1)[0]
    straight = joined(dataclasses.replace(chosen, shuffle=False), 1)[0]
    assert (shuffled == straight[chosen.order(1)]).all()


def test_an_examples_change_follows_its_content() -> None:
    chosen = make(augmentation=augment.STRONG, shuffle=False)
    half = dataclasses.replace(
        chosen, rows=chosen.rows[25:], labels=chosen.labels[25:], ids=chosen.ids[25:]
    )
    assert (joined(half)[0] == joined(chosen)[0][25:]).all()


def test_plain_batches_come_in_order_and_unchanged() -> None:
    chosen = make(augmentation=augment.STRONG).plain()
    for epoch in (0, 1):
        pixels, labels = joined(chosen, epoch)
        assert (pixels == chosen.pixels[chosen.rows]).all()
        assert (labels == chosen.labels).all()


def test_grey_pictures_are_changed_too() -> None:
    pixels, _ = joined(make(channels=1, augmentation=augment.LIGHT))
    assert pixels.shape == (50, 10, 12, 1)


def test_the_cache_is_not_written_to(tmp_path: Path) -> None:
    chosen = make(augmentation=augment.STRONG)
    np.save(tmp_path / "pixels.npy", chosen.pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    found = joined(dataclasses.replace(chosen, pixels=mapped))[0]
    assert (found == joined(chosen)[0]).all()
    assert (mapped == chosen.pixels).all()


def test_batches_own_their_arrays() -> None:
    chosen = make().plain()
    before = chosen.pixels.copy()
    for pixels, labels in chosen.epoch(0):
        pixels[...] = 0
        labels[...] = 0
    assert (chosen.pixels == before).all()
    assert chosen.labels.any()


def test_stopping_early_ends_the_threads() -> None:
    before = n_workers()
    stream: Iterator[batches.Batch] = make(400).epoch(0)
    next(stream)
    assert n_workers() > before
    stream.close()  # type: ignore[attr-defined]
    assert n_workers() == before


def test_an_epoch_run_to_its_end_leaves_no_threads() -> None:
    before = n_workers()
    joined(make())
    assert n_workers() == before


def test_an_iterator_that_was_never_used_starts_nothing() -> None:
    before = n_workers()
    make().epoch(0)
    assert n_workers() == before


def test_a_failure_arrives_and_ends_the_threads() -> None:
    before = n_workers()
    broken = make(rows=np.full(50, 10**6))
    with pytest.raises(IndexError, match="out of bounds"):
        joined(broken)
    assert n_workers() == before


@pytest.mark.parametrize(
    "fields", [{"batch_size": 0}, {"threads": 0}, {"labels": np.zeros(3, np.int64)}]
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="cannot be made") as caught:
        make(**fields)
    assert caught.value.code == "batches"


def test_ids_are_the_first_sixteen_digits() -> None:
    found = batches.ids_of(["ff" * 32, "00" * 7 + "01" + "ab" * 24])
    assert found.tolist() == [2**64 - 1, 1]
    assert found.dtype == np.uint64


# --- picture sizes


def test_each_batch_has_the_size_it_was_asked_for() -> None:
    chosen = make(20)
    shapes = [pixels.shape for pixels, _ in chosen.epoch(1, sizes=[6, 6, 10])]
    assert shapes == [(8, 6, 6, 3), (8, 6, 6, 3), (4, 10, 10, 3)]


def test_a_smaller_picture_is_made_of_the_same_example() -> None:
    chosen = make(16)
    usual = chosen.epoch(2)
    for small, labels in chosen.epoch(2, sizes=[5, 6]):
        pixels, same = next(usual)
        assert (labels == same).all()
        assert (small == augment.shrunk(pixels, *small.shape[1:3])).all()


def test_changes_are_drawn_the_same_at_every_size() -> None:
    """A flip of the whole picture, then made smaller, is a flip of the smaller one."""
    flips = augment.Augmentation(flip=True)
    chosen = make(24, augmentation=flips, pixels=make(24).pixels[:, :, :10].copy())
    large, _ = joined(chosen)
    small = np.concatenate([pixels for pixels, _ in chosen.epoch(0, sizes=[5, 5, 5])])
    assert (small == augment.shrunk(large, 5, 5)).all()


@given(st.integers(1, 40), st.integers(1, 9), st.data())
@settings(max_examples=30, deadline=None)
def test_an_epoch_can_be_entered_at_any_batch(n: int, size: int, data: st.DataObject) -> None:
    entire = make(n, batch_size=size)
    whole = list(entire.epoch(2))
    first = data.draw(st.integers(0, len(whole)))
    entered = list(entire.epoch(2, first=first))
    assert len(entered) == len(whole) - first
    for (pixels, labels), (expected, wanted) in zip(entered, whole[first:], strict=True):
        assert (pixels == expected).all()
        assert (labels == wanted).all()


def test_a_batch_has_its_own_size_wherever_the_epoch_is_entered() -> None:
    entered = make(9, batch_size=3).epoch(0, sizes=(4, 5, 6), first=1)
    shapes = [pixels.shape[1] for pixels, _ in entered]
    assert shapes == [5, 6]
