"""Would more data help: heads on ever more of the training part, from features that are there.

Heads by ridge regression, for speed: they follow the shipped head closely enough for a curve, not
for its last point. Scored on the validation part, which no head here has learned from. Two numbers
that all of them share are chosen on it, with one head of a middling size: the penalty, and the
factor from scores to logits, which the log loss alone depends on. The test part is not looked at. A
network that is trained from scratch has no features before it is trained, and training it on many
subsets would cost several times the training: no curve then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Example, Manifest
from fieldmark.data.table import written
from fieldmark.errors import UsageError
from fieldmark.evaluation.more_data import MoreData, Scored, forecast
from fieldmark.runs import RunFolder
from fieldmark.training.features import Features
from fieldmark.training.ridge import sharpness
from fieldmark.workflow.parts import labels_of, positions

NAMES: Final = ("learning_curve.json", "learning_curve.csv")
DRAWS: Final = ((16, 5), (8, 5), (4, 4), (2, 3), (1, 1))
"""One in so many of the training pictures, and how often that is drawn."""
MIN_EACH: Final = 5
"""Pictures of the rarest class in every subset of a size; below, that size is left out."""
MIN_VALID: Final = 50
MAX_PICTURES: Final = 4_000
"""Training pictures beyond which the curve is drawn with a subset: the time is bounded."""
MAX_SCORED: Final = 4_000
"""Validation pictures beyond which a subset is scored: the memory is bounded."""
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
        None where there are too few pictures or groups for three sizes, or to score on.
    """
    manifest, labels = features.manifest, labels_of(features.manifest)
    everything = positions(manifest, "train")
    train = _bounded(manifest, everything, MAX_PICTURES, rng.derive(seed, "curve", 0))
    valid = positions(manifest, "valid")
    valid = _bounded(manifest, valid, MAX_SCORED, rng.derive(seed, "curve", "scored"))
    subsets = _subsets(manifest, train, seed)
    if len(valid) < MIN_VALID or len(subsets) < 3 or len(manifest.classes) < 2:
        return None

    def rows(at: NDArray[np.int64]) -> Rows:
        places = [features.row_of[manifest.examples[i].sha256] for i in at]
        return np.asarray(features.rows[places][:, :n_columns], np.float32)

    heads = Heads.of(rows(train), labels[train], rows(valid), labels[valid])
    every = [each for drawn in subsets for each in drawn]
    middling = next((each for each in reversed(every) if len(each) <= MAX_TUNED), every[0])
    penalty, factor = heads.tuned(middling)
    wrong, losses = zip(*(heads.scored(each, penalty, factor) for each in every), strict=True)
    # Draws of one size differ by a picture or a group.
    sizes = [round(float(np.mean([len(each) for each in drawn]))) for drawn in subsets]
    scored = Scored(
        sizes=np.repeat(np.array(sizes, np.int64), [len(drawn) for drawn in subsets]),
        wrong=np.stack(wrong),
        losses=np.stack(losses),
        labels=labels[valid],
        groups=unit_numbers([manifest.examples[at] for at in valid]),
        n=len(everything),
    )
    try:
        return forecast(scored, manifest.classes, rng=rng.derive(seed, "curve"))
    except UsageError as error:
        if error.code != "curve":
            raise
        return None  # large groups can leave several sizes with the same number of pictures


def _bounded(
    manifest: Manifest, at: NDArray[np.int64], most: int, draw: np.random.Generator
) -> NDArray[np.int64]:
    """Return at most about so many of the positions: whole groups, every class in its share."""
    if len(at) <= most:
        return at
    examples = [manifest.examples[i] for i in at]
    return at[order(examples, labels_of(manifest)[at], draw) <= most / len(at)]


def _subsets(
    manifest: Manifest, train: NDArray[np.int64], seed: int
) -> list[list[NDArray[np.int64]]]:
    """Return the draws of each size that holds enough of every class in all of them."""
    examples, labels = [manifest.examples[at] for at in train], labels_of(manifest)[train]
    n_classes = len(manifest.classes)

    def rarest(at: NDArray[np.int64]) -> int:
        return int(np.bincount(labels[at], minlength=n_classes).min())

    if rarest(np.arange(len(train))) < MIN_EACH:
        return []
    orders = [
        order(examples, labels, rng.derive(seed, "curve", number))
        for number in range(max(n for _, n in DRAWS))
    ]
    found = [[np.flatnonzero(each <= 1 / part) for each in orders[:n]] for part, n in DRAWS]
    return [drawn for drawn in found if min(map(rarest, drawn)) >= MIN_EACH]


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

    def tuned(self, at: NDArray[np.int64]) -> tuple[float, float]:
        """Return penalty and factor of lowest validation log loss with the pictures at ``at``."""
        own, other, targets, shares = self._centred(at)
        values, vectors = np.linalg.eigh(own)
        seen, wanted = other @ vectors, vectors.T @ targets
        n = len(self.labels)
        found = []
        for penalty in _PENALTIES * self.n_columns:
            scores = seen @ (wanted / (values + penalty)[:, None]) + shares
            factor = sharpness(scores, self.labels, np.full(n, 1 / n))
            found.append((float(self._losses(scores, factor).mean()), float(penalty), factor))
        return min(found)[1:]

    def scored(
        self, at: NDArray[np.int64], penalty: float, factor: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Solve one head; return which validation pictures it gets wrong, and their losses."""
        own, other, targets, shares = self._centred(at)
        own[np.diag_indices_from(own)] += penalty
        solution = np.linalg.solve(own, targets.astype(own.dtype))
        scores = (other @ solution).astype(np.float64) + shares
        wrong: NDArray[np.bool_] = scores.argmax(axis=1) != self.labels
        return wrong, self._losses(scores, factor)

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

    def _losses(self, scores: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
        logits = factor * scores
        logits -= logits.max(axis=1, keepdims=True)
        found: NDArray[np.float64] = np.log(np.exp(logits).sum(axis=1))
        return found - logits[np.arange(len(self.labels)), self.labels]


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
