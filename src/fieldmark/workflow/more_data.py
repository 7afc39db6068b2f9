"""Would more data help: heads on ever more of the training part, from features that are there.

Heads by ridge regression, for speed: they follow the shipped head closely enough for a curve, not
for its last point. Scored on the validation part, which no head here has learned from; two numbers
that all of them share are chosen on it, the penalty and the factor from scores to logits. The test
part is not looked at. A network that is trained from scratch has no features before it is
trained, and training it on many subsets would cost several times the training: no curve then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Example
from fieldmark.data.table import written
from fieldmark.evaluation.more_data import MoreData, Scored, forecast
from fieldmark.runs import RunFolder
from fieldmark.training.features import Features
from fieldmark.training.ridge import sharpness
from fieldmark.workflow.parts import labels_of, positions

NAMES: Final = ("learning_curve.json", "learning_curve.csv")
DRAWS: Final = ((16, 5), (8, 5), (4, 4), (2, 3), (1, 1))
"""One in so many of the training pictures, and how often that is drawn."""
MIN_EACH: Final = 5
"""Pictures of the rarest class in the smallest subset; below, that size is left out."""
MIN_VALID: Final = 50
MAX_PICTURES: Final = 4_000
"""Training pictures beyond which the curve is of a subset: the time is bounded."""
MAX_TUNED: Final = 1_000
"""Pictures of the subset that the penalty is chosen with."""
_PENALTIES: Final = np.geomspace(1e-3, 30, 10)
"""Times the number of columns: what is added to each picture's product with itself."""
Rows = NDArray[np.float32]


def measured(features: Features, n_columns: int, *, seed: int) -> MoreData | None:
    """Draw the learning curve of a folder.

    Parameters
    ----------
    features : Features
        Of the training and the validation part.
    n_columns : int
        The first so many features, as the shipped head reads them.
    seed : int
        Of the draws and the resamples.

    Returns
    -------
    MoreData or None
        None where there are too few pictures for three sizes, or to score on.
    """
    manifest, labels = features.manifest, labels_of(features.manifest)
    train, valid = positions(manifest, "train"), positions(manifest, "valid")
    examples = [manifest.examples[at] for at in train]
    ranked = order(examples, labels[train], rng.derive(seed, "curve", 0))
    if len(train) > MAX_PICTURES:
        kept = ranked <= MAX_PICTURES / len(train)
        train, examples = train[kept], [each for each, k in zip(examples, kept, strict=True) if k]
    n_rarest = int(np.bincount(labels[train], minlength=len(manifest.classes)).min())
    draws = [(part, n) for part, n in DRAWS if n_rarest >= part * MIN_EACH]
    if len(valid) < MIN_VALID or len(draws) < 3:
        return None

    def rows(at: NDArray[np.int64]) -> Rows:
        places = [features.row_of[manifest.examples[i].sha256] for i in at]
        return np.asarray(features.rows[places][:, :n_columns], np.float32)

    heads = Heads.of(rows(train), labels[train], rows(valid), labels[valid])
    orders = [
        order(examples, labels[train], rng.derive(seed, "curve", number))
        for number in range(max(n for _, n in draws))
    ]
    subsets = [np.flatnonzero(orders[at] <= 1 / part) for part, n in draws for at in range(n)]
    tuned = next(each for each in reversed(subsets) if len(each) <= MAX_TUNED)
    penalty = heads.best_penalty(tuned)
    wrong, losses = zip(*(heads.scored(each, penalty) for each in subsets), strict=True)
    sizes = [len(subsets[0])] * len(subsets)
    at = 0
    for _, n in draws:  # draws of one size differ by a picture or a group
        sizes[at : at + n] = [
            round(float(np.mean([len(each) for each in subsets[at : at + n]])))
        ] * n
        at += n
    scored = Scored(
        sizes=np.array(sizes, np.int64),
        wrong=np.stack(wrong),
        losses=np.stack(losses),
        labels=labels[valid],
        groups=unit_numbers([manifest.examples[at] for at in valid]),
    )
    return forecast(scored, manifest.classes, rng=rng.derive(seed, "curve"))


def order(
    examples: Sequence[Example], labels: NDArray[np.int64], draw: np.random.Generator
) -> NDArray[np.float64]:
    """Return each example's place in (0, 1]: those up to a share are a subset of that share.

    Subsets are nested, hold whole groups, and about the same share of every class.
    """
    groups = unit_numbers(examples)
    key = draw.random(int(groups.max()) + 1)[groups]
    places = np.empty(len(labels))
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        ranked = own[np.argsort(key[own], kind="stable")]
        places[ranked] = np.arange(1, len(own) + 1) / len(own)
    # A group goes in with its last member, so that no part of it is left behind.
    last = np.zeros(int(groups.max()) + 1)
    np.maximum.at(last, groups, places)
    return np.asarray(last[groups], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Products of all pictures with all: heads on any subset cost a small system of equations."""

    train: NDArray[np.float32]
    """(n_train, n_train)"""
    valid: NDArray[np.float32]
    """(n_valid, n_train)"""
    targets: NDArray[np.float64]
    """(n_train, n_classes), one-hot."""
    labels: NDArray[np.int64]
    """(n_valid,)"""
    n_columns: int

    @classmethod
    def of(
        cls, rows: Rows, labels: NDArray[np.int64], valid: Rows, valid_labels: NDArray[np.int64]
    ) -> Heads:
        """Standardise the columns by the training part and multiply."""
        middle, spread = rows.mean(axis=0), rows.std(axis=0)
        scale = np.where(spread > 0, spread, 1)
        own, other = (rows - middle) / scale, (valid - middle) / scale
        targets = np.eye(int(labels.max()) + 1)[labels]
        return cls(own @ own.T, other @ own.T, targets, valid_labels, rows.shape[1])

    def best_penalty(self, at: NDArray[np.int64]) -> float:
        """Return the penalty of lowest validation log loss with the pictures at some positions."""
        own, other, targets, shares = self._centred(at)
        values, vectors = np.linalg.eigh(own)
        seen, wanted = other @ vectors, vectors.T @ targets
        penalties = _PENALTIES * self.n_columns
        found = []
        for penalty in penalties:
            scores = seen @ (wanted / (values + penalty)[:, None]) + shares
            found.append(float(self._losses(scores).mean()))
        return float(penalties[int(np.argmin(found))])

    def scored(
        self, at: NDArray[np.int64], penalty: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Solve one head; return which validation pictures it gets wrong, and their losses."""
        own, other, targets, shares = self._centred(at)
        own[np.diag_indices_from(own)] += penalty
        solution = np.linalg.solve(own, targets.astype(own.dtype))
        scores = (other @ solution).astype(np.float64) + shares
        wrong: NDArray[np.bool_] = scores.argmax(axis=1) != self.labels
        return wrong, self._losses(scores)

    def _centred(
        self, at: NDArray[np.int64]
    ) -> tuple[Rows, Rows, NDArray[np.float64], NDArray[np.float64]]:
        own, other = self.train[np.ix_(at, at)], self.valid[:, at]
        means = own.mean(axis=0)
        shares = self.targets[at].mean(axis=0)
        middle = means.mean()
        return (
            own - means - means[:, None] + middle,
            other - means - other.mean(axis=1, keepdims=True) + middle,
            self.targets[at] - shares,
            shares,
        )

    def _losses(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        n = len(self.labels)
        logits = sharpness(scores, self.labels, np.full(n, 1 / n)) * scores
        logits -= logits.max(axis=1, keepdims=True)
        found: NDArray[np.float64] = np.log(np.exp(logits).sum(axis=1))
        return found - logits[np.arange(n), self.labels]


def write(folder: RunFolder, found: MoreData) -> None:
    """Keep the curve as ``learning_curve.json`` and ``.csv``."""
    folder.write_json(NAMES[0], found.to_dict())
    rows: list[list[str | float | None]] = [
        [measure, each.n, f"{each.value:.6f}", f"{each.low:.6f}", f"{each.high:.6f}", kind]
        for measure, points in (("accuracy", found.accuracy), ("log_loss", found.log_loss))
        for each in points
        for kind in ["forecast" if each.forecast else "measured"]
    ]
    folder.write(NAMES[1], written(["measure", "n", "value", "low", "high", "kind"], rows))
