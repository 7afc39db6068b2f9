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
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Manifest
from fieldmark.evaluation import report as reports
from fieldmark.evaluation.calibration import softmax
from fieldmark.evaluation.doubt import measure_doubt
from fieldmark.evaluation.more_data import MoreData
from fieldmark.evaluation.resampling import Resampling
from fieldmark.export import Exported, export
from fieldmark.inference.judging import Judged
from fieldmark.inference.predictor import Predictor
from fieldmark.inference.runtime import open_runtime
from fieldmark.networks import CATALOGUE
from fieldmark.networks.layer_table import layer_table
from fieldmark.quantization import Gate
from fieldmark.training import events
from fieldmark.training.features import Features
from fieldmark.training.fitted import Fitted
from fieldmark.training.recipe import Recipe, recorded
from fieldmark.workflow import artefacts, more_data, promising
from fieldmark.workflow.baselines import Nearest, beside_it, looked_again
from fieldmark.workflow.choosing import Choice
from fieldmark.workflow.dataset import list_of, split_seed
from fieldmark.workflow.deciding import Evidence, Rules, decided, gathered
from fieldmark.workflow.earlier import EarlierRuns, TestPart
from fieldmark.workflow.facts import RunFacts
from fieldmark.workflow.foreign import origin_of, shipped
from fieldmark.workflow.int8 import checked_int8
from fieldmark.workflow.papers import papers
from fieldmark.workflow.parts import labels_of, positions
from fieldmark.workflow.picture_facts import facts_of
from fieldmark.workflow.provenance import MadeOf, made_of, without_places
from fieldmark.workflow.run import Run
from fieldmark.workflow.session import Session
from fieldmark.workflow.spotting import Gallery, Mistakes, weak_spots
from fieldmark.workflow.turns import asked_for
from fieldmark.workflow.weak_spots import WeakSpots

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
    features: Features | None = None
    """What a head was solved on; None: there was none."""
    curve: MoreData | None = None
    """Whether more pictures would help; None: it would cost several times the training to say."""


def finish(session: Session, trained: Trained, command: str) -> Run:
    """Measure, write everything, and give the model file its name last: it says *finished*.

    Raises
    ------
    ParityError
        Code ``parity``: the exported network answers differently; no model file is written.
    """
    notes, seconds = session.notes(), session.spent_s()
    made, evidence = _made(session, trained, command)
    facts = dataclasses.replace(made.facts, notes=notes, seconds=round(seconds, 1))
    folder = trained.folder
    unnamed = folder.path / ".measured.fieldmark"
    made.write_bundle({}, "", unnamed)
    report, scores, mistakes = made.measured(unnamed)
    weak = _weak_spots(session, trained, evidence, scores, mistakes)
    # What other runs lie around must not change a byte of the model file, or of its card.
    written = papers(facts, report.alone, artefacts.environment(facts), weak.slices)
    model_id = made.write_bundle(report.alone.to_dict(), written.card, unnamed)
    session.page = artefacts.write_all(
        facts, report, scores, weak, model_id=model_id, papers=written
    )
    # Told once the look is written down, so that nobody sees a figure that is not counted.
    session.listen(events.Evaluated(report=report.to_dict()))
    if trained.curve is not None:
        more_data.write(folder, trained.curve)
        session.listen(events.CurveDrawn(curve=trained.curve.to_dict()))
    promising.written(session)
    finished = events.RunFinished(
        folder=str(folder.path),
        bundle=str(folder.bundle),
        report=str(folder.path / "report.html"),
        seconds=session.spent_s(),
    )
    folder.write("log.jsonl", artefacts.log_lines([*session.log, finished]))
    more = asked_for(session.settings, trained.fitted.stopped)
    if session.held is not None and more:
        session.held.repeating()
    give_name(unnamed, folder.bundle)
    if session.held is not None and not more:
        session.held.finished()
    session.listen(finished)
    return Run(folder.path)


def _made(session: Session, trained: Trained, command: str) -> tuple[_Made, Evidence]:
    """Export, prove, and decide what is accepted: all that the validation part has a say in."""
    fitted = trained.fitted
    exported = export(
        trained.choice.plan,
        fitted.weights,
        pixels=fitted.proof_pixels,
        logits=fitted.proof_logits,
        threads=session.threads,
    )
    int8: bytes | None = None
    verdict: Gate | None = None
    if session.settings.run.int8:
        int8, verdict = checked_int8(session, trained.decoded, exported.onnx)
    evidence = _evidence(session, trained, exported.onnx)
    made = _Made(
        settings=session.settings,
        trained=trained,
        exported=exported,
        int8=int8,
        verdict=verdict,
        rules=_rules(session, evidence, fitted.recipe.seed),
        command=command,
        created=session.created,
        looks=session.looks,
        made_of=made_of(session, fitted.stopped),
    )
    return made, evidence


def _evidence(session: Session, trained: Trained, onnx: bytes) -> Evidence:
    """Return what is known of the validation part; the network looks at it if nothing is."""
    if trained.evidence is not None:
        return trained.evidence
    runtime = open_runtime(onnx, threads=session.threads, bulk=True)
    return gathered(runtime, trained.decoded, untouched=False)


def _rules(session: Session, evidence: Evidence, seed: int) -> Rules:
    """Choose temperature and thresholds on the validation part, and say them."""
    rules = decided(evidence, session.settings.decide, seed=seed)
    session.listen(events.Noted(code="decision", text=rules.promise))
    return rules


def _weak_spots(
    session: Session,
    trained: Trained,
    evidence: Evidence,
    scores: NDArray[np.float32],
    mistakes: Mistakes,
) -> WeakSpots:
    """Say where the model fails, from what this run knows already."""
    manifest, features = trained.decoded.manifest, trained.features
    facts = facts_of(
        manifest,
        manifest.part("test"),
        listed=list_of(session.settings.data),
        threads=session.threads,
        keep=session.settings.run.cache,
    )
    if features is not None and not trained.fitted.history:
        gallery = Gallery.of_features(features)
    else:
        gallery = Gallery.of_known(evidence.known, manifest)
    head = trained.fitted.head
    solved = None if features is None or head is None else (features, head)
    return weak_spots(manifest, scores, mistakes, facts=facts, gallery=gallery, solved=solved)


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
    looks: Looks | None
    made_of: MadeOf

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
        settings = without_places(self.resolved, self.manifest.name)
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

    def measured(self, bundle: Path) -> tuple[reports.Report, NDArray[np.float32], Mistakes]:
        """Read the test part: here, once, by the file that ships."""
        manifest, decoded, recipe = self.manifest, self.trained.decoded, self.trained.fitted.recipe
        at = positions(manifest, "test")
        truth = labels_of(manifest)[at]
        groups = unit_numbers([manifest.examples[i] for i in at])
        predictor = Predictor.open(bundle, threads=recipe.threads)
        rows, closest = decoded.rows[at], Nearest.of(self.trained.evidence, len(at))
        parts: list[Judged] = []
        # Chunk by chunk: indexing the map with all rows would copy the whole part into memory.
        mistakes = Mistakes(truth)
        for start in range(0, len(rows), CHUNK):
            part = predictor.judge(decoded.pixels[rows[start : start + CHUNK]], features=True)
            mistakes.add(part)
            closest.ask(part.features)
            parts.append(dataclasses.replace(part, features=None))
        scores = np.concatenate([part.scores for part in parts])
        counts = manifest.counts("train")
        drawn = Resampling(recipe.seed, groups)
        report = reports.measure(
            scores,
            truth,
            manifest.classes,
            baseline_class=max(counts, key=counts.__getitem__),
            conditions={
                "part": f"test part of {manifest.name}, read once, after training",
                "engine": predictor.runtime.name,
                "threads": str(recipe.threads),
                "seed": str(recipe.seed),
            },
            seed=drawn,
        )
        beside = beside_it(
            TestPart(manifest, at, scores.argmax(axis=1) == truth, groups, recipe.seed),
            report.baseline_class,
            closest=closest,
            looks=self.looks or looked_again(manifest, at, self.settings, recipe.threads),
            earlier=EarlierRuns(self.trained.folder, self.settings.data.folder),
        )
        doubt = measure_doubt(
            scores,
            truth,
            [each for part in parts for each in part.decisions],
            temperature=self.rules.temperature,
            promise=self.rules.promise,
            seed=drawn,
        )
        return dataclasses.replace(report, doubt=doubt, baselines=beside), scores, mistakes

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
            decision=self.rules.decision,
            curve=self.trained.curve,
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
            recipe=to_toml(self.shipped()) + self.made_of.to_toml(),
            report=report,
            card=card,
            created=self.created,
        )
        return bundles.write(path, bundle, overwrite=bool(report))
