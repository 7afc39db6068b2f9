"""From a layer list to a plan: what volume stands where, and whether every layer fits.

Pure. :func:`plan` unfolds repeats, adds what the language implies (FLATTEN before FC, the sum that
closes a residual block), names every layer, and checks that each one fits the volume it meets. The
Keras model, the ONNX graph and the layer table are all read off the same :class:`Plan`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from fieldmark.networks.backbones import misfit, stage_items
from fieldmark.networks.ending import check_width, ending, fail_in
from fieldmark.networks.foreign import ForeignBackbone
from fieldmark.networks.layers import (
    Activation,
    Backbone,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GlobalPool,
    Item,
    Layer,
    Network,
    Pair,
    Pool,
    Repeat,
    Residual,
)
from fieldmark.networks.steps import Add, Concat, Plan, Span, Step, Volume

__all__ = [
    "BN_EPSILON",
    "MAX_WEIGHTS",
    "PIXEL_SCALE",
    "Add",
    "Concat",
    "Plan",
    "Span",
    "Step",
    "Volume",
    "plan",
    "resized",
    "shown",
]

BN_EPSILON: Final = 1e-3
"""Added to a variance before its root: Keras' default, in training and in the graph."""
PIXEL_SCALE: Final = 1.0 / 255.0
"""Pixels 0..255 become 0..1, inside the network."""

MAX_WEIGHTS: Final = 200_000_000
"""0.8 GB of float32; a list from a stranger's file cannot ask for more."""
MAX_VALUES: Final = 100_000_000
"""Numbers in one volume, for one picture."""


def plan(network: Network, n_classes: int, *, foreign: ForeignBackbone | None = None) -> Plan:
    """Make a layer list concrete.

    Parameters
    ----------
    network : Network
        As parsed. It ends in an FC; a SIGMOID or SOFTMAX behind that is allowed and implied.
    n_classes : int
        At least 2.
    foreign : ForeignBackbone, optional
        What BACKBONE ``onnx:FILE`` or ``keras:NAME`` of the list stands for, read beforehand.

    Returns
    -------
    Plan
        Its last step is the last FC, which gives logits.

    Raises
    ------
    LayerListError
        Code ``layer-list``: a layer does not fit; says what volume stood there and what would fit.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> tutorial = parse("INPUT 64x64x3 -> CONV 32 3x3 -> RELU -> POOL 2x2 -> FC 128 -> RELU -> FC")
    >>> [step.output for step in plan(tutorial, 5).steps]
    [(62, 62, 32), (62, 62, 32), (31, 31, 32), (30752,), (128,), (128,), (5,)]
    """
    return _Builder(network, n_classes, foreign).build()


@dataclass
class _Builder:
    network: Network
    n_classes: int
    foreign: ForeignBackbone | None = None
    steps: list[Step] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    n_values: int = 0
    backbone: Span | None = None
    within: Backbone | None = None
    """The word whose layers are being placed: they stand nowhere in the text."""

    def build(self) -> Plan:
        body, last = ending(self.network)
        volume = self._place_all(body)
        check_width(self.network, last, volume[0], self.n_classes)
        steps = tuple(self.steps)
        built = Plan(self.network, steps, self.n_classes, self.backbone, foreign=self.foreign)
        if built.n_weights > MAX_WEIGHTS:
            self._fail(
                self.network.input.at,
                f"The network has {built.n_weights:,} weights; {MAX_WEIGHTS:,} is the most.",
                hint="use fewer units or filters, or GAP before the FC",
            )
        return built

    def _place_all(self, items: tuple[Item, ...]) -> Volume:
        for position, item in enumerate(items):
            behind = items[position + 1] if position + 1 < len(items) else None
            match item:
                case Repeat():
                    for _ in range(item.times):
                        self._place_all(item.body)
                case Residual():
                    self._place_residual(item)
                case Backbone():
                    self._place_backbone(item)
                case _:
                    self._place(item, normalised=isinstance(behind, BatchNorm))
        return self._volume()

    def _place_residual(self, block: Residual) -> None:
        start, entered = len(self.steps) - 1, self._volume()
        self._place_all(block.body)
        left = self._volume()
        if left != entered:
            self._fail(
                block.at,
                f"The block takes {shown(entered)} and gives {shown(left)}; the two are added.",
                hint="use same, step 1 and as many filters as come in; POOL stands outside of {}",
            )
        self._append("add", Add(), left, sources=(len(self.steps) - 1, start))

    def _place_backbone(self, item: Backbone) -> None:
        self.within = item
        trouble = misfit(item, self._volume(), first=not self.steps)
        if trouble is not None:
            self._fail(item.at, trouble[0], hint=trouble[1])
        if item.is_foreign:
            self._place_foreign(item)
            self.within = None
            return
        ends = []
        for items in stage_items(item.source):
            self._place_all(items)
            ends.append(len(self.steps) - 1)
        lists = [self._average(at) for at in (ends[-1], *reversed(ends[-1 - item.stages : -1]))]
        if len(lists) > 1:
            total = sum(self.steps[at].output[0] for at in lists)
            self._append("concat", Concat(), (total,), sources=tuple(lists))
        self.backbone = Span(source=item.source, stop=len(self.steps), ends=tuple(ends))
        self.within = None

    def _place_foreign(self, item: Backbone) -> None:
        foreign, height, width = self.foreign, *self.network_volume[:2]
        if foreign is None or (foreign.source, foreign.size) != (item.source, (height, width)):
            what = f"{item.source} was not read for pictures of {height}x{width}."
            self._fail(item.at, what, hint="let BACKBONE stand alone, right behind INPUT")
        self._append("backbone", item, foreign.output)
        if len(foreign.output) == 3:
            self._average(0)
        self.backbone = Span(source=item.source, stop=len(self.steps), ends=())

    def _average(self, at: int) -> int:
        self._append("gap", GlobalPool("mean"), self.steps[at].output[2:], sources=(at,))
        return len(self.steps) - 1

    def _place(self, layer: Layer, *, normalised: bool) -> None:
        volume = self._volume()
        if isinstance(layer, Dense) and len(volume) == 3:
            self._append("flatten", Flatten(), (math.prod(volume),))
            volume = self._volume()
        output = self._output(layer, volume)
        has_bias = isinstance(layer, (Conv, Dense)) and not normalised
        self._append(_stem(layer), layer, output, bias=has_bias)

    def _output(self, layer: Layer, volume: Volume) -> Volume:
        match layer:
            case Conv() | Pool() | GlobalPool() if len(volume) != 3:
                self._fail(
                    layer.at,
                    f"{layer} needs rows and columns; a list of {volume[0]} numbers stands here.",
                    hint="put it before FLATTEN, GAP, GMP and FC",
                )
            case Conv(kernel=kernel, padding=padding, step=step):
                rows, columns = self._windows(layer, volume, kernel, padding, (step, step))
                return (rows, columns, volume[2] if layer.filters is None else layer.filters)
            case Pool(kernel=kernel, padding=padding):
                return (*self._windows(layer, volume, kernel, padding, layer.steps), volume[2])
            case GlobalPool():
                return (volume[2],)
            case Flatten():
                return (math.prod(volume),)
            case Dense(units=units):
                if units is None and layer is not self.network.items[-1]:
                    self._check_open_width(layer)
                return (self.n_classes if units is None else units,)
            case Activation(function="softmax"):
                self._fail(layer.at, "SOFTMAX stands only at the end.", hint="use RELU in between")
        return volume

    def _check_open_width(self, layer: Dense) -> None:
        behind = self.network.items[-2:]
        if any(layer is item for item in behind) and isinstance(behind[-1], Activation):
            return
        self._fail(layer.at, "Only the last FC may leave its width out.", hint="write FC 128")

    def _windows(
        self, layer: Conv | Pool, volume: Volume, kernel: Pair, padding: str, steps: Pair
    ) -> Pair:
        if padding == "same":
            return math.ceil(volume[0] / steps[0]), math.ceil(volume[1] / steps[1])
        if kernel[0] > volume[0] or kernel[1] > volume[1]:
            largest = f"{min(kernel[0], volume[0])}x{min(kernel[1], volume[1])}"
            self._fail(
                layer.at,
                f"{layer} does not fit: the volume here is {shown(volume)}.",
                why="A window without border cannot be larger than what it looks at.",
                hint=f"at most {largest}, or same, or fewer layers that shrink before it",
            )
        return (volume[0] - kernel[0]) // steps[0] + 1, (volume[1] - kernel[1]) // steps[1] + 1

    def _volume(self) -> Volume:
        return self.steps[-1].output if self.steps else self.network_volume

    @property
    def network_volume(self) -> Volume:
        given = self.network.input
        return given.height, given.width, given.channels

    def _append(
        self,
        stem: str,
        layer: Layer | Backbone | Add | Concat,
        output: Volume,
        *,
        sources: tuple[int, ...] | None = None,
        bias: bool = False,
    ) -> None:
        self.counts[stem] = self.counts.get(stem, 0) + 1
        name = f"{stem}{self.counts[stem]}"
        reads = (len(self.steps) - 1,) if sources is None else sources
        before = self.steps[reads[0]].output if reads[0] >= 0 else self.network_volume
        self.n_values += math.prod(output)
        if self.n_values > MAX_VALUES:
            at = getattr(layer, "at", 0)
            self._fail(
                at,
                f"The volumes hold over {MAX_VALUES:,} numbers.",
                hint="a smaller INPUT, or shrink earlier",
            )
        self.steps.append(Step(name, layer, reads, before, output, bias))

    def _fail(self, at: int, what: str, *, hint: str, why: str = "") -> NoReturn:
        at = self.within.at if self.within else at
        fail_in(self.network, at, what, hint=hint, why=why)


def _stem(layer: Layer) -> str:
    if isinstance(layer, Conv):
        return "conv" if layer.filters is not None else "dwconv"
    word = str(layer).split()[0].lower()
    return "relu6_" if word == "relu6" else word


def shown(volume: Volume) -> str:
    """Print a volume as people do: ``62x62x32``, ``128``."""
    return "x".join(str(size) for size in volume)


def resized(network: Network, height: int, width: int) -> Network:
    """Return the same list for a picture of another size."""
    return replace(network, input=replace(network.input, height=height, width=width), text="")
