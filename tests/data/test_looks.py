"""Every content is looked at once, remembered by what it is, and missed only with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fieldmark.data import looks, scan
from fieldmark.data.manifest import Manifest
from fieldmark.errors import DataError
from fieldmark.modalities import looking
from fieldmark.modalities.looking import look
from tests.photos import write_photos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", 4)


def hashed(folder: Path) -> Manifest:
    return scan.hash_contents(scan.scan(folder), threads=1)


def test_every_content_has_the_look_of_its_bytes(folder: Path) -> None:
    manifest = hashed(folder)
    readable, found = looks.look_at(manifest, threads=2, directory=None)
    assert readable == manifest
    assert len(found.rows) == 8
    for example in manifest.examples:
        row = found.rows[found.row_of[example.sha256]]
        assert row.tobytes() == look((folder / example.path).read_bytes()).tobytes()


def test_rows_can_be_taken_in_any_order(folder: Path) -> None:
    manifest = hashed(folder)
    _, found = looks.look_at(manifest, threads=1, directory=None)
    backwards = [each.sha256 for each in reversed(manifest.examples)]
    taken = found.of(backwards)
    assert "thumb" not in (taken.dtype.names or ())
    for name in taken.dtype.names or ():
        np.testing.assert_array_equal(taken[name], found.rows[name][::-1])


def test_a_second_look_decodes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = hashed(folder)
    _, first = looks.look_at(manifest, threads=2, directory=tmp_path / "cache")

    def never(data: bytes) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(looking, "look", never)
    _, second = looks.look_at(manifest, threads=2, directory=tmp_path / "cache")
    assert second.rows.tobytes() == first.rows.tobytes()
    assert second.row_of == first.row_of


def test_a_folder_that_grew_costs_only_what_is_new(folder: Path, tmp_path: Path) -> None:
    looks.look_at(hashed(folder), threads=1, directory=tmp_path / "cache")
    write_photos(folder, 6)
    calls: list[tuple[int, int]] = []
    looks.look_at(
        hashed(folder),
        threads=1,
        directory=tmp_path / "cache",
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_equal_files_are_looked_at_once(folder: Path) -> None:
    (folder / "right" / "copy.jpg").write_bytes((folder / "left" / "p0000.jpg").read_bytes())
    _, found = looks.look_at(hashed(folder), threads=1, directory=None)
    assert len(found.rows) == 8


def test_what_cannot_be_read_is_left_out_with_its_reason(folder: Path) -> None:
    (folder / "left" / "cut.jpg").write_bytes((folder / "left" / "p0000.jpg").read_bytes()[:500])
    readable, found = looks.look_at(hashed(folder), threads=2, directory=None)
    assert {each.path: each.code for each in readable.left_out} == {"left/cut.jpg": "truncated"}
    assert len(found.row_of) == 8


def test_a_folder_that_is_mostly_unreadable_is_refused_unless_it_is_only_described(
    folder: Path,
) -> None:
    for path in sorted(folder.rglob("*.jpg"))[:-2]:
        path.write_bytes(b"no picture: " + path.name.encode())
    manifest = hashed(folder)
    with pytest.raises(DataError, match="6 of 8") as caught:
        looks.look_at(manifest, threads=1, directory=None)
    assert caught.value.code == "mostly-unreadable"
    readable, found = looks.look_at(manifest, threads=1, directory=None, refuse=False)
    assert (len(readable.left_out), len(found.row_of)) == (6, 2)


def test_many_rows_lie_in_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "_IN_MEMORY_BYTES", 0)
    manifest = hashed(folder)
    _, mapped = looks.look_at(manifest, threads=1, directory=None)
    assert isinstance(mapped.rows, np.memmap)
    monkeypatch.undo()
    _, held = looks.look_at(manifest, threads=1, directory=None)
    assert mapped.rows.tobytes() == held.rows.tobytes()


def test_looks_of_other_rules_are_not_taken_for_these(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = hashed(folder)
    looks.look_at(manifest, threads=1, directory=tmp_path)
    monkeypatch.setattr(looks, "_KEY", "0" * 32)
    calls: list[int] = []
    looks.look_at(
        manifest, threads=1, directory=tmp_path, progress=lambda done, _: calls.append(done)
    )
    assert len(calls) == 8
