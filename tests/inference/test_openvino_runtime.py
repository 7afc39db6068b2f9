"""OpenVINO is used without its habits: nothing is sent or written, and float32 stays float32."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openvino")

from fieldmark.inference.openvino_runtime import OpenVino

QUIET = """
import json, socket, subprocess, sys, threading, multiprocessing

tried = []
def refuse(*given, **named):
    tried.append(repr(given))
    raise OSError("refused by the test")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
multiprocessing.Process.start = subprocess.Popen.__init__ = refuse

import numpy as np
from fieldmark.inference.runtime import open_runtime

runtime = open_runtime(sys.stdin.buffer.read(), engine="openvino", bulk=True)
list(runtime.stream([np.zeros((2, 8, 8, 3), np.uint8)] * 3))
loaded = sorted(m for m in sys.modules if m.startswith("openvino_telemetry"))
print(json.dumps({"tried": tried, "loaded": loaded, "name": runtime.name}))
"""


def run(code: str, data: bytes, home: Path) -> Any:
    """Run code in a process whose home folder is empty, as far from any CI variable as can be."""
    kept = {key: value for key, value in os.environ.items() if key in ("PYTHONPATH", "PATH")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        input=data,
        env=kept | {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)},
        cwd=home,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_opening_and_running_sends_nothing_and_writes_nothing(tiny: Any, tmp_path: Path) -> None:
    found = run(QUIET, tiny.model().SerializeToString(), tmp_path)
    assert found["name"].startswith("openvino ")
    assert found["tried"] == []
    assert found["loaded"] == []
    assert list(tmp_path.rglob("*")) == []


def test_what_reports_can_still_be_imported_by_others_afterwards(tiny: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino_telemetry")
    code = QUIET + "import openvino_telemetry\n"
    assert run(code, tiny.model().SerializeToString(), tmp_path)["loaded"] == []


@pytest.mark.parametrize("bulk", [False, True])
def test_float32_is_asked_for_by_name_and_threads_are_not_pinned(tiny: Any, bulk: bool) -> None:
    """On a processor with bfloat16 the engine would choose that and answer otherwise."""
    opened = OpenVino(tiny.model().SerializeToString(), bulk=bulk, threads=1)
    properties = opened._compiled.get_property
    assert "float32" in str(properties("INFERENCE_PRECISION_HINT"))
    assert properties("ENABLE_CPU_PINNING") is False
    assert properties("INFERENCE_NUM_THREADS") == 1


def test_requests_are_used_again(tiny: Any) -> None:
    opened = OpenVino(tiny.model().SerializeToString(), bulk=True)
    for _ in range(5):
        list(opened.stream([tiny.pixels(1)] * 10))
    assert len(opened._idle) <= opened._n_ahead
