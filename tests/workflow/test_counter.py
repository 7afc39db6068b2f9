from __future__ import annotations

import json
import multiprocessing
import os
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.workflow import counter
from fieldmark.workflow.counter import NAME, Looks, line, look


def lines_of(folder: Path) -> list[dict[str, str]]:
    return [json.loads(each) for each in (folder / NAME).read_text(encoding="utf-8").splitlines()]


def test_every_look_is_one_line_with_time_command_and_model(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(line("fieldmark train pets", "sha256:01"), encoding="utf-8")
    assert look(tmp_path, "fieldmark evaluate pets-1", "sha256:01") == Looks(2)
    assert look(tmp_path, "fieldmark compare pets-1 pets-2", "sha256:01") == Looks(3)
    found = lines_of(tmp_path)
    assert [each["command"] for each in found] == [
        "fieldmark train pets",
        "fieldmark evaluate pets-1",
        "fieldmark compare pets-1 pets-2",
    ]
    assert {each["model"] for each in found} == {"sha256:01"}
    assert all(datetime.fromisoformat(each["time"]).tzinfo for each in found)


def test_a_folder_of_an_earlier_version_counts_its_training_as_the_first(tmp_path: Path) -> None:
    assert look(tmp_path, "fieldmark evaluate pets-1", "sha256:01") == Looks(2)
    assert lines_of(tmp_path)[0] == {"time": "unknown", "command": "fieldmark train", "model": ""}
    assert look(tmp_path, "fieldmark evaluate pets-1", "sha256:01") == Looks(3)


@given(st.text(), st.text())
def test_no_command_breaks_a_line(command: str, model_id: str) -> None:
    text = line(command, model_id, "2026-01-02T03:04:05+00:00")
    assert text.isascii()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert json.loads(text)["command"] == command


def test_a_line_that_a_kill_has_cut_swallows_no_later_look(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(line("a", "b") + '{"time": "2026-0', encoding="utf-8")
    assert look(tmp_path, "c", "d") == Looks(3)
    assert json.loads((tmp_path / NAME).read_text("utf-8").splitlines()[2])["command"] == "c"


def test_the_first_look_says_nothing_and_the_next_ones_do() -> None:
    assert str(Looks(1)) == ""
    assert str(Looks(2)) == (
        "This test part has been looked at 2 times: choosing by it makes the figures too good."
    )


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_no_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        found = look(tmp_path, "a", "b")
    finally:
        tmp_path.chmod(0o700)
    assert found == Looks(2, "Permission denied")


def test_a_disk_that_refuses_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).write_text(line("a", "b") * 4, encoding="utf-8")

    def refuse(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(counter.os, "open", refuse)
    assert look(tmp_path, "a", "b") == Looks(5, "Read-only file system")


def test_a_link_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("not ours\n" * 9, encoding="utf-8")
    folder = tmp_path / "pets-1"
    folder.mkdir()
    (folder / NAME).symlink_to(outside)
    found = look(folder, "a", "b")
    assert (found.n, bool(found.problem)) == (2, True)
    assert outside.read_text(encoding="utf-8") == "not ours\n" * 9


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_its_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert look(tmp_path, "a", "b") == Looks(2, f"{NAME} is no file")


def test_a_folder_in_its_place_is_no_error(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    assert look(tmp_path, "a", "b").problem == "Is a directory"


def test_a_look_that_comes_between_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_text(line("first", "b"), encoding="utf-8")
    read = os.read

    def between(descriptor: int, n: int) -> bytes:
        found = read(descriptor, n)
        with (tmp_path / NAME).open("a", encoding="utf-8") as file:
            file.write(line("second", "b"))
        return found

    monkeypatch.setattr(counter.os, "read", between)
    assert look(tmp_path, "third", "b") == Looks(3)
    assert [each["command"] for each in lines_of(tmp_path)] == ["first", "second", "third"]


def _look_often(folder: str) -> None:
    for _ in range(25):
        look(Path(folder), "fieldmark evaluate pets-1 " + "x" * 500, "sha256:01")


def test_looks_at_the_same_time_are_all_counted(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_look_often, args=(str(tmp_path),)) for _ in range(3)]
    for each in others:
        each.start()
    for each in others:
        each.join()
    assert [each.exitcode for each in others] == [0, 0, 0]
    assert len(lines_of(tmp_path)) == 76


def test_the_same_model_measured_again_after_a_kill_is_one_look(tmp_path: Path) -> None:
    assert counter.without(tmp_path, "sha256:ab") == ""
    (tmp_path / NAME).write_text(line("train", "sha256:ab", "then"))
    assert counter.without(tmp_path, "sha256:ab") == ""
    assert counter.without(tmp_path, "sha256:cd") == line("train", "sha256:ab", "then")


def test_a_line_that_was_cut_off_is_still_a_look_by_somebody(tmp_path: Path) -> None:
    whole = line("train", "sha256:ab", "then")
    (tmp_path / NAME).write_text(whole + whole[:20])
    assert counter.without(tmp_path, "sha256:ab") == whole[:20] + "\n"


def test_a_link_is_not_read_from(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine\n")
    (tmp_path / NAME).symlink_to(tmp_path / "secret")
    assert counter.without(tmp_path, "sha256:ab") == ""
