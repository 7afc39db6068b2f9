"""A small network with batch normalisation and a global average, to be trained on two cores."""

from __future__ import annotations

from fieldmark.networks.base import Architecture


def layers(size: int, n_classes: int) -> str:
    """Return the list: four widths, each halving rows and columns by its pool."""
    blocks = " -> ".join(
        f"CONV {width} 3x3 same -> BN -> RELU -> POOL 2x2" for width in (16, 32, 64)
    )
    return (
        f"INPUT {size}x{size}x3 -> {blocks} -> CONV 128 3x3 same -> BN -> RELU -> GAP "
        "-> DROPOUT 0.2 -> FC"
    )


SMALL = Architecture(
    name="small",
    summary="Four CONV-BN-RELU blocks and a global average, 0.1 M weights: minutes on two cores.",
    reference="Springenberg et al., Striving for Simplicity, 2015, arXiv:1412.6806 (GAP head)",
    size=64,
    layers=layers,
)
