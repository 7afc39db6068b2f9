"""Virtual environments that a benchmark makes for itself, outside the repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import SideFailed


def made(folder: Path, requirements: Sequence[str]) -> Path:
    """Make an environment with what ``pip install`` makes of the requirements.

    Returns
    -------
    Path
        Its interpreter.
    """
    print(f"  installing {', '.join(requirements)}", file=sys.stderr, flush=True)
    _done([sys.executable, "-m", "venv", str(folder)])
    python = folder / "bin" / "python"
    _done([str(python), "-m", "pip", "install", "--quiet", *requirements])
    return python


def kept(name: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of an environment that is made once and used again.

    It lies in ``$FIELDMARK_BENCHMARKS``, or ``fieldmark-benchmarks`` in the user's folder for
    caches; other requirements or another Python make another one.
    """
    key = hashlib.sha256(repr((sys.version, tuple(requirements))).encode()).hexdigest()[:8]
    folder = room() / f"{name}-{key}"
    complete = folder / "complete"
    if not complete.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        made(folder, requirements)
        complete.write_text("\n".join(requirements) + "\n", encoding="utf-8")
    return folder / "bin" / "python"


def room() -> Path:
    given = os.environ.get("FIELDMARK_BENCHMARKS")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fieldmark-benchmarks"


def _done(command: list[str]) -> None:
    # Without PYTHONPATH: pip would take the checkout for a package that is installed.
    around = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SideFailed(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
