from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.training import design as design_module
from fieldmark.training.design import Design, in_memory, measure
from fieldmark.training.rows import Rows, deal_folds, row_weights, subset
from tests.training.blobs import blobs, rows_of, taken, with_copies


@st.composite
def any_rows(draw: st.DrawFn) -> Rows:
    n = draw(st.integers(2, 60))
    labels = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    groups = draw(st.lists(st.integers(0, 25), min_size=n, max_size=n))
    original = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    rows = rows_of(np.zeros((n, 1)), np.array(labels), np.array(groups))
    return replace(rows, original=np.array(original) | (np.arange(n) == 0))


@given(any_rows(), st.integers(2, 6), st.integers(0, 5))
def test_no_group_is_on_two_sides_of_a_fold(rows: Rows, n_folds: int, seed: int) -> None:
    folds = deal_folds(rows, n_folds, seed)
    for group in np.unique(rows.groups):
        assert len(set(folds[rows.groups == group])) == 1
    with_originals = np.isin(rows.groups, rows.groups[rows.original])
    assert (folds[~with_originals] == -1).all()
    if folds.max() >= 0:
        n = min(n_folds, len(np.unique(rows.groups[rows.original])))
        assert set(folds[rows.original]) == set(range(n))


@given(st.integers(2, 7), st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 9))
def test_classes_are_spread_evenly(n_folds: int, sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    folds = deal_folds(rows_of(np.zeros((len(labels), 1)), labels), n_folds, seed)
    if max(sizes) < 2:
        assert (folds == -1).all()
        return
    n_folds = min(n_folds, len(labels))
    for label in range(len(sizes)):
        held = np.bincount(folds[labels == label], minlength=n_folds)
        assert held.max() - held.min() <= 1
    held = np.bincount(folds, minlength=n_folds)
    assert held.max() - held.min() <= len(sizes)


@given(any_rows(), st.randoms(use_true_random=False))
def test_folds_depend_on_neither_order_nor_names_of_classes(rows: Rows, random: object) -> None:
    n = len(rows.labels)
    order = np.array(random.sample(range(n), n))  # type: ignore[attr-defined]
    folds = deal_folds(rows, 3, 0)
    assert np.array_equal(deal_folds(taken(rows, order), 3, 0), folds[order])
    renamed = replace(rows, labels=np.array([2, 0, 3, 1])[rows.labels])
    assert np.array_equal(deal_folds(renamed, 3, 0), folds)


def test_another_seed_deals_other_folds() -> None:
    rows = blobs(60, 2, 3)
    assert not np.array_equal(deal_folds(rows, 5, 0), deal_folds(rows, 5, 1))


@given(any_rows(), st.sampled_from(["none", "weights"]))
def test_weights_add_up_to_the_examples(rows: Rows, balance: str) -> None:
    weights = row_weights(rows, balance)
    pairs = {(g, c) for g, c in zip(rows.groups, rows.labels, strict=True)}
    expected = sum(
        max(1, rows.original[(rows.groups == g) & (rows.labels == c)].sum()) for g, c in pairs
    )
    assert weights.sum() == pytest.approx(expected)
    if balance == "weights":
        per_class = [weights[rows.labels == label].sum() for label in np.unique(rows.labels)]
        assert per_class == pytest.approx([per_class[0]] * len(per_class))


def test_a_subset_takes_whole_groups_and_the_same_share_of_every_class() -> None:
    rows = with_copies(taken(blobs(900, 2, 3), np.r_[0:900:3, 1:300:3, 2:30:3]), 1)
    which = subset(rows, 100, 0)
    chosen = taken(rows, which)
    assert np.array_equal(which, np.sort(which))
    assert np.bincount(chosen.labels[chosen.original]).tolist() == [74, 25, 10]
    assert set(np.bincount(chosen.groups)) == {0, 2}
    assert np.array_equal(subset(rows, 10_000, 0), np.arange(len(rows.labels)))


def test_columns_are_measured_in_blocks_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(101, 4)) * [1, 1e-3, 100, 0] + [0, 5, -1e4, 3]).astype(np.float32)
    weights = rng.uniform(0.1, 1, 101)
    monkeypatch.setattr(design_module, "BLOCK_ROWS", 17)
    scaling = measure(features, weights)
    wide = features.astype(np.float64)
    mean = np.average(wide, axis=0, weights=weights)
    deviation = np.sqrt(np.average((wide - mean) ** 2, axis=0, weights=weights))
    assert scaling.mean == pytest.approx(mean, rel=1e-12)
    assert scaling.inverse[:3] == pytest.approx(1 / deviation[:3], rel=1e-9)
    assert scaling.inverse[3] == 0


def test_blocks_from_disk_are_the_rows_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = blobs(50, 6, 2)
    scaling = measure(rows.features, np.ones(50))
    held = in_memory(rows.features, scaling, np.arange(50)).prefix(4)
    monkeypatch.setattr(design_module, "BLOCK_ROWS", 16)
    blocks = list(Design(rows.features, 7, scaling).prefix(4).blocks())
    assert [part for part, _ in blocks] == [slice(i, min(i + 16, 50)) for i in (0, 16, 32, 48)]
    ((_, whole),) = held.blocks()
    assert np.array_equal(np.concatenate([block for _, block in blocks]), whole)
    assert whole.shape == (50, 5)
    assert (whole[:, 0] == 1).all()


def test_raw_weights_answer_as_standardised_ones() -> None:
    rows = blobs(50, 6, 2)
    scaling = measure(rows.features, np.ones(50))
    ((_, block),) = in_memory(rows.features, scaling, np.arange(50)).prefix(4).blocks()
    inner = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    weights, bias = scaling.raw(inner)
    assert np.abs(rows.features[:, :4] @ weights + bias - block @ inner.T).max() < 1e-4
