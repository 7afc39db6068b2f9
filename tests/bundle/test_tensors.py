"""The table of safetensors data: what the library writes passes, and what it lists is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from fieldmark.bundle.tensors import Entry, table
from fieldmark.errors import BundleError

TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=9).filter("__metadata__".__ne__)
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(
    st.dictionaries(names, st.tuples(st.sampled_from(TYPES), shapes), max_size=5),
    st.none() | st.dictionaries(names, names, min_size=1, max_size=2),
)
def test_whatever_the_library_writes_passes(
    wanted: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str] | None
) -> None:
    data = save({k: np.zeros(shape, kind) for k, (kind, shape) in wanted.items()}, metadata)
    found = table("w", data)
    assert {name: entry.shape for name, entry in found.items()} == {
        name: shape for name, (_, shape) in wanted.items()
    }
    assert all(entry.n_numbers == np.prod(entry.shape, dtype=int) for entry in found.values())


@given(st.binary(max_size=60), st.integers(0, 80))
def test_any_bytes_end_as_a_verdict(data: bytes, size: int) -> None:
    try:
        found = table("w", size.to_bytes(8, "little") + data)
    except BundleError:
        return
    assert all(isinstance(entry, Entry) for entry in found.values())


def test_only_spaces_may_follow_the_table() -> None:
    for text, good in ((b"{}  ", True), (b"{}x", False), (b"{}\0", False)):
        data = len(text).to_bytes(8, "little") + text
        if good:
            assert table("w", data) == {}
        else:
            with pytest.raises(BundleError, match="is not JSON"):
                table("w", data)
