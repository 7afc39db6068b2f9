"""Start from a pretrained backbone: features once, the head solved, then fine-tuned if asked."""

from __future__ import annotations

import dataclasses
import time
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.config import seconds
from fieldmark.data.cache import Decoded
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Manifest
from fieldmark.data.reading import FilePixels
from fieldmark.errors import UsageError
from fieldmark.evaluation.unknown import MAX_PICTURES
from fieldmark.modalities import MODALITIES
from fieldmark.networks import CATALOGUE
from fieldmark.networks.layer_table import multiply_adds
from fieldmark.networks.layers import Backbone, Dropout, Network
from fieldmark.networks.volumes import Plan, plan
from fieldmark.networks.weights import Weights
from fieldmark.training import backend
from fieldmark.training.events import HeadSolved, Noted, Stopped
from fieldmark.training.features import Features
from fieldmark.training.fitted import N_PROOF, N_SHOWN, Fitted
from fieldmark.training.head import Head, HeadSettings, Rows, solve
from fieldmark.training.recipe import COPIES, HeadRecipe, resolve_head
from fieldmark.workflow import backbone, more_data, promising
from fieldmark.workflow.choosing import Choice, Known, choose, decide, scratch_name
from fieldmark.workflow.deciding import Evidence
from fieldmark.workflow.fine_tuning import fine_tuned
from fieldmark.workflow.finishing import Trained
from fieldmark.workflow.parts import labels_of, positions, spread
from fieldmark.workflow.scratch import from_scratch
from fieldmark.workflow.session import Session

COPIES_S: Final = 120
"""Seconds of a time budget that must be left before copies are tried."""
GOOD: Final = 0.9
"""Cross-validated accuracy above which warped copies are not tried by themselves."""
WARM_UP: Final = 16
"""Pictures before the backbone's time counts: the engine gets going."""
TIMED_S: Final = 1.5
"""Seconds of it that say how long the rest takes."""
MAX_COPIED: Final = 8_000
"""Training pictures up to which they are: five times as many rows take minutes beyond."""


def from_backbone(
    session: Session,
    manifest: Manifest,
    choice: Choice,
    start: backbone.Start | None = None,
) -> Trained:
    """Solve the head of the chosen network, and fine-tune if the settings say so.

    ``start`` is given where many trainings share one; default: a new one.

    Raises
    ------
    UsageError
        Code ``head-not-linear``: more than DROPOUT stands between BACKBONE and FC.
    MissingExtra
        Code ``extra-missing``: the package with the backbone's weights is not installed.
    """
    check_linear(choice.plan)
    alone, start = start is None, start or backbone.Start(session.settings, choice, session.threads)
    settled = start.settled
    recipe = resolve_head(
        session.settings,
        manifest.counts("train"),
        engine=start.runtime.name,
        cores=session.threads,
    )
    if settled is not None:
        recipe = dataclasses.replace(recipe, copies=settled.copies)
    features = _extracted(session, start, manifest, recipe)
    folder = session.begin(features.manifest)
    widths = (settled.n_columns,) if settled else _widths(choice)
    strengths = settled.strengths if settled else ()
    head = _solved(session, features, recipe, widths, strengths)
    more = dataclasses.replace(recipe, copies=dict.fromkeys(manifest.classes, COPIES))
    if settled is None and more != recipe and _copies_may_help(session, features, head):
        again = _extracted(session, start, manifest, more)
        better = _solved(session, again, more, (head.n_columns,))
        if better.cv_log_loss < head.cv_log_loss:
            features, head, recipe = again, better, more
    way, why = _way(session, choice, features, head)
    if way == "scratch":
        return from_scratch(
            session, features.manifest, _from_scratch_choice(session, features, why)
        )
    chosen = dataclasses.replace(_with_stages(choice, head), why=why)
    session.planned(chosen, recipe)
    decoded = _decoded(features, chosen, session)
    fitted = _fitted(session, chosen, decoded, features, head, recipe, start.weights)
    if way != "head":
        fitted = fine_tuned(session, chosen, decoded, fitted, everything=way == "all")
    evidence = _evidence(features, head, untouched=way == "head") if not fitted.history else None
    seed = session.settings.train.seed
    curve = more_data.measured(features, head.n_columns, seed=seed) if alone else None
    return Trained(folder, chosen, decoded, fitted, evidence, features, curve)


def _evidence(features: Features, head: Head, *, untouched: bool) -> Evidence:
    """Line up what the head says of the validation part; nothing has to be looked at again."""
    manifest, labels = features.manifest, labels_of(features.manifest)
    valid = positions(manifest, "valid")
    train = spread(positions(manifest, "train"), MAX_PICTURES)

    def rows(at: NDArray[np.int64]) -> NDArray[np.float32]:
        places = [features.row_of[manifest.examples[i].sha256] for i in at]
        return np.asarray(features.rows[places])

    seen = rows(valid)
    return Evidence(
        known=rows(train)[:, : head.n_columns],
        known_labels=labels[train],
        features=seen[:, : head.n_columns],
        logits=head.logits(seen),
        labels=labels[valid],
        units=unit_numbers([manifest.examples[at] for at in valid]),
        untouched=untouched,
    )


def _copies_may_help(session: Session, features: Features, head: Head) -> bool:
    """Whether nothing was asked, many errors are left, and there is time for a few minutes."""
    left = _left_s(session)
    return (
        session.settings.head.copies == "auto"
        and len(head.scored) > 0
        and head.cv_accuracy < GOOD
        and len(features.manifest.part("train")) <= MAX_COPIED
        and (left is None or left > COPIES_S)
    )


def _left_s(session: Session) -> float | None:
    """Return the seconds of the time budget that are left; None: there is none."""
    budget = session.settings.train.time
    return seconds(budget) - session.spent_s() if budget else None


def _way(
    session: Session, choice: Choice, features: Features, head: Head
) -> tuple[Literal["head", "blocks", "all", "scratch"], str]:
    """Decide how to go on: as asked, or by what is known now."""
    asked, manifest = session.settings.head.fine_tune, features.manifest
    if asked != "auto":
        return ("head" if asked == "none" else asked), choice.why
    left, named = _left_s(session), session.settings.net.name != "auto"
    if named and left is None:
        return "head", choice.why
    if not len(head.scored):
        return "head", "solved head: too few pictures to cross-validate anything"
    counts = manifest.counts("train")
    n_train = sum(counts.values())
    balanced = session.settings.train.balance == "weights"
    way, why = decide(
        Known(
            cv_accuracy=head.cv_accuracy,
            majority=1 / len(counts) if balanced else max(counts.values()) / n_train,
            n_train=n_train,
            smallest=min(counts.values()),
            has_backend=backend.available(),
            left_s=left,
            multiply_adds=sum(multiply_adds(step) for step in choice.plan.steps),
        )
    )
    return ("head", choice.why) if named and way == "scratch" else (way, why)


def _from_scratch_choice(session: Session, features: Features, why: str) -> Choice:
    manifest = features.manifest
    n_train = len(manifest.part("train"))
    settings = session.settings.changed("net", {"name": scratch_name(n_train)})
    chosen = choose(settings, n_classes=len(manifest.classes), n_train=n_train)
    return dataclasses.replace(chosen, why=why)


def check_linear(made: Plan) -> None:
    """Refuse a head that is more than one FC: such a one cannot be solved."""
    span = made.backbone
    behind = made.steps[span.stop :] if span else ()
    extra = [step for step in behind[:-1] if not isinstance(step.layer, Dropout)]
    if extra:
        raise UsageError(
            f"{extra[0].name} stands between BACKBONE and the last FC.",
            code="head-not-linear",
            where=str(made.network),
            why="The head is solved, and only a single FC on the features can be.",
            hint="write: INPUT 224x224x3 -> BACKBONE efficientnet-lite0 -> FC",
        )


def _extracted(
    session: Session, start: backbone.Start, manifest: Manifest, recipe: HeadRecipe
) -> Features:
    copies = {
        each.sha256: recipe.copies[each.label]
        for each in manifest.part("train")
        if each.label in recipe.copies
    }

    timed = _Timed(session, start, manifest, recipe)

    def said(done: int, total: int) -> None:
        session.progress("features", done, total)
        timed(done, total)

    found = start.extracted(manifest, copies=copies, seed=recipe.seed, progress=said)
    timed.settle()
    if found.problem:
        session.listen(Noted(code="cache-not-kept", text=found.problem))
    return found


class _Timed:
    """Promises how long it all takes, once enough pictures have been looked at; final."""

    def __init__(
        self, session: Session, start: backbone.Start, manifest: Manifest, recipe: HeadRecipe
    ) -> None:
        self._given = (session, start, manifest, recipe)
        self._began: tuple[float, int] | None = None
        self._done = False

    def __call__(self, done: int, total: int) -> None:
        if self._done or done <= WARM_UP:
            return
        now = time.monotonic()
        self._began = self._began or (now, done)
        seconds, n = now - self._began[0], done - self._began[1]
        if (n and seconds > TIMED_S) or (done == total and n):
            self._done = True
            self._say(total, done, seconds / n)

    def settle(self) -> None:
        """Promise where too few pictures were left to be looked at to time them."""
        if not self._done:
            self._say(0, 0, 0.0)

    def _say(self, total: int, done: int, picture_s: float) -> None:
        session, start, manifest, recipe = self._given
        train = manifest.part("train")
        n_copies = sum(recipe.copies.get(each.label, 0) for each in train)
        view_s = picture_s / (1 + n_copies / len(train))
        if total <= session.n_test:  # pictures of the test part are only read here
            view_s = picture_s + promising.view_seconds(start.runtime)
        open_still = session.settings.head.copies == "auto" and len(train) <= MAX_COPIED
        promising.of_features(
            session,
            promising.HeadWork(
                plan=start.choice.plan,
                n_left=total - done,
                picture_s=picture_s,
                view_s=view_s,
                n_rows=len(train) + n_copies,
                n_outputs=len(manifest.classes) * recipe.folds,
                n_widths=1 if n_copies or start.settled else max(len(_widths(start.choice)), 1),
                n_copied=COPIES * len(train) if open_still and not n_copies else 0,
            ),
        )


def _solved(
    session: Session,
    features: Features,
    recipe: HeadRecipe,
    widths: tuple[int, ...],
    strengths: tuple[float, ...] = (),
) -> Head:
    """Solve the head on the training part and say how good it is across folds."""
    started = time.monotonic()
    rows = _rows(features)
    head = solve(
        rows,
        n_classes=len(features.manifest.classes),
        settings=HeadSettings(
            method=recipe.method,
            folds=recipe.folds,
            balance=recipe.balance,
            strengths=strengths,
        ),
        seed=recipe.seed,
        candidates=widths,
    )
    n = len(head.scored)
    low, high = head.cv_interval
    session.listen(
        HeadSolved(
            method=head.method,
            strength=head.strength,
            n_features=head.n_columns,
            n_folds=head.n_folds,
            cv_accuracy=head.cv_accuracy if n else None,
            cv_low=low,
            cv_high=high,
            cv_log_loss=head.cv_log_loss if n else None,
            n=n,
            seconds=time.monotonic() - started,
        )
    )
    return head


def _rows(features: Features) -> Rows:
    """Line the training part's rows up: each example, then its copies, in one group."""
    manifest = features.manifest
    index = {name: at for at, name in enumerate(manifest.classes)}
    taken: list[tuple[int, int, int, bool]] = []
    examples = manifest.part("train")
    # Groups, near copies and copies of one content stay on one side of every fold.
    for example, group in zip(examples, unit_numbers(examples).tolist(), strict=True):
        label = index[example.label]
        taken.append((features.row_of[example.sha256], label, group, True))
        copies = features.copies_of.get(example.sha256, ())
        taken += [(row, label, group, False) for row in copies]
    places, labels, group_ids, original = zip(*taken, strict=True)
    return Rows(
        features=features.rows[np.array(places, np.int64)],
        labels=np.array(labels, np.int64),
        groups=np.array(group_ids, np.int64),
        original=np.array(original, np.bool_),
    )


def _widths(choice: Choice) -> tuple[int, ...]:
    """Return the feature counts to compare: without and with the stages the catalogue offers."""
    if choice.name not in CATALOGUE:
        return ()
    joined = choice.plan.steps[choice.plan.features_at]
    first = choice.plan.steps[joined.sources[0]].output[0]
    return (first, joined.output[0])


def _with_stages(choice: Choice, head: Head) -> Choice:
    """Return the choice with only the stages whose averages the head reads."""
    network, span = choice.plan.network, choice.plan.backbone
    if span is None or head.n_columns == choice.plan.steps[-1].input[0]:
        return choice
    bare = Backbone(span.source)
    items = tuple(bare if isinstance(item, Backbone) else item for item in network.items)
    lean = plan(Network(network.input, items), choice.plan.n_classes)
    return dataclasses.replace(choice, plan=lean)


def _decoded(features: Features, choice: Choice, session: Session) -> Decoded:
    manifest = features.manifest
    pixels = FilePixels(manifest, MODALITIES["image"], choice.spec, threads=session.threads)
    return Decoded(
        manifest=manifest, pixels=pixels, rows=np.arange(len(manifest.examples), dtype=np.int64)
    )


def head_weights(made: Plan, head: Head) -> dict[str, NDArray[np.float32]]:
    """Return the last FC's weights: one column per class, or the difference for a single unit."""
    last = made.steps[-1]
    kernel, bias = head.weights, head.bias
    if made.n_outputs == 1:
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    return {f"{last.name}/kernel": kernel, f"{last.name}/bias": bias}


def _fitted(
    session: Session,
    choice: Choice,
    decoded: Decoded,
    features: Features,
    head: Head,
    recipe: HeadRecipe,
    start: Weights,
) -> Fitted:
    manifest = decoded.manifest
    shown = spread(positions(manifest, "train"), N_SHOWN)
    proof = spread(positions(manifest, "valid"), N_PROOF)
    rows = [features.row_of[manifest.examples[at].sha256] for at in proof]
    kept = {name: start[name] for name in choice.plan.weight_shapes if name in start}
    stopped = Stopped(
        reason="solved",
        text=f"The head is solved: {head.method} regression, strength {head.strength:.2g}.",
        best_epoch=0,
    )
    session.listen(stopped)
    return Fitted(
        weights=kept | head_weights(choice.plan, head),
        history=(),
        stopped=stopped,
        recipe=recipe,
        range_test=None,
        first_pixels=decoded.pixels[shown],
        first_labels=labels_of(manifest)[shown],
        proof_pixels=decoded.pixels[proof],
        proof_logits=head.logits(features.rows[rows]),
        head=head,
    )
