from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.evaluation.fact_parts import FEW, MOST_VALUES, parts

NUMBERS = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.integers(0, 4).map(float), st.just(float("nan"))),
    min_size=1,
    max_size=160,
)


def sizes(found):
    return np.bincount(found.of[found.of >= 0], minlength=len(found.names)).tolist()


@given(NUMBERS)
@settings(max_examples=150)
def test_numbers_are_cut_in_order_and_equal_ones_stay_together(values):
    given_ = np.array(values)
    found = parts("depth", given_)
    known = np.isfinite(given_)
    assert found.known.tolist() == known.tolist()
    assert (found.of[~known] == -1).all()
    if not found.names:
        assert found.note
        return
    assert 2 <= len(found.names) <= 4
    assert min(sizes(found)) >= FEW
    ends = [
        (given_[found.of == at].min(), given_[found.of == at].max())
        for at in range(len(found.names))
    ]
    assert all(one[1] < other[0] for one, other in pairwise(ends))


@pytest.mark.parametrize(
    ("n", "name", "n_parts"), [(400, "quarter", 4), (60, "third", 3), (45, "half", 2)]
)
def test_the_fewer_pictures_the_fewer_parts(n, name, n_parts):
    found = parts("depth", np.arange(float(n)))
    assert len(found.names) == n_parts
    assert found.names[0].startswith(f"lowest {name} (below ")
    assert found.names[-1].startswith(f"highest {name} (")
    assert max(sizes(found)) - min(sizes(found)) <= 2


def test_the_words_say_which_quarter_and_where_it_ends():
    assert parts("brightness", np.arange(200.0)).names == (
        "darkest quarter (mean grey below 50 of 255)",
        "second darkest quarter (mean grey 50 to 100 of 255)",
        "second brightest quarter (mean grey 100 to 150 of 255)",
        "brightest quarter (mean grey 150 and more of 255)",
    )
    assert (
        parts("size", np.arange(60.0) * 1000).names[1] == "middle third (20,000 to 40,000 pixels)"
    )


def test_many_equal_numbers_are_one_part_with_its_share():
    found = parts("JPEG quality", np.array([95.0] * 300 + list(range(50, 90)) * 1))
    assert found.names == (
        "most compressed 12 % (quality below 95 of 100)",
        "least compressed 88 % (quality 95 of 100)",
    )


def test_three_different_numbers_are_three_parts():
    assert parts("petals", np.repeat([3, 5, 8], 30)).names == (
        "lowest third (3)",
        "middle third (5)",
        "highest third (8)",
    )


def test_words_are_parts_and_rare_ones_are_one_together():
    words = ["a"] * 50 + ["b"] * 30 + ["c"] * 15 + ["d"] * 10 + [""] * 5
    found = parts("lens", words)
    assert found.names == ("a", "b", "2 other values")
    assert sizes(found) == [50, 30, 25]
    assert not found.known[-5:].any()


def test_rare_words_that_are_few_together_are_said():
    found = parts("lens", ["a"] * 50 + ["b"] * 30 + ["c"] * 3)
    assert found.names == ("a", "b")
    assert found.note == "lens: 1 value of fewer than 20 pictures, 3 in all."
    assert (found.of[-3:] == -1).all()
    assert found.known.all()


def test_of_very_many_words_the_most_frequent_are_parts():
    words = [f"w{at:02}" for at in range(MOST_VALUES + 10) for _ in range(FEW)] + ["w59"]
    found = parts("lens", words)
    assert len(found.names) == MOST_VALUES + 1
    assert found.names[0] == "w59"
    assert found.names[-1] == "10 other values"


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (["a"] * 80 + ["b"] * 5, "lens: no two values of 20 pictures each among 85 pictures."),
        (["a"] * 80, "lens: the same for all of 80 pictures."),
        ([""] * 80, "lens: not known of any picture."),
        (
            [f"{at}" for at in range(80)],
            "lens: no two values of 20 pictures each among 80 pictures.",
        ),
        (np.full(80, 7.0), "lens: the same for all of 80 pictures."),
        (np.arange(30.0), "lens: no two values of 20 pictures each among 30 pictures."),
    ],
)
def test_a_fact_without_two_parts_says_why(values, note):
    found = parts("lens", values)
    assert found.names == ()
    assert found.note == note
