"""Read every picture of a folder once and say which cannot be used. Writes only the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fieldmark.data import cache
from fieldmark.data.cache import CacheSettings
from fieldmark.data.manifest import Manifest
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec
from fieldmark.workflow.dataset import cores, hashed, load

SIZE: Final = 64
"""The size that most networks of the catalogue train at: decoded once, for both."""


def check(
    folder: str | Path, *, labels: str | Path | None = None, label_from: str = "folder"
) -> Manifest:
    """Decode everything once.

    Parameters
    ----------
    folder, labels, label_from
        As for :func:`fieldmark.load`.

    Returns
    -------
    Manifest
        What is usable, and in ``left_out`` what is not, each with its reason.

    Raises
    ------
    DataError
        As :func:`fieldmark.load`; ``mostly-unreadable`` if more than half cannot be read.
    """
    manifest = hashed(load(folder, labels=labels, label_from=label_from).manifest)
    spec = InputSpec(height=SIZE, width=SIZE, fit="stretch")
    settings = CacheSettings(threads=cores())
    return cache.decode(manifest, MODALITIES["image"], spec, settings=settings).manifest
