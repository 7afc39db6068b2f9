"""What an audit asks about copies: which pictures are the same, and on which sides they lie.

Pure. Every question is a function of :class:`Seen`; :mod:`fieldmark.data.audit` lists them all.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fieldmark.data.copies import Pair
from fieldmark.data.findings import Finding
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Example, LeftOut, Manifest

_RANK = {"test": 0, "valid": 1, "train": 2, None: 3}
"""Of a picture in several parts, the one in the most guarded part stays."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What is known of a folder when the questions are asked."""

    manifest: Manifest
    """Examples that can be read; the others in ``left_out``."""
    looks: Looks
    pairs: tuple[Pair, ...] = ()
    """Near copies among distinct contents, by row of the looks."""
    clusters: tuple[tuple[int, ...], ...] = ()
    """The same, joined."""
    bursts: tuple[tuple[int, ...], ...] = ()
    kept: frozenset[str] = frozenset()
    """Paths that a person said to keep, whatever is found."""

    def by_content(self) -> dict[str, list[Example]]:
        """Return the examples of each content, those in the most guarded part first."""
        found: dict[str, list[Example]] = defaultdict(list)
        for example in sorted(self.manifest.examples, key=lambda e: (_RANK[e.split], e.path)):
            found[example.sha256].append(example)
        return found

    def examples_of(self, rows: Iterable[int]) -> list[Example]:
        """Return the examples whose contents are these rows of the looks, sorted by path."""
        names = {row: sha for sha, row in self.looks.row_of.items()}
        contents = self.by_content()
        found = [each for row in rows if row in names for each in contents.get(names[row], [])]
        return sorted(found, key=lambda example: example.path)


def label_conflicts(seen: Seen) -> list[Finding]:
    """Is the same picture there under two labels?"""
    return [
        _finding("label-conflict", same, f"equal files, {_labels(same)}", done="left out")
        for same in seen.by_content().values()
        if len({each.label for each in same}) > 1
    ]


def exact_copies(seen: Seen) -> list[Finding]:
    """Is a file there more than once, byte for byte?"""
    found = []
    for same in seen.by_content().values():
        if len({each.label for each in same}) == 1:
            for part in dict.fromkeys(each.split for each in same):
                alike = [each for each in same if each.split == part]
                if len(alike) > 1:
                    found.append(_finding("exact-copy", alike, "equal files", done="one kept"))
    return found


def leaks(seen: Seen) -> list[Finding]:
    """Is a file in more than one of the ready-made parts?"""
    found = []
    for same in seen.by_content().values():
        parts = dict.fromkeys(each.split for each in same)
        if len(parts) > 1 and len({each.label for each in same}) == 1:
            text = f"equal files in {_parts(parts)}"
            found.append(_finding("leak", same, text, done=f"kept in {_part(same[0].split)} only"))
    return found


def near_leaks(seen: Seen) -> list[Finding]:
    """Is nearly the same picture in more than one of the ready-made parts?"""
    found = []
    for pair, first, second in _near(seen):
        if first.split != second.split:
            where = _parts([first.split, second.split])
            text = f"{100 * pair.likeness:.1f} % alike ({pair.way}), in {where}"
            done = f"kept in {_part(first.split)} only"
            both = [first, second]
            found.append(_finding("near-leak", both, text, measure=pair.likeness, done=done))
    return found


def near_copies(seen: Seen) -> list[Finding]:
    """Are there pictures that are nearly the same?"""
    found = []
    for rows in seen.clusters:
        members = seen.examples_of(rows)
        if len({(each.label, each.split) for each in members}) == 1:
            least, ways = _likeness(seen.pairs, rows)
            text = f"at least {100 * least:.1f} % alike ({ways})"
            done = "kept on one side"
            found.append(_finding("near-copy", members, text, measure=least, done=done))
    return found


def near_copy_labels(seen: Seen) -> list[Finding]:
    """Is nearly the same picture there under two labels?"""
    return [
        _finding(
            "near-copy-labels",
            [first, second],
            f"{100 * pair.likeness:.1f} % alike ({pair.way}), {_labels([first, second])}",
            measure=pair.likeness,
            done="kept on one side",
        )
        for pair, first, second in _near(seen)
        if first.label != second.label
    ]


def bursts(seen: Seen) -> list[Finding]:
    """Are there frames of one moment?"""
    found = []
    for rows in seen.bursts:
        members = seen.examples_of(rows)
        parts = dict.fromkeys(each.split for each in members)
        apart = f", in {_parts(parts)}" if len(parts) > 1 else ""
        text = f"{len(members)} frames by time or number, and alike{apart}"
        done = "shown only" if apart else "kept on one side"
        found.append(_finding("burst", members, text, measure=float(len(members)), done=done))
    return found


def cleaned(seen: Seen) -> Manifest:
    """Leave out what would spoil the figures, and mark what must stay together.

    Conflicts go as a whole; of exact copies one stays; of copies across ready-made parts the one in
    the most guarded part stays: test, then validation. Near copies and bursts get one cluster.
    What a person said to keep is kept.
    """
    out: dict[str, LeftOut] = {}

    def leave(example: Example, code: str, reason: str) -> None:
        if example.path not in seen.kept:
            out.setdefault(example.path, LeftOut(path=example.path, code=code, reason=reason))

    for same in seen.by_content().values():
        # What a person kept decides what the others are copies of.
        first = next((each for each in same if each.path in seen.kept), same[0])
        if len({each.label for each in same}) > 1:
            for each in same:
                leave(each, "label-conflict", f"equal files, {_labels(same)}")
            continue
        for each in same:
            if each is not first:
                code = "exact-copy" if each.split == first.split else "leak"
                leave(each, code, "equal to another file, which is used")
    for _, first, second in _near(seen):
        if first.split != second.split and not {first.path, second.path} & out.keys():
            leave(second, "near-leak", f"nearly equal to a file in {_part(first.split)}")
    kept = clustered(seen)
    examples = tuple(each for each in kept.examples if each.path not in out)
    return kept.with_examples(examples, tuple(out.values()))


def clustered(seen: Seen) -> Manifest:
    """Mark what must stay together, and leave nothing out."""
    cluster_of = _clusters(seen)
    return seen.manifest.with_examples(
        tuple(
            dataclasses.replace(each, cluster=cluster_of.get(each.sha256, ""))
            for each in seen.manifest.examples
        )
    )


def _near(seen: Seen) -> list[tuple[Pair, Example, Example]]:
    """Return each pair of near copies, for every pair of their examples, most guarded first."""
    names = {row: sha for sha, row in seen.looks.row_of.items()}
    contents = seen.by_content()
    found = []
    for pair in seen.pairs:
        both = [contents.get(names.get(row, ""), []) for row in (pair.first, pair.second)]
        for one in both[0]:
            for other in both[1]:
                first, second = sorted((one, other), key=lambda e: (_RANK[e.split], e.path))
                found.append((pair, first, second))
    return found


def _clusters(seen: Seen) -> dict[str, str]:
    """Name the cluster of each content: clusters and bursts that share a picture are one."""
    names = {row: sha for sha, row in seen.looks.row_of.items()}
    cluster_of: dict[str, str] = {}
    for rows in (*seen.clusters, *seen.bursts):
        members = sorted(names[row] for row in rows if row in names)
        if len(members) < 2:
            continue
        met = {cluster_of[sha] for sha in members if sha in cluster_of}
        name = min({f"near:{members[0][:16]}", *met})
        for sha, old in list(cluster_of.items()):
            if old in met:
                cluster_of[sha] = name
        cluster_of.update(dict.fromkeys(members, name))
    return cluster_of


def _likeness(pairs: Sequence[Pair], rows: Sequence[int]) -> tuple[float, str]:
    inside = [pair for pair in pairs if pair.first in rows and pair.second in rows]
    ways = ", ".join(dict.fromkeys(pair.way for pair in inside))
    return min(pair.likeness for pair in inside), ways


def _finding(
    code: str, examples: Sequence[Example], text: str, *, measure: float | None = None, done: str
) -> Finding:
    return Finding(
        code=code,
        paths=tuple(each.path for each in examples),
        labels=tuple(each.label for each in examples),
        text=text,
        measure=measure,
        done=done,
    )


def _labels(examples: Sequence[Example]) -> str:
    return " and ".join(dict.fromkeys(each.label for each in examples))


def _part(split: str | None) -> str:
    words = {"train": "the training part", "valid": "the validation part", "test": "the test part"}
    return words.get(split or "", "no part")


def _parts(splits: Iterable[str | None]) -> str:
    return " and ".join(_part(split) for split in dict.fromkeys(splits))
