"""One run as one HTML file that needs nothing else: to read, to print, to mail to a reviewer.

Pure: :func:`render` turns facts into text. The promises: no script, no request (a content security
policy says so to the browser as well), every text from outside escaped, thumbnails inside the file,
below 5 MB. Sections without facts are left out.

The facts are in ``page_facts.py``, tables in ``page_rows.py``, charts in ``page_charts.py``, the
warnings in ``cautions.py``. The words are in ``page.html.j2`` and in one ``report_*.html.j2`` per
section; what all pages share is in ``template.py``.
"""

from __future__ import annotations

from typing import Any, Final

from fieldmark.evaluation import page_charts, page_rows
from fieldmark.evaluation.cautions import cautions, light
from fieldmark.evaluation.comparison_lines import p_text, points
from fieldmark.evaluation.page_charts import Chart
from fieldmark.evaluation.page_facts import ReportFacts
from fieldmark.evaluation.slices import SIGNIFICANT
from fieldmark.evaluation.template import reasons, template

MAX_LEFT_OUT: Final = 200
"""Files listed one by one; the counts by reason always hold all."""
MAX_SLICES: Final = 40


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
    report = facts.report
    charts = _charts(facts)
    pictures = page_rows.pictures(facts)
    listed = facts.mix_ups[: page_rows.MAX_LISTED_PAIRS]
    told: dict[str, Any] = {
        "warnings": (
            *facts.notes,
            *_looks(facts.n_looks),
            *cautions(report, facts.counts, _kept_epoch(facts), facts.slices),
        ),
        "light": light(report),
        "totals": page_rows.totals(facts),
        "most": max((sum(parts.values()) for parts in facts.counts.values()), default=0),
        "contact": pictures.contact,
        "reasons": reasons(facts.left_out),
        "listed": facts.left_out[:MAX_LEFT_OUT],
        "layers": page_rows.folded(facts.layers),
        "duration": "" if facts.seconds is None else page_rows.duration(facts.seconds),
        "mix_ups": page_rows.mix_ups(report, listed),
        "pairs": [(f"pair-{at}", each) for at, each in enumerate(listed, start=1)],
        "max_pair_files": page_rows.MAX_PAIR_FILES,
        "matrix": page_rows.matrix(report, listed),
        "slices": facts.slices.found[:MAX_SLICES] if facts.slices else (),
        "telling": SIGNIFICANT,
        "failures": pictures.failures,
        "snippets": page_rows.snippets(facts),
        "origin": page_rows.origin(facts),
    }
    there = _there(facts, told, charts)
    return template("page.html.j2").render(
        facts=facts, report=report, charts=charts, there=there, points=points, p_text=p_text, **told
    )


def _there(
    facts: ReportFacts, told: dict[str, Any], charts: dict[str, Chart | None]
) -> dict[str, bool]:
    """Say which sections have something to say."""
    training = ("epochs", "rates", "strengths")
    found = {
        "data": facts.counts or facts.contact or facts.left_out or facts.together,
        "network": facts.network or facts.layers or facts.network_notes,
        "training": facts.settings or facts.stopped or any(charts[name] for name in training),
        "failures": told["failures"] or facts.slices,
        "use": told["snippets"],
        "reproduce": facts.command or told["origin"] or facts.methods,
        "documents": facts.card or facts.data_sheet,
    }
    return {name: bool(each) for name, each in found.items()}


def _charts(facts: ReportFacts) -> dict[str, Chart | None]:
    doubt, test = facts.report.doubt, facts.rate_test
    return {
        "epochs": page_charts.learning_curves(facts.history, facts.best_epoch),
        "rates": page_charts.rate_chart(test) if test else None,
        "strengths": page_charts.strength_chart(facts.head_path),
        "reliability": page_charts.reliability_chart(doubt) if doubt else None,
        "coverage": page_charts.coverage_chart(facts.risk, doubt),
        "more_data": page_charts.more_data_chart(facts.more_data),
    }


def _looks(n: int) -> tuple[str, ...]:
    if n < 2:
        return ()
    return (
        f"This test part has been looked at {n:,} times: choosing by it makes the figures too "
        "good.",
    )


def _kept_epoch(facts: ReportFacts) -> dict[str, float]:
    kept = [row for row in facts.history if row.get("epoch") == facts.best_epoch]
    return kept[0] if kept else {}
