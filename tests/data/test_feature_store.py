"""Rows of features on disk: whole or not at all, found by name, within a limit."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fieldmark.atomic import refusal
from fieldmark.data import feature_store
from fieldmark.data.feature_store import FeatureShelf

KEY = "ab" * 16
AA, BB, CC, DD, EE = (letter * 32 for letter in "abcde")
WIDTH = 5
ROOMY = 10**9


def shelf(
    directory: Path | None, key: str = KEY, limit: int = ROOMY, width: int = WIDTH
) -> FeatureShelf:
    return FeatureShelf(directory, key, width, limit)


def rows_for(names: list[str], width: int = WIDTH) -> np.ndarray:
    """Rows that can be told from their names."""
    return np.array([[hash_of(name) + at for at in range(width)] for name in names], np.float32)


def hash_of(name: str) -> int:
    return sum(name.encode()) % 997


def read(kept: FeatureShelf, names: list[str]) -> np.ndarray:
    out = np.full((len(names), WIDTH), np.nan, np.float32)
    assert kept.read(names, out).all()
    return out


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


def test_rows_are_found_by_name_whoever_wrote_them(tmp_path: Path) -> None:
    first, second = ["b", "a"], ["c/light-0-1"]
    shelf(tmp_path).add(first, rows_for(first))
    shelf(tmp_path).add(second, rows_for(second))
    kept = shelf(tmp_path)
    assert all(name in kept for name in (*first, *second))
    assert "d" not in kept
    assert 3 not in kept
    wanted = ["a", "c/light-0-1", "a", "b"]
    np.testing.assert_array_equal(read(kept, wanted), rows_for(wanted))


def test_bits_are_kept(tmp_path: Path) -> None:
    rows = np.array([[np.pi, -0.0, 1e-45, np.inf, 3.4e38]], np.float32)
    shelf(tmp_path).add(["x"], rows)
    assert read(shelf(tmp_path), ["x"]).tobytes() == rows.tobytes()


def test_a_segment_is_two_files(tmp_path: Path) -> None:
    shelf(tmp_path).add(["x", "y"], rows_for(["x", "y"]))
    (folder,) = (tmp_path / "features").iterdir()
    assert folder.name == KEY
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".npy"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_nothing_is_written_for_no_rows_or_without_a_folder(tmp_path: Path) -> None:
    shelf(tmp_path).add([], np.empty((0, WIDTH), np.float32))
    nowhere = shelf(None)
    nowhere.add(["x"], rows_for(["x"]))
    assert "x" not in nowhere
    assert files(tmp_path) == []


def test_the_same_segment_twice_is_one(tmp_path: Path) -> None:
    for _ in range(2):
        shelf(tmp_path).add(["x"], rows_for(["x"]))
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("killed_at", [".npy", ".json"])
def test_a_kill_between_the_files_leaves_nothing_that_is_taken_for_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    whole = feature_store.write_whole

    def killed(path: Path, content: bytes | str) -> None:
        if path.suffix == killed_at:
            raise KeyboardInterrupt("killed")
        whole(path, content)

    monkeypatch.setattr(feature_store, "write_whole", killed)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        shelf(tmp_path).add(["x"], rows_for(["x"]))
    assert "x" not in shelf(tmp_path)
    monkeypatch.undo()
    shelf(tmp_path).add(["x"], rows_for(["x"]))
    np.testing.assert_array_equal(read(shelf(tmp_path), ["x"]), rows_for(["x"]))


def test_a_full_disk_costs_this_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes | str) -> None:
        raise refusal(OSError(errno.ENOSPC, "No space left on device"), path)

    monkeypatch.setattr(feature_store, "write_whole", full)
    full_shelf = shelf(tmp_path)
    full_shelf.add(["x"], rows_for(["x"]))
    assert full_shelf.problem == (
        "The features of the pictures could not be kept: No space left on device. The next run "
        "computes them again."
    )
    assert "x" not in shelf(tmp_path)


def test_a_cache_folder_that_is_a_file_costs_this_run_nothing(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("not a folder")
    shelf(tmp_path).add(["x"], rows_for(["x"]))
    assert "x" not in shelf(tmp_path)


DAMAGE = {
    "shorter": lambda npy, facts: npy.write_bytes(npy.read_bytes()[:-4]),
    "only a header": lambda npy, facts: npy.write_bytes(npy.read_bytes()[:40]),
    "empty": lambda npy, facts: npy.write_bytes(b""),
    "no rows file": lambda npy, facts: npy.unlink(),
    "other numbers": lambda npy, facts: np.save(npy, np.zeros((2, WIDTH))),
    "other width": lambda npy, facts: np.save(npy, np.zeros((2, WIDTH + 1), np.float32)),
    "a list": lambda npy, facts: np.save(npy, np.zeros(2, np.float32)),
    "objects": lambda npy, facts: np.save(npy, np.array([{}, {}]), allow_pickle=True),
    "an archive": lambda npy, facts: npy.write_bytes(_archive(npy)),
    "a picture": lambda npy, facts: npy.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 99),
    "a name less": lambda npy, facts: facts.write_text('["x"]'),
    "half of the names": lambda npy, facts: facts.write_text('["x", '),
    "no names": lambda npy, facts: facts.write_text("7"),
    "names that are no text": lambda npy, facts: facts.write_bytes(b"\xff\xfe\x00"),
}


def _archive(npy: Path) -> bytes:
    other = npy.with_name("other.npz")
    np.savez(other, rows=np.zeros((2, WIDTH), np.float32))
    data = other.read_bytes()
    other.unlink()
    return data


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_segment_in_any_doubt_is_not_used(tmp_path: Path, damage: object) -> None:
    shelf(tmp_path).add(["x", "y"], rows_for(["x", "y"]))
    shelf(tmp_path).add(["z"], rows_for(["z"]))
    (facts,) = [p for p in tmp_path.rglob("*.json") if json.loads(p.read_text()) == ["x", "y"]]
    damage(facts.with_suffix(".npy"), facts)  # type: ignore[operator]
    kept = shelf(tmp_path)
    assert "x" not in kept
    assert "y" not in kept
    np.testing.assert_array_equal(read(kept, ["z"]), rows_for(["z"]))


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    shelf(tmp_path).add(["x"], rows_for(["x"]))
    folder = tmp_path / "features" / KEY
    for name in ("notes.txt", "mine.npy"):
        (folder / name).write_text("mine")
        os.utime(folder / name, (0, 0))
    (tmp_path / "features" / "readme").write_text("mine too")
    kept = shelf(tmp_path)
    kept.add(["y"], rows_for(["y"]))
    assert "x" in kept
    assert {"notes.txt", "mine.npy"} <= set(files(tmp_path))
    assert "readme" in files(tmp_path)


def test_another_width_or_key_finds_nothing(tmp_path: Path) -> None:
    shelf(tmp_path).add(["x"], rows_for(["x"]))
    assert "x" not in shelf(tmp_path, width=WIDTH + 1)
    assert "x" not in shelf(tmp_path, key="cd" * 16)


# --- the limit


def aged(directory: Path, key: str, seconds: int) -> None:
    folder = directory / "features" / key
    then = folder.stat().st_mtime - seconds
    os.utime(folder, (then, then))


def kept_keys(directory: Path) -> set[str]:
    return {path.name for path in (directory / "features").iterdir()}


def filled(directory: Path, *keys: str) -> int:
    """Write one shelf per key, the first used longest ago; return the bytes of one."""
    for age, key in enumerate(reversed(keys)):
        shelf(directory, key).add(["x"], rows_for(["x"]))
        aged(directory, key, 100 * (age + 1))
    return sum(path.stat().st_size for path in (directory / "features" / keys[0]).iterdir())


def test_the_shelves_used_longest_ago_go_first_and_whole(tmp_path: Path) -> None:
    size = filled(tmp_path, AA, BB, CC)
    shelf(tmp_path, DD, limit=3 * size).add(["x"], rows_for(["x"]))
    assert kept_keys(tmp_path) == {BB, CC, DD}
    shelf(tmp_path, EE, limit=2 * size).add(["x"], rows_for(["x"]))
    assert kept_keys(tmp_path) == {DD, EE}


def test_folders_of_others_count_for_nothing_and_stay(tmp_path: Path) -> None:
    size = filled(tmp_path, AA)
    theirs = tmp_path / "features" / "holiday"
    theirs.mkdir()
    (theirs / "x.npy").write_bytes(bytes(9 * size))
    os.utime(theirs, (0, 0))
    shelf(tmp_path, BB, limit=2 * size).add(["x"], rows_for(["x"]))
    assert kept_keys(tmp_path) == {AA, BB, "holiday"}
    shelf(tmp_path, CC, limit=1).add(["x"], rows_for(["x"]))
    assert kept_keys(tmp_path) == {CC, "holiday"}
    assert (theirs / "x.npy").exists()


def test_opening_a_shelf_counts_as_using_it(tmp_path: Path) -> None:
    size = filled(tmp_path, AA, BB)
    assert "x" in shelf(tmp_path, AA)
    shelf(tmp_path, CC, limit=2 * size).add(["x"], rows_for(["x"]))
    assert kept_keys(tmp_path) == {AA, CC}


def test_a_shelf_larger_than_the_limit_keeps_itself(tmp_path: Path) -> None:
    filled(tmp_path, AA, BB)
    kept = shelf(tmp_path, CC, limit=1)
    kept.add(["x"], rows_for(["x"]))
    kept.add(["y"], rows_for(["y"]))
    assert kept_keys(tmp_path) == {CC}
    assert all(name in shelf(tmp_path, CC) for name in ("x", "y"))


# --- two at once


def test_two_that_are_open_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, other = shelf(tmp_path), shelf(tmp_path)
    one.add(["x", "y"], rows_for(["x", "y"]))
    other.add(["y", "z"], rows_for(["y", "z"]))
    names = ["x", "y", "z"]
    np.testing.assert_array_equal(read(shelf(tmp_path), names), rows_for(names))


def test_rows_that_another_process_took_away_are_said_to_be_gone(tmp_path: Path) -> None:
    mine = shelf(tmp_path)
    mine.add(["x"], rows_for(["x"]))
    mine.add(["y"], rows_for(["y"]))
    mine = shelf(tmp_path)
    (facts,) = [p for p in tmp_path.rglob("*.json") if json.loads(p.read_text()) == ["x"]]
    facts.with_suffix(".npy").unlink()
    out = np.zeros((2, WIDTH), np.float32)
    assert mine.read(["x", "y"], out).tolist() == [False, True]
    np.testing.assert_array_equal(out[1:], rows_for(["y"]))
    assert "x" not in mine
    assert "y" in mine


def test_processes_that_write_the_same_rows_end_with_the_same_bytes(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import numpy as np
from fieldmark.data.feature_store import FeatureShelf
for turn in range(20):
    names = [f"{{turn}}-{{at}}" for at in range(3)]
    rows = np.full((3, {WIDTH}), turn, np.float32)
    FeatureShelf(Path(sys.argv[1]), "{KEY}", {WIDTH}, 10**9).add(names, rows)
"""
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [each.wait() for each in running] == [0, 0]
    kept = shelf(tmp_path)
    for turn in range(20):
        names = [f"{turn}-{at}" for at in range(3)]
        assert (read(kept, names) == turn).all()
    assert len(files(tmp_path)) == 40


def test_what_killed_processes_left_goes_after_a_day(tmp_path: Path) -> None:
    shelf(tmp_path).add(["a"], rows_for(["a"]))
    (folder,) = (tmp_path / "features").iterdir()
    kept = {path.name for path in folder.iterdir()}
    left = {".fieldmark-0123456789abcdef.part", f"{'0' * 24}.npy"}
    for name in left:
        (folder / name).write_bytes(b"half")
    shelf(tmp_path).add(["b"], rows_for(["b"]))
    assert left <= {path.name for path in folder.iterdir()}, "somebody may be writing them"
    for name in left:
        os.utime(folder / name, (0, 0))
    shelf(tmp_path).add(["c"], rows_for(["c"]))
    found = {path.name for path in folder.iterdir()}
    assert not left & found
    assert kept < found
    assert all(name in shelf(tmp_path) for name in "abc")


def test_a_segment_is_due_when_it_is_full_or_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(feature_store.time, "monotonic", lambda: clock[0])
    kept = shelf(tmp_path)
    assert not kept.due(feature_store.SEGMENT_ROWS - 1)
    assert kept.due(feature_store.SEGMENT_ROWS)
    clock[0] += feature_store.SEGMENT_S
    assert kept.due(1)
    assert not kept.due(0)
    kept.add(["a"], rows_for(["a"]))
    assert not kept.due(1)
