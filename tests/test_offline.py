"""Nothing reaches for a network: every verb there is, in a process with no way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fieldmark.cli import VERBS
from tests import walled
from tests.pictures import write_shapes

ROOT = Path(__file__).parents[1]
TINY = ["--epochs", "1", "--lr", "0.01", "--threads", "auto"]
LAYERS = "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> GAP -> FC"

LINES: dict[str, list[list[str]]] = {
    "doctor": [[], ["--json"]],
    "demo": [["-o", "digits"]],
    "check": [["shapes", "--html", "check.html"], ["shapes", "--json"]],
    "show": [["shapes", "-o", "show.html"]],
    "split": [["shapes", "-o", "parts.csv"]],
    "net": [["tutorial"], ["features"]],
    "train": [
        ["shapes", "--net", "tutorial", "--size", "16", "--split", "parts.csv", *TINY],
        ["shapes", "--net", LAYERS, "--folds", "2", "--repeat", "1", *TINY],
        ["shapes", "--net", "features", "--size", "64", "--copies", "0", "--threads", "auto"],
    ],
    "evaluate": [["shapes-1", "--by", "brightness"], ["shapes-1", "shapes", "--csv", "all.csv"]],
    "compare": [["shapes-1", "shapes-2", "--html", "compare.html"]],
    "reproduce": [["shapes-1", "shapes"], ["shapes-3", "--check"]],
    "predict": [["shapes-1", "shapes", "--recursive", "--format", "csv"], ["shapes-3", "shapes"]],
    "inspect": [["latest"]],
    "runs": [[], ["--json"]],
}
"""What each verb is given, in an order in which it can run."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("room")


def namespace() -> list[str]:
    """Return what starts a process in a network without interfaces; nothing where it may not."""
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare"):
            done = subprocess.run([*words, "true"], capture_output=True, check=False)
            if done.returncode == 0:
                return words
    return []


@pytest.fixture(scope="module")
def outcomes(room: Path) -> list[dict[str, Any]]:
    """Run all of LINES, each verb after the other, in one process behind both walls."""
    write_shapes(room / "shapes", 12)
    lines = [[verb, *words] for verb, each in LINES.items() for words in each]
    (room / "lines.json").write_text(json.dumps(lines))
    (room / "home").mkdir()
    done = subprocess.run(
        [*namespace(), sys.executable, "-m", "tests.walled", "lines.json"],
        cwd=room,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "HOME": str(room / "home"),
            "XDG_CACHE_HOME": str(room / "home" / "cache"),
            "KERAS_HOME": str(room / "keras"),
            "FIELDMARK_CACHE": str(room / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"words"')]
    assert len(found) == len(lines), done.stdout[-2000:] + done.stderr[-4000:]
    return found


def of(verb: str, outcomes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from (each for each in outcomes if each["words"][0] == verb)


@pytest.mark.parametrize("verb", VERBS)
def test_the_whole_flow_works_with_every_connection_refused(
    verb: str, outcomes: list[dict[str, Any]]
) -> None:
    ran = list(of(verb, outcomes))
    assert len(ran) == len(LINES[verb]) > 0
    assert [(each["words"], each["said"]) for each in ran if each["status"] != 0] == []


@pytest.mark.parametrize("verb", VERBS)
def test_no_python_code_of_a_verb_tries_to_get_out(
    verb: str, outcomes: list[dict[str, Any]]
) -> None:
    assert [each["tried"] for each in of(verb, outcomes) if each["tried"]] == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_starts_no_other_program_but_to_ask_for_names(
    verb: str, outcomes: list[dict[str, Any]]
) -> None:
    """What another program does passes no hook. Matplotlib asks for fonts, Python for a name."""
    assert {name for each in of(verb, outcomes) for name in each["started"]} <= {"uname", "fc-list"}


@pytest.mark.skipif(not namespace(), reason="no network namespace may be made here")
@pytest.mark.parametrize("verb", VERBS)
def test_no_compiled_code_of_a_verb_tries_to_get_out(
    verb: str, outcomes: list[dict[str, Any]]
) -> None:
    assert [each["words"] for each in of(verb, outcomes) if each["unroutable"]] == []


def test_nothing_is_kept_in_the_home_folder_for_a_next_time(
    room: Path, outcomes: list[dict[str, Any]]
) -> None:
    """Keras writes its settings when it is imported and Matplotlib where fonts are: no more."""
    assert outcomes
    left = {
        path.relative_to(room).as_posix()
        for folder in ("home", "keras")
        for path in (room / folder).rglob("*")
        if path.is_file() and path.parent.name != "matplotlib"
    }
    assert left <= {"keras/keras.json"}


# --- the walls themselves


def test_python_code_that_reaches_out_is_stopped_and_noted() -> None:
    code = """
import socket, sys
from tests import walled
sys.addaudithook(walled.hook)
def reach(what):
    try:
        what()
    except PermissionError:
        return
    raise AssertionError("not stopped")
stream, datagram = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
reach(lambda: stream.connect(("192.0.2.1", 80)))
reach(lambda: datagram.sendto(b"x", ("192.0.2.1", 53)))
reach(lambda: socket.getaddrinfo("example.org", 80))
reach(lambda: __import__("urllib.request").request.urlopen("http://192.0.2.1/"))
assert len(walled.tried) == 4, walled.tried
listening = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listening.getsockname()).close()
socket.getaddrinfo("127.0.0.1", 80)
assert len(walled.tried) == 4, walled.tried
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not namespace(), reason="no network namespace may be made here")
def test_compiled_code_that_reaches_out_is_counted_by_the_kernel() -> None:
    """Without the hook: what remains is what the kernel sees."""
    code = """
import socket
from tests import walled
before = walled.unroutable()
try:
    socket.socket().connect(("192.0.2.1", 80))
except OSError:
    print(walled.unroutable() - before)
"""
    done = subprocess.run(
        [*namespace(), sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1\n", done.stderr


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ((None, ("127.0.0.1", 80)), True),
        ((None, ("::1", 80, 0, 0)), True),
        ((None, ("10.0.0.1", 80)), False),
        ((None, ("localhost.evil.example", 80)), False),
        (("127.0.0.1", 80, 0, 0, 0), True),
        (("example.org", 80, 0, 0, 0), False),
        ((), False),
    ],
)
def test_only_this_computer_itself_is_let_through(given: tuple[Any, ...], own: bool) -> None:
    assert walled._is_own(given) is own
