"""TensorFlow, JAX and torch compute the same from the same weights."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from fieldmark.networks import CATALOGUE
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.volumes import plan
from tests.networks.strategies import random_pixels, random_weights

SIZE, SEED = 32, 11
PROGRAM = f"""
import sys
import numpy as np
import keras
from fieldmark.networks import CATALOGUE, keras_model
from fieldmark.networks.volumes import plan
from tests.networks.strategies import random_pixels, random_weights

assert keras.backend.backend() == sys.argv[1]
logits = {{}}
for name, member in CATALOGUE.items():
    for n_classes in (2, 5):
        made = plan(member.network(size={SIZE}, n_classes=n_classes), n_classes)
        model = keras_model.build(made, random_weights(made, {SEED}))
        answer = model(random_pixels(made, 4, {SEED}), training=False)
        logits[f"{{name}}-{{n_classes}}"] = keras.ops.convert_to_numpy(answer)
        read = keras_model.read_weights(model, made)
        wrote = random_weights(made, {SEED})
        assert all((read[weight] == wrote[weight]).all() for weight in wrote)
np.savez(sys.argv[2], **logits)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_backend_gives_the_logits_of_the_graph(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    paths = [str(Path(__file__).parents[2]), *(entry for entry in sys.path if entry)]
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(paths)}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, backend, str(tmp_path / "logits.npz")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    logits = np.load(tmp_path / "logits.npz")
    for name, member in CATALOGUE.items():
        for n_classes in (2, 5):
            made = plan(member.network(size=SIZE, n_classes=n_classes), n_classes)
            session = onnxruntime.InferenceSession(
                onnx_graph(made, random_weights(made, SEED)), providers=["CPUExecutionProvider"]
            )
            (expected,) = session.run(["logits"], {"pixels": random_pixels(made, 4, SEED)})
            found = logits[f"{name}-{n_classes}"]
            if made.n_outputs == 1:
                found = found * np.array([[-0.5, 0.5]], np.float32)
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)
