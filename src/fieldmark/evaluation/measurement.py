"""A number with its doubt: the only kind of number a report accepts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldmark.evaluation.wording import counted, percent, printable


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with its doubt.

    Examples
    --------
    >>> print(Measurement("accuracy", 0.7461, 0.711, 0.778, 646))
    accuracy 74.6 % (71.1 to 77.8, 646 pictures)
    """

    name: str
    value: float
    low: float
    """The interval's ends, in the unit of ``value``."""
    high: float
    n: int
    """Examples behind it."""
    level: float = 0.95
    """Share of such intervals that hold the truth."""
    method: str = "Wilson"
    """How the interval was made: ``Wilson`` or ``BCa bootstrap``."""
    unit: str = "fraction"
    """``fraction`` is shown as a percentage, ``nats`` and ``score`` as they are."""
    n_groups: int | None = None
    """Groups that the examples came in and the interval counts; None where each stands alone."""

    @property
    def text(self) -> str:
        """The value alone, as people read it: ``74.6 %`` or ``0.741``."""
        return percent(self.value) if self.unit == "fraction" else f"{self.value:.3f}"

    @property
    def interval(self) -> str:
        """The interval as people read it, without a unit: ``71.1 to 77.8``."""
        low, high = self._ends()
        return f"{low} to {high}"

    @property
    def short_interval(self) -> str:
        """The same for narrow tables: ``71.1-77.8``."""
        return "-".join(self._ends())

    def _ends(self) -> tuple[str, str]:
        if self.unit == "fraction":
            return (f"{100 * self.low:.1f}", f"{100 * self.high:.1f}")
        return (f"{self.low:.3f}", f"{self.high:.3f}")

    def __str__(self) -> str:
        groups = "" if self.n_groups is None else f" in {counted(self.n_groups, 'group')}"
        return f"{printable(self.name)} {self.text} ({self.interval}, {counted(self.n)}{groups})"

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Measurement:
        """Read the fields by name; others are passed over, those added later may be missing.

        Raises
        ------
        KeyError, TypeError, ValueError
            A field is missing or misshapen.
        """
        found = cls(
            name=str(fields["name"]),
            value=float(fields["value"]),
            low=float(fields["low"]),
            high=float(fields["high"]),
            n=int(fields["n"]),
            level=float(fields["level"]),
            method=str(fields["method"]),
            unit=str(fields["unit"]),
            n_groups=maybe_int(fields.get("n_groups")),
        )
        if not np.isfinite([found.value, found.low, found.high]).all():
            raise ValueError(f"{found.name} is not a finite number")
        return found


def maybe_int(value: Any) -> int | None:
    """Read a whole number that may be missing."""
    return None if value is None else int(value)
