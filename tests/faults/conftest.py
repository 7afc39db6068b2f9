"""The library that strikes, and disks of a few megabytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``shim.c``, compiled; without a compiler, or off Linux, nothing can be made to fail."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(ROOT)
        from benchmarks import faults
    try:
        return faults.compiled(tmp_path_factory.mktemp("shim"))
    except faults.Unable as why:
        pytest.skip(str(why))


def mounted(place: Path, *words: str) -> None:
    """Mount something, or skip."""
    if sys.platform != "linux":
        pytest.skip("disks are made on Linux only")
    place.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", *words, str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def unmounted(place: Path) -> None:
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 96 MB."""
    place = tmp_path / "disk"
    mounted(place, "-t", "tmpfs", "-o", "size=96m", "tmpfs")
    yield place
    unmounted(place)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that even root cannot write into."""
    place = tmp_path / "read_only"
    (tmp_path / "below").mkdir()
    mounted(place, "--bind", "-o", "ro", str(tmp_path / "below"))
    yield place
    unmounted(place)
