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
from itertools import zip_longest
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation import baselines as beside
from fieldmark.evaluation import measures, metrics
from fieldmark.evaluation.baselines import Baseline as Baseline
from fieldmark.evaluation.doubt import Doubt
from fieldmark.evaluation.measurement import Measurement as Measurement
from fieldmark.evaluation.measurement import maybe_int
from fieldmark.evaluation.resampling import Resampling
from fieldmark.evaluation.wording import clip, columns, counted, pad, printable

SCHEMA: Final = "fieldmark.report/1"


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
    balanced_accuracy: Measurement | None = None
    """Average recall of the classes that have test examples; None in reports of older versions."""
    brier: Measurement | None = None
    """Halved squared distance of the scores from the truth, in [0, 1]; smaller is better."""
    auc: Measurement | None = None
    """Average area under each class's ROC curve; None too where only one class occurs."""
    top_k: Measurement | None = None
    """How often the label is among the five highest scores; None with five classes or fewer."""
    n_groups: int | None = None
    """Groups of test examples that belong together; None where each stands alone."""
    doubt: Doubt | None = None
    """Decisions and calibration; None: the model file decides nothing."""
    baselines: tuple[Baseline, ...] = ()
    """What simple rules, and an earlier run, reach on the same pictures; the first is
    ``baseline`` again. Empty: not measured, or a report of an older version."""

    @property
    def verdict(self) -> str:
        """One sentence on whether this beats the commonest class, and the best simple rule."""
        rule = beside.best_rule(self.baselines)
        clear = self.beats_chance
        return beside.verdict(self.accuracy, self.baseline, self.baseline_class, rule, clear=clear)

    @property
    def beats_chance(self) -> bool:
        """Whether the model is clearly ahead of always answering the most frequent class."""
        return beside.beats_chance(self.accuracy, self.baseline, self.baselines)

    @property
    def matched(self) -> bool:
        """Whether what needs no network does as well here: the commonest class, or a rule."""
        rule = beside.best_rule(self.baselines)
        return not self.beats_chance or beside.as_good(rule)

    @property
    def alone(self) -> Report:
        """The same without earlier runs: what else lies around must not change a model file."""
        simple = tuple(each for each in self.baselines if each.simple)
        return dataclasses.replace(self, baselines=simple)

    def mix_ups(self, most: int) -> list[tuple[str, str, int, int]]:
        """List true class, answer, how often, and of how many; the most frequent first."""
        found = [
            (self.classes[true], self.classes[said], n, sum(row))
            for true, row in enumerate(self.confusion)
            for said, n in enumerate(row)
            if n and true != said
        ]
        return sorted(found, key=lambda pair: -pair[2])[:most]

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
                accuracy=Measurement.from_dict(fields["accuracy"]),
                log_loss=Measurement.from_dict(fields["log_loss"]),
                macro_f1=Measurement.from_dict(fields["macro_f1"]),
                baseline=Measurement.from_dict(fields["baseline"]),
                baseline_class=str(fields["baseline_class"]),
                per_class=tuple(_class_result(found) for found in fields["per_class"]),
                confusion=tuple(tuple(int(n) for n in row) for row in fields["confusion"]),
                missing_classes=_names(fields["missing_classes"]),
                n=int(fields["n"]),
                conditions=dict(fields["conditions"]),
                balanced_accuracy=_optional(fields.get("balanced_accuracy")),
                brier=_optional(fields.get("brier")),
                auc=_optional(fields.get("auc")),
                top_k=_optional(fields.get("top_k")),
                n_groups=maybe_int(fields.get("n_groups")),
                doubt=Doubt.from_dict(fields["doubt"]) if fields.get("doubt") else None,
                baselines=tuple(Baseline.from_dict(each) for each in fields.get("baselines", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unknown(f"a field is missing or misshapen: {error!r}") from error

    def lines(self, width: int) -> list[str]:
        """Write the report as plain text, no line wider than ``width`` terminal columns.

        60 columns and more show everything; fewer cut the lines.
        """
        doubt = self.doubt.lines(width) if self.doubt else []
        texts = [*self._head(width), *doubt, "", *self._beside(width), *self._table(width)]
        return [clip(line, max(1, width)).rstrip() for line in texts]

    def _head(self, width: int) -> list[str]:
        """Two columns where they fit: what counts answers, and what stands beside it."""
        left = [("accuracy", self.accuracy), ("balanced", self.balanced_accuracy)]
        left += [("log loss", self.log_loss)]
        right = [("macro F1", self.macro_f1), ("Brier", self.brier)]
        if self.top_k is None:
            left.append(("AUC", self.auc))
        else:
            left.append((f"top {measures.TOP}", self.top_k))
            right.append(("AUC", self.auc))
        rows = [f"  {name:<12}  {one.text:<7}  ({one.interval})" for name, one in left if one]
        beside = [f"{name:<8}  {one.text}  ({one.interval})" for name, one in right if one]
        simple = f'always "{printable(self.baseline_class)}": {self.baseline.text}'
        wide = max(map(len, rows)) + 4
        if wide + max(map(columns, (simple, *beside))) <= width:
            cells = zip_longest(rows, (simple, *beside), fillvalue="")
            rows = [f"{one:<{wide}}{other}" for one, other in cells]
        else:
            name = clip(printable(self.baseline_class), max(8, width - 32))
            rows.insert(1, f'  always "{name}": {self.baseline.text}  ({self.baseline.interval})')
            rows += [f"  {name:<12}  {one.text:<7}  ({one.interval})" for name, one in right if one]
        if self.n_groups is not None:
            rows.append(f"  the intervals count {counted(self.n_groups, 'group')}, not pictures")
        return rows

    def _beside(self, width: int) -> list[str]:
        if not self.baselines:
            return []
        said = beside.wrapped(self.verdict, width)
        return [*beside.lines(self.baselines, self.n, width), "", *said, ""]

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
    seed: int | Resampling,
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
    seed : int or Resampling
        Of the resampling; the same seed gives the same intervals. A :class:`Resampling` says too
        which examples belong together: every interval then counts groups.

    Returns
    -------
    Report
        Shares with Wilson intervals; averages over classes, losses and AUC with BCa bootstrap
        intervals of 2,000 resamples. ``measures.py`` says how each is made.

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
    drawn = seed if isinstance(seed, Resampling) else Resampling(seed)
    sample = measures.Sample.of(probs, labels, drawn)
    if len(classes) != sample.scores.shape[1] or baseline_class not in classes:
        raise UsageError(
            f"{len(classes)} classes and the baseline {baseline_class!r} were given for "
            f"{sample.scores.shape[1]} columns of scores.",
            code="bad-scores",
            hint="pass one class name per column, and one of them as the baseline",
        )
    return _reported(sample, tuple(classes), baseline_class, dict(conditions))


def _reported(
    sample: measures.Sample,
    classes: tuple[str, ...],
    baseline_class: str,
    conditions: dict[str, str],
) -> Report:
    counts = metrics.confusion(sample.truth, sample.predicted, len(classes))
    n_each = counts.sum(axis=1)
    named = metrics.in_top(sample.scores, sample.truth, measures.TOP)
    return Report(
        classes=classes,
        accuracy=measures.share("accuracy", sample, sample.right),
        log_loss=measures.log_loss(sample),
        macro_f1=measures.macro_f1(sample),
        baseline=measures.share("baseline", sample, sample.truth == classes.index(baseline_class)),
        baseline_class=baseline_class,
        per_class=tuple(
            _class_measured(sample, at, classes, counts[at]) for at, n in enumerate(n_each) if n
        ),
        confusion=tuple(tuple(int(cell) for cell in row) for row in counts),
        missing_classes=tuple(name for name, n in zip(classes, n_each, strict=True) if not n),
        n=sample.n,
        conditions=conditions,
        balanced_accuracy=measures.balanced_accuracy(sample),
        brier=measures.brier(sample),
        auc=measures.auc(sample),
        top_k=measures.share(f"top-{measures.TOP} accuracy", sample, named)
        if len(classes) > measures.TOP
        else None,
        n_groups=sample.n_groups,
    )


def _class_measured(
    sample: measures.Sample, at: int, classes: tuple[str, ...], row: NDArray[np.int64]
) -> ClassResult:
    """Describe one class that has examples; ``row`` is its row of the confusion matrix."""
    own, named = sample.truth == at, sample.predicted == at
    wrong = np.where(np.arange(len(row)) == at, 0, row)
    worst = int(wrong.argmax())
    return ClassResult(
        name=classes[at],
        n=int(row.sum()),
        recall=measures.share("recall", sample, sample.right, own),
        precision=measures.share("precision", sample, sample.right, named) if named.any() else None,
        mistaken_for=(classes[worst], int(wrong[worst])) if wrong[worst] else None,
    )


def _mistake(found: ClassResult, width: int) -> str:
    if found.mistaken_for is None:
        return ""
    name, n = found.mistaken_for
    return f"{clip(printable(name), max(1, width - len(f' {n}')))} {n}"


def _mistake_columns(found: ClassResult) -> int:
    name, n = found.mistaken_for or ("", 0)
    return columns(printable(name)) + len(f" {n}")


def _optional(fields: dict[str, Any] | None) -> Measurement | None:
    return None if fields is None else Measurement.from_dict(fields)


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
        recall=Measurement.from_dict(fields["recall"]),
        precision=Measurement.from_dict(precision) if precision else None,
        mistaken_for=(str(other[0]), int(other[1])) if other else None,
    )


def _unknown(problem: str) -> DataError:
    return DataError(
        f"This is not a report that can be read: {problem}.",
        code="report-unknown",
        why="Numbers read by guessing could be wrong.",
        hint="upgrade fieldmark, or measure the model again",
    )
