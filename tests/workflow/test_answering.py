"""Answers into a file: stopped anywhere and gone on with, the same bytes come out."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fieldmark.errors import DataError, StorageError, Terminated, UsageError
from fieldmark.inference.predictor import Prediction, Predictor
from fieldmark.training.events import Event, Noted, Progress
from fieldmark.workflow import answering
from fieldmark.workflow.answering import BLOCK, SUFFIX, Answer, Answering, answered
from fieldmark.workflow.lock import Lock
from tests.workflow.killing import ROOT

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle_v2.fieldmark"
N = 5 * BLOCK + 7

on_unix = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL can be sent to a process there")


def picture(number: int) -> bytes:
    return b"P6 8 8 255 " + bytes((number * 7 + at * (number % 5 + 1)) % 256 for at in range(192))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "new"
    made.mkdir()
    for number in range(N):
        (made / f"{number:03}.ppm").write_bytes(picture(number))
    (made / "070.ppm").write_bytes(b"no picture")
    (made / "300.ppm").write_bytes(b"")
    return made


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.open(GOLDEN, bulk=True)


def line(answer: Answer) -> str:
    if isinstance(answer, Prediction):
        scores = " ".join(f"{each.label}={each.score!r}" for each in answer.scores)
        return f"{Path(answer.file).name} {scores}"
    return f"{Path(answer.file).name} {answer.code}"


def kind(answer: Answer) -> str:
    return "read" if isinstance(answer, Prediction) else "not read"


@dataclass
class Desk:
    """One place to write to, and what was heard and answered on the way."""

    folder: Path
    out: Path
    predictor: Predictor
    heard: list[Event] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Files that the network was given."""

    def answer(self, *, stop_after: int | None = None, **given: Any) -> Counter[str]:
        """Answer; with ``stop_after``, killed by an exception after so many blocks."""
        self.heard.clear()
        self.asked.clear()
        how = Answering(predictor=self, line=line, kind=kind, head="scores", **given)  # type: ignore[arg-type]
        n_blocks = 0

        def listen(event: Event) -> None:
            nonlocal n_blocks
            self.heard.append(event)
            if isinstance(event, Progress) and event.stage == "answers":
                n_blocks += 1
                if n_blocks == stop_after:
                    raise ConnectionError("killed")

        if stop_after is None:
            return answered([self.folder], self.out, how, listen=listen)
        with pytest.raises(ConnectionError, match="killed"):
            answered([self.folder], self.out, how, listen=listen)
        assert not self.out.exists()
        return Counter()

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.heard if isinstance(event, Noted)]

    def predict_files(self, paths: Iterator[str], **named: Any) -> Any:
        def noted() -> Iterator[str]:
            for path in paths:
                self.asked.append(Path(path).name)
                yield path

        return self.predictor.predict_files(noted(), **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.predictor, name)


@pytest.fixture
def desk(folder: Path, tmp_path: Path, predictor: Predictor) -> Desk:
    return Desk(folder, tmp_path / "out.txt", predictor)


def undisturbed(desk: Desk, **given: Any) -> bytes:
    twin = Desk(desk.folder, desk.out.with_name("twin.txt"), desk.predictor)
    twin.answer(**given)
    data = twin.out.read_bytes()
    twin.out.unlink()
    return data


def test_every_file_has_its_line_in_order_and_nothing_else_is_left(desk: Desk) -> None:
    count = desk.answer()
    lines = desk.out.read_text().splitlines()
    assert lines[0] == "scores"
    assert [each.split()[0] for each in lines[1:]] == [f"{n:03}.ppm" for n in range(N)]
    assert lines[71] == "070.ppm unknown-format"
    assert count == {"read": N - 2, "not read": 2}
    assert [path.name for path in desk.out.parent.iterdir()] in (
        ["new", "out.txt"],
        ["out.txt", "new"],
    )


@pytest.mark.parametrize("stops", [(1,), (2, 3), (1, 1, 1, 1, 1), (6,)])
def test_stopped_and_gone_on_with_it_ends_with_the_same_bytes(
    desk: Desk, stops: tuple[int, ...]
) -> None:
    wanted = undisturbed(desk)
    for n_blocks in stops:
        desk.answer(stop_after=n_blocks)
    count = desk.answer()
    n_before = min(sum(stops) * BLOCK, N)
    assert desk.notes == [f"{n_before:,} of {N:,} files were answered before: gone on."]
    assert desk.asked == [f"{n:03}.ppm" for n in range(n_before, N)]
    assert desk.out.read_bytes() == wanted
    assert count == {"read": N - 2, "not read": 2}


def test_a_file_that_changed_in_the_meantime_is_answered_again(desk: Desk) -> None:
    desk.answer(stop_after=4)
    (desk.folder / "100.ppm").write_bytes(picture(999))
    (desk.folder / "070.ppm").write_bytes(picture(70))
    wanted = undisturbed(desk)
    desk.answer()
    assert desk.asked[0] == "064.ppm"
    assert len(desk.asked) == BLOCK + N - 4 * BLOCK
    assert desk.out.read_bytes() == wanted


def test_a_file_that_is_gone_or_new_is_noticed(desk: Desk) -> None:
    desk.answer(stop_after=4)
    (desk.folder / "130.ppm").unlink()
    (desk.folder / "zz.ppm").write_bytes(picture(5))
    wanted = undisturbed(desk)
    desk.answer()
    assert desk.asked[0] == "128.ppm"  # from there on every block is another
    assert desk.out.read_bytes() == wanted


def test_a_file_that_could_not_be_read_and_now_can_is_answered(desk: Desk) -> None:
    (desk.folder / "010.ppm").unlink()
    names = [str(desk.folder / f"{n:03}.ppm") for n in range(20)]
    how = Answering(predictor=desk, line=line, kind=kind)  # type: ignore[arg-type]

    def killed(event: Event) -> None:
        if isinstance(event, Progress):
            raise ConnectionError("killed")

    with pytest.raises(ConnectionError, match="killed"):
        answered(names, desk.out, how, listen=killed)
    (desk.folder / "010.ppm").write_bytes(picture(10))
    assert answered(names, desk.out, how) == {"read": 20}


def test_a_torn_journal_costs_what_was_torn(desk: Desk) -> None:
    wanted = undisturbed(desk)
    desk.answer(stop_after=3)
    kept = desk.out.with_name(desk.out.name + SUFFIX) / "answers"
    kept.write_bytes(kept.read_bytes()[:-5])
    desk.answer()
    assert desk.asked[0] == "128.ppm"
    assert desk.out.read_bytes() == wanted


@pytest.mark.parametrize("what", ["model", "precision", "engine", "options", "computer"])
def test_answers_of_something_else_are_not_used_and_that_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    desk.answer(stop_after=3)
    given: dict[str, Any] = {}
    if what == "options":
        given = {"options": {"top": 3}}
    elif what == "computer":
        monkeypatch.setattr(answering, "fingerprint", lambda threads: {"numpy": "99"})
    elif what == "engine":
        monkeypatch.setattr(type(desk.predictor.runtime), "name", "another")
    else:
        attribute = {"model": "model_id", "precision": "precision"}[what]
        monkeypatch.setattr(Predictor, attribute, "another")
    desk.answer(**given)
    (note,) = desk.notes
    assert note.startswith("What was answered before is of ")
    word = {"options": "other options", "computer": "numpy"}.get(what, f"another {what}")
    assert word in note
    assert len(desk.asked) == N


def test_a_file_that_is_there_is_refused_before_anything_is_read(desk: Desk) -> None:
    desk.out.write_text("mine")
    with pytest.raises(UsageError, match="exists already") as caught:
        desk.answer()
    assert caught.value.code == "file-exists"
    assert desk.out.read_text() == "mine"
    assert desk.asked == []


def test_with_force_it_is_replaced_at_the_end_and_not_before(desk: Desk) -> None:
    wanted = undisturbed(desk)
    desk.out.write_text("mine")
    how = Answering(predictor=desk, line=line, kind=kind, head="scores")  # type: ignore[arg-type]

    def killed(event: Event) -> None:
        if isinstance(event, Progress):
            raise ConnectionError("killed")

    with pytest.raises(ConnectionError, match="killed"):
        answered([desk.folder], desk.out, how, force=True, listen=killed)
    assert desk.out.read_text() == "mine"
    answered([desk.folder], desk.out, how, force=True)
    assert desk.out.read_bytes() == wanted


def test_two_at_once_do_not_meet(desk: Desk) -> None:
    room = desk.out.with_name(desk.out.name + SUFFIX)
    room.mkdir()
    other = Lock(room / "lock")
    assert other.take()
    with pytest.raises(UsageError, match=r"Another process is writing out\.txt") as caught:
        desk.answer()
    assert caught.value.code == "out-busy"
    other.release()
    assert desk.answer()["read"] == N - 2


def link(room: Path, theirs: Path) -> None:
    room.symlink_to(theirs)


def dangling(room: Path, theirs: Path) -> None:
    room.symlink_to(theirs / "gone")


def a_file(room: Path, theirs: Path) -> None:
    room.write_text("mine")


@pytest.mark.parametrize("made", [link, dangling, a_file])
def test_what_has_the_name_of_the_folder_and_is_none_is_refused(
    desk: Desk, tmp_path: Path, made: Callable[[Path, Path], None]
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "answers").write_text("mine")
    made(desk.out.with_name(desk.out.name + SUFFIX), theirs)
    with pytest.raises(UsageError, match="is a link, a file or another user's folder") as caught:
        desk.answer()
    assert caught.value.code == "file-exists"
    assert [path.name for path in theirs.iterdir()] == ["answers"]
    assert (theirs / "answers").read_text() == "mine"


@on_unix
def test_a_folder_of_another_user_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.answer(stop_after=1)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(UsageError, match="is a link, a file or another user's folder"):
        desk.answer()


def test_a_link_under_the_name_of_the_answers_empties_nothing(desk: Desk, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("mine")
    room = desk.out.with_name(desk.out.name + SUFFIX)
    room.mkdir()
    (room / "answers").symlink_to(theirs)
    with pytest.raises(UsageError, match="answers is a link"):
        desk.answer()
    assert theirs.read_text() == "mine"


def test_what_somebody_put_beside_the_answers_stays(desk: Desk) -> None:
    room = desk.out.with_name(desk.out.name + SUFFIX)
    room.mkdir()
    (room / "notes.txt").write_text("mine")
    desk.answer()
    assert [path.name for path in room.iterdir()] == ["notes.txt"]


def test_a_full_disk_is_said_where_the_folder_is_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError, match="could not be written: No space left") as caught:
        desk.answer()
    assert caught.value.code == "disk-full"


def test_no_folder_and_no_picture_are_refused(desk: Desk, tmp_path: Path) -> None:
    how = Answering(predictor=desk, line=line, kind=kind)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="There is no folder"):
        answered([desk.folder], tmp_path / "gone" / "out.txt", how)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="There is no picture"):
        answered([tmp_path / "empty"], tmp_path / "out.txt", how)
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


@on_unix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_after_the_block_and_says_how_to_go_on(
    desk: Desk, number: signal.Signals
) -> None:
    assert threading.current_thread() is threading.main_thread()
    wanted = undisturbed(desk)
    how = Answering(predictor=desk, line=line, kind=kind, head="scores")  # type: ignore[arg-type]

    def listen(event: Event) -> None:
        desk.heard.append(event)
        if isinstance(event, Progress) and event.done == 2 * BLOCK:
            os.kill(os.getpid(), number)

    if number == signal.SIGTERM:
        with pytest.raises(Terminated, match=f"128 of {N} files are answered and kept") as caught:
            answered([desk.folder], desk.out, how, listen=listen)
        assert "the same command again" in caught.value.hint
    else:
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            answered([desk.folder], desk.out, how, listen=listen)
        assert f"128 of {N} files are answered and kept; the same" in desk.notes[-1]
    answered([desk.folder], desk.out, how)
    assert desk.out.read_bytes() == wanted


@on_unix
@pytest.mark.parametrize("style", ["csv", "jsonl", "table"])
def test_a_process_that_is_killed_goes_on_and_the_file_is_the_same(
    folder: Path, tmp_path: Path, style: str
) -> None:
    """The real command, SIGKILL as soon as something is kept."""
    for number in range(N, 2000):  # enough to be killed in the middle of
        (folder / f"{number:04}.ppm").write_bytes(picture(number))
    shutil.copy(GOLDEN, tmp_path / "m.fieldmark")
    words = ["predict", "m.fieldmark", "new", "--format", style, "-o"]
    command = [sys.executable, "-m", "fieldmark", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}

    def run(out: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, out], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )

    assert run("twin").returncode == 3  # two files cannot be read
    kept = tmp_path / f"out{SUFFIX}" / "answers"
    process = subprocess.Popen([*command, "out"], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (kept.is_file() and kept.read_bytes().count(b"\n") > 1):
        time.sleep(0.0005)
    process.kill()
    process.wait()
    again = run("out")
    assert process.returncode == -signal.SIGKILL
    assert "files were answered before: gone on." in again.stderr
    assert again.returncode == 3
    assert (tmp_path / "out").read_bytes() == (tmp_path / "twin").read_bytes()
    assert not kept.parent.exists()
