"""Charts as SVG inside a page: lines, bands and dots in one frame, in the colours of its theme.

Pure: values in, text out. Needs no Matplotlib; a drawing takes 1 to 4 kB. It holds no text from
outside but what the caller says about it, which is escaped. Colours come from the page's CSS by the
classes of :data:`Style`; lines differ in their dashes and dots in their filling too, so nothing is
told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

from fieldmark.errors import UsageError

Point = tuple[float, float]
History = Sequence[dict[str, float]]
"""One dict per epoch with any of ``epoch, loss, val_loss, accuracy, val_accuracy``."""
Quantity = Literal["loss", "accuracy"]
Style = Literal["train", "valid", "best", "ideal", "dot", "ring"]
"""``train`` dashed and grey, ``valid`` solid, ``best`` dotted and upright, ``ideal`` thin."""
Unit = Literal["number", "percent", "count"]

_TOO_LARGE: Final = 1e30
"""A value beyond this is as good as infinite; the comparison is false for NaN too."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 328.0, 22.0, 178.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What one direction means."""

    title: str
    """Short: ``epoch``."""
    unit: Unit = "number"
    log: bool = False
    """Powers of ten; every value must then be above 0."""
    span: Point | None = None
    """Where it begins and ends; None: as the values ask for."""
    few: bool = False
    """Only the two ends are written."""


@dataclass(frozen=True, slots=True)
class Line:
    """Points, joined in their order; one alone is a dot."""

    points: tuple[Point, ...]
    style: Style


@dataclass(frozen=True, slots=True)
class Band:
    """What lies between two values at each place: (x, low, high)."""

    edges: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Dots:
    """Points that are not joined, each with its interval: (x, y, low, high)."""

    points: tuple[tuple[float, float, float, float], ...]
    style: Style


@dataclass(frozen=True, slots=True)
class Upright:
    """A line from the bottom to the top."""

    x: float


Mark = Line | Band | Dots | Upright


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What stands for the drawing where it cannot be seen."""

    id: str
    """Unique on the page; letters and dashes."""
    title: str
    text: str
    """One sentence with the main numbers."""


def plot_svg(words: Words, x: Axis, y: Axis, marks: Sequence[Mark]) -> str:
    """Draw marks in a frame with two axes.

    Parameters
    ----------
    words : Words
    x, y : Axis
    marks : sequence of Line, Band, Dots and Upright
        From the back to the front. Points that are not finite, or not above 0 on a logarithmic
        axis, are left out.

    Returns
    -------
    str
        An ``<svg>`` element with ``<title>`` and ``<desc>``.

    Raises
    ------
    UsageError
        With code ``nothing-to-draw`` when no point can be drawn.

    Examples
    --------
    >>> words = Words(id="loss", title="Loss", text="It falls from 3 to 1.")
    >>> svg = plot_svg(words, Axis(title="epoch"), Axis(title="loss"),
    ...                [Line(((1, 3.0), (2, 1.0)), "valid")])
    >>> svg.startswith('<svg class="chart"'), svg.count('class="valid"')
    (True, 1)
    """
    shown = [_drawable(mark, x, y) for mark in marks]
    values = [point for mark in shown for point in _corners(mark)]
    if not values:
        raise UsageError(
            "There is nothing to draw.",
            code="nothing-to-draw",
            hint="pass at least one value that is a finite number",
        )
    across = _Scale.of(x, [at for at, _ in values], (_LEFT, _RIGHT))
    up = _Scale.of(y, [at for _, at in values if at is not None], (_BOTTOM, _TOP))
    parts = [
        f'<svg class="chart" viewBox="0 0 340 212" role="img" aria-labelledby="{words.id}-chart '
        f'{words.id}-desc"><title id="{words.id}-chart">{escape(words.title)}</title>'
        f'<desc id="{words.id}-desc">{escape(words.text)}</desc>',
        *_frame(x, y, across, up),
        *(_drawn(mark, across, up) for mark in shown),
    ]
    return "".join(parts) + "</svg>"


def curves_svg(history: History, quantity: Quantity, best_epoch: int | None = None) -> str:
    """Draw one quantity by epoch.

    Parameters
    ----------
    history : sequence of dict
        One per epoch; values that are missing or not finite are left out.
    quantity : {"loss", "accuracy"}
        Accuracy is written in percent.
    best_epoch : int, optional
        Marked by a line.

    Returns
    -------
    str
        An ``<svg>`` element: class ``train`` for the training part, ``valid`` for the validation
        part, ``best`` for the epoch that is marked.

    Raises
    ------
    UsageError
        With code ``nothing-to-draw`` when no epoch holds a number.
    """
    lines = {"train": series(history, quantity), "valid": series(history, f"val_{quantity}")}
    marks: list[Mark] = []
    if best_epoch is not None and any(lines.values()):
        marks.append(Upright(best_epoch))
    marks += [Line(lines["train"], "train"), Line(lines["valid"], "valid")]
    words = Words(
        id=quantity, title=f"{quantity.capitalize()} by epoch", text=_described(lines, quantity)
    )
    unit: Unit = "percent" if quantity == "accuracy" else "number"
    epochs = Axis(title="epoch", unit="count", few=True)
    return plot_svg(words, epochs, Axis(title=quantity, unit=unit), marks)


def series(history: History, key: str) -> tuple[Point, ...]:
    """Return epoch and value wherever the value is a number that can be drawn.

    Examples
    --------
    >>> series([{"epoch": 1, "loss": 2.0}, {"epoch": 2}, {"loss": 1.5}], "loss")
    ((1.0, 2.0), (3.0, 1.5))
    """
    found = [
        (float(row.get("epoch", place)), row[key])
        for place, row in enumerate(history, start=1)
        if key in row
    ]
    return tuple((x, float(y)) for x, y in found if abs(y) < _TOO_LARGE)


def _described(lines: dict[str, tuple[Point, ...]], quantity: Quantity) -> str:
    said = []
    for key, name in (("train", "training"), ("valid", "validation")):
        if lines[key]:
            (start, first), (end, last) = lines[key][0], lines[key][-1]
            said.append(
                f"{name} {quantity} goes from {first:.3g} in epoch {start:.0f} "
                f"to {last:.3g} in epoch {end:.0f}"
            )
    return "; ".join(said).capitalize() + ". The numbers follow as a table."


def _drawable(mark: Mark, x: Axis, y: Axis) -> Mark:
    """Leave out what has no place in the frame."""

    def sound(at: float, *heights: float) -> bool:
        across = abs(at) < _TOO_LARGE and (at > 0 or not x.log)
        return across and all(
            abs(each) < _TOO_LARGE and (each > 0 or not y.log) for each in heights
        )

    match mark:
        case Line(points, style):
            return Line(tuple(each for each in points if sound(*each)), style)
        case Band(edges):
            return Band(tuple(each for each in edges if sound(*each)))
        case Dots(dots, style):
            return Dots(tuple(each for each in dots if sound(*each)), style)
        case Upright():
            return mark


def _corners(mark: Mark) -> Iterator[tuple[float, float | None]]:
    match mark:
        case Line(points):
            yield from points
        case Band(edges):
            yield from ((at, each) for at, *heights in edges for each in heights)
        case Dots(dots):
            yield from ((at, each) for at, *heights in dots for each in heights)
        case Upright(at) if abs(at) < _TOO_LARGE:
            yield at, None


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places in the SVG's own units, and which values are written."""

    turned: Callable[[float], float]
    low: float
    high: float
    ends: Point
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, axis: Axis, values: list[float], ends: Point) -> _Scale:
        low, high = axis.span or ((min(values), max(values)) if values else (0.0, 1.0))
        if axis.log:
            ticks = _powers(low, high)
            return cls(math.log10, math.log10(low), math.log10(high), ends, ticks)
        ticks = tuple(sorted({low, high})) if axis.few else tuple(_ticks(low, high))
        return cls(float, min(*ticks, low), max(*ticks, high), ends, ticks)

    def __call__(self, value: float) -> float:
        share = (self.turned(value) - self.low) / ((self.high - self.low) or 1.0)
        return round(self.ends[0] + (self.ends[1] - self.ends[0]) * min(1.0, max(0.0, share)), 1)


def _frame(x: Axis, y: Axis, across: _Scale, up: _Scale) -> Iterator[str]:
    for tick in up.ticks:
        at = up(tick)
        yield f'<path class="grid" d="M{_LEFT - 4:.0f} {at}H{_RIGHT + 4:.0f}"/>'
        yield f'<text class="tick" x="{_LEFT - 10:.0f}" y="{at + 4:.1f}" text-anchor="end">'
        yield f"{_written(tick, y.unit)}</text>"
    for tick in across.ticks:
        # At the right edge half of a number would be cut off.
        anchor = "end" if across(tick) > _RIGHT - 12 else "middle"
        at = across(tick) + (8 if anchor == "end" else 0)
        yield f'<text class="tick" x="{at:.1f}" y="194" text-anchor="{anchor}">'
        yield f"{_written(tick, x.unit)}</text>"
    middle = (_LEFT + _RIGHT) / 2
    yield f'<text class="tick" x="{middle:.0f}" y="208" text-anchor="middle">'
    yield f"{escape(x.title)}</text>"
    yield f'<text class="tick" x="2" y="11">{escape(y.title)}</text>'


def _drawn(mark: Mark, across: _Scale, up: _Scale) -> str:
    match mark:
        case Upright(x):
            return f'<path class="best" d="M{across(x)} {_TOP - 8:.0f}V{_BOTTOM:.0f}"/>'
        case Line(points, style) if points:
            places = [f"{across(x)} {up(y)}" for x, y in points]
            # A line of no length, drawn with a round cap, is the dot that a single point needs.
            return f'<path class="{style}" d="M{"L".join(places * (1 + (len(places) == 1)))}"/>'
        case Band(edges) if edges:
            over = [f"{across(x)} {up(high)}" for x, _, high in edges]
            under = [f"{across(x)} {up(low)}" for x, low, _ in reversed(edges)]
            return f'<path class="area" d="M{"L".join(over + under)}Z"/>'
        case Dots(dots, style):
            return "".join(
                f'<path class="whisker" d="M{across(x)} {up(low)}V{up(high)}"/>'
                f'<circle class="{style}" cx="{across(x)}" cy="{up(y)}" r="3.5"/>'
                for x, y, low, high in dots
            )
        case _:
            return ""


def _written(value: float, unit: Unit) -> str:
    if unit == "percent":
        return f"{100 * value:.4g} %"
    return f"{value:,.0f}" if unit == "count" or 100 <= abs(value) < 1e6 else f"{value:.3g}"


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from at or below ``low`` to at or above ``high``."""
    size = max(abs(low), abs(high))
    # Values that are equal but for rounding are drawn as a flat line, not as noise.
    span = max(high - low if high - low > 1e-6 * size else size, 1e-12)
    power = 10.0 ** math.floor(math.log10(span / 3))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{step * place:.12g}") for place in range(first, last + 1)]


def _powers(low: float, high: float) -> tuple[float, ...]:
    """At most six powers of ten between two values, or the two themselves."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, -(-(last - first) // 5))
    found = tuple(10.0**power for power in range(first, last + 1, step))
    return found if len(found) > 1 else tuple(sorted({low, high}))
