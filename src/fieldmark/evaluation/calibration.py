"""Whether a score of 0.9 is right nine times out of ten, and how to make it so.

Pure NumPy. One number, the temperature, divides all logits; it never changes which class comes
first, nor the order of the margins between the first class and the second. Scaling by a vector,
which changes both, is left out on purpose: the bounds of :mod:`fieldmark.evaluation.decision` would
then need pictures of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.evaluation.intervals import effective_n, nothing_to_measure, wilson_rate
from fieldmark.evaluation.measures import FEW_GROUPS
from fieldmark.evaluation.metrics import Labels, Probs, checked

MIN_PICTURES: Final = 50
"""Below this many a temperature would be fitted to chance."""
N_BINS: Final = 15
BOUNDS: Final = (0.05, 20.0)
"""Of a temperature. One at a bound tells of a network that is never, or always, wrong here."""
_PARTS: Final = 5
_MAX_NUMBERS: Final = 4_000_000
"""In memory at a time, of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """What the logits are divided by, and what that gained."""

    value: float
    """1.0 where nothing was gained or too few pictures were there."""
    n: int
    """Pictures it was fitted on."""
    log_loss_before: float
    """In nats, of the scores as the network gives them; NaN without pictures."""
    log_loss_after: float
    """The same with temperatures fitted on other pictures than are scored."""
    text: str
    """What was done and why, one sentence."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures of about the same top score."""

    n: int
    score: float
    """Mean top score, in [0, 1]."""
    accuracy: float
    """Share of them that were named correctly."""
    low: float = 0.0
    """Ends of its 95 % interval (Wilson), which counts groups where there are any."""
    high: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far the top scores are from what they say."""

    bins: tuple[Bin, ...]
    """Of equal numbers of pictures, the lowest scores first."""
    ece: float
    """Expected calibration error: mean distance of score and accuracy over the bins, in [0, 1]."""
    low: float
    """Ends of the 95 % bootstrap interval, moved by the bias that resampling adds."""
    high: float
    null_mean: float
    """What perfectly calibrated scores would show on so many pictures: never 0."""
    null_high: float
    """95 % of perfectly calibrated models stay below this."""
    n: int

    @property
    def text(self) -> str:
        """The finding in one sentence."""
        chance = f"perfectly calibrated scores would show up to {100 * self.null_high:.1f} %"
        if self.ece <= self.null_high:
            return f"No miscalibration is visible: on {self.n:,} pictures {chance}."
        return f"The scores are not quite what they say: on {self.n:,} pictures {chance}."


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Turn logits (n, n_classes) into scores whose rows sum to 1.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def uncalibrated(scores: Probs, temperature: float) -> NDArray[np.float64]:
    """Return what the scores were before the temperature.

    Examples
    --------
    >>> scores = softmax(np.array([[2.0, 0.0]]), 2.0)
    >>> bool(np.allclose(uncalibrated(scores, 2.0), softmax(np.array([[2.0, 0.0]]))))
    True
    """
    smallest = np.finfo(np.float32).tiny
    logs = np.log(np.maximum(np.asarray(scores, np.float64), smallest))
    return softmax(logs * temperature)


def best_temperature(logits: NDArray[np.floating], labels: Labels) -> float:
    """Minimise the mean log loss over the temperature, by bisection on its slope.

    The loss is convex in 1 / temperature, so there is one minimum; it lies in :data:`BOUNDS`.

    Parameters
    ----------
    logits : float array of shape (n, n_classes)
    labels : int array of shape (n,)

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    Right three times out of four, whatever the logits say: the score becomes 3/4.

    >>> logits = np.array([[4.0, 0.0]] * 4)
    >>> t = best_temperature(logits, np.array([0, 0, 0, 1]))
    >>> round(float(softmax(logits, t)[0, 0]), 6)
    0.75
    """
    z = np.asarray(logits, np.float64)
    if not len(z):
        raise nothing_to_measure()
    given = z[np.arange(len(z)), labels]

    def slope(factor: float) -> float:
        return float(((softmax(z * factor) * z).sum(axis=1) - given).mean())

    low, high = np.log(1 / BOUNDS[1]), np.log(1 / BOUNDS[0])
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(float(np.exp(middle))) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def fit_temperature(
    logits: NDArray[np.floating], labels: Labels, units: NDArray[np.int64] | None = None
) -> Temperature:
    """Fit a temperature, and keep it only if it helps on pictures it was not fitted on.

    Parameters
    ----------
    logits : float array of shape (n, n_classes)
        Of validation pictures.
    labels : int array of shape (n,)
    units : int array of shape (n,), optional
        Equal numbers belong together, and are fitted on or left out together; None: each alone.

    Returns
    -------
    Temperature
        1.0 below :data:`MIN_PICTURES` units, or where five fits on four fifths of them each do not
        lower the log loss of the fifth that was left out.
    """
    z, truth = np.asarray(logits, np.float64), np.asarray(labels)
    n = len(truth)
    alone = np.arange(n) if units is None else np.unique(units, return_inverse=True)[1]
    n_units = int(alone.max(initial=-1)) + 1
    before = _log_loss(z, truth, np.ones(n)) if n else float("nan")
    if n_units < MIN_PICTURES:
        what = "validation pictures" if n_units == n else "groups of validation pictures"
        text = f"Scores are as the network gives them: {n_units} {what} are too few to "
        text += f"calibrate on, {MIN_PICTURES} are needed."
        return Temperature(value=1.0, n=n, log_loss_before=before, log_loss_after=before, text=text)
    part = alone % _PARTS
    fitted = np.array([best_temperature(z[part != k], truth[part != k]) for k in range(_PARTS)])
    after = _log_loss(z, truth, fitted[part])
    value = best_temperature(z, truth)
    change = f"log loss {before:.4f}, after it {after:.4f} (on pictures it was not fitted on)"
    if after < before:
        text = f"Scores are calibrated by temperature {value:.2f} on {n:,} validation pictures: "
        text += f"before it {change}."
    else:
        value, text = 1.0, "Scores are as the network gives them; a temperature does not help: "
        text += f"before it {change}."
        after = before
    return Temperature(value=value, n=n, log_loss_before=before, log_loss_after=after, text=text)


def reliability(
    scores: Probs,
    labels: Labels,
    *,
    groups: NDArray[np.int64] | None = None,
    rng: np.random.Generator,
    n_resamples: int = 1000,
) -> Reliability:
    """Measure the calibration of the top score.

    Parameters
    ----------
    scores : float array of shape (n, n_classes)
    labels : int array of shape (n,)
    groups : int array of shape (n,), optional
        Numbered from 0: pictures that belong together. The bootstrap draws them together, and what
        chance alone would show is as correlated within groups as the answers are.
    rng : numpy.random.Generator
        Of the bootstrap and of the null band.
    n_resamples : int, default=1000
        Of each.

    Returns
    -------
    Reliability
        In bins of equal numbers of pictures: bins of equal width are mostly empty.

    Examples
    --------
    >>> scores = np.array([[0.8, 0.2]] * 4)
    >>> found = reliability(scores, np.array([0, 0, 0, 1]), rng=np.random.default_rng(0))
    >>> round(found.ece, 6)
    0.05
    """
    probs, truth = checked(scores, labels)
    top = probs.max(axis=1)
    order = np.argsort(top, kind="stable")
    top, right = top[order], (probs.argmax(axis=1) == truth)[order].astype(np.float64)
    n = len(top)
    edges = _edges(n)
    mates = np.arange(n) if groups is None else np.asarray(groups)[order]
    together = None if groups is None else mates
    ece = float(_ece(top[None], right[None], edges)[0])

    def again(m: int) -> NDArray[np.float64]:
        drawn = np.sort(_drawn(n, together, rng, m), axis=1)
        return _ece(top[drawn], right[drawn], edges)

    def by_chance(m: int) -> NDArray[np.float64]:
        lucky = _luck(top, right, together, rng, m) < top
        return _ece(np.broadcast_to(top, lucky.shape), lucky.astype(np.float64), edges)

    resampled, null = _in_blocks(again, n, n_resamples), _in_blocks(by_chance, n, n_resamples)
    # Noise adds to distances: resampled errors are larger by as much as they are on average.
    low, high = np.clip(np.quantile(resampled, [0.025, 0.975]) - resampled.mean() + ece, 0.0, 1.0)
    if groups is not None and len(np.unique(groups)) < FEW_GROUPS:
        low, high = 0.0, 1.0  # so few say nothing of how groups differ
    ends = np.append(edges[1:], n)
    return Reliability(
        bins=tuple(
            _bin(top[start:end], right[start:end], None if groups is None else mates[start:end])
            for start, end in zip(edges, ends, strict=True)
        ),
        ece=ece,
        low=float(low),
        high=float(high),
        null_mean=float(null.mean()),
        null_high=float(np.quantile(null, 0.95)),
        n=n,
    )


def _bin(
    top: NDArray[np.float64], right: NDArray[np.float64], groups: NDArray[np.int64] | None
) -> Bin:
    n, rate = len(top), float(right.mean())
    worth = n if groups is None else effective_n(right > 0, groups)
    low, high = wilson_rate(rate, worth)
    return Bin(n, float(top.mean()), rate, low, high)


def _in_blocks(
    made: Callable[[int], NDArray[np.float64]], n: int, n_resamples: int
) -> NDArray[np.float64]:
    """Make resamples of n pictures, some at a time: memory is bounded."""
    most = max(1, _MAX_NUMBERS // n)
    sizes = [min(most, n_resamples - start) for start in range(0, n_resamples, most)]
    return np.concatenate([made(m) for m in sizes])


def _luck(
    top: NDArray[np.float64],
    right: NDArray[np.float64],
    groups: NDArray[np.int64] | None,
    rng: np.random.Generator,
    m: int,
) -> NDArray[np.float64]:
    """Draw each picture's luck, (m, n) numbers in [0, 1); within groups alike as often as is seen.

    Two members share their luck with the probability that their answers are correlated with.
    """
    own = rng.random((m, len(top)))
    if groups is None:
        return own
    shared = rng.random((m, int(groups.max()) + 1))[:, groups]
    alike = rng.random((m, len(top))) < np.sqrt(_likeness(top, right, groups))
    return np.where(alike, shared, own)


def _likeness(
    top: NDArray[np.float64], right: NDArray[np.float64], groups: NDArray[np.int64]
) -> float:
    """Return the correlation of two answers of one group, beyond their scores, in [0, 1]."""

    def pairs(values: NDArray[np.float64]) -> float:
        sums = np.bincount(groups, values)
        return float((sums**2).sum() - (values**2).sum())

    most = pairs(np.sqrt(top * (1 - top)))
    return float(np.clip(pairs(right - top) / most, 0, 1)) if most > 0 else 0.0


def _drawn(
    n: int, groups: NDArray[np.int64] | None, rng: np.random.Generator, m: int
) -> NDArray[np.int64]:
    """Draw n pictures, m times: one by one, or whole groups."""
    if groups is None:
        return rng.integers(0, n, (m, n))
    return _drawn_together(groups, rng, m)


def _drawn_together(
    groups: NDArray[np.int64], rng: np.random.Generator, n_resamples: int
) -> NDArray[np.int64]:
    """Draw whole groups until there are n pictures; return which, shape (n_resamples, n)."""
    n = len(groups)
    members = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    found = np.empty((n_resamples, n), dtype=np.int64)
    for row in found:
        which = rng.integers(0, len(sizes), n)
        which = which[: int(np.searchsorted(np.cumsum(sizes[which]), n)) + 1]
        length = sizes[which]
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        row[:] = members[np.repeat(starts[which], length) + within][:n]
    return found


def _edges(n: int) -> NDArray[np.int64]:
    """Return where the bins begin: at most 15, of at least 10 pictures where there are so many."""
    n_bins = max(1, min(N_BINS, n // 10))
    return (np.arange(n_bins) * n) // n_bins


def _ece(
    top: NDArray[np.float64], right: NDArray[np.float64], edges: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return one number per row of sorted scores (m, n)."""
    gaps = np.abs(np.add.reduceat(top - right, edges, axis=1)).sum(axis=1)
    found: NDArray[np.float64] = gaps / top.shape[1]
    return found


def _log_loss(z: NDArray[np.float64], labels: Labels, temperature: NDArray[np.float64]) -> float:
    scaled = z / temperature[:, None]
    scaled -= scaled.max(axis=1, keepdims=True)
    given = scaled[np.arange(len(z)), labels]
    return float((np.log(np.exp(scaled).sum(axis=1)) - given).mean())
