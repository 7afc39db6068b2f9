"""The numbers of one model on files it never saw, each with its doubt; JSON in and out.

Pure. :class:`Measurement` is the only kind of number a report accepts, so none is ever shown
without its interval and its n. What cannot be estimated (a class without test pictures) is named as
missing and is never a 0 or a NaN.

The schema is ``fieldmark.report/1``. Fields may be added within it; renaming or removing one raises
the number, and :meth:`Report.from_dict` keeps reading the old.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation import metrics
from fieldmark.evaluation.doubt import Doubt
from fieldmark.evaluation.intervals import bootstrap, bootstrap_confusion, wilson
from fieldmark.evaluation.wording import clip, columns, counted, pad, percent, printable

SCHEMA: Final = "fieldmark.report/1"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with its doubt.

    Examples
    --------
    >>> print(Measurement("accuracy", 0.7461, 0.711, 0.778, 646))
    accuracy 74.6 % (71.1 to 77.8, 646 pictures)
    """

    name: str
    value: float
    low: float
    """The interval's ends, in the unit of ``value``."""
    high: float
    n: int
    """Examples behind it."""
    level: float = 0.95
    """Share of such intervals that hold the truth."""
    method: str = "Wilson"
    """How the interval was made: ``Wilson`` or ``bootstrap``."""
    unit: str = "fraction"
    """``fraction`` is shown as a percentage, ``nats`` and ``score`` as they are."""

    @property
    def text(self) -> str:
        """The value alone, as people read it: ``74.6 %`` or ``0.741``."""
        return percent(self.value) if self.unit == "fraction" else f"{self.value:.3f}"

    @property
    def interval(self) -> str:
        """The interval as people read it, without a unit: ``71.1 to 77.8``."""
        low, high = self._ends()
        return f"{low} to {high}"

    @property
    def short_interval(self) -> str:
        """The same for narrow tables: ``71.1-77.8``."""
        return "-".join(self._ends())

    def _ends(self) -> tuple[str, str]:
        if self.unit == "fraction":
            return (f"{100 * self.low:.1f}", f"{100 * self.high:.1f}")
        return (f"{self.low:.3f}", f"{self.high:.3f}")

    def __str__(self) -> str:
        return f"{printable(self.name)} {self.text} ({self.interval}, {counted(self.n)})"


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class of the test part."""

    name: str
    n: int
    """Test examples of this class, at least 1."""
    recall: Measurement
    """Of the examples of this class, how many were recognised."""
    precision: Measurement | None
    """Of the answers that named this class, how many were right; None if it was never named."""
    mistaken_for: tuple[str, int] | None
    """The class it was most often wrongly taken for, and how often; None if never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What :func:`measure` found. The conditions say on what, with what and how often."""

    classes: tuple[str, ...]
    """All class names, in the order of ``confusion``."""
    accuracy: Measurement
    log_loss: Measurement
    """In nats, smaller is better."""
    macro_f1: Measurement
    """Over the classes that have test examples."""
    baseline: Measurement
    """What always answering the most frequent training class would reach."""
    baseline_class: str
    per_class: tuple[ClassResult, ...]
    """The classes that have test examples, in class order."""
    confusion: tuple[tuple[int, ...], ...]
    """Counts; rows are the true classes."""
    missing_classes: tuple[str, ...]
    """Classes without test examples: nothing about them can be estimated."""
    n: int
    """Test examples."""
    conditions: dict[str, str]
    doubt: Doubt | None = None
    """Decisions and calibration; None: the model file decides nothing."""

    @property
    def verdict(self) -> str:
        """One sentence on whether this beats knowing nothing but the commonest class."""
        simple = f'always answering "{printable(self.baseline_class)}" ({self.baseline.text})'
        if self.accuracy.low > self.baseline.high:
            return f"Clearly better than {simple}."
        if self.accuracy.value > self.baseline.value:
            return f"Better than {simple} on these pictures, but the two intervals overlap."
        return f"Not better than {simple}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are the fields' names and ``schema``."""
        found: dict[str, Any] = json.loads(
            json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, allow_nan=False)
        )
        return found

    def to_json(self) -> str:
        """Return :meth:`to_dict` as text: ASCII, indented, the same for the same report."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Report:
        """Read what :meth:`to_dict` wrote; fields added within the schema are passed over.

        Raises
        ------
        DataError
            With code ``report-unknown`` for another schema or a field that is missing or misshapen.
        """
        if fields.get("schema") != SCHEMA:
            raise _unknown(f"its schema is {fields.get('schema')!r}, not {SCHEMA!r}")
        try:
            return cls(
                classes=_names(fields["classes"]),
                accuracy=_measurement(fields["accuracy"]),
                log_loss=_measurement(fields["log_loss"]),
                macro_f1=_measurement(fields["macro_f1"]),
                baseline=_measurement(fields["baseline"]),
                baseline_class=str(fields["baseline_class"]),
                per_class=tuple(_class_result(found) for found in fields["per_class"]),
                confusion=tuple(tuple(int(n) for n in row) for row in fields["confusion"]),
                missing_classes=_names(fields["missing_classes"]),
                n=int(fields["n"]),
                conditions=dict(fields["conditions"]),
                doubt=Doubt.from_dict(fields["doubt"]) if fields.get("doubt") else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unknown(f"a field is missing or misshapen: {error!r}") from error

    def lines(self, width: int) -> list[str]:
        """Write the report as plain text, no line wider than ``width`` terminal columns.

        60 columns and more show everything; fewer cut the lines.
        """
        doubt = self.doubt.lines() if self.doubt else []
        texts = [*self._head(width), *doubt, "", *self._table(width)]
        return [clip(line, max(1, width)).rstrip() for line in texts]

    def _head(self, width: int) -> list[str]:
        rows = [
            f"  {found.name:<12}  {found.text:<7}  ({found.interval})"
            for found in (self.accuracy, self.macro_f1, self.log_loss)
        ]
        simple = f'always "{printable(self.baseline_class)}": {self.baseline.text}'
        if len(rows[0]) + 6 + len(simple) <= width:
            rows[0] += "      " + simple
        else:
            name = clip(printable(self.baseline_class), max(8, width - 32))
            rows.insert(1, f'  always "{name}": {self.baseline.text}  ({self.baseline.interval})')
        return rows

    def _table(self, width: int) -> list[str]:
        # 35 columns hold the numbers and the gaps; half of the rest at most goes to the mistakes.
        room = max(12, width - 35)
        names = max(columns(printable(name)) for name in (*self.classes, "class"))
        wide = min(names, room - min(room // 2, max(map(_mistake_columns, self.per_class))))
        heading = "most often taken for" if room - wide >= 20 else "taken for"
        lines = [f"  {pad('class', wide)}   recall      (95 %)       n    {heading}"]
        for found in self.per_class:
            lines.append(
                f"  {pad(found.name, wide)}  {found.recall.text:>7}  "
                f"{found.recall.short_interval:>10}  {found.n:>6,}    "
                f"{_mistake(found, room - wide)}"
            )
        lines += [
            f"  {pad(name, wide)}  not estimable: no test pictures" for name in self.missing_classes
        ]
        return lines


def measure(
    probs: metrics.Probs,
    labels: metrics.Labels,
    classes: tuple[str, ...],
    *,
    baseline_class: str,
    conditions: dict[str, str],
    seed: int,
) -> Report:
    """Measure a network's scores on examples it never saw.

    Parameters
    ----------
    probs : float array of shape (n_examples, n_classes)
        Scores after softmax; rows sum to 1.
    labels : int array of shape (n_examples,)
        Indices into ``classes``.
    classes : tuple of str
        The model's class names, one per column.
    baseline_class : str
        The most frequent class of the training part.
    conditions : dict of str to str
        What the numbers depend on, for people: part, versions, threads.
    seed : int
        Of the resampling; the same seed gives the same intervals.

    Returns
    -------
    Report
        Accuracy and per-class rates with Wilson intervals; log loss and macro F1 with percentile
        bootstrap intervals of 2,000 resamples.

    Raises
    ------
    DataError
        With code ``nothing-to-measure`` when there are no examples.
    UsageError
        With code ``bad-scores`` when the arrays, the classes and the baseline do not fit together.

    Examples
    --------
    >>> probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> report = measure(probs, np.array([0, 1, 1]), ("cat", "dog"), baseline_class="dog",
    ...                  conditions={}, seed=0)
    >>> print(report.accuracy)
    accuracy 66.7 % (20.8 to 93.9, 3 pictures)
    """
    scores, truth = metrics.checked(probs, labels)
    if len(classes) != scores.shape[1] or baseline_class not in classes:
        raise UsageError(
            f"{len(classes)} classes and the baseline {baseline_class!r} were given for "
            f"{scores.shape[1]} columns of scores.",
            code="bad-scores",
            hint="pass one class name per column, and one of them as the baseline",
        )
    n = len(truth)
    counts = metrics.confusion(truth, scores.argmax(axis=1), len(classes))
    found = metrics.per_class(counts)
    return Report(
        classes=tuple(classes),
        accuracy=_counted("accuracy", int(np.trace(counts)), n),
        log_loss=_log_loss(scores, truth, seed),
        macro_f1=_macro_f1(counts, seed),
        baseline=_counted("baseline", found[classes.index(baseline_class)].n, n),
        baseline_class=baseline_class,
        per_class=tuple(
            _described(name, rates, classes)
            for name, rates in zip(classes, found, strict=True)
            if rates.n
        ),
        confusion=tuple(tuple(int(cell) for cell in row) for row in counts),
        missing_classes=tuple(
            name for name, rates in zip(classes, found, strict=True) if not rates.n
        ),
        n=n,
        conditions=dict(conditions),
    )


def _counted(name: str, n_correct: int, n: int) -> Measurement:
    return Measurement(name, n_correct / n, *wilson(n_correct, n), n)


def _log_loss(scores: metrics.Probs, truth: metrics.Labels, seed: int) -> Measurement:
    each = metrics.losses(scores, truth)
    low, high = bootstrap(each, rng=rng.derive(seed, "interval", "log loss"))
    return Measurement(
        "log loss", float(each.mean()), low, high, len(each), method="bootstrap", unit="nats"
    )


def _macro_f1(counts: NDArray[np.int64], seed: int) -> Measurement:
    value = float(metrics.macro_f1_of(counts))
    low, high = bootstrap_confusion(
        counts, metrics.macro_f1_of, rng=rng.derive(seed, "interval", "macro F1")
    )
    n = int(counts.sum())
    return Measurement("macro F1", value, low, high, n, method="bootstrap", unit="score")


def _described(name: str, rates: metrics.ClassRates, classes: tuple[str, ...]) -> ClassResult:
    def named(kind: str, rate: metrics.Rate | None) -> Measurement | None:
        return Measurement(kind, rate.value, rate.low, rate.high, rate.n) if rate else None

    recall = named("recall", rates.recall)
    if recall is None:
        raise UsageError(
            f"Class {name!r} has no examples to describe.",
            code="bad-scores",
            hint="describe only classes that have test examples",
        )
    other = rates.mistaken_for
    return ClassResult(
        name=name,
        n=rates.n,
        recall=recall,
        precision=named("precision", rates.precision),
        mistaken_for=(classes[other[0]], other[1]) if other else None,
    )


def _mistake(found: ClassResult, width: int) -> str:
    if found.mistaken_for is None:
        return ""
    name, n = found.mistaken_for
    return f"{clip(printable(name), max(1, width - len(f' {n}')))} {n}"


def _mistake_columns(found: ClassResult) -> int:
    name, n = found.mistaken_for or ("", 0)
    return columns(printable(name)) + len(f" {n}")


def _measurement(fields: dict[str, Any]) -> Measurement:
    found = Measurement(
        name=str(fields["name"]),
        value=float(fields["value"]),
        low=float(fields["low"]),
        high=float(fields["high"]),
        n=int(fields["n"]),
        level=float(fields["level"]),
        method=str(fields["method"]),
        unit=str(fields["unit"]),
    )
    if not np.isfinite([found.value, found.low, found.high]).all():
        raise ValueError(f"{found.name} is not a finite number")
    return found


def _names(listed: list[str]) -> tuple[str, ...]:
    if not isinstance(listed, list):
        raise TypeError(f"{listed!r} is no list of names")
    return tuple(str(name) for name in listed)


def _class_result(fields: dict[str, Any]) -> ClassResult:
    other = fields["mistaken_for"]
    precision = fields["precision"]
    return ClassResult(
        name=str(fields["name"]),
        n=int(fields["n"]),
        recall=_measurement(fields["recall"]),
        precision=_measurement(precision) if precision else None,
        mistaken_for=(str(other[0]), int(other[1])) if other else None,
    )


def _unknown(problem: str) -> DataError:
    return DataError(
        f"This is not a report that can be read: {problem}.",
        code="report-unknown",
        why="Numbers read by guessing could be wrong.",
        hint="upgrade fieldmark, or measure the model again",
    )
