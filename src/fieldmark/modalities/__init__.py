"""One file per kind of data: how a file's bytes become the one array a network accepts.

Lives here: decoding, augmentation, and the record of every kind of data. May import
:mod:`fieldmark.errors` and :mod:`fieldmark.rng`; never Keras, never a room above. Decoders are
imported inside functions (:mod:`fieldmark.modalities.opencv` is the one door to OpenCV), so
importing this room costs NumPy and nothing else.

To add a kind: write ``modalities/<kind>.py`` ending in one instance that fits
:class:`fieldmark.modalities.base.Modality`, and add it to :data:`MODALITIES`. The promises in
``tests/contracts/test_modalities.py`` then run on it.
"""

from __future__ import annotations

from typing import Final

from fieldmark.modalities.base import Modality
from fieldmark.modalities.image import IMAGE

MODALITIES: Final[dict[str, Modality]] = {IMAGE.name: IMAGE}
"""Every kind of data by name."""
