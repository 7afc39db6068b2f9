"""Readers that go away, full disks behind a stream, and streams that are not there."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import LAYERS, Done, World, environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="written for a Unix shell")
PREDICT = ("predict", "latest", "shapes")
TRAIN = ("train", "shapes", "--net", LAYERS, "--epochs", "1", "--lr", "0.01")


def in_a_shell(world: World, words: tuple[str, ...], rest: str, **variables: str) -> Done:
    """Run one command line with redirections."""
    command = shlex.join([sys.executable, "-m", "fieldmark", *words])
    done = subprocess.run(
        ["sh", "-c", rest.format(command)],
        cwd=world.folder,
        env=environment(FIELDMARK_CACHE=str(world.folder / "cache"), **variables),
        capture_output=True,
        timeout=240,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


GONE = '{{ {}; echo "status $?" >&2; }} | true'
"""``true`` has ended long before there is anything to read."""


@pytest.mark.parametrize("words", [PREDICT, ("check", "shapes", "--html", "none")], ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(world: World, words: tuple[str, ...]) -> None:
    done = in_a_shell(world, words, GONE)
    assert done.err.splitlines()[-1] == "status 0"
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err
    assert "files: " not in done.err  # predict stops, and does not count what it would have said


def test_a_gate_holds_though_nobody_reads_the_figures(world: World) -> None:
    words = ("evaluate", "latest", "shapes", "--min-accuracy", "1")
    done = in_a_shell(world, words, GONE)
    assert "[min-accuracy]" in done.err
    assert done.err.splitlines()[-1] == "status 4"


@pytest.mark.parametrize("words", [PREDICT, ("runs",), ("net", "small")], ids=" ".join)
def test_a_full_disk_behind_stdout_is_status_3(world: World, words: tuple[str, ...]) -> None:
    done = in_a_shell(world, words, "{} > /dev/full")
    assert done.status == 3
    assert "fieldmark: No space left on device: stdout. [disk-full]" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "rest", ["{} >&-", "{} 2>&-", "{} <&-", "{} <&- >&- 2>&-", "{} 2>/dev/full"]
)
def test_a_stream_that_is_not_there_is_as_dev_null(world: World, rest: str) -> None:
    done = in_a_shell(world, PREDICT, rest)
    assert done.status == 3  # one of the pictures is cut
    assert len(done.out.splitlines()) == (0 if ">&-" in rest.replace("2>&-", "") else 60)
    assert "Traceback" not in done.err


def test_what_libraries_print_does_not_end_in_a_file_that_took_a_closed_stream(
    world: World, tmp_path: Path
) -> None:
    """With descriptors 1 and 2 closed, the first files opened would get their numbers."""
    code = (
        "import os, sys; from fieldmark import ending; ending.open_streams(); "
        f"file = open({str(tmp_path / 'kept')!r}, 'wb'); "
        "os.write(1, b'noise'); os.write(2, b'noise'); print('more'); "
        "print('more', file=sys.stderr); sys.exit(0 if file.fileno() > 2 else 9)"
    )
    command = shlex.join([sys.executable, "-c", code])
    done = subprocess.run(["sh", "-c", f"{command} <&- >&- 2>&-"], timeout=60, check=False)
    assert done.returncode == 0
    assert (tmp_path / "kept").read_bytes() == b""


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (GONE, "status 0"),
        ("{} > /dev/full; echo status $? >&2", "status 3"),
    ],
    ids=("gone", "full"),
)
def test_a_training_goes_on_though_nobody_can_read_its_events(
    world: World, rest: str, status: str, tmp_path: Path
) -> None:
    done = in_a_shell(world, (*TRAIN, "--json", "-o", str(tmp_path)), rest)
    assert done.err.splitlines()[-1] == status
    assert "Traceback" not in done.err
    assert (tmp_path / "shapes-1" / "shapes-1.fieldmark").is_file()
    log = (tmp_path / "shapes-1" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(log[-1])["event"] == "run_finished"
