"""Fails at the first call that writes, the second, the third, until the work succeeds.

Run by ``test_every_call.py`` under the library that strikes, with the name of one of the works
below and an empty folder. Every attempt is a process of its own, so that it may be killed. After
each, what the work promises is looked at; then the work is done again, without a fault.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from fieldmark import bundle, runs
from fieldmark.atomic import write_whole
from fieldmark.config import Settings
from fieldmark.data.feature_store import FeatureShelf
from fieldmark.data.manifest import Example, Manifest
from fieldmark.data.store import Shelf, Writer
from fieldmark.errors import StorageError
from fieldmark.training.checkpoint import Checkpoints, State
from fieldmark.workflow import continuing, counter

DONE, REFUSED, SAID = 0, 3, 4
"""What an attempt came to; SAID: it went on without, and said so. Negative: it was killed."""
FAULTS: Final = (("o", errno.ENOSPC), ("f", errno.ENOSPC), ("o", errno.EIO), ("o", errno.EROFS))
TORN_AND_KILLED: Final = (("t", errno.ENOSPC), ("k", 0), ("K", 0))
GOLDEN: Final = Path(__file__).parents[1] / "golden" / "bundle_v3.fieldmark"


class Work(NamedTuple):
    """What is done in a folder, and what holds there afterwards, whatever happened."""

    prepare: Callable[[Path], object]
    act: Callable[[Path], int]
    check: Callable[[Path, int], object]


def one_file() -> Work:
    def act(folder: Path) -> int:
        write_whole(folder / "a", b"new" * 5_000)
        return DONE

    def check(folder: Path, outcome: int) -> None:
        content = (folder / "a").read_bytes()
        assert content in (b"old", b"new" * 5_000), content[:9]
        assert content != b"old" or outcome != DONE
        rest = [path.name for path in folder.iterdir() if path.name != "a"]
        assert not rest or _may_leave(folder), "only a kill leaves anything behind"

    return Work(lambda folder: write_whole(folder / "a", b"old"), act, check)


def run_folder() -> Work:
    def act(folder: Path) -> int:
        runs.create(folder / "runs", "a", lambda made: made.write("sub/record", "it is a run"))
        return DONE

    def check(folder: Path, outcome: int) -> None:
        for run in runs.listed(folder / "runs"):
            assert (run.path / "sub" / "record").read_text() == "it is a run"
        if outcome == DONE:
            assert not list((folder / "runs").glob(".fieldmark-*")), "swept by whoever came next"

    return Work(lambda folder: act(folder), act, check)


def beginning() -> Work:
    manifest = Manifest(
        root=Path("pets"),
        classes=("cat", "dog"),
        examples=tuple(
            Example(path=f"{label}/1.png", label=label, sha256=label, split="train")
            for label in ("cat", "dog")
        ),
    )

    def act(folder: Path) -> int:
        settings = Settings().changed("run", {"out": str(folder / "runs")})
        asked = continuing.Asked(settings=settings, name="pets", threads=1, command="train")
        held = continuing.begin(asked, manifest, lambda event: None)
        held.lock.release()
        return DONE

    def check(folder: Path, outcome: int) -> None:
        found = runs.listed(folder / "runs")
        assert len(found) <= 1, "the second attempt goes on in the folder of the first"
        assert all(continuing._read(run) is not None for run in found)
        assert outcome != DONE or len(found) == 1

    return Work(lambda folder: None, act, check)


def checkpoints() -> Work:
    def state(step: int) -> State:
        return State(
            step=step, sums=(0.5, 3.0), n=4, epoch_s=1.0, spent_s=2.0, history=(), best_epoch=0,
            asked_epochs=2, epochs=2, lr=0.1, arrays={"model/0": np.full(999, step, np.float32)},
        )  # fmt: skip

    def prepare(folder: Path) -> None:
        for step in (1, 2):
            Checkpoints(folder, "scratch", every_s=0).write(state(step))

    def act(folder: Path) -> int:
        return SAID if Checkpoints(folder, "scratch", every_s=0).attempt(lambda: state(3)) else DONE

    def check(folder: Path, outcome: int) -> None:
        kept = Checkpoints(folder, "scratch")
        found = kept.newest()
        assert found is not None
        assert kept.damaged == []
        assert found.step == 3 or (found.step == 2 and outcome != DONE)
        assert (found.arrays["model/0"] == found.step).all()

    return Work(prepare, act, check)


def cache() -> Work:
    rows = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    hashes = ["aa", "bb", "cc"]

    def act(folder: Path) -> int:
        shelf = Shelf(folder / "cache", 10**9)
        with Writer(shelf.directory, 3, (4, 5, 3)) as writer:
            for row in (2, 0, 1):
                writer.put(row, rows[row])
            assert (shelf.publish(writer, "k", hashes, {}).pixels == rows).all()
        return DONE

    def check(folder: Path, outcome: int) -> None:
        found = Shelf(folder / "cache", 10**9).find("k", (4, 5, 3), hashes)
        assert (found is None and outcome != DONE) or (found and (found.pixels == rows).all())
        rest = [path for path in (folder / "cache").glob(".building-*")]
        assert not rest or _may_leave(folder), "only a kill leaves anything behind"

    return Work(lambda folder: None, act, check)


def features() -> Work:
    names, rows = ["x", "y"], np.arange(8, dtype=np.float32).reshape(2, 4)

    def act(folder: Path) -> int:
        shelf = FeatureShelf(folder / "cache", "k", 4, 10**9)
        shelf.add(names, rows)
        return SAID if shelf.problem else DONE

    def check(folder: Path, outcome: int) -> None:
        shelf = FeatureShelf(folder / "cache", "k", 4, 10**9)
        assert outcome != REFUSED, "a cache that cannot be written costs this run nothing"
        assert outcome != DONE or "x" in shelf
        if "x" in shelf:
            out = np.zeros((2, 4), np.float32)
            assert shelf.read(names, out).all()
            assert (out == rows).all()

    return Work(lambda folder: None, act, check)


def model_file() -> Work:
    made = bundle.read(GOLDEN, weights=True)

    def act(folder: Path) -> int:
        bundle.write(folder / "a.fieldmark", made, overwrite=True)
        return DONE

    def check(folder: Path, outcome: int) -> None:
        assert bundle.read(folder / "a.fieldmark").classes == made.classes

    def prepare(folder: Path) -> None:
        shutil.copy(GOLDEN, folder / "a.fieldmark")

    return Work(prepare, act, check)


def looks() -> Work:
    def act(folder: Path) -> int:
        return SAID if counter.look(folder, "fieldmark evaluate a-1", "sha256:ab").problem else DONE

    def check(folder: Path, outcome: int) -> None:
        assert outcome != REFUSED, "a look that cannot be noted is told all the same"
        lines = (folder / counter.NAME).read_text(encoding="ascii").splitlines()
        whole = [line for line in lines if line.endswith("}")]
        assert len(lines) - len(whole) <= 1, "at most one line without its end"
        assert all(json.loads(line) for line in whole)
        assert len(whole) >= (2 if outcome == DONE else 1)

    def prepare(folder: Path) -> None:
        (folder / counter.NAME).write_text(counter.line("fieldmark train", "sha256:ab"))

    return Work(prepare, act, check)


WORKS: Final[dict[str, Callable[[], Work]]] = {
    each.__name__: each
    for each in (
        one_file, run_folder, beginning, checkpoints, cache, features, model_file, looks,
    )
}  # fmt: skip


def _may_leave(folder: Path) -> bool:
    """Whether the first attempt was killed, or kept from removing what it had begun."""
    mode, _, at = folder.name.split("-")
    calls = folder.with_suffix(".calls").read_text().splitlines()
    return mode in "kK" or calls[int(at) - 1].startswith("remove")


def attempt(act: Callable[[Path], int], folder: Path, plan: tuple[int, str, int]) -> int:
    """Do it in a process of its own; return what it came to."""
    child = os.fork()
    if child == 0:
        outcome = 1
        try:
            at, mode, number = plan
            journal = str(folder.with_suffix(".calls"))
            strike = ctypes.CDLL(os.environ["LD_PRELOAD"]).faults_plan
            given = (journal.encode(), str(folder).encode())
            strike(ctypes.c_long(at), ctypes.c_char(mode.encode()), number, *given)
            outcome = act(folder)
        except StorageError as error:
            outcome = REFUSED if error.hint and error.code else 1
        finally:
            os._exit(outcome)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def tried(work: Work, room: Path, mode: str, number: int) -> int:
    """Strike every call in turn; return how many there were."""
    for at in range(1, 1_000):
        folder = room / f"{mode}-{number}-{at}"
        folder.mkdir(parents=True)
        work.prepare(folder)
        outcome = attempt(work.act, folder, (at, mode, number))
        assert outcome in (DONE, REFUSED, SAID, -9), (mode, at, outcome)
        assert outcome != -9 or mode in "kK"
        work.check(folder, outcome)
        n_calls = len(folder.with_suffix(".calls").read_text().splitlines())
        assert attempt(work.act, folder, (0, "-", 0)) == DONE, (mode, at)
        work.check(folder, DONE)
        if n_calls < at:
            return at - 1
        shutil.rmtree(folder)
        folder.with_suffix(".calls").unlink()
    raise AssertionError("it never succeeds")


def main(name: str, room: Path) -> None:
    counts = {
        f"{mode} {errno.errorcode.get(number, '')}": tried(WORKS[name](), room, mode, number)
        for mode, number in (*FAULTS, *TORN_AND_KILLED)
    }
    assert min(counts.values()) > 0, counts
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
