"""A network in int8, and the proof that it lost nothing that matters.

A quarter of the bytes, and where the processor multiplies 8-bit numbers several at once, more
pictures per second. The graph stays an ordinary ONNX graph: in front of each convolution stands
what it would be rounded to, as ``QuantizeLinear`` and ``DequantizeLinear``, and the engine computes
in int8 what stands between two of them.

What stays float: the global pooling and the last FC with its softmax, so that features, logits and
scores are not rounded to 256 steps. RELU and RELU6 disappear into the range of what comes before
them. Pixels are 8-bit numbers already: where their scaling is one scale and one zero point for all
channels, as it is unless a list begins with a BN that differs by channel, the first convolution
reads them as they are. (Left to the quantizer, that scaling took half of the network's time in ONNX
Runtime, and int8 was slower than float.)

Nothing is shipped in int8 unless :func:`gate` passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fieldmark.bundle import check_onnx
from fieldmark.errors import DataError
from fieldmark.evaluation.intervals import paired_difference
from fieldmark.inference.onnx_runtime import quiet
from fieldmark.inference.runtime import INPUT, OUTPUTS, open_runtime

MAX_DROP: Final = 0.005
"""The largest loss of accuracy that passes, a fraction."""

MAX_CLASS_DROP: Final = 0.02
"""The largest loss of any one class' recall that passes, a fraction."""

CALIBRATION_PICTURES: Final = 300
"""More change no range that matters; fewer miss the rare large values."""

_ZERO_TOLERANCE: Final = 1e-3  # of one step of a pixel

_OPERATORS: Final = ("Conv", "Gemm", "Add", "MaxPool", "AveragePool", "Relu", "Clip")


class Sliced(Protocol):
    """Pictures of which a slice at a time is looked at."""

    def __len__(self) -> int:
        """Return how many."""
        ...

    def __getitem__(self, at: slice, /) -> NDArray[np.uint8]:
        """Return some of them: an array of shape (n, height, width, channels)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What int8 costs, on pictures that it was not calibrated on; rates are fractions."""

    n: int
    float_accuracy: float
    int8_accuracy: float
    drop: float
    """Float minus int8; below 0 where int8 was right more often."""
    interval: tuple[float, float]
    """Of the drop, 95 %, paired: both networks answered the same pictures."""
    worst_class: int
    """The index of the class that lost most."""
    worst_class_drop: float
    n_worst_class: int
    """Its pictures; one of them is 1 / n of its rate."""

    @property
    def passed(self) -> bool:
        """Whether both losses are small enough to ship it."""
        return self.drop <= MAX_DROP and self.worst_class_drop <= MAX_CLASS_DROP

    @property
    def words(self) -> str:
        """The same in one line, for people."""
        low, high = (100 * each for each in self.interval)
        return (
            f"int8 {'passed' if self.passed else 'did not pass'}: accuracy "
            f"{100 * self.int8_accuracy:.1f} % against {100 * self.float_accuracy:.1f} %, a loss "
            f"of {100 * self.drop:.2f} points ({low:.2f} to {high:.2f}; n = {self.n}), "
            f"{100 * self.worst_class_drop:.1f} in the worst class (n = {self.n_worst_class})"
        )


def quantize(onnx: bytes, batches: Iterable[NDArray[np.uint8]]) -> bytes:
    """Return the network in int8, with the ranges that its values take on real pictures.

    Parameters
    ----------
    onnx : bytes
        The float graph, with the input and outputs of a model file, which the result has too.
    batches : iterable of uint8 arrays of shape (n, height, width, channels)
        Pictures of the training part, about :data:`CALIBRATION_PICTURES` over all classes. No
        picture that the result is measured on may be among them.

    Returns
    -------
    bytes
        A graph that :func:`fieldmark.bundle.check_onnx` accepts; the same bytes for the same
        arguments.

    Raises
    ------
    DataError
        ``nothing-to-measure`` without pictures.
    BundleError
        ``model-unsafe`` or ``model-damaged``.

    References
    ----------
    Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018; one scale per filter as in Krishnamoorthi,
    arXiv:1806.08342.
    """
    open_runtime(onnx)  # refuses what has not the input and outputs that are relied on below
    quiet()
    import onnx as package
    from onnxruntime import quantization as engine

    given = package.load_from_string(onnx)
    pixels = _read_pixels_as_they_are(given.graph)
    # Says that the graph is as its quantizer wants it, which it otherwise asks for on the screen.
    package.helper.set_model_props(given, {"onnx.quant.pre_process": "onnxruntime.quant"})
    with TemporaryDirectory(prefix="fieldmark-int8-") as folder:
        path = Path(folder) / "int8.onnx"
        engine.quantize_static(
            given,
            path,
            _reader(batches),
            quant_format=engine.QuantFormat.QDQ,
            op_types_to_quantize=list(_OPERATORS),
            nodes_to_exclude=_kept_float(given.graph),
            per_channel=True,
            activation_type=engine.QuantType.QUInt8,
            weight_type=engine.QuantType.QInt8,
        )
        made = package.load(path)
    _drop_second_rounding(made.graph, pixels)
    made.producer_name, made.producer_version = "fieldmark", ""
    del made.metadata_props[:], made.graph.value_info[:]
    data = bytes(made.SerializeToString(deterministic=True))
    check_onnx(data)
    return data


def gate(
    onnx: bytes,
    int8: bytes,
    *,
    pixels: Sliced,
    labels: NDArray[np.integer[Any]],
    batch: int = 32,
    threads: int = 0,
) -> Gate:
    """Hold the int8 graph against the float graph on pictures of the validation part.

    Parameters
    ----------
    onnx, int8 : bytes
        The two graphs.
    pixels : uint8 array of shape (n, height, width, channels)
        Or anything that gives such an array for a slice; a batch at a time is looked at.
    labels : int array of shape (n,)
        The right class of each.
    batch : int, default=32
        Pictures per run; changes speed and memory only.
    threads : int, default=0
        That compute; 0 lets the engine choose.

    Raises
    ------
    DataError
        ``nothing-to-measure`` without pictures.
    BundleError
        ``model-unsafe`` or ``model-damaged``.
    """
    if not len(pixels):
        raise _no_pictures()
    answers = [_predicted(graph, pixels, batch, threads) for graph in (onnx, int8)]
    right = np.stack([each == labels for each in answers])
    lost, gained = right[0] & ~right[1], right[1] & ~right[0]
    n_of = np.bincount(labels)
    drops = np.bincount(labels, lost * 1.0 - gained) / np.maximum(n_of, 1)
    drops[n_of == 0] = -1.0
    worst = int(drops.argmax())
    n = len(labels)
    return Gate(
        n=n,
        float_accuracy=float(right[0].mean()),
        int8_accuracy=float(right[1].mean()),
        drop=float(lost.sum() - gained.sum()) / n,
        interval=paired_difference(int(lost.sum()), int(gained.sum()), n),
        worst_class=worst,
        worst_class_drop=float(drops[worst]),
        n_worst_class=int(n_of[worst]),
    )


def _predicted(graph: bytes, pixels: Sliced, batch: int, threads: int) -> NDArray[np.intp]:
    runtime = open_runtime(graph, threads=threads)
    parts = (pixels[start : start + batch] for start in range(0, len(pixels), batch))
    found = [answer.scores for answer in runtime.stream(parts)]
    return np.concatenate([scores.argmax(axis=1) for scores in found if scores is not None])


def _kept_float(graph: Any) -> list[str]:
    """Name the nodes that are not rounded: the last FC, and sums with a constant."""
    constants = {tensor.name for tensor in graph.initializer}
    readers = {name: node for node in graph.node for name in node.input}
    last = [node.name for node in graph.node if _leads_to_logits(node, readers)]
    shifts = [
        node.name for node in graph.node if node.op_type == "Add" and {*node.input} & constants
    ]
    return [*last, *shifts]


def _leads_to_logits(node: Any, readers: dict[str, Any]) -> bool:
    if node.op_type != "Gemm":
        return False
    name = node.output[0]
    while name not in OUTPUTS and name in readers and readers[name].op_type != "Gemm":
        name = readers[name].output[0]
    return name in ("logits", "scores")


def _read_pixels_as_they_are(graph: Any) -> str:
    """Replace the scaling of the pixels by one ``DequantizeLinear``, and name what it gives.

    The name is empty, and nothing is changed, where that would not be the same.
    """
    from onnx import helper, numpy_helper

    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    scaling, scale, shift = _scaling(readers, constants)
    end = scaling[-1].output[0] if scaling else ""
    zero = round(-shift / scale) if scaling and scale > 0 else -1
    turns = [node for node in scaling if node.op_type == "Transpose"]
    convolved = end in readers and all(node.op_type == "Conv" for node in readers[end])
    if not convolved or len(turns) != 1 or not 0 <= zero <= 255:
        return ""
    if abs(zero * scale + shift) > scale * _ZERO_TOLERANCE:
        return ""
    for node in scaling:
        graph.node.remove(node)
    turned = helper.make_node("Transpose", [INPUT], ["pixels/turned"], name="pixels/turned")
    turned.attribute.extend(turns[0].attribute)
    graph.initializer.append(numpy_helper.from_array(np.float32(scale), "pixels/step"))
    graph.initializer.append(numpy_helper.from_array(np.uint8(zero), "pixels/zero"))
    values = ["pixels/turned", "pixels/step", "pixels/zero"]
    graph.node.insert(0, helper.make_node("DequantizeLinear", values, [end], name=end))
    graph.node.insert(0, turned)
    read = {name for node in graph.node for name in node.input}
    for unread in [each for each in graph.initializer if each.name not in read]:
        graph.initializer.remove(unread)
    return str(end)


def _scaling(
    readers: dict[str, list[Any]], constants: dict[str, NDArray[Any]]
) -> tuple[list[Any], float, float]:
    """Return the nodes that only scale the pixels, and pixel * scale + shift that they compute."""
    found: list[Any] = []
    name, scale, shift = INPUT, 1.0, 0.0
    while len(readers.get(name, [])) == 1:
        node = readers[name][0]
        if node.op_type in ("Mul", "Add"):
            by = constants.get(node.input[1])
            if by is None or np.ptp(by) > 0:
                break
            value = float(by.flat[0])
            scale, shift = (
                (scale * value, shift * value) if node.op_type == "Mul" else (scale, shift + value)
            )
        elif node.op_type not in ("Cast", "Transpose"):
            break
        found.append(node)
        name = node.output[0]
    return found, scale, shift


def _drop_second_rounding(graph: Any, pixels: str) -> None:
    """Let the convolutions read the scaled pixels, which are 8-bit, without rounding them again."""
    for rounded in [node for node in graph.node if node.op_type == "QuantizeLinear"]:
        if not pixels or rounded.input[0] != pixels:
            continue
        back = next(node for node in graph.node if node.input[0] == rounded.output[0])
        for node in graph.node:
            for at, name in enumerate(node.input):
                if name == back.output[0]:
                    node.input[at] = pixels
        graph.node.remove(rounded)
        graph.node.remove(back)


def _reader(batches: Iterable[NDArray[np.uint8]]) -> Any:
    """Return the batches in the form that the quantizer of ONNX Runtime reads."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, given: Iterator[NDArray[np.uint8]]) -> None:
            self.given, self.n = given, 0

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            pixels = next(self.given, None)
            if pixels is None:
                if not self.n:
                    raise _no_pictures()
                return None
            self.n += len(pixels)
            return {INPUT: np.ascontiguousarray(pixels)}

    return Reader(iter(batches))


def _no_pictures() -> DataError:
    return DataError(
        "There is not one picture to calibrate or measure int8 with.",
        code="nothing-to-measure",
        why="The ranges of its numbers come from real pictures.",
        hint=f"give about {CALIBRATION_PICTURES} pictures of the training part",
    )
