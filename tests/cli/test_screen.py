"""Lines that fit the screen, and a terminal that nobody wants escape codes on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.cli.screen import Screen, broken
from tests.cli.conftest import environment

ATOM = re.compile(r"\d %|\d to [-+]?\d")
PIECES = st.sampled_from(
    ["accuracy", "74.6 %", "(71.1 to 77.8,", "646 pictures)", "-0.2 to +2.7", "a-b", "x" * 30]
)


@given(st.integers(0, 8), st.lists(PIECES, min_size=1, max_size=20), st.integers(40, 120))
def test_a_line_is_broken_between_words_and_nothing_is_lost(
    indent: int, pieces: list[str], width: int
) -> None:
    line = " " * indent + " ".join(pieces)
    found = broken(line, width)
    assert " ".join(each.strip() for each in found) == line.strip()
    assert max(map(len, found)) <= width
    assert sum(len(ATOM.findall(each)) for each in found) == len(ATOM.findall(line))
    assert all(each.startswith(" " * indent) for each in found)


def test_a_line_that_fits_stays_as_it_is() -> None:
    line = "  accuracy 74.6 %  (71.1 to 77.8)"
    assert broken(line, len(line)) == [line]
    assert broken("", 60) == [""]


def test_a_word_that_is_too_long_stays_whole() -> None:
    path = "runs/" + "long" * 30
    assert broken(f"see {path}", 60) == ["see", f"  {path}"]


def test_what_is_carried_over_hangs_below_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    Screen().wrapped(["  note: " + "word " * 15, "short"], hang=6)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("  note: word")
    assert second.startswith("        word")
    assert third == "short"


BARS = """
import sys
from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import Screen
from fieldmark.training import events
with TrainingScreen(Screen.reset().settle(no_color="--no-color" in sys.argv)) as watcher:
    watcher(events.Progress(stage="decode", done=1, total=2))
    watcher(events.Progress(stage="epoch", done=1, total=2, loss=1.0))
    watcher(events.EpochDone(epoch=1, epochs=1, loss=1, accuracy=1, val_loss=1, val_accuracy=1,
                             lr=1, seconds=1, train_seconds=1, best=True))
"""


def on_a_terminal(words: list[str], cwd: Path, **variables: str) -> str:
    """Run a script on a pseudo-terminal and return what stood on it."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", BARS, *words],
        cwd=cwd,
        env=environment(**({"TERM": "xterm-256color", "COLUMNS": "80"} | variables)),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            said += piece
        assert process.wait(60) == 0, said.decode()
    os.close(ours)
    return said.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")
@pytest.mark.parametrize(
    ("words", "variables"),
    [([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"}), (["--no-color"], {})],
    ids=["NO_COLOR", "dumb", "--no-color"],
)
def test_without_colour_no_bar_moves_and_no_cursor_is_sent_about(
    tmp_path: Path, words: list[str], variables: dict[str, str]
) -> None:
    said = on_a_terminal(words, tmp_path, **variables)
    assert "\x1b" not in said
    assert said.startswith("epoch=1 loss=1.0000 ")
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")
def test_with_colour_a_bar_moves(tmp_path: Path) -> None:
    assert "\x1b[" in on_a_terminal([], tmp_path)
