"""Randomness is a function of its seed and its purpose; nothing else has a say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.rng import derive, uniforms

quiet = settings(deadline=None)
seeds = st.integers(0, 2**64)
keys = st.lists(st.one_of(st.text(max_size=6), st.integers(-5, 5)), max_size=3).map(tuple)
id_lists = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20, unique=True)


def as_ids(values: list[int]) -> NDArray[np.uint64]:
    return np.array(values, np.uint64)


def many(n: int = 20_000, *, seed: int = 7, n_draws: int = 3) -> NDArray[np.float64]:
    return uniforms(seed, "augment", 0, ids=np.arange(n, dtype=np.uint64), n_draws=n_draws)


# --- derive


@quiet
@given(seeds, keys)
def test_the_same_seed_and_purpose_draw_the_same(seed: int, key: tuple[str | int, ...]) -> None:
    assert derive(seed, *key).random(5).tolist() == derive(seed, *key).random(5).tolist()


@quiet
@given(seeds, keys, seeds, keys)
def test_another_seed_or_purpose_draws_something_else(
    seed: int, key: tuple[str | int, ...], other_seed: int, other_key: tuple[str | int, ...]
) -> None:
    words = [str(word) for word in (seed, *key)]
    assume(words != [str(word) for word in (other_seed, *other_key)])
    assert derive(seed, *key).random() != derive(other_seed, *other_key).random()


def test_what_was_drawn_before_has_no_influence() -> None:
    alone = derive(3, "order", 1).random(4)
    derive(3, "order", 0).random(1000)
    assert (derive(3, "order", 1).random(4) == alone).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("ab",)),
        (("a/b",), ("a", "b")),
        (("a", ""), ("a",)),
        ((1, 11), (11, 1)),
        (("1:a",), (":a", "1")),
    ],
)
def test_the_borders_between_words_count(
    one: tuple[str | int, ...], other: tuple[str | int, ...]
) -> None:
    assert derive(0, *one).random() != derive(0, *other).random()


def test_numpys_integers_mean_the_same_as_pythons() -> None:
    number = int(np.int64(3))
    assert derive(7, "epoch", np.int64(3)).random() == derive(7, "epoch", number).random()
    ids = as_ids([1, 2])
    one = uniforms(7, "epoch", np.int64(3), ids=ids, n_draws=2)
    assert (one == uniforms(7, "epoch", 3, ids=ids, n_draws=2)).all()


def test_another_process_draws_the_same() -> None:
    code = "from fieldmark.rng import derive; print(derive(7, 'order', 3).random())"
    path = ":".join(entry for entry in sys.path if entry)
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert set(printed) == {f"{derive(7, 'order', 3).random()}\n"}


def test_the_draws_stay_the_same_in_every_version() -> None:
    """The numbers were recorded once; others would make old runs unrepeatable."""
    assert derive(7, "order", 3).integers(1000, size=4).tolist() == [697, 695, 767, 117]
    found = uniforms(7, "augment", 2, ids=as_ids([5, 2**63]), n_draws=2)
    assert found.tolist() == [
        [0.31076981152622396, 0.27533122077451555],
        [0.6287713431311197, 0.6263811469871737],
    ]


# --- uniforms


@quiet
@given(seeds, keys, id_lists, st.integers(0, 5))
def test_draws_lie_from_zero_to_below_one(
    seed: int, key: tuple[str | int, ...], ids: list[int], n_draws: int
) -> None:
    found = uniforms(seed, *key, ids=as_ids(ids), n_draws=n_draws)
    assert found.shape == (len(ids), n_draws)
    assert found.dtype == np.float64
    assert ((found >= 0) & (found < 1)).all()


@quiet
@given(seeds, id_lists, st.randoms(use_true_random=False))
def test_neither_order_nor_company_changes_an_examples_draws(
    seed: int, ids: list[int], random: object
) -> None:
    together = uniforms(seed, "augment", 1, ids=as_ids(ids), n_draws=3)
    order = list(range(len(ids)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = uniforms(seed, "augment", 1, ids=as_ids([ids[at] for at in order]), n_draws=3)
    assert (shuffled == together[order]).all()
    for at, number in enumerate(ids):
        alone = uniforms(seed, "augment", 1, ids=as_ids([number]), n_draws=3)
        assert (alone[0] == together[at]).all()


@quiet
@given(seeds, id_lists, st.integers(1, 4), st.integers(0, 4))
def test_more_draws_leave_the_first_as_they_were(
    seed: int, ids: list[int], n_draws: int, n_more: int
) -> None:
    few = uniforms(seed, "augment", ids=as_ids(ids), n_draws=n_draws)
    more = uniforms(seed, "augment", ids=as_ids(ids), n_draws=n_draws + n_more)
    assert (more[:, :n_draws] == few).all()


@quiet
@given(seeds, id_lists)
def test_every_purpose_and_epoch_draws_anew(seed: int, ids: list[int]) -> None:
    draws = [
        uniforms(seed, purpose, epoch, ids=as_ids(ids), n_draws=2)
        for purpose in ("augment", "mix")
        for epoch in (0, 1)
    ]
    for at, one in enumerate(draws):
        assert all((one != other).all() for other in draws[at + 1 :])


def test_the_ids_are_left_as_they_were() -> None:
    ids = as_ids([3, 2**64 - 1])
    uniforms(0, "augment", ids=ids, n_draws=2)
    assert ids.tolist() == [3, 2**64 - 1]


def test_draws_fill_the_interval_evenly() -> None:
    found = many()
    counts = np.stack([np.histogram(column, bins=20, range=(0, 1))[0] for column in found.T])
    chi_square = ((counts - 1000) ** 2 / 1000).sum(axis=1)
    assert (chi_square < 43.8).all()  # 19 degrees of freedom: 1 in 1,000 is above
    assert np.allclose(found.mean(axis=0), 0.5, atol=0.01)
    assert np.allclose(found.var(axis=0), 1 / 12, atol=0.003)


def test_draws_of_neighbours_epochs_and_columns_have_nothing_in_common() -> None:
    found = many()
    later = uniforms(7, "augment", 1, ids=np.arange(20_000, dtype=np.uint64), n_draws=3)
    pairs = [
        (found[:-1, 0], found[1:, 0]),
        (found[:, 0], found[:, 1]),
        (found[:, 0], later[:, 0]),
        (found[:, 0], many(seed=8)[:, 0]),
    ]
    for one, other in pairs:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.03  # 4 standard errors
    assert len(np.unique(found)) == found.size
