"""A residual network: wider and deeper than ``small``."""

from __future__ import annotations

from fieldmark.networks.base import Architecture


def layers(size: int, n_classes: int) -> str:
    """Return the list: a stem, then three widths with a residual block of two CONV each."""
    stages = " -> ".join(
        f"CONV {width} 3x3 same step 2 -> BN -> RELU -> "
        f"{{CONV {width} 3x3 same -> BN -> RELU -> CONV {width} 3x3 same -> BN}} -> RELU"
        for width in (48, 96, 192)
    )
    return (
        f"INPUT {size}x{size}x3 -> CONV 24 3x3 same step 2 -> BN -> RELU -> {stages} -> GAP "
        "-> DROPOUT 0.2 -> FC"
    )


RESIDUAL = Architecture(
    name="residual",
    summary="Wider stages with a residual block each, 1.1 M weights: four times the work.",
    reference="He et al., Deep Residual Learning for Image Recognition, 2015, arXiv:1512.03385",
    size=128,
    layers=layers,
)
