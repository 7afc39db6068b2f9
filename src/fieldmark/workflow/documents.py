"""The report page of a run. Pure: facts in, text out."""

from __future__ import annotations

import dataclasses
from typing import Any

from fieldmark.config import Settings
from fieldmark.data.manifest import SPLITS, Manifest
from fieldmark.evaluation import page
from fieldmark.evaluation.intervals import wilson
from fieldmark.evaluation.report import Report
from fieldmark.modalities.encode import encode_jpeg
from fieldmark.networks.layer_table import LayerTable
from fieldmark.networks.pretrained import PRETRAINED
from fieldmark.training.events import FineTuned
from fieldmark.workflow.facts import RunFacts, Worst


def report_page(
    facts: RunFacts,
    report: Report,
    worst: list[Worst],
    environment: dict[str, Any],
    model_id: str,
) -> str:
    """Write ``report.html``; ``worst`` are the test pictures with the highest losses."""
    manifest, fitted = facts.manifest, facts.fitted
    return page.render(
        page.ReportFacts(
            name=facts.folder.name,
            report=report,
            created=facts.created,
            model_id=model_id,
            model_path=str(facts.folder.bundle),
            data_folder=facts.settings.data.folder,
            counts=_counts(manifest),
            left_out=tuple(dataclasses.asdict(each) for each in manifest.left_out),
            network=facts.network,
            layers=_layers(facts.table),
            network_notes=(*_network_notes(facts.table), *_head_notes(facts), *facts.origin),
            history=tuple(facts.history),
            best_epoch=fitted.stopped.best_epoch if facts.history else None,
            stopped=fitted.stopped.text,
            settings=_shown_settings(facts.settings),
            failures=_failures(worst),
            command=facts.command,
            seed=fitted.recipe.seed,
            versions=_versions(environment),
        )
    )


def _counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    parts = {part: manifest.counts(part) for part in SPLITS}
    return {name: {part: parts[part][name] for part in SPLITS} for name in manifest.classes}


def _layers(table: LayerTable) -> tuple[dict[str, str | int], ...]:
    return tuple(
        {
            "number": "" if row.number is None else row.number,
            "layer": row.kind,
            "does": row.what,
            "volume": "x".join(str(size) for size in row.output_shape),
            "weights": row.weights,
            "why": row.formula,
        }
        for row in table.rows
    )


def _network_notes(table: LayerTable) -> tuple[str, ...]:
    return (
        f"{table.n_weights:,} weights, {table.multiply_adds:,} multiply-adds for one picture.",
        *(f"{hint.text} [{hint.code}]" for hint in table.hints),
    )


def _head_notes(facts: RunFacts) -> tuple[str, ...]:
    """Say how the head was solved and how good that is across folds of the training part."""
    head = facts.fitted.head
    if head is None:
        return ()
    start = PRETRAINED.get(facts.backbone)
    notes = [f"The backbone's weights: {start.origin} ({start.licence})."] if start else []
    notes.append(
        f"The head was solved by {head.method} regression on {head.n_columns:,} standardised "
        f"features, with a penalty of strength {head.strength:.2g}."
    )
    n = len(head.scored)
    if n:
        low, high = wilson(round(head.cv_accuracy * n), n)
        folds = f"{head.n_folds} folds" if head.n_folds else "one group left out at a time"
        notes.append(
            f"Cross-validated on the training part ({folds}): {100 * head.cv_accuracy:.1f} % "
            f"({100 * low:.1f} to {100 * high:.1f}, {n:,} pictures), log loss "
            f"{head.cv_log_loss:.3f}. It chose the strength, so it flatters a little."
        )
    return (*notes, *(_tuning_note(event) for event in facts.fitted.tuning))


def _tuning_note(event: FineTuned) -> str:
    layers = "Every layer" if event.what == "all" else "The last blocks"
    kept = f"kept, {event.share:.0%} of the way" if event.kept else "not better, and undone"
    return (
        f"{layers} then learned too: {kept}. Validation accuracy "
        f"{100 * event.accuracy_before:.1f} to {100 * event.accuracy:.1f} %, log loss "
        f"{event.log_loss_before:.3f} to {event.log_loss:.3f} (n = {event.n:,}; it chose the "
        "share, so it flatters a little)."
    )


def _failures(worst: list[Worst]) -> tuple[page.Failure, ...]:
    return tuple(
        page.Failure(
            file=each.example.path,
            label=each.example.label,
            predicted=each.predicted,
            score=each.score,
            jpeg=encode_jpeg(each.image),
        )
        for each in worst
        if each.predicted != each.example.label
    )


def _versions(environment: dict[str, Any]) -> dict[str, str]:
    return {
        "python": environment["python"],
        "processor": environment["processor"],
        "backend": f"{environment['backend']}, {environment['threads']} threads",
        **environment["packages"],
    }


def _shown_settings(settings: Settings) -> dict[str, str]:
    found = {}
    for table in dataclasses.fields(settings):
        values = getattr(settings, table.name)
        for each in dataclasses.fields(values):
            value = getattr(values, each.name)
            if value != "":
                found[f"{table.name}.{each.name}"] = str(value)
    return found
