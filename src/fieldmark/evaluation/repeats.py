"""How much of a result is luck: the same training again, on other folds or with other seeds. Pure.

Two things vary, and the interval counts both: which pictures there are to test on, and what the
training was drawn from.

**Folds.** Every picture is tested once in each repeat, by a network that never saw it. The tests
are not independent: two trainings share most of their pictures, so a network's luck comes back in
several folds, and the usual interval is too narrow (Bates, Hastie and Tibshirani). How much so
cannot be estimated from the folds themselves (Bengio and Grandvalet), so the variance of one
repeat's share is raised by a fixed part, ``1 + 0.7 / n_repeats``: about half of what Nadeau and
Bengio add. What it holds is measured by ``benchmarks/repeats.py``. It is never divided by the
number of repeats: they all test the same pictures.

**Seeds alone.** All trainings answer the same test part. The variance between them, over their
number, is added to that between pictures, and the ends are taken at Student's t with the degrees of
freedom of Satterthwaite. What other training pictures would have given is not in this interval.

References
----------
S. Bates, T. Hastie and R. Tibshirani, "Cross-validation: what does it estimate and how well does it
do it?", JASA 2023. C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine
Learning 2003. Y. Bengio and Y. Grandvalet, "No unbiased estimator of the variance of K-fold
cross-validation", JMLR 2004. F. E. Satterthwaite, Biometrics Bulletin 1946.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.errors import DataError
from fieldmark.evaluation.intervals import (
    effective_n,
    normal_quantile,
    nothing_to_measure,
    student_quantile,
    wilson_rate,
)
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.resampling import mean_interval

SCHEMA: Final = "fieldmark.repeats/1"
SHARED: Final = 0.7
"""What shared training pictures add to the variance of one dealing of folds."""
_LEVEL: Final = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What one training answered to the pictures that it never saw."""

    repeat: int
    """From 1."""
    fold: int | None
    """From 1; None where the parts were always the same."""
    seed: int
    at: NDArray[np.int64]
    """(n,): which examples, numbered the same way in every training."""
    right: NDArray[np.bool_]
    """(n,)"""
    losses: Floats
    """(n,): ``-ln`` of the label's score."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training with its numbers."""

    repeat: int
    fold: int | None
    seed: int
    accuracy: Measurement
    """On the pictures that this training never saw; counts no other doubt than theirs."""
    log_loss: Measurement
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """What all trainings together say. Made by :func:`summarize`."""

    n_folds: int
    """0: the same parts in every training."""
    n_repeats: int
    """That were asked for."""
    trials: tuple[Trial, ...]
    """In the order they ran; fewer than were asked for when it was stopped."""
    accuracy: Measurement
    """Mean; the interval counts the draw of the pictures and that of the trainings."""
    log_loss: Measurement
    between_folds: float | None
    """Standard deviation of the folds' accuracies within a repeat; None with fewer than two."""
    by_pictures: float | None
    """What that would be if every fold had the same network and only other pictures."""
    between_repeats: float | None
    """Standard deviation of the accuracies of whole repeats; None with fewer than two."""

    @property
    def n_planned(self) -> int:
        """How many trainings were asked for."""
        return max(self.n_folds, 1) * self.n_repeats

    @property
    def complete(self) -> bool:
        """Whether all of them ran."""
        return len(self.trials) == self.n_planned

    def lines(self) -> list[str]:
        """Say it in at most four lines of plain text.

        Examples
        --------
        >>> same = {"repeat": 1, "seed": 0, "seconds": 1.0, "right": np.array([True, False])}
        >>> halves = [
        ...     Outcome(fold=fold, at=np.array(at), losses=np.array([0.1, 1.0]), **same)
        ...     for fold, at in ((1, [0, 1]), (2, [2, 3]))
        ... ]
        >>> print(summarize(halves, np.arange(4), n_folds=2, n_repeats=1, seed=0).lines()[0])
        2 more trainings, every picture tested once by one that never saw it:
        """
        n = f"{len(self.trials):,}"
        if not self.complete:
            head = f"Stopped after {n} of {self.n_planned:,} trainings; they say:"
        elif self.n_folds:
            times = {1: "once", 2: "twice"}.get(self.n_repeats, f"{self.n_repeats} times")
            head = f"{n} more trainings, every picture tested {times} by one that never saw it:"
        else:
            head = f"{n} trainings on the same parts with other seeds, the first of them ships:"
        lines = [head, f"  {self.accuracy}", f"  {self.log_loss}"]
        if spread := self._spread():
            lines.insert(2, f"  spread (SD, points): {spread}")
        return lines

    def _spread(self) -> str:
        said = []
        if self.between_folds is not None and self.by_pictures is not None:
            folds, alone = 100 * self.between_folds, 100 * self.by_pictures
            said.append(f"folds {folds:.1f} (pictures alone {alone:.1f})")
        if self.between_repeats is not None:
            which = "repeats" if self.n_folds else "seeds"
            said.append(f"{which} {100 * self.between_repeats:.1f}")
        return ", ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are the fields' names and ``schema``."""
        found: dict[str, Any] = json.loads(
            json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, allow_nan=False)
        )
        return found

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Repeats:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        DataError
            With code ``report-unknown`` for another schema or a field that is missing or misshapen.
        """
        try:
            if fields["schema"] != SCHEMA:
                raise ValueError(f"its schema is {fields['schema']!r}")
            return cls(
                n_folds=int(fields["n_folds"]),
                n_repeats=int(fields["n_repeats"]),
                trials=tuple(_trial_of(each) for each in fields["trials"]),
                accuracy=Measurement.from_dict(fields["accuracy"]),
                log_loss=Measurement.from_dict(fields["log_loss"]),
                between_folds=fields["between_folds"],
                by_pictures=fields["by_pictures"],
                between_repeats=fields["between_repeats"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"These are no repeats that can be read: {error!r}.",
                code="report-unknown",
                hint="train anew with --folds or --repeat",
            ) from error


def trial(outcome: Outcome, groups: NDArray[np.int64]) -> Trial:
    """Measure one training by itself.

    Parameters
    ----------
    outcome : Outcome
        Of at least one example.
    groups : int64 array of shape (n_examples,)
        Of all examples; equal numbers belong together.

    Raises
    ------
    DataError
        With code ``nothing-to-measure``.
    """
    if not len(outcome.at):
        raise nothing_to_measure()
    n, own = len(outcome.at), groups[outcome.at]
    rate = float(outcome.right.mean())
    n_groups = _n_groups(own)
    draw = rng.derive(outcome.seed, "repeat", outcome.repeat, outcome.fold or 0)
    ends = mean_interval(outcome.losses, own if n_groups else None, rng=draw)
    loss = float(outcome.losses.mean())
    worth = effective_n(outcome.right, own)
    return Trial(
        repeat=outcome.repeat,
        fold=outcome.fold,
        seed=outcome.seed,
        accuracy=Measurement("accuracy", rate, *wilson_rate(rate, worth), n, n_groups=n_groups),
        log_loss=Measurement(
            "log loss", loss, *ends, n, method="BCa bootstrap", unit="nats", n_groups=n_groups
        ),
        seconds=outcome.seconds,
    )


def summarize(
    outcomes: Sequence[Outcome],
    groups: NDArray[np.int64],
    *,
    n_folds: int,
    n_repeats: int,
    seed: int,
) -> Repeats:
    """Put all trainings together.

    Parameters
    ----------
    outcomes : sequence of Outcome
        At least one; those of a repeat that was stopped count too.
    groups : int64 array of shape (n_examples,)
        Equal numbers belong together.
    n_folds : int
        0: the parts were the same in every training.
    n_repeats : int
    seed : int
        Of the bootstrap under the log loss.

    Returns
    -------
    Repeats

    Raises
    ------
    DataError
        With code ``nothing-to-measure``.

    Examples
    --------
    >>> right = np.array([True, True, True, False])
    >>> one = Outcome(repeat=1, fold=None, seed=0, at=np.arange(4), right=right,
    ...               losses=np.array([0.1, 0.2, 0.3, 1.4]), seconds=1.0)
    >>> print(summarize([one], np.arange(4), n_folds=0, n_repeats=1, seed=0).accuracy)
    accuracy 75.0 % (30.1 to 95.4, 4 pictures)
    """
    if not outcomes:
        raise nothing_to_measure()
    trials = tuple(trial(each, groups) for each in outcomes)
    whole = _joined(outcomes)
    shares, within = _shares(whole, n_folds), _folds_apart(outcomes) if n_folds else None
    accuracy = accuracy_of(outcomes, groups, n_folds=n_folds)
    rate = accuracy.value
    worth = float(np.mean([effective_n(each.right, groups[each.at]) for each in whole]))
    alone = math.sqrt(rate * (1 - rate) * n_folds / worth) if within is not None else None
    return Repeats(
        n_folds=n_folds,
        n_repeats=n_repeats,
        trials=trials,
        accuracy=accuracy,
        log_loss=_log_loss(whole, groups, n_folds, seed),
        between_folds=within,
        by_pictures=alone,
        between_repeats=float(np.std(shares, ddof=1)) if len(shares) > 1 else None,
    )


def _joined(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Join the folds of each repeat; ``fold`` is then the number of folds there were."""
    found = []
    for number in dict.fromkeys(each.repeat for each in outcomes):
        own = [each for each in outcomes if each.repeat == number]
        found.append(
            Outcome(
                repeat=number,
                fold=len(own),
                seed=own[0].seed,
                at=np.concatenate([each.at for each in own]),
                right=np.concatenate([each.right for each in own]),
                losses=np.concatenate([each.losses for each in own]),
                seconds=sum(each.seconds for each in own),
            )
        )
    return found


def _folds_apart(outcomes: Sequence[Outcome]) -> float | None:
    """Return the standard deviation of the folds' shares within a repeat."""
    squares, freedom = 0.0, 0
    for number in {each.repeat for each in outcomes}:
        shares = [each.right.mean() for each in outcomes if each.repeat == number]
        squares += float(np.var(shares)) * len(shares)
        freedom += len(shares) - 1
    return math.sqrt(squares / freedom) if freedom else None


def _shares(whole: list[Outcome], n_folds: int) -> list[float]:
    """Return the accuracy of each repeat that is whole."""
    return [float(each.right.mean()) for each in whole if n_folds in (0, each.fold)]


def accuracy_of(
    outcomes: Sequence[Outcome], groups: NDArray[np.int64], *, n_folds: int
) -> Measurement:
    """Measure the accuracy alone, as :func:`summarize` does."""
    whole = _joined(outcomes)
    shares = _shares(whole, n_folds)
    at = np.concatenate([each.at for each in whole])
    right = np.concatenate([each.right for each in whole])
    tested, of_each = np.unique(at, return_inverse=True)
    rate = float((np.bincount(of_each, right) / np.bincount(of_each)).mean())
    # An unfinished repeat tests fewer pictures, and what all of them are worth counts.
    worth = max(effective_n(each.right, groups[each.at]) for each in whole)
    worth /= _raised(rate * (1 - rate) / worth, shares, n_folds, len(whole))
    return Measurement(
        "accuracy",
        rate,
        *wilson_rate(rate, worth),
        len(tested),
        method="Wilson, trainings counted",
        n_groups=_n_groups(groups[tested]),
    )


def _raised(variance: float, values: list[float], n_folds: int, n_whole: int) -> float:
    """Return how many times the variance of the pictures the whole variance is."""
    if n_folds:
        return 1 + SHARED / n_whole
    if len(values) < 2 or variance <= 0:
        return 1.0
    between = float(np.var(values, ddof=1)) / len(values)
    total = variance + between
    freedom = (len(values) - 1) * (total / between) ** 2 if between > 0 else math.inf
    share = 0.5 + _LEVEL / 2
    normal = normal_quantile(share)
    quantile = student_quantile(share, int(freedom)) if freedom < 1e6 else normal
    return total / variance * (quantile / normal) ** 2


def _log_loss(
    whole: list[Outcome], groups: NDArray[np.int64], n_folds: int, seed: int
) -> Measurement:
    """Bound the mean loss by the bootstrap of the pictures, stretched by what trainings add."""
    at = np.concatenate([each.at for each in whole])
    tested, of_each = np.unique(at, return_inverse=True)
    summed = np.bincount(of_each, np.concatenate([each.losses for each in whole]))
    mean = summed / np.bincount(of_each)
    value, own = float(mean.mean()), groups[tested]
    n_groups = _n_groups(own)
    draw = rng.derive(seed, "repeats")
    low, high = mean_interval(mean, own if n_groups else None, rng=draw)
    single = max(float(np.var(each.losses)) / len(each.at) for each in whole)
    averaged = float(np.var(mean)) / len(mean)
    raised = _raised(single, [float(each.losses.mean()) for each in whole], n_folds, len(whole))
    stretch = math.sqrt(max(1.0, single / averaged) * raised) if averaged > 0 else 1.0
    return Measurement(
        "log loss",
        value,
        max(0.0, value - stretch * (value - low)),
        value + stretch * (high - value),
        len(tested),
        method="BCa bootstrap, trainings counted",
        unit="nats",
        n_groups=n_groups,
    )


def _n_groups(groups: NDArray[np.int64]) -> int | None:
    return n if (n := len(np.unique(groups))) < len(groups) else None


def _trial_of(fields: dict[str, Any]) -> Trial:
    return Trial(
        repeat=int(fields["repeat"]),
        fold=fields["fold"],
        seed=int(fields["seed"]),
        accuracy=Measurement.from_dict(fields["accuracy"]),
        log_loss=Measurement.from_dict(fields["log_loss"]),
        seconds=float(fields["seconds"]),
    )
