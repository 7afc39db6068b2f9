"""ONNX Runtime on the CPU: the engine that is always there and answers soonest.

The only file of this room that imports ``onnxruntime``, and never without :func:`quiet`: since 1.29
the engine's official builds for Linux and macOS, and before that those for Windows, report every
network that is opened to a server and keep a device number in the home folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.bundle import check_onnx
from fieldmark.inference.runtime import (
    INPUT,
    Output,
    Outputs,
    check_asked,
    checked_shape,
    in_order,
    unusable,
)

_AHEAD: Final = 2  # one runs, one waits: the engine never stands idle while a batch is made


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
        quiet()
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # on Windows no variable of the environment does it
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
            raise unusable("ONNX Runtime cannot open the network", error) from error
        self._session: Any = session
        self._shape = checked_shape(
            [_port(entry) for entry in session.get_inputs()],
            [entry.name for entry in session.get_outputs()],
        )
        self._version: str = onnxruntime.__version__

    @property
    def name(self) -> str:
        """The engine and its version."""
        return f"onnxruntime {self._version}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of the pictures that it accepts."""
        return self._shape

    def run(self, pixels: NDArray[np.uint8], outputs: Sequence[Output] = ("scores",)) -> Outputs:
        """Run the network; see :meth:`Runtime.run`."""
        check_asked(pixels, outputs, self._shape)
        return self._run(pixels, outputs)

    def stream(
        self, batches: Iterable[NDArray[np.uint8]], outputs: Sequence[Output] = ("scores",)
    ) -> Iterator[Outputs]:
        """Run the network on every batch; see :meth:`Runtime.stream`."""
        with ThreadPoolExecutor(1, thread_name_prefix="fieldmark-network") as pool:

            def start(pixels: NDArray[np.uint8]) -> Callable[[], Outputs]:
                check_asked(pixels, outputs, self._shape)
                return pool.submit(self._run, pixels, outputs).result

            yield from in_order(batches, start, _AHEAD)

    def _run(self, pixels: NDArray[np.uint8], outputs: Sequence[Output]) -> Outputs:
        names = list(outputs)
        try:
            given = self._session.run(names, {INPUT: np.ascontiguousarray(pixels)})
        except Exception as error:
            raise unusable("ONNX Runtime cannot run the network", error) from error
        return Outputs(**dict(zip(names, given, strict=True)))


def quiet() -> None:
    """Keep ONNX Runtime from reporting what it does; to be called before its first import.

    It looks for the variable once, when its library is loaded. Whoever has set it has decided.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _port(entry: Any) -> tuple[str, bool, list[int | None]]:
    shape = [size if isinstance(size, int) else None for size in entry.shape]
    return entry.name, entry.type == "tensor(uint8)", shape
