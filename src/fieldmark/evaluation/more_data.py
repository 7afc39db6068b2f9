"""Would more data help: a learning curve, and how far it may be trusted beyond the data. Pure.

The error of a classifier falls with the number of training pictures about as
``e(n) = a + b n^-c``: a power law down to what cannot be learned (Hestness and others). It is
fitted by least squares with ``a, b >= 0`` and c within :data:`EXPONENTS`; sizes count by their
number of pictures, since the error of a training varies with one over it.

**The band** comes from fits to resamples: of the pictures that were scored, of the draws of each
size, and of the curve's last point, which has one draw only. It holds only as far as the power law
does: Viering and Loog list curves that bend otherwise, and no fit can see a bend to come. So
nothing is forecast beyond four times the pictures; and all pictures are meant to be like those at
hand, in the same shares of the classes.

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
    gain: float
    """In accuracy by twice the pictures, as a fraction."""
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
        """Say it in one line."""
        now = next(each for each in reversed(self.accuracy) if not each.forecast)
        twice = next(each for each in self.accuracy if each.forecast)
        gained = f"{100 * self.gain:+.1f} ({100 * self.gain_low:+.1f} to "
        gained += f"{100 * self.gain_high:+.1f})"
        then = f"{100 * twice.value:.1f} % ({100 * twice.low:.1f} to {100 * twice.high:.1f})"
        return f"Twice {now.n:,} pictures: {then}, now {100 * now.value:.1f} %: {gained}"

    @property
    def class_line(self) -> str:
        """Say which classes would gain most, or that it cannot be told."""
        if not self.most:
            return "Which class would gain most from more pictures cannot be told."
        return f"More pictures would help most: {', '.join(map(printable, self.most))}"

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
    """(n_draws,): training pictures of each; at least three different sizes."""
    wrong: NDArray[np.bool_]
    """(n_draws, n_scored)"""
    losses: Floats
    """(n_draws, n_scored), in nats."""
    labels: NDArray[np.int64]
    """(n_scored,)"""
    groups: NDArray[np.int64]
    """(n_scored,): equal numbers belong together."""


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
        With code ``curve`` when there are fewer than three sizes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sizes = np.repeat([50, 100, 200, 400], 3)
    >>> wrong = rng.random((12, 500)) < (0.05 + 2 * sizes**-0.7)[:, None]
    >>> scored = Scored(sizes=sizes, wrong=wrong, losses=wrong * 1.0,
    ...                 labels=np.arange(500) % 2, groups=np.arange(500))
    >>> found = forecast(scored, ("cat", "dog"), rng=rng)
    >>> [point.n for point in found.accuracy if point.forecast]
    [800, 1600]
    """
    each = np.unique(scored.sizes)
    if len(each) < 3:
        raise UsageError(
            f"A curve was to be drawn through {len(each)} sizes.",
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
    return MoreData(
        accuracy=_points(scored, 1 - scored.wrong.mean(axis=1), errors, upside_down=True),
        log_loss=_points(scored, scored.losses.mean(axis=1), losses, upside_down=False),
        exponent=float(c[0]),
        floor=float(a[0]),
        gain=float(gains[0]),
        gain_low=float(np.quantile(gains[1:], 0.025)),
        gain_high=float(np.quantile(gains[1:], 0.975)),
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
    spread: float
    """Standard deviation of trainings on other draws of all pictures, scored on the same ones."""

    def ahead(self, times: int) -> Floats:
        """Return the fitted curves at so many times the pictures."""
        a, b, c = fitted(self.sizes, self.means)
        ahead: Floats = a + b * float(times * self.sizes[-1]) ** -c
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
    return _Curve(sizes, means, spread)


def _means(of_draws: Floats, picks: list[NDArray[np.int64]]) -> Floats:
    return np.stack([np.take_along_axis(of_draws, each, 1).mean(axis=1) for each in picks], 1)


def _spread(sizes: NDArray[np.int64], of_draws: Floats, picks: list[NDArray[np.int64]]) -> float:
    """Estimate what one draw of all pictures varies by, from those of the smaller sizes.

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
        value, n = float(ahead[0]), int(times * curve.sizes[-1])
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
        weighed = weights * own
        total = np.maximum(weighed.sum(axis=1, keepdims=True), 1.0)
        of_draws = weighed @ scored.wrong.T / total
        means = _means(of_draws, picks)
        _, b, _ = _with_exponent(sizes, means, np.full(len(means), c))
        gains = b * (sizes[-1] ** -c - float(TIMES[0] * sizes[-1]) ** -c)
        spread = _spread(sizes, of_draws[0], picks) * _TWO_DRAWS
        gains[1:] += rng.normal(0.0, spread, N_RESAMPLES)
        low, high = np.quantile(gains[1:], (0.025, 0.975))
        found.append(ClassGain(name, int(own.sum()), float(gains[0]), float(low), float(high)))
    return tuple(sorted(found, key=lambda each: -each.gain))
