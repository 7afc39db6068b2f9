"""What the system says of memory: read from files like its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fieldmark.workflow import machine, memory

STATUS = "VmPeak: 900 kB\nVmSize:\t 800 kB\nVmHWM:\t 500 kB\nVmRSS:\t 400 kB\nVmData: 300 kB\nx\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "status").write_text(STATUS, encoding="ascii")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\n", "ascii")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_of_the_process", lambda now, status: [])
    return tmp_path


def test_the_free_memory_is_a_limit_that_may_be_passed(system: Path) -> None:
    found = memory.limit("")
    assert found == memory.Limit(5400 * 1024, "the free memory of this computer", hard=False)


def test_what_was_asked_for_counts_where_it_is_less(system: Path) -> None:
    found = memory.limit("1MB")
    assert found is not None
    assert (found.n_bytes, found.what, found.hard) == (10**6, "--ram 1MB", True)


@pytest.mark.parametrize("group", [".", "box", "box/inner"])
def test_a_container_has_a_limit_of_its_own(system: Path, group: str) -> None:
    said = {
        "proc/self/cgroup": "0::/box/inner\n",
        f"groups/{group}/memory.max": "300000\n",
        f"groups/{group}/memory.current": "100000\n",
    }
    for name, text in said.items():
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).write_text(text, "ascii")
    found = memory.limit("")
    assert found is not None
    assert (found.n_bytes, found.hard) == (400 * 1024 + 200_000, True)
    (system / f"groups/{group}/memory.max").write_text("max\n", "ascii")
    found = memory.limit("")
    assert found is not None
    assert not found.hard


def test_a_number_that_stands_for_no_limit_is_none(system: Path) -> None:
    for name, text in {
        "proc/self/cgroup": "4:memory:/\n",
        "groups/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "groups/memory/memory.usage_in_bytes": "100000\n",
    }.items():
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).write_text(text, "ascii")
    (system / "meminfo").unlink()
    assert memory.limit("") is None


def test_without_any_word_of_the_system_nothing_is_known(system: Path) -> None:
    (system / "meminfo").unlink()
    assert memory.limit("") is None


def test_peak_and_present_are_told_apart(system: Path) -> None:
    assert (memory.peak(), memory.resident()) == (500 * 1024, 400 * 1024)


def test_the_peak_of_this_process_grows_with_what_it_holds() -> None:
    before = memory.peak()
    held = np.ones(30_000_000)
    assert memory.peak() >= before
    assert memory.resident() >= held.nbytes / 2
