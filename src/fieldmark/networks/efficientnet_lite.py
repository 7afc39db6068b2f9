"""EfficientNet-Lite0, 1 and 2 as layer lists: a stem, seven stages of MBConv blocks, a head.

An MBConv block widens its input by CONV 1x1, filters each map by DWCONV, narrows it again by
CONV 1x1, and adds its input back where the volumes allow it. The Lite variants have RELU6 for
Swish and no squeeze-and-excitation, so that they quantise well.

The BN behind INPUT is the scaling these weights were trained with, (pixel - 127) / 128, in the
words of the language: its weights are numbers, not learned.

References
----------
Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019,
arXiv:1905.11946; the Lite variants are Google's, 2020 (tensorflow/tpu, efficientnet/lite).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

PIXEL_MEAN: Final = 127.0
PIXEL_DEVIATION: Final = 128.0
"""Both on the scale 0 to 255, for every channel."""


@dataclass(frozen=True, slots=True)
class _Stage:
    blocks: int
    kernel: int
    step: int
    expansion: int
    width: int


_STAGES: Final = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM_WIDTH: Final = 32
_HEAD_WIDTH: Final = 1280


def stages(width: float, depth: float) -> tuple[str, ...]:
    """Return the stem, the seven stages and the head, each as a layer list without INPUT.

    Parameters
    ----------
    width, depth : float
        Multipliers of the maps and of the blocks of each stage; 1.0 and 1.0 are Lite0. Stem, first
        stage's depth, last stage's depth and head are not scaled.

    Examples
    --------
    >>> stages(1.0, 1.0)[0]
    'BN -> CONV 32 3x3 same step 2 -> BN -> RELU6'
    >>> stages(1.0, 1.0)[1]
    'DWCONV 3x3 same -> BN -> RELU6 -> CONV 16 1x1 -> BN'
    """
    found = [f"BN -> CONV {_STEM_WIDTH} 3x3 same step 2 -> BN -> RELU6"]
    maps = _STEM_WIDTH
    for stage in _STAGES:
        fixed = stage in (_STAGES[0], _STAGES[-1])
        blocks = stage.blocks if fixed else math.ceil(stage.blocks * depth)
        wide = _rounded(stage.width * width)
        first = _block(stage, maps, wide, step=stage.step)
        more = [_block(stage, wide, wide, step=1)] * (blocks - 1)
        found.append(" -> ".join([first, *more]))
        maps = wide
    found.append(f"CONV {_HEAD_WIDTH} 1x1 -> BN -> RELU6")
    return tuple(found)


def _block(stage: _Stage, maps: int, width: int, *, step: int) -> str:
    inner = maps * stage.expansion
    layers = [f"CONV {inner} 1x1 -> BN -> RELU6"] if stage.expansion > 1 else []
    pace = f" step {step}" if step > 1 else ""
    layers.append(f"DWCONV {stage.kernel}x{stage.kernel} same{pace} -> BN -> RELU6")
    layers.append(f"CONV {width} 1x1 -> BN")
    text = " -> ".join(layers)
    return f"{{{text}}}" if step == 1 and maps == width else text


def _rounded(width: float) -> int:
    """Round to a multiple of 8, never by more than a tenth downwards."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
