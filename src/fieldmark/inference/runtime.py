"""What runs a network: a protocol, the promises every engine keeps, and the choice between them.

An engine is a file of its own, ``onnx_runtime.py`` or ``openvino_runtime.py``, and the only one to
import that engine; it does so when a network is opened. A network is given as bytes that have
passed :func:`fieldmark.bundle.check_onnx`, so that nothing on the disk is reached. No engine is a
sandbox: a file from a stranger belongs in a process with limits of its own.
"""

from __future__ import annotations

import importlib.util
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.errors import BundleError, MissingExtra, OutOfMemory, UsageError, out_of_memory

Output = Literal["scores", "logits", "features", "maps"]

OUTPUTS: Final[tuple[Output, ...]] = get_args(Output)
"""What every network gives, if asked."""

INPUT: Final = "pixels"
"""The name of the one input."""

Engine = Literal["auto", "onnxruntime", "openvino"]

ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)
"""What can be asked for; ``auto`` is a choice by the kind of work."""


AGREEMENT: Final = 1e-3
"""The largest difference between two engines, as a share of the largest value or of 1."""

ROUNDED_AGREEMENT: Final = 0.25
"""The same for logits of an int8 network: where a sum lies between two steps, either may be taken,
and what follows doubles the difference. Measured: 0.05 (EfficientNet-Lite0, OpenVINO 2026.4)."""

_PROOF_BATCHES: Final = (1, 3, 8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs:
    """What a network gave for n pictures, all float32; None where it was not asked for."""

    scores: NDArray[np.float32] | None = None
    """Shape (n, n_classes); softmax of the logits, rows sum to 1."""
    logits: NDArray[np.float32] | None = None
    """Shape (n, n_classes)."""
    features: NDArray[np.float32] | None = None
    """Shape (n, n_features): what the last FC sees."""
    maps: NDArray[np.float32] | None = None
    """Shape (n, channels, height, width): the last feature maps."""


class Runtime(Protocol):
    """Something that runs one network. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """The engine and its version, for reports."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of the pictures that it accepts."""
        ...

    def run(self, pixels: NDArray[np.uint8], outputs: Sequence[Output] = ("scores",)) -> Outputs:
        """Run the network on uint8 pixels of shape (n, height, width, channels), n at least 1.

        Raises
        ------
        UsageError
            ``wrong-input`` for another shape or type; ``wrong-output`` for a name that is not one
            of :data:`OUTPUTS`.
        """
        ...

    def stream(
        self, batches: Iterable[NDArray[np.uint8]], outputs: Sequence[Output] = ("scores",)
    ) -> Iterator[Outputs]:
        """Run the network on one batch after the other; the answers come in the same order.

        A few batches are taken ahead, so that the network runs while the next ones are made; they
        may be endless, and must not be changed before their answer is there. What ``batches``
        raises comes out of here unchanged, and the answers that were under way are dropped.

        Raises
        ------
        UsageError
            As :meth:`run`, at the batch that is wrong.
        """
        ...


def open_runtime(
    onnx: bytes, *, threads: int = 0, engine: Engine = "auto", bulk: bool = False
) -> Runtime:
    """Open a network.

    OpenVINO first has to answer a few drawn pictures as ONNX Runtime does: on small one-channel
    residual blocks with even kernels it does not. ``auto`` then takes ONNX Runtime.

    Parameters
    ----------
    onnx : bytes
        The graph.
    threads : int, default=0
        That compute; 0 lets the engine choose.
    engine : {"auto", "onnxruntime", "openvino"}, default="auto"
        ``auto`` is OpenVINO for many pictures where it is installed, and otherwise ONNX Runtime,
        which has its first answer sooner. Their scores differ by less than 0.001.
    bulk : bool, default=False
        Many pictures are to come: what counts is how many are answered in a second, and not how
        soon the first one is.

    Raises
    ------
    BundleError
        ``model-unsafe`` or ``model-damaged``: the graph reaches beyond its bytes, is no graph, or
        does not have the input and outputs of a model file. ``engine-differs``: OpenVINO was asked
        for and computes this network wrongly.
    UsageError
        ``engine-unknown``.
    MissingExtra
        ``extra-missing``: OpenVINO was asked for and is not installed.
    """
    if engine not in ENGINES:
        raise UsageError(
            f"There is no engine {engine!r}.",
            code="engine-unknown",
            hint=f"one of: {', '.join(ENGINES)}",
        )
    installed = _has_openvino()
    if engine == "openvino" and not installed:
        raise MissingExtra(
            "The engine OpenVINO is not installed.",
            code="extra-missing",
            why="It was asked for by name; without it ONNX Runtime answers the same, more slowly.",
            hint='pip install "fieldmark[openvino]"',
        )
    from fieldmark.inference.onnx_runtime import OnnxRuntime

    usual = OnnxRuntime(onnx, threads=threads)
    if engine == "onnxruntime" or (engine == "auto" and not (bulk and installed)):
        return usual
    from fieldmark.inference.openvino_runtime import OpenVino

    fast = OpenVino(onnx, threads=threads, bulk=bulk)
    outputs: tuple[Output, ...] = ("logits",) if is_rounded(onnx) else ("logits", "maps")
    allowed = ROUNDED_AGREEMENT if is_rounded(onnx) else AGREEMENT
    difference = _difference(fast, usual, outputs)
    if difference <= allowed:
        return fast
    if engine == "auto":
        return usual
    raise BundleError(
        f"OpenVINO computes this network otherwise than ONNX Runtime, by {difference:.2g} of the "
        "largest value.",
        code="engine-differs",
        why=f"More than {allowed:g} means it would not answer as it was measured.",
        hint="take the engine onnxruntime",
    )


def is_rounded(onnx: bytes) -> bool:
    """Whether the graph computes in int8, and so answers a little differently in every engine."""
    return b"QuantizeLinear" in onnx


def _difference(one: Runtime, other: Runtime, outputs: Sequence[Output]) -> float:
    """Return how far two runtimes are apart on drawn pictures, as a share of the largest value."""
    draw = rng.derive(0, "engines agree")
    worst = 0.0
    for n in _PROOF_BATCHES:  # an engine computes small and large batches in different ways
        pixels = draw.integers(0, 256, (n, *other.shape), dtype=np.uint8)
        found, wanted = one.run(pixels, outputs), other.run(pixels, outputs)
        for name in outputs:
            mine, theirs = getattr(found, name), getattr(wanted, name)
            difference = float(np.abs(mine - theirs).max() / max(1.0, np.abs(theirs).max()))
            worst = max(worst, difference) if math.isfinite(difference) else math.inf
    return worst


def _has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def check_asked(
    pixels: NDArray[np.uint8], outputs: Sequence[Output], shape: tuple[int, ...]
) -> None:
    """Refuse what a network of input ``shape`` (height, width, channels) cannot answer.

    Raises
    ------
    UsageError
        ``wrong-output`` or ``wrong-input``.
    """
    unknown = [name for name in outputs if name not in OUTPUTS]
    if unknown or not outputs:
        raise UsageError(
            f"There is no output {', '.join(map(repr, unknown)) or 'asked for'}.",
            code="wrong-output",
            hint=f"ask for some of: {', '.join(OUTPUTS)}",
        )
    if pixels.dtype != np.uint8 or pixels.shape[1:] != shape or not len(pixels):
        wanted = ", ".join(map(str, ("n", *shape)))
        raise UsageError(
            f"The network was given {pixels.dtype} pixels of shape {pixels.shape}.",
            code="wrong-input",
            why=f"It accepts uint8 pixels of shape ({wanted}), n at least 1.",
            hint="decode files with the modality and spec of the model",
        )


def checked_shape(
    inputs: Sequence[tuple[str, bool, Sequence[int | None]]], outputs: Iterable[str]
) -> tuple[int, ...]:
    """Return (height, width, channels), or refuse a network without the promised names.

    Parameters
    ----------
    inputs
        The name of each input, whether it is uint8, and its shape, None where that is free.
    outputs
        The name of each output.

    Raises
    ------
    BundleError
        ``model-damaged``.

    Examples
    --------
    >>> checked_shape([("pixels", True, (None, 8, 9, 3))], OUTPUTS)
    (8, 9, 3)
    """
    if len(inputs) == 1 and not set(OUTPUTS) - set(outputs):
        name, is_uint8, (count, *shape) = inputs[0]
        fixed = tuple(size for size in shape if size is not None)
        if (name, is_uint8, count, len(fixed), len(shape)) == (INPUT, True, None, 3, 3):
            return fixed
    raise unusable("The network does not have the input and outputs of a model file.")


def in_order(
    batches: Iterable[NDArray[np.uint8]],
    start: Callable[[NDArray[np.uint8]], Callable[[], Outputs]],
    n_ahead: int,
) -> Iterator[Outputs]:
    """Keep ``n_ahead`` batches under way and give their answers in the order of the batches.

    ``start`` sets a batch off and returns what waits for its answer. Whatever ends this, an error
    or the reader going away, nothing is under way any more when it has ended.
    """
    waiting: deque[Callable[[], Outputs]] = deque()
    try:
        for pixels in batches:
            waiting.append(start(pixels))
            if len(waiting) >= n_ahead:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()
    finally:
        for answer in waiting:
            _settle(answer)


def _settle(answer: Callable[[], Outputs]) -> None:
    try:
        answer()
    except BundleError:  # what ended the stream is what its reader is told
        return


def unusable(what: str, error: Exception | None = None) -> BundleError | OutOfMemory:
    """Return the refusal of a network that an engine cannot open or run, in the engine's words."""
    if out_of_memory(error):
        return OutOfMemory(
            "There is not enough memory for the network to answer.",
            code="out-of-memory",
            why="An engine is given few pictures at a time, whatever their number.",
            hint="end other programs, give fewer --threads, or take a smaller network",
        )
    # They quote names from the graph, which may hold anything, terminal codes included.
    words = "".join(c if c.isprintable() else " " for c in str(error)[:300])
    return BundleError(
        what if error is None else f"{what}: {words}",
        code="model-damaged",
        why="The network cannot answer.",
        hint="write the model file anew from its run, or upgrade the engine",
    )
