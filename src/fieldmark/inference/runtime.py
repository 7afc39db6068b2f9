"""What runs a network: a protocol, and ONNX Runtime on the CPU behind it.

The only file that imports ``onnxruntime``, and it does so when a network is opened. A network is
given as bytes that have passed :func:`fieldmark.bundle.check_onnx`, so that nothing on the disk is
reached. ONNX Runtime is no sandbox: a file from a stranger belongs in a process with limits of its
own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from fieldmark.bundle import check_onnx
from fieldmark.errors import BundleError, UsageError

Output = Literal["scores", "logits", "features", "maps"]

OUTPUTS: Final[tuple[Output, ...]] = get_args(Output)
"""What every network gives, if asked."""

_INPUT: Final = "pixels"


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
    """Something that runs one network."""

    @property
    def name(self) -> str:
        """The engine and its version, for reports."""
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


class OnnxRuntime:
    """ONNX Runtime on the CPU; final. Safe to call from several threads.

    Parameters
    ----------
    onnx : bytes
        The graph.
    threads : int, default=0
        Within one operator; 0 is one per physical core. Operators run one after the other, and idle
        threads sleep: spinning would take the cores that decode the next pictures.

    Raises
    ------
    BundleError
        ``model-unsafe`` or ``model-damaged``: the graph reaches beyond its bytes, is no graph, or
        does not have the input and outputs of a model file.
    """

    def __init__(self, onnx: bytes, *, threads: int = 0) -> None:
        check_onnx(onnx)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(
                onnx, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no other base
            raise _unusable(f"ONNX Runtime cannot open the network: {_words(error)}") from error
        self._session: Any = session
        self._shape = _input_shape(session)
        self._version: str = onnxruntime.__version__

    @property
    def name(self) -> str:
        """The engine and its version."""
        return f"onnxruntime {self._version}"

    def run(self, pixels: NDArray[np.uint8], outputs: Sequence[Output] = ("scores",)) -> Outputs:
        """Run the network; see :meth:`Runtime.run`."""
        unknown = [name for name in outputs if name not in OUTPUTS]
        if unknown or not outputs:
            raise UsageError(
                f"There is no output {', '.join(map(repr, unknown)) or 'asked for'}.",
                code="wrong-output",
                hint=f"ask for some of: {', '.join(OUTPUTS)}",
            )
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self._shape or not len(pixels):
            shape = ", ".join(map(str, ("n", *self._shape)))
            raise UsageError(
                f"The network was given {pixels.dtype} pixels of shape {pixels.shape}.",
                code="wrong-input",
                why=f"It accepts uint8 pixels of shape ({shape}), n at least 1.",
                hint="decode files with the modality and spec of the model",
            )
        names = list(outputs)
        try:
            given = self._session.run(names, {_INPUT: np.ascontiguousarray(pixels)})
        except Exception as error:
            raise _unusable(f"ONNX Runtime cannot run the network: {_words(error)}") from error
        return Outputs(**dict(zip(names, given, strict=True)))


def open_runtime(onnx: bytes, *, threads: int = 0) -> Runtime:
    """Open a network with the best engine that is installed: ONNX Runtime.

    Parameters
    ----------
    onnx : bytes
        The graph.
    threads : int, default=0
        Within one operator; 0 lets the engine choose.

    Raises
    ------
    BundleError
        ``model-unsafe`` or ``model-damaged``.
    """
    return OnnxRuntime(onnx, threads=threads)


def _input_shape(session: Any) -> tuple[int, ...]:
    """Return (height, width, channels), or refuse a network without the promised names."""
    inputs = [(entry.name, entry.type) for entry in session.get_inputs()]
    missing = set(OUTPUTS) - {entry.name for entry in session.get_outputs()}
    if inputs == [(_INPUT, "tensor(uint8)")] and not missing:
        count, *shape = session.get_inputs()[0].shape
        if len(shape) == 3 and not isinstance(count, int) and all(type(d) is int for d in shape):
            return tuple(shape)
    raise _unusable("The network does not have the input and outputs of a model file.")


def _words(error: Exception) -> str:
    # It quotes names from the graph, which may hold anything, terminal codes included.
    return "".join(c if c.isprintable() else " " for c in str(error)[:300])


def _unusable(what: str) -> BundleError:
    return BundleError(
        what,
        code="model-damaged",
        why="The network cannot answer.",
        hint="write the model file anew from its run, or upgrade onnxruntime",
    )
