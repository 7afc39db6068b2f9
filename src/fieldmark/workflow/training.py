"""From a folder to a finished run: scan, split, decode, train, export, measure once, write."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import bundle as bundles
from fieldmark import runs
from fieldmark.config import Auto, Settings
from fieldmark.data import cache
from fieldmark.data.batches import Batches, ids_of
from fieldmark.data.cache import CacheSettings, Decoded
from fieldmark.data.manifest import Manifest, Split
from fieldmark.errors import DataError
from fieldmark.evaluation import report as reports
from fieldmark.export import Exported, export
from fieldmark.inference.predictor import Predictor
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.augment import AUGMENTATIONS
from fieldmark.networks import CATALOGUE
from fieldmark.networks.layer_table import layer_table
from fieldmark.training import backend, events
from fieldmark.training.events import Event, Listener, Progress, silent
from fieldmark.training.fitted import Fitted
from fieldmark.training.recipe import Facts, Recipe, recorded, resolve
from fieldmark.workflow import artefacts, documents
from fieldmark.workflow.choosing import Choice, choose, trainable_sizes
from fieldmark.workflow.dataset import Dataset, assigned, cores, hashed, load, split_seed
from fieldmark.workflow.facts import RunFacts
from fieldmark.workflow.interrupt import Interrupt
from fieldmark.workflow.network import Net
from fieldmark.workflow.run import Run

VALID_BATCH: Final = 256
N_GOLDEN: Final = 4


def train(
    data: Dataset | str | Path,
    net: str | Net = "auto",
    *,
    epochs: int | Auto = "auto",
    settings: Settings | None = None,
    listen: Listener = silent,
    command: str = "",
) -> Run:
    """Train a classifier, then measure it once on pictures it never saw.

    Parameters
    ----------
    data : Dataset, str or Path
        As :func:`fieldmark.load` takes it, or gives it.
    net : str or Net, default="auto"
        A catalogue name, a layer list, a file that holds one, or what :func:`fieldmark.net` gives.
    epochs : int or "auto", default="auto"
        Passes over the training part.
    settings : Settings, optional
        Everything else; ``net`` and ``epochs`` win over it where they are not ``auto``.
    listen : callable, optional
        Gets every :class:`~fieldmark.training.events.Event`.
    command : str, default=""
        Kept in the run: what to type to repeat it.

    Returns
    -------
    Run
        Its folder is complete.

    Raises
    ------
    FieldmarkError
        Any of ``docs/errors.md``; a folder that was already made stays, unfinished.

    Examples
    --------
    ::

        run = fieldmark.train("flowers", epochs=30)
        print(run.report.accuracy)
    """
    asked = settings or Settings()
    if isinstance(net, Net):
        asked = asked.changed("net", {"name": "layers", "layers": str(net)})
    elif net != "auto":
        asked = asked.changed("net", _net_setting(net))
    if epochs != "auto":
        asked = asked.changed("train", {"epochs": epochs})
    dataset = data if isinstance(data, Dataset) else _loaded(data, asked)
    source = dataclasses.asdict(dataset.source) | {"fit": asked.data.fit}
    asked = asked.changed("data", source)
    if dataset.shares is not None:
        asked = asked.changed("split", dataclasses.asdict(dataset.shares))
    return _Training(dataset, asked, listen, command).run()


def _net_setting(net: str) -> dict[str, str]:
    from fieldmark.workflow.choosing import network_named

    name, network = network_named(net)
    return {"name": "layers", "layers": str(network)} if net != name else {"name": name}


def _loaded(folder: str | Path, settings: Settings) -> Dataset:
    return load(folder, labels=settings.data.labels or None, label_from=settings.data.label_from)


@dataclass
class _Training:
    dataset: Dataset
    settings: Settings
    listener: Listener
    command: str
    log: list[Event] = field(default_factory=list)

    def listen(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self.log.append(event)
        self.listener(event)

    def run(self) -> Run:
        started = time.monotonic()
        backend.chosen()  # a missing extra is said before any work is done
        train = self.settings.train
        threads = cores() if train.threads == "auto" else train.threads
        manifest = assigned(
            hashed(self.dataset.manifest, threads=threads, listen=self.listen), self.settings
        )
        choice = self._choose(manifest)
        decoded = self._decode(manifest, choice, threads)
        recipe = self._recipe(decoded.manifest, choice, threads)
        folder = runs.create(Path(self.settings.run.out), self._name())
        self._announce(folder, choice, decoded.manifest, recipe)
        # Not in a thread beside the decoding: both want the interpreter, and 3.4 s of loading with
        # 2.0 s of reading and decoding then took 6.5 s instead of 5.4 (TensorFlow, 2 cores).
        self.listen(Progress(stage="load", done=0, total=1))
        backend.prepare(threads)
        if recipe.time_s is not None:
            # The budget counts from the command, so what is spent already is taken off.
            left = max(recipe.time_s - (time.monotonic() - started), 1.0)
            recipe = dataclasses.replace(recipe, time_s=left)
        fitted = self._fit(choice, decoded, recipe)
        exported = export(
            choice.plan, fitted.weights, pixels=fitted.proof_pixels, logits=fitted.proof_logits
        )
        made = _Made(self.settings, folder, choice, decoded, fitted, exported, self.command)
        self._finish(made, started)
        return Run(folder.path)

    def _finish(self, made: _Made, started: float) -> None:
        """Measure, write everything, and give the model file its name last: it says *finished*."""
        folder, facts = made.folder, made.facts()
        unnamed = folder.path / ".measured.fieldmark"
        _write_bundle(made, {}, "", unnamed)
        report, scores = made.measured(unnamed)
        self.listen(events.Evaluated(report=report.to_dict()))
        model_id = _write_bundle(made, report.to_dict(), documents.card(facts, report), unnamed)
        artefacts.write_all(facts, report, scores, model_id=model_id)
        finished = events.RunFinished(
            folder=str(folder.path),
            bundle=str(folder.bundle),
            report=str(folder.path / "report.html"),
            seconds=time.monotonic() - started,
        )
        folder.write("log.jsonl", artefacts.log_lines([*self.log, finished]))
        unnamed.replace(folder.bundle)
        self.listen(finished)

    def _name(self) -> str:
        root = self.dataset.manifest.root
        return self.settings.run.name or root.resolve().name or "run"

    def _choose(self, manifest: Manifest) -> Choice:
        return choose(
            self.settings,
            n_classes=len(manifest.classes),
            n_train=len(manifest.part("train")),
        )

    def _decode(self, manifest: Manifest, choice: Choice, threads: int) -> Decoded:
        def said(done: int, total: int) -> None:
            self.listen(Progress(stage="decode", done=done, total=total))

        given = CacheSettings(
            enabled=self.settings.run.cache,
            limit_bytes=int(self.settings.run.cache_gb * 1e9),
            threads=threads,
        )
        decoded = cache.decode(
            manifest, MODALITIES["image"], choice.spec, settings=given, progress=said
        )
        for part, words in (("train", "training"), ("valid", "validation"), ("test", "test")):
            if not decoded.manifest.part(part):  # type: ignore[arg-type]
                raise DataError(
                    f"No readable picture is left in the {words} part.",
                    code="empty-part",
                    where=str(manifest.root),
                    why="All three parts are needed: to learn, to choose, to measure.",
                    hint="add pictures, or look at the files that were left out",
                )
        return decoded

    def _recipe(self, manifest: Manifest, choice: Choice, threads: int) -> Recipe:
        counts = tuple(manifest.counts("train").values())
        sizes = trainable_sizes(choice.plan)
        return resolve(self.settings, Facts(class_counts=counts, cores=threads, sizes=sizes))

    def _announce(
        self, folder: runs.RunFolder, choice: Choice, manifest: Manifest, recipe: Recipe
    ) -> None:
        self.listen(events.RunStarted(run=folder.name, folder=str(folder.path)))
        n_used, n_left_out = len(manifest.examples), len(manifest.left_out)
        self.listen(
            events.DataChecked(
                n_found=n_used + n_left_out,
                n_used=n_used,
                n_left_out=n_left_out,
                left_out=dict(Counter(each.code for each in manifest.left_out)),
                train=len(manifest.part("train")),
                valid=len(manifest.part("valid")),
                test=len(manifest.part("test")),
                classes=manifest.classes,
            )
        )
        table = layer_table(choice.plan, name=choice.name)
        self.listen(
            events.Planned(
                network=choice.name,
                layers=str(choice.plan.network),
                why=choice.why,
                weights=table.n_weights,
                multiply_adds=table.multiply_adds,
                recipe=recipe.to_dict(),
            )
        )

    def _fit(self, choice: Choice, decoded: Decoded, recipe: Recipe) -> Fitted:
        from fieldmark.training import loop

        train = _batches(decoded, "train", recipe.batch, recipe)
        valid = _batches(decoded, "valid", VALID_BATCH, recipe)
        with Interrupt(lambda: self.listen(events.StopRequested())) as stop:
            return loop.fit(choice.plan, train, valid, recipe, listen=self.listen, stop=stop)


@dataclass(frozen=True)
class _Made:
    """Everything a run is written from."""

    settings: Settings
    folder: runs.RunFolder
    choice: Choice
    decoded: Decoded
    fitted: Fitted
    exported: Exported
    command: str
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def resolved(self) -> Settings:
        """Return the settings with no ``auto`` left."""
        height = self.choice.spec.height
        return (
            recorded(self.settings, self.fitted.recipe)
            .changed("train", {"time": ""})
            .changed("split", {"seed": split_seed(self.settings)})
            .changed("data", {"fit": self.choice.spec.fit})
            .changed("net", self._net(height))
        )

    def shipped(self) -> Settings:
        """Return the same without the paths of this computer: the file goes to others."""
        name = self.decoded.manifest.name
        return (
            self.resolved()
            .changed("data", {"folder": name, "labels": ""})
            .changed("run", {"out": "runs"})
        )

    def _net(self, size: int) -> dict[str, str | int]:
        if self.settings.net.name == "auto" or self.settings.net.name in CATALOGUE:
            return {"name": self.choice.name, "size": size}
        # A file with a list may be gone or changed by then, so the list itself is kept.
        network = self.choice.plan.network
        square = network.input.height == network.input.width
        return {"name": "layers", "layers": str(network), "size": size if square else "auto"}

    def measured(self, bundle: Path) -> tuple[reports.Report, NDArray[np.float32]]:
        """Read the test part: here, once, by the file that ships."""
        manifest = self.decoded.manifest
        at = _positions(manifest, "test")
        threads = self.fitted.recipe.threads
        predictor = Predictor.open(bundle, threads=threads)
        rows = self.decoded.rows[at]
        chunks = [rows[start : start + VALID_BATCH] for start in range(0, len(rows), VALID_BATCH)]
        # Chunk by chunk: indexing the map with all rows would copy the whole part into memory.
        scores = np.concatenate([predictor.scores(self.decoded.pixels[c]) for c in chunks])
        counts = manifest.counts("train")
        report = reports.measure(
            scores,
            _labels(manifest)[at],
            manifest.classes,
            baseline_class=max(counts, key=counts.__getitem__),
            conditions={
                "part": f"test part of {manifest.name}, read once, after training",
                "engine": predictor.runtime.name,
                "threads": str(threads),
                "seed": str(self.fitted.recipe.seed),
            },
            seed=self.fitted.recipe.seed,
        )
        return report, scores

    def facts(self) -> RunFacts:
        """Return what the run folder's files are made of."""
        return RunFacts(
            folder=self.folder,
            settings=self.resolved(),
            manifest=self.decoded.manifest,
            table=layer_table(self.choice.plan, name=self.choice.name),
            network=str(self.choice.plan.network),
            fitted=self.fitted,
            exported=self.exported,
            pixels=self.decoded.pixels,
            rows=self.decoded.rows,
            command=self.command,
            created=self.created,
        )


def _write_bundle(made: _Made, report: dict[str, object], card: str, path: Path) -> str:
    from fieldmark.config import to_toml

    bundle = bundles.Bundle(
        name=made.folder.name,
        network=str(made.choice.plan.network),
        onnx=made.exported.onnx,
        classes=made.decoded.manifest.classes,
        spec=made.choice.spec,
        golden_inputs=made.fitted.proof_pixels[:N_GOLDEN],
        golden_scores=made.exported.scores[:N_GOLDEN],
        weights=made.fitted.weights,
        recipe=to_toml(made.shipped()),
        report=report,
        card=card,
        created=made.created,
    )
    return bundles.write(path, bundle, overwrite=bool(report))


def _positions(manifest: Manifest, part: Split) -> NDArray[np.int64]:
    return np.flatnonzero([example.split == part for example in manifest.examples])


def _labels(manifest: Manifest) -> NDArray[np.int64]:
    index = {name: at for at, name in enumerate(manifest.classes)}
    return np.array([index[example.label] for example in manifest.examples], np.int64)


def _batches(decoded: Decoded, part: Split, batch: int, recipe: Recipe) -> Batches:
    manifest = decoded.manifest
    at = _positions(manifest, part)
    training = part == "train"
    return Batches(
        pixels=decoded.pixels,
        rows=decoded.rows[at],
        labels=_labels(manifest)[at],
        ids=ids_of([manifest.examples[i].sha256 for i in at]),
        batch_size=batch,
        seed=recipe.seed,
        augmentation=AUGMENTATIONS[recipe.augment] if training else None,
        shuffle=training,
        threads=recipe.threads,
    )
