"""Would more data help: a learning curve, and how far it may be trusted beyond the data. Pure.

The error of a classifier falls with the number of training pictures about as
``e(n) = a + b n^-c``: a power law down to what cannot be learned (Hestness and others). It is
fitted by least squares with ``a, b >= 0`` and c within :data:`EXPONENTS`; sizes count by their
number of pictures, since the error of a training varies with one over it.

**The band** comes from fits to resamples: of the pictures that were scored, of the draws of each
size, and of the curve's last point, which has one draw only. It holds only as far as the power law
does: Viering and Loog list curves that bend otherwise, and no fit can see a bend to come. So
nothing is forecast beyond four times the pictures there are; and all pictures are meant to be like
those at hand, in the same shares of the classes. Where the curve was drawn with a part of many
pictures only, it is carried on from that part, which is further, and the words say so.

**The gain** is the fitted curve at twice the pictures less the same curve at all that there are: a
difference of a fitted and a measured value would count the luck of one training as a gain.

References
----------
J. Hestness and others, "Deep learning scaling is predictable, empirically", arXiv:1712.00409, 2017.
T. Viering and M. Loog, "The shape of learning curves: a review", IEEE TPAMI 2023.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.evaluation.wording import printable

SCHEMA: Final = "fieldmark.learning_curve/1"
EXPONENTS: Final = (0.1, 1.5)
"""Published curves of classifiers lie within."""
TIMES: Final = (2, 4)
"""As many pictures as there are, for the forecast."""
N_RESAMPLES: Final = 400
_TWO_DRAWS: Final = 1.5**0.5
"""Of two trainings, now and with twice the pictures, in units of the spread of the first."""
_GRID: Final = np.linspace(*EXPONENTS, 29)
_MIN_CLASS: Final = 20
"""Scored pictures of a class below which nothing is said about it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """One size of the training part."""

    n: int
    """Training pictures."""
    value: float
    """Accuracy in [0, 1], or log loss in nats."""
    low: float
    high: float
    """Of forecasts: ends of the 95 % band. Of measured points: lowest and highest draw."""
    forecast: bool


@dataclass(frozen=True, slots=True)
class ClassGain:
    """What twice the pictures of all classes would do for one of them."""

    name: str
    n: int
    """Scored pictures."""
    gain: float
    """In recall, as a fraction."""
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreData:
    """The curve of one folder with its forecast. Made by :func:`forecast`."""

    accuracy: tuple[LearningPoint, ...]
    """By size; the forecasts last."""
    log_loss: tuple[LearningPoint, ...]
    exponent: float
    """c of the accuracy's curve."""
    floor: float
    """a of it: the error that more of the same would not take away."""
    n: int
    """Training pictures there are; the curve may have been drawn with fewer."""
    now: float
    """Accuracy by the fitted curve with all of them."""
    gain: float
    """In accuracy by twice the pictures, as a fraction: the first forecast less ``now``."""
    gain_low: float
    gain_high: float
    per_class: tuple[ClassGain, ...]
    """Classes with enough scored pictures, the largest gain first."""
    n_scored: int
    """Validation pictures."""

    @property
    def most(self) -> tuple[str, ...]:
        """Return the classes that surely gain more than the average; few or none."""
        return tuple(each.name for each in self.per_class if each.low > max(self.gain, 0.0))

    @property
    def line(self) -> str:
        """Say it in one line; the gain is the difference of the two values as they are shown."""
        twice = next(each for each in self.accuracy if each.forecast)
        then, now = round(100 * twice.value, 1), round(100 * self.now, 1)
        # Adding nothing takes the sign off a negative zero.
        gain, low, high = (
            round(each, 1) + 0.0 for each in (then - now, 100 * self.gain_low, 100 * self.gain_high)
        )
        band = f"({100 * twice.low:.1f} to {100 * twice.high:.1f})"
        gained = f"{gain:+.1f} ({low:+.1f} to {high:+.1f})"
        return f"Twice {self.n:,} pictures: {then:.1f} % {band}, fit now {now:.1f}: {gained}"

    @property
    def class_line(self) -> str:
        """Say which classes would gain most, or that it cannot be told."""
        drawn = max(each.n for each in self.accuracy if not each.forecast)
        part = f"The curve was drawn with {drawn:,} of the pictures. " if drawn < self.n else ""
        if not self.most:
            return f"{part}Which class would gain most from more pictures cannot be told."
        return f"{part}More pictures would help most: {', '.join(map(printable, self.most))}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are the fields' names and ``schema``."""
        found: dict[str, Any] = json.loads(
            json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, allow_nan=False)
        )
        return found | {"line": self.line, "class_line": self.class_line}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """What heads from ever more pictures answered to the same pictures they never saw."""

    sizes: NDArray[np.int64]
    """(n_draws,): training pictures of each, at least 1; at least three different sizes."""
    wrong: NDArray[np.bool_]
    """(n_draws, n_scored)"""
    losses: Floats
    """(n_draws, n_scored), in nats."""
    labels: NDArray[np.int64]
    """(n_scored,)"""
    groups: NDArray[np.int64]
    """(n_scored,): equal numbers belong together."""
    n: int
    """Training pictures there are: at least as many as the largest size."""


def forecast(scored: Scored, classes: tuple[str, ...], *, rng: np.random.Generator) -> MoreData:
    """Fit the curve and carry it on to twice and four times the pictures.

    Parameters
    ----------
    scored : Scored
    classes : tuple of str
        Names by label.
    rng : numpy.random.Generator
        Of the resamples.

    Returns
    -------
    MoreData

    Raises
    ------
    UsageError
        With code ``curve`` when there are fewer than three sizes, or one without pictures.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sizes = np.repeat([50, 100, 200, 400], 3)
    >>> wrong = rng.random((12, 500)) < (0.05 + 2 * sizes**-0.7)[:, None]
    >>> scored = Scored(sizes=sizes, wrong=wrong, losses=wrong * 1.0,
    ...                 labels=np.arange(500) % 2, groups=np.arange(500), n=400)
    >>> found = forecast(scored, ("cat", "dog"), rng=rng)
    >>> [point.n for point in found.accuracy if point.forecast]
    [800, 1600]
    """
    each = np.unique(scored.sizes)
    if len(each) < 3 or each[0] < 1:
        raise UsageError(
            f"A curve was to be drawn through {len(each)} sizes, the smallest {each[0]}.",
            code="curve",
            why="A curve with three unknown numbers needs three sizes at least.",
            hint="score draws of at least three sizes",
        )
    weights = resampled(scored.groups, rng)
    picks = _picks(scored.sizes, rng)
    errors = _curve(scored, scored.wrong.astype(np.float64), weights, picks, rng)
    losses = _curve(scored, scored.losses, weights, picks, rng)
    a, _, c = fitted(each, errors.means)
    gains = errors.ahead(1) - errors.ahead(TIMES[0])
    gains[1:] += rng.normal(0.0, errors.spread * _TWO_DRAWS, N_RESAMPLES)
    accuracy = _points(scored, 1 - scored.wrong.mean(axis=1), errors, upside_down=True)
    now = float(np.clip(1 - errors.ahead(1)[0], 0.0, 1.0))
    gain = next(each.value for each in accuracy if each.forecast) - now
    low, high = np.quantile(gains[1:], (0.025, 0.975))
    return MoreData(
        accuracy=accuracy,
        log_loss=_points(scored, scored.losses.mean(axis=1), losses, upside_down=False),
        exponent=float(c[0]),
        floor=float(a[0]),
        n=scored.n,
        now=now,
        gain=gain,
        gain_low=min(float(low), gain),
        gain_high=max(float(high), gain),
        per_class=_per_class(scored, classes, (weights, picks, float(c[0])), rng),
        n_scored=len(scored.labels),
    )


def fitted(sizes: NDArray[np.int64], means: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit ``a + b n^-c`` to many curves at once.

    Parameters
    ----------
    sizes : int array of shape (n_sizes,)
    means : float array of shape (n_curves, n_sizes)

    Returns
    -------
    tuple of float arrays of shape (n_curves,)
        a, b and c.

    Examples
    --------
    >>> sizes = np.array([10, 100, 1000])
    >>> a, b, c = fitted(sizes, 0.1 + 2 * sizes[None] ** -0.5)
    >>> round(float(a[0]), 3), round(float(b[0]), 3), round(float(c[0]), 3)
    (0.1, 2.0, 0.5)
    """
    best = np.full(len(means), np.inf)
    found = np.zeros((3, len(means)))
    for c in _GRID:
        a, b, wrong = _with_exponent(sizes, means, np.full(len(means), c))
        better = wrong < best
        best[better] = wrong[better]
        for row, values in zip(found, (a, b, np.full(len(means), c)), strict=True):
            row[better] = values[better]
    return found[0], found[1], found[2]


def _with_exponent(
    sizes: NDArray[np.int64], means: Floats, c: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return a, b (both at least 0) and the weighted squares for a given c of each curve."""
    weights = sizes / sizes.sum()
    falls = (sizes / sizes[-1]) ** -c[:, None]
    middle, level = falls @ weights, means @ weights
    apart = falls - middle[:, None]
    spread = np.square(apart) @ weights
    b = np.maximum(((means - level[:, None]) * apart) @ weights / spread, 0.0)
    a = level - b * middle
    through = (means * falls) @ weights / (np.square(falls) @ weights)
    b, a = np.where(a < 0, through, b), np.maximum(a, 0.0)
    wrong = np.square(means - a[:, None] - b[:, None] * falls) @ weights
    return a, b * float(sizes[-1]) ** c, wrong


def resampled(groups: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Return (1 + N_RESAMPLES, n) weights: all ones, then groups drawn again as a whole."""
    _, number = np.unique(groups, return_inverse=True)
    n = int(number.max()) + 1
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(np.float64)
    return np.concatenate([np.ones((1, len(groups))), drawn[:, number.reshape(-1)]])


def _picks(sizes: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return for each size which draws each resample takes: (1 + N_RESAMPLES, n_draws of it)."""
    found = []
    for size in np.unique(sizes):
        own = np.flatnonzero(sizes == size)
        drawn = own[rng.integers(0, len(own), size=(N_RESAMPLES, len(own)))]
        found.append(np.concatenate([own[None], drawn]))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Curves of the data and of its resamples, the data's first."""

    sizes: NDArray[np.int64]
    means: Floats
    """(1 + N_RESAMPLES, n_sizes)"""
    n: int
    """Training pictures there are."""
    spread: float
    """Standard deviation of trainings on other draws of all pictures, scored on the same ones."""

    def ahead(self, times: int) -> Floats:
        """Return the fitted curves at so many times the pictures."""
        a, b, c = fitted(self.sizes, self.means)
        ahead: Floats = a + b * float(times * self.n) ** -c
        return ahead


def _curve(
    scored: Scored,
    values: Floats,
    weights: Floats,
    picks: list[NDArray[np.int64]],
    rng: np.random.Generator,
) -> _Curve:
    of_draws = weights @ values.T / weights.sum(axis=1, keepdims=True)
    sizes = np.unique(scored.sizes)
    means = _means(of_draws, picks)
    spread = _spread(sizes, of_draws[0], picks)
    if picks[-1].shape[1] == 1:  # one draw does not vary, and is as doubtful as the others
        means[1:, -1] += rng.normal(0.0, spread, N_RESAMPLES)
    # The variance of a training falls as one over its pictures.
    return _Curve(sizes, means, scored.n, spread * float(sizes[-1] / scored.n) ** 0.5)


def _means(of_draws: Floats, picks: list[NDArray[np.int64]]) -> Floats:
    return np.stack([np.take_along_axis(of_draws, each, 1).mean(axis=1) for each in picks], 1)


def _spread(sizes: NDArray[np.int64], of_draws: Floats, picks: list[NDArray[np.int64]]) -> float:
    """Estimate what one draw of the largest size varies by, from those of the smaller ones.

    Draws out of the same pictures overlap and differ too little: the finite population correction.
    """
    scaled = [
        float(of_draws[each[0]].var(ddof=1)) * float(size / (sizes[-1] - size))
        for size, each in zip(sizes[:-1], picks, strict=False)
        if each.shape[1] > 1
    ]
    return float(np.mean(scaled)) ** 0.5 if scaled else 0.0


def _points(
    scored: Scored, of_draws: Floats, curve: _Curve, *, upside_down: bool
) -> tuple[LearningPoint, ...]:
    found = []
    for size in curve.sizes:
        own = of_draws[scored.sizes == size]
        ends = (float(own.min()), float(own.max()))
        found.append(LearningPoint(int(size), float(own.mean()), *ends, forecast=False))
    for times in TIMES:
        ahead = curve.ahead(times)
        if upside_down:
            ahead = np.clip(1 - ahead, 0.0, 1.0)
        low, high = np.quantile(ahead[1:], (0.025, 0.975))
        value, n = float(ahead[0]), times * curve.n
        ends = (min(float(low), value), max(float(high), value))
        found.append(LearningPoint(n, value, *ends, forecast=True))
    return tuple(found)


def _per_class(
    scored: Scored,
    classes: tuple[str, ...],
    drawn: tuple[Floats, list[NDArray[np.int64]], float],
    rng: np.random.Generator,
) -> tuple[ClassGain, ...]:
    """Fit each class's errors with the exponent of all: three numbers are too many for few."""
    weights, picks, c = drawn
    found = []
    sizes = np.unique(scored.sizes)
    for label, name in enumerate(classes):
        own = scored.labels == label
        if own.sum() < _MIN_CLASS:
            continue
        weighed = weights[:, own]
        total = np.maximum(weighed.sum(axis=1, keepdims=True), 1.0)
        of_draws = weighed @ scored.wrong[:, own].T / total
        means = _means(of_draws, picks)
        _, b, _ = _with_exponent(sizes, means, np.full(len(means), c))
        gains = b * (float(scored.n) ** -c - float(TIMES[0] * scored.n) ** -c)
        spread = _spread(sizes, of_draws[0], picks) * _TWO_DRAWS
        spread *= float(sizes[-1] / scored.n) ** 0.5
        gains[1:] += rng.normal(0.0, spread, N_RESAMPLES)
        low, high = np.quantile(gains[1:], (0.025, 0.975))
        found.append(ClassGain(name, int(own.sum()), float(gains[0]), float(low), float(high)))
    return tuple(sorted(found, key=lambda each: -each.gain))
