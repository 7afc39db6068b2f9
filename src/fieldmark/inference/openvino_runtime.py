"""OpenVINO on the CPU: the engine for many pictures, an optional extra.

The only file that imports ``openvino``. Two of its habits are taken from it here:

- Importing it writes a client number into the home folder and reports the import to a server,
  through the package ``openvino_telemetry``. That package is kept out while OpenVINO is imported;
  OpenVINO then falls back on a stand-in of its own that does nothing. A process that had imported
  OpenVINO before decided for itself.
- On processors with bfloat16 it computes in that, unasked, and the scores move. Every network is
  computed in float32; the operators between the ``QuantizeLinear`` and ``DequantizeLinear`` of an
  int8 network stay int8.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
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

_TELEMETRY: Final = "openvino_telemetry"
_importing = threading.Lock()


class OpenVino:
    """OpenVINO on the CPU; final. Safe to call from several threads.

    Parameters
    ----------
    onnx : bytes
        The graph.
    threads : int, default=0
        That compute; 0 is one per physical core.
    bulk : bool, default=False
        Answer several batches at once, each on its own threads: fewer stops, later first answer.

    Raises
    ------
    BundleError
        ``model-unsafe`` or ``model-damaged``: the graph reaches beyond its bytes, is no graph, or
        does not have the input and outputs of a model file.
    """

    def __init__(self, onnx: bytes, *, threads: int = 0, bulk: bool = False) -> None:
        check_onnx(onnx)
        openvino = _quiet_openvino()
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT" if bulk else "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            # Pinned threads of two processes would sit on the same core.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            # By name: read_model would offer the bytes to every format it knows.
            frontend = openvino.frontend.FrontEndManager().load_by_framework("onnx")
            model = frontend.convert(frontend.load(BytesIO(onnx)))
            compiled = openvino.Core().compile_model(model, "CPU", settings)
            inputs = [_port(port, openvino.Type.u8) for port in compiled.inputs]
            names = [name for port in compiled.outputs for name in port.get_names()]
        except Exception as error:  # its exceptions share no other base
            raise unusable("OpenVINO cannot open the network", error) from error
        self._shape = checked_shape(inputs, names)
        self._compiled: Any = compiled
        self._n_ahead = 1 + int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._idle: deque[Any] = deque()
        self._version = str(openvino.__version__).partition("-")[0]

    @property
    def name(self) -> str:
        """The engine and its version."""
        return f"openvino {self._version}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of the pictures that it accepts."""
        return self._shape

    def run(self, pixels: NDArray[np.uint8], outputs: Sequence[Output] = ("scores",)) -> Outputs:
        """Run the network; see :meth:`Runtime.run`."""
        return self._start(pixels, outputs)()

    def stream(
        self, batches: Iterable[NDArray[np.uint8]], outputs: Sequence[Output] = ("scores",)
    ) -> Iterator[Outputs]:
        """Run the network on every batch; see :meth:`Runtime.stream`."""
        return in_order(batches, lambda pixels: self._start(pixels, outputs), self._n_ahead)

    def _start(self, pixels: NDArray[np.uint8], outputs: Sequence[Output]) -> Callable[[], Outputs]:
        check_asked(pixels, outputs, self._shape)
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()

        def answer() -> Outputs:
            try:
                request.wait()
                # Copied, because the request's next batch is written over its tensors.
                found = {name: request.get_tensor(name).data.copy() for name in outputs}
            except Exception as error:
                raise unusable("OpenVINO cannot run the network", error) from error
            self._idle.append(request)
            return Outputs(**found)

        try:
            request.start_async({INPUT: pixels})  # which copies the pixels
        except Exception as error:
            raise unusable("OpenVINO cannot run the network", error) from error
        return answer


def _port(port: Any, uint8: Any) -> tuple[str, bool, list[int | None]]:
    shape = [size.get_length() if size.is_static else None for size in port.partial_shape]
    return port.get_any_name(), port.element_type == uint8, shape


def _quiet_openvino() -> Any:
    with _importing:
        if "openvino" not in sys.modules and _TELEMETRY not in sys.modules:
            sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # how Python spells "absent"
            try:
                import openvino
            finally:
                del sys.modules[_TELEMETRY]
        import openvino
    return openvino
