"""One tiny finished run, a model file that never changes, and the command line in this process."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fieldmark import cli
from tests.pictures import write_shapes

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle_v1.fieldmark"
LAYERS = "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> GAP -> FC"


@dataclass(frozen=True)
class Done:
    """What one command line left behind."""

    status: int
    out: str
    err: str


Command = Callable[..., Done]


def environment(**changed: str) -> dict[str, str]:
    """Return this process's variables without those that change what is printed."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "TERM")}
    return kept | {"PYTHONIOENCODING": "utf-8"} | changed


def spawned(*words: str | Path, cwd: Path, **variables: str) -> Done:
    """Run one command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "fieldmark", *map(str, words)],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        timeout=240,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def fieldmark(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run one command line in this process."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def run(*words: str | Path) -> Done:
        capfd.readouterr()
        status = cli.run([str(word) for word in words])
        captured = capfd.readouterr()
        return Done(status, captured.out, captured.err)

    return run


@dataclass(frozen=True)
class World:
    """A working folder with pictures and one finished run; nobody changes it."""

    folder: Path
    trained: Done
    """What training printed."""

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "shapes-1"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Train once, through the real command line, on 60 drawn pictures."""
    folder = tmp_path_factory.mktemp("world")
    write_shapes(folder / "shapes", 20)
    (folder / "shapes" / "circle" / "cut.png").write_bytes(
        (folder / "shapes" / "circle" / "000.png").read_bytes()[:90]
    )
    trained = spawned(
        *("train", "shapes", "--net", LAYERS, "--epochs", "2", "--lr", "0.01"),
        cwd=folder,
        FIELDMARK_CACHE=str(folder / "cache"),
    )
    assert trained.status == 0, trained.err
    return World(folder, trained)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with its own cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    return tmp_path


@pytest.fixture
def inside(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, as the current folder."""
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("FIELDMARK_CACHE", str(world.folder / "cache"))
    return world


@pytest.fixture
def model(here: Path) -> Path:
    """The golden model file in an empty current folder: its answers never change."""
    return Path(shutil.copy(GOLDEN, here / "waders.fieldmark"))


@pytest.fixture
def pictures(model: Path) -> list[Path]:
    """Three pictures of 8x8 pixels, the model's own golden inputs, beside it in ``new``."""
    with zipfile.ZipFile(model) as parts:
        arrays = np.load(io.BytesIO(parts.read("golden/inputs.npy")), allow_pickle=False)
    folder = model.parent / "new"
    folder.mkdir()
    found = []
    for letter, pixels in zip("abc", arrays, strict=True):
        path = folder / f"{letter}.ppm"
        path.write_bytes(b"P6 8 8 255 " + pixels.tobytes())
        found.append(path.relative_to(model.parent))
    return found
