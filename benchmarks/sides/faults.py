"""Runs ``fieldmark`` with planned faults, each in a child of its own that finds all imports done.

Reads one JSON object a line: ``words``, ``room``, ``modules`` (to import first) and, where a fault
is planned, ``plan``: call number, mode, errno, journal and folders, as ``tests/faults/shim.c`` has
them. Answers the exit status; negative: the signal that ended it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        for name in asked.get("modules", ()):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        child = os.fork()
        if child == 0:
            _run(asked)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(asked: dict[str, Any]) -> None:
    """Be the command, and end."""
    status = 1
    room = Path(asked["room"])
    os.chdir(room)
    os.environ["FIELDMARK_CACHE"] = str(room / "cache")
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(room / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    if "plan" in asked:
        at, mode, number, journal, folders = asked["plan"]
        ctypes.CDLL(os.environ["LD_PRELOAD"]).faults_plan(
            ctypes.c_long(at),
            ctypes.c_char(mode.encode()),
            number,
            journal.encode(),
            folders.encode(),
        )
    try:
        from fieldmark.__main__ import main as command

        sys.argv = ["fieldmark", *asked["words"]]
        command()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        if "loaded" in asked:
            Path(asked["loaded"]).write_text("\n".join(sys.modules), encoding="utf-8")
        os._exit(status)


if __name__ == "__main__":
    main()
