"""The file ``name.fieldmark``: one trained network, and everything needed to answer with it.

Reads and writes files; nothing else does this for models. It promises that opening a file runs no code
from it, reaches no other file, holds at most :data:`MAX_BYTES`, and refuses with
:class:`~fieldmark.errors.BundleError` whatever is damaged (``model-damaged``), too new (``model-newer``)
or unsafe (``model-unsafe``). It does not run the network: that is ``fieldmark.inference``.

**Format 1.** A zip with exactly one legal form: the parts below in this order, STORED, dated 1980-01-01,
without extra fields, comments or gaps. Equal contents are therefore equal bytes, and any changed byte is
noticed, in a part or between parts. Text is UTF-8; JSON has sorted keys and neither NaN nor infinity.

====================  ==========================================================================
``fieldmark.json``    ``format``, ``fieldmark`` (version that wrote it), ``name``, ``created`` (text),
                      ``network`` (first 16 hex digits of the layer list's SHA-256) and ``parts``: the
                      ``size`` in bytes and ``sha256`` of every other part. At most 1 MiB, 32 levels
``network.txt``       the layer list
``model.onnx``        ``pixels`` uint8 (N, H, W, C) to ``logits`` and ``scores`` (N, K), ``features``
                      (N, F) and ``maps`` (N, C, h, w), float32. No external data, no function, no
                      sub-graph, no operator outside ONNX' default domain
``weights.safetensors``  the trained arrays (optional)
``classes.json``      the class names, in the order of the K columns
``input.json``        the decode spec: ``InputSpec.to_dict()``
``decision.json``     how logits become an answer: an object; ``temperature`` is 1.0 where absent
``recipe.toml``       the resolved settings of the training (optional)
``report.json``       how good it is (optional)
``card.md``           what it is for, in words (optional)
``golden/inputs.npy``   1 to 64 real inputs, uint8 (n, H, W, C)
``golden/scores.npy``   float32 (n, K): softmax(logits / temperature) of those inputs
====================  ==========================================================================

The model id is ``sha256:`` and the hash of ``fieldmark.json``: it names every byte of every part.

**To change the format** raise :data:`FORMAT`, keep reading every older number (branch in ``_assemble``),
write the change into this text, and add ``tests/golden/bundle_v<FORMAT>.fieldmark`` with its expected
scores; the older golden files stay and stay tested. A new optional part is a change too: readers refuse
parts they do not know.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import BundleError, FieldmarkError, UsageError
from fieldmark.modalities.base import InputSpec
from fieldmark.version import __version__

FORMAT: Final = 1
"""The newest format this code reads, and the one it writes."""

MAX_BYTES: Final = 1 << 30
"""The largest file that is opened or written, 1 GiB."""

_MAX_MANIFEST_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 32
_MAX_GOLDEN: Final = 64
_MAX_MEMBERS: Final = 64  # of any format; keeps the zip's directory below 8 kB

_MANIFEST: Final = "fieldmark.json"
_WEIGHTS: Final = "weights.safetensors"
_OPTIONAL: Final = frozenset({_WEIGHTS, "recipe.toml", "report.json", "card.md"})
PARTS: Final = (
    _MANIFEST,
    "network.txt",
    "model.onnx",
    _WEIGHTS,
    "classes.json",
    "input.json",
    "decision.json",
    "recipe.toml",
    "report.json",
    "card.md",
    "golden/inputs.npy",
    "golden/scores.npy",
)
"""Every part there can be, in the order of the file."""

_ADVICE: Final = {
    "model-damaged": (
        "It is not what was written, so its answers could not be trusted.",
        "copy or download the file again, or write it anew from its run",
    ),
    "model-newer": (
        "It may hold something that this version would misread.",
        "upgrade fieldmark",
    ),
    "model-unsafe": (
        "A model file must not be able to run code, reach files or exhaust this machine.",
        "do not use this file; ask for one written by fieldmark",
    ),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a file, as its header states it."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself; see :func:`inspect`."""

    format: int
    version: str
    """Of the fieldmark that wrote it."""
    name: str
    created: str
    network: str
    """16 hex digits that differ whenever the layer list differs."""
    model_id: str
    """``sha256:`` and 64 hex digits; the same for equal contents only."""
    parts: tuple[Part, ...]
    size_bytes: int


class WeightsNotRead(Mapping[str, NDArray[Any]]):
    """Stands for weights that are in the file and were not asked for; any use of it says so.

    An empty mapping would let ``write(read(...))`` lose the weights without a word.
    """

    def _refuse(self) -> NoReturn:
        raise UsageError(
            "The weights of this model were not read.",
            code="weights-not-read",
            why="Writing the model without them would lose them.",
            hint="fieldmark.bundle.read(path, weights=True)",
        )

    def __getitem__(self, name: str) -> NDArray[Any]:
        self._refuse()

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def __len__(self) -> int:
        self._refuse()


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """The contents of one file. One that exists is valid: whatever would be refused is refused here.

    Raises
    ------
    BundleError
        If the class names, the golden arrays, the temperature or the ONNX graph break the format.
    """

    name: str
    """1 to 200 characters, none of them a control character."""
    network: str
    """The layer list, as text."""
    onnx: bytes
    classes: tuple[str, ...]
    spec: InputSpec
    golden_inputs: NDArray[np.uint8]
    """Shape (n, \\*spec.shape), n from 1 to 64."""
    golden_scores: NDArray[np.float32]
    """Shape (n, n_classes), in [0, 1]."""
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=lambda: {"temperature": 1.0})
    recipe: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    card: str = ""
    created: str = ""
    """A date and time as ISO text, or empty; never taken from the clock here."""
    model_id: str = ""
    """Of the file it was read from; ignored by :func:`write`, which returns the new one."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_classes(self.classes)
        if not 0 < self.temperature < math.inf:
            _refuse("model-damaged", f"The temperature is {self.temperature}, not above 0.")
        _check_golden(self.golden_inputs, self.golden_scores, self.spec, len(self.classes))
        check_onnx(self.onnx)

    @property
    def temperature(self) -> float:
        """What the logits are divided by before softmax; above 0."""
        value = self.decision.get("temperature", 1.0)
        return float(value) if type(value) in (int, float) else math.nan


def inspect(path: Path | str) -> Header:
    """Read a file's header without opening its network or any other part.

    Raises
    ------
    UsageError
        ``no-model``: there is no such file.
    BundleError
        ``model-damaged``, ``model-newer`` or ``model-unsafe``.
    """
    with _opened(path) as (_, header, _members):
        return header


def read(path: Path | str, *, weights: bool = False) -> Bundle:
    """Read a file, checking the hash of every part.

    Parameters
    ----------
    path : Path or str
        A ``.fieldmark`` file.
    weights : bool, default=False
        Parse the weights too. Answering does not need them; writing the bundle again does.

    Raises
    ------
    UsageError
        ``no-model``: there is no such file.
    BundleError
        ``model-damaged``, ``model-newer`` or ``model-unsafe``.
    """
    with _opened(path) as (stream, header, members):
        contents = {}
        for member, part in zip(members[1:], header.parts, strict=True):
            wanted = weights or member.name != _WEIGHTS
            contents[member.name] = _checked_part(stream, member, part.sha256, keep=wanted)
        return _assemble(header, contents, weights=weights)


def write(path: Path | str, bundle: Bundle, *, overwrite: bool = False) -> str:
    """Write a file, all of it or none of it, and return its model id.

    The bytes go to a temporary name in the same folder, reach the disk, and then take the name.

    Raises
    ------
    UsageError
        ``file-exists`` without ``overwrite``; ``weights-not-read`` if the bundle came from
        :func:`read` without its weights.
    BundleError
        If a part cannot be written so that it could be read again.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise UsageError(
            f"{path.name} exists already.",
            code="file-exists",
            where=str(path),
            why="Nothing is overwritten unasked.",
            hint="choose another name, or ask for overwriting",
        )
    parts = _encoded(bundle)
    manifest = _dump(
        {
            "format": FORMAT,
            "fieldmark": __version__,
            "name": bundle.name,
            "created": bundle.created,
            "network": _network_id(parts["network.txt"]),
            "parts": {
                name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in parts.items()
            },
        }
    )
    contents = [(name, data) for name, data in ((_MANIFEST, manifest), *parts.items())]
    members, directory = _layout((name, zlib.crc32(data), len(data)) for name, data in contents)
    if len(manifest) > _MAX_MANIFEST_BYTES or sum(m.size for m in members) > MAX_BYTES - (1 << 16):
        _refuse("model-unsafe", "The model is larger than a model file may be, 1 GiB.")
    pieces: list[bytes] = []
    for member, (_, data) in zip(members, contents, strict=True):
        pieces += [member.local(), data]
    _replace(path, [*pieces, directory])
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"
