"""How fast a training goes: measured on its own steps, so that nothing is computed for it alone.

The steps are those of the range test, or the first ones of the first epoch. One validation batch is
answered ahead of its time. No weight and no random state changes, so the end has the same bytes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

import keras

from fieldmark.data.batches import Batches
from fieldmark.training import schedule
from fieldmark.training.fitted import Pace, Told
from fieldmark.training.judging import answer

MEASURED_STEPS: Final = 10
"""Steps that say how long a step takes, where there is no range test."""
_TRACING_STEPS: Final = 2
"""At the beginning, which also build the graph; that is not what later ones take."""
_LONG_S: Final = 2.0
"""Seconds that a validation batch may take ahead of its time."""
FORWARD_SHARE: Final = 1 / 3
"""Of a training step: what the answers to as many pixels take."""


@dataclass
class Pacing:
    """Counts the seconds of steps until there are enough to say how long all of them take."""

    tell: Told | None
    """None: nobody wants to know, and nothing is measured."""
    spent: dict[int, list[float]] = field(default_factory=dict)
    """Seconds of single steps by the size of their pictures."""

    @property
    def waiting(self) -> bool:
        """Whether steps are still to be counted."""
        return self.tell is not None

    def step(self, size: int, seconds: float) -> bool:
        """Count a step; return whether there are enough now."""
        self.spent.setdefault(size, []).append(seconds)
        return sum(map(len, self.spent.values())) >= MEASURED_STEPS

    def measured(
        self,
        model: keras.Model,
        valid: Batches,
        sizes: tuple[int, ...],
        left: tuple[int, int],
        *,
        step_s: float | None = None,
    ) -> None:
        """Say it, once.

        Parameters
        ----------
        model : keras.Model
        valid : Batches
        sizes : tuple of int
            Of pictures in the steps that are left; empty: the network's.
        left : tuple of int
            Steps and epochs.
        step_s : float, optional
            Seconds of a step, where a range test knows it.
        """
        tell, self.tell = self.tell, None
        if tell is None:
            return
        n = 0
        if step_s is None:
            n = sum(map(len, self.spent.values()))
            later = {s: each[_TRACING_STEPS:] or each for s, each in self.spent.items()}
            step_s = schedule.step_seconds(later, sizes)
        picture_s = _answered(model, valid)
        tell(
            Pace(
                n_measured=n,
                step_s=step_s,
                steps_left=left[0],
                judge_s=picture_s * len(valid.rows),
                judgements_left=left[1],
                picture_s=picture_s,
                n_sizes=len(set(sizes)) or 1,
            )
        )


def _answered(model: keras.Model, valid: Batches) -> float:
    """Return the seconds of one answer; the first batch also builds the graph."""
    seconds = 0.0
    batches = valid.epoch(0)
    pixels, _ = next(batches)
    for _ in range(2):
        began = time.monotonic()
        answer(model, pixels)
        seconds = time.monotonic() - began
        if seconds > _LONG_S / 2:
            break
    return seconds / len(pixels)
