"""Where and with what a measurement was made, and whether the machine had time for it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

BUSY: Final = 0.25
"""Load average per core from which other work disturbs what is measured."""
PACKAGES: Final = (
    "fieldmark",
    "keras",
    "tensorflow",
    "numpy",
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
    "pillow",
    "scipy",
    "scikit-learn",
)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float | None:
    """Return the load average of the last minute; None where there is no such thing."""
    try:
        return float(Path("/proc/loadavg").read_text().split()[0])
    except OSError:
        return None


def warning_if_busy() -> str:
    now = load()
    if now is None or now < BUSY * cores():
        return ""
    return (
        f"warning: the load average is {now:.2f} on {cores()} cores: something else is running. "
        "Trust ratios of interleaved sides, not absolute figures."
    )


def busy_seconds() -> float:
    """Return the processor seconds the whole machine has spent working, since it was started."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, soft = ticks[:7]
    return float(user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def conditions() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": cores(),
        "load_at_start": load(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
