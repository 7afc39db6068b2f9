"""A backbone from elsewhere, an ONNX file or a network of Keras: what is known once it is read.

Pure: :mod:`~fieldmark.networks.foreign_file` reads. It is frozen and run as it is; what is ours is
how pixels become its numbers, and the head on its features.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from fieldmark.networks.layers import Scale

Layout = Literal["nchw", "nhwc"]
Channels = tuple[float, float, float]

INPUT: Final = "x"
OUTPUT: Final = "y"
"""Names of input and output in :attr:`ForeignBackbone.onnx`."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """(pixel - mean) / deviation, both on the scale 0 to 255."""

    mean: Channels
    deviation: Channels
    bgr: bool = False
    """Whether the network wants blue first; mean and deviation stand in its order."""


SCALINGS: Final[dict[Scale, Scaling]] = {
    "imagenet": Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "unit": Scaling((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    "centred": Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "none": Scaling((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Word of the language -> what it means. ``imagenet``: mean and spread of its pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignBackbone:
    """A network that was trained elsewhere, up to its features."""

    source: str
    """As the layer list names it."""
    onnx: bytes = field(repr=False)
    """One input, one output, opset 17; only what the output needs, under names of our own."""
    input_name: str
    output_name: str
    """As the original names them."""
    layout: Layout
    """Of the input."""
    size: tuple[int, int]
    """Rows and columns of the pictures it was read for."""
    output: tuple[int, ...]
    """(n_features,), or (rows, columns, maps) of the last feature map, which is then averaged."""
    scaling: Scaling
    sha256: str
    """Of the file; of :attr:`onnx` where Keras wrote it, whose files differ in names each time."""
    n_weights: int
    multiply_adds: int
    """For one picture, of its convolutions and products."""

    @property
    def n_features(self) -> int:
        """How many numbers the head sees."""
        return self.output[-1]

    @property
    def key(self) -> str:
        """Text that differs whenever a feature could."""
        return f"{self.sha256} {self.output_name} {self.layout} {self.scaling}"


def file_and_output(source: str) -> tuple[str, str]:
    """Split what stands behind ``onnx:`` or ``keras:`` at its ``@``.

    Behind ``onnx:`` the ``@`` counts after ``.onnx`` only, so that folders may have one.

    Examples
    --------
    >>> file_and_output("onnx:nets@home/resnet.onnx@pool5")
    ('nets@home/resnet.onnx', 'pool5')
    >>> file_and_output("keras:MobileNetV2")
    ('MobileNetV2', '')
    """
    kind, _, rest = source.partition(":")
    if kind == "keras":
        name, _, file = rest.partition("@")
        return name, file
    stem, mark, output = rest.partition(".onnx@")
    return (f"{stem}.onnx", output) if mark else (rest, "")


def without_folder(source: str) -> str:
    """Name the same backbone without where it lies on this computer.

    Examples
    --------
    >>> without_folder("onnx:/home/me/nets/resnet.onnx@pool5")
    'onnx:resnet.onnx@pool5'
    >>> without_folder("keras:MobileNetV2@nets/own.weights.h5")
    'keras:MobileNetV2@own.weights.h5'
    """
    kind, _, _ = source.partition(":")
    first, second = file_and_output(source)
    if kind == "keras":
        second = _last(second)
    else:
        first = _last(first)
    return f"{kind}:{first}" + (f"@{second}" if second else "")


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
