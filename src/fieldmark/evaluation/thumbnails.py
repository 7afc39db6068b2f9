"""How many pictures a page may hold: a budget of bytes, dealt out fairly. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BUDGET_BYTES: Final = 4_000_000
"""Of all pictures of a page together, as they stand in it; the page stays below 5 MB."""
MAX_THUMBNAIL_BYTES: Final = 60_000
"""Of one picture's file; a larger one is no thumbnail and is left out."""


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
