"""The pictures inside a page, and how many it may hold: a budget, dealt out fairly. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fieldmark.evaluation.template import data_url

BUDGET_BYTES: Final = 4_000_000
"""Of all pictures of a page together, as they stand in it; the page stays below 5 MB."""
MAX_THUMBNAIL_BYTES: Final = 60_000
"""Of one picture's file; a larger one is no thumbnail and is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One file and what is shown of it."""

    path: str
    """Relative to the data folder."""
    label: str = ""
    """What a person said it is."""
    thumbnail: bytes = b""
    """About 128 pixels, as JPEG or PNG; may be empty."""
    note: str = ""
    """What is special about this file: ``3 x 5 pixels``, ``training part``."""

    @property
    def address(self) -> str:
        """The thumbnail as an address that holds it; empty where there is none to show."""
        return data_url(self.thumbnail) if len(self.thumbnail) <= MAX_THUMBNAIL_BYTES else ""

    @property
    def n_bytes(self) -> int:
        """Characters that the thumbnail takes in a page."""
        n = len(self.thumbnail)
        return inside_bytes(n) if n <= MAX_THUMBNAIL_BYTES else 0


def inside_bytes(n_bytes: int) -> int:
    """Return the characters that a file of ``n_bytes`` takes inside a page (base64).

    Examples
    --------
    >>> inside_bytes(3), inside_bytes(4)
    (4, 8)
    """
    return 4 * -(-n_bytes // 3)


def dealt(groups: Sequence[Sequence[int]], budget: int = BUDGET_BYTES) -> tuple[int, ...]:
    """Say how many items of each group may keep their pictures.

    In turns, the first item of every group before the second of any, so that one long group leaves
    room for the others. A group ends at its first item that does not fit: what is left out is
    always its tail.

    Parameters
    ----------
    groups : sequence of sequences of int
        Per group the bytes of its items, most important first, at least 0.
    budget : int, default=BUDGET_BYTES
        Bytes of all together.

    Returns
    -------
    tuple of int
        One number per group, from 0 to its length.

    Examples
    --------
    >>> dealt([[10, 10, 10], [10]], budget=30)
    (2, 1)
    """
    kept = [0] * len(groups)
    closed = [not items for items in groups]
    left = budget
    while not all(closed):
        for at, items in enumerate(groups):
            if closed[at]:
                continue
            if items[kept[at]] > left:
                closed[at] = True
                continue
            left -= items[kept[at]]
            kept[at] += 1
            closed[at] = kept[at] == len(items)
    return tuple(kept)
