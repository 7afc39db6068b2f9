"""A folder of labelled examples in Python's hands: lazy, immutable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fieldmark.config import DataSettings, Settings, SplitSettings
from fieldmark.data import scan, split
from fieldmark.data.manifest import Example, Manifest, Split
from fieldmark.training.events import Listener, Progress, silent


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was found in a folder. Methods return new objects; the folder is never changed."""

    manifest: Manifest
    source: DataSettings = field(default_factory=DataSettings)
    """How it was loaded; a run keeps this, so that it can be repeated."""
    shares: SplitSettings | None = None
    """How its parts were drawn; None: not yet."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the one order that everything uses."""
        return self.manifest.classes

    def counts(self, part: Split | None = None) -> dict[str, int]:
        """Count examples per class, of one part or of all."""
        return self.manifest.counts(part)

    def split(self, *, val: float = 0.15, test: float = 0.15, seed: int = 0) -> Dataset:
        """Give every example its part, once: by class, whole groups, repeatably.

        Parts that the folder or list already gives stay as they are.

        Parameters
        ----------
        val, test : float
            Shares of the whole, in (0, 1).
        seed : int, default=0
        """
        settings = Settings().changed("split", {"valid": val, "test": test, "seed": seed})
        parted = assigned(hashed(self.manifest), settings)
        return Dataset(parted, self.source, settings.split)

    def __len__(self) -> int:
        return len(self.manifest.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.manifest.examples)

    def __getitem__(self, position: int) -> Example:
        return self.manifest.examples[position]

    def __repr__(self) -> str:
        name, n = self.manifest.name, len(self)
        return f"<Dataset {name}: {n:,} examples, {len(self.classes)} classes>"


def load(
    folder: str | Path, *, labels: str | Path | None = None, label_from: str = "folder"
) -> Dataset:
    """List the labelled examples of a folder. Reads names, not pictures.

    Parameters
    ----------
    folder : str or Path
        Class folders; or ``train``/``val``/``test`` folders of class folders; or a CSV file with
        the columns ``path,label[,group,split]``.
    labels : str or Path, optional
        Such a CSV file for the pictures in ``folder``.
    label_from : str, default="folder"
        ``folder``, or ``name:REGEX``: the first group, found in the file name, is the label.

    Raises
    ------
    DataError
        ``no-folder``, ``no-classes``, ``one-class`` and others of ``docs/errors.md``.
    """
    listed = scan.scan(Path(folder), labels=Path(labels) if labels else None, label_from=label_from)
    source = DataSettings(
        folder=str(Path(folder).absolute()),
        labels=str(Path(labels).absolute()) if labels else "",
        label_from=label_from,
    )
    return Dataset(listed, source)


def hashed(
    manifest: Manifest, *, threads: int | None = None, listen: Listener = silent
) -> Manifest:
    """Fill in the content hashes that are not known yet."""
    if all(example.sha256 for example in manifest.examples):
        return manifest

    def said(done: int, total: int) -> None:
        listen(Progress(stage="hash", done=done, total=total))

    return scan.hash_contents(manifest, threads=threads or cores(), progress=said)


def assigned(manifest: Manifest, settings: Settings) -> Manifest:
    """Give every example its part as the settings say."""
    valid, test = settings.split.valid, settings.split.test
    fractions = (1.0 - valid - test, valid, test)
    return split.assign(manifest, fractions=fractions, seed=split_seed(settings))


def split_seed(settings: Settings) -> int:
    """Return the seed that the parts are drawn with."""
    return settings.train.seed if settings.split.seed == "auto" else settings.split.seed


def cores() -> int:
    """Count the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
