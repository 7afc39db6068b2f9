"""What a model file holds, as one value, and how its fields become parts and back.

Pure: bytes in, values out. A :class:`Bundle` that exists is valid, so writing and reading share one
set of checks and nothing can be written that would be refused when read.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from fieldmark.bundle.container import INT8, MAX_TEXT_BYTES, UNKNOWN, WEIGHTS
from fieldmark.bundle.deciding import Thresholds, check_deciding, thresholds
from fieldmark.bundle.graph import check_onnx
from fieldmark.bundle.refusal import refuse
from fieldmark.bundle.sizing import Cost
from fieldmark.bundle.strict_json import dump_json, load_json
from fieldmark.bundle.tensors import table
from fieldmark.errors import BundleError, UsageError
from fieldmark.modalities.base import InputSpec

MAX_GOLDEN: Final = 64
"""Golden inputs are run at every opening, so there are few."""

_NPY: Final = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '(\|u1|<f4)', 'fortran_order': False, "
    rb"'shape': (\([0-9, ]{0,80}\)), \} *\n",
    re.DOTALL,
)
"""The header of version 1.0 in the one spelling that NumPy writes."""


class WeightsNotRead(Mapping[str, NDArray[Any]]):
    """Stands for weights that are in the file and were not asked for; any use of it says so.

    An empty mapping would let ``write(..., read(...))`` lose the weights without a word. Final.
    """

    def _refuse(self) -> NoReturn:
        raise UsageError(
            "The weights of this model were not read.",
            code="weights-not-read",
            why="Answering does not need them, but writing the model without them would lose them.",
            hint="fieldmark.bundle.read(path, weights=True)",
        )

    def __getitem__(self, name: str) -> NDArray[Any]:
        self._refuse()

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def __len__(self) -> int:
        self._refuse()


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """The contents of one model file.

    Raises
    ------
    BundleError
        ``model-damaged`` if the names, the golden arrays or the decision break the format;
        ``model-unsafe`` if the ONNX graph does.
    """

    name: str
    """1 to 200 printable characters."""
    network: str
    """The layer list, as text."""
    onnx: bytes
    classes: tuple[str, ...]
    """Distinct non-empty names, in the order of the columns of every score."""
    spec: InputSpec
    golden_inputs: NDArray[np.uint8]
    """Shape (n, height, width, channels), n from 1 to 64."""
    golden_scores: NDArray[np.float32]
    """Shape (n, n_classes), in [0, 1]: softmax(logits / temperature) of the golden inputs."""
    int8: bytes | None = None
    """The same network computing in int8, where one passed its gate; held to the same rules."""
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=lambda: {"temperature": 1.0})
    """What :class:`~fieldmark.bundle.deciding.Thresholds` is read from, with its reasons."""
    unknown: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What known pictures' features look like: ``means``, ``basis``, ``scales``; or nothing."""
    recipe: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    card: str = ""
    created: str = ""
    """A date and time as ISO text, or empty; never taken from the clock here."""
    model_id: str = ""
    """Of the file it was read from. Writing ignores it and returns the new one."""
    cost: Cost = field(init=False, repr=False)
    """What its network takes, by the shapes of its tensors."""

    def __post_init__(self) -> None:
        if not (is_text(self.name) and self.name.isprintable() and 0 < len(self.name) <= 200):
            refuse("model-damaged", "The model's name is not 1 to 200 printable characters.")
        _check_classes(self.classes)
        check_deciding(self.decision, self.unknown, len(self.classes))
        _check_golden(self)
        object.__setattr__(self, "cost", check_onnx(self.onnx))
        if self.int8 is not None:
            check_onnx(self.int8)

    @property
    def temperature(self) -> float:
        """What the logits are divided by before softmax; 1.0 where the file says nothing."""
        return self.thresholds.temperature

    @property
    def thresholds(self) -> Thresholds:
        """How logits and a distance become a decision."""
        return thresholds(self.decision)


def is_text(value: object) -> bool:
    r"""Whether this is a ``str`` that can be written as UTF-8.

    Examples
    --------
    >>> is_text("Käfer"), is_text("\ud800"), is_text(3)
    (True, False, False)
    """
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell and no output can
        return False
    return True


def _check_classes(classes: tuple[str, ...]) -> None:
    good = bool(classes) and all(is_text(name) and name for name in classes)
    if not good or len(set(classes)) < len(classes):
        refuse("model-damaged", "The class names are not a list of distinct, non-empty texts.")


def _check_golden(bundle: Bundle) -> None:
    inputs, scores = bundle.golden_inputs, bundle.golden_scores
    n = len(inputs) if inputs.ndim else 0
    expected = (n, *bundle.spec.shape), (n, len(bundle.classes))
    if inputs.dtype != np.uint8 or scores.dtype != np.float32:
        refuse("model-damaged", "The golden arrays are not uint8 inputs and float32 scores.")
    if not 1 <= n <= MAX_GOLDEN or (inputs.shape, scores.shape) != expected:
        refuse(
            "model-damaged",
            f"The golden inputs and scores have shapes {inputs.shape} and {scores.shape}; "
            f"{expected[0]} and {expected[1]} belong together, with 1 to {MAX_GOLDEN} inputs.",
        )
    if not bool(((scores >= 0) & (scores <= 1)).all()):  # false for NaN too
        refuse("model-damaged", "The golden scores are not all numbers from 0 to 1.")


def network_id(network: bytes) -> str:
    """Return 16 hex digits that differ whenever the layer list differs."""
    return hashlib.sha256(network).hexdigest()[:16]


def to_parts(bundle: Bundle) -> dict[str, bytes]:
    """Return the bytes of every part but ``fieldmark.json``, in the order of the file.

    Raises
    ------
    BundleError
        If a value cannot be written so that it could be read again.
    UsageError
        ``weights-not-read``.
    """
    parts = {"network.txt": _encode("network.txt", bundle.network), "model.onnx": bundle.onnx}
    if bundle.int8 is not None:
        parts[INT8] = bundle.int8
    if len(bundle.weights):
        parts[WEIGHTS] = _dump_arrays(bundle.weights)
    parts["classes.json"] = dump_json("classes.json", list(bundle.classes))
    parts["input.json"] = dump_json("input.json", bundle.spec.to_dict())
    parts["decision.json"] = dump_json("decision.json", bundle.decision)
    if bundle.unknown:
        parts[UNKNOWN] = _dump_arrays(bundle.unknown)
    if bundle.recipe:
        parts["recipe.toml"] = _encode("recipe.toml", bundle.recipe)
    if bundle.report:
        parts["report.json"] = dump_json("report.json", bundle.report)
    if bundle.card:
        parts["card.md"] = _encode("card.md", bundle.card)
    parts["golden/inputs.npy"] = _dump_array(bundle.golden_inputs)
    parts["golden/scores.npy"] = _dump_array(bundle.golden_scores)
    return parts


def from_parts(
    parts: Mapping[str, bytes], *, name: str, created: str, model_id: str, weights: bool
) -> Bundle:
    """Build the value from the bytes of the parts, all of them untrusted.

    With ``weights`` false, those of the file may be missing from ``parts`` or be empty.

    Raises
    ------
    BundleError
        ``model-damaged``, ``model-newer`` or ``model-unsafe``.
    """
    classes = load_json("classes.json", parts["classes.json"])
    if not isinstance(classes, list):
        refuse("model-damaged", "The class names are not a list of distinct, non-empty texts.")
    held: Mapping[str, NDArray[Any]] = {}
    if WEIGHTS in parts:
        held = _load_arrays(WEIGHTS, parts[WEIGHTS]) if weights else WeightsNotRead()
    return Bundle(
        name=name,
        network=_decode("network.txt", parts["network.txt"]),
        onnx=parts["model.onnx"],
        int8=parts.get(INT8),
        classes=tuple(classes),
        spec=_load_spec(_load_object("input.json", parts)),
        golden_inputs=_load_array("golden/inputs.npy", parts),
        golden_scores=_load_array("golden/scores.npy", parts),
        weights=held,
        decision=_load_object("decision.json", parts),
        unknown=_load_arrays(UNKNOWN, parts[UNKNOWN]) if UNKNOWN in parts else {},
        recipe=_decode("recipe.toml", parts.get("recipe.toml", b"")),
        report=_load_object("report.json", parts) if "report.json" in parts else {},
        card=_decode("card.md", parts.get("card.md", b"")),
        created=created,
        model_id=model_id,
    )


def _load_object(part: str, parts: Mapping[str, bytes]) -> dict[str, Any]:
    value = load_json(part, parts[part])
    if not isinstance(value, dict):
        refuse("model-damaged", f"{part} is not a JSON object.")
    return value


def _load_spec(fields: dict[str, Any]) -> InputSpec:
    try:
        spec = InputSpec.from_dict(fields)
    except BundleError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        refuse("model-damaged", "input.json is not a decode spec.", cause=error)
    if not all(type(value) is int for key, value in spec.to_dict().items() if key != "fit"):
        refuse("model-damaged", "input.json is not a decode spec.")
    return spec


def _encode(part: str, text: str) -> bytes:
    if not is_text(text):
        refuse("model-damaged", f"{part} cannot be written as UTF-8 text.")
    return text.encode()


def _decode(part: str, data: bytes) -> str:
    if len(data) > MAX_TEXT_BYTES:
        refuse("model-unsafe", f"{part} has {len(data):,} bytes; 4 MiB is the most.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        refuse("model-damaged", f"{part} is not UTF-8 text.", cause=error)


def _dump_array(array: NDArray[Any]) -> bytes:
    stream = BytesIO()
    little = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    np.lib.format.write_array(stream, little, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _load_array(part: str, parts: Mapping[str, bytes]) -> NDArray[Any]:
    # Not np.load: it would try zip and pickle, and allocate what the header claims before looking.
    # Nor NumPy's own reader of headers, which hands them to Python's parser.
    data = parts[part]
    found = _NPY.match(data)
    if found is None or int.from_bytes(found[1], "little") != found.end() - 10:
        refuse("model-damaged", f"{part} is not a plain array as fieldmark writes them.")
    dtype = np.dtype(found[2].decode())
    shape = tuple(int(side) for side in re.findall(rb"[0-9]+", found[3]))
    if (
        repr(shape).encode() != found[3]
        or math.prod(shape) * dtype.itemsize != len(data) - found.end()
    ):
        refuse("model-damaged", f"{part} is not a plain array of its stated size.")
    return np.frombuffer(data, dtype, offset=found.end()).reshape(shape)


def _dump_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    from safetensors.numpy import save

    return bytes(save({name: np.asarray(arrays[name], order="C") for name in arrays}))


def _load_arrays(part: str, data: bytes) -> dict[str, NDArray[Any]]:
    table(part, data)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays: dict[str, NDArray[Any]] = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        refuse("model-damaged", f"{part} holds no plain arrays.", cause=error)
    return arrays
