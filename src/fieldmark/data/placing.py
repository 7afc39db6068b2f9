"""Use a split again: what it knows keeps its part, what is new gets one by the same rule. Pure.

* A file that the split knows never moves, whatever else is added.
* A new file that belongs to known ones (:mod:`fieldmark.data.grouping`) goes where they are; where
  they lie in two parts already, it goes to training.
* Any other new file goes by the hash of its group or content alone, so that what is added later
  does not move it either. New classes are divided as :mod:`fieldmark.data.split` divides them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass

from fieldmark.data import grouping
from fieldmark.data.grouping import Unit
from fieldmark.data.manifest import SPLITS, Example, Manifest, Note, Split
from fieldmark.data.split import by_rank, place, ranks, shares_of
from fieldmark.data.split_file import Row, SplitFile
from fieldmark.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A manifest with parts, and what to know about them."""

    manifest: Manifest
    notes: tuple[Note, ...]
    """Codes ``split-new``, ``split-gone``, ``split-divided``."""


def placed(
    manifest: Manifest,
    saved: SplitFile,
    *,
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int,
) -> Placed:
    """Give every example its part: the saved one, or for new ones one by the same rule.

    Parameters
    ----------
    manifest : Manifest
        With hashes. Groups and clusters it does not know are taken from the file.
    saved : SplitFile
    fractions, seed
        Of new files, as for :func:`fieldmark.data.split.assign`.

    Raises
    ------
    DataError
        ``split-foreign``: the file knows nothing of this folder; ``split-disagrees``: a ready-made
        folder and the file put a picture into different parts.
    """
    rows = _matched(manifest, saved)
    examples = [_with_groups(each, rows.get(at)) for at, each in enumerate(manifest.examples)]
    units = grouping.units(examples)
    given = {each.split for each in examples}
    fixed: dict[int, Split] = {at: row.split for at, row in rows.items()}
    for at, each in enumerate(examples):
        if at not in fixed and each.split not in (None, "train"):
            fixed[at] = each.split
    # A part that the file lacks altogether is drawn later, out of the training part.
    there = {row.split for row in saved.rows}
    open_ = tuple(s for s in SPLITS if s == "train" or (s in there and s not in given))
    shares = shares_of(open_, fractions)
    parts, divided = _parts(examples, units, fixed, open_)
    parts |= _drawn(units, parts, examples, shares, seed)
    folds = _folds(units, rows, saved.n_folds, seed)
    whole = tuple(
        dataclasses.replace(each, split=parts[at], fold=folds.get(at, each.fold))
        for at, each in enumerate(examples)
    )
    new = Counter(each.split for at, each in enumerate(whole) if at not in rows)
    notes = _notes(new, _gone(saved, rows, manifest), divided)
    return Placed(manifest=manifest.with_examples(whole), notes=notes)


def known(manifest: Manifest, saved: SplitFile) -> Manifest:
    """Give the files that a saved split knows their parts, and leave the others as they are.

    Raises
    ------
    DataError
        As :func:`placed`.
    """
    rows = _matched(manifest, saved)
    return manifest.with_examples(
        tuple(
            dataclasses.replace(each, split=rows[at].split) if at in rows else each
            for at, each in enumerate(manifest.examples)
        )
    )


def _matched(manifest: Manifest, saved: SplitFile) -> dict[int, Row]:
    """Return the row of each example that the file knows; refuse a file of another folder."""
    rows = saved.known(manifest.examples)
    if not rows and manifest.examples:
        raise _foreign(manifest, saved)
    _check_agreed(manifest, rows, saved)
    return rows


def _with_groups(example: Example, row: Row | None) -> Example:
    if row is None:
        return example
    group, cluster = example.group or row.group, example.cluster or row.cluster
    return dataclasses.replace(example, group=group, cluster=cluster)


def _parts(
    examples: list[Example], units: list[Unit], fixed: dict[int, Split], open_: tuple[Split, ...]
) -> tuple[dict[int, Split], int]:
    """Return the parts of all that is known and what belongs to it; how many found two parts."""
    parts, divided = dict(fixed), 0
    for unit in units:
        homes = {fixed[at] for at in unit.members if at in fixed}
        new = [at for at in unit.members if at not in fixed]
        if homes and new:
            home = next(iter(homes)) if len(homes) == 1 else "train"
            divided += len(new) if len(homes) > 1 else 0
            # A file in a ready-made training folder is no test picture, whatever it looks like.
            parts.update(dict.fromkeys(new, home if home in open_ else "train"))
    return parts, divided


def _drawn(
    units: list[Unit],
    parts: dict[int, Split],
    examples: list[Example],
    shares: dict[Split, float],
    seed: int,
) -> dict[int, Split]:
    """Return the parts of units of which nothing is known."""
    new = [unit for unit in units if unit.members[0] not in parts]
    taught = {examples[at].label for at in parts}
    rank = ranks(new, seed, "split")
    strange = [unit for unit in new if not taught & set(unit.labels)]
    homes = place(strange, rank, shares) if shares else {}
    return {
        at: homes.get(unit.key) or by_rank(rank[unit.key], shares)
        for unit in new
        for at in unit.members
    }


def _folds(units: list[Unit], known: dict[int, Row], n: int, seed: int) -> dict[int, int]:
    if not n:
        return {}
    rank = ranks(units, seed, "folds")
    folds: dict[int, int] = {}
    for unit in units:
        homes = {row.fold for at in unit.members if (row := known.get(at)) and row.fold is not None}
        home = min(homes) if homes else int(rank[unit.key] * n)
        for at in unit.members:
            row = known.get(at)
            folds[at] = home if row is None or row.fold is None else row.fold
    return folds


def _gone(saved: SplitFile, known: dict[int, Row], manifest: Manifest) -> int:
    """Count the rows whose file is neither used nor left out for a reason."""
    used = {id(row) for row in known.values()}
    contents = {example.sha256 for example in manifest.examples}
    left_out = SplitFile(rows=saved.rows).known(
        tuple(Example(path=entry.path, label="") for entry in manifest.left_out)
    )
    used |= {id(row) for row in left_out.values()}
    return sum(id(row) not in used and row.sha256 not in contents for row in saved.rows)


def _notes(new: Counter[Split | None], n_gone: int, n_divided: int) -> tuple[Note, ...]:
    notes = []
    if new:
        words = ", ".join(f"{part} {new[part]:,}" for part in SPLITS if new[part])
        text = f"{sum(new.values()):,} files are new to the split file: {words}."
        notes.append(Note(code="split-new", text=text))
    if n_gone:
        text = f"{n_gone:,} files of the split file are not there any more."
        notes.append(Note(code="split-gone", text=text))
    if n_divided:
        text = f"{n_divided:,} new files belong to files in two parts; they went to training."
        notes.append(Note(code="split-divided", text=text))
    return tuple(notes)


def _check_agreed(manifest: Manifest, known: dict[int, Row], saved: SplitFile) -> None:
    given = {example.split for example in manifest.examples}
    for at, row in known.items():
        example = manifest.examples[at]
        # Validation and test pictures may have been drawn out of a ready-made training part.
        drawn = example.split == "train" and row.split not in given
        if example.split not in (None, row.split) and not drawn:
            raise DataError(
                f"{example.path} lies in the {example.split} part, and in the split file's "
                f"{row.split} part.",
                code="split-disagrees",
                where=str(saved.file),
                why="It is not clear which of them is meant.",
                hint="write the split file anew: fieldmark split FOLDER",
            )


def _foreign(manifest: Manifest, saved: SplitFile) -> DataError:
    return DataError(
        f"The split file knows none of the {len(manifest.examples):,} pictures in this folder.",
        code="split-foreign",
        where=str(saved.file),
        why=f"It was made for another folder than {manifest.root}.",
        hint="give the split file of this folder, or make one: fieldmark split FOLDER",
    )
