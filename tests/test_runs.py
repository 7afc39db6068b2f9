from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import runs
from fieldmark.atomic import write_whole
from fieldmark.errors import UsageError
from fieldmark.runs import RunFolder


def finish(run: RunFolder) -> RunFolder:
    run.bundle.write_bytes(b"a model file")
    return run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- writing whole files


@pytest.mark.parametrize("content", [b"\x00\xff", "three \u00e4 words\n", b"", ""])
def test_what_is_written_is_what_is_read(content: bytes | str, tmp_path: Path) -> None:
    write_whole(tmp_path / "a", content)
    expected = content.encode() if isinstance(content, str) else content
    assert (tmp_path / "a").read_bytes() == expected
    assert names(tmp_path) == ["a"]


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "old and longer")
    write_whole(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


def test_line_ends_are_written_as_given(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "one\r\ntwo\n")
    assert (tmp_path / "a").read_bytes() == b"one\r\ntwo\n"


def test_a_name_that_was_not_utf_8_is_written_as_its_bytes(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", os.fsdecode(b"caf\xe9"))
    assert (tmp_path / "a").read_bytes() == b"caf\xe9"


@pytest.mark.parametrize("where", ["fsync", "replace", "write"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt("stop")])
def test_a_failure_at_any_step_leaves_the_old_file_and_nothing_else(
    where: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "a", "old")

    def fail(*given: Any, **named: Any) -> Any:
        raise error

    if where == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif where == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(type(error), match=str(error)):
        write_whole(tmp_path / "a", "new")
    monkeypatch.undo()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_first_file_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="read-only"):
        write_whole(tmp_path / "a", "new")
    assert names(tmp_path) == []


def test_content_reaches_the_disk_before_its_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(handle: int) -> None:
        done.append("fsync")
        fsync(handle)

    def note_replace(self: Path, target: Path) -> Path:
        assert self.read_bytes() == b"new"
        assert self.parent == target.parent
        done.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_whole(tmp_path / "a", "new")
    assert done[:2] == ["fsync", "replace"]
    assert done[2:] == ([] if os.name == "nt" else ["fsync"])  # the folder


# --- run folders


def test_runs_are_numbered_from_one_and_the_newest_is_named(tmp_path: Path) -> None:
    made = [runs.create(tmp_path / "runs", "flowers") for _ in range(3)]
    assert [run.name for run in made] == ["flowers-1", "flowers-2", "flowers-3"]
    assert (tmp_path / "runs" / "latest.txt").read_text() == "flowers-3\n"
    assert all(run.path.is_dir() and not any(run.path.iterdir()) for run in made)


def test_each_name_counts_for_itself(tmp_path: Path) -> None:
    assert runs.create(tmp_path, "a").name == "a-1"
    assert runs.create(tmp_path, "b").name == "b-1"
    assert runs.create(tmp_path, "a").name == "a-2"
    assert runs.create(tmp_path, "a-2").name == "a-2-1"


def test_a_number_is_never_used_again_while_a_later_one_is_there(tmp_path: Path) -> None:
    for _ in range(3):
        runs.create(tmp_path, "a")
    (tmp_path / "a-2").rmdir()
    assert runs.create(tmp_path, "a").name == "a-4"
    (tmp_path / "a-12").mkdir()
    assert runs.create(tmp_path, "a").name == "a-13"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("my flowers", "my-flowers"),
        ("a/b\\c", "a-b-c"),
        ("..", "run"),
        ("", "run"),
        ("K\u00e4fer_2.1", "K\u00e4fer_2.1"),
        ("--x--", "x"),
        ("line\nbreak", "line-break"),
    ],
)
def test_a_name_becomes_one_plain_folder_name(name: str, plain: str, tmp_path: Path) -> None:
    assert runs.create(tmp_path, name).name == f"{plain}-1"


@given(st.text(max_size=300))
def test_any_name_gives_a_folder_right_under_its_parent(name: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as parent:
        first, second = (runs.create(Path(parent), name) for _ in range(2))
        assert first.path.parent == second.path.parent == Path(parent)
        assert first.name != second.name
        assert len(first.name.encode()) <= 90


@pytest.mark.parametrize("letter", ["x", "\u00e4", "\u6570", "\U00020000"])
def test_a_long_name_leaves_room_for_the_files_named_after_it(letter: str, tmp_path: Path) -> None:
    for number in (1, 2):
        run = runs.create(tmp_path, letter * 200)
        assert run.name == f"{letter * (80 // len(letter.encode()))}-{number}"
        write_whole(run.bundle, b"a model file")
        assert run.finished


RACE = """
import sys
from pathlib import Path
from fieldmark import runs
parent = Path(sys.argv[1])
while not (parent / "go").exists():
    pass
print("\\n".join(runs.create(parent / "runs", "race").name for _ in range(20)))
"""


def test_two_processes_never_get_the_same_folder(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    time.sleep(0.3)  # both are waiting by now
    (tmp_path / "go").touch()
    made = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert [len(each) for each in made] == [20, 20]
    assert len({*made[0], *made[1]}) == 40
    latest = (tmp_path / "runs" / "latest.txt").read_text().strip()
    assert latest in {made[0][-1], made[1][-1]}
    assert list((tmp_path / "runs").glob("*.part")) == []


def test_a_run_is_finished_once_its_model_file_is_there(tmp_path: Path) -> None:
    run = runs.create(tmp_path, "a")
    assert run.bundle == tmp_path / "a-1" / "a-1.fieldmark"
    assert not run.finished
    assert finish(run).finished


def test_files_are_written_into_a_run_with_their_folders(tmp_path: Path) -> None:
    run = runs.create(tmp_path, "a")
    assert run.write("deep/er/x.txt", "x").read_text() == "x"
    path = run.write_json("x.json", {"b": 1, "a": "\u00e4"})
    text = path.read_text(encoding="utf-8")
    assert text == '{\n  "b": 1,\n  "a": "\\u00e4"\n}\n'
    assert json.loads(text) == {"a": "\u00e4", "b": 1}


# --- finding them again


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """a-1 and b-1 finished, a-2 not; a-2 is the latest."""
    parent = tmp_path / "runs"
    finish(runs.create(parent, "a"))
    finish(runs.create(parent, "b"))
    os.utime(parent / "a-1", ns=(0, 1_000_000_000))
    os.utime(parent / "b-1", ns=(0, 2_000_000_000))
    runs.create(parent, "a")
    return parent


def test_a_run_is_found_by_name_folder_file_and_latest(three: Path) -> None:
    bundle = three / "a-1" / "a-1.fieldmark"
    for thing in ("a-1", three / "a-1", str(three / "a-1"), bundle, str(bundle)):
        assert runs.find(thing, three) == bundle


def test_latest_is_the_newest_that_is_finished(three: Path) -> None:
    assert runs.find("latest", three).name == "b-1.fieldmark"
    finish(RunFolder(three / "a-2"))
    assert runs.find("latest", three).name == "a-2.fieldmark"


def test_latest_without_its_note_is_an_error(three: Path) -> None:
    (three / "latest.txt").unlink()
    with pytest.raises(UsageError, match="'latest'"):
        runs.find("latest", three)


def test_a_relative_folder_keeps_its_bundles_name(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three / "b-1")
    assert runs.find(".", Path("runs")).name == "b-1.fieldmark"


def test_any_file_is_taken_for_a_model_file(three: Path, tmp_path: Path) -> None:
    """Whether it is one, the bundle's reader says better."""
    other = tmp_path / "mine.zip"
    other.write_bytes(b"")
    assert runs.find(other, three) == other


@pytest.mark.parametrize("thing", ["c-1", "a-2", "nowhere/at/all", "..."])
def test_what_is_not_there_is_answered_with_what_is(thing: str, three: Path) -> None:
    with pytest.raises(UsageError, match="no finished run and no model file") as caught:
        runs.find(thing, three)
    assert caught.value.code == "no-run"
    assert repr(thing) in caught.value.what
    assert caught.value.hint == "one of: a-1, b-1"
    assert str(three) in caught.value.where


def test_without_any_run_the_hint_is_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'latest'") as caught:
        runs.find("latest", tmp_path / "none")
    assert caught.value.hint == "fieldmark train FOLDER makes one"


def test_only_the_last_five_are_named(tmp_path: Path) -> None:
    for number in range(1, 9):
        run = finish(runs.create(tmp_path, "a"))
        os.utime(run.path, ns=(0, number * 1_000_000_000))
    with pytest.raises(UsageError, match="'zzz'") as caught:
        runs.find("zzz", tmp_path)
    assert caught.value.hint == "one of: a-4, a-5, a-6, a-7, a-8"


def test_listing_is_oldest_first_and_shows_runs_only(three: Path) -> None:
    (three / "notes").mkdir()
    (three / "c-9").write_text("a file")
    assert [run.name for run in runs.listed(three)] == ["a-1", "b-1", "a-2"]
    assert runs.listed(three / "none") == []


# --- a folder that is never without what it must have


def test_a_filled_folder_gets_its_name_last(tmp_path: Path) -> None:
    seen: list[str] = []

    def fill(folder: RunFolder) -> None:
        folder.write("sub/record", "it is a run")
        seen.extend(path.name for path in tmp_path.glob("a-*"))

    run = runs.create(tmp_path, "a", fill)
    assert seen == []
    assert run.name == "a-1"
    assert (run.path / "sub" / "record").read_text() == "it is a run"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_filled_folder_replaces_nothing(tmp_path: Path) -> None:
    """Not even an empty folder that was made in the meantime."""

    def fill(folder: RunFolder) -> None:
        folder.write("record", "mine")
        (tmp_path / "a-1").mkdir(exist_ok=True)
        runs.RunFolder(tmp_path / "a-2").write("record", "theirs")

    assert runs.create(tmp_path, "a", fill).name == "a-3"
    assert list((tmp_path / "a-1").iterdir()) == []
    assert (tmp_path / "a-2" / "record").read_text() == "theirs"


def test_what_was_never_named_is_no_run(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def fill(folder: RunFolder) -> None:
        folder.write("record", "half")
        raise Killed

    with pytest.raises(Killed, match=r"^$"):
        runs.create(tmp_path, "a", fill)
    assert runs.listed(tmp_path) == []
    assert runs.siblings(tmp_path, "a") == []
    assert runs.create(tmp_path, "a").name == "a-1"


LIVING = """
import sys
from pathlib import Path
from fieldmark import runs
parent = Path(sys.argv[1])
def fill(folder):
    folder.write("record", "mine")
    print(folder.path.name, flush=True)
    sys.stdin.readline()
print(runs.create(parent, "a", fill).name)
"""


@pytest.mark.skipif(os.name == "nt", reason="a folder cannot be locked there")
def test_what_a_dead_process_left_goes_and_what_a_living_one_makes_stays(tmp_path: Path) -> None:
    def started() -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", LIVING, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    dead, its = started()
    dead.kill()
    dead.communicate()
    assert names(tmp_path) == [its]
    (tmp_path / ".fieldmark-run-0123456789abcdef.part").write_text("half a note")
    (tmp_path / ".fieldmark-mine").write_text("no part")
    living, being_made = started()
    assert names(tmp_path) == sorted([".fieldmark-mine", being_made])
    assert runs.create(tmp_path, "a").name == "a-1"
    assert being_made in names(tmp_path)
    assert living.communicate("go on\n")[0].split() == ["a-2"]
    assert names(tmp_path) == [".fieldmark-mine", "a-1", "a-2", "latest.txt"]


def test_what_another_command_is_writing_into_the_folder_stays(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half, "
        assert runs.create(tmp_path, "a", lambda folder: None).name == "a-1"
        yield b"whole"

    write_whole(tmp_path / "answers.csv", pieces())
    assert (tmp_path / "answers.csv").read_bytes() == b"half, whole"


@pytest.mark.skipif(os.name == "nt", reason="a folder cannot be locked there")
def test_a_note_that_was_half_written_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # as a kill has it
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt("killed")))
        with pytest.raises(KeyboardInterrupt, match="killed"):
            runs.create(tmp_path, "a")
    assert len(names(tmp_path)) == 2
    runs.create(tmp_path, "b")
    assert names(tmp_path) == ["a-1", "b-1", "latest.txt"]


def test_a_link_that_looks_left_behind_is_removed_and_not_followed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "a").write_text("a")
    parent = tmp_path / "runs"
    parent.mkdir()
    (parent / ".fieldmark-run-0123456789abcdef.part").symlink_to(theirs)
    runs.create(parent, "a")
    assert names(theirs) == ["a"]
