"""Opening and running a network sends nothing and writes nothing, whatever the engine's habits.

Both engines report to their makers unless they are stopped: OpenVINO from Python, ONNX Runtime from
its library, where no patch of ``socket`` sees it. What both do first is to write a number for this
device into the home folder, so a home folder that stays empty is what is looked for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fieldmark.inference.runtime import _has_openvino

RUN = """
import json, multiprocessing, socket, subprocess, sys

tried = []
def refuse(*given, **named):
    tried.append(repr(given))
    raise OSError("refused by the test")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
multiprocessing.Process.start = subprocess.Popen.__init__ = refuse

import numpy as np
from fieldmark.inference.runtime import open_runtime

runtime = open_runtime(sys.stdin.buffer.read(), engine=sys.argv[1])
list(runtime.stream([np.zeros((2, 8, 8, 3), np.uint8)] * 3))
loaded = sorted(m for m in sys.modules if m.startswith("openvino_telemetry"))
print(json.dumps({"tried": tried, "loaded": loaded, "name": runtime.name}))
"""


def run(code: str, engine: str, data: bytes, home: Path) -> Any:
    """Run code in a process with an empty home folder and no variable that says CI."""
    kept = {key: value for key, value in os.environ.items() if key in ("PYTHONPATH", "PATH")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, engine],
        input=data,
        env=kept | {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)},
        cwd=home,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_opening_and_running_sends_nothing_and_writes_nothing(
    tiny: Any, tmp_path: Path, engine: str
) -> None:
    if engine == "openvino" and not _has_openvino():
        pytest.skip("openvino is not installed")
    found = run(RUN, engine, tiny.model().SerializeToString(), tmp_path)
    assert found["name"].startswith(engine)
    assert found["tried"] == []
    assert found["loaded"] == []
    assert list(tmp_path.rglob("*")) == []


def test_what_openvino_reports_with_can_be_imported_by_others_afterwards(
    tiny: Any, tmp_path: Path
) -> None:
    pytest.importorskip("openvino_telemetry")
    code = RUN + "import openvino_telemetry\n"
    assert run(code, "openvino", tiny.model().SerializeToString(), tmp_path)["loaded"] == []


def test_every_import_of_onnxruntime_is_behind_the_silence() -> None:
    """The variable is read when the library is loaded: one import before it undoes all of it."""
    source = Path(__file__).resolve().parents[2] / "src" / "fieldmark"
    loud = []
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        first = re.search(r"^ *(import|from) onnxruntime", text, re.MULTILINE)
        if first and "quiet()\n" not in text[: first.start()]:
            loud.append(path.name)
    assert loud == []
