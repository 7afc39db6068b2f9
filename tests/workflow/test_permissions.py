"""What may not be read: pictures, folders, model file, settings. As a user who is not root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import write_shapes
from tests.workflow.staging import ROOT

GOLDEN = ROOT / "tests" / "golden" / "bundle_v1.fieldmark"
NOBODY = 65534

# Everything is imported first, by verbs that work: nobody may not read the interpreter's own files.
_AS_NOBODY = """
import contextlib, io, json, os, sys
from fieldmark import cli
def run(*words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.run(words)
    return status, out.getvalue(), err.getvalue()
commands = json.loads(sys.argv[1])
for words in commands:
    run(*words)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({nobody})
    os.setuid({nobody})
os.environ["FIELDMARK_CACHE"] = "other-cache"
print(json.dumps([run(*words) for words in commands]))
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such permissions there")

COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "shapes", "--no-suspects", "--json"),
    "predict": ("predict", "open.fieldmark", "shapes", "--json"),
    "closed model": ("predict", "closed.fieldmark", "shapes"),
    "closed settings": ("train", "shapes", "--config", "closed.toml"),
    "closed list": ("check", "shapes", "--labels", "closed.csv"),
    "closed folder": ("check", "shapes/locked", "--no-suspects"),
}


@pytest.fixture(scope="module")
def said() -> Iterator[dict[str, tuple[int, str, str]]]:
    """Run every command where some files and a folder are closed to it."""
    room = Path(tempfile.mkdtemp(prefix="fieldmark-closed-", dir="/tmp"))
    try:
        room.chmod(0o777)
        write_shapes(room / "shapes", 4)
        write_shapes(room / "shapes" / "locked", 1, shapes=("circle", "square"))
        for name in ("open", "closed"):
            shutil.copy(GOLDEN, room / f"{name}.fieldmark")
        (room / "closed.toml").write_text("[train]\nseed = 1\n", encoding="utf-8")
        (room / "closed.csv").write_text("path,label\nx.png,a\n", encoding="utf-8")
        (room / "shapes" / "circle" / "000.png").chmod(0)
        for name in ("closed.fieldmark", "closed.toml", "closed.csv", "shapes/locked"):
            (room / name).chmod(0)
        yield _run(room)
    finally:
        (room / "shapes" / "locked").chmod(0o700)
        shutil.rmtree(room)


def _run(room: Path) -> dict[str, Any]:
    done = subprocess.run(
        [
            *(sys.executable, "-c", _AS_NOBODY.replace("{nobody}", str(NOBODY))),
            json.dumps([list(words) for words in COMMANDS.values()]),
        ],
        cwd=room,
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "src"), "FIELDMARK_CACHE": str(room / "first-cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("this user can become nobody else")
    assert done.returncode == 0, done.stderr
    return dict(zip(COMMANDS, json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_a_check_names_a_closed_picture_and_a_closed_folder(said: dict[str, Any]) -> None:
    status, out, _ = said["check"]
    assert status == 0
    left_out = {each["path"]: each["code"] for each in json.loads(out)["left_out"]}
    assert left_out == {"circle/000.png": "no-permission", "locked": "unreadable-folder"}


def test_a_prediction_names_what_is_closed_and_answers_the_others(said: dict[str, Any]) -> None:
    status, out, _ = said["predict"]
    assert status == 3
    rows = [json.loads(line) for line in out.splitlines()]
    named = {row["file"]: row["error"]["code"] for row in rows if "error" in row}
    assert named == {
        "shapes/circle/000.png": "no-permission",
        "shapes/locked": "no-permission",
    }
    assert sum("label" in row for row in rows) == 11


@pytest.mark.parametrize("what", [name for name in COMMANDS if name.startswith("closed")])
def test_what_is_closed_is_said_with_its_name(said: dict[str, Any], what: str) -> None:
    status, out, err = said[what]
    words = COMMANDS[what]
    name = next(word for word in words if "closed" in word or "locked" in word)
    assert status in (2, 3)
    assert out == ""
    assert name in err
    assert "ermission" in err or "may not be read" in err
    assert "[fault]" not in err
