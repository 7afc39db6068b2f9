"""One run as one HTML file that needs nothing else: to read, to print, to mail to a reviewer.

Pure: :func:`render` turns facts into text. The promises: no script, no request (a content security
policy says so to the browser as well), every text from outside escaped, thumbnails inside the file,
below 5 MB. Sections without facts are left out.

The words are in ``page.html.j2``, the warnings in ``cautions.py``; what all pages share is in
``template.py``.
"""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import dataclass, field
from typing import Any, Final

from fieldmark.errors import UsageError
from fieldmark.evaluation import wording
from fieldmark.evaluation.cautions import cautions
from fieldmark.evaluation.charts import curves_svg
from fieldmark.evaluation.report import Report
from fieldmark.evaluation.template import bad_facts, data_url, reasons, template
from fieldmark.evaluation.thumbnails import MAX_THUMBNAIL_BYTES

MAX_FAILURES: Final = 24
"""Pictures shown under "where it fails"; that many thumbnails keep the page below 2 MB."""
MAX_LEFT_OUT: Final = 200
"""Files listed one by one; the counts by reason always hold all."""
MAX_MATRIX_CLASSES: Final = 60
"""With more classes the confusion matrix gives way to the most frequent mix-ups."""
MAX_MIX_UPS: Final = 12

_EPOCH_COLUMNS: Final = (
    ("epoch", "Epoch"),
    ("loss", "Training loss"),
    ("val_loss", "Validation loss"),
    ("accuracy", "Training accuracy"),
    ("val_accuracy", "Validation accuracy"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One test picture with a high loss."""

    file: str
    """Relative to the data folder."""
    label: str
    """What a person said."""
    predicted: str
    """What the model said."""
    score: float
    """Of the prediction, in [0, 1]."""
    jpeg: bytes = b""
    """A thumbnail of about 128 pixels; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """Everything the page says, as plain values that a run folder holds too.

    Only ``name`` and ``report`` are needed; an empty value leaves its part of the page out.
    """

    name: str
    """Of the run and the model: ``flowers-1``."""
    report: Report
    """The numbers on the test part."""
    created: str = ""
    """Date and time as text, given by the caller so that the same run gives the same page."""
    model_id: str = ""
    """``sha256:...`` of the model file."""
    model_path: str = ""
    """Of the ``.fieldmark`` file, as one would type it; fills the snippets."""
    notes: tuple[str, ...] = ()
    """Warnings that only the caller knows, one sentence each; shown before the page's own."""
    data_folder: str = ""
    """Where the pictures came from, as one would type it."""
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Class name to ``{"train": n, "valid": n, "test": n}``, in class order."""
    left_out: tuple[dict[str, str], ...] = ()
    """``{"path", "code", "reason"}`` of every file that was found and not used."""
    network: str = ""
    """The layer list as text: ``INPUT 64x64x3 -> CONV 32 3x3 -> ...``."""
    layers: tuple[dict[str, str | int], ...] = ()
    """Rows of the layer table, with any of ``number, layer, does, volume, weights, why``."""
    network_notes: tuple[str, ...] = ()
    """Totals and hints, one sentence each."""
    history: tuple[dict[str, float], ...] = ()
    """One dict per epoch with any of ``epoch, loss, val_loss, accuracy, val_accuracy``."""
    best_epoch: int | None = None
    """Whose weights were kept; marked in the curves."""
    stopped: str = ""
    """Why training ended, in one sentence."""
    settings: dict[str, str] = field(default_factory=dict)
    """Every setting as resolved."""
    failures: tuple[Failure, ...] = ()
    """Highest loss first; the first 24 are shown."""
    command: str = ""
    """The command line that made the run."""
    seed: int | None = None
    """The run's seed."""
    versions: dict[str, str] = field(default_factory=dict)
    """Software, and whatever else one needs to repeat the run: ``{"python": "3.11.2", ...}``."""


def render(facts: ReportFacts) -> str:
    """Write the page.

    Parameters
    ----------
    facts : ReportFacts
        Names and texts in it may hold anything.

    Returns
    -------
    str
        A complete HTML document, to be written as UTF-8; the same facts give the same text.

    Raises
    ------
    UsageError
        With code ``report-facts`` when a count or a file that was left out lacks a key.

    Examples
    --------
    >>> import numpy as np
    >>> from fieldmark.evaluation.report import measure
    >>> report = measure(np.eye(2), np.array([0, 1]), ("cat", "dog"), baseline_class="cat",
    ...                  conditions={}, seed=0)
    >>> render(ReportFacts(name="pets-1", report=report)).startswith("<!doctype html>")
    True
    """
    return template("page.html.j2").render(
        facts=facts,
        report=facts.report,
        warnings=(*facts.notes, *cautions(facts.report, facts.counts, _kept_epoch(facts))),
        totals=_totals(facts),
        reasons=reasons(facts.left_out),
        listed=facts.left_out[:MAX_LEFT_OUT],
        mix_ups=_mix_ups(facts.report),
        matrix=_matrix(facts.report),
        charts=_charts(facts),
        epochs=_epochs(facts),
        failures=[_failure(found) for found in facts.failures[:MAX_FAILURES]],
        snippets=_snippets(facts),
        origin=_origin(facts),
    )


def _totals(facts: ReportFacts) -> dict[str, int]:
    """Sum each part over the classes; ``all`` is the sum of the three."""
    for name, parts in facts.counts.items():
        if set(parts) != {"train", "valid", "test"}:
            raise bad_facts(f"the counts of class {name!r} are {parts}")
    found = {
        part: sum(parts[part] for parts in facts.counts.values())
        for part in ("train", "valid", "test")
    }
    return {**found, "all": sum(found.values())}


def _mix_ups(report: Report) -> list[tuple[str, str, int, int]]:
    """List true class, predicted class, how often, of how many; most frequent first."""
    found = [
        (report.classes[true], report.classes[predicted], n, sum(row))
        for true, row in enumerate(report.confusion)
        for predicted, n in enumerate(row)
        if n and true != predicted
    ]
    return sorted(found, key=lambda pair: -pair[2])[:MAX_MIX_UPS]


def _matrix(report: Report) -> list[tuple[str, list[tuple[int, str]]]]:
    """Give each cell its count and the CSS class of its shade, by its share of the row."""
    if len(report.classes) > MAX_MATRIX_CLASSES:
        return []
    rows = []
    for true, row in enumerate(report.confusion):
        n = max(1, sum(row))
        # Six shades: 0 for nothing, 5 for the whole row.
        cells = [
            (count, f"s{-(-5 * count // n)}" + (" hit" if true == predicted else ""))
            for predicted, count in enumerate(row)
        ]
        rows.append((report.classes[true], cells))
    return rows


def _charts(facts: ReportFacts) -> list[tuple[str, Any]]:
    from markupsafe import Markup

    found = []
    quantities: tuple[tuple[Any, str], ...] = (("loss", "Loss"), ("accuracy", "Accuracy"))
    for quantity, title in quantities:
        try:
            drawing = curves_svg(facts.history, quantity, facts.best_epoch)
        except UsageError:  # no epoch holds a number for this one
            continue
        # Not from outside: curves_svg writes nothing but numbers and its own words.
        found.append((title, Markup(drawing)))
    return found


def _epochs(facts: ReportFacts) -> tuple[list[str], list[tuple[list[str], bool]]]:
    """Return the headings that have values, and per epoch its cells and whether it is the best."""
    keys = [key for key, _ in _EPOCH_COLUMNS if any(key in row for row in facts.history)]
    headings = [title for key, title in _EPOCH_COLUMNS if key in keys]
    rows = [
        ([_number(key, row) for key in keys], row.get("epoch") == facts.best_epoch)
        for row in facts.history
    ]
    return headings, rows


def _number(key: str, row: dict[str, float]) -> str:
    if key not in row:
        return ""
    if not math.isfinite(row[key]):
        return "not finite"
    if key == "epoch":
        return f"{row[key]:.0f}"
    return wording.percent(row[key]) if key.endswith("accuracy") else f"{row[key]:.3f}"


def _kept_epoch(facts: ReportFacts) -> dict[str, float]:
    kept = [row for row in facts.history if row.get("epoch") == facts.best_epoch]
    return kept[0] if kept else {}


def _failure(found: Failure) -> tuple[Failure, str]:
    return found, data_url(found.jpeg) if len(found.jpeg) <= MAX_THUMBNAIL_BYTES else ""


def _snippets(facts: ReportFacts) -> dict[str, str]:
    if not facts.model_path:
        return {}
    path = wording.printable(facts.model_path)
    python = (
        "import fieldmark as fm\n\n"
        f"model = fm.open({json.dumps(path, ensure_ascii=False)})\n"
        'answer = model.predict("new/picture.jpg")\n'
        "print(answer.label, answer.score)"
    )
    return {"Command line": f"fieldmark predict {shlex.quote(path)} new/*.jpg", "Python": python}


def _origin(facts: ReportFacts) -> dict[str, str]:
    found = {} if facts.seed is None else {"seed": str(facts.seed)}
    found |= {"model": facts.model_id} if facts.model_id else {}
    return found | facts.versions
