"""Disks that are really full or really read-only: what is said, when, and that nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fieldmark import cli
from fieldmark.config import Settings
from fieldmark.errors import StorageError
from fieldmark.training.events import Event, HeadSolved, Noted, Progress, RunStarted
from fieldmark.workflow.run import Run
from fieldmark.workflow.training import train
from tests.pictures import write_shapes

NOON = "1700000000"
LAYERS = "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> GAP -> FC"
Heard = list[Event]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "shapes"
    return write_shapes(folder, 10, shapes=("circle", "square"))


@pytest.fixture(scope="module")
def twin(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbs."""
    room = tmp_path_factory.mktemp("twin")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SOURCE_DATE_EPOCH", NOON)
        patched.setenv("FIELDMARK_CACHE", str(room / "cache"))
        return trained(data, room / "runs").bundle


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", NOON)
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def trained(
    data: Path,
    out: Path,
    listen: Callable[[Event], object] = lambda event: None,
    net: str = "features",
    **run: object,
) -> Run:
    settings = Settings().changed("run", {"out": str(out), **run}).changed("net", {"size": 64})
    return train(data, net, settings=settings, listen=lambda event: listen(event) and None)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill a disk, and make room again."""
    ballast = disk / "ballast"
    fill(ballast)
    yield
    ballast.unlink()


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def filling(disk: Path, when: Callable[[Event], bool], heard: Heard) -> Callable[[Event], None]:
    """Fill a disk the moment that something is told."""

    def listen(event: Event) -> None:
        heard.append(event)
        if when(event) and not (disk / "ballast").exists():
            fill(disk / "ballast")

    return listen


def notes(heard: Heard) -> list[str]:
    return [event.code for event in heard if isinstance(event, Noted)]


# --- full


def test_a_full_output_is_said_before_anything_is_read(
    data: Path, small_disk: Path, cache: Path
) -> None:
    heard: Heard = []
    with full(small_disk), pytest.raises(StorageError, match="No space left") as caught:
        trained(data, small_disk / "runs", heard.append)
    assert caught.value.code == "disk-full"
    assert "0 bytes are free there, 1.0 MB are needed" in caught.value.why
    assert "make room" in caught.value.hint
    assert heard == []
    assert not cache.exists()
    assert list(small_disk.iterdir()) == []


def test_an_output_too_small_for_the_network_is_said_before_it_is_trained(
    data: Path, small_disk: Path
) -> None:
    (small_disk / "other").write_bytes(bytes(60 << 20))
    heard: Heard = []
    with pytest.raises(StorageError, match=r"MB are free there, 69\.\d MB are needed") as caught:
        trained(data, small_disk / "runs", heard.append)
    assert caught.value.code == "disk-full"
    assert not any(isinstance(event, RunStarted) for event in heard)


@pytest.mark.parametrize("moment", [RunStarted, HeadSolved])
def test_a_disk_that_fills_up_loses_nothing_and_the_same_again_ends_with_the_same_bytes(
    moment: type[Event], data: Path, twin: Path, small_disk: Path
) -> None:
    heard: Heard = []
    out = small_disk / "runs"
    with pytest.raises(StorageError, match="No space left") as caught:
        trained(data, out, filling(small_disk, lambda event: isinstance(event, moment), heard))
    assert caught.value.code == "disk-full"
    assert not (out / "shapes-1" / "shapes-1.fieldmark").exists(), "a run is finished or it is not"
    assert list(out.rglob("*.part")) == []
    (small_disk / "ballast").unlink()
    heard = []
    run = trained(data, out, heard.append)
    assert "continued" in notes(heard)
    assert run.bundle.name == "shapes-1.fieldmark"
    assert run.bundle.read_bytes() == twin.read_bytes()


def test_a_full_cache_is_said_before_anything_is_read(
    data: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(small_disk / "cache"))
    with full(small_disk), pytest.raises(StorageError, match="FIELDMARK_CACHE") as caught:
        trained(data, tmp_path / "runs")
    assert caught.value.code == "disk-full"
    assert not (tmp_path / "runs").exists()


def test_a_cache_that_fills_up_costs_a_solved_head_nothing_and_is_said(
    data: Path, twin: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(small_disk / "cache"))
    heard: Heard = []
    run = trained(
        data,
        tmp_path / "runs",
        filling(small_disk, lambda event: isinstance(event, Progress), heard),
    )
    assert notes(heard).count("cache-not-kept") == 2, "looks, and features"
    assert run.bundle.read_bytes() == twin.read_bytes()


def test_a_cache_without_room_for_the_decoded_pictures_stops_a_training_by_gradients(
    data: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(small_disk / "cache"))

    def hashing(event: Event) -> bool:
        return isinstance(event, Progress) and event.stage == "hash"

    with pytest.raises(StorageError, match="FIELDMARK_CACHE") as caught:
        trained(data, tmp_path / "runs", filling(small_disk, hashing, []), LAYERS)
    assert caught.value.code == "disk-full"
    assert list(small_disk.rglob(".building-*")) == []


# --- read-only


def test_a_read_only_output_is_said_before_anything_is_read(
    data: Path, read_only: Path, cache: Path
) -> None:
    with pytest.raises(StorageError, match="Read-only file system") as caught:
        trained(data, read_only / "runs")
    assert caught.value.code == "not-writable"
    assert "-o FOLDER" in caught.value.hint
    assert not cache.exists()


def test_a_read_only_cache_is_said_before_anything_is_read_and_can_be_done_without(
    data: Path,
    twin: Path,
    read_only: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(read_only / "cache"))
    with pytest.raises(StorageError, match="Read-only file system") as caught:
        trained(data, tmp_path / "runs")
    assert caught.value.code == "not-writable"
    assert "--no-cache" in caught.value.hint
    run = trained(data, tmp_path / "runs", cache=False)
    assert run.report.accuracy == Run(twin.parent).report.accuracy


# --- the other verbs


WORDS = {
    "evaluate": lambda place, data, model: ["evaluate", model, data, "--csv", place / "a.csv"],
    "check": lambda place, data, model: ["check", data, "--html", place / "a.html"],
    "split": lambda place, data, model: ["split", data, "-o", place / "a.split.csv"],
    "show": lambda place, data, model: ["show", data, "-o", place / "a.html"],
}


@pytest.mark.parametrize("verb", WORDS)
def test_a_verb_that_may_not_write_where_it_was_told_to_says_so(
    verb: str, data: Path, twin: Path, read_only: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.run([str(word) for word in WORDS[verb](read_only, data, twin)])
    said = capsys.readouterr()
    assert status == 3
    assert "Read-only file system. [not-writable]" in said.err
    assert "accuracy" not in said.out, "before any work"


@pytest.mark.parametrize("verb", WORDS)
def test_a_verb_whose_disk_is_full_leaves_no_half_file(
    verb: str, data: Path, twin: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(word) for word in WORDS[verb](small_disk, data, twin)]
    with full(small_disk):
        status = cli.run(words)
        said = capsys.readouterr().err
        assert [path.name for path in small_disk.iterdir()] == ["ballast"]
    assert status == 3
    assert "No space left on device. [disk-full]" in said
    assert "make room, then the same command again" in said
    assert cli.run(words) == 0


def test_answers_that_do_not_fit_on_the_disk_are_an_error(data: Path, twin: Path) -> None:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("there is no /dev/full")
    with device.open("w") as nowhere:
        done = subprocess.run(
            [sys.executable, "-m", "fieldmark", "predict", str(twin), str(data / "circle")],
            stdout=nowhere,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr.startswith("fieldmark: No space left on device: stdout. [disk-full]")
