"""Prepare Keras: which backend, how many threads, which seed. Call before anything imports Keras.

Thread count, oneDNN and the determinism flag each change the bits of a training, so they are set
here, once per process, and recorded in the run.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from fieldmark.errors import MissingExtra, UsageError

Backend = Literal["tensorflow", "jax", "torch"]
BACKENDS: Final[tuple[Backend, ...]] = ("tensorflow", "jax", "torch")


def chosen() -> Backend:
    """Return the backend that will be used: ``KERAS_BACKEND`` if set, else TensorFlow.

    Raises
    ------
    UsageError
        Code ``backend-unknown``.
    MissingExtra
        Code ``extra-missing``: Keras or the backend is not installed.
    """
    name = os.environ.get("KERAS_BACKEND", "tensorflow")
    if name not in BACKENDS:
        raise UsageError(
            f"KERAS_BACKEND is {name!r}.",
            code="backend-unknown",
            where="the environment variable KERAS_BACKEND",
            hint=f"set it to one of: {', '.join(BACKENDS)}; or unset it",
        )
    for module in ("keras", name):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(
                f"Training needs {module}, which is not installed.",
                code="extra-missing",
                why="Without it, only the head of a pretrained network can be solved.",
                hint=f'pip install "fieldmark[{name}]"; in a clone: pip install -e ".[{name}]"',
            )
    return name


def available() -> bool:
    """Whether something is installed that can train by gradients."""
    try:
        chosen()
    except MissingExtra:
        return False
    return True


def prepare(threads: int) -> Backend:
    """Import Keras with its backend, pinned to ``threads`` threads and to deterministic kernels.

    Returns the backend. A second call in one process cannot change TensorFlow's thread count:

    Raises
    ------
    UsageError
        Code ``threads-fixed``.
    """
    backend = chosen()
    os.environ["KERAS_BACKEND"] = backend
    with _quiet_libraries():
        if backend == "tensorflow":
            _prepare_tensorflow(threads)
        elif backend == "torch":
            import torch

            torch.set_num_threads(threads)
            if torch.get_num_interop_threads() != 1:  # torch lets it be set once
                torch.set_num_interop_threads(1)
            torch.use_deterministic_algorithms(True)
        import keras  # noqa: F401  (the first import fixes the backend)

    return backend


def seed(value: int) -> None:
    """Seed what Keras draws itself (DROPOUT); everything else is drawn by :mod:`fieldmark.rng`."""
    import keras

    keras.utils.set_random_seed(value)


def _prepare_tensorflow(threads: int) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import tensorflow as tf

    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() != threads:
        try:
            threading.set_intra_op_parallelism_threads(threads)
            threading.set_inter_op_parallelism_threads(1)
        except RuntimeError as error:
            raise UsageError(
                f"TensorFlow already runs with another number of threads than {threads}.",
                code="threads-fixed",
                why="It fixes the number at its first operation, and the number changes the bits.",
                hint="use one thread count per process",
            ) from error
    tf.config.experimental.enable_op_determinism()
    tf.config.list_physical_devices()  # looks for a GPU now, while its notes are kept back


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep the start-up notes that libraries write to file descriptor 2 off the screen.

    Only where Python's own stderr goes elsewhere, as the command line sees to: nothing of ours is
    lost.
    """
    try:
        apart = sys.stderr.fileno() != 2
    except (OSError, ValueError, AttributeError):
        apart = False
    if not apart:
        yield
        return
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
