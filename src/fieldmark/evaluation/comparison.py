"""Two or more classifiers on the same pictures: how far apart, how sure, and where they differ.

Pure: answers and labels in, a frozen :class:`Comparison` out. Every run is compared with the first.
A difference is called *better* or *worse* only where its interval leaves 0 out; with more than one
comparison the intervals hold for all of them together (Bonferroni) and the p values are Holm's.

Not here: finding the pictures that runs have in common (``workflow.comparing``), and the tests and
intervals themselves (``paired``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.evaluation import metrics, paired
from fieldmark.evaluation.intervals import nothing_to_measure, wilson
from fieldmark.evaluation.report import Measurement
from fieldmark.evaluation.resampling import mean_interval
from fieldmark.rng import derive

SCHEMA: Final = "fieldmark.comparison/1"
MIN_UNITS: Final = 10
"""Pictures, or groups where there are groups; of fewer no difference is called better or worse."""
LEVEL: Final = 0.95

Kind = Literal["broken", "fixed", "other"]
KINDS: Final[tuple[Kind, ...]] = ("broken", "fixed", "other")
"""Right before and wrong now; wrong before and right now; wrong both times, in different ways."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Common:
    """The pictures that all were asked about."""

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    sha256: tuple[str, ...]
    labels: NDArray[np.int64]
    """(n,): indices into ``classes``."""
    groups: NDArray[np.int64] | None = None
    """(n,): numbers from 0; pictures of one number belong together. None: each stands alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entrant:
    """What one classifier answered."""

    name: str
    answers: NDArray[np.int64]
    """(n,): indices into the classes."""
    sure: NDArray[np.float64]
    """(n,): the score of the answer, in [0, 1]."""
    losses: NDArray[np.float64]
    """(n,): ``-ln`` of the label's score, in nats."""
    model_id: str = ""
    n_only: int = 0
    """Pictures that were left out because not all of the others were asked about them."""
    n_learned: int = 0
    """Pictures that were left out because this one was trained or chosen on them."""

    @classmethod
    def of_scores(cls, name: str, scores: metrics.Probs, labels: metrics.Labels) -> Entrant:
        """Take the answers from scores of shape (n, n_classes) whose rows sum to 1.

        Raises
        ------
        UsageError
            Code ``bad-scores``.
        """
        probs, truth = metrics.checked(scores, labels)
        answers = probs.argmax(axis=1).astype(np.int64)
        return cls(
            name=name,
            answers=answers,
            sure=probs[np.arange(len(truth)), answers],
            losses=metrics.losses(probs, truth),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One classifier's own numbers on the common pictures."""

    name: str
    accuracy: Measurement
    log_loss: Measurement
    model_id: str = ""
    n_only: int = 0
    """Pictures left out because not all of the others were asked about them."""
    n_learned: int = 0
    """Pictures left out because this one was trained or chosen on them."""
    n_looks: int = 0
    """How often its test part has been looked at, this time included; 0: not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A picture that was answered differently."""

    kind: Kind
    path: str
    sha256: str
    label: str
    before: str
    """The first one's answer."""
    after: str
    before_score: float
    after_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One classifier against the first: its numbers minus the first's."""

    name: str
    accuracy: Measurement
    """Above 0: more are right. A fraction in [-1, 1]."""
    log_loss: Measurement
    """Above 0: the label's scores are lower. In nats."""
    n_fixed: int
    """Only this one has them right."""
    n_broken: int
    """Only the first has them right."""
    p_value: float
    """McNemar's exact test of the two counts."""
    p_adjusted: float
    """The same by Holm's rule, for all comparisons of this one call."""
    n_units: int
    """Pictures, or groups of pictures that belong together."""
    changed: tuple[Changed, ...]
    """Broken, fixed, then wrong both times; where the scores moved most, first."""

    @property
    def verdict(self) -> Literal["better", "worse", "unclear"]:
        """What the interval of the accuracy allows to be said."""
        return _verdict(self.accuracy, self.n_units)

    @property
    def loss_verdict(self) -> Literal["better", "worse", "unclear"]:
        """The same of the log loss, where less is better."""
        turned = dataclasses.replace(
            self.log_loss, low=-self.log_loss.high, high=-self.log_loss.low
        )
        return _verdict(turned, self.n_units)

    def of(self, kind: Kind) -> tuple[Changed, ...]:
        """Return the changed pictures of one kind."""
        return tuple(each for each in self.changed if each.kind == kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What :func:`compare_answers` found; printed, it is a table and the pictures that changed."""

    classes: tuple[str, ...]
    sides: tuple[Side, ...]
    """In the order given; the first is what the others are compared with."""
    differences: tuple[Difference, ...]
    """One for every side but the first."""
    n: int
    """Common pictures."""
    n_groups: int
    """Of pictures that belong together; 0: each stands alone."""
    conditions: dict[str, str]
    notes: tuple[str, ...] = ()
    """What limits the numbers, one sentence each."""

    @property
    def worse(self) -> tuple[Difference, ...]:
        """Those that are surely worse than the first: the interval of the accuracy is below 0."""
        return tuple(each for each in self.differences if each.verdict == "worse")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; of every difference the verdict too."""
        facts = dataclasses.asdict(self)
        for said, each in zip(facts["differences"], self.differences, strict=True):
            said["verdict"], said["loss_verdict"] = each.verdict, each.loss_verdict
        found: dict[str, Any] = json.loads(json.dumps({"schema": SCHEMA} | facts, allow_nan=False))
        return found

    def lines(self, width: int = 80, room: int = 0) -> list[str]:
        """Write it as plain text, no line wider than ``width`` terminal columns.

        ``room`` is for the lines of pictures, whose paths a reader may want whole; 0: ``width``.
        """
        from fieldmark.evaluation.comparison_lines import lines

        return lines(self, width, room)

    def __str__(self) -> str:
        return "\n".join(self.lines())


def compare_answers(
    common: Common, entrants: Sequence[Entrant], *, conditions: dict[str, str], seed: int = 0
) -> Comparison:
    """Compare classifiers on the same pictures, each with the first.

    Parameters
    ----------
    common : Common
        At least one picture.
    entrants : sequence of Entrant
        At least two, one answer to every picture each.
    conditions : dict of str to str
        What the numbers depend on, for people.
    seed : int, default=0
        Of the resampling.

    Returns
    -------
    Comparison
        Differences of accuracy with the interval of Agresti and Min, of log loss with a paired
        BCa bootstrap of 2,000 resamples; where there are groups, both count whole groups.

    Raises
    ------
    DataError
        Code ``nothing-to-measure``: no pictures.
    UsageError
        Code ``bad-scores``: fewer than two, or answers and pictures that do not fit together.

    References
    ----------
    T. Dietterich, "Approximate Statistical Tests for Comparing Supervised Classification Learning
    Algorithms", Neural Computation 1998: McNemar's test for networks trained once.

    Examples
    --------
    >>> truth = np.array([0, 1] * 20)
    >>> common = Common(classes=("cat", "dog"), paths=("",) * 40, sha256=("",) * 40, labels=truth)
    >>> good = np.where(np.eye(2)[truth] > 0, 0.9, 0.1)
    >>> one = Entrant.of_scores("pets-1", np.full((40, 2), 0.5), truth)
    >>> two = Entrant.of_scores("pets-2", good, truth)
    >>> (found,) = compare_answers(common, [one, two], conditions={}).differences
    >>> found.n_fixed, found.n_broken, found.verdict
    (20, 0, 'better')
    """
    n = len(common.labels)
    _check(common, entrants)
    level = 1 - (1 - LEVEL) / (len(entrants) - 1)
    first = entrants[0]
    raw = [_difference(common, first, each, level, seed) for each in entrants[1:]]
    adjusted = paired.holm([each.p_value for each in raw])
    n_groups = 0 if common.groups is None else len(np.unique(common.groups))
    return Comparison(
        classes=common.classes,
        sides=tuple(_side(common, each, seed) for each in entrants),
        differences=tuple(
            dataclasses.replace(each, p_adjusted=p) for each, p in zip(raw, adjusted, strict=True)
        ),
        n=n,
        n_groups=n_groups,
        conditions=dict(conditions),
        notes=_notes(len(raw), n, n_groups),
    )


def _check(common: Common, entrants: Sequence[Entrant]) -> None:
    n = len(common.labels)
    if not n:
        raise nothing_to_measure()
    columns: list[Sequence[Any] | NDArray[Any]] = [common.paths, common.sha256]
    columns += [] if common.groups is None else [common.groups]
    for each in entrants:
        columns += [each.answers, each.sure, each.losses]
    if len(entrants) < 2 or any(len(column) != n for column in columns):
        raise UsageError(
            f"{len(entrants)} classifiers on {n} pictures cannot be compared.",
            code="bad-scores",
            why="Each picture needs one answer of each of two classifiers or more.",
            hint="give the answers to the same pictures, in the same order",
        )


def _side(common: Common, each: Entrant, seed: int) -> Side:
    n = len(common.labels)
    n_right = int((each.answers == common.labels).sum())
    low, high = mean_interval(each.losses, common.groups, rng=derive(seed, "interval", "log loss"))
    loss = float(each.losses.mean())
    return Side(
        name=each.name,
        accuracy=Measurement("accuracy", n_right / n, *wilson(n_right, n), n),
        log_loss=Measurement("log loss", loss, low, high, n, method="BCa bootstrap", unit="nats"),
        model_id=each.model_id,
        n_only=each.n_only,
        n_learned=each.n_learned,
    )


def _difference(
    common: Common, first: Entrant, other: Entrant, level: float, seed: int
) -> Difference:
    n, groups = len(common.labels), common.groups
    was, now = (each.answers == common.labels for each in (first, other))
    n_fixed, n_broken = int((~was & now).sum()), int((was & ~now).sum())
    p_value = paired.mcnemar(n_fixed, n_broken)
    return Difference(
        name=other.name,
        accuracy=paired.accuracy_difference(was, now, groups, level=level, seed=seed),
        log_loss=paired.loss_difference(first.losses, other.losses, groups, level=level, seed=seed),
        n_fixed=n_fixed,
        n_broken=n_broken,
        p_value=p_value,
        p_adjusted=p_value,
        n_units=n if groups is None else len(np.unique(groups)),
        changed=_changed(common, first, other),
    )


def _changed(common: Common, first: Entrant, other: Entrant) -> tuple[Changed, ...]:
    found: list[Changed] = []
    moved = np.abs(first.losses - other.losses)
    at = np.flatnonzero(first.answers != other.answers)
    for place in at[np.argsort(-moved[at], kind="stable")]:
        label, before, after = (
            int(each[place]) for each in (common.labels, first.answers, other.answers)
        )
        kind: Kind = "broken" if before == label else "fixed" if after == label else "other"
        found.append(
            Changed(
                kind=kind,
                path=common.paths[place],
                sha256=common.sha256[place],
                label=common.classes[label],
                before=common.classes[before],
                after=common.classes[after],
                before_score=round(float(first.sure[place]), 6),
                after_score=round(float(other.sure[place]), 6),
            )
        )
    return tuple(sorted(found, key=lambda each: KINDS.index(each.kind)))


def _verdict(found: Measurement, n_units: int) -> Literal["better", "worse", "unclear"]:
    if n_units < MIN_UNITS or found.low <= 0 <= found.high:
        return "unclear"
    return "better" if found.low > 0 else "worse"


def _notes(n_comparisons: int, n: int, n_groups: int) -> tuple[str, ...]:
    said = []
    if n_comparisons > 1:
        said.append(
            f"{n_comparisons} comparisons at once: the intervals of the differences hold for all "
            "of them together (Bonferroni), and the p values are adjusted by Holm's rule."
        )
    if n_groups:
        said.append(
            f"The pictures come in {n_groups:,} groups that belong together: the intervals of the "
            "differences count whole groups. McNemar's test and the intervals of each run's own "
            "figures take every picture for itself and are too sure of themselves."
        )
    if (n_groups or n) < MIN_UNITS:
        what = "groups" if n_groups else "pictures"
        said.append(f"Fewer than {MIN_UNITS} {what}: too few to tell anything apart.")
    return tuple(said)
