"""Fit one network in a process of its own and print what came out as JSON.

Run as ``python -m tests.training.one_fit '{"net": "tutorial", "seeds": [3], ...}'``; the backend
comes from ``KERAS_BACKEND``. Not a test: tests start it where a fresh process is the point.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fieldmark.networks.volumes import Plan

ROOT = Path(__file__).resolve().parents[2]


def side_by_side(
    *asked: Mapping[str, Any], backend: str = "", timeout_s: float = 300
) -> list[list[dict[str, Any]]]:
    """Start one process for each and return what they printed: one result per seed of each."""
    running = [_start(each, backend) for each in asked]
    try:
        return [_results(process, timeout_s) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()


def _start(asked: Mapping[str, Any], backend: str) -> subprocess.Popen[str]:
    places = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
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


def _results(process: subprocess.Popen[str], timeout_s: float) -> list[dict[str, Any]]:
    out, problems = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, problems[-2000:]
    found: list[dict[str, Any]] = json.loads(out.splitlines()[-1])
    return found


def main(asked: dict[str, Any]) -> list[dict[str, Any]]:
    from fieldmark.training import backend

    name = backend.prepare(2)

    from fieldmark.networks.volumes import plan
    from fieldmark.workflow.choosing import network_named

    _, network = network_named(asked["net"])
    if not asked.get("dropout", True):  # each backend drops other places
        _, network = network_named(re.sub(r"-> DROPOUT [0-9.]+ ", "", str(network)))
    made = plan(network, 2)
    return [{"backend": name, **_one(made, seed, asked["recipe"])} for seed in asked["seeds"]]


def _one(made: Plan, seed: int, changes: dict[str, Any]) -> dict[str, Any]:
    from fieldmark.modalities.augment import AUGMENTATIONS
    from tests.training.problems import Ear, fit, recipe, shapes

    chosen = recipe(seed=seed, threads=2, **changes)
    train, valid = shapes(48, size=made.input[0], classes=2, seed=seed)
    train = replace(train, augmentation=AUGMENTATIONS[chosen.augment], threads=2)
    ear = Ear()
    fitted = fit(made, chosen, (train, valid), ear=ear)
    digest = hashlib.sha256()
    for name in sorted(fitted.weights):
        digest.update(name.encode() + fitted.weights[name].tobytes())
    return {
        "losses": ear.losses(),
        "lr": fitted.recipe.lr,
        "stopped": fitted.stopped.reason,
        "weights": digest.hexdigest(),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
