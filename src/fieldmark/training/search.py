"""Which columns and which strength: compared by the log-loss of rows that were not learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.training.descent import Points
from fieldmark.training.design import Design
from fieldmark.training.logistic import Problems, held_out, spread
from fieldmark.training.ridge import decomposed, sharpness
from fieldmark.training.rows import Balance

Method = Literal["logistic", "ridge"]

GRID: Final = tuple(np.geomspace(1000, 1e-4, 15).tolist())
"""Strengths that are tried, from strong to weak; then finer around the best of them. Thousands of
examples want 0.01 to 1; a handful of them may want to be hardly believed."""
_TURNED = 1.02
"""The path ends where the loss is so many times its lowest value."""
_TOLERANCE = 1e-5
"""Nats from a fold's minimum: less than the fourth digit of its log-loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPoint:
    """One setting, scored by originals that it was not solved from."""

    method: Method
    n_columns: int
    strength: float
    log_loss: float
    """Mean over the originals, in nats; weighted as the loss is that was minimised."""
    log_loss_se: float
    """Its standard error, of independent examples."""
    accuracy: float
    """Weighted in the same way: with ``balance="weights"``, the balanced accuracy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """Rows in memory, sorted by fold, and what each counts for."""

    design: Design
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    original: NDArray[np.bool_]
    weights: NDArray[np.float64]
    folds: NDArray[np.int64]
    """-1: learned from in every fold."""
    balance: Balance
    n_classes: int

    @property
    def n_folds(self) -> int:
        """0 when nothing can be cross-validated."""
        return int(self.folds.max()) + 1

    def scoring(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the originals' labels and what each counts for in a score, adding up to 1."""
        labels = self.labels[self.original]
        counts = np.bincount(labels, minlength=self.n_classes)
        weights = 1 / counts[labels] if self.balance == "weights" else np.ones(len(labels))
        return labels, weights / weights.sum()

    def unseen(self, weights: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (n_problems, n_classes): which classes have no weight."""
        rows = [np.bincount(self.labels, each, self.n_classes) for each in weights]
        missing: NDArray[np.bool_] = np.stack(rows) == 0
        return missing


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A point of the path with what it was found from."""

    point: PathPoint
    logits: NDArray[np.float32]
    """(n_originals, n_classes), out of fold."""
    solution: Points
    """Weights of every class in standardised columns, (1, n_classes, 1 + n_columns): the mean of
    the folds' solutions, or the ridge solution in units of logits."""


def scored(
    learning: Learning, logits: NDArray[np.float32], method: Method, at: tuple[int, float]
) -> PathPoint:
    """Score the originals' logits for (n_columns, strength)."""
    labels, weights = learning.scoring()
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    losses = np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(len(labels)), labels]
    mean = float(weights @ losses)
    return PathPoint(
        method=method,
        n_columns=at[0],
        strength=at[1],
        log_loss=mean,
        log_loss_se=float(np.sqrt(np.square(weights * (losses - mean)).sum())),
        accuracy=float(weights[logits.argmax(axis=1) == labels].sum() / weights.sum()),
    )


class LogisticPath:
    """Folds of one candidate, solved side by side from strong to weak.

    Parameters
    ----------
    learning : Learning
        At least two folds.
    n_columns : int
        The candidate: the first so many columns.
    draw : numpy.random.Generator
        For the preconditioner.
    """

    def __init__(self, learning: Learning, n_columns: int, draw: np.random.Generator) -> None:
        design = learning.design.prefix(n_columns)
        folds = np.arange(learning.n_folds)[:, None]
        weights = np.where(learning.folds == folds, 0, learning.weights)
        weights /= weights.sum(axis=1, keepdims=True)
        self._learning = learning
        self._n_columns = n_columns
        self._problems = Problems(
            design=design,
            labels=learning.labels,
            n_classes=learning.n_classes,
            weights=weights.astype(np.float32),
            unseen=learning.unseen(weights),
            spread=spread(design, draw),
        )
        self._near = self._problems.start()
        self._lowest = np.inf

    def along(self, strengths: tuple[float, ...]) -> list[Trial]:
        """Try strengths in turn, each from the last solution, until the loss has clearly turned."""
        found: list[Trial] = []
        points = self._near
        for strength in strengths:
            points = self._problems.solved(strength, points, tolerance=_TOLERANCE)
            found.append(self._trial(points, strength))
            loss = found[-1].point.log_loss
            if loss < self._lowest:
                self._lowest, self._near = loss, points
            elif loss > _TURNED * self._lowest:
                break
        return found

    def _trial(self, points: Points, strength: float) -> Trial:
        learning = self._learning
        weights = self._problems.per_class(points)
        _, columns = next(self._problems.design.blocks())
        logits = np.empty((len(columns), learning.n_classes), dtype=np.float32)
        for fold, unseen in enumerate(self._problems.unseen):
            first, end = np.searchsorted(learning.folds, [fold, fold + 1])
            n_learned = float(learning.original.sum() - learning.original[first:end].sum())
            raw = columns[first:end] @ weights[fold].T
            logits[first:end] = held_out(raw, unseen, n_learned)
        logits = logits[learning.original]
        point = scored(learning, logits, "logistic", (self._n_columns, strength))
        return Trial(point, logits, weights.mean(axis=0, keepdims=True))


def logistic_trials(
    learning: Learning,
    candidates: tuple[int, ...],
    strengths: tuple[float, ...],
    draw: np.random.Generator,
) -> list[Trial]:
    """Compare candidates along the same strengths, then refine around the best point once.

    Every candidate is followed from the strongest one on: at a weak strength a start from nothing
    takes steps that end anywhere.
    """
    given = tuple(sorted(strengths or GRID, reverse=True))
    paths: dict[int, LogisticPath] = {}
    trials: list[Trial] = []
    for n_columns in candidates:
        paths[n_columns] = LogisticPath(learning, n_columns, draw)
        trials += paths[n_columns].along(given)
    if not strengths:
        best = lowest(trials).point
        step = (given[0] / given[1]) ** 0.5
        trials += paths[best.n_columns].along((best.strength * step,))
        trials += paths[best.n_columns].along((best.strength / step,))
    return trials


def ridge_trials(
    learning: Learning, candidates: tuple[int, ...], strengths: tuple[float, ...]
) -> list[Trial]:
    """Score every candidate and strength by leaving each group out, exactly."""
    trials = []
    for n_columns in candidates:
        _, columns = next(learning.design.prefix(n_columns).blocks())
        ridge = decomposed(columns[:, 1:], learning.labels, learning.weights, learning.n_classes)
        labels, weights = learning.scoring()
        for strength in sorted(strengths or GRID, reverse=True):
            scores = ridge.left_out(strength, learning.groups)[learning.original]
            factor = sharpness(scores, labels, weights)
            logits = (factor * scores).astype(np.float32)
            point = scored(learning, logits, "ridge", (n_columns, strength))
            solution = (factor * ridge.solution(strength)).astype(np.float32)
            trials.append(Trial(point, logits, solution[None]))
    return trials


def lowest(trials: list[Trial]) -> Trial:
    """Return the trial of lowest log-loss, the first of equals."""
    return min(trials, key=_log_loss)


def _log_loss(trial: Trial) -> float:
    return trial.point.log_loss
