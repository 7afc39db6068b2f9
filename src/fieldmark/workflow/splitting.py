"""Divide a folder once, and write down which file is for what."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fieldmark.config import Settings
from fieldmark.data import split_file
from fieldmark.data.manifest import SPLITS, Manifest, Note
from fieldmark.errors import UsageError
from fieldmark.training.events import Listener, silent
from fieldmark.workflow.dataset import load, prepared

STANDARD_OUTPUT: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """A split that was written."""

    manifest: Manifest
    file: Path
    notes: tuple[Note, ...]

    @property
    def n_groups(self) -> int:
        """Groups that a person said."""
        return len({each.group for each in self.manifest.examples if each.group})

    @property
    def n_clusters(self) -> int:
        """Near copies and bursts that were found and kept together."""
        return len({each.cluster for each in self.manifest.examples if each.cluster})

    @property
    def n_copied(self) -> int:
        """Contents that several files hold."""
        contents = Counter(each.sha256 for each in self.manifest.examples)
        return sum(number > 1 for number in contents.values())

    def folds(self) -> tuple[int, ...]:
        """Count the examples of every fold; empty: none were asked for."""
        found = Counter(each.fold for each in self.manifest.examples if each.fold is not None)
        return tuple(found[number] for number in range(max(found, default=-1) + 1))

    def to_dict(self) -> dict[str, Any]:
        """Return what was done as plain JSON values."""
        return {
            "schema": "fieldmark.split/1",
            "file": str(self.file),
            "parts": {part: self.manifest.counts(part) for part in SPLITS},
            "folds": list(self.folds()),
            "groups": self.n_groups,
            "clusters": self.n_clusters,
            "copied": self.n_copied,
            "left_out": [dataclasses.asdict(each) for each in self.manifest.left_out],
            "notes": [dataclasses.asdict(each) for each in self.notes],
        }


def split_folder(
    folder: str | Path,
    out: str | Path = "",
    *,
    settings: Settings | None = None,
    force: bool = False,
    listen: Listener = silent,
) -> Divided:
    """Give every picture of a folder its part, and write ``split.csv``.

    Parameters
    ----------
    folder : str or Path
        As for :func:`fieldmark.load`.
    out : str or Path, default=""
        The file to write; default: the folder's name and ``.split.csv`` in the current folder;
        ``-``: none is written, for a caller that prints it.
    settings : Settings, optional
        Their tables ``data`` and ``split``.
    force : bool, default=False
        Replace a file that is there.
    listen : callable
        As for :func:`fieldmark.workflow.dataset.prepared`.

    Raises
    ------
    UsageError
        ``file-exists``, ``no-folder``; ``split-inside-data``: the file was not named and would lie
        among the pictures.
    DataError
        As :func:`fieldmark.load` and :func:`fieldmark.workflow.dataset.prepared`.

    Examples
    --------
    ::

        divided = split_folder("flowers")
        run = fieldmark.train("flowers", settings=Settings().changed("split", {"file": ...}))
    """
    asked = settings or Settings()
    data = load(
        folder,
        labels=asked.data.labels or None,
        label_from=asked.data.label_from,
        groups=asked.data.groups,
        overrides=asked.data.overrides,
    )
    file = Path(out) if out else _named_after(data.manifest)
    kept = str(out) != STANDARD_OUTPUT
    if kept:
        split_file.check_new(file, force=force)
    asked = asked.changed("data", dataclasses.asdict(data.source))
    found = prepared(data.manifest, asked, listen=listen)
    if kept:
        split_file.write(file, found.manifest, force=force)
    return Divided(manifest=found.manifest, file=file, notes=found.notes)


def _named_after(manifest: Manifest) -> Path:
    here, root = Path.cwd().resolve(), manifest.root.resolve()
    if here == root or root in here.parents:
        raise UsageError(
            "The split file would lie among the pictures.",
            code="split-inside-data",
            where=str(here),
            why="Nothing is written into a data folder unasked.",
            hint=f"-o ../{manifest.name}.split.csv",
        )
    return Path(f"{manifest.name.replace('/', '-') or 'data'}.split.csv")
