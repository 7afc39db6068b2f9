"""A lock that ends with its process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fieldmark.workflow.lock import Lock

HOLDER = """
    import sys, time
    from pathlib import Path
    from fieldmark.workflow.lock import Lock

    lock = Lock(Path(sys.argv[1]))
    print(lock.take(), flush=True)
    time.sleep(60)
"""


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    assert not Lock(path).take()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    again = Lock(path)
    assert again.take()
    again.release()


def test_where_no_lock_can_be_made_nobody_is_kept_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    lock = Lock(tmp_path / "lock")
    assert lock.take()
    lock.release()


def test_in_a_folder_that_is_gone_nobody_holds_anything(tmp_path: Path) -> None:
    assert not Lock(tmp_path / "nowhere" / "lock").take()


def test_it_may_be_let_go_of_twice(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    assert lock.take()
    lock.release()
    lock.release()
    assert lock.take()
    lock.release()
