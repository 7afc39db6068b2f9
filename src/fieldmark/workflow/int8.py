"""An int8 network beside the float one, if the validation part says that it costs nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.cache import Decoded
from fieldmark.quantization import CALIBRATION_PICTURES, Gate, gate, quantize
from fieldmark.training.events import Int8Checked
from fieldmark.workflow.parts import labels_of, positions, spread
from fieldmark.workflow.session import Session

_BATCH: Final = 10


class _Rows:
    """Some rows of decoded pictures, taken a slice at a time; all at once might not fit."""

    def __init__(self, decoded: Decoded, rows: NDArray[np.int64]) -> None:
        self._decoded = decoded
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: slice) -> NDArray[np.uint8]:
        return np.asarray(self._decoded.pixels[self._rows[at]])


def checked_int8(session: Session, decoded: Decoded, onnx: bytes) -> tuple[bytes | None, Gate]:
    """Quantise a network and hold it against float.

    Parameters
    ----------
    session : Session
    decoded : Decoded
        Calibrated on the training part, judged on the validation part.
    onnx : bytes
        The float graph.

    Returns
    -------
    tuple of (bytes or None, Gate)
        None if the gate did not pass.
    """
    at = decoded.rows[spread(positions(decoded.manifest, "train"), CALIBRATION_PICTURES)]
    batches = (decoded.pixels[at[i : i + _BATCH]] for i in range(0, len(at), _BATCH))
    int8 = quantize(onnx, batches)
    valid = positions(decoded.manifest, "valid")
    verdict = gate(
        onnx,
        int8,
        pixels=_Rows(decoded, decoded.rows[valid]),
        labels=labels_of(decoded.manifest)[valid],
        threads=session.threads,
    )
    session.listen(Int8Checked(passed=verdict.passed, text=verdict.words, n=verdict.n))
    return (int8 if verdict.passed else None), verdict
