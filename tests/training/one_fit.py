"""Fit one network in a process of its own and print what came out as JSON.

Run as ``python -m tests.training.one_fit '{"net": "tutorial", "seed": 3, ...}'``; the backend comes
from ``KERAS_BACKEND``. Not a test: tests start it where a fresh process is the point.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def start(asked: Mapping[str, Any], *, backend: str = "") -> subprocess.Popen[str]:
    """Start a process; several may run side by side."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path}
    if backend:
        environment["KERAS_BACKEND"] = backend
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.training.one_fit", json.dumps(asked)],
        env=environment,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def result(process: subprocess.Popen[str], timeout_s: float = 300) -> dict[str, Any]:
    """Wait for what it printed; if it failed, say why."""
    out, problems = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, problems[-2000:]
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def main(asked: dict[str, Any]) -> dict[str, Any]:
    from fieldmark.training import backend

    threads = int(asked.get("threads", 2))
    name = backend.prepare(threads)

    from dataclasses import replace

    from fieldmark.modalities.augment import AUGMENTATIONS
    from fieldmark.networks.volumes import plan
    from fieldmark.workflow.choosing import network_named
    from tests.training.problems import Ear, fit, recipe, shapes

    _, network = network_named(asked["net"], size=asked.get("size"))
    made = plan(network, 2)
    train, valid = shapes(asked.get("n", 48), size=made.input[0], classes=2, seed=asked["seed"])
    changes = {key: value for key, value in asked.get("recipe", {}).items()}
    chosen = recipe(seed=asked["seed"], threads=threads, **changes)
    train = replace(train, augmentation=AUGMENTATIONS[chosen.augment], threads=threads)
    ear = Ear()
    fitted = fit(made, chosen, (train, valid), ear=ear)
    digest = hashlib.sha256()
    for key in sorted(fitted.weights):
        digest.update(key.encode() + fitted.weights[key].tobytes())
    return {
        "backend": name,
        "losses": ear.losses(),
        "epochs": len(fitted.history),
        "lr": fitted.recipe.lr,
        "weights": digest.hexdigest(),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
