"""Train a network from weights that are drawn: decode into the cache, resolve, fit."""

from __future__ import annotations

from fieldmark.data.manifest import Manifest
from fieldmark.training import backend
from fieldmark.training.fitted import Start
from fieldmark.training.recipe import Facts, Recipe, resolve
from fieldmark.workflow.choosing import Choice, trainable_sizes
from fieldmark.workflow.finishing import Trained
from fieldmark.workflow.fitting import VALID_BATCH, batches, decode, fit_loop
from fieldmark.workflow.session import Session


def from_scratch(session: Session, manifest: Manifest, choice: Choice) -> Trained:
    """Train the chosen network on the pictures alone.

    Raises
    ------
    MissingExtra
        Code ``extra-missing``: no training backend is installed; said before any work is done.
    """
    backend.chosen()
    decoded = decode(session, manifest, choice)
    recipe = _recipe(session, decoded.manifest, choice)
    folder = session.begin(decoded.manifest)
    session.planned(choice, recipe)
    given = (
        batches(decoded, "train", recipe.batch, recipe),
        batches(decoded, "valid", VALID_BATCH, recipe),
    )
    fitted = fit_loop(session, Start(choice.plan), given, recipe, "scratch")
    return Trained(folder, choice, decoded, fitted)


def _recipe(session: Session, manifest: Manifest, choice: Choice) -> Recipe:
    facts = Facts(
        class_counts=tuple(manifest.counts("train").values()),
        cores=session.threads,
        sizes=trainable_sizes(choice.plan),
    )
    return resolve(session.settings, facts)
