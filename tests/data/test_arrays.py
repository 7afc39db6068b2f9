"""Mapped arrays of the cache: what was written is read, and damage is always the same error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fieldmark.data.arrays import mapped


def test_an_array_is_mapped_as_it_was_written(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(tmp_path / "a.npy", array)
    found = mapped(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, array)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


LONG = "{'descr': '|u1', 'fortran_order': False, 'shape': (10L,), }\n"
"""Of Python 2, which NumPy warns of."""


@pytest.mark.parametrize(
    "header",
    ['"""', "(\n", "  a\n b\n", "(" * 5000, "{'descr': '<f4', 'shape': (99999999999999,)}", LONG],
)
def test_a_header_that_is_none_is_a_value_error(header: str, tmp_path: Path) -> None:
    text = header.encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(ValueError, match=r"."):
        mapped(tmp_path / "a.npy")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([print]), allow_pickle=True)
    with pytest.raises(ValueError, match="header"):
        mapped(tmp_path / "a.npy")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 127), value=st.integers(0, 255))
def test_any_changed_byte_of_the_header_is_an_array_or_a_value_error(
    at: int, value: int, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 4), np.uint8))
    data = bytearray((tmp_path / "a.npy").read_bytes())
    data[at] = value
    (tmp_path / "a.npy").write_bytes(data)
    try:
        assert isinstance(mapped(tmp_path / "a.npy"), np.ndarray)
    except ValueError:
        return
