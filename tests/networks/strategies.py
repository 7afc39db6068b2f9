"""Random layer lists that fit, over the whole vocabulary; and random weights for them.

The arithmetic of volumes is written here a second time on purpose: what ``volumes`` says is held
against it. Values are drawn in their normal form, so that printing and parsing give them back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.networks.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Input,
    Item,
    Network,
    Pool,
    Repeat,
    Residual,
)
from fieldmark.networks.volumes import Plan

Volume = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One drawn list, what it is for, and the volume its last FC gives."""

    network: Network
    n_classes: int
    n_outputs: int


def volume_behind(item: Item, volume: Volume) -> Volume | None:
    """Say what stands behind an item; None if it does not fit. Independent of the source."""
    match item:
        case Repeat(body=body, times=times):
            return volume_behind_all(body * times, volume)
        case Residual(body=body):
            return volume if volume_behind_all(body, volume) == volume else None
        case Conv(filters=filters, kernel=kernel, padding=padding, step=step):
            return _windows(volume, kernel, padding, (step, step), filters or volume[-1])
        case Pool(kernel=kernel, padding=padding):
            steps = kernel if item.step is None else (item.step, item.step)
            return _windows(volume, kernel, padding, steps, volume[-1])
        case GlobalPool():
            return volume[-1:] if len(volume) == 3 else None
        case Flatten():
            return (math.prod(volume),)
        case Dense(units=units):
            return (units or 0,)
    return volume


def volume_behind_all(items: tuple[Item, ...], volume: Volume) -> Volume | None:
    """Say what stands behind a row of items."""
    for item in items:
        found = volume_behind(item, volume)
        if found is None:
            return None
        volume = found
    return volume


def _windows(
    volume: Volume, kernel: tuple[int, int], padding: str, steps: tuple[int, int], maps: int
) -> Volume | None:
    if len(volume) != 3:
        return None
    if padding == "same":
        return (-(-volume[0] // steps[0]), -(-volume[1] // steps[1]), maps)
    if kernel[0] > volume[0] or kernel[1] > volume[1]:
        return None
    rows = len(range(0, volume[0] - kernel[0] + 1, steps[0]))
    return (rows, len(range(0, volume[1] - kernel[1] + 1, steps[1])), maps)


kernels = st.tuples(st.integers(1, 4), st.integers(1, 4))
paddings = st.sampled_from(["valid", "same"])
activations = st.sampled_from(["relu", "relu6", "sigmoid"]).map(Activation)
rates = st.integers(0, 999_999).map(lambda millionths: millionths / 1_000_000)
plain = st.one_of(st.just(BatchNorm()), activations, activations, rates.map(Dropout))
"""Layers that leave any volume as it is."""


@st.composite
def convs(draw: st.DrawFn) -> Conv:
    """Draw CONV or DWCONV."""
    filters = draw(st.one_of(st.integers(1, 6), st.none()))
    return Conv(filters, draw(kernels), draw(paddings), draw(st.integers(1, 3)))


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Draw POOL or AVGPOOL, also with windows that overlap or leave gaps."""
    kernel = draw(kernels)
    step = draw(st.one_of(st.none(), st.integers(1, 3)))
    return Pool(
        draw(st.sampled_from(["max", "max", "mean"])),
        kernel,
        draw(paddings),
        None if step is None or kernel == (step, step) else step,
    )


@st.composite
def keeping(draw: st.DrawFn, maps: int, depth: int) -> tuple[Item, ...]:
    """Draw items behind which a volume of ``maps`` maps has the size it had."""
    body: list[Item] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["conv", "two", "dwconv", "pool", "plain", "block"]))
        kernel = draw(kernels)
        if kind == "conv":
            body.append(Conv(maps, kernel, "same"))
        elif kind == "two":
            body += [Conv(draw(st.integers(1, 5)), kernel, "same"), Conv(maps, kernel, "same")]
        elif kind == "dwconv":
            body.append(Conv(None, kernel, "same"))
        elif kind == "pool":
            reduce = draw(st.sampled_from(["max", "mean"]))
            body.append(Pool(reduce, kernel, "same", None if kernel == (1, 1) else 1))
        elif kind == "block" and depth < 2:
            body.append(Residual(draw(keeping(maps, depth + 1))))
        else:
            body.append(draw(plain))
    return tuple(body)


@st.composite
def spatial_items(draw: st.DrawFn, volume: Volume) -> tuple[Item, ...]:
    """Draw something that fits a volume: a layer, a usual block, a repeat, a residual block."""
    kind = draw(st.sampled_from(["conv", "pool", "plain", "block", "repeat", "residual"]))
    match kind:
        case "conv":
            found: tuple[Item, ...] = (draw(convs()),)
        case "pool":
            found = (draw(pools()),)
        case "plain":
            found = (draw(plain),)
        case "block":
            # The rows that rewrites and folding look for, with and without each part.
            middle = [BatchNorm(), draw(activations)]
            kept = [layer for layer in middle if draw(st.booleans())]
            found = (draw(convs()), *kept, draw(pools()))
        case "residual":
            found = (Residual(draw(keeping(volume[2], 0))),)
        case _:
            body: tuple[Item, ...] = (draw(convs()), draw(plain))
            found = (Repeat(body, draw(st.integers(1, 3))),)
    return found


@st.composite
def list_items(draw: st.DrawFn, volume: Volume) -> tuple[Item, ...]:
    """Draw layers for a list of numbers: FC, BN and activations, residual blocks, FLATTEN again."""
    found: list[Item] = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["fc", "fc-bn", "plain", "flatten", "residual"]))
        match kind:
            case "fc" | "fc-bn":
                found.append(Dense(draw(st.integers(1, 8))))
                found += [BatchNorm()] * (kind == "fc-bn")
                volume = (found[-1].units,) if isinstance(found[-1], Dense) else volume
                volume = volume_behind_all(tuple(found), volume) or volume
            case "plain":
                found.append(draw(plain))
            case "flatten":
                found.append(Flatten())
            case _ if len(volume) == 1 and volume[0] <= 64:
                found.append(Residual((Dense(volume[0]), draw(plain))))
            case _:
                pass
    return tuple(found)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a whole list with its head, and how many classes it is for."""
    sizes = st.integers(8, 20)
    start = Input(draw(sizes), draw(sizes), draw(st.sampled_from([1, 3])))
    items: tuple[Item, ...] = ()
    volume: Volume = (start.height, start.width, start.channels)
    for _ in range(draw(st.integers(0, 5))):
        more = draw(spatial_items(volume))
        found = volume_behind_all(more, volume)
        if found is not None:  # what does not fit is left out
            items, volume = (*items, *more), found
    end = draw(st.sampled_from([None, GlobalPool("mean"), GlobalPool("max"), Flatten()]))
    if end is not None:
        items, volume = (*items, end), volume_behind(end, volume) or volume
    items += draw(list_items(volume))
    n_classes = draw(st.integers(2, 4))
    heads: list[tuple[Item, ...]] = [(Dense(),), (Dense(n_classes),)]
    heads += [(Dense(), Activation("softmax"))]
    heads += [(Dense(1),), (Dense(1), Activation("sigmoid"))] * (n_classes == 2)
    head = draw(st.sampled_from(heads))
    single = head[0] == Dense(1)
    return Case(Network(start, items + head), n_classes, 1 if single else n_classes)


@st.composite
def spellings(draw: st.DrawFn, network: Network) -> str:
    """Write a list as people do: other case, new lines, comments, blanks; the same meaning."""
    words = []
    for word in str(network).split(" "):
        if word == "->":
            word = draw(st.sampled_from(["->", "\n", "->\n", " # why -> not\n", "\r\n", "-> ->"]))
        words.append(draw(st.sampled_from([word, word.lower(), word.capitalize()])))
    return draw(st.sampled_from([" ", "  ", "\t"])).join(words) + draw(
        st.sampled_from(["", "\n", " ->", "  # end"])
    )


def random_weights(plan: Plan, seed: int) -> dict[str, NDArray[np.float32]]:
    """Draw weights as no start has them: biases, shifted averages, gammas below 0."""
    generator = np.random.default_rng(seed)
    found = {}
    for name, shape in plan.weight_shapes.items():
        kind = name.rpartition("/")[2]
        if kind == "kernel":
            n_read = math.prod(shape[:-1]) if shape[-1] > 1 or len(shape) == 2 else shape[0]
            array = generator.normal(0.0, 1.5 / math.sqrt(n_read), shape)
        elif kind == "variance":
            array = generator.uniform(0.3, 3.0, shape)
        else:
            array = generator.normal(0.0, 0.7, shape)
        found[name] = array.astype(np.float32)
    return found


def random_pixels(plan: Plan, n: int, seed: int) -> NDArray[np.uint8]:
    """Draw ``n`` pictures of noise that fit the plan."""
    shape = (n, *plan.input)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
