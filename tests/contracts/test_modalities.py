"""Promises every kind of data keeps; a new entry of MODALITIES is tested by being there."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.errors import UnreadableExample
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec, Modality

SPEC = InputSpec(height=12, width=16)


def attempt(
    modality: Modality, data: bytes
) -> tuple[NDArray[np.uint8] | None, UnreadableExample | None]:
    try:
        return modality.decode(data, SPEC), None
    except UnreadableExample as error:
        return None, error


@pytest.mark.parametrize("modality", MODALITIES.values(), ids=MODALITIES)
class TestModality:
    def test_its_name_is_its_key(self, modality: Modality) -> None:
        assert MODALITIES[modality.name] is modality

    def test_its_suffixes_are_lower_case_with_a_dot(self, modality: Modality) -> None:
        assert modality.suffixes
        for suffix in modality.suffixes:
            assert suffix.startswith(".")
            assert suffix == suffix.lower()

    @given(data=st.binary(max_size=200))
    def test_decoding_fills_exactly_the_promised_array_or_gives_a_reason(
        self, modality: Modality, data: bytes
    ) -> None:
        found, problem = attempt(modality, data)
        if problem is not None:
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", problem.code)
            assert problem.what
        else:
            assert found is not None
            assert found.shape == SPEC.shape
            assert found.dtype == np.uint8

    def test_nothing_is_not_an_example(self, modality: Modality) -> None:
        with pytest.raises(UnreadableExample, match="empty") as caught:
            modality.decode(b"", SPEC)
        assert caught.value.code == "empty-file"

    def test_no_two_modalities_claim_a_suffix(self, modality: Modality) -> None:
        others = [other for other in MODALITIES.values() if other is not modality]
        claimed = set(itertools.chain.from_iterable(other.suffixes for other in others))
        assert not modality.suffixes & claimed
