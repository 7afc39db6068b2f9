"""What the system refuses becomes one kind of error, with four parts, caught as OSError too."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import atomic
from fieldmark.atomic import check_room, refusal, storing, unnamed
from fieldmark.data import feature_store
from fieldmark.errors import FieldmarkError, StorageError

CODES = {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "disk-full",
    errno.EACCES: "not-writable",
    errno.EPERM: "not-writable",
    errno.EROFS: "not-writable",
    errno.EEXIST: "not-writable",
    errno.ENOTDIR: "not-writable",
    errno.EIO: "system",
    errno.EFBIG: "system",
    errno.ENOENT: "system",
}


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number), "inner")


@pytest.mark.parametrize("number", CODES, ids=errno.errorcode.__getitem__)
def test_every_refusal_has_its_code_and_says_what_to_do(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be written") as caught, storing(tmp_path):
        raise system(number)
    error = caught.value
    assert error.code == CODES[number]
    assert error.what == f"{tmp_path.name} could not be written: {os.strerror(number)}."
    assert error.where == str(tmp_path)
    assert error.hint
    assert (error.errno, error.strerror) == (number, os.strerror(number))
    assert ("are free there" in error.why) == (error.code == "disk-full")


def test_it_is_caught_by_either_name() -> None:
    for kind in (OSError, FieldmarkError):
        with pytest.raises(kind, match="could not be written"), storing(Path("a")):
            raise system(errno.EIO)


def test_what_is_known_to_be_needed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 12_345))
    error = refusal(system(errno.ENOSPC), tmp_path / "not" / "there", 34_000_000)
    assert error.why == "12,345 bytes are free there, 34.0 MB are needed."


def test_what_was_said_nearer_to_the_fault_is_not_said_again() -> None:
    outer, inner = storing(Path("outer")), storing(Path("inner"), hint="this")
    with pytest.raises(StorageError, match="inner could not") as caught, outer, inner:
        raise system(errno.ENOSPC)
    assert caught.value.hint == "this"


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError, match="a"), storing(Path("a")):
        raise KeyError("a")


def test_without_a_path_the_systems_own_words_are_kept() -> None:
    assert refusal(system(errno.EIO)).what == "Input/output error: inner."
    assert refusal(OSError("strange")).what == "strange."
    assert refusal(OSError()).what == "OSError."


@given(st.text(min_size=1, max_size=9).filter(lambda name: "\0" not in name and "/" not in name))
def test_no_name_makes_a_second_line(name: str) -> None:
    error = refusal(system(errno.EIO), Path("a") / name)
    assert "\n" not in error.what + error.where
    assert "\n" not in refusal(OSError(errno.EIO, "it failed", name)).what


def test_the_systems_number_comes_home_from_a_worker() -> None:
    error = refusal(system(errno.EROFS), Path("a"))
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (again.errno, again.strerror) == (errno.EROFS, os.strerror(errno.EROFS))


# --- before the work


def test_a_place_with_room_is_let_pass_and_nothing_is_made(tmp_path: Path) -> None:
    check_room(tmp_path / "runs" / "deeper", 1)
    check_room(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_place_is_looked_up_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").write_text("a file")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="is no folder") as caught:
        check_room(Path("runs"))
    assert caught.value.code == "not-writable"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match=r"runs is no folder") as caught:
        check_room(tmp_path / "runs" / "deeper")
    assert caught.value.code == "not-writable"


def test_permission_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # root may write anywhere
    with pytest.raises(StorageError, match="Permission denied") as caught:
        check_room(tmp_path / "runs")
    assert caught.value.code == "not-writable"


def test_too_little_room_is_said_with_the_hint_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No space left") as caught:
        check_room(tmp_path, 1 << 60, hint="another disk")
    assert (caught.value.code, caught.value.hint) == ("disk-full", "another disk")


def test_names_of_what_is_not_whole_differ_and_are_hidden() -> None:
    names = {unnamed() for _ in range(9)}
    assert len(names) == 9
    assert all(name.startswith(".fieldmark-") and name.endswith(".part") for name in names)


def test_a_failed_clean_up_does_not_hide_what_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise system(errno.EROFS)

    def full(number: int) -> None:
        raise system(errno.ENOSPC)

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="No space left") as caught:
        atomic.write_whole(tmp_path / "a", b"content")
    assert caught.value.code == "disk-full"
    assert "7 bytes are needed" in caught.value.why


# --- rows that do not fit into the memory


def test_room_on_a_disk_is_taken_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a disk that fills up would kill the process by a signal, at some row."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    taken: list[int] = []
    monkeypatch.setattr(os, "posix_fallocate", lambda file, at, n: taken.append(n), raising=False)
    rows = feature_store.room_for(5, 7, feature_store.np.float32)
    assert taken == [5 * 7 * 4]
    assert (rows == 0).all()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_that_room_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: int) -> None:
        raise system(errno.ENOSPC)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(StorageError, match="TMPDIR") as caught:
        feature_store.room_for(5, 7, feature_store.np.float32)
    assert caught.value.code == "disk-full"
    assert list(tmp_path.iterdir()) == []
