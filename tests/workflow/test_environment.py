"""What tells one computer from another, as far as bits go."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from fieldmark.version import __version__
from fieldmark.workflow import environment
from fieldmark.workflow.environment import (
    BLAS_THREADS,
    VARIABLES,
    differences,
    fingerprint,
    versions,
)
from fieldmark.workflow.machine import affinity


def test_everything_that_was_found_to_change_the_bits_is_in_it() -> None:
    found = fingerprint(2)
    named = {"python", "numpy", "keras", "tensorflow", "backend", "processor", "cores", "BLAS"}
    assert named | {
        "processor features",
        "threads",
        "BLAS threads",
        "oneDNN",
        "determinism",
    } <= set(found)
    assert found["threads"] == "2"
    assert found == fingerprint(2)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("name", ["TF_ENABLE_ONEDNN_OPTS", "KERAS_BACKEND", *VARIABLES])
def test_a_variable_that_chooses_kernels_makes_a_difference(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    before = fingerprint(2)
    monkeypatch.setenv(name, "other")
    assert len(differences(before, fingerprint(2))) == 1


@pytest.mark.parametrize("name", BLAS_THREADS)
def test_the_threads_of_blas_are_what_a_variable_says(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "affinity", lambda: 4)
    for each in BLAS_THREADS:
        monkeypatch.delenv(each, raising=False)
    before = fingerprint(2)
    assert before["BLAS threads"] == "4"
    for said, taken in (("1", "1"), ("3", "3"), ("64", "4"), ("0", "4"), ("many", "4")):
        monkeypatch.setenv(name, said)
        assert fingerprint(2)["BLAS threads"] == taken
    monkeypatch.setenv(name, "1")
    assert differences(before, fingerprint(2)) == ["BLAS threads 4 there, 1 here"]


def test_the_first_variable_that_says_a_number_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "affinity", lambda: 4)
    for name, said in zip(BLAS_THREADS, ("", "2", "3"), strict=True):
        monkeypatch.setenv(name, said)
    assert environment.blas_threads() == 2


def test_one_dnn_is_on_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training sets the variable when it starts; before and after it is one computer."""
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    before = fingerprint(2)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    assert differences(before, fingerprint(2)) == []


def test_differences_are_named_in_both_directions() -> None:
    there, here = {"jax": "0.5", "numpy": "2"}, {"numpy": "2", "torch": "3"}
    assert differences(there, here) == ["jax 0.5 there, none here", "torch none there, 3 here"]
    assert differences(here, here) == []


def test_packages_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("fieldmark", "no-such-package"))
    assert set(versions()) == {"fieldmark"}
    assert __version__


WITHOUT = {name: value for name, value in os.environ.items() if name not in BLAS_THREADS}


def printed(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=WITHOUT | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("given", "taken"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_the_command_line_multiplies_with_one_thread_unless_it_is_said(
    given: dict[str, str], taken: str
) -> None:
    code = """
import os, sys
from fieldmark.__main__ import main
sys.argv = ["fieldmark", "--version"]
try:
    main()
except SystemExit:
    assert "numpy" not in sys.modules
    print(os.environ["OPENBLAS_NUM_THREADS"])
"""
    assert printed(code, **given) == taken


SOLVED = """
import hashlib, os, sys
if sys.platform == "linux" and {alone}:
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
import numpy as np
from fieldmark import rng
from fieldmark.training.head import HeadSettings, Rows, solve
draw = rng.derive(0, "features")
labels = draw.integers(0, 3, 240)
features = draw.random((240, 1280), dtype=np.float32) + labels[:, None] / 10
rows = Rows(features=features.astype(np.float32), labels=labels, groups=np.arange(240),
            original=np.ones(240, bool))
head = solve(rows, n_classes=3, settings=HeadSettings(), seed=0)
print(hashlib.sha256(head.weights.tobytes() + head.bias.tobytes()).hexdigest())
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or affinity() < 2, reason="one processor is all there is"
)
def test_with_one_thread_a_head_is_the_same_however_many_processors_there_are() -> None:
    found = {
        printed(SOLVED.format(alone=alone), OPENBLAS_NUM_THREADS="1") for alone in (True, False)
    }
    assert len(found) == 1
    assert printed(SOLVED.format(alone=True)) in found
