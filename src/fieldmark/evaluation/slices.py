"""Kinds of pictures on which a model is worse than elsewhere, with care for having looked at many. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fieldmark.evaluation.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The test pictures that share one value of one fact."""

    fact: str
    """``brightness``, ``size``, ``group``, or the name of a column of the user's table."""
    value: str
    """For people: ``darkest quarter (below 61 of 255)``."""
    accuracy: Measurement
    rest: Measurement
    """Accuracy of all other pictures that have the fact."""
    p_value: float
    """That slice and rest differ so much by chance."""
    p_adjusted: float
    """The same, for all slices that were looked at together (Holm)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """All slices that were looked at, the most telling first."""

    found: tuple[Slice, ...]
    n_facts: int
    not_looked_at: tuple[str, ...] = ()
    """Facts without two values of enough pictures each, one sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """One training picture that lies near a test picture."""

    file: str
    """Relative to the data folder."""
    label: str
    similarity: float
    """Cosine of the two rows of features, in [-1, 1]."""
