"""The tutorial's network: one CONV, one POOL, one hidden FC; a sigmoid for two classes."""

from __future__ import annotations

from fieldmark.networks.base import Architecture


def layers(size: int, n_classes: int) -> str:
    """Return the list; ``FC 1`` for two classes, as in the tutorial."""
    head = "FC 1" if n_classes == 2 else "FC"
    return f"INPUT {size}x{size}x3 -> CONV 32 3x3 -> RELU -> POOL 2x2 -> FC 128 -> RELU -> {head}"


TUTORIAL = Architecture(
    name="tutorial",
    summary="INPUT-CONV-RELU-POOL-FC: the network everybody meets first.",
    reference='Blog tutorial "Convolutional Neural Network (CNN) & its implementation in Python"',
    size=64,
    layers=layers,
)
