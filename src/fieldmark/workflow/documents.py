"""The report page of a run. Pure: facts in, text out."""

from __future__ import annotations

import dataclasses
from typing import Any

from fieldmark.config import Settings
from fieldmark.data.manifest import SPLITS, Manifest
from fieldmark.evaluation import page
from fieldmark.evaluation.page_facts import Failure, NearestPicture, ReportFacts
from fieldmark.evaluation.report import Report
from fieldmark.modalities.encode import encode_jpeg
from fieldmark.networks.layer_table import LayerTable
from fieldmark.networks.pretrained import PRETRAINED
from fieldmark.training.events import FineTuned
from fieldmark.workflow import page_parts
from fieldmark.workflow.facts import Answers, RunFacts
from fieldmark.workflow.papers import Papers
from fieldmark.workflow.spotting import thumbnails


def report_page(
    facts: RunFacts,
    report: Report,
    answers: Answers,
    papers: Papers,
    environment: dict[str, Any],
    model_id: str,
) -> str:
    """Write ``report.html``.

    Parameters
    ----------
    facts : RunFacts
    report : Report
        Of the test part.
    answers : Answers
        On the test part.
    papers : Papers
        Of the same facts.
    environment : dict
        As ``environment.json`` holds it.
    model_id : str
    """
    manifest, fitted = facts.manifest, facts.fitted
    test = [example for _, example in facts.test]
    return page.render(
        ReportFacts(
            name=facts.folder.name,
            report=report,
            created=facts.created,
            model_id=model_id,
            model_path=str(facts.folder.bundle),
            notes=tuple(note.text for note in facts.notes),
            data_folder=facts.settings.data.folder,
            counts=_counts(manifest),
            contact=page_parts.contact(facts),
            together=page_parts.together(manifest),
            left_out=tuple(dataclasses.asdict(each) for each in manifest.left_out),
            network=facts.network,
            layers=page_parts.layers(facts.table, facts.backbone),
            network_notes=(*_network_notes(facts.table), *_head_notes(facts), *facts.origin),
            history=tuple(facts.history),
            best_epoch=fitted.stopped.best_epoch if facts.history else None,
            stopped=fitted.stopped.text,
            seconds=facts.seconds,
            rate_test=page_parts.rate_test(fitted),
            head_path=page_parts.head_path(fitted),
            settings=_shown_settings(facts.settings),
            risk=page_parts.risk(facts, answers.scores),
            mix_ups=page_parts.mix_ups(test, answers.scores, manifest.classes),
            repeats=answers.repeats,
            more_data=facts.curve.accuracy if facts.curve else (),
            more_data_text=f"{facts.curve.line}. {facts.curve.class_line}" if facts.curve else "",
            slices=answers.weak.slices,
            failures=_failures(facts, answers),
            command=facts.command,
            seed=fitted.recipe.seed,
            versions=_versions(environment),
            methods=papers.methods,
            card=papers.card,
            data_sheet=papers.sheet,
        )
    )


def _counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    parts = {part: manifest.counts(part) for part in SPLITS}
    return {name: {part: parts[part][name] for part in SPLITS} for name in manifest.classes}


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
        low, high = head.cv_interval
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


def _failures(facts: RunFacts, answers: Answers) -> tuple[Failure, ...]:
    worst = [each for each in answers.worst if each.predicted != each.example.label]
    spots = {each.file: each for each in answers.weak.errors}
    near = {path: spots[path].nearest for each in worst if (path := each.example.path) in spots}
    pictures = thumbnails(facts, (one.file for found in near.values() for one in found))
    return tuple(
        Failure(
            file=each.example.path,
            label=each.example.label,
            predicted=each.predicted,
            score=each.score,
            jpeg=encode_jpeg(each.image),
            p_wrong_label=spots[each.example.path].p_wrong_label
            if each.example.path in spots
            else None,
            nearest=tuple(
                NearestPicture(
                    file=one.file,
                    label=one.label,
                    similarity=one.similarity,
                    jpeg=pictures.get(one.file, b""),
                )
                for one in near.get(each.example.path, ())
            ),
        )
        for each in worst
    )


def _versions(environment: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = environment["fingerprint"]
    return found | {"backend": f"{environment['backend']}, {found['threads']} threads"}


def _shown_settings(settings: Settings) -> dict[str, str]:
    found = {}
    for table in dataclasses.fields(settings):
        values = getattr(settings, table.name)
        for each in dataclasses.fields(values):
            value = getattr(values, each.name)
            if value != "":
                found[f"{table.name}.{each.name}"] = str(value)
    return found
