"""Real processes, really killed: what a run ends with does not depend on it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark import config
from tests.pictures import write_shapes
from tests.workflow.conftest import LAYERS
from tests.workflow.killing import NOON, Command

on_unix = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL can be sent to a process there")
pytestmark = on_unix

EACH_STEP = "[run]\ncheckpoint_s = 0\n"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("pictures") / "shapes", 30)


@pytest.fixture(scope="module")
def each_step(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("settings") / "each_step.toml"
    path.write_text(EACH_STEP, encoding="utf-8")
    return str(path)


def whole(command: Command) -> bytes:
    """The model file of a finished run, and nothing of how it came about left around it."""
    (run,) = command.runs
    folder = command.room / "runs" / run
    left = [path.name for path in folder.rglob("*") if path.name.startswith((".", "checkpoint"))]
    assert left == []
    return (folder / f"{run}.fieldmark").read_bytes()


def looks(command: Command) -> int:
    (run,) = command.runs
    return len((command.room / "runs" / run / "looks.jsonl").read_text().splitlines())


def undisturbed(
    pictures: Path, room: Path, monkeypatch: pytest.MonkeyPatch, net: str, settings: fm.Settings
) -> bytes:
    """The model file of the same run in one go, from Python."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", NOON)
    given = settings.changed("run", {"out": str(room / "twin")})
    return fm.train(pictures, net, settings=given).bundle.read_bytes()


def test_a_training_killed_three_times_ends_with_the_same_file(
    pictures: Path, each_step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that draws is on: range test, augmentation, DROPOUT, averaged weights."""
    victim = Command(
        tmp_path / "room",
        (str(pictures), "--net", LAYERS, "--epochs", "4", "--config", each_step),
    )
    moments = [
        victim.there("checkpoint/scratch-00000[3-9]*"),
        victim.has_said("epoch=2 "),
        victim.there("results.csv"),
    ]
    for moment in moments:
        assert victim.killed_when(moment) == -signal.SIGKILL
    assert victim.finish() == 0
    settings = config.read(Path(each_step)).changed("train", {"epochs": 4})
    assert whole(victim) == undisturbed(pictures, tmp_path, monkeypatch, LAYERS, settings)
    assert victim.said.count("not finished: continued") == len(moments)
    assert "Goes on in epoch" in victim.said
    assert "Training had ended" in victim.said
    assert looks(victim) == 1


def test_a_solved_head_that_was_killed_ends_with_the_same_file(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (str(pictures), "--net", "features", "--size", "64")
    victim = Command(tmp_path / "room", given)
    assert victim.killed_when(victim.there("checkpoint/run.json")) == -signal.SIGKILL
    assert victim.killed_when(victim.there("metrics.json")) == -signal.SIGKILL
    assert victim.finish() == 0
    settings = fm.Settings().changed("net", {"size": 64})
    assert whole(victim) == undisturbed(pictures, tmp_path, monkeypatch, "features", settings)
    assert looks(victim) == 1


def test_sigterm_ends_after_the_step_and_resume_goes_on_longer(
    pictures: Path, tmp_path: Path
) -> None:
    command = Command(tmp_path, (str(pictures), "--net", LAYERS, "--epochs", "400", "--lr", "0.01"))
    status = command.killed_when(command.has_said("epoch=3 "), by=signal.SIGTERM)
    assert status == 143
    assert "[terminated]" in command.said
    assert "fieldmark train --resume" in command.said
    again = Command(tmp_path, ("--resume", "shapes-1", "--epochs", "2"))
    assert again.finish() == 2
    assert "[resume-differs]" in again.said
    more = Command(tmp_path, ("--resume", "--epochs", "12"))
    assert more.finish() == 0
    assert "400 epochs were planned, now 12" in more.said
    assert more.runs == ["shapes-1"]
    log = (tmp_path / "runs" / "shapes-1" / "log.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in log if '"event": "epoch"' in line]
    assert epochs == list(range(1, 13))
