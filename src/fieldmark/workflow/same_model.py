"""Two model files held against each other, part by part, and by how much they differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fieldmark import bundle as bundles
from fieldmark.bundle import Bundle
from fieldmark.errors import DataError
from fieldmark.evaluation.comparison_lines import points
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.paired import accuracy_difference
from fieldmark.evaluation.report import Report
from fieldmark.workflow import own_answers
from fieldmark.workflow.comparing import groups_of

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Sameness:
    """What is the same in two model files."""

    model_id: str
    """Of the second."""
    same: tuple[str, ...]
    """Parts that are the same bytes."""
    different: tuple[str, ...]
    """Parts that are not, or that one of them lacks."""
    weights: float | None
    """Largest difference of a weight; None: they do not have the same arrays."""
    largest_weight: float
    """Of the first, to hold that against."""
    before: Measurement | None
    """Accuracy of the first on its test part; None: it does not say."""
    after: Measurement | None
    accuracy: Measurement | None
    """Difference on the same test pictures; None: the first one's answers are not known."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are stable."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Print it, one fact a line."""
        n = len(self.same) + len(self.different)
        lines = [f"parts     {len(self.same)} of {n} are the same bytes"]
        if not self.different:
            return lines
        lines += [f"differs   {name}" for name in self.different]
        if self.weights is None:
            lines.append("weights   of another shape")
        elif self.weights:
            lines.append(
                f"weights   differ by {self.weights:.2g} at most; the largest is "
                f"{self.largest_weight:.2g}"
            )
        else:
            lines.append("weights   the same numbers")
        if self.before is not None and self.after is not None:
            lines.append(f"accuracy  {self.before.text} there, {self.after.text} here")
        if self.accuracy is not None:
            lines.append(f"          {points(self.accuracy)}, {self.accuracy.n:,} pictures")
        return lines


def compared(first: Path, made: Bundle, second: Path) -> Sameness:
    """Hold a model file, which was read with its weights, against another one."""
    hashes = [{p.name: p.sha256 for p in bundles.inspect(path).parts} for path in (first, second)]
    again = bundles.read(second, weights=True)
    names = list(dict.fromkeys([*hashes[0], *hashes[1]]))
    same = tuple(name for name in names if hashes[0].get(name) == hashes[1].get(name))
    different = tuple(name for name in names if name not in same)
    if made.model_id != again.model_id and not different:
        different = ("fieldmark.json",)
    return Sameness(
        model_id=again.model_id,
        same=same,
        different=different,
        weights=_apart(made, again),
        largest_weight=max((float(np.abs(x).max()) for x in made.weights.values()), default=0.0),
        before=_accuracy(made),
        after=_accuracy(again),
        accuracy=_difference(first, second) if different else None,
    )


def _apart(made: Bundle, again: Bundle) -> float | None:
    shapes = [{name: x.shape for name, x in each.weights.items()} for each in (made, again)]
    if shapes[0] != shapes[1]:
        return None
    both = ((x, again.weights[name]) for name, x in made.weights.items())
    return max((float(np.abs(x - y).max()) for x, y in both if x.size), default=0.0)


def _accuracy(made: Bundle) -> Measurement | None:
    try:
        return Report.from_dict(made.report).accuracy
    except DataError:
        return None


def _difference(first: Path, second: Path) -> Measurement | None:
    """Bound the difference on the test pictures; it counts as no look: nothing is chosen by it."""
    try:
        before, after = own_answers.read(first), own_answers.read(second)
    except DataError:
        return None
    common = [sha for sha in before.answers if sha in after.answers]
    if not common:
        return None
    was, now = (
        np.array([each.answers[sha].answer == each.answers[sha].label for sha in common])
        for each in (before, after)
    )
    groups = groups_of([before.answers[sha] for sha in common], common)
    return accuracy_difference(was, now, groups, level=LEVEL, seed=0)
