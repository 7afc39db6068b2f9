"""The catalogue's pretrained networks: a backbone's features, and one FC on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fieldmark.networks.backbones import BACKBONES
from fieldmark.networks.base import Architecture

STAGES: Final = 4
"""Last stages whose averages may join the features; cross-validation decides whether they do."""


def _layers(backbone: str) -> Callable[[int, int], str]:
    def layers(size: int, n_classes: int) -> str:
        return f"INPUT {size}x{size}x3 -> BACKBONE {backbone} stages {STAGES} -> FC"

    return layers


def _architecture(name: str, backbone: str) -> Architecture:
    known = BACKBONES[backbone]
    return Architecture(
        name=name,
        summary=f"{known.summary} The head is solved in seconds.",
        reference=known.reference,
        size=known.size,
        layers=_layers(backbone),
    )


FEATURES: Final = (
    _architecture("features", "efficientnet-lite0"),
    _architecture("features-lite1", "efficientnet-lite1"),
    _architecture("features-lite2", "efficientnet-lite2"),
)
