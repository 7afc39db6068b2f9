"""The layer language: a network is a list of layers. Its words, as values that print themselves.

::

    INPUT 64x64x3 -> [CONV 32 3x3 same -> BN -> RELU -> POOL 2x2]*3 -> GAP -> FC

``->`` or a new line separates, ``[...]*n`` repeats, ``{...}`` adds its input back (a residual
block), ``#`` starts a comment, upper and lower case mean the same.
:mod:`~fieldmark.networks.parser` reads the text; whether the volumes fit is
:mod:`~fieldmark.networks.volumes`' question.

Pure. Printing and parsing are inverse: ``parser.parse(str(network)) == network``.

==========  ==============================  =====================================================
word        arguments                       meaning
==========  ==============================  =====================================================
INPUT       HxWxC                           the picture; C is 1 (grey) or 3 (RGB)
CONV        n HxW [same|valid] [step n]     n filters of HxW; ``valid`` (the default) adds no border
DWCONV      HxW [same|valid] [step n]       one filter per map (depthwise)
POOL        HxW [same|valid] [step n]       the largest of HxW; the step is the window unless given
AVGPOOL     HxW [same|valid] [step n]       the average of HxW
GAP, GMP                                    average, or largest, of each whole map
BN                                          batch normalisation
RELU                                        max(0, x)
RELU6                                       min(max(0, x), 6)
SIGMOID                                     1 / (1 + exp(-x))
SOFTMAX                                     scores to shares of 1; last layer only
DROPOUT     rate                            in training, sets a share of the values to 0
FLATTEN                                     volume to list; implied before FC
FC          [n]                             n units; the last FC takes its width from the classes
BACKBONE    name [stages n] [scale s]       a pretrained network up to its features, right behind
                                            INPUT; ``stages n`` adds the averages of its last n
                                            stages to the features. From elsewhere: ``onnx:FILE``
                                            or ``keras:NAME``, with the ``scale`` of its pixels
==========  ==============================  =====================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

Pair = tuple[int, int]
Padding = Literal["valid", "same"]
Reduce = Literal["max", "mean"]
Function = Literal["relu", "relu6", "sigmoid", "softmax"]
Scale = Literal["imagenet", "unit", "centred", "none"]


@dataclass(frozen=True, slots=True)
class _Read:
    at: int = field(default=0, compare=False, kw_only=True)
    """Where the word stands in the text it was read from."""


@dataclass(frozen=True, slots=True)
class Input(_Read):
    """INPUT: the picture's rows, columns and channels."""

    height: int
    width: int
    channels: int

    def __str__(self) -> str:
        return f"INPUT {self.height}x{self.width}x{self.channels}"


@dataclass(frozen=True, slots=True)
class Conv(_Read):
    """CONV: filters over all maps, or DWCONV (``filters`` is None): one filter per map."""

    filters: int | None
    kernel: Pair
    padding: Padding = "valid"
    step: int = 1

    def __str__(self) -> str:
        head = "DWCONV" if self.filters is None else f"CONV {self.filters}"
        return head + _window(self.kernel, self.padding, self.step, usual=1)


@dataclass(frozen=True, slots=True)
class Pool(_Read):
    """POOL or AVGPOOL: one number per window of each map."""

    reduce: Reduce
    kernel: Pair
    padding: Padding = "valid"
    step: int | None = None
    """None: the window itself, so that windows touch and do not overlap."""

    @property
    def steps(self) -> Pair:
        """Rows and columns moved at a time."""
        return self.kernel if self.step is None else (self.step, self.step)

    def __str__(self) -> str:
        head = "POOL" if self.reduce == "max" else "AVGPOOL"
        return head + _window(self.kernel, self.padding, self.step, usual=None)


@dataclass(frozen=True, slots=True)
class GlobalPool(_Read):
    """GAP or GMP: one number per map."""

    reduce: Reduce

    def __str__(self) -> str:
        return "GAP" if self.reduce == "mean" else "GMP"


@dataclass(frozen=True, slots=True)
class BatchNorm(_Read):
    """BN: each map to mean 0, variance 1 over the batch, then a learned scale and shift."""

    def __str__(self) -> str:
        return "BN"


@dataclass(frozen=True, slots=True)
class Activation(_Read):
    """RELU, RELU6, SIGMOID or SOFTMAX."""

    function: Function

    def __str__(self) -> str:
        return self.function.upper()


@dataclass(frozen=True, slots=True)
class Dropout(_Read):
    """DROPOUT: the share of values set to 0 in training; nothing in prediction."""

    rate: float

    def __str__(self) -> str:
        # Not :g, which prints small rates as 1e-05; the language has no exponents.
        return f"DROPOUT {self.rate:.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Flatten(_Read):
    """FLATTEN: a volume becomes a list, row by row, all channels of a pixel together."""

    def __str__(self) -> str:
        return "FLATTEN"


@dataclass(frozen=True, slots=True)
class Dense(_Read):
    """FC: every unit sees every number."""

    units: int | None = None
    """None: one per class; only the last FC may leave it open."""

    def __str__(self) -> str:
        return "FC" if self.units is None else f"FC {self.units}"


@dataclass(frozen=True, slots=True)
class Backbone(_Read):
    """BACKBONE: a network that was trained on other pictures, up to the features it ends in."""

    source: str
    """A name of :data:`~fieldmark.networks.backbones.BACKBONES`, ``keras:Name``, ``onnx:FILE``."""
    stages: int = 0
    """How many of its last stages are averaged over rows and columns and added to the features."""
    scale: Scale | None = None
    """How pixels become numbers for a network from elsewhere; None: as is usual for its kind."""

    @property
    def is_foreign(self) -> bool:
        """Whether it comes from a file or from Keras, and is not a list of our own."""
        return self.source.startswith(FOREIGN_KINDS)

    def __str__(self) -> str:
        source = self.source if PLAIN_SOURCE.fullmatch(self.source) else f'"{self.source}"'
        stages = f" stages {self.stages}" if self.stages else ""
        return f"BACKBONE {source}{stages}" + (f" scale {self.scale}" if self.scale else "")


FOREIGN_KINDS: Final = ("onnx:", "keras:")
"""How the source of a backbone from elsewhere begins."""


PLAIN_SOURCE = re.compile(r"[\w.](?:[\w.:/\\~+@]|-(?!>))*")
"""What a source may be without quotation marks."""

Layer = Conv | Pool | GlobalPool | BatchNorm | Activation | Dropout | Flatten | Dense


@dataclass(frozen=True, slots=True)
class Repeat(_Read):
    """``[...]*n``."""

    body: tuple[Item, ...]
    times: int

    def __str__(self) -> str:
        return f"[{_joined(self.body)}]*{self.times}"


@dataclass(frozen=True, slots=True)
class Residual(_Read):
    """``{...}``: the output of the body plus its input."""

    body: tuple[Item, ...]

    def __str__(self) -> str:
        return "{" + _joined(self.body) + "}"


Item = Layer | Backbone | Repeat | Residual


@dataclass(frozen=True, slots=True)
class Network:
    """A parsed layer list. ``str`` gives its canonical text."""

    input: Input
    items: tuple[Item, ...]
    text: str = field(default="", compare=False)
    """As it was written; errors point into it."""

    def __str__(self) -> str:
        return _joined((self.input, *self.items))


def _joined(items: tuple[Item | Input, ...]) -> str:
    return " -> ".join(str(item) for item in items)


def _window(kernel: Pair, padding: Padding, step: int | None, *, usual: int | None) -> str:
    words = f" {kernel[0]}x{kernel[1]}"
    if padding == "same":
        words += " same"
    if step != usual:
        words += f" step {step}"
    return words
