"""A network before it is trained, in Python's hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fieldmark.config import Settings
from fieldmark.networks.layer_table import LayerTable, layer_table
from fieldmark.networks.layers import Network
from fieldmark.networks.volumes import plan
from fieldmark.workflow.choosing import network_named
from fieldmark.workflow.foreign import foreign_of


@dataclass(frozen=True, slots=True)
class Net:
    """A layer list with a name. ``str`` gives the list."""

    name: str
    network: Network

    def table(self, *, classes: int | Sequence[str] = 2) -> LayerTable:
        """Open it up for a number of classes: volumes, weights, cost, hints.

        Raises
        ------
        LayerListError
            Code ``layer-list``: a layer does not fit.
        UsageError, BundleError
            A backbone from elsewhere cannot be read; nothing is fetched here.
        """
        n_classes = classes if isinstance(classes, int) else len(classes)
        foreign = foreign_of(self.network, Settings())
        return layer_table(plan(self.network, n_classes, foreign=foreign), name=self.name)

    def __str__(self) -> str:
        return str(self.network)


def net(text: str, *, size: int | None = None, classes: int = 2) -> Net:
    """Return a network of the catalogue, of a layer list, or of a file that holds one.

    Parameters
    ----------
    text : str
        ``features``, ``tutorial``, ``small`` and others; or ``INPUT 64x64x3 -> ...``; or a path.
    size : int, optional
        Height and width in pixels, for a name of the catalogue.
    classes : int, default=2
        Decides the last layer of ``tutorial``: one unit for two classes.

    Examples
    --------
    >>> print(net("INPUT 8x8x3 -> FC").table(classes=3).n_weights)
    579
    """
    name, network = network_named(text, size=size, n_classes=classes)
    return Net(name, network)
