"""Each number with its doubt, from scores, labels and groups. Pure.

Shares get Wilson's interval, for the number of independent examples they are worth where examples
come in groups; everything else is resampled (``resampling.py``), whole groups where there are any.

**A test part without a mistake** gives a bootstrap nothing to vary. What stands instead follows the
rule of three: having seen n right answers and no wrong one, Wilson says that up to z^2 / (n + z^2)
of those to come may be wrong, 3.8 / (n + 3.8) at 95 %.

* Balanced accuracy and macro F1: Wilson's interval for the number of examples that an average over
  the classes is worth: C^2 / sum(1 / n_c), that is n where the classes are of one size.
* AUC: the same, for C (C - 1) / sum(1 / m_c) with m_c the smaller of the class and the rest: half
  of n for two equal classes, where each pair tells of both, and nearly n for many.
* Log loss and Brier: the upper end is what they were if that share of the answers had been wrong,
  with the runner-up as the truth. It is taken when it is higher than the bootstrap's, which knows
  of no mistake; and likewise downwards when not one answer is right.

Nor is an average just short of perfect (one pair of many in the wrong order) surer than a perfect
one: its lower end is at most that of a perfect result, and mirrored.

A group counts as one example in all of these: how alike its answers are cannot be seen without a
mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.errors import UsageError
from fieldmark.evaluation import metrics
from fieldmark.evaluation.auc import Areas
from fieldmark.evaluation.intervals import (
    effective_n,
    kish_n,
    student_quantile,
    wilson_rate,
)
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.resampling import (
    N_RESAMPLES,
    Floats,
    Resampling,
    Statistic,
    Units,
    bootstrap,
    mean_interval,
)

TOP = 5
"""Top-k accuracy is of this k, and only with more classes."""
FEW_GROUPS: Final = 10
"""Below so many groups a bootstrap of them says nothing, and intervals are no narrower than of so
many single pictures."""
_METHOD = "BCa bootstrap"
_NO_WIDTH = 1e-12


@dataclass(frozen=True, eq=False)
class Sample:
    """Checked answers, and how they are drawn again.

    Raises
    ------
    DataError, UsageError
        As :func:`fieldmark.evaluation.metrics.checked`; ``bad-scores`` too when the groups do not
        fit the labels.
    """

    scores: Floats
    truth: NDArray[np.int64]
    groups: NDArray[np.int64] | None = field(default=None)
    """Numbered from 0; None where every example stands alone."""
    seed: int = 0

    @classmethod
    def of(cls, probs: metrics.Probs, labels: metrics.Labels, drawn: Resampling) -> Sample:
        """Check what was given, and number the groups if there are any."""
        scores, truth = metrics.checked(probs, labels)
        if drawn.groups is None:
            return cls(scores, truth, None, drawn.seed)
        groups = np.asarray(drawn.groups)
        if groups.shape != truth.shape or not np.issubdtype(groups.dtype, np.integer):
            raise UsageError(
                f"Groups of shape {groups.shape} and type {groups.dtype} were given for "
                f"{len(truth)} labels.",
                code="bad-scores",
                why="An interval that counts the wrong groups would be wrong.",
                hint="pass one whole number per example, equal for those that belong together",
            )
        _, number = np.unique(groups, return_inverse=True)
        alone = number.max() + 1 == len(truth)
        return cls(scores, truth, None if alone else number.astype(np.int64), drawn.seed)

    @property
    def n(self) -> int:
        """Examples."""
        return len(self.truth)

    @property
    def n_groups(self) -> int | None:
        """Groups; None where every example stands alone."""
        return None if self.groups is None else int(self.groups.max()) + 1

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class with the highest score, the first of equals."""
        return np.asarray(self.scores.argmax(axis=1), np.int64)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether that is the label."""
        found: NDArray[np.bool_] = self.predicted == self.truth
        return found

    def worth(self, among: NDArray[np.bool_] | None = None) -> float:
        """Count how many independent examples some are worth at least: groups count once."""
        if self.groups is None:
            return float(self.n if among is None else among.sum())
        sizes = np.bincount(self.groups if among is None else self.groups[among])
        return kish_n(sizes[sizes > 0])

    def generator(self, name: str) -> np.random.Generator:
        """Give one number's interval its own draws."""
        return rng.derive(self.seed, "interval", name)


def share(
    name: str, sample: Sample, hits: NDArray[np.bool_], among: NDArray[np.bool_] | None = None
) -> Measurement:
    """Measure how often something holds among all examples, or among some, at least one.

    Examples
    --------
    >>> sample = Sample.of(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0]), Resampling(0))
    >>> print(share("accuracy", sample, sample.right))
    accuracy 66.7 % (20.8 to 93.9, 3 pictures)
    """
    groups = sample.groups
    if among is not None:
        hits, groups = hits[among], None if groups is None else groups[among]
    return share_of(name, hits, groups)


def share_of(name: str, hits: NDArray[np.bool_], groups: NDArray[np.int64] | None) -> Measurement:
    """Measure how often something holds among at least one example; equal groups belong together.

    Examples
    --------
    >>> print(share_of("accuracy", np.array([True, True, False]), None))
    accuracy 66.7 % (20.8 to 93.9, 3 pictures)
    """
    n, n_groups = len(hits), None
    worth = float(n)
    if groups is not None:
        worth = effective_n(hits, groups)
        n_groups = len(np.unique(groups))
    rate = int(hits.sum()) / n
    return Measurement(name, rate, *wilson_rate(rate, worth), n, n_groups=n_groups)


def balanced_accuracy(sample: Sample) -> Measurement:
    """Measure the average recall of the classes that occur."""
    return _average("balanced accuracy", sample, metrics.balanced_accuracy_of, "fraction")


def macro_f1(sample: Sample) -> Measurement:
    """Measure the average F1 of the classes that occur."""
    return _average("macro F1", sample, metrics.macro_f1_of, "score")


def log_loss(sample: Sample) -> Measurement:
    """Measure the average of ``-ln p``."""
    return _penalty("log loss", sample, metrics.loss_if, "nats")


def brier(sample: Sample) -> Measurement:
    """Measure the average halved squared distance of the scores from the truth."""

    def each(given: Floats) -> Floats:
        return metrics.brier_if(sample.scores, given)

    return _penalty("Brier", sample, each, "score")


def auc(sample: Sample) -> Measurement | None:
    """Measure the average area under each class's ROC curve; None if only one class occurs."""
    areas = Areas(sample.scores, sample.truth)
    if not len(areas.sizes):
        return None
    value = areas.value
    ends = areas.interval(sample.groups, sample.generator("AUC"), N_RESAMPLES)
    each = [
        min(sample.worth(sample.truth == at), sample.worth(sample.truth != at))
        for at in np.unique(sample.truth)
    ]
    # One answer gone astray is out of order in its own class and in the one it strayed to.
    worth = len(each) * (len(each) - 1) / sum(1 / one for one in each)
    ends = _no_surer(value, ends, min(worth, sample.worth()))
    return _resampled("AUC", sample, (value, *_few(value, ends, sample)), "score")


def _average(name: str, sample: Sample, statistic: Statistic, unit: str) -> Measurement:
    rows = metrics.tallies(sample.truth, sample.predicted, sample.scores.shape[1])
    value = float(statistic(rows.sum(axis=0)))
    units = Units.of(rows, sample.groups)
    ends = bootstrap(units, statistic, rng=sample.generator(name))
    present = np.unique(sample.truth)
    spread = sum(1 / sample.worth(sample.truth == at) for at in present)
    ends = _no_surer(value, ends, min(len(present) ** 2 / spread, sample.worth()))
    return _resampled(name, sample, (value, *_few(value, ends, sample)), unit)


def _no_surer(value: float, ends: tuple[float, float], worth: float) -> tuple[float, float]:
    """Widen an interval that has no width, or claims more than a perfect result could."""
    low, high = ends
    if high - low < _NO_WIDTH:
        return wilson_rate(value, worth)
    return (min(low, wilson_rate(1.0, worth)[0]), max(high, wilson_rate(0.0, worth)[1]))


def _few(value: float, ends: tuple[float, float], sample: Sample) -> tuple[float, float]:
    """With few groups, claim no more than as many single pictures would: they hardly resample."""
    k = sample.n_groups
    if k is None or k >= FEW_GROUPS:
        return ends
    low, high = wilson_rate(value, k)
    return (min(ends[0], low), max(ends[1], high))


def _penalty(
    name: str, sample: Sample, penalty: Callable[[Floats], Floats], unit: str
) -> Measurement:
    """Average a penalty that depends on the probability which the truth was given."""
    every = np.arange(sample.n)
    each = penalty(sample.scores[every, sample.truth])
    value = float(each.mean())
    low, high = mean_interval(each, sample.groups, rng=sample.generator(name))
    one, right = sample.n_groups == 1, sample.right
    unseen = 1 - wilson_rate(1.0, sample.worth())[0]
    if (right.all() or one) and sample.scores.shape[1] > 1:
        runner_up = np.partition(sample.scores, -2, axis=1)[:, -2]
        worse = float(np.where(right, penalty(runner_up), each).mean())
        high = max(high, value + unseen * (worse - value))
    if not right.any() or one:
        better = float(np.where(right, each, penalty(sample.scores.max(axis=1))).mean())
        low = min(low, value + unseen * (better - value))
    k = sample.n_groups
    if k is not None and 1 < k < FEW_GROUPS:
        # As _few, by Student's t: a penalty has no upper end.
        half = student_quantile(0.975, k - 1) * float(each.std(ddof=1)) / k**0.5
        low, high = max(0.0, min(low, value - half)), max(high, value + half)
    return _resampled(name, sample, (value, low, high), unit)


def _resampled(
    name: str, sample: Sample, found: tuple[float, float, float], unit: str
) -> Measurement:
    return Measurement(name, *found, sample.n, method=_METHOD, unit=unit, n_groups=sample.n_groups)
