"""What an audit asks about copies: which pictures are the same, and on which sides they lie.

Pure. Every question is a function of :class:`Seen`; :mod:`fieldmark.data.audit` lists them all.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from fieldmark.data.copies import Pair, joined
from fieldmark.data.findings import Finding
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Example, LeftOut, Manifest

_RANK = {"test": 0, "valid": 1, "train": 2, None: 3}
"""Of a picture in several parts, the one in the most guarded part stays."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What is known of a folder when the questions are asked."""

    manifest: Manifest
    """Examples that can be read; the others in ``left_out``."""
    looks: Looks
    pairs: tuple[Pair, ...] = ()
    """Near copies among distinct contents, by row of the looks."""
    clusters: tuple[tuple[int, ...], ...] = ()
    """The same, joined."""
    crowds: tuple[tuple[int, ...], ...] = ()
    """Clusters that were too large to be kept together, and so taken apart."""
    bursts: tuple[tuple[int, ...], ...] = ()
    kept: frozenset[str] = frozenset()
    """Paths that a person said to keep, whatever is found."""

    @cached_property
    def by_content(self) -> dict[str, list[Example]]:
        """The examples of each content, those in the most guarded part first, then by path."""
        found: dict[str, list[Example]] = defaultdict(list)
        for example in sorted(self.manifest.examples, key=_guarded):
            found[example.sha256].append(example)
        return dict(found)

    @cached_property
    def names(self) -> dict[int, str]:
        """The content of each row of the looks."""
        return {row: sha for sha, row in self.looks.row_of.items()}

    @cached_property
    def likeness(self) -> dict[tuple[int, ...], tuple[float, str]]:
        """The least likeness among the pairs of each cluster, and the ways of all of them."""
        home = {row: rows for rows in self.clusters for row in rows}
        inside: dict[tuple[int, ...], list[Pair]] = defaultdict(list)
        for pair in self.pairs:
            rows = home.get(pair.first)
            if rows is not None and rows is home.get(pair.second):
                inside[rows].append(pair)
        return {
            rows: (
                min(pair.likeness for pair in pairs),
                ", ".join(dict.fromkeys(pair.way for pair in pairs)),
            )
            for rows, pairs in inside.items()
        }

    def examples_of(self, rows: Iterable[int]) -> list[Example]:
        """Return the examples whose contents are these rows of the looks, most guarded first."""
        contents = (self.by_content.get(self.names.get(row, ""), []) for row in rows)
        return sorted((each for same in contents for each in same), key=_guarded)


def label_conflicts(seen: Seen) -> list[Finding]:
    """Is the same picture there under two labels?"""
    return [
        _finding("label-conflict", same, f"equal files, {_labels(same)}", done="left out")
        for same in seen.by_content.values()
        if len({each.label for each in same}) > 1
    ]


def exact_copies(seen: Seen) -> list[Finding]:
    """Is a file there more than once, byte for byte?"""
    found = []
    for same in seen.by_content.values():
        if len({each.label for each in same}) == 1:
            for part in dict.fromkeys(each.split for each in same):
                alike = [each for each in same if each.split == part]
                if len(alike) > 1:
                    found.append(_finding("exact-copy", alike, "equal files", done="one kept"))
    return found


def leaks(seen: Seen) -> list[Finding]:
    """Is a file in more than one of the ready-made parts?"""
    found = []
    for same in seen.by_content.values():
        parts = _parts_of(same)
        if len(parts) > 1 and len({each.label for each in same}) == 1:
            text, done = f"equal files in {_parts(parts)}", f"kept in {_part(parts[0])} only"
            found.append(_finding("leak", same, text, done=done))
    return found


def near_leaks(seen: Seen) -> list[Finding]:
    """Is nearly the same picture in more than one of the ready-made parts?"""
    found = []
    for rows in seen.clusters:
        members = seen.examples_of(rows)
        parts = _parts_of(members)
        if len(parts) > 1:
            least, ways = seen.likeness[rows]
            text = f"at least {100 * least:.1f} % alike ({ways}), in {_parts(parts)}"
            done = f"kept in {_part(parts[0])} only"
            found.append(_finding("near-leak", members, text, measure=least, done=done))
    return found


def near_copies(seen: Seen) -> list[Finding]:
    """Are there pictures that are nearly the same?"""
    found = []
    for rows in seen.clusters:
        members = seen.examples_of(rows)
        if len({each.label for each in members}) == 1 and len(_parts_of(members)) < 2:
            least, ways = seen.likeness[rows]
            text, done = f"at least {100 * least:.1f} % alike ({ways})", "kept on one side"
            found.append(_finding("near-copy", members, text, measure=least, done=done))
    return found


def near_copy_labels(seen: Seen) -> list[Finding]:
    """Is nearly the same picture there under two labels?"""
    found = []
    for rows in seen.clusters:
        members = seen.examples_of(rows)
        if len({each.label for each in members}) > 1:
            least, ways = seen.likeness[rows]
            text = f"at least {100 * least:.1f} % alike ({ways}), {_labels(members)}"
            done = "kept on one side"
            found.append(_finding("near-copy-labels", members, text, measure=least, done=done))
    return found


def crowds(seen: Seen) -> list[Finding]:
    """Are so many pictures alike that nothing could be divided?"""
    found = []
    for rows in seen.crowds:
        members = seen.examples_of(rows)
        text = f"{len(members):,} pictures hang together by likeness"
        done = "only those kept on one side that are alike by 0.95 or more"
        found.append(_finding("crowd", members, text, measure=float(len(members)), done=done))
    return found


def bursts(seen: Seen) -> list[Finding]:
    """Are there frames of one moment?"""
    found = []
    for rows in seen.bursts:
        members = seen.examples_of(rows)
        parts = _parts_of(members)
        apart = f", in {_parts(parts)}" if len(parts) > 1 else ""
        text = f"{len(members)} frames by time or number, and alike{apart}"
        done = "shown only" if apart else "kept on one side"
        found.append(_finding("burst", members, text, measure=float(len(members)), done=done))
    return found


def group_leaks(seen: Seen) -> list[Finding]:
    """Is a group in more than one of the ready-made parts?"""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in seen.manifest.examples:
        if example.group:
            groups[example.group].append(example)
    found = []
    for name, members in sorted(groups.items()):
        parts = _parts_of(sorted(members, key=_guarded))
        if len(parts) > 1:
            text = f"the group {name} is in {_parts(parts)}"
            measure = float(len(members))
            found.append(_finding("group-leak", members, text, measure=measure, done="shown only"))
    return found


def cleaned(seen: Seen) -> Manifest:
    """Leave out what would spoil the figures, and mark what must stay together.

    Conflicts go as a whole; of exact copies one stays; of copies and near copies across ready-made
    parts those in the most guarded part stay: test, then validation. Near copies and bursts get one
    cluster. What a person said to keep is kept, and takes the place of its copy in the same part.
    """
    out: dict[str, LeftOut] = {}

    def leave(example: Example, code: str, reason: str) -> None:
        if example.path not in seen.kept:
            out.setdefault(example.path, LeftOut(path=example.path, code=code, reason=reason))

    for same in seen.by_content.values():
        if len({each.label for each in same}) > 1:
            for each in same:
                leave(each, "label-conflict", f"equal files, {_labels(same)}")
            continue
        guarded = [each for each in same if each.split == same[0].split]
        first = next((each for each in guarded if each.path in seen.kept), same[0])
        for each in same:
            if each is not first:
                alike = each.split in (None, first.split)
                code = "exact-copy" if alike else "leak"
                leave(each, code, "equal to another file, which is used")
    for rows in seen.clusters:
        members = [each for each in seen.examples_of(rows) if each.path not in out]
        parts = _parts_of(members)
        for each in members:
            if each.split in parts[1:]:
                leave(each, "near-leak", f"nearly equal to a file in {_part(parts[0])}")
    kept = clustered(seen)
    examples = tuple(each for each in kept.examples if each.path not in out)
    return kept.with_examples(examples, tuple(out.values()))


def clustered(seen: Seen) -> Manifest:
    """Mark what must stay together, and leave nothing out."""
    links = [link for rows in (*seen.clusters, *seen.bursts) for link in pairwise(rows)]
    cluster_of: dict[str, str] = {}
    for rows in joined(links):
        members = sorted(seen.names[row] for row in rows if row in seen.names)
        if len(members) > 1:
            cluster_of.update(dict.fromkeys(members, f"near:{members[0][:16]}"))
    return seen.manifest.with_examples(
        tuple(
            dataclasses.replace(each, cluster=cluster_of.get(each.sha256, ""))
            for each in seen.manifest.examples
        )
    )


def _guarded(example: Example) -> tuple[int, str]:
    return _RANK[example.split], example.path


def _parts_of(examples: Sequence[Example]) -> list[str]:
    """Return the parts that some examples have, in their order; none is no part."""
    return list(dict.fromkeys(each.split for each in examples if each.split))


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
