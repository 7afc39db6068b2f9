from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fieldmark.errors import MissingExtra, UsageError
from fieldmark.training import backend
from fieldmark.workflow.machine import cores

IN_USE = keras.backend.backend()


@pytest.fixture
def only_installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend that of all modules only these are installed."""

    def pretend(*names: str) -> None:
        def find_spec(name: str) -> object:
            return object() if name in names else None

        monkeypatch.setattr(importlib.util, "find_spec", find_spec)

    return pretend


def test_tensorflow_is_used_where_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, only_installed: Any
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    only_installed("keras", "tensorflow", "jax", "torch")
    assert backend.chosen() == "tensorflow"


@pytest.mark.parametrize("name", backend.BACKENDS)
def test_the_environment_chooses(
    name: str, monkeypatch: pytest.MonkeyPatch, only_installed: Any
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", name)
    only_installed("keras", name)
    assert backend.chosen() == name


@pytest.mark.parametrize("name", ["theano", "", "TensorFlow"])
def test_an_unknown_backend_is_refused_with_the_known_ones(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(UsageError, match=f"KERAS_BACKEND is '{name}'") as caught:
        backend.chosen()
    assert caught.value.code == "backend-unknown"
    assert "tensorflow, jax, torch" in caught.value.hint


@pytest.mark.parametrize("name", backend.BACKENDS)
@pytest.mark.parametrize("there", ["keras", "backend", "neither"])
def test_a_missing_extra_is_said_with_what_to_install(
    name: str, there: str, monkeypatch: pytest.MonkeyPatch, only_installed: Any
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", name)
    only_installed({"keras": "keras", "backend": name, "neither": "numpy"}[there])
    missing = name if there == "keras" else "keras"
    with pytest.raises(MissingExtra, match=f"needs {missing}, which is not installed") as caught:
        backend.chosen()
    assert caught.value.code == "extra-missing"
    assert caught.value.exit_status == 5
    assert caught.value.hint.startswith(f'pip install "fieldmark[{name}]"')


def test_nothing_is_imported_to_find_out(
    monkeypatch: pytest.MonkeyPatch, only_installed: Any
) -> None:
    before = set(sys.modules)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    only_installed("keras", "jax")
    backend.chosen()
    assert not {name for name in set(sys.modules) - before if name.startswith(("jax", "keras"))}


def test_preparing_twice_with_the_same_threads_is_fine() -> None:
    assert backend.prepare(cores()) == IN_USE
    assert backend.prepare(cores()) == IN_USE
    assert os.environ["KERAS_BACKEND"] == IN_USE


@pytest.mark.skipif(IN_USE != "tensorflow", reason="only TensorFlow fixes its threads")
def test_another_number_of_threads_in_one_process_is_refused() -> None:
    keras.ops.add(1, 1)  # the operation that fixes it, if no other was first
    with pytest.raises(UsageError, match="already runs with another number of threads") as caught:
        backend.prepare(cores() + 1)
    assert caught.value.code == "threads-fixed"
    assert "one thread count per process" in caught.value.hint


def test_the_seed_repeats_what_keras_draws_itself() -> None:
    drawn = []
    for value in (7, 7, 8):
        backend.seed(value)
        drawn.append(np.asarray(keras.random.uniform((4,))))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def noisy() -> None:
    os.write(2, b"a note about oneDNN\n")


def test_notes_on_descriptor_2_are_kept_back_where_our_own_errors_go_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    elsewhere = (tmp_path / "stderr").open("w", encoding="utf-8")
    with elsewhere, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", elsewhere)
        with backend._quiet_libraries():
            noisy()
            print("said by us", file=sys.stderr)
        os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"
    assert (tmp_path / "stderr").read_text(encoding="utf-8") == "said by us\n"


def test_notes_come_back_after_an_error_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail() -> None:
        with backend._quiet_libraries():
            raise ImportError("no such library")

    with (tmp_path / "stderr").open("w") as elsewhere, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", elsewhere)
        with pytest.raises(ImportError, match="no such library"):
            fail()
    noisy()
    assert capfd.readouterr().err == "a note about oneDNN\n"


def test_nothing_is_kept_back_where_it_could_be_ours(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    assert sys.stderr.fileno() == 2
    with backend._quiet_libraries():
        noisy()
    assert "a note about oneDNN" in capfd.readouterr().err


def test_a_stderr_without_a_descriptor_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with backend._quiet_libraries():
        noisy()
    assert "a note about oneDNN" in capfd.readouterr().err
