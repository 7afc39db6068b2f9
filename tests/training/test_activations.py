"""What the frozen front makes of pictures: in order, warped copies behind, on a disk with room."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fieldmark.data import scan
from fieldmark.data.reading import FilePixels
from fieldmark.errors import StorageError
from fieldmark.inference.runtime import Runtime, open_runtime
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.augment import AUGMENTATIONS
from fieldmark.modalities.base import InputSpec
from fieldmark.networks import cutting
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.networks.weights import initial
from fieldmark.training.activations import BATCH, Copies, activations
from tests.pictures import write_shapes

VOLUME = (7, 7, 4)
PLAIN = Copies()


@pytest.fixture(scope="module")
def front() -> Runtime:
    text = "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> POOL 2x2 -> CONV 5 3x3 -> RELU -> GAP -> FC"
    before = cutting.front(plan(parse(text), 3), 2)
    return open_runtime(
        onnx_graph(before, initial(before, seed=3)), threads=1, engine="onnxruntime"
    )


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> FilePixels:
    folder = write_shapes(tmp_path_factory.mktemp("shapes"), 9)
    manifest = scan.hash_contents(scan.scan(folder), threads=1)
    return FilePixels(manifest, MODALITIES["image"], InputSpec(height=16, width=16), threads=2)


def made(
    pixels: FilePixels, front: Runtime, at: list[int], copies: Copies = PLAIN, *, told: Any = None
) -> np.ndarray:
    return activations(
        pixels,
        np.array(at, np.int64),
        front,
        VOLUME,
        copies=copies,
        progress=told or (lambda done, total: None),
    )


def warped(n: int, seed: int = 0) -> Copies:
    return Copies(n=n, augmentation=AUGMENTATIONS["light"], seed=seed)


def maps_of(front: Runtime, picture: np.ndarray) -> np.ndarray:
    maps = front.run(picture[None], ("maps",)).maps
    assert maps is not None
    return maps[0].transpose(1, 2, 0)


@pytest.mark.parametrize("n", [1, BATCH, BATCH + 1, 2 * BATCH + 3])
def test_a_row_is_the_fronts_output_for_that_picture(
    pixels: FilePixels, front: Runtime, n: int
) -> None:
    at = [(7 * k) % 27 for k in range(n)]
    found = made(pixels, front, at)
    assert (found.shape, found.dtype) == ((n, *VOLUME), np.float16)
    for row, place in zip(found, at, strict=True):
        np.testing.assert_allclose(row, maps_of(front, pixels[place]), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("n", [1, BATCH, 2 * BATCH + 3])
def test_copies_stand_behind_the_plain_pictures_turn_by_turn(
    pixels: FilePixels, front: Runtime, n: int
) -> None:
    found = made(pixels, front, list(range(n)), warped(2))
    assert found.shape == (3 * n, *VOLUME)
    np.testing.assert_array_equal(found[:n], made(pixels, front, list(range(n))))
    np.testing.assert_array_equal(found[: 2 * n], made(pixels, front, list(range(n)), warped(1)))
    turns = found.reshape(3, n, -1)
    assert all(len({turn.tobytes() for turn in turns[:, at]}) == 3 for at in range(n))


def test_a_copy_resembles_its_own_picture_more_than_others(
    pixels: FilePixels, front: Runtime
) -> None:
    n = 27
    plain, copy = made(pixels, front, list(range(n)), warped(1)).reshape(2, n, -1).astype(float)
    means = [rows.reshape(n, -1, 4).mean(axis=1) for rows in (plain, copy)]
    gaps = np.linalg.norm(means[0][:, None] - means[1][None], axis=2)
    assert np.diag(gaps).mean() < 0.7 * gaps[~np.eye(n, dtype=bool)].mean()


def test_without_an_augmentation_copies_are_the_picture_again(
    pixels: FilePixels, front: Runtime
) -> None:
    found = made(pixels, front, [3, 4], Copies(n=1))
    np.testing.assert_array_equal(found[:2], found[2:])


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_copies(
    pixels: FilePixels, front: Runtime
) -> None:
    one, same, other = (made(pixels, front, [3, 1, 4], warped(1, seed)) for seed in (5, 5, 6))
    assert one.tobytes() == same.tobytes()
    assert one[:3].tobytes() == other[:3].tobytes()
    assert one[3:].tobytes() != other[3:].tobytes()


def test_a_copy_does_not_depend_on_which_pictures_stand_around_it(
    pixels: FilePixels, front: Runtime
) -> None:
    many = made(pixels, front, list(range(12)), warped(1))
    few = made(pixels, front, [10, 2], warped(1))
    np.testing.assert_allclose(few[2:], many[[12 + 10, 12 + 2]], rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("n_copies", [0, 2])
def test_progress_never_goes_back_and_ends_at_all(
    pixels: FilePixels, front: Runtime, n_copies: int
) -> None:
    told: list[tuple[int, int]] = []
    made(pixels, front, list(range(11)), warped(n_copies), told=lambda *both: told.append(both))
    assert told == sorted(told)
    assert told[-1] == (11, 11)
    assert len(told) == 2 * (1 + n_copies)


def test_it_lies_in_a_file_that_has_no_name(
    pixels: FilePixels, front: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = made(pixels, front, [0, 1])
    assert isinstance(found, np.memmap)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_said_before_any_work(
    pixels: FilePixels, front: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 2 * 2 * int(np.prod(VOLUME)) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, size))  # type: ignore[attr-defined]
    monkeypatch.setattr(front, "stream", lambda *given: pytest.fail("it was run"), raising=False)
    with pytest.raises(StorageError, match="No space left") as caught:
        made(pixels, front, [0, 1])
    assert caught.value.code == "disk-full"
    assert "TMPDIR" in caught.value.hint
