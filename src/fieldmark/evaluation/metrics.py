"""How often the network is right, in the ways that are worth knowing.

Pure NumPy. Every metric is ``(probs, labels) -> float``. Those that only need to know how often
each class occurred, was named and was right also come as ``..._of(tallies)``, which accepts many at
once so that their interval can be resampled. All agree with scikit-learn to 1e-12.

Classes that do not occur among the labels have no recall and no F1, so the averages leave them out
instead of counting them as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.evaluation.auc import Areas
from fieldmark.evaluation.intervals import nothing_to_measure

Probs = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

_ROW_SUM_TOLERANCE = 1e-3
"""Scores come as float32 and, after export, within 1e-3 of the trained network's."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A counted share with its Wilson interval, all in [0, 1]."""

    value: float
    low: float
    high: float
    n: int
    """Of how many."""


def checked(probs: Probs, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return both as float64 and int64, or say what is wrong with them.

    Raises
    ------
    DataError
        With code ``nothing-to-measure`` when there are no examples.
    UsageError
        With code ``bad-scores`` when shapes disagree, a label is not a column of ``probs``, or the
        rows are not probabilities.
    """
    scores = np.asarray(probs, dtype=np.float64)
    truth = np.asarray(labels)
    problem = ""
    if scores.ndim != 2 or truth.ndim != 1 or len(scores) != len(truth):
        problem = f"scores of shape {scores.shape} for labels of shape {truth.shape}"
    elif not len(truth):
        raise nothing_to_measure()
    elif not np.issubdtype(truth.dtype, np.integer):
        problem = f"labels of type {truth.dtype}, not whole numbers"
    elif truth.min() < 0 or truth.max() >= scores.shape[1]:
        problem = f"labels {truth.min()} to {truth.max()} for {scores.shape[1]} columns of scores"
    elif not np.isfinite(scores).all():
        problem = f"{int((~np.isfinite(scores)).sum())} scores that are not finite numbers"
    elif scores.min() < 0 or np.abs(scores.sum(axis=1) - 1).max() > _ROW_SUM_TOLERANCE:
        problem = "scores that are negative or do not add up to 1 in each row"
    if problem:
        raise UsageError(
            f"Measuring was asked for with {problem}.",
            code="bad-scores",
            why="Every number that followed from them would be wrong.",
            hint="pass probabilities (n_examples, n_classes) and class indices (n_examples,)",
        )
    return scores, truth.astype(np.int64)


def confusion(labels: Labels, predicted: Labels, n_classes: int) -> NDArray[np.int64]:
    """Count which class was taken for which.

    Parameters
    ----------
    labels, predicted : int arrays of shape (n_examples,)
        Class indices in [0, n_classes).
    n_classes : int
        Also of classes that do not occur.

    Returns
    -------
    int64 array of shape (n_classes, n_classes)
        Rows are the true classes, columns the predicted ones.

    Raises
    ------
    UsageError
        With code ``bad-scores`` when the lengths differ or an index is outside the range.

    Examples
    --------
    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    both = np.stack([labels, predicted]) if len(labels) == len(predicted) else None
    if both is None or (both.size and (both.min() < 0 or both.max() >= n_classes)):
        raise UsageError(
            f"{len(labels)} labels and {len(predicted)} answers do not fit {n_classes} classes.",
            code="bad-scores",
            hint="pass two arrays of class indices of the same length",
        )
    cells = both[0].astype(np.int64) * n_classes + both[1]
    counts = np.bincount(cells, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def losses(probs: Probs, labels: Labels) -> NDArray[np.float64]:
    """Penalise each example for the probability its label was given: ``-ln p``.

    Returns
    -------
    float64 array of shape (n_examples,)
        In nats, in [0, 36.05]: probabilities below 2.2e-16 count as that, as in scikit-learn.
    """
    scores, truth = checked(probs, labels)
    return loss_if(scores[np.arange(len(truth)), truth])


def loss_if(given: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the same, had the truth been the class that was given this probability."""
    surprise: NDArray[np.float64] = -np.log(np.clip(given, np.finfo(np.float64).eps, 1.0))
    return surprise + 0.0  # turns -0.0 into 0.0


def log_loss(probs: Probs, labels: Labels) -> float:
    """Average :func:`losses`, in nats; rewards honest probabilities, 0 is perfect.

    Examples
    --------
    >>> round(log_loss(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1])), 6)
    0.346574
    """
    return float(losses(probs, labels).mean())


def accuracy(probs: Probs, labels: Labels) -> float:
    """Share of examples whose highest score is on their label, in [0, 1]; the first of equals wins.

    Examples
    --------
    >>> accuracy(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    0.5
    """
    scores, truth = checked(probs, labels)
    return float((scores.argmax(axis=1) == truth).mean())


def balanced_accuracy(probs: Probs, labels: Labels) -> float:
    """Average recall of the classes that occur, in [0, 1]: rare ones count as much as common ones.

    References
    ----------
    Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010.
    """
    return float(balanced_accuracy_of(_tallies(probs, labels)))


def macro_f1(probs: Probs, labels: Labels) -> float:
    """Average F1 of the classes that occur among the labels, in [0, 1].

    Equals scikit-learn's ``f1_score(..., labels=np.unique(labels), average="macro")``.
    """
    return float(macro_f1_of(_tallies(probs, labels)))


def tallies(labels: Labels, predicted: Labels, n_classes: int) -> NDArray[np.float64]:
    """Write each example as what it adds to the counts of each class.

    Returns
    -------
    float64 array of shape (n_examples, 3 * n_classes)
        Ones in three places: of the class, right and of the class, named so. Sums over examples are
        what :func:`balanced_accuracy_of` and :func:`macro_f1_of` take.

    Examples
    --------
    >>> tallies(np.array([0, 0]), np.array([0, 1]), 2).sum(axis=0).tolist()
    [2.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    """
    rows = np.zeros((len(labels), 3 * n_classes))
    at = np.arange(len(labels))
    rows[at, labels] = 1
    rows[at, n_classes + labels] = labels == predicted
    rows[at, 2 * n_classes + predicted] = 1
    return rows


def balanced_accuracy_of(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the same from sums of :func:`tallies`, shape (..., 3 * n_classes)."""
    n_true, right, _ = np.split(sums, 3, axis=-1)
    return _mean_over_present(right / np.maximum(n_true, 1), n_true)


def macro_f1_of(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the same from sums of :func:`tallies`, shape (..., 3 * n_classes)."""
    n_true, right, n_named = np.split(sums, 3, axis=-1)
    return _mean_over_present(2 * right / np.maximum(n_true + n_named, 1), n_true)


def briers(probs: Probs, labels: Labels) -> NDArray[np.float64]:
    """Penalise each example for the squared distance of its scores from the truth, halved.

    Returns
    -------
    float64 array of shape (n_examples,)
        In [0, 1]. With two classes, the squared error of either probability.
    """
    scores, truth = checked(probs, labels)
    given = scores[np.arange(len(truth)), truth]
    return brier_if(scores, given)


def brier_if(scores: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the same, had the truth been the class that was given this probability."""
    rest = np.maximum(np.square(scores).sum(axis=1) - np.square(given), 0.0)
    each: NDArray[np.float64] = (np.square(1 - given) + rest) / 2
    return each


def brier(probs: Probs, labels: Labels) -> float:
    """Average :func:`briers`, in [0, 1]; rewards honest probabilities, 0 is perfect.

    Equals scikit-learn's ``brier_score_loss(..., scale_by_half=True)`` for any number of classes.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
    Review 1950, pages 1-3; his sum over the classes, divided by its largest value.

    Examples
    --------
    >>> brier(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1]))
    0.125
    """
    return float(briers(probs, labels).mean())


def in_top(probs: Probs, labels: Labels, k: int) -> NDArray[np.bool_]:
    """Say of each example whether its label is among its ``k`` highest scores.

    Of equal scores the first class is the higher one, as in :func:`accuracy`.
    """
    scores, truth = checked(probs, labels)
    given = scores[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(scores.shape[1])[None] < truth[:, None]
    ahead = ((scores > given) | ((scores == given) & earlier)).sum(axis=1)
    found: NDArray[np.bool_] = ahead < k
    return found


def top_k(probs: Probs, labels: Labels, k: int = 5) -> float:
    """Share of examples whose label is among the ``k`` highest scores, in [0, 1].

    Examples
    --------
    >>> top_k(np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), np.array([1, 2]), k=2)
    0.5
    """
    return float(in_top(probs, labels, k).mean())


def macro_auc(probs: Probs, labels: Labels) -> float:
    """Average, over the classes that occur, of the area under each one's ROC curve, in [0, 1].

    Each class against the rest, every class counting the same. With all classes present it equals
    scikit-learn's ``roc_auc_score(..., multi_class="ovr", average="macro")``. Not a number when
    only one class occurs: there is nothing to put in order.

    Examples
    --------
    >>> macro_auc(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]), np.array([0, 1, 1]))
    1.0
    """
    return Areas(*checked(probs, labels)).value


def _tallies(probs: Probs, labels: Labels) -> NDArray[np.float64]:
    scores, truth = checked(probs, labels)
    rows = tallies(truth, scores.argmax(axis=1), scores.shape[1])
    return np.asarray(rows.sum(axis=0), np.float64)


def _mean_over_present(
    values: NDArray[np.float64], n_true: NDArray[np.float64]
) -> NDArray[np.float64]:
    present = n_true > 0
    means: NDArray[np.float64] = (values * present).sum(axis=-1) / present.sum(axis=-1)
    return means


METRICS: Final[dict[str, Callable[[Probs, Labels], float]]] = {
    "accuracy": accuracy,
    "balanced accuracy": balanced_accuracy,
    "macro F1": macro_f1,
    "log loss": log_loss,
    "Brier": brier,
    "macro AUC": macro_auc,
}
"""Every metric by the name people see, in the order shown."""
