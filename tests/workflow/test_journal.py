"""A record is read back as it was written, or it and what follows it are gone."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.errors import StorageError, UsageError
from fieldmark.workflow import journal as journals
from fieldmark.workflow.journal import Journal

texts = st.text(max_size=20)
records = st.lists(st.dictionaries(texts, st.one_of(texts, st.integers()), max_size=3), max_size=6)


def written(path: Path, what: list[dict[str, Any]]) -> list[int]:
    path.unlink(missing_ok=True)
    with Journal(path) as kept:
        return [kept.append(each) for each in what]


def found(path: Path) -> list[dict[str, Any]]:
    with Journal(path) as kept:
        return [record for _, record in kept.records()]


@given(what=records)
def test_what_was_written_is_read_in_its_order_and_by_its_place(
    what: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "journal"
    places = written(path, what)
    assert found(path) == what
    with Journal(path) as kept:
        assert [kept.read(place) for place in places] == what


@given(what=records, data=st.data())
def test_a_torn_tail_is_cut_off_and_written_over(
    what: list[dict[str, Any]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "torn"
    places = [*written(path, what), path.stat().st_size]
    size = data.draw(st.integers(0, path.stat().st_size))
    with path.open("r+b") as file:
        file.truncate(size)
    n_whole = sum(end <= size for end in places[1:])
    assert found(path) == what[:n_whole]
    assert path.stat().st_size == places[n_whole]
    with Journal(path) as kept:
        kept.append({"after": 1})
    assert found(path) == [*what[:n_whole], {"after": 1}]


def test_a_changed_byte_ends_what_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    places = written(path, [{"n": number} for number in range(4)])
    data = bytearray(path.read_bytes())
    data[places[2] + 20] ^= 1
    path.write_bytes(data)
    assert found(path) == [{"n": 0}, {"n": 1}]


def test_a_record_that_was_changed_in_the_meantime_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    (place,) = written(path, [{"n": 1}])
    with Journal(path) as kept:
        path.write_bytes(path.read_bytes().replace(b"1}", b"2}"))
        with pytest.raises(StorageError, match="was changed while it was in use"):
            kept.read(place)


def test_cut_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path, [{"n": 1}])
    with Journal(path) as kept:
        kept.cut()
        kept.append({"n": 2})
    assert found(path) == [{"n": 2}]


def test_a_name_that_is_no_text_comes_back(tmp_path: Path) -> None:
    name = "caf\udce9"
    written(tmp_path / "journal", [{"file": name}])
    assert found(tmp_path / "journal") == [{"file": name}]


def test_the_disk_is_waited_for_by_time_and_not_by_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, waits = [0.0], []
    monkeypatch.setattr(journals.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(journals.os, "fsync", waits.append)
    with Journal(tmp_path / "journal") as kept:
        for _ in range(100):
            kept.append({})
        assert waits == []
        clock[0] += journals.SYNC_S
        kept.append({})
        kept.append({})
        assert len(waits) == 1


def test_a_line_is_a_hash_and_json(tmp_path: Path) -> None:
    """So that a person can read it, too."""
    written(tmp_path / "journal", [{"a": "b"}])
    digits, _, data = (tmp_path / "journal").read_text(encoding="ascii").partition(" ")
    assert len(digits) == 16
    assert json.loads(data) == {"a": "b"}


@pytest.mark.parametrize(
    "theirs", [b"a,b\n1,2\n", b"deadbeef\n", b"deadbeefdeadbeef  a.jpg\n", bytes(99)]
)
def test_a_file_that_is_no_journal_is_refused_and_as_it_was(tmp_path: Path, theirs: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(theirs)
    with pytest.raises(UsageError, match="was not written by this program") as caught:
        found(path)
    assert caught.value.code == "file-exists"
    assert path.read_bytes() == theirs


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "made in the meantime"])
def test_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / "journal"
    theirs.write_bytes(b"")  # what begins as a journal does
    path.symlink_to(theirs)
    if not seen:
        if not hasattr(os, "O_NOFOLLOW"):
            pytest.skip("this system opens links only by following them")
        monkeypatch.setattr(Path, "is_symlink", lambda _: False)
    with pytest.raises(UsageError if seen else StorageError, match="journal"):
        written_behind(path)
    assert theirs.read_bytes() == b""


def written_behind(path: Path) -> None:
    with Journal(path) as kept:
        kept.append({"n": 1})


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class Full:
    """A file on a disk that is full."""

    seek = write = flush = truncate = readline = close = full


def test_a_full_disk_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Journal(tmp_path / "journal")
    kept._file.close()
    kept._file = Full()  # type: ignore[assignment]
    monkeypatch.setattr(journals.os, "open", full)
    uses: list[Callable[[], object]] = [
        lambda: Journal(tmp_path / "other"),
        lambda: kept.append({}),
        lambda: kept.read(0),
        kept.cut,
        lambda: kept.__exit__(None, None, None),
    ]
    for use in uses:
        with pytest.raises(StorageError, match="could not be written: No space left") as caught:
            use()
        assert caught.value.code == "disk-full"
