"""Networks: the layer language, everything derived from it, and the catalogue.

Text -> ``parser`` -> ``layers`` (values) -> ``volumes`` (a plan: what stands where) ->
``layer_table``, ``keras_model``, ``onnx_graph``. Importing this package imports no framework;
``keras_model`` alone imports Keras. May import: modalities, config, errors, rng.

To add a network to the catalogue: write one file that ends in an ``Architecture`` and add it to the
table below. The contract tests find it there.
"""

from __future__ import annotations

from typing import Final

from fieldmark.networks import features, residual, small, tutorial
from fieldmark.networks.base import Architecture

CATALOGUE: Final[dict[str, Architecture]] = {
    member.name: member
    for member in (tutorial.TUTORIAL, small.SMALL, residual.RESIDUAL, *features.FEATURES)
}
"""Name -> architecture, in the order shown to people."""
