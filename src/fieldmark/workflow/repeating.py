"""The same training again, on other folds or with other seeds: how much of the result is luck.

Each is an ordinary training that ends in a network, its temperature and its answers to pictures it
never saw; only the run folder's documents are not written. With folds all pictures are dealt,
whatever their parts; the rest of a fold is divided into training and validation by the usual rule.

What the run before has decided stays decided: the network, whether it is fine-tuned, warped copies
and the number of columns. The strength of a head is chosen anew among those around the run's. These
few choices have seen pictures that are tested here; :func:`afresh` makes all of them anew.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldmark.config import Settings
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import SPLITS, Manifest
from fieldmark.data.table import rows, written
from fieldmark.evaluation import metrics, repeats
from fieldmark.evaluation.calibration import fit_temperature, softmax
from fieldmark.evaluation.repeats import Outcome, Repeats
from fieldmark.export import export
from fieldmark.inference.runtime import open_runtime
from fieldmark.runs import RunFolder
from fieldmark.training import events
from fieldmark.training.events import EpochDone, Event, HeadSolved, Listener, Planned
from fieldmark.training.features import Progress
from fieldmark.training.recipe import HeadRecipe
from fieldmark.workflow import artefacts, backbone
from fieldmark.workflow.backbone import Kept, Settled
from fieldmark.workflow.choosing import Choice
from fieldmark.workflow.deciding import answered, gathered
from fieldmark.workflow.finishing import Trained
from fieldmark.workflow.fitting import decode
from fieldmark.workflow.interrupt import Interrupt
from fieldmark.workflow.kept_turns import KeptTurns
from fieldmark.workflow.parts import labels_of, positions
from fieldmark.workflow.scratch import from_scratch
from fieldmark.workflow.session import Session
from fieldmark.workflow.transfer import from_backbone
from fieldmark.workflow.turns import Turn, asked_for, check, turns

NAMES = ("repeats.json", "repeats.csv")
AROUND = (1000.0, 100.0, 10.0, 10**0.5, 1.0, 10**-0.5)
"""Times the run's strength: what is compared. The first ones lead to the others, since a search
that begins at a weak strength is slow."""


def repeated(session: Session, trained: Trained, folder: RunFolder) -> Repeats | None:
    """Train again as the settings ask for, after the run; keep ``repeats.json`` and ``.csv``.

    Parameters
    ----------
    session : Session
        Of the run.
    trained : Trained
        What the run ended in.
    folder : RunFolder
        Complete. The files are written after every training, so that nothing done is lost; the
        same command goes on with the next one.

    Returns
    -------
    Repeats or None
        None when nothing was asked for, or Ctrl-C came before the first was done.
    """
    settings, manifest = session.settings, trained.decoded.manifest
    if not asked_for(settings, trained.fitted.stopped):
        return None
    pinned = dataclasses.replace(session, settings=_pinned(settings, trained), folder=folder)
    start = _start(pinned, trained)
    if start is not None:
        start.everything(manifest, _features_said(session))
    done = [] if settings.split.folds else [_of_run(manifest, folder, settings, session.log)]
    again = _Again(pinned, trained.choice, start, session.listen, _seconds(session.log))

    def keep(found: Repeats) -> None:
        folder.write_json(NAMES[0], found.to_dict())
        folder.write(NAMES[1], _csv(found))

    with _kept(session, folder) as kept:
        found = again.run(manifest, done, keep, kept)
    if session.page is not None:
        folder.write("report.html", session.page(found))
    folder.write("log.jsonl", artefacts.log_lines(session.log))
    n_wanted = max(settings.split.folds, 1) * settings.train.repeats
    if session.held is not None and found is not None and len(found.trials) == n_wanted:
        session.held.finished()
    return found


def _kept(session: Session, folder: RunFolder) -> KeptTurns:
    """Open what a process before this one has done; a folder that is not held keeps nothing."""
    if session.held is None:
        return KeptTurns()
    return KeptTurns(folder.bundle, session.held.record)


def afresh(session: Session, manifest: Manifest, choice: Choice) -> Repeats | None:
    """Train on all folds without a run before: every choice is made anew in every training.

    Parameters
    ----------
    session : Session
        With folds in its settings, and a folder, which stays empty.
    manifest : Manifest
        With parts.
    choice : Choice
    """
    start = None
    if choice.plan.backbone is None:
        manifest = decode(session, manifest, choice).manifest
    else:
        start = Kept(session.settings, choice, session.threads)
        manifest = start.everything(manifest, _features_said(session))
    check(manifest, session.settings)
    again = _Again(session, choice, start, session.listen, None)
    return again.run(manifest, [], _nothing, KeptTurns())


def _nothing(found: Repeats) -> None:
    """Keep nothing on disk."""


@dataclass(frozen=True)
class _Again:
    """Trains again and again, and puts together what comes out."""

    session: Session
    choice: Choice
    start: Kept | None
    listen: Listener
    seconds: float | None
    """Of one training, as far as it is known."""

    def run(
        self,
        manifest: Manifest,
        done: Sequence[Outcome],
        keep: Callable[[Repeats], None],
        kept: KeptTurns,
    ) -> Repeats | None:
        settings = self.session.settings
        n_folds, n_repeats = settings.split.folds, settings.train.repeats
        n_turns = max(n_folds, 1) * n_repeats - len(done)
        whole = None if self.seconds is None else self.seconds * n_turns
        self.listen(
            events.RepeatsPlanned(
                n_folds=n_folds, n_repeats=n_repeats, n_trainings=n_turns, seconds=whole
            )
        )
        if len(kept):
            text = f"{len(kept):,} of {n_turns:,} further trainings were done before: gone on."
            self.listen(events.Noted(code="continued", text=text))
        groups = unit_numbers(manifest.examples)
        outcomes, found, stopped = list(done), None, False
        with Interrupt(lambda: self.listen(events.StopRequested())) as stop:
            for at, turn in enumerate(turns(manifest, settings)):
                self.listen(events.Progress(stage="repeats", done=at, total=n_turns))
                outcome = kept.get(turn) or self._new(turn, manifest, kept)
                stopped = outcome is None or (stop.requested and at + 1 < n_turns)
                if outcome is not None:
                    outcomes.append(outcome)
                    found = repeats.summarize(
                        outcomes,
                        groups,
                        n_folds=n_folds,
                        n_repeats=n_repeats,
                        seed=settings.train.seed,
                    )
                    keep(found)
                    self.listen(_said(found.trials[-1]))
                if stopped:
                    break
        if found is not None:
            self.listen(events.RepeatsDone(repeats=found.to_dict(), interrupted=stopped))
        return found

    def _new(self, turn: Turn, manifest: Manifest, kept: KeptTurns) -> Outcome | None:
        outcome = self._outcome(turn, manifest)
        if outcome is not None:
            kept.put(turn, outcome)
        return outcome

    def _outcome(self, turn: Turn, manifest: Manifest) -> Outcome | None:
        """Train once and test; None: Ctrl-C ended that training early."""
        started = time.monotonic()
        settings = self.session.settings.changed("train", {"seed": turn.seed})
        own = Session(
            settings,
            self.session.name,
            self.session.threads,
            _only_stops(self.listen),
            folder=self.session.folder,
        )
        if self.choice.plan.backbone is None:
            trained = from_scratch(own, turn.manifest, self.choice)
        else:
            trained = from_backbone(own, turn.manifest, self.choice, self.start)
        if trained.fitted.stopped.reason == "interrupted":
            return None
        scores, at = tested(own, trained, self.start)
        place = {each.path: number for number, each in enumerate(manifest.examples)}
        labels = labels_of(trained.decoded.manifest)[at]
        paths = [trained.decoded.manifest.examples[i].path for i in at]
        return Outcome(
            repeat=turn.repeat,
            fold=turn.fold,
            seed=turn.seed,
            at=np.array([place[path] for path in paths], np.int64),
            right=scores.argmax(axis=1) == labels,
            losses=metrics.losses(scores, labels),
            seconds=time.monotonic() - started,
        )


def tested(
    session: Session, trained: Trained, start: backbone.Start | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Let what would ship answer the test part: calibrated scores, and the positions of the rows.

    A solved head answers from the features that are kept, to which the graph is equal; any other
    network is exported, proven equal and run.
    """
    decoded, fitted, evidence = trained.decoded, trained.fitted, trained.evidence
    at = positions(decoded.manifest, "test")
    if start is not None and evidence is not None and fitted.head is not None:
        features = start.extracted(decoded.manifest, parts=SPLITS)
        places = [features.row_of[decoded.manifest.examples[i].sha256] for i in at]
        logits = fitted.head.logits(features.rows[places])
    else:
        plan, weights = trained.choice.plan, fitted.weights
        made = export(plan, weights, pixels=fitted.proof_pixels, logits=fitted.proof_logits)
        runtime = open_runtime(made.onnx, threads=session.threads, bulk=True)
        evidence = evidence or gathered(runtime, decoded, untouched=False)
        logits, _ = answered(runtime, decoded, at)
    temperature = fit_temperature(evidence.logits, evidence.labels, evidence.units).value
    return np.asarray(softmax(logits, temperature), np.float64), at


def _pinned(settings: Settings, trained: Trained) -> Settings:
    """Leave nothing open that decides between ways of training."""
    tuned = trained.fitted.head is not None and not isinstance(trained.fitted.recipe, HeadRecipe)
    asked = settings.head.fine_tune
    way = asked if asked != "auto" else "blocks" if tuned else "none"
    return settings.changed("head", {"fine_tune": way})


def _start(session: Session, trained: Trained) -> Kept | None:
    """Return the backbone with what the run has settled; None: it trained from scratch."""
    head, choice = trained.fitted.head, trained.choice
    if head is None:
        return None
    said = [each.recipe for each in session.log if isinstance(each, Planned)]
    copies: dict[str, int] = next((each["copies"] for each in said if "copies" in each), {})
    strengths = tuple(head.strength * times for times in AROUND)
    settled = Settled(strengths=strengths, n_columns=head.n_columns, copies=copies)
    return Kept(session.settings, choice, session.threads, settled)


def _of_run(
    manifest: Manifest, folder: RunFolder, settings: Settings, log: Sequence[Event]
) -> Outcome:
    """Read what the run itself answered to its test part."""
    listed = rows(folder.path / "predictions.csv")
    return Outcome(
        repeat=1,
        fold=None,
        seed=settings.train.seed,
        at=positions(manifest, "test"),
        right=np.array([row["predicted"] == row["label"] for row in listed], np.bool_),
        losses=np.array([float(row["loss"]) for row in listed], np.float64),
        seconds=_seconds(log) or 0.0,
    )


def _seconds(log: Sequence[Event]) -> float | None:
    """Return how long the run trained, without looking at pictures for the first time."""
    heads = [each.seconds for each in log if isinstance(each, HeadSolved)]
    epochs = [each.seconds for each in log if isinstance(each, EpochDone)]
    return sum(heads[-1:]) + sum(epochs) if heads or epochs else None


def _features_said(session: Session) -> Progress:
    def said(done: int, total: int) -> None:
        session.progress("features", done, total)

    return said


def _only_stops(listen: Listener) -> Listener:
    """Pass on that Ctrl-C was pressed; the rest is of a training among many."""

    def heard(event: Event) -> None:
        if isinstance(event, events.StopRequested):
            listen(event)

    return heard


def _said(trial: repeats.Trial) -> events.Repeated:
    return events.Repeated(
        repeat=trial.repeat,
        fold=trial.fold,
        seed=trial.seed,
        n=trial.accuracy.n,
        accuracy=trial.accuracy.value,
        low=trial.accuracy.low,
        high=trial.accuracy.high,
        log_loss=trial.log_loss.value,
        seconds=trial.seconds,
    )


def _csv(found: Repeats) -> str:
    header = ["repeat", "fold", "seed", "n", "accuracy", "low", "high", "log_loss", "seconds"]
    lines = [
        [
            each.repeat,
            each.fold,
            each.seed,
            each.accuracy.n,
            f"{each.accuracy.value:.6f}",
            f"{each.accuracy.low:.6f}",
            f"{each.accuracy.high:.6f}",
            f"{each.log_loss.value:.6f}",
            f"{each.seconds:.2f}",
        ]
        for each in found.trials
    ]
    return written(header, lines)
