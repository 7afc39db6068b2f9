"""Features of a folder: what the network says, once per content, the same after any kill."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fieldmark.data import feature_store, scan
from fieldmark.data.manifest import Manifest
from fieldmark.data.split import assign
from fieldmark.errors import DataError
from fieldmark.inference.runtime import Output, Outputs, Runtime, open_runtime
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.networks.weights import initial
from fieldmark.training import features
from fieldmark.training.features import BATCH, Extraction, Features, extract
from tests.pictures import write_shapes

SPEC = InputSpec(height=16, width=16)
IMAGE = MODALITIES["image"]
WIDTH = 5
N_EACH = 12


class Killed(Exception):
    """What a run is ended by."""


class Recording:
    """Runs a real network, counts what it is shown, and may be killed."""

    def __init__(self, inner: Runtime, *, batches: int | None = None) -> None:
        self.inner = inner
        self.name = inner.name
        self.left = batches
        self.shapes: list[tuple[int, ...]] = []
        self.seen: list[bytes] = []

    def run(self, pixels: NDArray[np.uint8], outputs: Sequence[Output] = ("scores",)) -> Outputs:
        return self.inner.run(pixels, outputs)

    def stream(
        self, batches: Iterable[NDArray[np.uint8]], outputs: Sequence[Output] = ("scores",)
    ) -> Iterator[Outputs]:
        def shown() -> Iterator[NDArray[np.uint8]]:
            for pixels in batches:
                self.shapes.append(pixels.shape)
                self.seen += [picture.tobytes() for picture in pixels]
                yield pixels

        for answer in self.inner.stream(shown(), outputs):
            if self.left is not None:
                if self.left == 0:
                    raise Killed("in the middle of it")
                self.left -= 1
            yield answer


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    text = f"INPUT 16x16x3 -> CONV {WIDTH} 3x3 -> RELU -> POOL 2x2 -> GAP -> FC"
    made = plan(parse(text), 3)
    return open_runtime(onnx_graph(made, initial(made, seed=3)), threads=1, engine="onnxruntime")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_shapes(tmp_path / "shapes", N_EACH)


def split(folder: Path) -> Manifest:
    manifest = scan.hash_contents(scan.scan(folder), threads=1)
    return assign(manifest, fractions=(0.5, 0.25, 0.25), seed=1)


def given(runtime: Any, directory: Path | None = None, **changes: Any) -> Extraction:
    made = Extraction(
        runtime=runtime,
        backbone="tiny",
        width=WIDTH,
        spec=SPEC,
        modality=IMAGE,
        directory=directory,
    )
    return dataclasses.replace(made, **changes)


def pixels_of(manifest: Manifest, parts: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    return {
        each.sha256: np.asarray(IMAGE.decode((manifest.root / each.path).read_bytes(), SPEC))
        for each in manifest.examples
        if each.split in parts
    }


def by_name(found: Features) -> dict[str, bytes]:
    """Return the bytes of every row by its content and copy."""
    plain = {sha: found.rows[row].tobytes() for sha, row in found.row_of.items()}
    copies = {
        f"{sha}/{at}": found.rows[row].tobytes()
        for sha, rows in found.copies_of.items()
        for at, row in enumerate(rows)
    }
    return plain | copies


# --- what they are


def test_a_row_is_what_the_network_says_of_that_picture(folder: Path, runtime: Runtime) -> None:
    manifest = split(folder)
    found = extract(manifest, given(runtime))
    wanted = pixels_of(manifest, ("train", "valid"))
    assert {*found.row_of} == {*wanted}
    assert found.rows.shape == (len(wanted), WIDTH)
    for sha, pixels in wanted.items():
        said = runtime.run(pixels[None], ("features",)).features
        assert said is not None
        np.testing.assert_allclose(found.rows[found.row_of[sha]], said[0], rtol=0, atol=1e-6)
    assert found.manifest == manifest
    assert found.copies_of == {sha: () for sha in wanted}


def test_the_test_part_is_shown_to_no_network(folder: Path, runtime: Runtime) -> None:
    manifest = split(folder)
    watched = Recording(runtime)
    found = extract(manifest, given(watched))
    kept_back = pixels_of(manifest, ("test",))
    assert len(kept_back) == len(manifest.part("test")) > 5
    assert not {pixels.tobytes() for pixels in kept_back.values()} & {*watched.seen}
    assert not {*kept_back} & {*found.row_of}
    asked = {pixels.tobytes() for pixels in pixels_of(manifest, ("train", "valid")).values()}
    assert {*watched.seen} == asked


def test_only_the_parts_asked_for_are_extracted(folder: Path, runtime: Runtime) -> None:
    manifest = split(folder)
    found = extract(manifest, given(runtime), parts=("valid",))
    assert {*found.row_of} == {each.sha256 for each in manifest.part("valid")}


def test_every_batch_is_full(folder: Path, runtime: Runtime) -> None:
    """Another size may be added up in another order, and a resumed run ends in other batches."""
    watched = Recording(runtime)
    manifest = split(folder)
    found = extract(manifest, given(watched))
    assert len(found.row_of) % BATCH
    assert {*watched.shapes} == {(BATCH, *SPEC.shape)}
    assert len(watched.shapes) == -(-len(found.row_of) // BATCH)


def test_copies_of_a_file_share_their_row(folder: Path, runtime: Runtime) -> None:
    (folder / "circle" / "again.png").write_bytes((folder / "circle" / "000.png").read_bytes())
    manifest = split(folder)
    watched = Recording(runtime)
    found = extract(manifest, given(watched), parts=("train", "valid", "test"))
    assert len(manifest.examples) == 3 * N_EACH + 1
    assert len(found.row_of) == len(found.rows) == 3 * N_EACH
    assert len({*watched.seen}) == 3 * N_EACH


# --- the cache


def test_the_second_time_everything_is_there_and_the_same(
    folder: Path, runtime: Runtime, tmp_path: Path
) -> None:
    manifest, cache = split(folder), tmp_path / "cache"
    first = extract(manifest, given(runtime, cache), copies={manifest.part("train")[0].sha256: 2})
    watched = Recording(runtime)
    again = extract(manifest, given(watched, cache), copies={manifest.part("train")[0].sha256: 2})
    assert watched.seen == []
    assert (first.n_cached, again.n_cached) == (0, len(first.rows))
    assert by_name(first) == by_name(again)
    assert again.rows.tobytes() == first.rows.tobytes()


def test_with_no_folder_nothing_is_kept(folder: Path, runtime: Runtime, tmp_path: Path) -> None:
    manifest = split(folder)
    before = {*tmp_path.rglob("*")}
    extract(manifest, given(runtime))
    assert {*tmp_path.rglob("*")} == before
    assert extract(manifest, given(runtime)).n_cached == 0


def test_a_grown_folder_costs_only_what_is_new(
    folder: Path, runtime: Runtime, tmp_path: Path
) -> None:
    cache, everything = tmp_path / "cache", ("train", "valid", "test")
    first = extract(split(folder), given(runtime, cache), parts=everything)
    write_shapes(folder, N_EACH + 2)
    watched = Recording(runtime)
    grown = extract(split(folder), given(watched, cache), parts=everything)
    assert len({*watched.seen}) == 3 * 2
    assert grown.n_cached == 3 * N_EACH
    assert by_name(first).items() <= by_name(grown).items()


@pytest.mark.parametrize("n_batches", [0, 1, 2, 3])
def test_killed_and_resumed_ends_with_the_bytes_of_an_undisturbed_run(
    folder: Path, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_batches: int
) -> None:
    monkeypatch.setattr(feature_store, "SEGMENT_ROWS", BATCH)
    manifest = split(folder)
    copies = {each.sha256: 1 for each in manifest.part("train")[:3]}
    whole = extract(manifest, given(runtime, tmp_path / "whole"), copies=copies)
    cut = tmp_path / "cut"
    with pytest.raises(Killed, match="in the middle of it"):
        extract(manifest, given(Recording(runtime, batches=n_batches), cut), copies=copies)
    resumed = extract(manifest, given(runtime, cut), copies=copies)
    assert resumed.n_cached == n_batches * BATCH
    assert resumed.rows.tobytes() == whole.rows.tobytes()
    assert by_name(resumed) == by_name(whole)


def test_where_pictures_are_slow_rows_are_kept_by_time(
    folder: Path, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "SEGMENT_S", 0.0)
    with pytest.raises(Killed, match="in the middle of it"):
        extract(split(folder), given(Recording(runtime, batches=2), tmp_path))
    assert extract(split(folder), given(runtime, tmp_path)).n_cached == 2 * BATCH


def test_rows_taken_away_by_another_run_are_made_again(
    folder: Path, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, cache = split(folder), tmp_path / "cache"
    whole = extract(manifest, given(runtime, cache))
    opened = features.FeatureShelf

    def opened_then_emptied(*words: Any) -> Any:
        shelf = opened(*words)
        for file in cache.rglob("*.npy"):
            file.unlink()
        return shelf

    monkeypatch.setattr(features, "FeatureShelf", opened_then_emptied)
    again = extract(manifest, given(runtime, cache))
    assert again.n_cached == 0
    assert again.rows.tobytes() == whole.rows.tobytes()


@pytest.mark.parametrize(
    "changes",
    [{"backbone": "other"}, {"spec": InputSpec(height=16, width=16, fit="pad")}, {"width": 4}],
)
def test_whatever_could_change_a_row_changes_the_key(
    changes: dict[str, Any], runtime: Runtime
) -> None:
    assert given(runtime).key != given(runtime, **changes).key
    other = Recording(runtime)
    other.name = "another engine 1.0"
    assert given(runtime).key != given(other).key
    assert given(runtime).key == given(runtime, threads=9, seed=5, limit_bytes=1).key


# --- warped copies


def test_copies_are_named_by_seed_and_number_and_repeat(
    folder: Path, runtime: Runtime, tmp_path: Path
) -> None:
    manifest = split(folder)
    sha = manifest.part("train")[0].sha256
    one, same = (extract(manifest, given(runtime, seed=1), copies={sha: 3}) for _ in range(2))
    other = extract(manifest, given(runtime, seed=2), copies={sha: 3})
    assert by_name(one) == by_name(same)
    rows = {found.rows[row].tobytes() for found in (one, other) for row in found.copies_of[sha]}
    assert len(rows) == 6
    assert one.rows[one.row_of[sha]].tobytes() not in rows
    assert features._names(sha, 2, 7) == [sha, f"{sha}/light-7-1", f"{sha}/light-7-2"]


def test_more_copies_leave_the_earlier_ones_as_they_were(
    folder: Path, runtime: Runtime, tmp_path: Path
) -> None:
    manifest, cache = split(folder), tmp_path / "cache"
    sha = manifest.part("train")[0].sha256
    few = extract(manifest, given(runtime, cache), copies={sha: 1})
    watched = Recording(runtime)
    more = extract(manifest, given(watched, cache), copies={sha: 3})
    assert more.n_cached == len(few.rows)
    assert by_name(few).items() <= by_name(more).items()
    assert len(more.copies_of[sha]) == 3


def test_a_copy_is_another_picture_of_the_same_kind(folder: Path, runtime: Runtime) -> None:
    manifest = split(folder)
    sha = manifest.part("train")[0].sha256
    watched = Recording(runtime)
    extract(manifest, given(watched), copies={sha: 2})
    plain = pixels_of(manifest, ("train", "valid"))
    warped = {*watched.seen} - {pixels.tobytes() for pixels in plain.values()}
    assert len(warped) == 2
    for data in warped:
        picture = np.frombuffer(data, np.uint8).reshape(SPEC.shape)
        assert abs(float(picture.mean()) - float(plain[sha].mean())) < 60


def test_copies_of_the_test_part_are_not_made(folder: Path, runtime: Runtime) -> None:
    manifest = split(folder)
    found = extract(manifest, given(runtime), copies={manifest.part("test")[0].sha256: 2})
    assert len(found.rows) == len(found.row_of)


# --- trouble, progress, memory


def test_files_that_cannot_be_read_are_left_out(folder: Path, runtime: Runtime) -> None:
    for name in ("circle/003.png", "square/004.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
    manifest = split(folder)
    gone = next(each for each in manifest.part("train") if each.label == "triangle")
    (folder / gone.path).unlink()
    found = extract(manifest, given(runtime))
    codes = {each.path: each.code for each in found.manifest.left_out}
    assert codes == {
        "circle/003.png": "truncated",
        "square/004.png": "truncated",
        gone.path: "vanished",
    }
    assert len(found.manifest.examples) == 3 * N_EACH - 3
    assert {*found.row_of} == {
        each.sha256 for each in found.manifest.examples if each.split != "test"
    }
    assert all(found.rows[row].any() for row in found.row_of.values())


def test_a_broken_file_of_the_test_part_is_known_before_training(
    folder: Path, runtime: Runtime
) -> None:
    manifest = split(folder)
    broken = manifest.part("test")[0]
    (folder / broken.path).unlink()
    found = extract(manifest, given(runtime))
    assert [each.path for each in found.manifest.left_out] == [broken.path]


def test_a_broken_file_is_found_again_when_the_rest_is_cached(
    folder: Path, runtime: Runtime, tmp_path: Path
) -> None:
    (folder / "circle/003.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    manifest = split(folder)
    first = extract(manifest, given(runtime, tmp_path / "cache"))
    again = extract(manifest, given(runtime, tmp_path / "cache"))
    assert first.manifest == again.manifest
    assert len(again.manifest.left_out) == 1


def test_a_mostly_broken_folder_is_refused(folder: Path, runtime: Runtime) -> None:
    manifest = split(folder)
    for each in manifest.examples[::2] + manifest.examples[1::3]:
        (folder / each.path).unlink(missing_ok=True)
    with pytest.raises(DataError, match="files could not be read") as caught:
        extract(manifest, given(runtime))
    assert caught.value.code == "mostly-unreadable"


def test_progress_counts_the_contents_that_are_not_there_yet(
    folder: Path, runtime: Runtime, tmp_path: Path
) -> None:
    manifest, cache = split(folder), tmp_path / "cache"
    n_test = len(manifest.part("test"))
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    extract(manifest, given(runtime, cache), progress=tell)
    assert told == [(n, 3 * N_EACH) for n in range(1, 3 * N_EACH + 1)]
    told.clear()
    extract(manifest, given(runtime, cache), progress=tell)
    assert told == [
        (n, n_test) for n in range(1, n_test + 1)
    ]  # no network sees them; they are read


def test_many_rows_lie_on_disk_and_are_the_same(
    folder: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = split(folder)
    usual = extract(manifest, given(runtime))
    monkeypatch.setattr(features, "_IN_MEMORY_BYTES", 4 * WIDTH * len(usual.rows) - 1)
    mapped = extract(manifest, given(runtime))
    assert isinstance(mapped.rows, np.memmap)
    assert not isinstance(usual.rows, np.memmap)
    assert mapped.rows.tobytes() == usual.rows.tobytes()
