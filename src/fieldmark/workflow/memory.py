"""How much memory this process has, and how much it may take. Reads what the system says."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fieldmark.config import n_bytes
from fieldmark.workflow import machine

_STATUS: Final = Path("/proc/self/status")
_MEMINFO: Final = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Limit:
    """How large the resident part of this process may become, and who says so."""

    n_bytes: int
    what: str
    hard: bool
    """Beyond it an allocation fails or the process is ended; else others just get less."""


def peak() -> int:
    """Return the most that was resident in this process, in bytes: program, data, mapped files."""
    found = _proc(_STATUS).get("VmHWM")
    if found is not None:
        return found
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def resident() -> int:
    """Return what is resident now, in bytes; where that is not known, the peak."""
    return _proc(_STATUS).get("VmRSS") or peak()


def limit(asked: str) -> Limit | None:
    """Return the smallest limit there is; None: nothing is known.

    Parameters
    ----------
    asked : str
        ``--ram``: a size; empty: none.
    """
    found = [] if not asked else [Limit(n_bytes(asked), f"--ram {asked}", hard=True)]
    now, status = resident(), _proc(_STATUS)
    found += _of_the_process(now, status)
    for most, used in machine.memory_limits():
        left = max(most - used, 0)
        found.append(Limit(now + left, "the memory limit of the container", hard=True))
    free = _proc(_MEMINFO).get("MemAvailable")
    if free is not None:
        found.append(Limit(now + free, "the free memory of this computer", hard=False))
    return min(found, key=lambda each: each.n_bytes, default=None)


def _of_the_process(now: int, status: dict[str, int]) -> list[Limit]:
    """List the limits of `ulimit`: they count what is asked for, which is more than is resident."""
    try:
        import resource
    except ImportError:  # not on Windows
        return []
    found = []
    for name, used in (("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")):
        most = resource.getrlimit(getattr(resource, name))[0]
        if most != resource.RLIM_INFINITY and used in status:
            left = max(most - status[used], 0)
            found.append(Limit(now + left, f"the limit {name} of this process", hard=True))
    return found


def _proc(path: Path) -> dict[str, int]:
    """Read lines such as ``VmRSS:  123 kB`` as bytes; empty where there is no such file."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    words = [line.replace(":", " ").split() for line in lines]
    return {each[0]: int(each[1]) * 1024 for each in words if each[2:] == ["kB"]}
