"""What is known of pictures beside what they show: size, light, file, group, columns of the list.

What the pictures themselves tell was seen by the audit and lies in the cache; what is not there is
looked at once more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data import cache, columns
from fieldmark.data.looks import look_at
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import UsageError
from fieldmark.evaluation.fact_parts import Values

Rows = NDArray[np.void]


def _texts(field: str) -> Callable[[Rows], list[str]]:
    return lambda rows: [bytes(each).decode("ascii", "replace") for each in rows[field].tolist()]


def _positive(values: NDArray[np.number]) -> NDArray[np.float64]:
    """Return the numbers with NaN for 0: that is how a look says that it does not know."""
    found: NDArray[np.float64] = values.astype(np.float64)
    found[found <= 0] = np.nan
    return found


def _size(rows: Rows) -> NDArray[np.float64]:
    found: NDArray[np.float64] = _positive(rows["width"]) * rows["height"]
    return found


def _shape(rows: Rows) -> NDArray[np.float64]:
    found: NDArray[np.float64] = rows["width"] / _positive(rows["height"])
    return found


SEEN: Final[Mapping[str, Callable[[Rows], Values]]] = {
    "brightness": lambda rows: rows["brightness"],
    "contrast": lambda rows: rows["contrast"],
    "blur": lambda rows: rows["blur"],
    "size": _size,
    "shape": _shape,
    "file size": lambda rows: _positive(rows["n_bytes"]) / 1000,
    "JPEG quality": lambda rows: _positive(rows["quality"]),
    "format": _texts("format"),
    "camera": _texts("camera"),
}
"""What a look at a picture tells, one value per picture."""
GROUP: Final = "group"


def facts_of(
    manifest: Manifest,
    examples: Sequence[Example],
    *,
    listed: Path | None = None,
    by: Sequence[str] = (),
    threads: int = 2,
    keep: bool = True,
) -> dict[str, Values]:
    """Gather facts, one value per example.

    Parameters
    ----------
    manifest : Manifest
        Says where the pictures are.
    examples : sequence of Example
        Readable, with hashes.
    listed : Path, optional
        The list of labels, whose other columns are facts too; one that is gone is passed over.
    by : sequence of str, default=()
        Only these facts: names of :data:`SEEN`, ``group``, or columns; empty: all there are.
    threads : int, default=2
    keep : bool, default=True
        Whether the cache may be used.

    Returns
    -------
    dict of str to float array or list of str
        A column that is called like something that is seen has ``(list)`` behind its name.

    Raises
    ------
    UsageError
        ``by-unknown``: there is no such fact.
    """
    more = columns.names(listed) if listed is not None and listed.is_file() else ()
    named = {f"{name} (list)" if name in (*SEEN, GROUP) else name: name for name in more}
    told = [GROUP] if any(each.group for each in examples) else []
    wanted = list(by) or [*SEEN, *told, *list(named)[: columns.MOST]]
    unknown = [name for name in wanted if name not in (*SEEN, *told, *named)]
    if unknown:
        raise UsageError(
            f"Nothing called {unknown[0]!r} is known of these pictures.",
            code="by-unknown",
            where=str(listed or manifest.root),
            why="Slices are made by what every picture has, or by a column of the list of labels.",
            hint=f"--by with one of: {', '.join((*SEEN, *told, *named))}",
        )
    found: dict[str, Values] = {}
    if any(name in SEEN for name in wanted):
        rows = _looked(manifest, examples, threads=threads, keep=keep)
        found = {name: SEEN[name](rows) for name in wanted if name in SEEN}
    if GROUP in wanted:
        found[GROUP] = [each.group for each in examples]
    asked = {name: named[name] for name in wanted if name in named}
    if listed is not None and asked:
        read = columns.read(listed, manifest.root, examples, tuple(asked.values()))
        found |= {name: _valued(read[column]) for name, column in asked.items()}
    return {name: found[name] for name in dict.fromkeys(wanted)}


def _looked(manifest: Manifest, examples: Sequence[Example], *, threads: int, keep: bool) -> Rows:
    some = manifest.with_examples(tuple(examples))
    directory: Path | None = None
    with contextlib.suppress(UsageError):  # a cache among the pictures: then it is not used
        directory = cache.safe_directory(manifest.root) if keep else None
    looks = look_at(some, threads=threads, directory=directory, refuse=False)[1]
    blank = np.zeros(1, looks.facts.dtype)
    for name in ("brightness", "contrast", "blur"):
        blank[name] = np.nan  # a file that went away since: nothing is known of it
    rows = np.concatenate([looks.facts, blank])
    return rows[[looks.row_of.get(each.sha256, len(rows) - 1) for each in examples]]


def _valued(cells: Sequence[str]) -> Values:
    """Return numbers where every cell that says something says a number."""
    try:
        numbers = np.array([float(each) if each else np.nan for each in cells])
    except ValueError:
        return cells
    return numbers if np.isfinite(numbers).any() else cells
