"""Model files of other tools, told by their first bytes and refused by their name. Pure.

Most of them are programs: unpickled, deserialized or loaded as a graph with functions, they can do
what the person who opens them can. So none is opened, whatever it is called, and the refusal says
how to bring the network over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from fieldmark.bundle.container import MANIFEST
from fieldmark.bundle.refusal import refuse
from fieldmark.errors import BundleError

HEAD_BYTES: Final = 512
"""Of a file, that decide what it is."""

_PLAIN_WHY: Final = (
    "It has no class names, no way to decode pictures and no hashes: its answers would be guesses."
)
_SAFELY: Final = "where you would run a program of its author, a container at best"
_BEHIND: Final = "then --net 'INPUT 224x224x3 -> BACKBONE onnx:net.onnx -> FC'"


@dataclass(frozen=True, slots=True)
class Kind:
    """A format of another tool."""

    what: str
    """With its article: ``a pickle``."""
    how: str
    """To bring a network over from it."""
    why: str = ""
    """Why it is not read; empty: opening one can run code."""


_KERAS: Final = (
    f'{_SAFELY}: keras.models.load_model(FILE).export("net.onnx", format="onnx"); {_BEHIND}'
)
_TORCH: Final = f'{_SAFELY}: torch.onnx.export(model, example, "net.onnx"); {_BEHIND}'
_OTHER: Final = f"{_SAFELY}: export the network to ONNX; {_BEHIND}"
_HDF5: Final = Kind("an HDF5 file, as Keras writes for .h5 and .weights.h5", _KERAS)
_KERAS_FILE: Final = Kind("a Keras model (.keras)", _KERAS)
_SAVED_MODEL: Final = Kind("a SavedModel of TensorFlow", _KERAS)
_TORCH_FILE: Final = Kind("a PyTorch file (.pt, .pth)", _TORCH)
_PICKLE: Final = Kind("a pickle", _OTHER)
_ARRAYS: Final = Kind("a NumPy file, which may hold pickles", _OTHER)
_TFLITE: Final = Kind("a TensorFlow Lite model", _OTHER)
_WEIGHTS: Final = Kind("a file of weights without a network", _OTHER, _PLAIN_WHY)
_ONNX: Final = Kind("a bare ONNX file", f"as the front of a new network: {_BEHIND}", _PLAIN_WHY)

_KINDS: Final[tuple[tuple[re.Pattern[bytes], Kind], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x89HDF\r\n\x1a\n", _HDF5),
        (rb"PK\x03\x04.{26}(metadata|config)\.json", _KERAS_FILE),
        (rb"PK\x03\x04.{26}[^\0]{0,200}data\.pkl", _TORCH_FILE),
        (rb"PK\x03\x04.{26}[^\0]{0,200}\.npy", _ARRAYS),
        (rb"PK\x03\x04.{26}[^\0]{0,200}saved_model\.pb", _SAVED_MODEL),
        (rb"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20", _TORCH_FILE),
        (rb"\x80[\x02-\x05].{0,80}ctorch", _TORCH_FILE),
        (rb"\x80[\x02-\x05]", _PICKLE),
        (rb"\x93NUMPY", _ARRAYS),
        (rb".{4}TFL3", _TFLITE),
        (rb"GGUF", _WEIGHTS),
        (rb'.{6}\0\0\{\s*"', _WEIGHTS),
        (rb"\x08[\x03-\x1f](\x12|:|B)", _ONNX),
        (rb"\x08\x01(\x12|\x1a)", _SAVED_MODEL),
    )
)
_SUFFIXES: Final = {
    ".keras": _KERAS_FILE,
    **dict.fromkeys((".h5", ".hdf5"), _HDF5),
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _TORCH_FILE),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), _PICKLE),
    **dict.fromkeys((".npz", ".npy"), _ARRAYS),
    ".pb": _SAVED_MODEL,
    ".tflite": _TFLITE,
    ".onnx": _ONNX,
}


def kind_of(head: bytes) -> Kind | None:
    r"""Return what a file is; None: a model file of fieldmark, or nothing that is known here.

    Parameters
    ----------
    head : bytes
        The first :data:`HEAD_BYTES`, or all if there are fewer.

    Examples
    --------
    >>> kind_of(b"\x89HDF\r\n\x1a\n").what
    'an HDF5 file, as Keras writes for .h5 and .weights.h5'
    """
    if head[30 : 30 + len(MANIFEST)] == MANIFEST.encode():
        return None
    return next((kind for pattern, kind in _KINDS if pattern.match(head)), None)


def refuse_strangers(head: bytes) -> None:
    """Refuse the model file of another tool by its first bytes.

    Raises
    ------
    BundleError
        ``model-foreign``.
    """
    kind = kind_of(head)
    if kind is not None:
        _refuse(kind)


def refuse_foreign(path: Path, *, onnx: bool = False) -> None:
    """Refuse a path that is another tool's model, by its bytes or, where these are unknown, name.

    A path that cannot be read passes: whoever reads it says why. A folder is one if it holds a
    ``saved_model.pb``.

    Parameters
    ----------
    path : Path
    onnx : bool, default=False
        Let ONNX files pass.

    Raises
    ------
    BundleError
        ``model-foreign``.
    """
    try:
        kind = _kind_at(path)
    except (OSError, ValueError):  # ValueError: no possible name
        return
    if kind is None or (onnx and kind is _ONNX):
        return
    try:
        _refuse(kind)
    except BundleError as error:
        error.where = str(path)
        raise


def _kind_at(path: Path) -> Kind | None:
    if path.is_dir():
        return _SAVED_MODEL if (path / "saved_model.pb").is_file() else None
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    return kind_of(head) or _SUFFIXES.get(path.suffix.lower())


def _refuse(kind: Kind) -> NoReturn:
    what = f"This is {kind.what}, not a model file or layer list of fieldmark."
    refuse("model-foreign", what, why=kind.why, hint=kind.how)
