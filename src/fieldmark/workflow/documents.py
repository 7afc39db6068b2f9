"""The documents of a run: the report page and the model card. Pure: facts in, text out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldmark.config import Settings
from fieldmark.data.manifest import SPLITS, Manifest
from fieldmark.evaluation import page
from fieldmark.evaluation.intervals import wilson
from fieldmark.evaluation.page_facts import Failure, ReportFacts
from fieldmark.evaluation.report import Report
from fieldmark.modalities.encode import encode_jpeg
from fieldmark.networks.layer_table import LayerTable
from fieldmark.networks.pretrained import PRETRAINED
from fieldmark.training.events import FineTuned
from fieldmark.workflow import page_parts
from fieldmark.workflow.facts import RunFacts, Worst


def report_page(
    facts: RunFacts,
    report: Report,
    scores: NDArray[np.float32],
    worst: list[Worst],
    environment: dict[str, Any],
    model_id: str,
) -> str:
    """Write ``report.html``.

    Parameters
    ----------
    facts : RunFacts
    report : Report
        Of the test part.
    scores : float32 array of shape (n_test, n_classes)
        In the order of ``facts.test``.
    worst : list of Worst
        The test pictures with the highest losses.
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
            seconds=sum(done.seconds for done in fitted.history) if facts.history else None,
            rate_test=page_parts.rate_test(fitted),
            head_path=page_parts.head_path(fitted),
            settings=_shown_settings(facts.settings),
            risk=page_parts.risk(facts, scores),
            mix_ups=page_parts.mix_ups(test, scores, manifest.classes),
            failures=_failures(worst),
            command=facts.command,
            seed=fitted.recipe.seed,
            versions=_versions(environment),
            card=card(facts, report),
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


def _failures(worst: list[Worst]) -> tuple[Failure, ...]:
    return tuple(
        Failure(
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


def card(facts: RunFacts, report: Report) -> str:
    """Write the model card: what was measured; what only a person knows is left to one."""
    manifest = facts.manifest
    parts = ", ".join(f"{len(manifest.part(part)):,} {part}" for part in SPLITS)
    recalls = "\n".join(
        f"| {each.name} | {each.recall.text} | {each.recall.interval} | {each.n} |"
        for each in report.per_class
    )
    return "\n".join(
        [
            "---",
            "library_name: fieldmark",
            "pipeline_tag: image-classification",
            "---",
            f"# {facts.folder.name}",
            "",
            f"A convolutional network that tells {len(manifest.classes)} classes apart: "
            f"{', '.join(manifest.classes)}.",
            "",
            "## Intended use and what is out of scope",
            "(For you to write: what it is for, what it is not for, who looked at it.)",
            "",
            "## Data",
            f"{len(manifest.examples):,} pictures of `{manifest.name}` ({parts}); "
            f"{len(manifest.left_out):,} files left out.",
            "",
            "## Results on the test part, read once",
            f"{report.accuracy}",
            "",
            f"Always answering {report.baseline_class!r}: {report.baseline}",
            "",
            *_doubt(report),
            "| class | recall | 95 % interval | n |",
            "|---|---|---|---|",
            recalls,
            "",
            "## Network",
            f"`{facts.network}`",
            "",
            *_origin(facts.backbone),
            *(f"- {sentence}" for sentence in facts.origin),
        ]
    )


def _doubt(report: Report) -> list[str]:
    """Say which answers are accepted, what that promises and how it went."""
    doubt = report.doubt
    if doubt is None:
        return []
    found = [doubt.promise, "", f"Accepted: {doubt.coverage}", ""]
    if doubt.error is not None:
        found += [f"Wrong among them: {doubt.error}", ""]
    return found


def _origin(backbone: str) -> list[str]:
    """Say whose weights a pretrained backbone has, and under which licence."""
    start = PRETRAINED.get(backbone)
    if start is None:
        return []
    return [
        "## Where the weights began",
        f"`{start.name}`, trained on ImageNet: {start.origin}. Licence {start.licence}; "
        f"{start.reference}. SHA-256 of the file: `{start.sha256}`.",
        "",
    ]
