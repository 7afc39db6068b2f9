"""Train on from a solved head: the last blocks on kept activations, then every layer if asked.

What is kept lies on the line between the weights before and after: the share of the way with the
lowest validation log-loss. Never worse on validation than the start: where no share lowers the
log-loss without costing accuracy, the start is kept and that is said.

References
----------
Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, arXiv:2109.01903: weights
between a start and its fine-tuned end.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.batches import Batches, ids_of
from fieldmark.data.cache import Decoded
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.reading import FilePixels
from fieldmark.errors import TrainingDiverged
from fieldmark.evaluation import metrics
from fieldmark.inference.runtime import Runtime, open_runtime
from fieldmark.modalities.augment import AUGMENTATIONS
from fieldmark.networks import cutting
from fieldmark.networks.layers import BatchNorm
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.volumes import Plan
from fieldmark.networks.weights import Weights
from fieldmark.training import backend
from fieldmark.training.activations import Copies, activations
from fieldmark.training.events import EpochDone, FineTuned, Stopped
from fieldmark.training.fitted import Fitted, Start
from fieldmark.training.recipe import Facts, HeadRecipe, Recipe, resolve_fine_tuning
from fieldmark.workflow.choosing import Choice
from fieldmark.workflow.fitting import VALID_BATCH, batches, decode, fit_loop
from fieldmark.workflow.parts import labels_of, positions
from fieldmark.workflow.session import Session

CUT_BEHIND: Final = 5
"""The stage behind which a network is cut: two stages and the head, a third of the work, learn."""

COPIES: Final = 8
MAX_KEPT_BYTES: Final = 2 * 10**9
"""On disk, while the last blocks learn; with more pictures there are fewer copies of each."""

SHARES: Final = (0.25, 0.5, 0.75, 1.0)

What = Literal["blocks", "all"]


@dataclass(frozen=True, slots=True)
class Score:
    """How weights do on the validation part."""

    accuracy: float
    log_loss: float

    def beats(self, other: Score) -> bool:
        """Whether it is surer without being wrong more often."""
        return self.log_loss < other.log_loss and self.accuracy >= other.accuracy


def fine_tuned(
    session: Session, choice: Choice, decoded: Decoded, fitted: Fitted, *, everything: bool
) -> Fitted:
    """Train on from a solved head, and keep what is better on validation.

    Parameters
    ----------
    session : Session
    choice : Choice
    decoded : Decoded
        Its pixels are decoded when looked at.
    fitted : Fitted
        The solved head on its backbone.
    everything : bool
        Train all layers after the last blocks.

    Raises
    ------
    MissingExtra
        Code ``extra-missing``: no training backend is installed.
    StorageError
        Code ``disk-full``: what the frozen layers make of the pictures has no room.
    """
    backend.chosen()
    best = validated(session, choice.plan, fitted.weights, decoded)
    steps: tuple[What, ...] = ("blocks", "all") if everything else ("blocks",)
    said: list[FineTuned] = []
    valid = decoded.manifest.part("valid")
    for what in steps:
        try:
            trained = _trained(session, choice, decoded, fitted, what)
        except TrainingDiverged as error:  # a solved head is not lost for it
            text = f"{error.what} What fine-tuning started from is kept."
            session.listen(Stopped(reason="diverged", text=text, best_epoch=0))
            break
        share, score, weights = _best_share(session, choice.plan, decoded, (fitted, trained), best)
        kept = score.beats(best)
        said.append(
            FineTuned(
                what=what,
                kept=kept,
                share=share,
                accuracy_before=best.accuracy,
                accuracy=score.accuracy,
                log_loss_before=best.log_loss,
                log_loss=score.log_loss,
                n=len(valid),
                n_units=len(set(unit_numbers(valid).tolist())),
                recipe=trained.recipe.to_dict(),
            )
        )
        session.listen(said[-1])
        if kept:
            best, fitted = score, dataclasses.replace(trained, weights=weights)
        if trained.stopped.reason in ("interrupted", "time", "diverged"):
            break
    return dataclasses.replace(_proven(choice.plan, fitted), tuning=tuple(said))


def _best_share(
    session: Session, made: Plan, decoded: Decoded, ends: tuple[Fitted, Fitted], best: Score
) -> tuple[float, Score, dict[str, NDArray[np.float32]]]:
    """Return the share of the way that validation likes best, of those that beat the start."""
    tried = []
    for share in SHARES:
        weights = between(ends[0].weights, ends[1].weights, share)
        tried.append((share, validated(session, made, weights, decoded), weights))
    return min(tried, key=lambda each: (not each[1].beats(best), each[1].log_loss))


def between(start: Weights, end: Weights, share: float) -> dict[str, NDArray[np.float32]]:
    """Return weights on the line from ``start`` (share 0) to ``end`` (share 1).

    Examples
    --------
    >>> zero, one = {"w": np.zeros(1, np.float32)}, {"w": np.ones(1, np.float32)}
    >>> float(between(zero, one, 0.25)["w"][0])
    0.25
    """
    way = np.float32(share)
    return {name: array + way * (end[name] - array) for name, array in start.items()}


def _proven(made: Plan, fitted: Fitted) -> Fitted:
    """Let the framework answer the pictures that the exported graph is held against."""
    if isinstance(fitted.recipe, HeadRecipe):
        return fitted
    from fieldmark.training import judging

    answers = judging.answers(made, fitted.weights, fitted.proof_pixels)
    return dataclasses.replace(fitted, proof_logits=answers)


def validated(session: Session, made: Plan, weights: Weights, decoded: Decoded) -> Score:
    """Measure weights on the validation part, by the engine that answers."""
    manifest = decoded.manifest
    at = positions(manifest, "valid")
    runtime = _opened(session, made, weights)
    chunks = (decoded.pixels[at[i : i + VALID_BATCH]] for i in range(0, len(at), VALID_BATCH))
    found = [given.scores for given in runtime.stream(chunks, ("scores",))]
    scores = np.concatenate([part for part in found if part is not None])
    labels = labels_of(manifest)[at]
    return Score(metrics.accuracy(scores, labels), metrics.log_loss(scores, labels))


def _opened(session: Session, made: Plan, weights: Weights) -> Runtime:
    engine = session.settings.head.engine
    graph = onnx_graph(made, weights)
    return open_runtime(graph, threads=session.threads, engine=engine, bulk=True)


def _trained(
    session: Session, choice: Choice, decoded: Decoded, fitted: Fitted, what: What
) -> Fitted:
    recipe = _recipe(session, decoded, what)
    if what == "blocks":
        done = _blocks(session, choice.plan, decoded, fitted, recipe)
    else:
        pictures = decode(session, decoded.manifest, choice)
        start = Start(choice.plan, fitted.weights, _norms(choice.plan))
        done = fit_loop(session, start, _pairs(pictures, recipe), recipe, what)
    before = len(fitted.history)
    return dataclasses.replace(
        fitted,
        weights={**fitted.weights, **done.weights},
        history=(*fitted.history, *(_later(each, before) for each in done.history)),
        stopped=dataclasses.replace(done.stopped, best_epoch=done.stopped.best_epoch + before),
        recipe=done.recipe,
        range_test=done.range_test,
    )


def _later(epoch: EpochDone, n_before: int) -> EpochDone:
    """Give an epoch its number behind those of the step before."""
    return dataclasses.replace(epoch, epoch=epoch.epoch + n_before, epochs=epoch.epochs + n_before)


def _recipe(session: Session, decoded: Decoded, what: What) -> Recipe:
    counts = tuple(decoded.manifest.counts("train").values())
    facts = Facts(class_counts=counts, cores=session.threads)
    return resolve_fine_tuning(session.settings, facts, what)


def _pairs(pictures: Decoded, recipe: Recipe) -> tuple[Batches, Batches]:
    return (
        batches(pictures, "train", recipe.batch, recipe),
        batches(pictures, "valid", VALID_BATCH, recipe),
    )


def _norms(made: Plan) -> frozenset[str]:
    """Name the BN layers: their averages come from a million pictures and stay."""
    return frozenset(step.name for step in made.steps if isinstance(step.layer, BatchNorm))


def _blocks(
    session: Session, made: Plan, decoded: Decoded, fitted: Fitted, recipe: Recipe
) -> Fitted:
    """Train what lies behind the cut, on the front's output for pictures and warped copies."""
    at = cut_position(made)
    before, behind = cutting.front(made, at), cutting.back(made, at)
    start = {name: fitted.weights[name] for name in behind.weight_shapes}
    kept = {
        name: fitted.weights[name] if name in fitted.weights else np.zeros(shape, np.float32)
        for name, shape in before.weight_shapes.items()
    }
    runtime = _opened(session, before, kept)
    pixels = decoded.pixels
    if not isinstance(pixels, FilePixels):
        raise TypeError("the pictures of a solved head are decoded when looked at")
    train, valid = (positions(decoded.manifest, part) for part in ("train", "valid"))
    size = 2 * len(train) * math.prod(behind.input)
    augmentation = AUGMENTATIONS[recipe.augment]
    most = COPIES if augmentation else 0
    copies = Copies(
        n=max(min(most, MAX_KEPT_BYTES // size - 1), 0),
        augmentation=augmentation,
        seed=recipe.seed,
    )

    def said(done: int, total: int) -> None:
        session.progress("activations", done, total)

    kept_train = activations(pixels, train, runtime, behind.input, copies=copies, progress=said)
    kept_valid = activations(pixels, valid, runtime, behind.input, progress=said)
    # An epoch takes as many rows as there are pictures, from all copies of them.
    steps = recipe.steps_per_epoch or -(-len(train) // recipe.batch)
    recipe = dataclasses.replace(recipe, steps_per_epoch=steps)
    given = (
        _kept_batches(decoded, train, kept_train, recipe, training=True),
        _kept_batches(decoded, valid, kept_valid, recipe, training=False),
    )
    return fit_loop(session, Start(behind, start, _norms(behind)), given, recipe, "blocks")


def cut_position(made: Plan) -> int:
    """Return the step to cut behind: the last stage end that no later average reads across.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> from fieldmark.networks.volumes import plan
    >>> lite = plan(parse("INPUT 224x224x3 -> BACKBONE efficientnet-lite0 -> FC"), 2)
    >>> lite.steps[cut_position(lite)].output
    (14, 14, 112)
    """
    if made.backbone is None:
        raise ValueError("only a plan with a backbone is cut")
    ends = made.backbone.ends
    for at in reversed(ends[: CUT_BEHIND + 1]):
        behind = made.steps[at + 1 :]
        if all(source >= at for step in behind for source in step.sources):
            return at
    return ends[0]


def _kept_batches(
    decoded: Decoded,
    places: NDArray[np.int64],
    maps: NDArray[np.float16],
    recipe: Recipe,
    *,
    training: bool,
) -> Batches:
    """Give kept activations an order; each picture stands in them plain and in its copies."""
    labels = labels_of(decoded.manifest)[places]
    ids = ids_of([decoded.manifest.examples[at].sha256 for at in places])
    turns = len(maps) // len(places)
    return Batches(
        pixels=maps,
        rows=np.arange(len(maps), dtype=np.int64),
        labels=np.tile(labels, turns),
        ids=np.tile(ids, turns),
        batch_size=recipe.batch if training else VALID_BATCH,
        seed=recipe.seed,
        shuffle=training,
        threads=recipe.threads,
    )
