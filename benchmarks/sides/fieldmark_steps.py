"""Subject: fieldmark's own loop on un-augmented batches; what it started from is saved."""

import argparse
import json
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import fieldmark as fm
from fieldmark.config import Settings
from fieldmark.data import cache
from fieldmark.data.batches import Batches, ids_of
from fieldmark.modalities import MODALITIES
from fieldmark.networks import weights
from fieldmark.training import backend
from fieldmark.training.recipe import Facts, resolve
from fieldmark.workflow.choosing import choose
from fieldmark.workflow.machine import cores

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path)
parser.add_argument("start", type=Path)
parser.add_argument("--steps", type=int, required=True)
given = parser.parse_args()

settings = (
    Settings()
    .changed("net", {"name": "tutorial"})
    .changed("train", {"recipe": "article", "augment": "none", "epochs": 1})
    .changed("train", {"steps_per_epoch": given.steps})
)
backend.prepare(cores())
from fieldmark.training import loop  # noqa: E402  (imports Keras)

manifest = fm.load(given.data).split(seed=0).manifest
choice = choose(settings, n_classes=2, n_train=len(manifest.part("train")))
decoded = cache.decode(
    manifest, MODALITIES["image"], choice.spec, settings=cache.CacheSettings(enabled=False)
)


def batches(part: str) -> Batches:
    examples = decoded.manifest.examples
    at = [i for i, example in enumerate(examples) if example.split == part]
    return Batches(
        pixels=decoded.pixels,
        rows=decoded.rows[at],
        labels=np.array([manifest.index(examples[i].label) for i in at]),
        ids=ids_of([examples[i].sha256 for i in at]),
        batch_size=32,
        seed=0,
        shuffle=part == "train",
    )


losses: list[float] = []


def listen(event) -> None:
    if event.name == "progress" and event.stage == "epoch":
        losses.append(event.loss)


train, valid = batches("train"), batches("valid")
recipe = resolve(settings, Facts(class_counts=(1, 1), cores=cores()))
passes = chain.from_iterable(train.epoch(epoch) for epoch in range(given.steps))
shown = list(islice(passes, given.steps))
arrays = weights.initial(choice.plan, seed=recipe.seed)
np.savez(
    given.start,
    **arrays,
    **{f"pixels_{i}": pixels for i, (pixels, _) in enumerate(shown)},
    **{f"labels_{i}": labels for i, (_, labels) in enumerate(shown)},
)
loop.fit(
    choice.plan,
    train,
    valid,
    recipe,
    listen=listen,
    stop=SimpleNamespace(requested=False, terminated=False),
)
print(json.dumps({"losses": losses}))
