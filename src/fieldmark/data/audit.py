"""Everything that is asked of a folder before it is trained on.

Pure: a manifest and what its pictures look like in, findings and a cleaned manifest out. One
function per question, its docstring's first line; to add one, write it in
:mod:`fieldmark.data.duplicates` or :mod:`fieldmark.data.oddities` and list it in :data:`CHECKS`.

Questions that need a network (wrong labels) or a small model (shortcuts) are asked by the workflow.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
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
    duplicates.group_leaks,
    duplicates.exact_copies,
    duplicates.near_copy_labels,
    duplicates.crowds,
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


LEAVING: Final = frozenset({"label-conflict", "exact-copy", "leak", "near-leak"})
"""Findings that files are left out for."""
LARGEST: Final = 0.25
SEPARATE: Final = 5


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
    is_crowd = _Crowds(manifest, looks)
    found, crowds = copies.clusters(pairs, is_crowd)
    first: dict[int, str] = {}
    for example in manifest.examples:
        if example.sha256 in looks.row_of:
            first.setdefault(looks.row_of[example.sha256], example.path)
    paths = [first.get(row, "") for row in range(len(looks.rows))]
    bursts = copies.bursts(paths, looks.rows)
    return Seen(
        manifest=manifest,
        looks=looks,
        pairs=pairs,
        clusters=found,
        crowds=(*crowds, *filter(is_crowd, bursts)),
        bursts=tuple(rows for rows in bursts if not is_crowd(rows)),
        kept=kept,
    )


class _Crowds:
    """Tells a crowd: more than 30 pictures, and with it nothing could be divided; final.

    That is when it holds more than a quarter of the folder, or leaves a class with fewer than
    :data:`SEPARATE` pictures that are not of it.
    """

    def __init__(self, manifest: Manifest, looks: Looks) -> None:
        self._labels: dict[int, set[str]] = defaultdict(set)
        for example in manifest.examples:
            if example.sha256 in looks.row_of:
                self._labels[looks.row_of[example.sha256]].add(example.label)
        self._n = len(self._labels)
        self._sizes = Counter(label for labels in self._labels.values() for label in labels)

    def __call__(self, rows: tuple[int, ...]) -> bool:
        if len(rows) <= copies.CROWD:
            return False
        taken = Counter(label for row in rows for label in self._labels[row])
        few = any(self._sizes[label] - n < SEPARATE for label, n in taken.items())
        return few or len(rows) > LARGEST * self._n


def audit(seen: Seen, *, clean: bool = True, ask: bool = True) -> Audit:
    """Clean the manifest, and ask every question.

    Parameters
    ----------
    seen : Seen
    clean : bool, default=True
        False: nothing is left out; near copies and bursts are marked all the same.
    ask : bool, default=True
        False: there are no findings; who splits or trains needs none.
    """
    whole = duplicates.clustered(seen)
    manifest = duplicates.cleaned(seen) if clean else whole
    asked = [finding for check in CHECKS for finding in check(seen)] if ask else []
    gone = {each.path for each in manifest.left_out}
    findings = tuple(
        dataclasses.replace(finding, done="nothing was left out")
        if finding.code in LEAVING and not gone & set(finding.paths)
        else finding
        for finding in asked
    )
    return Audit(findings=findings, manifest=manifest, seen=whole)
