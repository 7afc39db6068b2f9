"""How fast this computer is: a few figures in two or three seconds, each with its doubt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from fieldmark import rng
from fieldmark.errors import FieldmarkError
from fieldmark.evaluation.resampling import mean_interval

BUDGET_S: Final = 0.6
"""Of each figure, after one round to warm up."""
LEAST: Final = 5
"""Rounds, however long they take."""
SIDE: Final = 1024
"""Of the matrices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One figure, as a rate."""

    name: str
    value: float
    low: float
    """Ends of the 95 % interval: a bootstrap of the rounds' times."""
    high: float
    unit: str
    n: int
    """Rounds."""
    conditions: str

    def __str__(self) -> str:
        value, low, high = (_short(each) for each in (self.value, self.low, self.high))
        return f"{value} {self.unit} ({low} to {high}, {self.n} rounds; {self.conditions})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def speeds(threads: int, backbone: str) -> tuple[Speed, ...]:
    """Measure decoding, multiplying and, where a backbone is installed, answering.

    Parameters
    ----------
    threads : int
        That answer.
    backbone : str
        Its name; empty: none is installed.

    Returns
    -------
    tuple of Speed
        Without those that an installation lacks the packages for.
    """
    found = []
    for measure in (_decoding, _multiplying, lambda: _answering(threads, backbone)):
        try:
            found += list(measure())
        except (ImportError, FieldmarkError):  # said among what is missing
            continue
    return tuple(found)


def _decoding() -> Iterator[Speed]:
    from fieldmark.modalities import MODALITIES
    from fieldmark.modalities.base import InputSpec
    from fieldmark.modalities.encode import encode_jpeg

    coarse = rng.derive(0, "doctor").integers(0, 256, (12, 16, 3))
    picture = np.kron(coarse, np.ones((40, 40, 1))).astype(np.uint8)
    data, spec = encode_jpeg(picture), InputSpec(height=224, width=224, channels=3)
    image = MODALITIES["image"]
    conditions = "JPEG 640x480 to 224x224, one thread"
    yield _measured("decoding", "pictures/s", lambda: image.decode(data, spec), 1, conditions)


def _multiplying() -> Iterator[Speed]:
    one = rng.derive(0, "doctor").random((SIDE, SIDE), dtype=np.float32)
    conditions = f"NumPy, float32 {SIDE:,}x{SIDE:,}"
    yield _measured("matrices", "GFLOP/s", lambda: one @ one, 2 * SIDE**3 / 1e9, conditions)


def _answering(threads: int, backbone: str) -> Iterator[Speed]:
    if not backbone:
        return
    from fieldmark.inference.runtime import open_runtime
    from fieldmark.networks import weights
    from fieldmark.networks.backbones import BACKBONES
    from fieldmark.networks.onnx_graph import onnx_graph
    from fieldmark.networks.parser import parse
    from fieldmark.networks.volumes import plan

    size = BACKBONES[backbone].size
    made = plan(parse(f"INPUT {size}x{size}x3 -> BACKBONE {backbone} -> FC"), 2)
    given = weights.pretrained(made)
    shapes = made.weight_shapes.items()
    head = {name: np.zeros(shape, np.float32) for name, shape in shapes if name not in given}
    runtime = open_runtime(onnx_graph(made, given | head), threads=threads)
    pixels = rng.derive(0, "doctor").integers(0, 256, (8, size, size, 3), dtype=np.uint8)
    conditions = f"{backbone}, batches of 8, {runtime.name}, {threads} threads"
    yield _measured("answering", "pictures/s", lambda: runtime.run(pixels), 8, conditions)


def _measured(
    name: str, unit: str, work: Callable[[], object], amount: float, conditions: str
) -> Speed:
    """Repeat some work for a while; ``amount`` is what one round does of the unit."""
    work()
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < LEAST or time.perf_counter() - began < BUDGET_S:
        before = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - before)
    times = np.array(seconds)
    short, long = mean_interval(times, rng=rng.derive(0, "doctor", name))
    return Speed(
        name=name,
        value=amount / float(times.mean()),
        low=amount / long,
        high=amount / short,
        unit=unit,
        n=len(times),
        conditions=conditions,
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
