"""The layer table: what every layer does, makes, costs and sees; and why its volume has that size.

Pure. The table speaks the tutorial's language: INPUT, CONV, RELU, POOL, FC and volumes.
"""

from __future__ import annotations

import dataclasses
import math
import textwrap
from dataclasses import dataclass
from typing import Any

from fieldmark.networks.foreign import without_folder
from fieldmark.networks.hints import Hint, find
from fieldmark.networks.layers import (
    Activation,
    Backbone,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Pool,
)
from fieldmark.networks.sight import Sight, sights
from fieldmark.networks.volumes import Add, Concat, Plan, Step, Volume, shown

_FUNCTIONS = {"relu": "max(0, x)", "relu6": "min(max(0, x), 6)", "sigmoid": "1/(1+exp(-x))"}


@dataclass(frozen=True, slots=True)
class Row:
    """One layer of the table."""

    number: int | None
    """Counts the layers that change the volume or hold weights; None for the others."""
    name: str
    kind: str
    what: str
    """In words: ``32 filters 3x3x3``."""
    input_shape: Volume
    output_shape: Volume
    weights: int
    multiply_adds: int
    """Multiplications with an addition, for one picture."""
    activation_bytes: int
    """Of the output, float32, for one picture."""
    receptive_field: tuple[int, int]
    """Rows and columns of the picture that one output number depends on."""
    formula: str
    """Why the output has this size, or the weights this number."""
    hint_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerTable:
    """A plan, opened up. ``str`` prints it for 80 columns."""

    title: str
    rows: tuple[Row, ...]
    hints: tuple[Hint, ...]
    n_classes: int

    @property
    def n_weights(self) -> int:
        """All weights, batch normalisation's averages included, as Keras counts them."""
        return sum(row.weights for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """For one picture."""
        return sum(row.multiply_adds for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are stable."""
        return {
            "schema": "fieldmark.layers/1",
            "title": self.title,
            "n_classes": self.n_classes,
            "weights": self.n_weights,
            "multiply_adds": self.multiply_adds,
            "layers": [dataclasses.asdict(row) for row in self.rows],
            "hints": [dataclasses.asdict(hint) for hint in self.hints],
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, width: int = 80) -> list[str]:
        """Print the table in at most ``width`` (60 or more) columns.

        The last column, why a volume has its size, is left out below 78 columns.
        """
        explain = width >= 78
        head = f" {'#':<3} {'layer':<8} {'what it does':<20} {'volume out':>11} {'weights':>10}"
        lines = [self.title, "", head + ("  why this size" if explain else "")]
        rule = " " + "-" * (78 if explain else len(head) - 1)
        lines.append(rule[:width])
        for row in self.rows:
            number = "" if row.number is None else str(row.number)
            line = (
                f" {number:<3} {row.kind:<8} {row.what:<20} "
                f"{shown(row.output_shape):>11} {row.weights:>10,}"
            )
            lines.append((line + (f"  {row.formula}" if explain else ""))[:width].rstrip())
        lines += [rule[:width], *self._totals(width)]
        if self.hints:
            lines += ["", "Hints"]
            for hint in self.hints:
                lines += _wrapped(f" - {hint.text} [{hint.code}]", width)
        return lines

    def _totals(self, width: int) -> list[str]:
        largest = max(row.activation_bytes for row in self.rows)
        return _wrapped(
            f" {self.n_weights:,} weights ({_bytes(4 * self.n_weights)})   "
            f"{_count(self.multiply_adds)} multiply-adds   largest volume {_bytes(largest)}",
            width,
        )


def layer_table(plan: Plan, *, name: str = "network") -> LayerTable:
    """Open up a plan.

    Parameters
    ----------
    plan : Plan
    name : str
        Shown in the title.

    Returns
    -------
    LayerTable

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> from fieldmark.networks.volumes import plan
    >>> table = layer_table(plan(parse("INPUT 64x64x3 -> CONV 32 3x3 -> RELU -> FC"), 2))
    >>> [(row.kind, row.weights, row.formula) for row in table.rows][1]
    ('CONV', 896, '(64-3)/1+1 = 62')
    """
    seen = sights(plan)
    hints = find(plan, seen)
    rows = [_input_row(plan)]
    number = 0
    for at, step in enumerate(plan.steps):
        counts = not isinstance(step.layer, (Activation, BatchNorm, Dropout, Add, Concat))
        number += counts
        codes = tuple(hint.code for hint in hints if hint.step == step.name)
        row = _row(step, number if counts else None, seen[at], codes)
        if isinstance(step.layer, Backbone) and plan.foreign is not None:
            its = plan.foreign
            row = dataclasses.replace(row, weights=its.n_weights, multiply_adds=its.multiply_adds)
        rows.append(row)
    rows.append(_last_row(plan, rows[-1]))
    n = plan.n_classes
    title = f"{name}  .  input {shown(plan.input)}  .  {n} classes"
    return LayerTable(title, tuple(rows), hints, n)


def multiply_adds(step: Step) -> int:
    """Count the multiplications with an addition of one step for one picture."""
    match step.layer:
        case Conv(filters=filters, kernel=kernel):
            maps_in = 1 if filters is None else step.input[2]
            return math.prod(step.output) * math.prod(kernel) * maps_in
        case Dense():
            return step.input[0] * step.output[0]
        case _:
            return 0


def _input_row(plan: Plan) -> Row:
    what = "RGB picture" if plan.input[2] == 3 else "grey picture"
    size = 4 * math.prod(plan.input)
    return Row(0, "pixels", "INPUT", what, plan.input, plan.input, 0, 0, size, (1, 1), "")


def _row(step: Step, number: int | None, sight: Sight, codes: tuple[str, ...]) -> Row:
    kind, what, formula = _words(step)
    size = 4 * math.prod(step.output)
    return Row(
        number,
        step.name,
        kind,
        what,
        step.input,
        step.output,
        step.n_weights,
        multiply_adds(step),
        size,
        sight.field,
        formula,
        codes,
    )


def _last_row(plan: Plan, above: Row) -> Row:
    """Show the SOFTMAX or SIGMOID that the last FC implies."""
    out = (plan.n_classes,)
    kind = "SOFTMAX" if plan.n_outputs > 1 else "SIGMOID"
    what = "scores to shares of 1" if plan.n_outputs > 1 else "score of 2nd class"
    why = "same size" if plan.n_outputs > 1 else "p and 1-p"
    field = above.receptive_field
    return Row(None, "scores", kind, what, above.output_shape, out, 0, 0, 4 * out[0], field, why)


def _words(step: Step) -> tuple[str, str, str]:
    """Kind, what it does, and the formula of one step."""
    volume = step.input
    match step.layer:
        case Conv(filters=None, kernel=kernel):
            what = f"a filter {shown(kernel)} per map"
            return "DWCONV", what, _formula(step, kernel)
        case Conv(filters=filters, kernel=kernel):
            return (
                "CONV",
                f"{filters} filters {shown((*kernel, volume[2]))}",
                _formula(step, kernel),
            )
        case Pool(reduce=reduce, kernel=kernel) as pool:
            pace = pool.steps if len(set(pool.steps)) > 1 else pool.steps[:1]
            what = f"{reduce} of {shown(kernel)}, step {shown(pace)}"
            return ("POOL" if reduce == "max" else "AVGPOOL"), what, _formula(step, kernel)
        case GlobalPool(reduce=reduce):
            return ("GMP" if reduce == "max" else "GAP"), f"{reduce} of each map", "one per map"
        case BatchNorm():
            return "BN", "mean 0, spread 1", f"4*{volume[-1]} = {step.n_weights:,}"
        case Activation(function=function):
            return function.upper(), _FUNCTIONS[function], "same size"
        case Dropout(rate=rate):
            return "DROPOUT", f"{rate:.0%}".replace("%", " % set to 0"), "same size"
        case Flatten():
            return "FLATTEN", "volume to list", "*".join(str(size) for size in volume)
        case Dense():
            bias = f"+{step.output[0]}" if step.bias else ""
            return (
                "FC",
                f"{step.output[0]} unit{'s' * (step.output[0] > 1)}",
                f"{volume[0]}*{step.output[0]}{bias}",
            )
        case Backbone(source=source):
            return "BACKBONE", _cut(without_folder(source)), "frozen"
        case Add():
            return "ADD", "plus block's input", "same size"
        case Concat():
            return "CONCAT", "lists in a row", ""


def _formula(step: Step, kernel: tuple[int, int]) -> str:
    layer = step.layer
    rows, out = step.input[0], step.output[0]
    pace = layer.step if isinstance(layer, Conv) else kernel[0]
    if isinstance(layer, Pool):
        pace = layer.steps[0]
    if getattr(layer, "padding", "valid") == "same":
        up = ", rounded up" if rows % pace else ", same"
        return f"{rows}/{pace} = {out}{up}" if pace > 1 else "same size"
    left = (rows - kernel[0]) % pace
    rest = "" if not left else ", last row unused" if left == 1 else f", last {left} rows unused"
    if isinstance(layer, Pool) and pace == kernel[0]:
        return f"{rows}/{pace}{rest}" if rest else f"{rows}/{pace} = {out}"
    return f"({rows}-{kernel[0]})/{pace}+1 = {out}" + rest


def _cut(text: str, width: int = 20) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _bytes(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            value = size / scale
            return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
    return f"{size} B"


def _count(n: int) -> str:
    return f"{n / 1e6:.1f} M" if n >= 100_000 else f"{n:,}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False
    )
