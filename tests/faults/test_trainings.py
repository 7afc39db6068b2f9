"""The benchmark ``faults``: its arithmetic; and a part of what it does, whole trainings."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.faults")


def trial(**changes: object) -> dict[str, object]:
    usual = {"net": "gradients", "mode": "kill -9", "kind": "fsync", "status": -9, "code": ""}
    more = {"finished": False, "state": "ab", "again": True, "wrong": []}
    return usual | more | changes


def test_the_table_counts_every_fault_and_says_what_was_lost(faults: ModuleType) -> None:
    trials = [
        trial(),
        trial(again=False),
        trial(state="cd", wrong=["another model file"]),
        trial(status=3, code="disk-full", state="ef", mode="disk full once"),
        trial(status=0, finished=True, state=None, again=None, mode="disk full once"),
    ]
    *rows, last = faults._lines(trials, {"gradients": 9})
    assert [row.split() for row in rows[1:]] == [
        ["disk", "full", "once", "fsync", "2", "1", "0", "1", "disk-full", "1", "of", "1", "0"],
        ["kill", "-9", "fsync", "3", "0", "3", "-", "1", "of", "2", "1"],
        ["all", "5", "1", "3", "1", "disk-full", "2", "of", "3", "1"],
    ]
    assert last == "calls: 9 of gradients; 4 of 5 faults lost nothing"


def test_a_state_is_what_files_there_are_and_how_large(faults: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    states = {faults.left(tmp_path)}
    for name, size in (("a/x", 3), ("a/x", 4), (f"a/.fieldmark-{'0' * 16}.part", 1)):
        (tmp_path / "runs" / name).write_bytes(bytes(size))
        states.add(faults.left(tmp_path))
    assert len(states) == 4
    unnamed = tmp_path / "runs" / "a" / f".fieldmark-{'0' * 16}.part"
    unnamed.rename(unnamed.with_name(f".fieldmark-{'1' * 16}.part"))
    assert faults.left(tmp_path) in states, "a drawn name is any name"


def test_the_library_strikes_what_it_was_told_to_and_nothing_else(
    shim: Path, tmp_path: Path
) -> None:
    watched, other = tmp_path / "watched", tmp_path / "other"
    watched.mkdir()
    other.mkdir()
    code = (
        "import os, sys\n"
        "for folder in sys.argv[1:]:\n"
        "    os.chdir(folder)\n"
        "    for number in range(3):\n"
        "        try:\n"
        "            file = os.open(f'{number}', os.O_WRONLY | os.O_CREAT)\n"
        "            os.write(file, b'12345678'); os.fsync(file); os.close(file)\n"
        "            os.rename(f'{number}', f'{number}.done')\n"
        "        except OSError as error:\n"
        "            print(number, error.errno, os.path.basename(folder))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, watched, other],
        env={"LD_PRELOAD": str(shim), "FAULTS": f"6 t 28 {tmp_path}/calls {watched}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1 28 watched\n"
    assert (watched / "1").read_bytes() == b"1234", "half of the second file's write"
    assert sorted(path.name for path in watched.iterdir()) == ["0.done", "1", "2.done"]
    assert sorted(path.name for path in other.iterdir()) == ["0.done", "1.done", "2.done"]
    calls = [line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()]
    assert calls == ["open", "write", "fsync", "rename", "open", "write", *calls[:4]]


@pytest.mark.slow
def test_a_training_loses_nothing_whatever_call_fails(shim: Path, tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "faults", "--repeats", "1", "--json", kept],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    trials = json.loads(kept.read_text(encoding="utf-8"))["faults"]["records"]["trials"]
    assert len(trials) > 30
    assert [each for each in trials if each["wrong"]] == []
