"""A cut of power at any moment: what was not synced may be gone, torn or there, in any mixture.

In the way of SQLite's test6: operations are recorded, and for every prefix of them the disk is made
as the cut could have left it. The contents of a file are sure from its fsync on, names from the
fsync of their folder on; before that each name may or may not have reached the disk, whatever came
before or after it.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fieldmark.atomic import write_whole
from fieldmark.training.checkpoint import Checkpoints, State


@dataclasses.dataclass
class Disk:
    """What was asked of the disk, in order; files are numbers."""

    done: list[tuple[str, Any, Any]] = dataclasses.field(default_factory=list)
    files: dict[str, int] = dataclasses.field(default_factory=dict)
    """Name -> its file, as a running system sees it."""

    def cuts(self, folder: Path) -> Iterator[tuple[int, dict[str, bytes]]]:
        """Yield a number of operations and what may be found after a cut of power behind them."""
        for n in range(len(self.done) + 1):
            sure: dict[str, int] = {}
            waiting: list[tuple[str, Any, Any]] = []
            synced: dict[int, bytes] = {}
            written: dict[int, bytes] = {}
            for what, one, other in self.done[:n]:
                if what == "write":
                    written[one] = written.get(one, b"") + other
                elif what == "sync":
                    synced[one] = written.get(one, b"")
                elif what == "sync folder":
                    sure, waiting = named(sure, waiting), []
                else:
                    waiting.append((what, one, other))
            for chosen in subsets(waiting):
                for share in (0.0, 0.5, 1.0):
                    yield (
                        n,
                        {
                            name: content(file, synced, written, share)
                            for name, file in named(sure, chosen).items()
                        },
                    )


def subsets(waiting: list[Any]) -> Iterator[list[Any]]:
    for size in range(len(waiting) + 1):
        yield from (list(each) for each in itertools.combinations(waiting, size))


def named(names: dict[str, int], changes: list[tuple[str, Any, Any]]) -> dict[str, int]:
    names = dict(names)
    for what, one, other in changes:
        if what == "name":
            names[one] = other
        elif what == "rename":
            source, file = one
            names.pop(source, None)
            names[other] = file
        else:
            names.pop(one, None)
    return names


def content(file: int, synced: dict[int, bytes], written: dict[int, bytes], share: float) -> bytes:
    if file in synced:
        return synced[file]
    data = written.get(file, b"")
    return data[: int(len(data) * share)]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Record what :mod:`fieldmark.atomic` and the checkpoints do."""
    made, numbers = Disk(), itertools.count()
    opened: dict[int, int | None] = {}
    real_open, real_fsync, real_os_open = Path.open, os.fsync, os.open
    real_replace, real_unlink = Path.replace, Path.unlink

    class Recorded:
        def __init__(self, path: Path) -> None:
            self.file, self.inner = next(numbers), real_open(path, "xb")
            opened[self.inner.fileno()] = made.files[path.name] = self.file
            made.done.append(("name", path.name, self.file))

        def __enter__(self) -> Recorded:
            return self

        def __exit__(self, *given: object) -> None:
            self.inner.close()

        def write(self, data: bytes) -> None:
            made.done.append(("write", self.file, bytes(data)))
            self.inner.write(data)

        def flush(self) -> None:
            self.inner.flush()

        def fileno(self) -> int:
            return self.inner.fileno()

    def open_(path: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
        return Recorded(path) if mode == "xb" else real_open(path, mode, *given, **named)

    def os_open(path: Any, *given: Any, **named: Any) -> int:
        number = real_os_open(path, *given, **named)
        opened[number] = None
        return number

    def fsync(number: int) -> None:
        file = opened[number]
        made.done.append(("sync folder", "", "") if file is None else ("sync", file, ""))
        real_fsync(number)

    def replace(path: Path, target: Path) -> Path:
        file = made.files[target.name] = made.files.pop(path.name)
        made.done.append(("rename", (path.name, file), target.name))
        return real_replace(path, target)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        made.done.append(("remove", path.name, ""))
        real_unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "open", open_)
    monkeypatch.setattr(os, "open", os_open)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(Path, "unlink", unlink)
    return made


def laid_out(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def test_a_file_is_the_old_or_the_new_one_and_stays_the_new_one_once_it_was_written(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for text in (b"one", b"two" * 9):
        write_whole(tmp_path / "a", text)
        ends.append(len(disk.done))
    monkeypatch.undo()
    cuts = list(disk.cuts(tmp_path))
    assert len(cuts) > 30
    for n, files in cuts:
        allowed = [b"one", b"two" * 9] + ([None] if n < ends[0] else [])
        assert files.get("a") in (allowed[1:2] if n >= ends[1] else allowed), (n, files)


def test_a_cut_of_power_costs_no_checkpoint_that_was_written(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(step: int) -> State:
        return State(
            step=step, sums=(0.5, 3.0), n=4, epoch_s=1.0, spent_s=2.0, history=(), best_epoch=0,
            asked_epochs=2, epochs=2, lr=0.1, arrays={"model/0": np.full(9, step, np.float32)},
        )  # fmt: skip

    folder = tmp_path / "kept"
    kept = Checkpoints(folder, "scratch", every_s=0)
    ends = [0]
    for step in range(1, 5):
        kept.write(state(step))
        # What is removed is so at no moment that anybody waits for.
        ends.append(max(at for at, (what, _, _) in enumerate(disk.done) if what == "sync folder"))
    monkeypatch.undo()
    cuts = list(disk.cuts(folder))
    assert len(cuts) > 100
    for n, files in cuts:
        laid_out(folder, files)
        found = Checkpoints(folder, "scratch").newest()
        surely = sum(end < n for end in ends[1:])
        assert (found.step if found else 0) >= surely, (n, sorted(files))
        assert found is None or (found.arrays["model/0"] == found.step).all()


def test_the_replay_finds_what_a_forgotten_sync_would_cost(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would prove nothing."""
    write_whole(tmp_path / "a", b"one")
    monkeypatch.undo()
    disk.done = [each for each in disk.done if each[0] != "sync"]
    found = {files.get("a") for _, files in disk.cuts(tmp_path)}
    assert b"" in found, "a name without its content"
