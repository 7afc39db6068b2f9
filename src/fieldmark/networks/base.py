"""What every member of the catalogue is: a name, a reason, and a list for a size and a count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fieldmark.networks.layers import Network
from fieldmark.networks.parser import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One member of the catalogue."""

    name: str
    summary: str
    reference: str
    """Where it comes from."""
    size: int
    """Height and width it is made for, in pixels."""
    layers: Callable[[int, int], str]
    """(size, n_classes) -> layer list."""

    def network(self, *, size: int | None = None, n_classes: int = 2) -> Network:
        """Return the parsed list for pictures of ``size`` pixels each way."""
        return parse(self.layers(size or self.size, n_classes))
