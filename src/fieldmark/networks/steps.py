"""What a plan is: steps that read each other, each with its volumes and its weights. Values.

:mod:`~fieldmark.networks.volumes` makes them of a layer list and offers their names as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fieldmark.networks.foreign import ForeignBackbone
from fieldmark.networks.layers import Backbone, BatchNorm, Conv, Dense, Flatten, Layer, Network

Volume = tuple[int, ...]
"""(height, width, maps), or (n,) once it is a list."""


@dataclass(frozen=True, slots=True)
class Add:
    """The sum that closes a residual block."""


@dataclass(frozen=True, slots=True)
class Concat:
    """Lists put behind each other: the features of a backbone and the averages of its stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where the pretrained part of a plan stands; it always starts at the first step."""

    source: str
    """The backbone's name."""
    stop: int
    """Position of the first step behind it."""
    ends: tuple[int, ...]
    """Position of the last step of stem, every stage and head: where the network can be cut."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of the plan."""

    name: str
    """``conv1``, ``relu1``, ...: the same in Keras, ONNX, the weights file and the table."""
    layer: Layer | Backbone | Add | Concat
    """BACKBONE: one from elsewhere, whole; our own are unfolded."""
    sources: tuple[int, ...]
    """Positions of the steps whose output this reads; -1 is the picture."""
    input: Volume
    output: Volume
    bias: bool = False
    """CONV and FC: whether a bias is added. A BN right behind makes it pointless: none then."""

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by weight name, kernels as in Keras: (rows, columns, maps in, filters)."""
        shapes: dict[str, tuple[int, ...]]
        match self.layer:
            case Conv(filters=None, kernel=kernel):
                shapes = {"kernel": (*kernel, self.input[2], 1)}
            case Conv(kernel=kernel):
                shapes = {"kernel": (*kernel, self.input[2], self.output[2])}
            case Dense():
                shapes = {"kernel": (self.input[0], self.output[0])}
            case BatchNorm():
                each = (self.output[-1],)
                return {"gamma": each, "beta": each, "mean": each, "variance": each}
            case _:
                return {}
        return shapes | ({"bias": (self.output[-1],)} if self.bias else {})

    @property
    def n_weights(self) -> int:
        """How many numbers this step learns or keeps."""
        return sum(math.prod(shape) for shape in self.weight_shapes.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """A layer list made concrete for a number of classes."""

    network: Network
    steps: tuple[Step, ...]
    n_classes: int
    backbone: Span | None = None
    """The pretrained part, if there is one."""
    entering: Volume | None = None
    """Of the back of a cut plan: the volume of float32 numbers it reads instead of a picture."""
    foreign: ForeignBackbone | None = None
    """The pretrained part, if it comes from elsewhere."""

    @property
    def input(self) -> tuple[int, int, int]:
        """(height, width, channels) of the picture, or of what enters instead of it."""
        if self.entering is not None:
            return self.entering[0], self.entering[1], self.entering[2]
        given = self.network.input
        return given.height, given.width, given.channels

    @property
    def n_outputs(self) -> int:
        """Width of the last FC: one per class, or 1 for a sigmoid over two classes."""
        return self.steps[-1].output[0]

    @property
    def maps_at(self) -> int:
        """Position of the step that gives the last feature map; -1 is the picture itself."""
        spatial = [at for at, step in enumerate(self.steps) if len(step.output) == 3]
        return spatial[-1] if spatial else -1

    @property
    def features_at(self) -> int:
        """Position of the step whose output the last FC reads."""
        return self.steps[-1].sources[0]

    @property
    def size_free(self) -> bool:
        """Whether the same weights fit pictures of other sizes: no FLATTEN, only GAP or GMP."""
        return not any(isinstance(step.layer, Flatten) for step in self.steps)

    @property
    def n_weights(self) -> int:
        """Numbers learned or kept, batch normalisation's averages included."""
        return sum(step.n_weights for step in self.steps)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight by its full name, ``conv1/kernel``."""
        return {
            f"{step.name}/{name}": shape
            for step in self.steps
            for name, shape in step.weight_shapes.items()
        }
