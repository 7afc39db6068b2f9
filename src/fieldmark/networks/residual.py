"""A residual network: deeper than ``small`` at each width, with its inputs added back."""

from __future__ import annotations

from fieldmark.networks.base import Architecture


def layers(size: int, n_classes: int) -> str:
    """Return the list: three widths, a residual block at each."""
    stages = " -> ".join(
        f"CONV {width} 3x3 same -> BN -> RELU -> POOL 2x2 -> "
        f"{{CONV {width} 3x3 same -> BN -> RELU -> CONV {width} 3x3 same -> BN}} -> RELU"
        for width in (24, 48, 96)
    )
    return f"INPUT {size}x{size}x3 -> {stages} -> GAP -> DROPOUT 0.2 -> FC"


RESIDUAL = Architecture(
    name="residual",
    summary="Three widths with a residual block each, 0.3 M weights: slower, for more pictures.",
    reference="He et al., Deep Residual Learning for Image Recognition, 2015, arXiv:1512.03385",
    size=64,
    layers=layers,
)
