"""TensorFlow, JAX and torch train the same network: each in a process of its own."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import numpy as np
import pytest

from fieldmark.networks import CATALOGUE
from fieldmark.training.backend import BACKENDS
from tests.training import one_fit

pytestmark = pytest.mark.slow


@cache
def fitted(name: str, backend: str) -> dict[str, Any]:
    """One epoch of three steps, without DROPOUT: every backend would drop other places."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install 'fieldmark[{backend}]'")
    asked = {"net": name, "seeds": [0], "dropout": False, "recipe": {"lr": 1e-3, "epochs": 1}}
    ((found,),) = one_fit.side_by_side(asked, backend=backend, timeout_s=600)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CATALOGUE)
def test_one_epoch_runs_to_its_end(name: str, backend: str) -> None:
    found = fitted(name, backend)
    assert (found["backend"], found["stopped"]) == (backend, "done")
    assert len(found["losses"]) == 3
    assert np.isfinite(found["losses"]).all()


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "tensorflow"])
@pytest.mark.parametrize("name", CATALOGUE)
def test_the_first_steps_loss_is_tensorflows(name: str, backend: str) -> None:
    """The same drawn weights, the same batch: 1e-4 is what another order of sums may change."""
    theirs, ours = fitted(name, backend), fitted(name, "tensorflow")
    assert theirs["losses"][0] == pytest.approx(ours["losses"][0], abs=1e-4)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "tensorflow"])
@pytest.mark.parametrize("name", CATALOGUE)
def test_two_more_steps_stay_near(name: str, backend: str) -> None:
    """The updates agree too, as far as Adam's first steps, a sign of the slope each, allow."""
    theirs, ours = fitted(name, backend), fitted(name, "tensorflow")
    assert theirs["losses"] == pytest.approx(ours["losses"], abs=0.02)
