"""A network of ``keras.applications`` as an ONNX file, by Keras' own exporter.

Imports Keras when called; :mod:`fieldmark.training.backend` has to have prepared it. Weights come
from a file that is already there, arrays only; Keras fetches them where that is allowed.
"""

from __future__ import annotations

import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from fieldmark.errors import BundleError, MissingExtra, UsageError
from fieldmark.networks.foreign import Scaling, file_and_output
from fieldmark.networks.foreign_file import unsuited
from fieldmark.networks.foreign_graph import OPSET


def exported(source: str, size: tuple[int, int], *, allow_network: bool) -> tuple[bytes, Scaling]:
    """Build ``keras:NAME`` or ``keras:NAME@FILE.h5`` without its top and export it.

    Parameters
    ----------
    source : str
        As the layer list names it. Without a file: the ImageNet weights in Keras' own cache.
    size : (int, int)
        Rows and columns of the pictures.
    allow_network : bool
        Whether Keras may fetch weights that are not there.

    Returns
    -------
    bytes
        An ONNX file: (n, rows, columns, 3) float32 to the last feature map.
    Scaling
        What the network's own ``preprocess_input`` does.

    Raises
    ------
    UsageError
        ``backbone-missing``: Keras has no such network. ``weights-missing``: the file is not there.
        ``backbone-unsuited``: Keras does not build it for this size.
    BundleError
        ``weights-damaged``: the file is not one of weights for this network.
    MissingExtra
        ``extra-missing``: the exporter's package is not installed.
    """
    import keras

    name, file = file_and_output(source)
    make = getattr(keras.applications, name, None)
    if not name[:1].isupper() or make is None:
        known = [each for each in dir(keras.applications) if each[:1].isupper()]
        raise UsageError(
            f"keras.applications has no {name!r}.",
            code="backbone-missing",
            where=source,
            hint=f"one of: {', '.join(known)}",
        )
    if file and not (file.endswith(".h5") and Path(file).is_file()):
        raise _weights_missing(source, Path(file))
    # What Keras says of a download belongs beside the progress, not among the results.
    local = nullcontext() if file or allow_network else _only_local(source)
    with redirect_stdout(sys.stderr), local, _quiet():
        model = _built(make, source, size, file)
    return _onnx(model, size), _scaling(make)


def _built(make: Any, source: str, size: tuple[int, int], file: str) -> Any:
    given = {"include_top": False, "input_shape": (*size, 3), "weights": file or "imagenet"}
    try:
        return make(**given)
    except (UsageError, MemoryError):
        raise
    except ValueError as error:
        if not file:
            raise unsuited(source, f"Keras does not build it: {error}") from error
        cause: Exception = error
    except (OSError, KeyError, RuntimeError) as error:
        cause = error
    raise BundleError(
        f"The weights cannot be read: {' '.join(str(cause).split())[:200]}.",
        code="weights-damaged",
        where=file or source,
        why="Every array must have the place and shape that the network asks for.",
        hint="write it with model.save_weights('name.weights.h5') from include_top=False",
    ) from cause


@contextmanager
def _only_local(source: str) -> Iterator[None]:
    """Let Keras find files in its cache, and refuse where it would fetch one."""
    from keras.src.utils import file_utils

    def refuse(origin: str, path: str, *rest: object) -> None:
        raise _weights_missing(source, Path(path))

    kept = file_utils.urlretrieve
    file_utils.urlretrieve = refuse
    try:
        with redirect_stdout(io.StringIO()):  # it announces the download before it tries
            yield
    finally:
        file_utils.urlretrieve = kept


def _weights_missing(source: str, path: Path) -> UsageError:
    return UsageError(
        f"The weights of {source} are not there, or not as Keras expects them.",
        code="weights-missing",
        where=str(path),
        why="fieldmark fetches nothing unless it is told to.",
        hint="put the file there, name another one with keras:NAME@FILE.weights.h5, or use "
        "--allow-network",
    )


def _onnx(model: Any, size: tuple[int, int]) -> bytes:
    import keras

    signature = [keras.InputSpec(shape=(None, *size, 3), dtype="float32", name="pixels")]
    with tempfile.TemporaryDirectory(prefix="fieldmark-") as folder, _quiet():
        path = Path(folder) / "backbone.onnx"
        for layer in model.layers:
            if isinstance(layer, keras.layers.Normalization):
                # As tensors they become inputs of the exported graph, as arrays constants in it.
                array = keras.ops.convert_to_numpy
                layer.mean, layer.variance = array(layer.mean), array(layer.variance)
        try:
            model.export(
                str(path), "onnx", verbose=False, input_signature=signature, opset_version=OPSET
            )
        except ImportError as error:
            raise MissingExtra(
                f"Keras cannot export the network: {error}",
                code="extra-missing",
                why="Its exporter to ONNX is a package of its own.",
                hint='pip install "fieldmark[keras-backbones]"',
            ) from error
        return path.read_bytes()


def _scaling(make: Any) -> Scaling:
    """Read the scaling off the network's own function: what it makes of black, red, green, blue."""
    scale = sys.modules[make.__module__].preprocess_input
    pixels = np.zeros((4, 1, 1, 3), np.float32)
    for channel in range(3):
        pixels[1 + channel, 0, 0, channel] = 255.0
    black, *colours = scale(pixels, data_format="channels_last").reshape(4, 3)
    steps = np.stack(colours) - black  # row: channel of the picture; column: of the network
    order = [int(np.abs(row).argmax()) for row in steps]
    deviation = 255.0 / steps.max(axis=0)
    mean = 0.0 - black * deviation
    first, second, third = (float(each) for each in mean)
    spread = tuple(float(each) for each in deviation)
    return Scaling((first, second, third), (spread[0], spread[1], spread[2]), order == [2, 1, 0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what Keras and its exporter say of optimisations given up and NumPy's future."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
