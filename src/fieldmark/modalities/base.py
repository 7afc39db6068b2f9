"""What every kind of data agrees on: the one array a network accepts, and how a file becomes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import BundleError, UsageError

Fit = Literal["crop", "pad", "stretch"]
"""How a picture of another shape fills the frame: cut the long side, add borders, or distort."""

DECODE_VERSION = 1
"""Raised when decoding changes a single pixel: no cache or bundle is read with other eyes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The array a network accepts and the rules by which a file becomes it: the decode spec.

    The same spec is used in training, prediction and serving and travels in the bundle.

    Examples
    --------
    >>> InputSpec(height=64, width=64).shape
    (64, 64, 3)
    """

    height: int
    """Rows, in pixels, 8 to 2048."""
    width: int
    """Columns, in pixels, 8 to 2048."""
    channels: int = 3
    """3 is RGB; 1 is grey."""
    fit: Fit = "crop"
    """``crop`` keeps the middle, ``pad`` adds borders in ``background``, ``stretch`` distorts."""
    background: int = 255
    """Grey value, 0 to 255, behind transparent pixels and in the borders of ``pad``."""
    version: int = DECODE_VERSION
    """Of the decoding rules; see :data:`DECODE_VERSION`."""

    def __post_init__(self) -> None:
        problem = ""
        if not (8 <= self.height <= 2048 and 8 <= self.width <= 2048):
            problem = f"an input of {self.height}x{self.width} pixels; 8x8 to 2048x2048 is possible"
        elif self.channels not in (1, 3):
            problem = f"{self.channels} channels; 3 (RGB) or 1 (grey) is possible"
        elif self.fit not in get_args(Fit):
            problem = f"fit {self.fit!r}; crop, pad or stretch is possible"
        elif not 0 <= self.background <= 255:
            problem = f"a background of {self.background}; 0 to 255 is possible"
        if problem:
            raise UsageError(
                f"The input was asked to be {problem}.",
                code="input-spec",
                hint="choose another --size or --fit",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the uint8 array."""
        return (self.height, self.width, self.channels)

    @property
    def key(self) -> str:
        """16 hex digits that differ whenever any rule differs; part of every cache key."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> InputSpec:
        """Read what :meth:`to_dict` wrote; refuse unknown fields and newer rules."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown or int(fields.get("version", 1)) > DECODE_VERSION:
            raise BundleError(
                f"The decode spec is newer than this fieldmark understands: {unknown or fields}.",
                code="model-newer",
                why="Pictures would be prepared in another way than the network was trained with.",
                hint="upgrade fieldmark",
            )
        return cls(**fields)


class Modality(Protocol):
    """A kind of data: pictures now; sounds, texts and clips fit the same four names."""

    name: str
    suffixes: frozenset[str]
    """Lower case, with the dot: what :mod:`fieldmark.data.scan` picks up; content decides later."""

    def decode(self, data: bytes, spec: InputSpec) -> NDArray[np.uint8]:
        """Turn one file's bytes into an array of exactly ``spec.shape``.

        Raises
        ------
        UnreadableExample
            With the reason as its code.
        """
        ...
