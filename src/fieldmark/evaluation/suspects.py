"""Which labels are probably wrong: for every example the probability.

Confident learning, carried to its posterior. A classifier that has not seen an example says how
likely each class is; a table says how often a thing of one class is given the label of another.
Both together give the probability that a label is wrong, by Bayes' rule. The table starts as the
confident joint and is then fitted, with the classifier's temperature, so that the labels as they
were given become most likely. Fitting both at once is what makes the probability hold: a
temperature fitted alone to labels that are partly wrong makes the classifier look unsure.

Pure. What it cannot see: mistakes made consistently, such as all huskies labelled as wolves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError

LISTED: Final = 0.5
"""Listed as a suspect from this probability on: more likely wrong than right."""
FEW: Final = 10
"""Examples of a class, copies counted once; with fewer, its labels are not judged."""
_RIGHT: Final = 10.0
_WRONG: Final = 0.5
"""Examples imagined per class, labelled rightly and wrongly: a table from few rows stays careful.
Between 1 and 50 right ones, 5 % planted flips are found equally well."""
_USUAL: Final = 0.5
"""Standard deviation of the logarithm of the sharpness. Where a few examples part the classes
cleanly, any sharpness fits; without this one would be as good as certain of everything.
"""
_ROUNDS: Final = 60
_SETTLED: Final = 1e-5
_SHARPEST: Final = 50.0
"""Times that logits may be multiplied by, at most; and divided."""

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Suspects:
    """All examples, ranked by how probably their label is wrong."""

    order: Whole
    """(n,) positions of the judged examples, the most suspicious first."""
    p_wrong: Array
    """(n_examples,), in [0, 1]; NaN where it was not judged."""
    likely: Whole
    """(n_examples,): of the other classes the likeliest; the given label where not judged."""
    noise: Array
    """(n_classes, n_classes): row true class, column given label; rows sum to 1."""
    sharpness: float
    """What the logits were multiplied by; 1 / temperature."""
    few: tuple[int, ...] = ()
    """Classes with too few examples to be judged."""

    @property
    def n(self) -> int:
        """How many were judged."""
        return len(self.order)

    @property
    def listed(self) -> Whole:
        """Positions of those that are more probably wrong than right, in order."""
        return self.order[self.p_wrong[self.order] >= LISTED]


def suspects(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    groups: NDArray[np.integer] | None = None,
) -> Suspects:
    """Rank examples by the probability that their label is wrong.

    Parameters
    ----------
    logits : float array of shape (n_examples, n_classes)
        By classifiers that had not seen the example *nor a copy of it*; log-probabilities do.
    labels : int array of shape (n_examples,)
        As given, in [0, n_classes).
    groups : int array of shape (n_examples,), optional
        Copies share a number; they count once where examples are counted.

    Returns
    -------
    Suspects
        With nothing judged where fewer than two classes have :data:`FEW` examples.

    Raises
    ------
    UsageError
        With code ``bad-scores`` when shapes disagree or numbers are not finite.

    References
    ----------
    Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
    JAIR 2021: thresholds and the confident joint. Dawid and Skene, "Maximum Likelihood Estimation
    of Observer Error-Rates Using the EM Algorithm", Applied Statistics 1979: fitting the table.

    Examples
    --------
    >>> labels = np.repeat([0, 1], 50)
    >>> logits = np.where(labels[:, None] == [0, 1], 3.0, -3.0)
    >>> labels[7] = 1
    >>> found = suspects(logits, labels)
    >>> found.listed.tolist(), found.likely[7].item(), bool(found.p_wrong[7] > 0.9)
    ([7], 0, True)
    """
    scores, given, sources = _checked(logits, labels, groups)
    n_classes = scores.shape[1]
    pairs = np.unique(np.stack([given, sources]), axis=1)
    n_each = np.bincount(pairs[0], minlength=n_classes)
    few = np.flatnonzero((n_each < FEW) & (n_each > 0))
    judged = np.flatnonzero(~np.isin(given, few))
    p_wrong, likely = np.full(len(given), np.nan), given.copy()
    if len(np.unique(given[judged])) < 2:
        nothing = np.zeros(0, np.int64)
        return _result(nothing, p_wrong, likely, _Fit(1.0, np.eye(n_classes)), few)
    scores, given = scores[judged], given[judged]
    fit = _best(scores, given)
    posterior = fit.posterior(scores, given)
    at = np.arange(len(given))
    p_wrong[judged] = wrong = 1 - posterior[at, given]
    posterior[at, given] = -1
    likely[judged] = posterior.argmax(axis=1)
    # Of equal probabilities the first in the folder's order comes first.
    order = judged[np.argsort(-wrong, kind="stable")]
    return _result(order, p_wrong, likely, fit, few)


@dataclass(frozen=True, slots=True)
class _Fit:
    sharpness: float
    noise: Array

    def posterior(self, scores: Array, given: Whole) -> Array:
        """Return (n, n_classes): how probably each class is the true one, given the label too."""
        return _joint(_softmax(self.sharpness * scores), self.noise, given)[0]


def _result(
    order: Whole, p_wrong: Array, likely: Whole, fit: _Fit, few: NDArray[np.intp]
) -> Suspects:
    return Suspects(
        order=order,
        p_wrong=p_wrong,
        likely=likely,
        noise=fit.noise,
        sharpness=fit.sharpness,
        few=tuple(few.tolist()),
    )


def _best(scores: Array, given: Whole) -> _Fit:
    """Fit from two beginnings, and take the likelier.

    Scores that know nothing and labels that mean nothing look the same; the imagined examples then
    decide for the labels, but only where the fit begins near to them.
    """
    n_classes = scores.shape[1]
    no_noise = _Fit(1.0, _table(np.zeros((n_classes, n_classes))))
    fits = [_fitted(scores, given, start) for start in (_confident(scores, given), no_noise)]
    return max(fits, key=lambda fit: _evidence(fit, scores, given))


def _evidence(fit: _Fit, scores: Array, given: Whole) -> float:
    """Return the logarithm of the posterior of the fit but for a constant, in nats."""
    likelihood = _joint(_softmax(fit.sharpness * scores), fit.noise, given)[1]
    expected = (_imagined(len(fit.noise)) * np.log(fit.noise)).sum()
    expected -= np.log(fit.sharpness) ** 2 / (2 * _USUAL**2)
    return float(np.log(likelihood).sum() + expected)


def _confident(scores: Array, given: Whole) -> _Fit:
    """Count the confident joint: who is above the mean score of a class among those given it."""
    probs = _softmax(scores)
    n_classes = probs.shape[1]
    counts = np.bincount(given, minlength=n_classes)
    sums = np.bincount(given, weights=probs[np.arange(len(given)), given], minlength=n_classes)
    means = np.divide(sums, counts, out=np.ones(n_classes), where=counts > 0)
    above = np.where(probs >= means, probs, -1.0)
    best = above.argmax(axis=1)
    sure = above.max(axis=1) >= 0
    confident = np.zeros((n_classes, n_classes))
    np.add.at(confident, (best[sure], given[sure]), 1.0)
    return _Fit(1.0, _table(confident))


def _table(counts: Array) -> Array:
    """Return the share of each given label per true class, a few imagined examples added."""
    both = counts + _imagined(len(counts))
    shares: Array = both / both.sum(axis=1, keepdims=True)
    return shares


def _imagined(n_classes: int) -> Array:
    imagined = np.full((n_classes, n_classes), _WRONG / (n_classes - 1))
    np.fill_diagonal(imagined, _RIGHT)
    return imagined


def _fitted(scores: Array, given: Whole, start: _Fit) -> _Fit:
    """Raise the likelihood of the given labels: EM, with one Newton step for the sharpness."""
    sharpness, noise = start.sharpness, start.noise
    n_classes = scores.shape[1]
    last = -np.inf
    for _ in range(_ROUNDS):
        probs = _softmax(sharpness * scores)
        posterior, likelihood = _joint(probs, noise, given)
        log_likelihood = float(np.log(likelihood).mean())
        counts = [
            np.bincount(given, weights=posterior[:, true], minlength=n_classes)
            for true in range(n_classes)
        ]
        noise = _table(np.stack(counts))
        mean = (probs * scores).sum(axis=1)
        slope = ((posterior * scores).sum(axis=1) - mean).sum()
        curvature = np.maximum((probs * scores * scores).sum(axis=1) - mean * mean, 0).sum()
        pull = -np.log(sharpness) / (_USUAL**2 * sharpness)
        stiffness = 1 / (_USUAL * sharpness) ** 2
        step = sharpness + float((slope + pull) / (curvature + stiffness))
        sharpness = float(np.clip(step, sharpness / 1.5, sharpness * 1.5))
        sharpness = min(max(sharpness, 1 / _SHARPEST), _SHARPEST)
        if abs(log_likelihood - last) < _SETTLED:
            break
        last = log_likelihood
    return _Fit(sharpness, noise)


def _joint(probs: Array, noise: Array, given: Whole) -> tuple[Array, Array]:
    """Return the posterior of the true class (n, n_classes) and the likelihood of the label."""
    joint = probs * noise[:, given].T
    likelihood = np.maximum(joint.sum(axis=1), 1e-300)
    return joint / likelihood[:, None], likelihood


def _softmax(scores: Array) -> Array:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return probs


def _checked(
    logits: NDArray[np.floating], labels: NDArray[np.integer], groups: NDArray[np.integer] | None
) -> tuple[Array, Whole, Whole]:
    scores, given = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
    sources = np.arange(len(given)) if groups is None else np.asarray(groups, np.int64)
    n_classes = scores.shape[1] if scores.ndim == 2 else 0
    shapes_agree = scores.ndim == 2 and given.shape == sources.shape == (len(scores),)
    in_range = not given.size or (given.min() >= 0 and given.max() < n_classes)
    if not shapes_agree or n_classes < 2 or not in_range or not np.isfinite(scores).all():
        raise UsageError(
            f"Scores {scores.shape}, labels {given.shape} and groups {sources.shape} do not fit.",
            code="bad-scores",
            why="Every example needs a finite score per class, and a label that is a class.",
            hint="pass logits (n, n_classes) and labels (n,) in [0, n_classes)",
        )
    return scores, given, sources
