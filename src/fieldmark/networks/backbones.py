"""Pretrained backbones that are layer lists: their table, and what each expands to.

To add one: a record in the table whose stages are lists of the language, a file of weights in
``pretrained.py``, and a golden vector of the reference implementation in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fieldmark.networks import efficientnet_lite
from fieldmark.networks.layers import Backbone, Item
from fieldmark.networks.parser import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneList:
    """One backbone: what it is, and its layers in stages."""

    name: str
    summary: str
    reference: str
    size: int
    """Height and width it was trained at, in pixels; other sizes work too."""
    stages: tuple[str, ...]
    """Stem, stages, head: layer lists without INPUT. The average of the last one's maps are the
    features."""

    @property
    def n_stages(self) -> int:
        """How many stages stand between stem and head: the most that ``stages n`` can ask for."""
        return len(self.stages) - 2


def _lite(number: int, width: float, depth: float, size: int, weights: str) -> BackboneList:
    return BackboneList(
        name=f"efficientnet-lite{number}",
        summary=f"EfficientNet-Lite{number}, {weights} weights, trained on ImageNet at {size}.",
        reference="Tan and Le, EfficientNet, 2019, arXiv:1905.11946; Lite: Google, 2020",
        size=size,
        stages=efficientnet_lite.stages(width, depth),
    )


BACKBONES: Final[dict[str, BackboneList]] = {
    each.name: each
    for each in (
        _lite(0, 1.0, 1.0, 224, "3.4 M"),
        _lite(1, 1.0, 1.1, 240, "4.2 M"),
        _lite(2, 1.1, 1.2, 260, "4.9 M"),
    )
}
"""Name -> backbone, in the order shown to people."""


@lru_cache(maxsize=16)
def stage_items(name: str) -> tuple[tuple[Item, ...], ...]:
    """Return the layers of every stage of a backbone, parsed.

    Examples
    --------
    >>> [str(item) for item in stage_items("efficientnet-lite0")[-1]]
    ['CONV 1280 1x1', 'BN', 'RELU6']
    """
    return tuple(parse(f"INPUT 8x8x3 -> {text}").items for text in BACKBONES[name].stages)


def misfit(item: Backbone, volume: tuple[int, ...], *, first: bool) -> tuple[str, str] | None:
    """Say why a backbone cannot stand on ``volume``, and what to do; None: it can.

    ``first``: whether nothing stands between it and INPUT.
    """
    if not first or volume[2] != 3:
        return (
            "BACKBONE stands right behind INPUT and wants colours; "
            f"{'x'.join(map(str, volume))} stands here.",
            "start the list with: INPUT 224x224x3 -> BACKBONE ...",
        )
    if item.is_foreign:
        if item.stages:
            return f"The stages of {item.source} are not known.", "leave out: stages"
        return None
    known = BACKBONES.get(item.source)
    if known is None:
        names = ", ".join(BACKBONES)
        return f"There is no backbone {item.source!r}.", f"known: {names}, onnx:FILE, keras:NAME"
    if item.scale:
        return f"{item.source} scales pixels as it was trained to.", "leave out: scale"
    if item.stages > known.n_stages:
        return (
            f"{item.source} has {known.n_stages} stages; {item.stages} are asked for.",
            f"stages 1 to {known.n_stages}, or leave it out",
        )
    return None
