import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.errors import UsageError
from fieldmark.evaluation.nearest import nearest


def some(seed, n, width=6):
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


@given(st.integers(0, 999), st.integers(1, 40), st.integers(1, 5), st.integers(1, 50))
def test_blocks_change_nothing_and_the_answer_is_that_of_all_cosines(seed, n_known, k, block):
    rows, known = some(seed, 7), some(seed + 1, n_known)
    at, cosine = nearest(rows, known, k, block=block)
    lengths = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(known, axis=1)
    every = rows @ known.T / lengths
    assert at.shape == cosine.shape == (7, min(k, n_known))
    np.testing.assert_allclose(cosine, -np.sort(-every, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(every, at, axis=1), cosine, atol=1e-5)


def test_length_plays_no_part_and_a_row_finds_itself():
    known = some(0, 20)
    at, cosine = nearest(known * 7, known, 1)
    assert at[:, 0].tolist() == list(range(20))
    np.testing.assert_allclose(cosine, 1, atol=1e-6)
    assert cosine.max() <= 1


def test_only_the_rows_that_are_asked_for_count():
    known, among = some(0, 20), np.array([3, 17, 5])
    at, _ = nearest(known[:4], known, 2, among=among)
    assert set(at.ravel().tolist()) <= set(among.tolist())
    assert at[3, 0] == 3


def test_of_equally_near_ones_the_first_comes_first():
    at, _ = nearest(np.ones((1, 2), np.float32), np.ones((9, 2), np.float32), 3, block=2)
    assert at.tolist() == [[0, 1, 2]]


def test_only_the_first_columns_count_where_more_are_kept():
    known = np.array([[1, 0, 0, 50], [0, 1, 0, 0]], np.float32)
    at, cosine = nearest(known[:1, :3], known, 1)
    assert at.tolist() == [[0]]
    assert cosine.tolist() == [[1.0]]


def test_a_row_of_zeros_is_near_to_nothing():
    _, cosine = nearest(np.zeros((1, 3), np.float32), some(0, 4, 3), 2)
    assert cosine.tolist() == [[0.0, 0.0]]


def test_no_rows_give_no_answers():
    at, _ = nearest(np.zeros((0, 3), np.float32), some(0, 4, 3), 2)
    assert at.shape == (0, 2)
    assert nearest(some(0, 4, 3), np.zeros((0, 3), np.float32))[0].shape == (4, 0)


@pytest.mark.parametrize(("width", "k", "block"), [(9, 1, 4), (6, 0, 4), (6, 1, 0)])
def test_other_features_and_impossible_numbers_are_refused(width, k, block):
    with pytest.raises(UsageError, match="cannot be found") as caught:
        nearest(some(0, 3, width), some(1, 5), k, block=block)
    assert caught.value.code == "bad-rows"
