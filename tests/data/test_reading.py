"""Contents are decoded once, troubles keep their reason, and pictures can stay on the disk."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fieldmark.data import scan
from fieldmark.data.manifest import Example, Manifest
from fieldmark.data.reading import Content, FilePixels, Troubles, decoded_contents
from fieldmark.errors import DataError, UnreadableExample
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec

MakeFolder = Callable[..., Path]
Picture = Callable[[int], bytes]
SPEC = InputSpec(height=8, width=9)
IMAGE = MODALITIES["image"]


@pytest.fixture
def folder(make_folder: MakeFolder, picture: Picture) -> Path:
    names = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(4)]
    return make_folder(contents={name: picture(seed) for seed, name in enumerate(names)})


def hashed(folder: Path) -> Manifest:
    return scan.hash_contents(scan.scan(folder), threads=1)


def contents(manifest: Manifest, **more: frozenset[str]) -> list[Content]:
    return list(decoded_contents(manifest, IMAGE, SPEC, threads=2, **more))


def noted(manifest: Manifest) -> Troubles:
    troubles = Troubles()
    for content in contents(manifest):
        troubles.note(content)
    return troubles


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(IMAGE.decode(path.read_bytes(), SPEC))


# --- decoded_contents


def test_contents_come_in_file_order_and_are_what_the_files_hold(folder: Path) -> None:
    manifest = hashed(folder)
    found = contents(manifest)
    assert [each.sha256 for each in found] == [each.sha256 for each in manifest.examples]
    for content, example in zip(found, manifest.examples, strict=True):
        assert content.pixels is not None
        np.testing.assert_array_equal(content.pixels, pixels_of(folder / example.path))
        assert (content.failure, content.changed) == (None, {})


def test_a_content_with_many_paths_is_decoded_once(
    make_folder: MakeFolder, picture: Picture
) -> None:
    same = picture(0)
    root = make_folder(contents={"a/1.png": same, "a/2.png": same, "b/1.png": picture(1)})
    assert len(contents(hashed(root))) == 2


def test_what_is_skipped_is_not_even_opened(folder: Path) -> None:
    manifest = hashed(folder)
    first = manifest.examples[0]
    (folder / first.path).unlink()
    found = contents(manifest, skip=frozenset({first.sha256}))
    assert [each.sha256 for each in found] == [each.sha256 for each in manifest.examples[1:]]


def test_only_a_few_are_decoded_ahead(make_folder: MakeFolder, picture: Picture) -> None:
    root = make_folder(contents={f"{'ab'[n % 2]}/{n:03}.png": picture(n) for n in range(60)})
    lock, seen = threading.Lock(), []

    class Counting:
        name, suffixes = "counting", IMAGE.suffixes

        def decode(self, data: bytes, spec: InputSpec) -> np.ndarray:
            with lock:
                seen.append(1)
            return np.asarray(IMAGE.decode(data, spec))

    stream = decoded_contents(hashed(root), Counting(), SPEC, threads=1)  # type: ignore[arg-type]
    next(stream)
    stream.close()
    assert len(seen) <= 10


def test_another_copy_is_read_where_the_first_is_gone(
    make_folder: MakeFolder, picture: Picture
) -> None:
    root = make_folder(
        contents={"a/1.png": picture(0), "a/2.png": picture(0), "b/1.png": picture(1)}
    )
    manifest = hashed(root)
    (root / "a/1.png").unlink()
    found = contents(manifest)[0]
    assert found.pixels is not None
    assert list(found.changed) == ["a/1.png"]


def test_bytes_that_are_not_those_that_were_hashed_are_not_decoded(
    folder: Path, picture: Picture
) -> None:
    manifest = hashed(folder)
    (folder / "cat/0.png").write_bytes(picture(99))
    found = contents(manifest)[0]
    assert (found.pixels, found.failure) == (None, None)
    assert found.changed["cat/0.png"].code == "changed-while-running"


# --- Troubles


def test_each_kind_of_trouble_is_left_out_with_its_reason(folder: Path, picture: Picture) -> None:
    (folder / "dog/1.png").write_bytes(b"")
    (folder / "dog/2.png").write_bytes(picture(6)[:70])
    manifest = hashed(folder)
    (folder / "cat/0.png").write_bytes(picture(99))
    (folder / "cat/1.png").unlink()
    troubles = noted(manifest)
    kept = troubles.without(manifest)
    assert {each.path: each.code for each in kept.left_out} == {
        "cat/0.png": "changed-while-running",
        "cat/1.png": "vanished",
        "dog/1.png": "empty-file",
        "dog/2.png": "truncated",
    }
    assert len(kept.examples) + len(kept.left_out) == len(manifest.examples) + len(
        manifest.left_out
    )
    assert all(each.reason for each in kept.left_out)
    assert troubles.absent == {
        each.sha256 for each in manifest.examples if each.path in ("cat/0.png", "cat/1.png")
    }


def test_without_trouble_everything_is_kept(folder: Path) -> None:
    manifest = hashed(folder)
    troubles = noted(manifest)
    troubles.check(manifest)
    assert troubles.without(manifest) == manifest
    assert troubles == Troubles()


def test_a_mostly_unreadable_folder_is_refused(folder: Path) -> None:
    manifest = hashed(folder)
    for example in manifest.examples[:5]:
        (folder / example.path).unlink()
    with pytest.raises(DataError, match=r"5 of 8 files could not be read") as caught:
        noted(manifest).check(manifest)
    assert caught.value.code == "mostly-unreadable"
    assert "cat/0.png" in caught.value.where


def test_half_of_a_folder_may_be_unreadable(folder: Path) -> None:
    manifest = hashed(folder)
    for name in ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"):
        (folder / name).unlink()
    troubles = noted(manifest)
    troubles.check(manifest)
    assert len(troubles.without(manifest).examples) == 4


def test_a_class_of_which_nothing_is_left_is_refused(
    make_folder: MakeFolder, picture: Picture
) -> None:
    root = make_folder(
        contents={f"a/{n}.png": picture(n) for n in range(4)} | {"b/1.png": picture(9)}
    )
    manifest = hashed(root)
    (root / "b/1.png").write_bytes(b"no picture any more")
    with pytest.raises(DataError, match="no file of b could be read") as caught:
        noted(manifest).check(manifest)
    assert caught.value.code == "emptied-class"


def test_a_failure_belongs_to_the_content_and_hits_all_its_paths(
    make_folder: MakeFolder, picture: Picture
) -> None:
    broken = picture(0)[:70]
    good = {f"{label}/{n}.png": picture(n + 5) for label in "cd" for n in range(4)}
    root = make_folder(contents={"c/x.png": broken, "c/y.png": broken} | good)
    manifest = hashed(root)
    troubles = noted(manifest)
    assert {*troubles.failures} == {hashlib.sha256(broken).hexdigest()}
    assert [each.path for each in troubles.without(manifest).left_out] == ["c/x.png", "c/y.png"]


def test_a_later_trouble_does_not_make_an_earlier_one_forgotten() -> None:
    troubles = Troubles()
    gone = UnreadableExample("gone", code="vanished")
    troubles.note(Content("a" * 64, None, changed={"x.png": gone}))
    troubles.note(Content("b" * 64, None, UnreadableExample("cut off", code="truncated")))
    troubles.note(Content("c" * 64, np.zeros(SPEC.shape, np.uint8)))
    assert troubles.changed == {"x.png": gone}
    assert troubles.failures == {"b" * 64: ("truncated", "cut off")}
    assert troubles.absent == {"a" * 64}


# --- FilePixels


@pytest.fixture
def on_disk(folder: Path) -> FilePixels:
    return FilePixels(hashed(folder), IMAGE, SPEC, threads=2)


def test_a_row_is_what_its_file_decodes_to(on_disk: FilePixels, folder: Path) -> None:
    for at, example in enumerate(hashed(folder).examples):
        found = on_disk[at]
        assert (found.dtype, found.shape) == (np.uint8, SPEC.shape)
        np.testing.assert_array_equal(found, pixels_of(folder / example.path))
    assert on_disk.shape == (8, *SPEC.shape)


def test_rows_come_in_the_order_asked_for_and_as_often(on_disk: FilePixels) -> None:
    found = on_disk[np.array([5, 0, 5])]
    assert found.shape == (3, *SPEC.shape)
    for row, at in zip(found, (5, 0, 5), strict=True):
        np.testing.assert_array_equal(row, on_disk[at])
    np.testing.assert_array_equal(on_disk[[5, 0, 5]], found)


def test_a_table_of_rows_keeps_its_shape(on_disk: FilePixels) -> None:
    found = on_disk[np.array([[0, 1, 2], [3, 4, 5]])]
    assert found.shape == (2, 3, *SPEC.shape)
    np.testing.assert_array_equal(found.reshape(6, *SPEC.shape), on_disk[np.arange(6)])


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0)])
def test_no_rows_are_no_pictures(on_disk: FilePixels, shape: tuple[int, ...]) -> None:
    found = on_disk[np.empty(shape, np.int64)]
    assert (found.shape, found.dtype) == ((*shape, *SPEC.shape), np.uint8)


def test_a_row_that_is_not_there_is_an_index_error(on_disk: FilePixels) -> None:
    with pytest.raises(IndexError, match="range"):
        on_disk[8]


@pytest.mark.parametrize("change", ["vanished", "another picture", "cut off"])
@pytest.mark.parametrize("at", [2, [0, 2]])
def test_a_file_that_changes_during_the_run_stops_it(
    on_disk: FilePixels, folder: Path, picture: Picture, change: str, at: int | list[int]
) -> None:
    path = folder / "cat/2.png"
    assert on_disk[2].any()
    if change == "vanished":
        path.unlink()
    else:
        path.write_bytes(picture(50) if change == "another picture" else path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"cat/2\.png can no longer be read") as caught:
        on_disk[at]
    assert caught.value.code == "changed-while-running"
    assert caught.value.where == str(folder)
    assert on_disk[0].any()


def test_pictures_are_taken_by_number_and_not_by_a_mask(tmp_path: Path) -> None:
    pixels = FilePixels(
        Manifest(root=tmp_path, examples=(), classes=()),
        IMAGE,
        InputSpec(height=8, width=8),
        threads=1,
    )
    for rows in (np.array([True, False]), slice(0, 2)):
        with pytest.raises(TypeError, match="by their numbers, not by a mask or a slice"):
            pixels[rows]


def test_ids_follow_the_content(tmp_path: Path) -> None:
    examples = tuple(
        Example(path=f"{n}.png", label="a", sha256=f"{n:016x}" + 48 * "0") for n in (7, 9)
    )
    manifest = Manifest(root=tmp_path, examples=examples, classes=("a",))
    pixels = FilePixels(manifest, IMAGE, InputSpec(height=8, width=8), threads=1)
    assert pixels.ids(np.array([1, 0])).tolist() == [9, 7]
