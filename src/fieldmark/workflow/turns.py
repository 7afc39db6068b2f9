"""Which trainings repeats are made of: their parts and their seeds. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from fieldmark.config import Settings
from fieldmark.data.folds import folds
from fieldmark.data.manifest import Manifest
from fieldmark.training.events import Stopped
from fieldmark.workflow.dataset import assigned, split_seed
from fieldmark.workflow.parts import check_parts


@dataclass(frozen=True, slots=True)
class Turn:
    """One training to come."""

    repeat: int
    """From 1."""
    fold: int | None
    seed: int
    manifest: Manifest
    """With its parts."""


def asked_for(settings: Settings, stopped: Stopped) -> bool:
    """Whether further trainings follow one that ended so."""
    wanted = settings.split.folds or settings.train.repeats > 1
    return bool(wanted) and stopped.reason != "interrupted"


def turns(manifest: Manifest, settings: Settings) -> Iterator[Turn]:
    """Yield the trainings that the settings ask for, in their order.

    Without folds the first one is the run itself and is not among them.

    Raises
    ------
    DataError
        ``too-few``, ``empty-part`` or ``emptied-class``: folds that cannot be trained on.
    """
    n_folds = settings.split.folds
    if not n_folds:
        for number in range(1, settings.train.repeats):
            yield Turn(number + 1, None, _seed(settings.train.seed, number), manifest)
        return
    for number in range(settings.train.repeats):
        drawn = settings.changed("split", {"seed": _seed(split_seed(settings), number)})
        dealt = manifest
        if number or any(each.fold is None for each in manifest.examples):
            dealt = folds(manifest, n_folds, seed=split_seed(drawn))
        for fold in range(n_folds):
            parted = _tested_on(dealt, fold, drawn)
            yield Turn(number + 1, fold + 1, _seed(settings.train.seed, number), parted)


def check(manifest: Manifest, settings: Settings) -> None:
    """Refuse folds that cannot be trained on, before anything is trained.

    Raises
    ------
    DataError
        As :func:`turns`.
    """
    for turn in turns(manifest, settings):
        check_parts(turn.manifest)


def _seed(first: int, number: int) -> int:
    return (first + number) % 2**32


def _tested_on(dealt: Manifest, fold: int, settings: Settings) -> Manifest:
    """Make one fold the test part, and draw the validation part out of the rest."""
    examples = tuple(
        dataclasses.replace(each, split="test" if each.fold == fold else "train")
        for each in dealt.examples
    )
    return assigned(dealt.with_examples(examples), settings)
