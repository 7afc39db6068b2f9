"""What every training by gradients shares: decoded pictures, their batches, and the loop."""

from __future__ import annotations

import dataclasses
import gc
from typing import Final

import numpy as np

from fieldmark.data import cache
from fieldmark.data.batches import Batches, ids_of
from fieldmark.data.cache import CacheSettings, Decoded
from fieldmark.data.manifest import Manifest, Split
from fieldmark.data.reading import FilePixels
from fieldmark.errors import OutOfMemory
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.augment import AUGMENTATIONS
from fieldmark.training import backend, events
from fieldmark.training.fitted import Fitted, Pace, Start
from fieldmark.training.recipe import Recipe
from fieldmark.workflow import promising
from fieldmark.workflow.batching import Batching, Given
from fieldmark.workflow.choosing import Choice
from fieldmark.workflow.interrupt import Interrupt
from fieldmark.workflow.parts import labels_of, positions
from fieldmark.workflow.session import FEATURE_SHARE, Session

VALID_BATCH: Final = 256


def decode(session: Session, manifest: Manifest, choice: Choice) -> Decoded:
    """Decode every picture into the cache."""
    settings = session.settings.run
    given = CacheSettings(
        enabled=settings.cache,
        limit_bytes=int(settings.cache_gb * 1e9 * (1 - FEATURE_SHARE)),
        threads=session.threads,
    )

    def said(done: int, total: int) -> None:
        session.progress("decode", done, total)

    return cache.decode(manifest, MODALITIES["image"], choice.spec, settings=given, progress=said)


def fit_loop(
    session: Session, start: Start, given: tuple[Batches, Batches], recipe: Recipe, what: str
) -> Fitted:
    """Load the training framework and run the loop within what is left of the time.

    Parameters
    ----------
    session : Session
    start : Start
    given : tuple of Batches
        Of the training and of the validation part.
    recipe : Recipe
    what : str
        Lower-case letters that name this training among those of the run, for its checkpoints.
    """
    # Not in a thread beside the decoding: both want the interpreter, and 3.4 s of loading with
    # 2.0 s of reading and decoding then took 6.5 s instead of 5.4 (TensorFlow, 2 cores).
    session.progress("load", 0, 1)
    backend.prepare(session.threads)
    from fieldmark.training import loop

    pictures = cache_bytes(given[0])

    def paced(pace: Pace) -> None:
        promising.of_steps(session, start.plan, len(given[1].rows), pictures, pace)

    batching = Batching(session, start.plan, what)
    taken = batching.fitting(Given(*given, recipe))
    begin = dataclasses.replace(start, checkpoints=session.checkpoints(what), paced=paced)
    with Interrupt(lambda: session.listen(events.StopRequested()), keeps=True) as stop:
        while True:
            recipe = _within(session, taken.recipe)
            try:
                return loop.fit(
                    begin, taken.train, taken.valid, recipe, listen=session.listen, stop=stop
                )
            except OutOfMemory as error:
                taken = batching.after(error, taken, begin.checkpoints)
            # Out of the error's reach, whose traceback holds the network that was too large.
            gc.collect()


def _within(session: Session, recipe: Recipe) -> Recipe:
    """Take off what is spent already: the budget counts from the command."""
    if recipe.time_s is None:
        return recipe
    return dataclasses.replace(recipe, time_s=max(recipe.time_s - session.spent_s(), 1.0))


def cache_bytes(given: Batches) -> int:
    """Return how much of the decoded pictures may be resident: all, where they are mapped."""
    pixels = given.pixels
    return int(pixels.nbytes) if isinstance(pixels, np.memmap) else 0


def batches(decoded: Decoded, part: Split, batch: int, recipe: Recipe) -> Batches:
    """Give one part its order and augmentation."""
    manifest = decoded.manifest
    if isinstance(decoded.pixels, FilePixels):
        raise TypeError("epochs need pictures that were decoded once")
    at = positions(manifest, part)
    training = part == "train"
    return Batches(
        pixels=decoded.pixels,
        rows=decoded.rows[at],
        labels=labels_of(manifest)[at],
        ids=ids_of([manifest.examples[i].sha256 for i in at]),
        batch_size=batch,
        seed=recipe.seed,
        augmentation=AUGMENTATIONS[recipe.augment] if training else None,
        shuffle=training,
        threads=recipe.threads,
    )
