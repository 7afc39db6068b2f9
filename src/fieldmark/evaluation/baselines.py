"""What simple rules reach on the same pictures, beside every result. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fieldmark.evaluation.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One simple rule, or an earlier model, on the pictures the report is about."""

    name: str
    """For people, short: ``most frequent class``, ``colours``, ``nearest picture``, ``flowers-1``."""
    what: str
    """One sentence on what it does with a picture."""
    accuracy: Measurement
    ahead: Measurement | None
    """Accuracy of the model minus that of the rule, paired picture by picture; in [-1, 1]. None
    where the pictures are not all the same ones."""
