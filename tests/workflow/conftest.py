"""One folder of drawn shapes and one finished run, shared by the room; nobody changes them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fieldmark as fm
from fieldmark.data.batches import Batches
from fieldmark.networks.volumes import Plan
from fieldmark.training import loop
from fieldmark.training.events import Event, Progress
from fieldmark.training.fitted import Start
from fieldmark.training.recipe import Recipe
from tests.pictures import SHAPES, png, write_shapes

LAYERS = "INPUT 16x16x3 -> CONV 8 3x3 same -> BN -> RELU -> POOL 2x2 -> DROPOUT 0.1 -> GAP -> FC"
N_EACH = 30
LEFT_OUT = {
    "circle/empty.png": "empty-file",
    "notes.txt": "not-a-picture",
    "square/cut.png": "truncated",
}
"""What is in the folder beside the shapes, and why it cannot be used."""


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep decoded pictures away from the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FIELDMARK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def hashes(folder: Path) -> dict[str, str]:
    """Every file under a folder, with the hash of its content and the time it was changed."""
    return {
        path.relative_to(folder).as_posix(): (
            f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three class folders of 30 pictures, and the files of LEFT_OUT."""
    folder = write_shapes(tmp_path_factory.mktemp("data") / "shapes", N_EACH)
    (folder / "circle" / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("shapes, drawn by a test", encoding="utf-8")
    (folder / "square" / "cut.png").write_bytes(png("square", 0)[:80])
    return folder


@dataclass(frozen=True)
class Given:
    """What the loop was given."""

    plan: Plan
    train: Batches
    valid: Batches
    recipe: Recipe


@dataclass(frozen=True)
class Finished:
    """A run, and how it came about."""

    run: fm.Run
    data: Path
    before: dict[str, str]
    """The data folder's hashes before it."""
    events: tuple[Event, ...]
    given: Given

    @property
    def runs(self) -> Path:
        return self.run.folder.parent

    def rows(self, name: str) -> list[dict[str, str]]:
        return rows_of(self.run.folder / name)


def settings(out: Path, **train: Any) -> fm.Settings:
    """Few epochs, fast, under ``out``."""
    quick = {"epochs": 3, "lr": 0.01} | train
    return fm.Settings().changed("train", quick).changed("run", {"out": str(out)})


@pytest.fixture(scope="session")
def finished(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Train once with everything on: range test, augmentation, DROPOUT, averaged weights."""
    before = hashes(shapes)
    heard: list[Event] = []
    given: list[Given] = []
    fit = loop.fit

    def spy(start: Start, train: Batches, valid: Batches, recipe: Recipe, **rest: Any) -> Any:
        given.append(Given(start.plan, train, valid, recipe))
        return fit(start, train, valid, recipe, **rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "fit", spy)
        run = fm.train(
            shapes,
            LAYERS,
            epochs=15,
            settings=settings(tmp_path_factory.mktemp("work") / "runs", lr="auto", seed=3),
            listen=heard.append,
            command="fieldmark train shapes",
        )
    events = tuple(event for event in heard if not isinstance(event, Progress))
    return Finished(run, shapes, before, events, given[0])


class EnoughSeen(Exception):
    """Ends a training before its first step."""


@pytest.fixture
def what_the_loop_gets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[Given, list[Event]]]:
    """Run a training up to its first step and return what the loop would have been given."""

    def look(
        data: Path | fm.Dataset, net: str = LAYERS, asked: fm.Settings | None = None
    ) -> tuple[Given, list[Event]]:
        seen: list[Given] = []
        heard: list[Event] = []

        def spy(start: Start, train: Batches, valid: Batches, recipe: Recipe, **rest: Any) -> Any:
            seen.append(Given(start.plan, train, valid, recipe))
            raise EnoughSeen("before the first step")

        monkeypatch.setattr(loop, "fit", spy)
        chosen = asked or settings(tmp_path / "runs")
        with pytest.raises(EnoughSeen, match="before the first step"):
            fm.train(data, net, settings=chosen, listen=heard.append)
        return seen[0], [event for event in heard if not isinstance(event, Progress)]

    return look


@pytest.fixture
def labels_of() -> Callable[[Batches], list[str]]:
    """Return the class names of what some batches hold, in their order."""
    return lambda batches: [SHAPES[label] for label in batches.labels]
