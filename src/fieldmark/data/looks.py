"""What one look at every picture of a folder shows, as arrays: a row per distinct content.

The looking itself is :func:`fieldmark.modalities.looking.look`, once per content, in threads; rows
are kept in the cache by content hash, so that a second check reads no picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """The rows, and where each content's row is."""

    rows: NDArray[np.void]
    """(n_contents,) of :data:`fieldmark.modalities.looking.LOOK`: one named field per fact."""
    row_of: dict[str, int] = field(default_factory=dict)
    """SHA-256 of a content -> its row. Contents that could not be read have none."""

    def of(self, hashes: list[str]) -> NDArray[np.void]:
        """Return the rows of these contents, in this order."""
        return self.rows[np.array([self.row_of[sha] for sha in hashes], np.int64)]
