"""What every test needs before the first import of Keras or NumPy, and the way to real pictures."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A shell's `&` and nohup start programs with signals ignored, and what is ignored stays so: here
# signals are what is tested.
for _name, _usual in (("SIGINT", signal.default_int_handler), ("SIGTERM", 0), ("SIGHUP", 0)):
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) == signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _usual or signal.SIG_DFL)


os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some tests run ONNX Runtime themselves
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # TensorFlow reports its build options at every import

# A deadline is a timed unit test: on a busy machine it fails for nothing. Examples are drawn from
# the test's own text, so that the same code passes or fails everywhere; looking for new ones is
# another job: HYPOTHESIS_PROFILE=search.
settings.register_profile("fieldmark", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fieldmark"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data beside the repository, or skip."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder} is no folder")
    return folder


def pytest_collection_finish() -> None:
    """Fix the number of threads before any test runs an operation.

    TensorFlow fixes it at its first one, and a training refuses to run with another number.
    """
    if "keras" in sys.modules:
        from fieldmark.training import backend
        from fieldmark.workflow.machine import cores

        backend.prepare(cores())
