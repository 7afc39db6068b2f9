"""The charts of a run's page, each with its legend and its table. Pure: facts in, drawings out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fieldmark.errors import UsageError
from fieldmark.evaluation import wording
from fieldmark.evaluation.doubt import Doubt
from fieldmark.evaluation.drawings import (
    Axis,
    Band,
    Dots,
    Line,
    Mark,
    Quantity,
    Upright,
    Words,
    curves_svg,
    plot_svg,
)
from fieldmark.evaluation.more_data import LearningPoint
from fieldmark.evaluation.page_facts import HeadPoint, RateTest
from fieldmark.evaluation.risk_coverage import CoveragePoint

if TYPE_CHECKING:
    from markupsafe import Markup

_EPOCH_COLUMNS: Final = (
    ("epoch", "Epoch"),
    ("loss", "Training loss"),
    ("val_loss", "Validation loss"),
    ("accuracy", "Training accuracy"),
    ("val_accuracy", "Validation accuracy"),
)
_BY_HEART: Final = 0.05
"""How much lower than at its start the loss of a rate test must fall to be drawn in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One or two drawings that share a legend and a table."""

    id: str
    drawings: tuple[tuple[str, Markup], ...]
    """Each under its title."""
    legend: tuple[tuple[str, str], ...]
    """How something is drawn, by its style, and what it is."""
    more: str
    """What the table is called where it is folded up."""
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: int | None = None
    """The row that is stressed."""


def learning_curves(history: Sequence[dict[str, float]], best_epoch: int | None) -> Chart | None:
    """Loss and accuracy by epoch; None where no epoch holds a number."""
    drawings = []
    quantities: tuple[Quantity, Quantity] = ("loss", "accuracy")
    for quantity in quantities:
        try:
            drawings.append(
                (quantity.capitalize(), _safe(curves_svg(history, quantity, best_epoch)))
            )
        except UsageError:  # no epoch holds a number for this one
            continue
    if not drawings:
        return None
    keys = [key for key, _ in _EPOCH_COLUMNS if any(key in row for row in history)]
    best = [at for at, row in enumerate(history) if row.get("epoch") == best_epoch]
    kept = best[0] if best_epoch is not None and best else None
    rows = [[_number(key, row) for key in keys] for row in history]
    if kept is not None:
        rows[kept][0] += " (kept)"
    sides = (("train", "", "training part"), ("valid", "val_", "validation part"))
    legend = [
        (style, words)
        for style, prefix, words in sides
        if any(f"{prefix}{quantity}" in keys for quantity in quantities)
    ]
    legend += [("best", f"epoch {best_epoch}, kept")] if best_epoch is not None else []
    return Chart(
        id="epochs",
        drawings=tuple(drawings),
        legend=tuple(legend),
        more="The curves as a table",
        caption="Loss and accuracy by epoch",
        headings=tuple(title for key, title in _EPOCH_COLUMNS if key in keys),
        rows=tuple(tuple(row) for row in rows),
        marked=kept,
    )


def _number(key: str, row: dict[str, float]) -> str:
    if key not in row:
        return ""
    if not math.isfinite(row[key]):
        return "not finite"
    if key == "epoch":
        return f"{row[key]:.0f}"
    return wording.percent(row[key]) if key.endswith("accuracy") else f"{row[key]:.3f}"


def rate_chart(test: RateTest) -> Chart | None:
    """Draw the loss against the learning rate; None where no loss is a number."""
    found = [
        (rate, loss)
        for rate, loss in zip(test.rates, test.losses, strict=True)
        if math.isfinite(loss) and rate > 0
    ]
    if not found:
        return None
    first, lowest = found[0][1], min(loss for _, loss in found)
    # After the turning point the loss explodes and would flatten everything of interest.
    ceiling = first + max(first - lowest, _BY_HEART * abs(first), 1e-6)
    shown = tuple((rate, min(loss, ceiling)) for rate, loss in found)
    words = Words(
        id="rates",
        title="Learning-rate test",
        text=f"The loss starts at {first:.3g} and is lowest, {lowest:.3g}, at a rate of "
        f"{min(found, key=lambda each: each[1])[0]:.2g}; {test.chosen:.2g} was chosen.",
    )
    marks: list[Mark] = [Upright(test.chosen), Line(shown, "valid")]
    drawing = plot_svg(words, Axis(title="learning rate", log=True), Axis(title="loss"), marks)
    return Chart(
        id="rates",
        drawings=(("Learning-rate test", _safe(drawing)),),
        legend=(("valid", "training loss"), ("best", f"{test.chosen:.2g}, chosen")),
        more="The test as a table",
        caption="Training loss while the learning rate rises",
        headings=("Learning rate", "Loss"),
        rows=tuple((f"{rate:.2g}", f"{loss:.4g}") for rate, loss in found),
    )


def strength_chart(path: Sequence[HeadPoint]) -> Chart | None:
    """Draw the cross-validated loss against the strength of a head's penalty; None for no point.

    The curve is of the number of columns that was chosen; the table holds every setting.
    """
    chosen = [point for point in path if point.chosen]
    columns = chosen[0].n_columns if chosen else max((p.n_columns for p in path), default=0)
    curve = sorted((p for p in path if p.n_columns == columns), key=lambda p: p.strength)
    curve = [p for p in curve if math.isfinite(p.log_loss) and p.strength > 0]
    if not curve:
        return None
    best = min(curve, key=lambda p: p.log_loss)
    words = Words(
        id="strengths",
        title="Cross-validated log loss by strength of the penalty",
        text=f"It is lowest, {best.log_loss:.3f}, at a strength of {best.strength:.2g}.",
    )
    marks: list[Mark] = [Band(tuple((p.strength, *_within(p)) for p in curve))]
    marks += [Upright(p.strength) for p in chosen]
    marks += [Line(tuple((p.strength, p.log_loss) for p in curve), "valid")]
    marks += [Dots(tuple((p.strength, p.log_loss, p.log_loss, p.log_loss) for p in curve), "dot")]
    drawing = plot_svg(
        words, Axis(title="strength of the penalty", log=True), Axis(title="log loss"), marks
    )
    ordered = sorted(path, key=lambda p: (p.n_columns, p.strength))
    legend = [("valid", "log loss on examples that were held out"), ("area", "one standard error")]
    legend += [("best", f"{p.strength:.2g}, chosen") for p in chosen]
    return Chart(
        id="strengths",
        drawings=(("How the head's penalty was chosen", _safe(drawing)),),
        legend=tuple(legend),
        more="All settings as a table",
        caption="Settings of the head, by cross-validation on the training part",
        headings=("Strength", "Features", "Log loss", "Standard error", "Accuracy"),
        rows=tuple(_setting(point) for point in ordered),
        marked=ordered.index(chosen[0]) if chosen else None,
    )


def _within(point: HeadPoint) -> tuple[float, float]:
    spread = point.log_loss_se if math.isfinite(point.log_loss_se) else 0.0
    return point.log_loss - spread, point.log_loss + spread


def _setting(point: HeadPoint) -> tuple[str, ...]:
    return (
        f"{point.strength:.4g}" + (" (chosen)" if point.chosen else ""),
        f"{point.n_columns:,}",
        f"{point.log_loss:.4f}",
        f"{point.log_loss_se:.4f}",
        wording.percent(point.accuracy),
    )


def reliability_chart(doubt: Doubt) -> Chart | None:
    """Draw how often answers are right against what their scores say; None without bins."""
    before, after = doubt.before.bins, doubt.after.bins
    if not after:
        return None
    whose = "calibrated"
    if before == after:
        before, whose = (), "the model"
    low = min(each.score for each in (*before, *after))
    start = math.floor(5 * min(low, *(each.accuracy for each in (*before, *after)))) / 5
    words = Words(
        id="calibration",
        title="Named correctly, against the score",
        text=f"{doubt.after.text} On the diagonal a score is what it says.",
    )
    marks: list[Mark] = [
        Line(((start, start), (1.0, 1.0)), "ideal"),
        Line(tuple((each.score, each.accuracy) for each in before), "train"),
        Line(tuple((each.score, each.accuracy) for each in after), "valid"),
        Dots(tuple((each.score, each.accuracy, each.low, each.high) for each in after), "dot"),
    ]
    span = (start, 1.0)
    drawing = plot_svg(
        words,
        Axis(title="mean score", unit="percent", span=span),
        Axis(title="named correctly", unit="percent", span=span),
        marks,
    )
    return Chart(
        id="reliability",
        drawings=(("Reliability diagram", _safe(drawing)),),
        legend=(
            ("ideal", "a score is what it says"),
            ("valid", f"{whose}, each dot with its 95 % interval"),
            *((("train", "before calibration"),) if before else ()),
        ),
        more="The diagram as a table",
        caption="Test pictures of about the same highest score, in groups of equal size",
        headings=("Pictures", "Mean score", "Named correctly", "95 % interval"),
        rows=tuple(
            (
                f"{each.n:,}",
                wording.percent(each.score),
                wording.percent(each.accuracy),
                f"{100 * each.low:.1f} to {100 * each.high:.1f}",
            )
            for each in after
        ),
    )


def coverage_chart(curve: Sequence[CoveragePoint], doubt: Doubt | None) -> Chart | None:
    """Draw the error among kept answers against how many are kept; None without points."""
    if not curve:
        return None
    last = curve[-1].error
    half = min(curve, key=lambda point: abs(point.coverage - 0.5))
    text = (
        f"Of the surest {wording.percent(half.coverage)} of the answers "
        f"{wording.percent(half.error.value)} are wrong, of all {wording.percent(last.value)}."
    )
    marks: list[Mark] = [
        Band(tuple((each.coverage, each.error.low, each.error.high) for each in curve)),
        Line(tuple((each.coverage, each.error.value) for each in curve), "valid"),
    ]
    legend = [("valid", "wrong among the accepted"), ("area", "95 % interval at each place alone")]
    if doubt is not None and doubt.error is not None:
        here = doubt.error
        marks.append(Dots(((doubt.coverage.value, here.value, here.low, here.high),), "ring"))
        said = f"{doubt.coverage.text} accepted, {here.text} of them wrong"
        legend.append(("ring", f"the thresholds of this model: {said}"))
        text += f" With this model's thresholds: {said}."
    words = Words(id="coverage", title="Error against coverage", text=text)
    # One unlucky answer among the first few would leave no height for all others.
    settled = [each.error.high for each in curve if each.error.n >= 0.2 * last.n]
    top = min(1.0, max([0.01, *settled]))
    drawing = plot_svg(
        words,
        Axis(title="accepted", unit="percent", span=(0.0, 1.0)),
        Axis(title="wrong among them", unit="percent", span=(0.0, top)),
        marks,
    )
    return Chart(
        id="coverage",
        drawings=(("Fewer answers, fewer errors", _safe(drawing)),),
        legend=tuple(legend),
        more="The curve as a table",
        caption="Error among the surest answers; a threshold is never chosen by this table",
        headings=("Accepted", "Pictures", "Wrong", "95 % interval"),
        rows=tuple(
            (
                wording.percent(each.coverage),
                f"{each.error.n:,}",
                each.error.text,
                each.error.interval,
            )
            for each in curve
        ),
    )


def more_data_chart(points: Sequence[LearningPoint]) -> Chart | None:
    """Draw accuracy by number of training pictures, with the forecast; None without points."""
    measured = [each for each in points if not each.forecast]
    forecast = [each for each in points if each.forecast]
    if not points:
        return None
    ends = [points[0], points[-1]]
    words = Words(
        id="more-data",
        title="Accuracy by number of training pictures",
        text=" ".join(
            f"{wording.counted(each.n)}: {wording.percent(each.value)}"
            f"{' (forecast)' if each.forecast else ''}."
            for each in ends
        ),
    )
    ahead = [*measured[-1:], *forecast]
    marks: list[Mark] = [
        Band(tuple((each.n, each.low, each.high) for each in ahead if forecast)),
        Line(tuple((each.n, each.value) for each in ahead if forecast), "train"),
        Line(tuple((each.n, each.value) for each in measured), "valid"),
        Dots(tuple((each.n, each.value, each.low, each.high) for each in measured), "dot"),
    ]
    drawing = plot_svg(
        words,
        Axis(title="training pictures", unit="count"),
        Axis(title="accuracy", unit="percent"),
        marks,
    )
    legend = [("dot", "measured, from the lowest draw to the highest")] if measured else []
    legend += [("train", "forecast"), ("area", "its 95 % band")] if forecast else []
    return Chart(
        id="more-data",
        drawings=(("Accuracy by number of training pictures", _safe(drawing)),),
        legend=tuple(legend),
        more="The curve as a table",
        caption="Accuracy by number of training pictures",
        headings=("Training pictures", "Accuracy", "From, to", "Kind"),
        rows=tuple(
            (
                f"{each.n:,}",
                wording.percent(each.value),
                f"{100 * each.low:.1f} to {100 * each.high:.1f}",
                "forecast" if each.forecast else "measured",
            )
            for each in points
        ),
    )


def _safe(drawing: str) -> Markup:
    """Mark a drawing as fit for the page: all text in it has been escaped."""
    from markupsafe import Markup

    return Markup(drawing)
