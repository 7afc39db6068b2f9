"""How a model's right to say "unsure" does on pictures it never saw; JSON in and out. Pure.

Beside the accuracy of all answers a report says how many are accepted, how many of those are wrong,
how many are called unknown, and whether the scores are what they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldmark import rng
from fieldmark.evaluation.calibration import Bin, Reliability, reliability, uncalibrated
from fieldmark.evaluation.decision import Decision
from fieldmark.evaluation.intervals import wilson_rate
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.measures import Sample, share
from fieldmark.evaluation.metrics import Labels, Probs
from fieldmark.evaluation.resampling import Resampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What :func:`measure_doubt` found."""

    coverage: Measurement
    """Share of the pictures whose answer was accepted."""
    error: Measurement | None
    """Share of wrong answers among the accepted; None: none was accepted."""
    unknown: Measurement
    """Share of the pictures, all of known classes, that were called unknown."""
    before: Reliability
    """Of the scores as the network gives them."""
    after: Reliability
    """Of the calibrated scores."""
    promise: str
    """What the model file promises, in words."""

    def lines(self, width: int = 80) -> list[str]:
        """Write it as plain text, a few lines of at most ``width`` columns, 60 or more."""
        rows = [("accepted", self.coverage), ("wrong of them", self.error)]
        told = [(name, each) for name, each in [*rows, ("unknown", self.unknown)] if each]
        found = [f"  {name:<13} {each.text:<7}  ({each.interval})" for name, each in told]
        after = self.after
        calibrated = f"  {'ECE':<13} {after.ece:<7.3f}  ({after.low:.3f} to {after.high:.3f}"
        chance = f"by chance up to {after.null_high:.3f})"
        whole = f"{calibrated}; {chance}"
        return [
            *found,
            *([whole] if len(whole) <= width else [f"{calibrated};", f"{'':26}{chance}"]),
        ]

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Doubt:
        """Read what ``dataclasses.asdict`` gives.

        Raises
        ------
        KeyError, TypeError, ValueError
            For fields that are missing or misshapen.
        """
        error = fields["error"]
        return cls(
            coverage=Measurement.from_dict(fields["coverage"]),
            error=Measurement.from_dict(error) if error else None,
            unknown=Measurement.from_dict(fields["unknown"]),
            before=_reliability(fields["before"]),
            after=_reliability(fields["after"]),
            promise=str(fields["promise"]),
        )


def measure_doubt(
    scores: Probs,
    labels: Labels,
    decisions: Sequence[Decision | None],
    *,
    temperature: float,
    promise: str,
    seed: int | Resampling,
) -> Doubt | None:
    """Measure decisions and calibration on pictures with known labels.

    Parameters
    ----------
    scores : float array of shape (n, n_classes)
        Calibrated.
    labels : int array of shape (n,)
    decisions : sequence of n
    temperature : float
        With which they were calibrated.
    promise : str
        The model file's words.
    seed : int or Resampling
        Of the resampling; a :class:`Resampling` says too which pictures belong together, and every
        interval then counts groups.

    Returns
    -------
    Doubt or None
        None where there are no decisions: the model file is older.
    """
    if any(each is None for each in decisions):
        return None
    drawn = seed if isinstance(seed, Resampling) else Resampling(seed)
    sample = Sample.of(scores, labels, drawn)
    accepted = np.array([each == "accept" for each in decisions])
    unknown = np.array([each == "unknown" for each in decisions])
    raw = sample.scores if temperature == 1 else uncalibrated(sample.scores, temperature)

    def calibration(probs: Probs) -> Reliability:
        draw = rng.derive(drawn.seed, "calibration")
        return reliability(probs, sample.truth, groups=sample.groups, rng=draw)

    return Doubt(
        coverage=share("coverage", sample, accepted),
        error=share("error among accepted", sample, ~sample.right, accepted)
        if accepted.any()
        else None,
        unknown=share("unknown", sample, unknown),
        before=calibration(raw),
        after=calibration(sample.scores),
        promise=promise,
    )


def _reliability(fields: dict[str, Any]) -> Reliability:
    numbers = ("ece", "low", "high", "null_mean", "null_high")
    found = {name: float(fields[name]) for name in numbers}
    bins = tuple(
        Bin(
            int(each["n"]),
            float(each["score"]),
            float(each["accuracy"]),
            # Reports of before have no interval here: Wilson's of the pictures.
            *(float(each[end]) for end in ("low", "high"))
            if "low" in each
            else wilson_rate(float(each["accuracy"]), int(each["n"])),
        )
        for each in fields["bins"]
    )
    if not np.isfinite([*found.values(), *(x for b in bins for x in (b.score, b.accuracy))]).all():
        raise ValueError("the calibration is not finite")
    return Reliability(bins=bins, n=int(fields["n"]), **found)
