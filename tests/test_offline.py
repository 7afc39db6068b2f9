"""Nothing reaches for a network: the whole flow with every connection refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.pictures import write_shapes

FLOW = """
import socket, sys

def refuse(self, *given):
    raise AssertionError(f"reached for the network: {given}")

socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse

import fieldmark as fm

folder, out = sys.argv[1:]
settings = fm.Settings().changed("run", {"out": out, "cache": False})
fm.check(folder)
layers = "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> GAP -> FC"
run = fm.train(folder, layers, epochs=1, settings=settings)
fm.evaluate(run.folder)
print(len(fm.predict(run.folder, [folder])), "answered")
"""


def test_the_whole_flow_works_with_every_connection_refused(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "shapes", 8)
    given = [sys.executable, "-c", FLOW, str(folder), str(tmp_path / "runs")]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "24 answered\n"
