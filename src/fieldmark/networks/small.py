"""A small network of strided blocks with a global average, to be trained on two cores."""

from __future__ import annotations

from fieldmark.networks.base import Architecture


def layers(size: int, n_classes: int) -> str:
    """Return the list: a stem, then three widths that halve rows and columns and look once more."""
    stages = " -> ".join(
        f"CONV {width} 3x3 same step 2 -> BN -> RELU -> {{CONV {width} 3x3 same -> BN -> RELU}}"
        for width in (32, 64, 128)
    )
    return (
        f"INPUT {size}x{size}x3 -> CONV 16 3x3 same step 2 -> BN -> RELU -> {stages} -> GAP "
        "-> DROPOUT 0.2 -> FC"
    )


SMALL = Architecture(
    name="small",
    summary="A strided stem and three residual stages, 0.3 M weights: minutes on two cores.",
    reference="Springenberg et al., Striving for Simplicity, 2015, arXiv:1412.6806 (no pooling)",
    size=128,
    layers=layers,
)
