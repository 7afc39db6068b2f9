"""A classifier head on frozen features, solved instead of trained.

With the features frozen the loss is convex: each strength of the penalty has one best head, and
nothing about a learning rate, an order or an epoch is left to chance. What is left to choose, the
strength and the number of columns, is chosen by cross-validated log-loss. Pure NumPy; the same
rows, seed, machine and thread count give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import ConfigError
from fieldmark.evaluation.intervals import effective_n, wilson_rate
from fieldmark.rng import derive
from fieldmark.training.descent import Points
from fieldmark.training.design import Design, Scaling, in_memory, measure
from fieldmark.training.logistic import Problems, spread
from fieldmark.training.rows import Balance, Rows, checked, deal_folds, row_weights, subset
from fieldmark.training.search import (
    Learning,
    Method,
    PathPoint,
    logistic_trials,
    lowest,
    ridge_trials,
)

__all__ = ["Estimate", "Head", "HeadSettings", "PathPoint", "Rows", "quick_estimate", "solve"]

MAX_ORIGINALS = 20_000
MAX_ROWS = 40_000
"""Settings are compared on at most about so many originals and, with their copies, rows."""
FALLBACK_STRENGTH = 0.1
"""Where nothing can be compared."""
QUICK_ORIGINALS = 800
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSettings:
    """How a head is solved."""

    method: Literal["auto", "logistic", "ridge"] = "auto"
    """``auto`` is ``logistic``."""
    folds: int = 5
    balance: Balance = "none"
    """``weights``: every class counts the same, in the loss and in the scores."""
    strengths: tuple[float, ...] = ()
    """Of the penalty, greater than 0; empty: a grid that is refined around its best point."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises
        ------
        ConfigError
            With code ``setting-range``.
        """
        if self.folds < 2 or not all(0 < each < np.inf for each in self.strengths):
            raise ConfigError(
                f"A head with {self.folds} folds and strengths {self.strengths}.",
                code="setting-range",
                hint="at least 2 folds; strengths above 0, or none to have them found",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """A linear layer from raw features to logits, and how good its kind was on unseen examples."""

    weights: NDArray[np.float32]
    """(n_columns, n_classes); standardising is folded in."""
    bias: NDArray[np.float32]
    """(n_classes,)"""
    method: Method
    strength: float
    path: tuple[PathPoint, ...]
    """All that was compared, in the order it was tried; empty if nothing could be."""
    scored: NDArray[np.int64]
    """(n_scored,): which rows the lines of ``out_of_fold`` belong to, ascending. All originals,
    unless there were more than :data:`MAX_ORIGINALS`; none if nothing could be compared."""
    out_of_fold: NDArray[np.float32]
    """(n_scored, n_classes): logits by heads of the same setting that had not seen the example."""
    cv_log_loss: float
    """Of the chosen setting, in nats; NaN if nothing could be compared."""
    cv_accuracy: float
    """In [0, 1]; NaN if nothing could be compared."""
    n_folds: int
    """0 where groups were left out one at a time (ridge), or nothing could be compared."""
    cv_worth: float
    """How many examples that stand alone ``cv_accuracy`` is worth: groups count, not pictures."""

    @property
    def cv_interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of ``cv_accuracy`` (Wilson); 0 to 1 if there is none."""
        return wilson_rate(self.cv_accuracy, self.cv_worth) if len(self.scored) else (0.0, 1.0)

    @property
    def n_columns(self) -> int:
        """How many of the first features are used."""
        return len(self.weights)

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 logits (n, n_classes) of raw features (n, at least n_columns)."""
        return features[:, : self.n_columns] @ self.weights + self.bias


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a quick look promises."""

    accuracy: float
    log_loss: float
    n: int
    """Of how many examples, each left out once."""


def solve(
    rows: Rows,
    *,
    n_classes: int,
    settings: HeadSettings,
    seed: int,
    candidates: tuple[int, ...] = (),
) -> Head:
    """Solve a head, with its strength and its columns chosen by cross-validated log-loss.

    Multinomial logistic regression with an L2 penalty on standardised features, or ridge regression
    (:mod:`fieldmark.training.ridge`) whose scores are made logits by one factor. The setting of
    lowest mean log-loss is taken, not one within a standard error of it.

    Memory is bounded: settings are compared on whole groups, drawn by the seed with the same share
    of every class, up to :data:`MAX_ORIGINALS` originals and :data:`MAX_ROWS` rows. A logistic head
    is then solved from all rows, read block by block in every pass; a ridge head is the one of the
    rows that were compared. Warped copies share their example's weight: it counts once in total.

    Without two groups in any one class nothing can be held out, and the strength is the first that
    was given or :data:`FALLBACK_STRENGTH`.

    Parameters
    ----------
    rows : Rows
        At least two classes.
    n_classes : int
        The width of the head; at least 2.
    settings : HeadSettings
        See there.
    seed : int
        Decides which groups share a fold.
    candidates : tuple of int, default=()
        How many of the first columns to try; empty means all of them only.

    Returns
    -------
    Head
        In terms of the raw features.

    Raises
    ------
    UsageError
        With code ``bad-rows`` when the rows make no sense.
    ConfigError
        With code ``setting-range`` when a candidate is not a number of columns.

    Examples
    --------
    >>> labels = np.arange(60) % 2
    >>> features = np.column_stack([labels, np.arange(60) % 7]).astype(np.float32)
    >>> rows = Rows(
    ...     features=features,
    ...     labels=labels,
    ...     groups=np.arange(60),
    ...     original=np.ones(60, dtype=bool),
    ... )
    >>> head = solve(rows, n_classes=2, settings=HeadSettings(), seed=0)
    >>> head.logits(features[:2]).argmax(axis=1).tolist(), head.cv_accuracy
    ([0, 1], 1.0)

    References
    ----------
    Kornblith, Shlens and Le, "Do better ImageNet models transfer better?", CVPR 2019: logistic
    regression on frozen features.
    """
    checked(rows, n_classes)
    candidates = _in_range(candidates, rows.features.shape[1])
    scaling, whole = _whole(rows, n_classes, settings.balance)
    folds = deal_folds(rows, settings.folds, seed)
    compared, which = _compared(whole, scaling, folds, subset(rows, _n_compared(rows), seed))
    draw = derive(seed, "head preconditioner")
    if not compared.n_folds:
        strength = (*settings.strengths, FALLBACK_STRENGTH)[0]
        return _uncompared(scaling, _logistic(compared, (candidates[-1], strength), draw), strength)
    if settings.method == "ridge":
        trials = ridge_trials(compared, candidates, settings.strengths)
        best = lowest(trials)
        solution = best.solution
    else:
        trials = logistic_trials(compared, candidates, settings.strengths, draw)
        best = lowest(trials)
        learning = compared if len(which) == len(rows.labels) else whole
        at = (best.point.n_columns, best.point.strength)
        solution = _logistic(learning, at, draw, best.solution)
    weights, bias = scaling.raw(solution[0])
    scored = which[compared.original]
    right = best.logits.argmax(axis=1) == compared.labels[compared.original]
    return Head(
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        method=best.point.method,
        strength=best.point.strength,
        path=tuple(trial.point for trial in trials),
        scored=np.sort(scored),
        out_of_fold=best.logits[np.argsort(scored)],
        cv_log_loss=best.point.log_loss,
        cv_accuracy=best.point.accuracy,
        n_folds=0 if settings.method == "ridge" else compared.n_folds,
        cv_worth=effective_n(right, compared.groups[compared.original]),
    )


def quick_estimate(rows: Rows, *, n_classes: int, seed: int = 0) -> Estimate:
    """Estimate in a fraction of a second how well a head could do.

    Ridge regression on up to :data:`QUICK_ORIGINALS` originals, each group left out once. The
    strength is chosen on the same scores, so the estimate is slightly kind; a head that is solved
    from many more examples still does better.

    Raises
    ------
    UsageError
        With code ``bad-rows`` when the rows make no sense.

    Examples
    --------
    >>> labels = np.arange(60) % 2
    >>> everyone = np.ones(60, dtype=bool)
    >>> features = np.column_stack([labels, labels]).astype(np.float32)
    >>> rows = Rows(features=features, labels=labels, groups=np.arange(60), original=everyone)
    >>> quick_estimate(rows, n_classes=2).accuracy
    1.0
    """
    checked(rows, n_classes)
    scaling, whole = _whole(rows, n_classes, "none")
    chosen = subset(rows, QUICK_ORIGINALS, seed)
    compared, _ = _compared(whole, scaling, np.zeros(len(rows.labels), dtype=np.int64), chosen)
    best = lowest(ridge_trials(compared, (rows.features.shape[1],), ())).point
    return Estimate(best.accuracy, best.log_loss, int(compared.original.sum()))


def _in_range(candidates: tuple[int, ...], n_features: int) -> tuple[int, ...]:
    if not all(0 < each <= n_features for each in candidates):
        raise ConfigError(
            f"Candidates {candidates} for {n_features} columns of features.",
            code="setting-range",
            hint=f"numbers of columns from 1 to {n_features}",
        )
    return tuple(dict.fromkeys(candidates)) or (n_features,)


def _n_compared(rows: Rows) -> int:
    return min(MAX_ORIGINALS, MAX_ROWS * int(rows.original.sum()) // len(rows.labels))


def _whole(rows: Rows, n_classes: int, balance: Balance) -> tuple[Scaling, Learning]:
    scaling = measure(rows.features, row_weights(rows, "none"))
    learning = Learning(
        design=Design(rows.features, 1 + rows.features.shape[1], scaling),
        labels=rows.labels,
        groups=rows.groups,
        original=rows.original,
        weights=row_weights(rows, balance),
        folds=np.full(len(rows.labels), -1),
        balance=balance,
        n_classes=n_classes,
    )
    return scaling, learning


def _compared(
    whole: Learning, scaling: Scaling, folds: NDArray[np.int64], chosen: NDArray[np.intp]
) -> tuple[Learning, NDArray[np.intp]]:
    """Hold the chosen rows in memory, sorted by fold; also return which they are."""
    which = chosen[np.argsort(folds[chosen], kind="stable")]
    learning = Learning(
        design=in_memory(whole.design.features, scaling, which),
        labels=whole.labels[which],
        groups=whole.groups[which],
        original=whole.original[which],
        weights=whole.weights[which],
        folds=folds[which],
        balance=whole.balance,
        n_classes=whole.n_classes,
    )
    return learning, which


def _logistic(
    learning: Learning,
    at: tuple[int, float],
    draw: np.random.Generator,
    start: Points | None = None,
) -> Points:
    """Solve one head from all rows, for (n_columns, strength); return (1, n_classes, 1 + n)."""
    design = learning.design.prefix(at[0])
    weights = (learning.weights / learning.weights.sum())[None]
    problem = Problems(
        design=design,
        labels=learning.labels,
        n_classes=learning.n_classes,
        weights=weights.astype(np.float32),
        unseen=learning.unseen(weights),
        spread=spread(design, draw),
    )
    begin = problem.start() if start is None else problem.inner(start)
    return problem.per_class(problem.solved(at[1], begin, tolerance=_TOLERANCE))


def _uncompared(scaling: Scaling, solution: Points, strength: float) -> Head:
    weights, bias = scaling.raw(solution[0])
    return Head(
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        method="logistic",
        strength=strength,
        path=(),
        scored=np.zeros(0, dtype=np.int64),
        out_of_fold=np.zeros((0, len(bias)), dtype=np.float32),
        cv_log_loss=np.nan,
        cv_accuracy=np.nan,
        n_folds=0,
        cv_worth=0.0,
    )
