"""Locale, time zone, clock, hash seed, umask and folders change no byte of a model file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.pictures import write_shapes
from tests.workflow.staging import ROOT, Staged

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="these surroundings are of Unix"),
]

TRAIN = ("train", "shapes", "--copies", "0")
MODEL = Path("runs", "shapes-1", "shapes-1.fieldmark")
CLOCK = """
import time
real, begun = time.time, time.monotonic()
time.time = lambda: real() + {by} * (time.monotonic() - begun > 1.5)
"""
YEARS = 10 * 365 * 86400

SURROUNDINGS: dict[str, dict[str, str | None]] = {
    "the C locale": {"LC_ALL": "C", "LANG": None},
    "the C locale without UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "another time zone": {"TZ": "Pacific/Kiritimati"},
    "another hash seed": {"PYTHONHASHSEED": "4711"},
    "no home": {"HOME": None},
    "no folder for temporary files": {"TMPDIR": "/nowhere/at/all"},
    "no terminal": {"TERM": None, "COLUMNS": "1"},
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("surroundings") / "twin"
    write_shapes(room / "shapes", 8)
    command = Staged(room, TRAIN)
    assert command.whole() == 0, command.err
    return room


def assert_same(twin: Path, room: Path, command: Staged) -> None:
    assert command.whole() == 0, command.err
    assert (room / MODEL).read_bytes() == (twin / MODEL).read_bytes()
    log = (room / MODEL.parent / "environment.json").read_bytes()
    assert log


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings_change_nothing(twin: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(twin / "shapes", tmp_path / "shapes")
    command = Staged(tmp_path, TRAIN, cache=twin / "cache", variables=SURROUNDINGS[name])
    assert_same(twin, tmp_path, command)


def test_a_narrow_umask_changes_nothing_but_who_may_read(twin: Path, tmp_path: Path) -> None:
    shutil.copytree(twin / "shapes", tmp_path / "shapes")
    command = Staged(tmp_path, TRAIN, cache=twin / "cache", umask=0o077)
    assert_same(twin, tmp_path, command)
    assert (tmp_path / MODEL).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("by", [-YEARS, YEARS], ids=["back", "ahead"])
def test_a_clock_that_jumps_changes_nothing(twin: Path, tmp_path: Path, by: int) -> None:
    """Durations are of the clock that only runs; nothing is told from the age of a file."""
    shutil.copytree(twin / "shapes", tmp_path / "shapes")
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK.format(by=by), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path / "clock"), str(ROOT / "src")])
    command = Staged(tmp_path, TRAIN, cache=twin / "cache", variables={"PYTHONPATH": path})
    assert_same(twin, tmp_path, command)
    facts = (tmp_path / MODEL.parent / "log.jsonl").read_text(encoding="utf-8")
    assert '"seconds": -' not in facts
