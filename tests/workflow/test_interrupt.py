"""Ctrl-C: once finishes the epoch and measures it, twice quits at once; also in real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.workflow.interrupt import Interrupt
from tests.workflow.conftest import LAYERS, rows_of

on_unix = pytest.mark.skipif(os.name == "nt", reason="no SIGINT can be sent to a process there")
TIMEOUT_S = 120


# --- the switch itself


def in_a_process(code: str) -> str:
    """Run code with signals in a process of its own: a worker of the suite must outlive them."""
    start = "import signal\nfrom fieldmark.workflow.interrupt import Interrupt\n"
    done = subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@on_unix
def test_the_first_signal_is_a_request_and_the_second_an_exception() -> None:
    code = """
    with Interrupt(lambda: None) as stop:
        print(stop.requested)
        signal.raise_signal(signal.SIGINT)
        print(stop.requested)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert in_a_process(code).split() == ["False", "True", "interrupted"]


@on_unix
@pytest.mark.parametrize("error", [None, OSError])
def test_afterwards_ctrl_c_is_what_it_was(error: type[Exception] | None) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with Interrupt(lambda: None):
            assert signal.getsignal(signal.SIGINT) is not before
            if error:
                raise error
    except OSError:
        pass
    assert signal.getsignal(signal.SIGINT) is before


@on_unix
def test_the_first_sigterm_is_a_request_of_its_own_and_the_second_the_end() -> None:
    code = """
    with Interrupt(lambda: print("said")) as stop:
        signal.raise_signal(signal.SIGTERM)
        print(stop.requested, stop.terminated)
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    """
    assert in_a_process(code).split() == ["False", "True", "True"]


@on_unix
def test_afterwards_sigterm_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_it_does_nothing() -> None:
    """Only the main thread may ask for signals; a training in a server must still run."""
    before = signal.getsignal(signal.SIGINT)
    found: list[object] = []

    def work() -> None:
        with Interrupt(lambda: None) as stop:
            found.extend([stop.requested, signal.getsignal(signal.SIGINT)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False, before]


# --- real processes


@dataclass
class Spawned:
    """A training in a process of its own."""

    process: subprocess.Popen[str]
    folder: Path
    out: str = ""
    seconds: float = 0.0
    """From the last signal to the end."""

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "shapes-1"

    @property
    def err(self) -> str:
        """What it has said so far."""
        return (self.folder / "stderr.txt").read_text(encoding="utf-8")

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self.process.poll()

    def wait_for(self, words: str) -> None:
        until = time.monotonic() + TIMEOUT_S
        while words not in self.err:
            assert self.status is None, self.err
            assert time.monotonic() < until, f"never said {words!r}: {self.err}"
            time.sleep(0.02)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> None:
        started = time.monotonic()
        self.out, _ = self.process.communicate(timeout=TIMEOUT_S)
        self.seconds = time.monotonic() - started


def spawn(shapes: Path, folder: Path, *options: str) -> Spawned:
    """Start ``fieldmark train`` as a person does: with whatever the libraries like to say."""
    quiet = ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    words = ["train", str(shapes), "--net", LAYERS, "--lr", "0.01", "--epochs", "1000"]
    words += ["--threads", "1", *options]
    with (folder / "stderr.txt").open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "fieldmark", *words],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=said,
        )
    return Spawned(process, folder)


@pytest.fixture(scope="module")
def both(
    shapes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Spawned, Spawned]]:
    """Two trainings side by side: one is asked to stop, the other told to."""
    asked = spawn(shapes, tmp_path_factory.mktemp("once"), "--steps-per-epoch", "150")
    told = spawn(shapes, tmp_path_factory.mktemp("twice"), "--steps-per-epoch", "1000000")
    try:
        asked.wait_for("epoch=1 ")
        asked.interrupt()
        asked.end()
        told.wait_for("seed 0")  # long ago: it is in its first epoch by now
        told.interrupt()
        time.sleep(0.5)
        survived = told.status is None
        told.interrupt()
        told.end()
        assert survived, told.err
        yield asked, told
    finally:
        for each in (asked, told):
            if each.status is None:
                each.process.kill()


@on_unix
def test_one_ctrl_c_finishes_the_epoch_measures_and_exits_130(
    both: tuple[Spawned, Spawned],
) -> None:
    asked, _ = both
    assert asked.status == 130, asked.err
    epochs = len(rows_of(asked.run / "results.csv"))
    assert 2 <= epochs < 1000
    assert f"Stopped on request after epoch {epochs}." in asked.err
    run = fm.open_run(asked.run)
    assert run.report.n == len(rows_of(asked.run / "predictions.csv")) > 9
    assert run.report.accuracy.text in asked.out
    assert str(Path("runs/shapes-1/shapes-1.fieldmark")) in asked.out
    events = [json.loads(line) for line in (asked.run / "log.jsonl").read_text().splitlines()]
    ending = [event for event in events if event["event"] != "noted"][-3:]
    assert [event["event"] for event in ending] == ["early_stop", "evaluated", "run_finished"]
    assert ending[0]["reason"] == "interrupted"
    assert (asked.run / "report.html").is_file()


@on_unix
def test_a_second_ctrl_c_quits_at_once_with_130_and_leaves_no_model(
    both: tuple[Spawned, Spawned],
) -> None:
    _, told = both
    assert told.status == 130, told.err
    assert told.seconds < 20  # its epoch would take most of an hour
    assert "[interrupted]" in told.err
    assert "Traceback" not in told.err
    assert told.out == ""
    assert [path.name for path in told.run.iterdir()] == ["checkpoint"]  # the same again goes on
    with pytest.raises(fm.UsageError, match="no finished run"):
        fm.open_run(told.run)


@on_unix
def test_training_prints_nothing_but_its_own_lines(both: tuple[Spawned, Spawned]) -> None:
    """No library's notes about processors, devices or deprecations."""
    ours = re.compile(
        r"Run shapes-1|[\d,]+ pictures in|[\d,]+ of [\d,]+ files left out|Network layers|"
        r"learning rate|About \d+ [^.]* in all|epoch=\d+ loss=|Stopped on request|"
        r"Ctrl-C: this epoch|"
        r"Now measured once|fieldmark: stopped by Ctrl-C|Nothing is accepted|With \d+ % conf|$"
    )
    for each in both:
        strange = [line for line in each.err.splitlines() if not ours.match(line)]
        assert strange == []


@on_unix
def test_the_first_request_is_said_at_once() -> None:
    code = """
    said = []
    with Interrupt(lambda: said.append("stopping")) as stop:
        print(said)
        signal.raise_signal(signal.SIGINT)
        print(stop.requested, said)
    """
    assert in_a_process(code).splitlines() == ["[]", "True ['stopping']"]
