"""The one way to a manifest's features, for every verb: same backbone, same input, same cache key.

What `check` has looked at, `train` finds again, as long as both choose the same network.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.config import Settings
from fieldmark.data import cache
from fieldmark.data.manifest import SPLITS, Manifest
from fieldmark.inference.runtime import Runtime, open_runtime
from fieldmark.modalities import MODALITIES
from fieldmark.networks import weights
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.pretrained import PRETRAINED
from fieldmark.networks.volumes import Plan
from fieldmark.training.features import Extraction, Features, Progress, extract
from fieldmark.workflow.choosing import Choice, choose, starts_pretrained
from fieldmark.workflow.session import FEATURE_SHARE

LEARNING: Final = ("train", "valid")
"""The parts whose features a training may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What an earlier training of the same kind decided about its head."""

    strengths: tuple[float, ...]
    """Of the penalty, to compare."""
    n_columns: int
    copies: dict[str, int]
    """Class -> warped copies of each of its pictures."""


@dataclass
class Start:
    """A backbone that is ready to look at pictures; opened when it looks at the first."""

    settings: Settings
    choice: Choice
    threads: int
    settled: Settled | None = None
    """None: everything is still to be decided."""

    @cached_property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The backbone's own, from the installed package or the user's file.

        Raises
        ------
        MissingExtra
            Code ``extra-missing``: the package with the weights is not installed.
        """
        return weights.pretrained(self.choice.plan)

    @cached_property
    def runtime(self) -> Runtime:
        """The engine, with a head of zeros: only the features are read."""
        made = self.choice.plan
        blank = {
            name: np.zeros(shape, np.float32)
            for name, shape in made.weight_shapes.items()
            if name not in self.weights
        }
        engine = self.settings.head.engine
        graph = onnx_graph(made, self.weights | blank)
        return open_runtime(graph, threads=self.threads, engine=engine, bulk=True)

    def extracted(
        self,
        manifest: Manifest,
        *,
        parts: tuple[str, ...] = LEARNING,
        copies: dict[str, int] | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Features:
        """Return the features of some parts of a manifest, from the cache where they are in it.

        Parameters
        ----------
        manifest : Manifest
            With hashes and parts.
        parts : tuple of str
        copies : dict of str to int, optional
            Content hash -> how many warped copies of it are wanted as well.
        seed : int, default=0
            Of the warped copies.
        progress : callable, optional
            Called with contents done and contents in all.

        Raises
        ------
        DataError
            Codes ``mostly-unreadable``, ``emptied-class``.
        """
        run = self.settings.run
        given = Extraction(
            runtime=self.runtime,
            backbone=key_of(self.choice.plan),
            width=self.choice.plan.steps[-1].input[0],
            spec=self.choice.spec,
            modality=MODALITIES["image"],
            threads=self.threads,
            directory=cache.default_directory() if run.cache else None,
            limit_bytes=int(run.cache_gb * 1e9 * FEATURE_SHARE),
            seed=seed,
        )
        return extract(manifest, given, parts=parts, copies=copies, progress=progress)


@dataclass
class Kept(Start):
    """A backbone that looks at each picture once, whatever its part in which training."""

    features: Features | None = None
    copies: dict[str, int] = field(default_factory=dict)
    """Content hash -> warped copies there are."""

    def everything(self, manifest: Manifest, progress: Progress | None) -> Manifest:
        """Look at every picture; return the manifest without those that cannot be read."""
        self.features = super().extracted(manifest, parts=SPLITS, progress=progress)
        return self.features.manifest

    def extracted(
        self,
        manifest: Manifest,
        *,
        parts: tuple[str, ...] = LEARNING,
        copies: dict[str, int] | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Features:
        """Return what is kept; copies that are not there yet are made for the whole class.

        Their seed is the run's: other ones would take the backbone's time again in every training.
        """
        asked = copies or {}
        if self.features is None:
            self.everything(manifest, progress)
        if self.features is None or any(n > self.copies.get(sha, 0) for sha, n in asked.items()):
            of_class = {each.label: asked.get(each.sha256, 0) for each in manifest.part("train")}
            self.copies |= {
                each.sha256: max(of_class.get(each.label, 0), self.copies.get(each.sha256, 0))
                for each in manifest.examples
            }
            self.features = super().extracted(
                manifest,
                parts=SPLITS,
                copies=self.copies,
                seed=self.settings.train.seed,
                progress=progress,
            )
        found = self.features
        kept = {sha: found.copies_of[sha][:n] for sha, n in asked.items()}
        return dataclasses.replace(found, manifest=manifest, copies_of=kept)


def features_of_all(
    manifest: Manifest,
    *,
    settings: Settings | None = None,
    threads: int,
    progress: Progress | None = None,
) -> Features | None:
    """Return the features of every example, whatever its part; the manifest may have no parts.

    Parameters
    ----------
    manifest : Manifest
        With hashes, and without what cannot be read.
    settings : Settings, optional
        As a training would get them; default: the defaults.
    threads : int
        For decoding and for the engine.
    progress : callable, optional
        Called with contents done and contents in all.

    Returns
    -------
    Features or None
        None when a training with these settings would not start from a backbone, for instance
        because none is installed. Its manifest gives examples without a part the part ``train``.
    """
    asked = settings or Settings()
    if not starts_pretrained(asked):
        return None
    examples = tuple(
        dataclasses.replace(each, split=each.split or "train") for each in manifest.examples
    )
    parted = dataclasses.replace(manifest, examples=examples)
    n_train = len(parted.part("train"))
    choice = choose(asked, n_classes=len(manifest.classes), n_train=n_train)
    return Start(asked, choice, threads).extracted(parted, parts=SPLITS, progress=progress)


def key_of(made: Plan) -> str:
    """Name the backbone and its weights, for the cache of features."""
    if made.foreign is not None:
        return made.foreign.key
    source = made.backbone.source if made.backbone else ""
    return f"{source} {PRETRAINED[source].sha256}"
