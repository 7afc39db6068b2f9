from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fieldmark.data import cache, scan
from fieldmark.data.cache import CacheSettings, Decoded
from fieldmark.data.manifest import Manifest
from fieldmark.errors import DataError, UnreadableExample, UsageError
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec

MakeFolder = Callable[..., Path]
Picture = Callable[[int], bytes]
SPEC = InputSpec(height=8, width=8)
IMAGE = MODALITIES["image"]


class Counting:
    """Decodes as pictures are decoded, and counts."""

    name = "counting"
    suffixes = IMAGE.suffixes

    def __init__(self) -> None:
        self.n_decoded = 0
        self._lock = threading.Lock()

    def decode(
        self, data: bytes, spec: InputSpec
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        with self._lock:
            self.n_decoded += 1
        return IMAGE.decode(data, spec)


@pytest.fixture
def settings(tmp_path: Path) -> CacheSettings:
    return CacheSettings(directory=tmp_path / "cache")


@pytest.fixture
def folder(make_folder: MakeFolder, picture: Picture) -> Path:
    names = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(4)]
    return make_folder(contents={name: picture(seed) for seed, name in enumerate(names)})


def hashed(folder: Path) -> Manifest:
    return scan.hash_contents(scan.scan(folder), threads=2)


def decode(
    manifest: Manifest, settings: CacheSettings, modality: object = IMAGE, spec: InputSpec = SPEC
) -> Decoded:
    return cache.decode(manifest, modality, spec, settings=settings)  # type: ignore[arg-type]


def check(decoded: Decoded) -> None:
    """Every example's row is what its file decodes to."""
    assert len(decoded.rows) == len(decoded.manifest.examples)
    for row, example in zip(decoded.rows, decoded.manifest.examples, strict=True):
        data = (decoded.manifest.root / example.path).read_bytes()
        assert (decoded.pixels[row] == IMAGE.decode(data, SPEC)).all()


def codes(decoded: Decoded) -> dict[str, str]:
    return {entry.path: entry.code for entry in decoded.manifest.left_out}


def test_every_example_has_its_row(folder: Path, settings: CacheSettings) -> None:
    decoded = decode(hashed(folder), settings)
    check(decoded)
    assert decoded.pixels.shape == (8, *SPEC.shape)
    assert decoded.rows.dtype == np.int64
    assert isinstance(decoded.pixels, np.memmap)
    assert not decoded.pixels.flags.writeable


def test_the_second_time_nothing_is_decoded(folder: Path, settings: CacheSettings) -> None:
    counting = Counting()
    first = decode(hashed(folder), settings, counting)
    second = decode(hashed(folder), settings, counting)
    assert counting.n_decoded == 8
    assert (first.pixels == second.pixels).all()
    assert (first.rows == second.rows).all()
    assert first.manifest == second.manifest


def test_renamed_and_relabelled_files_hit(folder: Path, settings: CacheSettings) -> None:
    counting = Counting()
    decode(hashed(folder), settings, counting)
    (folder / "cat" / "0.png").rename(folder / "dog" / "a new name.png")
    decoded = decode(hashed(folder), settings, counting)
    assert counting.n_decoded == 8
    check(decoded)


def test_other_contents_miss(folder: Path, settings: CacheSettings, picture: Picture) -> None:
    decode(hashed(folder), settings)
    (folder / "cat" / "0.png").write_bytes(picture(99))
    check(decode(hashed(folder), settings))
    assert len(list((settings.directory or Path()).glob("*.npy"))) == 2


@pytest.mark.parametrize(
    "change", [{"height": 9}, {"channels": 1}, {"fit": "pad"}, {"background": 0}]
)
def test_other_rules_miss(change: dict[str, object], folder: Path, settings: CacheSettings) -> None:
    counting = Counting()
    decode(hashed(folder), settings, counting)
    spec = dataclasses.replace(SPEC, **change)  # type: ignore[arg-type]
    decoded = decode(hashed(folder), settings, counting, spec)
    assert counting.n_decoded == 16
    assert decoded.pixels.shape[1:] == spec.shape


def test_equal_files_share_a_row(folder: Path, settings: CacheSettings) -> None:
    (folder / "cat" / "copy.png").write_bytes((folder / "dog" / "1.png").read_bytes())
    counting = Counting()
    decoded = decode(hashed(folder), settings, counting)
    check(decoded)
    assert counting.n_decoded == 8
    assert decoded.pixels.shape[0] == 8
    assert len(decoded.rows) == 9


@pytest.mark.parametrize("threads", [1, 4])
def test_the_number_of_threads_cannot_be_seen(threads: int, folder: Path, tmp_path: Path) -> None:
    one = decode(hashed(folder), CacheSettings(directory=tmp_path / "one", threads=1))
    many = decode(hashed(folder), CacheSettings(directory=tmp_path / "many", threads=threads))
    assert (one.pixels == many.pixels).all()
    assert (one.rows == many.rows).all()


def test_parts_labels_and_earlier_reasons_stay(folder: Path, settings: CacheSettings) -> None:
    (folder / ".DS_Store").write_bytes(b"")
    manifest = hashed(folder)
    examples = tuple(dataclasses.replace(e, split="test") for e in manifest.examples)
    decoded = decode(manifest.with_examples(examples), settings)
    assert decoded.manifest.examples == examples
    assert codes(decoded) == {".DS_Store": "system-file"}


def test_progress_counts_contents_to_the_end(folder: Path, settings: CacheSettings) -> None:
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        cache.decode(
            hashed(folder),
            IMAGE,
            SPEC,
            settings=settings,
            progress=lambda done, of: seen.append((done, of)),
        )
    assert seen == [(number, 8) for number in range(1, 9)]  # nothing to wait for the second time


# --- files that cannot be used


def test_unreadable_files_are_left_out_with_their_reason(
    folder: Path, settings: CacheSettings
) -> None:
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "cat" / "text.jpg").write_bytes(b"hello")
    (folder / "dog" / "cut.png").write_bytes((folder / "dog" / "1.png").read_bytes()[:60])
    expected = {
        "cat/empty.png": "empty-file",
        "cat/text.jpg": "unknown-format",
        "dog/cut.png": "truncated",
    }
    counting = Counting()
    for _ in range(2):  # decoded, and from the cache
        decoded = decode(hashed(folder), settings, counting)
        assert codes(decoded) == expected
        assert all(entry.reason for entry in decoded.manifest.left_out)
        check(decoded)
    assert counting.n_decoded == 11


def test_used_plus_left_out_is_everything_found(folder: Path, settings: CacheSettings) -> None:
    (folder / "cat" / "empty.png").write_bytes(b"")
    manifest = hashed(folder)
    decoded = decode(manifest, settings)
    assert len(decoded.manifest.examples) + len(decoded.manifest.left_out) == 9


def test_a_file_that_changes_meanwhile_is_left_out_and_not_kept(
    folder: Path, settings: CacheSettings, picture: Picture
) -> None:
    manifest = hashed(folder)
    original = (folder / "cat" / "0.png").read_bytes()
    (folder / "cat" / "0.png").write_bytes(picture(99))
    decoded = decode(manifest, settings)
    assert codes(decoded) == {"cat/0.png": "changed-while-running"}
    check(decoded)
    (folder / "cat" / "0.png").write_bytes(original)
    assert codes(decode(manifest, settings)) == {}


def test_a_file_that_vanishes_meanwhile_is_left_out(folder: Path, settings: CacheSettings) -> None:
    manifest = hashed(folder)
    (folder / "dog" / "2.png").unlink()
    assert codes(decode(manifest, settings)) == {"dog/2.png": "vanished"}


def test_a_copy_stands_in_for_a_file_that_changed(
    folder: Path, settings: CacheSettings, picture: Picture
) -> None:
    (folder / "dog" / "copy.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    manifest = hashed(folder)
    (folder / "cat" / "0.png").write_bytes(picture(99))
    decoded = decode(manifest, settings)
    assert codes(decoded) == {"cat/0.png": "changed-while-running"}
    check(decoded)


def test_mostly_unreadable_folders_are_refused_with_grouped_reasons(
    folder: Path, settings: CacheSettings
) -> None:
    for number in range(6):
        (folder / "cat" / f"empty{number}.png").write_bytes(b"")
    for number in range(3):
        (folder / "cat" / f"text{number}.png").write_bytes(b"hello %d" % number)
    for _ in range(2):  # a refusal is not remembered as an entry
        with pytest.raises(DataError, match="9 of 17 files could not be read") as caught:
            decode(hashed(folder), settings)
        assert caught.value.code == "mostly-unreadable"
        assert "6 empty file, 3 unknown format" in caught.value.what
        assert "cat/empty0.png: the file is empty" in caught.value.where
    assert list((settings.directory or Path()).iterdir()) == []


def test_exactly_half_is_not_mostly(folder: Path, settings: CacheSettings) -> None:
    for number in range(4):
        (folder / "cat" / f"x{number}.png").write_bytes(b"x%d" % number)
        (folder / "dog" / f"y{number}.png").write_bytes(b"y%d" % number)
    assert len(decode(hashed(folder), settings).rows) == 8


def test_a_class_without_one_readable_file_is_refused(
    folder: Path, settings: CacheSettings
) -> None:
    (folder / "owl").mkdir()
    (folder / "owl" / "1.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="no file of owl could be read: 1 unknown format") as caught:
        decode(hashed(folder), settings)
    assert caught.value.code == "emptied-class"


# --- damage, places and limits


@pytest.mark.parametrize("size", [0, 100, 128, 500])
def test_a_damaged_entry_is_built_again(size: int, folder: Path, settings: CacheSettings) -> None:
    decode(hashed(folder), settings)
    (path,) = (settings.directory or Path()).glob("*.npy")
    os.truncate(path, size)
    counting = Counting()
    check(decode(hashed(folder), settings, counting))
    assert counting.n_decoded == 8
    decode(hashed(folder), settings, counting)
    assert counting.n_decoded == 8


def test_a_kill_between_the_two_files_leaves_no_entry(
    folder: Path, settings: CacheSettings
) -> None:
    decode(hashed(folder), settings)
    (path,) = (settings.directory or Path()).glob("*.json")
    path.unlink()
    check(decode(hashed(folder), settings))


def test_without_a_cache_nothing_stays(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    settings = CacheSettings(directory=tmp_path / "cache", enabled=False)
    decoded = decode(hashed(folder), settings)
    check(decoded)
    assert isinstance(decoded.pixels, np.memmap)
    del decoded
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("place", [".", "cache", "cat/deep/cache"])
def test_a_cache_inside_the_data_is_refused(place: str, folder: Path) -> None:
    with pytest.raises(UsageError, match="inside the folder of pictures") as caught:
        decode(hashed(folder), CacheSettings(directory=folder / place))
    assert caught.value.code == "cache-inside-data"
    assert not (folder / "cache").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_cache_inside_the_data_is_seen_through_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(folder)
    with pytest.raises(UsageError, match="inside the folder of pictures"):
        decode(hashed(folder), CacheSettings(directory=tmp_path / "elsewhere" / "cache"))


def test_the_limit_is_kept(folder: Path, tmp_path: Path) -> None:
    settings = CacheSettings(directory=tmp_path / "cache", limit_bytes=3000)
    for height in (8, 9, 10):
        decode(hashed(folder), settings, IMAGE, InputSpec(height=height, width=8))
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "here"))
    assert cache.default_directory() == tmp_path / "here"


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "chosen/fieldmark"),
        ("linux", "", "home/.cache/fieldmark"),
        ("darwin", "", "home/Library/Caches/fieldmark"),
        ("win32", "LOCALAPPDATA", "chosen/fieldmark"),
        ("win32", "", "home/AppData/Local/fieldmark"),
    ],
)
def test_every_platform_has_its_folder_for_caches(
    platform: str, variable: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("FIELDMARK_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "chosen"))
    assert cache.default_directory() == tmp_path / expected


def test_the_default_folder_is_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "default"))
    decode(hashed(folder), CacheSettings())
    assert len(list((tmp_path / "default").iterdir())) == 2


def test_unread_files_are_refused(folder: Path, settings: CacheSettings) -> None:
    with pytest.raises(UsageError, match="before their files have been read") as caught:
        decode(scan.scan(folder), settings)
    assert caught.value.code == "not-hashed"


def test_a_decoder_that_breaks_its_promise_is_a_bug_that_shows(
    folder: Path, settings: CacheSettings
) -> None:
    class Broken(Counting):
        def decode(self, data: bytes, spec: InputSpec) -> None:  # type: ignore[override]
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        decode(hashed(folder), settings, Broken())
    assert list((settings.directory or Path()).iterdir()) == []


def test_an_unreadable_example_is_no_bug(folder: Path, settings: CacheSettings) -> None:
    class Choosy(Counting):
        def decode(self, data: bytes, spec: InputSpec):  # type: ignore[no-untyped-def]
            if data == (folder / "cat" / "0.png").read_bytes():
                raise UnreadableExample("not that one", code="choosy")
            return super().decode(data, spec)

    assert codes(decode(hashed(folder), settings, Choosy())) == {"cat/0.png": "choosy"}


# --- two processes

BUILD = """
import sys
from pathlib import Path
from fieldmark.data import cache, scan
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec

folder, directory = map(Path, sys.argv[1:])
manifest = scan.hash_contents(scan.scan(folder), threads=1)
print("ready", flush=True)
sys.stdin.readline()
decoded = cache.decode(manifest, MODALITIES["image"], InputSpec(height=8, width=8),
                       settings=cache.CacheSettings(directory=directory))
print(decoded.pixels[decoded.rows].tobytes().hex())
"""


def test_two_processes_may_build_the_same_entry(
    make_folder: MakeFolder, picture: Picture, tmp_path: Path
) -> None:
    names = [f"{label}/{number}.png" for label in ("a", "b") for number in range(150)]
    folder = make_folder(contents={name: picture(seed) for seed, name in enumerate(names)})
    command = [sys.executable, "-c", BUILD, str(folder), str(tmp_path / "cache")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # both start when both are ready
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1]
    assert len(list((tmp_path / "cache").iterdir())) == 2
    counting = Counting()
    check(decode(hashed(folder), CacheSettings(directory=tmp_path / "cache"), counting))
    assert counting.n_decoded == 0
