"""What is promised of time and memory before a training, and how well it was kept. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fieldmark.training.events import Promised

SCHEMA: Final = "fieldmark.promise/1"
MISSED: Final = 0.25
"""Share of the time by which a promise may be wrong."""
NOTABLE_S: Final = 10.0
"""Seconds below which nobody minds."""
_SPREAD: Final = 0.2
"""Share of what is left by which it may vary: what else the computer does is not known."""
_ROUND: Final = 50 * 10**6
_MARGIN: Final = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Said at one moment of a command; seconds from its start, bytes of resident memory."""

    at_s: float
    training_s: float
    """From that moment to the end of training."""
    finish_s: float
    """From there to the report."""
    perhaps_s: float = 0.0
    """More, if something that is not decided yet turns out so."""
    memory: int
    pictures: int = 0
    """Of it, decoded pictures on disk."""
    rests_on: str

    @property
    def seconds(self) -> float:
        """Of the whole command.

        Examples
        --------
        >>> promise = Promise(at_s=10.0, training_s=80.0, finish_s=10.0, memory=0, rests_on="")
        >>> promise.seconds, promise.low, promise.high
        (100.0, 82.0, 118.0)
        """
        return self.at_s + self.training_s + self.finish_s

    @property
    def low(self) -> float:
        """The least that is likely."""
        return self.seconds - _SPREAD * (self.seconds - self.at_s)

    @property
    def high(self) -> float:
        """The most that is likely."""
        return self.seconds + _SPREAD * (self.seconds - self.at_s) + self.perhaps_s

    @property
    def memory_mb(self) -> int:
        """Rounded up: nobody counts the last megabytes.

        Examples
        --------
        >>> Promise(at_s=0, training_s=0, finish_s=0, memory=910_000_000, rests_on="").memory_mb
        1000
        """
        return -(-int(_MARGIN * self.memory) // _ROUND) * _ROUND // 10**6

    def event(self) -> Promised:
        """Return it as what is said."""
        return Promised(
            seconds=round(self.seconds, 1),
            low=round(self.low, 1),
            high=round(self.high, 1),
            memory_mb=self.memory_mb,
            pictures_mb=self.pictures // 10**6,
            rests_on=self.rests_on,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What it came to; seconds from the start of the command, bytes."""

    seconds: float
    trained_s: float
    memory: int
    checkpoint_s: float
    """Spent on keeping states."""


def compared(promises: Sequence[Promise], actual: Actual) -> dict[str, Any]:
    """Return what ``promise.json`` holds; the last promise is the one that counts."""
    last = promises[-1]
    real = {
        "prepare_s": last.at_s,
        "training_s": max(actual.trained_s - last.at_s, 0.0),
        "finish_s": actual.seconds - max(actual.trained_s, last.at_s),
    }
    return {
        "schema": SCHEMA,
        "promises": [
            {"at_s": round(each.at_s, 2)}
            | dataclasses.asdict(each.event())
            | {"prepare_s": round(each.at_s, 2), "training_s": round(each.training_s, 2)}
            | {"finish_s": round(each.finish_s, 2), "time_ratio": _ratio(actual.seconds, each)}
            for each in promises
        ],
        "actual": {
            "seconds": round(actual.seconds, 2),
            "memory_mb": round(actual.memory / 1e6, 1),
            "checkpoint_s": round(actual.checkpoint_s, 3),
            **{name: round(value, 2) for name, value in real.items()},
        },
        "time_ratio": _ratio(actual.seconds, last),
        "memory_ratio": round(actual.memory / 1e6 / last.memory_mb, 3),
        "held": abs(actual.seconds / last.seconds - 1) <= MISSED
        and actual.memory <= last.memory_mb * 10**6,
    }


def missed(promises: Sequence[Promise], actual: Actual) -> str:
    """Say by how much the last promise was missed; empty: it was kept, or there was none.

    Examples
    --------
    >>> promise = Promise(at_s=0.0, training_s=100.0, finish_s=0.0, memory=10**9, rests_on="")
    >>> missed([promise], Actual(seconds=120.0, trained_s=0.0, memory=10**9, checkpoint_s=0.0))
    ''
    >>> missed([promise], Actual(seconds=140.0, trained_s=0.0, memory=2 * 10**9, checkpoint_s=0.0))
    'It took 140 s, 40 % more than promised, and 2,000 MB of memory instead of 1,050.'
    """
    if not promises:
        return ""
    last, said = promises[-1], []
    off = actual.seconds / last.seconds - 1
    if abs(off) > MISSED and abs(actual.seconds - last.seconds) > NOTABLE_S:
        more = "more" if off > 0 else "less"
        said.append(f"{actual.seconds:,.0f} s, {100 * abs(off):.0f} % {more} than promised")
    if actual.memory > last.memory_mb * 10**6:
        said.append(f"{actual.memory / 1e6:,.0f} MB of memory instead of {last.memory_mb:,}")
    return f"It took {', and '.join(said)}." if said else ""


def _ratio(seconds: float, promise: Promise) -> float:
    return round(seconds / promise.seconds, 3)
