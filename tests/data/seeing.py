"""What an audit has seen, made of a few words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fieldmark.data.copies import Pair, clusters
from fieldmark.data.duplicates import Seen
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Example, Manifest, Split
from fieldmark.modalities.looking import LOOK

USUAL = {
    "width": 200,
    "height": 150,
    "format": b"JPEG",
    "contrast": 50.0,
    "brightness": 120.0,
    "blur": 0.3,
    "taken_s": np.nan,
}


def example(path: str, content: str, *, split: Split | None = None) -> Example:
    """Return an example whose label is the folder that holds it."""
    return Example(path=path, label=path.split("/")[-2], sha256=content, split=split)


def seen_of(
    *examples: Example,
    pairs: Iterable[Pair] = (),
    bursts: Iterable[tuple[int, ...]] = (),
    kept: Iterable[str] = (),
    looks: dict[str, dict[str, Any]] | None = None,
) -> Seen:
    """Return a folder with these examples; rows of the looks follow the order of first contents."""
    contents = list(dict.fromkeys(each.sha256 for each in examples))
    rows = np.zeros(len(contents), LOOK)
    for at, content in enumerate(contents):
        for name, value in (USUAL | (looks or {}).get(content, {})).items():
            rows[name][at] = value
    found = tuple(pairs)
    return Seen(
        manifest=Manifest(
            root=Path("photos"),
            examples=tuple(examples),
            classes=tuple(sorted({each.label for each in examples})),
        ),
        looks=Looks(rows, {sha: at for at, sha in enumerate(contents)}),
        pairs=found,
        clusters=clusters(found, lambda rows: False)[0],
        bursts=tuple(bursts),
        kept=frozenset(kept),
    )
