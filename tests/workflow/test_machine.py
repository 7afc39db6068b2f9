"""What of a computer may be used: made-up systems, so that the answer is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fieldmark.workflow import machine

System = Callable[[dict[str, str]], None]


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """Lay out what the system says of itself; four processors."""
    monkeypatch.setattr(machine, "PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "affinity", lambda: 4)

    def lay(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    return lay


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= machine.cores() <= machine.affinity() <= (os.cpu_count() or 1)


def test_a_system_that_says_nothing_gives_every_processor(system: System) -> None:
    assert machine.cores() == 4
    assert machine.memory() is None
    assert machine.instructions() == ""
    assert machine.processor()


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 4),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("900000 100000", 4),
        ("", 4),
        ("nonsense", 4),
        ("100000 0", 4),
    ],
)
def test_a_containers_quota_bounds_the_cores(system: System, quota: str, cores: int) -> None:
    system({"proc/self/cgroup": "0::/\n", "groups/cpu.max": quota})
    assert machine.cores() == cores


def test_the_narrowest_group_around_a_process_counts(system: System) -> None:
    system(
        {
            "proc/self/cgroup": "0::/user/me\n",
            "groups/user/cpu.max": "100000 100000",
            "groups/user/me/cpu.max": "300000 100000",
        }
    )
    assert machine.cores() == 1


def test_the_first_kind_of_groups_is_read_too(system: System) -> None:
    system(
        {
            "proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n",
            "groups/cpu,cpuacct/cpu.cfs_quota_us": "300000",
            "groups/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "groups/memory/memory.limit_in_bytes": "1000",
            "groups/memory/memory.usage_in_bytes": "400",
            "proc/meminfo": "MemTotal: 8 kB\nMemAvailable: 4 kB\n",
        }
    )
    assert machine.cores() == 3
    assert machine.memory() == (600, 1000)


def test_a_quota_of_minus_one_is_none(system: System) -> None:
    system(
        {
            "proc/self/cgroup": "3:cpu:/\n",
            "groups/cpu/cpu.cfs_quota_us": "-1",
            "groups/cpu/cpu.cfs_period_us": "100000",
        }
    )
    assert machine.cores() == 4


@pytest.mark.parametrize(
    ("limit", "used", "wanted"),
    [
        ("max", "100", (4096, 8192)),
        ("6000", "1000", (4096, 6000)),
        ("3000", "1000", (2000, 3000)),
        ("3000", "9000", (0, 3000)),
    ],
)
def test_memory_is_bounded_by_the_container(
    system: System, limit: str, used: str, wanted: tuple[int, int]
) -> None:
    system(
        {
            "proc/meminfo": "MemTotal:  8 kB\nMemFree: 1 kB\nMemAvailable:  4 kB\n",
            "proc/self/cgroup": "0::/box\n",
            "groups/box/memory.max": limit,
            "groups/box/memory.current": used,
        }
    )
    assert machine.memory() == wanted


def test_what_the_processor_can_do_is_named_in_one_order(system: System) -> None:
    flags = "sse avx512_vnni avx2 avx512f"
    system({"proc/cpuinfo": f"model name\t: A 3000\nflags\t\t: {flags}\n\nmodel name : B\n"})
    assert machine.processor() == "A 3000"
    assert machine.instructions() == "avx2 avx512_vnni avx512f sse"
    assert machine.fast_instructions() == ("AVX2", "AVX-512", "AVX-512 VNNI")


def test_other_processors_call_them_features(system: System) -> None:
    system({"proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp\n"})
    assert machine.fast_instructions() == ("NEON", "dot product")
