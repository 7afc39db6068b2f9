from __future__ import annotations

import gc
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from fieldmark.data import store
from fieldmark.errors import StorageError

SHAPE = (4, 5, 3)
HASHES = ["aa", "bb", "cc"]
MIDDLE, NEW, OLD = ("a" * 64, "b" * 64, "c" * 64)


def rows(seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (3, *SHAPE), dtype=np.uint8)


def publish(shelf: store.Shelf, key: str = "k", seed: int = 0) -> store.Stored:
    with store.Writer(shelf.directory, 3, SHAPE) as writer:
        for row in (2, 0, 1):
            writer.put(row, rows(seed)[row])
        return shelf.publish(writer, key, HASHES, {"cc": ("truncated", "file ends too early")})


@pytest.fixture
def shelf(tmp_path: Path) -> store.Shelf:
    return store.Shelf(tmp_path / "cache", 10**9)


def names(shelf: store.Shelf) -> list[str]:
    return sorted(path.name for path in shelf.directory.iterdir())


def test_what_was_published_is_found(shelf: store.Shelf) -> None:
    publish(shelf)
    found = shelf.find("k", SHAPE, HASHES)
    assert found is not None
    assert (found.pixels == rows()).all()
    assert found.hashes == ("aa", "bb", "cc")
    assert found.failures == {"cc": ("truncated", "file ends too early")}


def test_publishing_returns_the_same_as_finding(shelf: store.Shelf) -> None:
    assert (publish(shelf).pixels == rows()).all()
    assert names(shelf) == ["k.json", "k.npy"]


def test_the_array_is_mapped_and_read_only(shelf: store.Shelf) -> None:
    pixels = publish(shelf).pixels
    assert isinstance(pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 1


def test_the_file_is_an_ordinary_numpy_file(shelf: store.Shelf) -> None:
    publish(shelf)
    assert (np.load(shelf.directory / "k.npy") == rows()).all()


def test_equal_contents_make_equal_bytes(shelf: store.Shelf) -> None:
    publish(shelf, "one")
    publish(shelf, "two")
    for suffix in (".npy", ".json"):
        first, second = (shelf.directory / f"{key}{suffix}" for key in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("n_rows", [1, 9, 10, 999, 10**6, 10**12])
def test_the_header_has_one_length(n_rows: int) -> None:
    header = store._header((n_rows, 2048, 2048, 3))
    assert len(header) == 128
    assert header.endswith(b"\n")


def test_what_was_not_published_is_not_found(shelf: store.Shelf) -> None:
    assert shelf.find("k", SHAPE, HASHES) is None
    publish(shelf)
    assert shelf.find("other", SHAPE, HASHES) is None
    assert shelf.find("k", SHAPE, ["aa", "bb", "dd"]) is None
    assert shelf.find("k", (4, 5, 1), HASHES) is None


def test_a_file_cut_short_is_no_entry(shelf: store.Shelf) -> None:
    publish(shelf)
    path = shelf.directory / "k.npy"
    for size in (path.stat().st_size - 1, 200, 100, 0):
        os.truncate(path, size)
        assert shelf.find("k", SHAPE, HASHES) is None


def test_a_file_that_grew_is_no_entry(shelf: store.Shelf) -> None:
    publish(shelf)
    with (shelf.directory / "k.npy").open("ab") as file:
        file.write(b"\0")
    assert shelf.find("k", SHAPE, HASHES) is None


@pytest.mark.parametrize("at", [0, 6, 20, 60])
def test_a_damaged_header_is_no_entry(at: int, shelf: store.Shelf) -> None:
    publish(shelf)
    path = shelf.directory / "k.npy"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert shelf.find("k", SHAPE, HASHES) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"schema": "fieldmark.cache/0"}', "\udc80"]
)
def test_a_damaged_description_is_no_entry(text: str, shelf: store.Shelf) -> None:
    publish(shelf)
    (shelf.directory / "k.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert shelf.find("k", SHAPE, HASHES) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("decode_version", 0), ("shape", [3, 4, 5, 1]), ("shape", "x"), ("failures", {"cc": 1})],
)
def test_a_description_of_something_else_is_no_entry(
    field: str, value: object, shelf: store.Shelf
) -> None:
    publish(shelf)
    path = shelf.directory / "k.json"
    facts = json.loads(path.read_text()) | {field: value}
    path.write_text(json.dumps(facts))
    assert shelf.find("k", SHAPE, HASHES) is None


@pytest.mark.parametrize("missing", ["k.npy", "k.json"])
def test_half_an_entry_is_none(missing: str, shelf: store.Shelf) -> None:
    publish(shelf)
    (shelf.directory / missing).unlink()
    assert shelf.find("k", SHAPE, HASHES) is None


def test_a_writer_that_fails_leaves_nothing(shelf: store.Shelf) -> None:
    def fail() -> None:
        with store.Writer(shelf.directory, 3, SHAPE) as writer:
            writer.put(0, rows()[0])
            raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        fail()
    assert names(shelf) == []


def test_the_folder_is_private(shelf: store.Shelf) -> None:
    publish(shelf)
    if os.name == "posix":
        assert shelf.directory.stat().st_mode & 0o077 == 0
        assert (shelf.directory / "k.npy").stat().st_mode & 0o077 == 0


# --- a file for now


def test_a_file_for_now_is_gone_with_its_array(tmp_path: Path) -> None:
    with store.Writer(tmp_path, 3, SHAPE) as writer:
        for row in range(3):
            writer.put(row, rows()[row])
        stored = writer.keep_for_now(HASHES, {})
    assert isinstance(stored.pixels, np.memmap)
    assert (stored.pixels == rows()).all()
    del stored
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_where_mapped_files_cannot_be_removed_they_go_with_the_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "in use")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)  # as on Windows
        with store.Writer(tmp_path, 3, SHAPE) as writer:
            stored = writer.keep_for_now(HASHES, {})
    assert len(list(tmp_path.iterdir())) == 1
    del stored
    gc.collect()
    assert list(tmp_path.iterdir()) == []


# --- the limit


def test_the_least_recently_used_goes_first(shelf: store.Shelf) -> None:
    publish(shelf, OLD)
    publish(shelf, MIDDLE)
    for number, key in enumerate((OLD, MIDDLE)):
        os.utime(shelf.directory / f"{key}.json", (number, number))
    assert shelf.find(OLD, SHAPE, HASHES) is not None  # used just now
    size = sum(path.stat().st_size for path in shelf.directory.iterdir())
    small = store.Shelf(shelf.directory, size)
    publish(small, NEW)
    assert names(small) == [f"{NEW}.json", f"{NEW}.npy", f"{OLD}.json", f"{OLD}.npy"]


def test_the_entry_in_use_stays_even_beyond_the_limit(shelf: store.Shelf) -> None:
    publish(shelf, OLD)
    publish(store.Shelf(shelf.directory, 1), NEW)
    assert names(shelf) == [f"{NEW}.json", f"{NEW}.npy"]


def test_an_entry_that_is_removed_stays_readable_where_it_is_mapped(shelf: store.Shelf) -> None:
    pixels = publish(shelf, OLD).pixels
    publish(store.Shelf(shelf.directory, 1), NEW, seed=1)
    assert (pixels == rows()).all()


def test_leftovers_of_killed_processes_go_after_a_day(shelf: store.Shelf) -> None:
    shelf.directory.mkdir()
    for name, age in ((".building-old.npy", 2 * 24 * 3600), (".building-new.npy", 60)):
        path = shelf.directory / name
        path.write_bytes(b"")
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
    publish(shelf)
    assert names(shelf) == [".building-new.npy", "k.json", "k.npy"]


def test_other_files_in_the_folder_are_not_touched(shelf: store.Shelf) -> None:
    shelf.directory.mkdir()
    theirs = ["notes.json", "x.npy", "pair.npy", "pair.json", ".building-site.txt"]
    for name in theirs:
        (shelf.directory / name).write_text("mine")
        os.utime(shelf.directory / name, (0, 0))
    publish(store.Shelf(shelf.directory, 1), NEW)
    assert names(shelf) == sorted([*theirs, f"{NEW}.json", f"{NEW}.npy"])


def test_pixels_without_their_facts_go_after_a_day(shelf: store.Shelf) -> None:
    shelf.directory.mkdir()
    for key in (OLD, MIDDLE):
        (shelf.directory / f"{key}.npy").write_bytes(b"")
    os.utime(shelf.directory / f"{OLD}.npy", (0, 0))
    publish(shelf)
    assert names(shelf) == [f"{MIDDLE}.npy", "k.json", "k.npy"]


# --- storage that refuses


def test_a_full_disk_is_noticed_before_the_work(
    shelf: store.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 90, 10))
    with pytest.raises(StorageError, match=r"could not be written(.|\n)*FIELDMARK_CACHE") as caught:
        publish(shelf)
    assert caught.value.code == "disk-full"
    assert names(shelf) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_on_the_way_leaves_nothing(
    call: str, shelf: store.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="No space left on device"):
        publish(shelf)
    monkeypatch.undo()
    assert names(shelf) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"file/cache") as caught:
        publish(store.Shelf(tmp_path / "file" / "cache", 1))
    assert caught.value.code == "not-writable"


def test_where_another_process_holds_the_entry_ours_serves_us(
    shelf: store.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_: object) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "replace", held)  # as on Windows
    assert (publish(shelf).pixels == rows()).all()
