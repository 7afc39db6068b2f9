"""Sizes and formats of many pictures, from one look at each."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.modalities.looking import LOOK, look
from fieldmark.modalities.shapes import Span, shapes
from tests.pictures import png

FIELDS = ["width", "height", "n_bytes", "format"]
ROW = st.tuples(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.integers(0, 2**40),
    st.sampled_from([b"JPEG", b"PNG", b""]),
)


def rows(listed):
    return np.array(listed, [(name, LOOK[name]) for name in FIELDS])


def test_no_pictures_have_no_shapes():
    assert shapes(rows([])) is None


@given(st.lists(ROW, min_size=1, max_size=30))
def test_the_numbers_are_those_of_the_pictures(listed):
    found = shapes(rows(listed))
    assert found.n == len(listed) == sum(found.formats.values())
    for at, span in enumerate((found.width, found.height, found.size)):
        column = sorted(each[at] for each in listed)
        assert (span.low, span.high) == (column[0], column[-1])
        assert span.median == column[(len(column) - 1) // 2]
    assert found.n_sizes == len({each[:2] for each in listed})
    assert list(found.formats.values()) == sorted(found.formats.values(), reverse=True)


@given(st.lists(ROW, min_size=1, max_size=10), st.randoms())
def test_the_order_of_the_pictures_changes_nothing(listed, random):
    mixed = listed[:]
    random.shuffle(mixed)
    assert shapes(rows(listed)) == shapes(rows(mixed))


def test_a_format_that_is_not_known_is_called_so():
    found = shapes(rows([(1, 1, 1, b""), (1, 1, 1, b"PNG"), (2, 1, 1, b"PNG")]))
    assert found.formats == {"PNG": 2, "unknown": 1}


def test_a_real_look_fits():
    data = png("circle", 0)
    record = np.array([look(data)], LOOK)
    found = shapes(record)
    assert found.formats == {"PNG": 1}
    assert found.size == Span(len(data), len(data), len(data))
    assert found.width == Span(*[int(record["width"][0])] * 3)
