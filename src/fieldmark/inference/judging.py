"""From what a network gives to scores, a decision and its reason. Pure.

The temperature is applied here, behind the graph, so the graph computes what was trained and the
proof of their equality holds; decisions are made on logits, which no temperature changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.bundle import Bundle
from fieldmark.errors import BundleError
from fieldmark.evaluation.calibration import softmax
from fieldmark.evaluation.decision import Decision, margins
from fieldmark.evaluation.unknown import Familiar, distances
from fieldmark.inference.prediction import LabelScore, Strangeness
from fieldmark.inference.runtime import Output, Outputs

_MAX_TIMES: Final = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What is said of n pictures."""

    scores: NDArray[np.float32]
    """(n, n_classes): calibrated, rows sum to 1."""
    logits: NDArray[np.float32]
    """(n, n_classes)"""
    strangeness: NDArray[np.float64] | None
    """(n,): the distance from known pictures as a share of what counts as unknown; from 1 on a
    picture is unknown. None: that is not judged."""
    decisions: tuple[Decision | None, ...]
    """One per picture; None: the model file does not say how."""
    features: NDArray[np.float32] | None = None
    """(n, n_features): what the last layer saw; None unless it was asked for."""


class Judge:
    """The rules of one model file; final."""

    def __init__(self, bundle: Bundle) -> None:
        self._classes = bundle.classes
        self._rules = bundle.thresholds
        self._known = Familiar(**bundle.unknown) if bundle.unknown else None

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the network has to give for a decision."""
        return ("logits",) if self._known is None else ("logits", "features")

    def scores(self, given: Outputs, n: int) -> NDArray[np.float32]:
        """Return calibrated scores (n, n_classes).

        Raises
        ------
        BundleError
            ``model-damaged`` if the network gives something that is not one finite number per
            class.
        """
        return softmax(self._logits(given, n), self._rules.temperature).astype(np.float32)

    def _logits(self, given: Outputs, n: int) -> NDArray[np.float32]:
        logits = given.logits
        if logits is None or logits.shape != (n, len(self._classes)):
            raise _damaged("one finite number per class")
        if not np.isfinite(logits).all():
            raise _damaged("one finite number per class")
        return logits

    def judged(self, given: Outputs, n: int) -> Judged:
        """Decide on n pictures.

        Raises
        ------
        BundleError
            ``model-damaged``, also for features that do not fit what the file says of them.
        """
        logits = self._logits(given, n)
        strangeness = self._strangeness(given, n)
        rules = self._rules
        decisions: list[Decision | None] = [None] * n
        if rules.decides:
            limit = math.inf if rules.margin is None else rules.margin
            decisions = ["accept" if ahead >= limit else "unsure" for ahead in margins(logits)]
            if strangeness is not None:
                strange = strangeness >= 1
                decisions = [
                    "unknown" if odd else said for odd, said in zip(strange, decisions, strict=True)
                ]
        scores = softmax(logits, rules.temperature).astype(np.float32)
        return Judged(
            scores=scores,
            logits=logits,
            strangeness=strangeness,
            decisions=tuple(decisions),
        )

    def _strangeness(self, given: Outputs, n: int) -> NDArray[np.float64] | None:
        if self._known is None or self._rules.distance is None:
            return None
        features, width = given.features, self._known.means.shape[1]
        if features is None or features.shape != (n, width) or not np.isfinite(features).all():
            raise _damaged(f"{width} finite features")
        return distances(self._known, features) / self._rules.distance

    def ood(self, judged: Judged, at: int) -> Strangeness | None:
        """Return how strange one picture is."""
        if judged.strangeness is None:
            return None
        score = float(judged.strangeness[at])
        return Strangeness(round(score, 6), score >= 1)  # the sums of other batches differ beyond

    def reason(self, judged: Judged, at: int) -> str:
        """Say in words why one picture was decided on as it was."""
        rules, decision = self._rules, judged.decisions[at]
        if decision is None:
            return "The model file does not say which answers are sure enough."
        if decision == "unknown" and judged.strangeness is not None and rules.share is not None:
            return (
                f"It is unlike the pictures the model knows: {judged.strangeness[at]:.1f} times as "
                f"far from them as {100 * (1 - rules.share):g} % of them are."
            )
        if rules.margin is None or rules.error is None:
            return rules.text or "Nothing could be promised of this model's answers."
        sure = f"at most {100 * rules.error:.3g} % errors"
        ahead = float(margins(judged.logits[at : at + 1])[0])
        if decision == "accept":
            return f"It is as clear as the answers with {sure}."
        first, second = (self._classes[i] for i in np.argsort(-judged.logits[at])[:2])
        return (
            f"{first} scores {self._times(ahead)} as much as {second}; "
            f"{self._times(rules.margin)} is needed for {sure}."
        )

    def _times(self, margin: float) -> str:
        """Say a lead in logits as the ratio of two calibrated scores."""
        ratio = math.exp(min(margin / self._rules.temperature, 50.0))
        if ratio > _MAX_TIMES:
            return f"more than {_MAX_TIMES:,.0f} times"
        return f"{ratio:.2f} times" if ratio < 10 else f"{ratio:,.0f} times"

    def members(self, judged: Judged, at: int) -> tuple[LabelScore, ...] | None:
        """Return the prediction set of one picture; None where the file has no rule for it."""
        if self._rules.set_margin is None:
            return None
        logits = judged.logits[at].astype(np.float64)
        order = np.argsort(-judged.scores[at], kind="stable")
        near = [i for i in order if logits.max() - logits[i] <= self._rules.set_margin]
        return tuple(LabelScore(self._classes[i], float(judged.scores[at, i])) for i in near)


def _damaged(what: str) -> BundleError:
    return BundleError(
        f"The network does not give {what}.",
        code="model-damaged",
        why="No score or decision can be made of that.",
        hint="train again, or write the model file anew from its run",
    )
