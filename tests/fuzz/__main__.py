"""``python -m tests.fuzz [TARGET ...] --minutes 30``: look for bytes that a reader cannot bear.

Each target runs in a process of its own, by atheris where it is installed (``pip install atheris``;
it follows which lines were reached) and by seeded changes of good inputs elsewhere. Inputs that
make a reader raise what it may not, crash it or take too long are kept in ``--keep``; give one to
``--again FILE`` to see what it does.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.fuzz import mutation, targets

SLOW_S = 10.0
"""One input that takes longer is a finding too."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("names", nargs="*", metavar="TARGET", help=", ".join(targets.TARGETS))
    parser.add_argument("--minutes", type=float, default=30.0, help="all targets together")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0, help="of the changes without atheris")
    parser.add_argument("--engine", choices=("auto", "atheris", "changes"), default="auto")
    parser.add_argument("--again", type=Path, metavar="FILE", help="give one target one file")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    names = given.names or list(targets.TARGETS)
    if unknown := [name for name in names if name not in targets.TARGETS]:
        parser.error(f"unknown: {', '.join(unknown)}")
    if given.again:
        targets.tried(names[0], given.again.read_bytes())
        return 0
    seconds = 60 * given.minutes / len(names)
    if given.inside:
        return _inside(names[0], seconds, given)
    status = 0
    for name in names:
        words = [name, "--inside", "--minutes", seconds / 60, "--keep", given.keep]
        words += ["--seed", given.seed, "--engine", given.engine]
        done = subprocess.run([sys.executable, "-m", "tests.fuzz", *map(str, words)], check=False)
        if done.returncode:
            print(f"{name}: FOUND something (status {done.returncode}), see {given.keep}")
            status = 1
    return status


def _inside(name: str, seconds: float, given: Any) -> int:
    given.keep.mkdir(parents=True, exist_ok=True)
    engine = given.engine
    if engine != "changes":
        try:
            import atheris
        except ImportError:
            if engine == "atheris":
                raise
        else:
            return _by_atheris(atheris, name, seconds, given.keep)
    return _by_changes(name, seconds, given.keep, given.seed)


def _by_changes(name: str, seconds: float, keep: Path, seed: int) -> int:
    target = targets.TARGETS[name]
    end, n_tried, found = time.monotonic() + seconds, 0, {}
    for data in mutation.endless(target.seeds(), target.words, seed, target.max_bytes):
        started = time.monotonic()
        if started > end:
            break
        n_tried += 1
        try:
            targets.tried(name, data)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
            if kind not in found:
                found[kind] = _kept(keep, name, data)
                print(f"{name}: {kind}: {error!s:.100} -> {found[kind]}", flush=True)
        if time.monotonic() - started > SLOW_S:
            print(f"{name}: slow -> {_kept(keep, name, data)}", flush=True)
            found["slow"] = "slow"
    print(f"{name}: {n_tried:,} inputs in {seconds:.0f} s, {len(found)} findings", flush=True)
    return 1 if found else 0


def _kept(keep: Path, name: str, data: bytes) -> Path:
    path = keep / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def _by_atheris(atheris: Any, name: str, seconds: float, keep: Path) -> int:
    target = targets.TARGETS[name]
    start = keep / "seeds" / name
    start.mkdir(parents=True, exist_ok=True)
    for at, data in enumerate(target.seeds()):
        (start / f"seed-{at}").write_bytes(data)
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    words = keep / f"{name}.words"
    words.write_text("".join(f'"{word}"\n' for word in escaped), encoding="ascii")
    atheris.instrument_all()
    options = [
        *(f"-max_total_time={int(seconds)}", f"-timeout={int(SLOW_S)}", "-rss_limit_mb=2048"),
        *(f"-artifact_prefix={keep}/{name}-", f"-max_len={target.max_bytes}"),
        *([f"-dict={words}"] if target.words else []),  # it refuses an empty one
        *("-print_final_stats=1", "-close_fd_mask=0", str(start)),
    ]
    sys.stdout.flush()
    atheris.Setup([name, *options], lambda data: targets.tried(name, data))
    atheris.Fuzz()  # ends the process
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
