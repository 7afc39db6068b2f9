"""Everything that is asked of a folder before it is trained on.

Pure: a manifest and what its pictures look like in, findings and a cleaned manifest out. One
function per question, its docstring's first line; to add one, write it in
:mod:`fieldmark.data.duplicates` or :mod:`fieldmark.data.oddities` and list it in :data:`CHECKS`.

Questions that need a network (wrong labels) or a small model (shortcuts) are asked by the workflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fieldmark.data import copies, duplicates, oddities
from fieldmark.data.duplicates import Seen
from fieldmark.data.findings import Finding
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Manifest

CHECKS: Final[tuple[Callable[[Seen], list[Finding]], ...]] = (
    duplicates.label_conflicts,
    duplicates.leaks,
    duplicates.near_leaks,
    duplicates.exact_copies,
    duplicates.near_copy_labels,
    duplicates.near_copies,
    duplicates.bursts,
    oddities.wrong_suffixes,
    oddities.odd_sizes,
    oddities.odd_shapes,
    oddities.blank,
    oddities.dark,
    oddities.bright,
    oddities.blurred,
    oddities.tiny_classes,
    oddities.imbalance,
    oddities.missing_from_parts,
    oddities.colliding_names,
    oddities.names_not_text,
    oddities.groups_in_names,
)
"""In the order shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found, and the folder without what would spoil its figures."""

    findings: tuple[Finding, ...]
    manifest: Manifest
    """Cleaned, near copies and bursts marked by ``cluster``."""
    seen: Manifest
    """Everything that could be read, before cleaning; with the same clusters."""


def see(
    manifest: Manifest,
    looks: Looks,
    *,
    near: float = copies.NEAR,
    kept: frozenset[str] = frozenset(),
    threads: int = 2,
    progress: copies.Progress | None = None,
) -> Seen:
    """Compare all pictures with each other.

    Parameters
    ----------
    manifest : Manifest
        Readable examples with hashes.
    looks : Looks
        Of their contents.
    near : float
        As for :func:`fieldmark.data.copies.near_copies`.
    kept : frozenset of str
        Paths that a person said to keep.
    threads : int
    progress : callable, optional
    """
    pairs = copies.near_copies(looks.rows, near=near, threads=threads, progress=progress)
    first: dict[int, str] = {}
    for example in manifest.examples:
        if example.sha256 in looks.row_of:
            first.setdefault(looks.row_of[example.sha256], example.path)
    paths = [first.get(row, "") for row in range(len(looks.rows))]
    return Seen(
        manifest=manifest,
        looks=looks,
        pairs=pairs,
        clusters=copies.clusters(pairs, len(looks.rows)),
        bursts=copies.bursts(paths, looks.rows),
        kept=kept,
    )


def audit(seen: Seen) -> Audit:
    """Ask every question and clean the manifest."""
    findings = tuple(finding for check in CHECKS for finding in check(seen))
    return Audit(
        findings=findings, manifest=duplicates.cleaned(seen), seen=duplicates.clustered(seen)
    )
