"""Run the sides of a comparison in turn, A B C A B C, each measurement in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.conditions import busy_seconds
from benchmarks.options import REPOSITORY, Record

SIDES: Final = Path(__file__).parent / "sides"


class SideFailed(RuntimeError):
    """A side ended with an error; the end of what it said is in the message."""


@dataclass(frozen=True)
class Side:
    """One of the things that are compared."""

    name: str
    command: Callable[[int], list[str]]
    """From the number of the repeat, 0 for the first, to what follows ``python``."""
    python: Path = Path(sys.executable)
    """Its interpreter: a peer may need an environment of its own."""
    collect: Callable[[Path], Record] | None = None
    """Reads what the process left in its working folder, once the clock has stopped."""


def script(name: str, *arguments: object) -> list[str]:
    """Return the command for one file of ``sides/``."""
    return [str(SIDES / f"{name}.py"), *map(str, arguments)]


def interleaved(sides: Sequence[Side], repeats: int) -> dict[str, list[Record]]:
    """Measure every side ``repeats`` times; position i of all lists ran next to each other."""
    records: dict[str, list[Record]] = {side.name: [] for side in sides}
    for repeat in range(repeats):
        for side in sides:
            print(f"  {repeat + 1}/{repeats} {side.name}", file=sys.stderr, flush=True)
            records[side.name].append(
                measured(side.command(repeat), python=side.python, collect=side.collect)
            )
    return records


def measured(
    command: list[str],
    *,
    python: Path = Path(sys.executable),
    collect: Callable[[Path], Record] | None = None,
) -> Record:
    """Run one side in an empty working folder.

    Returns
    -------
    Record
        The JSON line it printed, if any; what ``collect`` found; ``wall_s`` from the start of the
        process to its end, ``cpu_s`` its processor seconds, ``peak_rss_mb`` in 10**6 bytes, and
        ``others_cores``: how many cores were busy with something else.
    """
    with tempfile.TemporaryDirectory(prefix="fieldmark-benchmark-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        printed, said = Path(folder) / "stdout.txt", Path(folder) / "stderr.txt"
        with printed.open("wb") as out, said.open("wb") as errors:
            busy, started = busy_seconds(), time.perf_counter()
            process = subprocess.Popen(
                [str(python), *command],
                cwd=work,
                env=_environment(Path(folder)),
                stdout=out,
                stderr=errors,
            )
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                process.wait()
                raise
            wall = time.perf_counter() - started
            busy = busy_seconds() - busy
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            tail = said.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise SideFailed(f"{' '.join(command)}: exit {process.returncode}\n{tail}")
        record = _last_json(printed.read_text(encoding="utf-8", errors="replace"))
        if collect is not None:
            record |= collect(work)
    cpu = usage.ru_utime + usage.ru_stime
    return record | {
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_rss_mb": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
        "others_cores": max(0.0, busy - cpu) / wall,
    }


def _environment(folder: Path) -> dict[str, str]:
    """Return the same surroundings for all: no GPU, empty caches, this checkout of fieldmark."""
    return os.environ | {
        "CUDA_VISIBLE_DEVICES": "",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "FIELDMARK_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(REPOSITORY / "src"),
    }


def _last_json(printed: str) -> Record:
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    return dict(json.loads(lines[-1])) if lines else {}
