"""Processor, cores and memory, as far as fieldmark may use them. Standard library only."""

from __future__ import annotations

import contextlib
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
CGROUPS: Final = Path("/sys/fs/cgroup")
_NONE: Final = 2**60
"""Bytes; the first kind of groups says so much, or more, where there is no limit."""

_SHOWN: Final = {
    "avx2": "AVX2",
    "fma": "FMA",
    "avx512f": "AVX-512",
    "avx_vnni": "VNNI",
    "avx512_vnni": "AVX-512 VNNI",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "asimddp": "dot product",
    "i8mm": "int8 matrices",
    "sve": "SVE",
}
"""Instructions that networks gain from: the system's name -> ours."""


def cores() -> int:
    """Count the processors this process may use: its affinity, bounded by a container's quota.

    Examples
    --------
    >>> 1 <= cores() <= affinity()
    True
    """
    return max(1, min([affinity(), *map(math.ceil, _quotas())]))


def affinity() -> int:
    """Count the processors this process may run on, whatever share of their time it gets."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Return the processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def instructions() -> str:
    """Return the names of every instruction set the processor has; empty where nothing says it."""
    return " ".join(sorted((_cpuinfo("flags") or _cpuinfo("Features")).split()))


def fast_instructions() -> tuple[str, ...]:
    """Return those that networks gain from, as people call them."""
    found = set(instructions().split())
    return tuple(name for flag, name in _SHOWN.items() if flag in found)


def memory() -> tuple[int, int] | None:
    """Return (free, all) bytes that this process may take: the system's, bounded by a container's.

    None where the system does not say.
    """
    found = {}
    for name in ("MemAvailable", "MemTotal"):
        number = _field(PROC / "meminfo", name).partition(" ")[0]
        if not number.isdecimal():
            return None
        found[name] = 1024 * int(number)
    free, whole = found["MemAvailable"], found["MemTotal"]
    for limit, used in memory_limits():
        free, whole = min(free, max(limit - used, 0)), min(whole, limit)
    return free, whole


def _quotas() -> Iterator[float]:
    """Yield what every group of processes around this one may use, in processors."""
    for folder in _groups("", "cpu"):
        quota, _, period = _words(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = (_words(folder / f"cpu.cfs_{each}_us") for each in ("quota", "period"))
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def memory_limits() -> Iterator[tuple[int, int]]:
    """Yield (limit, used) bytes of every group of processes around this one that has a limit."""
    for folder in _groups("", "memory"):
        for names in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = (_words(folder / name) for name in names)
            if limit.isdecimal() and used.isdecimal() and int(limit) < _NONE:
                yield int(limit), int(used)


def _groups(*controllers: str) -> Iterator[Path]:
    """Yield the folders of the control groups of this process, innermost first.

    A container often sees its own group as the root, whatever name the file gives it, so folders
    that are not there are passed over.
    """
    for line in _words(PROC / "self" / "cgroup").splitlines():
        _, names, path = (*line.split(":", 2), "", "")[:3]
        if not set(names.split(",")) & set(controllers):
            continue
        root = CGROUPS / names if names else CGROUPS
        inner = root / path.strip("/")
        for folder in (inner, *inner.parents):
            if not folder.is_relative_to(root):
                break
            yield folder


def _words(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _cpuinfo(wanted: str) -> str:
    return _field(PROC / "cpuinfo", wanted)


def _field(path: Path, wanted: str) -> str:
    for line in _words(path).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == wanted:
            return value.strip()
    return ""
