"""From fitted weights to a finished run: export, prove, measure once, write everything."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import bundle as bundles
from fieldmark import runs
from fieldmark.atomic import give_name
from fieldmark.config import Settings, to_toml
from fieldmark.data.cache import Decoded
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Manifest
from fieldmark.evaluation import report as reports
from fieldmark.evaluation.calibration import softmax
from fieldmark.evaluation.doubt import measure_doubt
from fieldmark.evaluation.resampling import Resampling
from fieldmark.export import Exported, export
from fieldmark.inference.predictor import Predictor
from fieldmark.inference.runtime import open_runtime
from fieldmark.networks import CATALOGUE
from fieldmark.networks.layer_table import layer_table
from fieldmark.quantization import Gate
from fieldmark.training import events
from fieldmark.training.fitted import Fitted
from fieldmark.training.recipe import Recipe, recorded
from fieldmark.workflow import artefacts, documents
from fieldmark.workflow.choosing import Choice
from fieldmark.workflow.dataset import split_seed
from fieldmark.workflow.deciding import Evidence, Rules, decided, gathered
from fieldmark.workflow.facts import RunFacts
from fieldmark.workflow.foreign import origin_of, shipped
from fieldmark.workflow.int8 import checked_int8
from fieldmark.workflow.parts import labels_of, positions
from fieldmark.workflow.run import Run
from fieldmark.workflow.session import Session

N_GOLDEN: Final = 4
CHUNK: Final = 256
"""Test pictures in memory at a time."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What every way of training ends in."""

    folder: runs.RunFolder
    choice: Choice
    decoded: Decoded
    fitted: Fitted
    evidence: Evidence | None = None
    """What is known of the validation part already; None: the network has to look at it."""


def finish(session: Session, trained: Trained, command: str) -> Run:
    """Measure, write everything, and give the model file its name last: it says *finished*.

    Raises
    ------
    ParityError
        Code ``parity``: the exported network answers differently; no model file is written.
    """
    fitted = trained.fitted
    exported = export(
        trained.choice.plan,
        fitted.weights,
        pixels=fitted.proof_pixels,
        logits=fitted.proof_logits,
    )
    int8: bytes | None = None
    verdict: Gate | None = None
    if session.settings.run.int8:
        int8, verdict = checked_int8(session, trained.decoded, exported.onnx)
    rules = _rules(session, trained, exported.onnx)
    made = _Made(
        session.settings, trained, exported, int8, verdict, rules, command, session.created
    )
    folder, facts = trained.folder, made.facts
    unnamed = folder.path / ".measured.fieldmark"
    made.write_bundle({}, "", unnamed)
    report, scores = made.measured(unnamed)
    model_id = made.write_bundle(report.to_dict(), documents.card(facts, report), unnamed)
    artefacts.write_all(facts, report, scores, model_id=model_id)
    # Told once the look is written down, so that nobody sees a figure that is not counted.
    session.listen(events.Evaluated(report=report.to_dict()))
    finished = events.RunFinished(
        folder=str(folder.path),
        bundle=str(folder.bundle),
        report=str(folder.path / "report.html"),
        seconds=session.spent_s(),
    )
    folder.write("log.jsonl", artefacts.log_lines([*session.log, finished]))
    give_name(unnamed, folder.bundle)
    if session.held is not None:
        session.held.finished()
    session.listen(finished)
    return Run(folder.path)


def _rules(session: Session, trained: Trained, onnx: bytes) -> Rules:
    """Choose temperature and thresholds on the validation part, and say them."""
    evidence = trained.evidence
    if evidence is None:
        runtime = open_runtime(onnx, threads=session.threads, bulk=True)
        evidence = gathered(runtime, trained.decoded, untouched=False)
    rules = decided(evidence, session.settings.decide, seed=trained.fitted.recipe.seed)
    session.listen(events.Noted(code="decision", text=rules.promise))
    return rules


@dataclass(frozen=True)
class _Made:
    """Everything a run is written from."""

    settings: Settings
    trained: Trained
    exported: Exported
    int8: bytes | None
    verdict: Gate | None
    rules: Rules
    command: str
    created: str

    @property
    def manifest(self) -> Manifest:
        return self.trained.decoded.manifest

    @cached_property
    def resolved(self) -> Settings:
        """The settings with no ``auto`` left that this training has used."""
        choice = self.trained.choice
        recipe = self.trained.fitted.recipe
        used = recorded(self.settings, recipe)
        if self.settings.head.fine_tune == "all":
            # Its two steps have recipes of their own; what was left open is decided alike again.
            facts = {"threads": recipe.threads, "seed": recipe.seed}
            used = self.settings.changed("train", facts)
        return (
            used.changed("train", {"time": ""})
            .changed("split", {"seed": split_seed(self.settings)})
            .changed("data", {"fit": choice.spec.fit})
            .changed("net", self._net(choice.spec.height))
            .changed("head", {"fine_tune": self._fine_tune()})
        )

    def shipped(self) -> Settings:
        """Return the same without the paths of this computer: the file goes to others."""
        settings = self.resolved.changed("run", {"out": "runs"}).changed(
            "data", {"folder": self.manifest.name, "labels": ""}
        )
        if settings.net.layers:
            settings = settings.changed("net", {"layers": self.network})
        return settings

    @property
    def network(self) -> str:
        """The layer list, without where a backbone's file lies."""
        return str(shipped(self.trained.choice.plan.network))

    def _fine_tune(self) -> str:
        """Say what repeats this training when no budget leads to the decision any more."""
        fitted, asked = self.trained.fitted, self.settings.head.fine_tune
        if asked != "auto":
            return asked
        tuned = fitted.head is not None and isinstance(fitted.recipe, Recipe)
        return "blocks" if tuned else "none"

    def _net(self, size: int) -> dict[str, str | int]:
        choice = self.trained.choice
        if self.settings.net.name == "auto" or self.settings.net.name in CATALOGUE:
            return {"name": choice.name, "size": size}
        # A file with a list may be gone or changed by then, so the list itself is kept.
        network = choice.plan.network
        square = network.input.height == network.input.width
        return {"name": "layers", "layers": str(network), "size": size if square else "auto"}

    def measured(self, bundle: Path) -> tuple[reports.Report, NDArray[np.float32]]:
        """Read the test part: here, once, by the file that ships."""
        manifest, decoded, recipe = self.manifest, self.trained.decoded, self.trained.fitted.recipe
        at = positions(manifest, "test")
        predictor = Predictor.open(bundle, threads=recipe.threads)
        rows = decoded.rows[at]
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        # Chunk by chunk: indexing the map with all rows would copy the whole part into memory.
        parts = [predictor.judge(decoded.pixels[chunk]) for chunk in chunks]
        scores = np.concatenate([part.scores for part in parts])
        counts = manifest.counts("train")
        report = reports.measure(
            scores,
            labels_of(manifest)[at],
            manifest.classes,
            baseline_class=max(counts, key=counts.__getitem__),
            conditions={
                "part": f"test part of {manifest.name}, read once, after training",
                "engine": predictor.runtime.name,
                "threads": str(recipe.threads),
                "seed": str(recipe.seed),
            },
            seed=Resampling(recipe.seed, unit_numbers([manifest.examples[i] for i in at])),
        )
        doubt = measure_doubt(
            scores,
            labels_of(manifest)[at],
            [each for part in parts for each in part.decisions],
            temperature=self.rules.temperature,
            promise=self.rules.promise,
            seed=recipe.seed,
        )
        return dataclasses.replace(report, doubt=doubt), scores

    @cached_property
    def facts(self) -> RunFacts:
        """What the run folder's files are made of."""
        choice = self.trained.choice
        return RunFacts(
            folder=self.trained.folder,
            settings=self.resolved,
            manifest=self.manifest,
            table=layer_table(choice.plan, name=choice.name),
            network=self.network,
            backbone=choice.plan.backbone.source if choice.plan.backbone else "",
            origin=origin_of(choice.plan.foreign) if choice.plan.foreign else (),
            fitted=self.trained.fitted,
            exported=self.exported,
            verdict=self.verdict,
            pixels=self.trained.decoded.pixels,
            rows=self.trained.decoded.rows,
            command=self.command,
            created=self.created,
        )

    def write_bundle(self, report: dict[str, object], card: str, path: Path) -> str:
        fitted, choice = self.trained.fitted, self.trained.choice
        bundle = bundles.Bundle(
            name=self.trained.folder.name,
            network=self.network,
            onnx=self.exported.onnx,
            int8=self.int8,
            classes=self.manifest.classes,
            spec=choice.spec,
            golden_inputs=fitted.proof_pixels[:N_GOLDEN],
            golden_scores=softmax(self.exported.logits[:N_GOLDEN], self.rules.temperature).astype(
                np.float32
            ),
            decision=self.rules.decision,
            unknown=self.rules.arrays,
            weights=fitted.weights,
            recipe=to_toml(self.shipped()),
            report=report,
            card=card,
            created=self.created,
        )
        return bundles.write(path, bundle, overwrite=bool(report))
