"""SIGTERM, SIGHUP and SIGINT at every stage but training by gradients, in real processes."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from fieldmark.ending import GRACE_S
from tests.pictures import write_shapes
from tests.workflow.staging import Staged

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signal can be sent there")

TRAIN = ("train", "shapes", "--copies", "0")
PREDICT = ("predict", "shapes-1.fieldmark", "shapes")
TRAINING = {
    "fieldmark.data.scan.hash_contents": "reading",
    "fieldmark.modalities.looking.look": "looking, in a thread",
    "fieldmark.workflow.backbone.extract": "features",
    "fieldmark.workflow.transfer.solve": "the head",
    "fieldmark.workflow.finishing.export": "export",
    "fieldmark.evaluation.report.measure": "measuring",
    "fieldmark.workflow.artefacts.write_all": "writing",
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed; its cache serves the others."""
    room = tmp_path_factory.mktemp("signals") / "twin"
    write_shapes(room / "shapes", 8)
    command = Staged(room, TRAIN)
    assert command.whole() == 0, command.err
    return room


@pytest.fixture
def room(twin: Path, tmp_path: Path) -> Path:
    """The same pictures, and the model of the twin."""
    shutil.copytree(twin / "shapes", tmp_path / "shapes")
    shutil.copy(twin / "runs" / "shapes-1" / "shapes-1.fieldmark", tmp_path)
    return tmp_path


def half_written(*folders: Path) -> list[str]:
    """Not ``.measured.fieldmark``: a run that is stopped keeps it until it is continued."""
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix == ".part" or ".tmp" in path.name or path.name.startswith(".building-")
    ]


def assert_told_to_end(command: Staged, line: str) -> None:
    said = command.err.splitlines()
    assert said[-1] == f"fieldmark: stopped by {line}"
    assert not [each for each in said if "Traceback" in each or "Exception ignored" in each]
    assert half_written(command.room, command.cache or command.room / "cache") == []


@pytest.mark.parametrize("stage", TRAINING, ids=TRAINING.values())
def test_sigterm_ends_a_training_at_every_stage(twin: Path, room: Path, stage: str) -> None:
    fresh = stage in list(TRAINING)[1:3]  # what is in the cache is not looked at again
    cache = room / "cache" if fresh else twin / "cache"
    command = Staged(room, TRAIN, stage, cache).start().halted().send(signal.SIGTERM)
    assert command.ended() == 143, command.err
    assert_told_to_end(command, "SIGTERM. [terminated]")
    assert not list((room / "runs").glob("*/[!.]*.fieldmark"))


def test_the_same_command_then_goes_on_and_ends_with_the_same_bytes(twin: Path, room: Path) -> None:
    stage = "fieldmark.workflow.artefacts.write_all"
    command = Staged(room, TRAIN, stage, twin / "cache").start().halted().send(signal.SIGTERM)
    assert command.ended() == 143
    again = Staged(room, TRAIN, cache=twin / "cache")
    assert again.whole() == 0, again.err
    assert "not finished: continued" in again.err
    model = Path("runs", "shapes-1", "shapes-1.fieldmark")
    assert (room / model).read_bytes() == (twin / model).read_bytes()


@pytest.mark.parametrize(
    ("words", "stage"),
    [
        (("check", "shapes"), "fieldmark.workflow.checking.Check.save"),
        (("check", "shapes"), "fieldmark.data.scan.hash_contents"),
        (PREDICT, "fieldmark.inference.predictor.read_file"),
        (("evaluate", "shapes-1.fieldmark", "shapes"), "fieldmark.workflow.measuring.measure"),
    ],
    ids=("check: page", "check: reading", "predict, in a thread", "evaluate"),
)
def test_sigterm_ends_the_other_verbs(
    twin: Path, room: Path, words: tuple[str, ...], stage: str
) -> None:
    command = Staged(room, words, stage, twin / "cache").start().halted().send(signal.SIGTERM)
    assert command.ended() == 143, command.err
    assert_told_to_end(command, "SIGTERM. [terminated]")
    assert not list(room.glob("*.html"))


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [
        (signal.SIGINT, 130, "Ctrl-C. [interrupted]"),
        (signal.SIGHUP, 143, "SIGHUP. [terminated]"),
    ],
)
def test_ctrl_c_and_a_closed_terminal_end_it_likewise(
    twin: Path, room: Path, number: signal.Signals, status: int, line: str
) -> None:
    stage = "fieldmark.workflow.transfer.solve"
    command = Staged(room, TRAIN, stage, twin / "cache").start().halted().send(number)
    assert command.ended() == status, command.err
    assert_told_to_end(command, line)


def test_a_second_signal_ends_it_at_once(twin: Path, room: Path) -> None:
    stage = "fieldmark.inference.predictor.read_file"
    command = Staged(room, PREDICT, stage, twin / "cache").start().halted().send(signal.SIGTERM)
    time.sleep(0.5)
    assert command.process is not None
    assert command.process.poll() is None  # the thread is waited for
    sent = time.monotonic()  # else it would end by itself after GRACE_S
    assert command.send(signal.SIGTERM).ended() == 143
    assert time.monotonic() - sent < GRACE_S / 2


def test_what_is_ignored_stays_ignored(twin: Path, room: Path) -> None:
    """As ``nohup`` has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stage = "fieldmark.inference.predictor.read_file"
        command = Staged(room, PREDICT, stage, twin / "cache").start().halted()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert command.send(signal.SIGHUP).go().ended() == 0, command.err
    assert len(command.out.splitlines()) == 24
