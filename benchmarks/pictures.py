"""The pictures that all sides share: a sample if asked for, and the parts that fieldmark draws."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import SideFailed, measured, script
from benchmarks.options import Options


@dataclass(frozen=True)
class Pictures:
    """A folder with ``training_set`` and ``test_set``, and room for what is made of it."""

    folder: Path
    room: Path
    made: dict[int, Path] = field(default_factory=dict)

    def parts(self, seed: int) -> Path:
        """Return a folder with ``train``, ``valid`` and ``test``: links, as fieldmark splits."""
        if seed not in self.made:
            out = self.room / f"parts-{seed}"
            measured(script("make_parts", self.folder, out, "--seed", seed))
            self.made[seed] = out
        return self.made[seed]


@contextmanager
def shared_pictures(options: Options) -> Iterator[Pictures]:
    """Give the pictures, read once so that every side finds them in the system's page cache."""
    with tempfile.TemporaryDirectory(prefix="fieldmark-benchmark-data-") as name:
        room = Path(name)
        folder = options.data
        if options.pictures is not None:
            folder = _sample(options.data, room / options.data.name, options.pictures)
        for path in sorted(folder.rglob("*.jpg")):
            path.read_bytes()
        yield Pictures(folder, room)


def _sample(data: Path, out: Path, n: int) -> Path:
    for part in ("training_set", "test_set"):
        for label in sorted(each for each in (data / part).iterdir() if each.is_dir()):
            (out / part / label.name).mkdir(parents=True)
            for path in sorted(label.iterdir())[:n]:
                shutil.copy(path, out / part / label.name)
    return out


def one_picture(folder: Path) -> Path:
    """Return a test picture, always the same one."""
    found = sorted((folder / "test_set").rglob("*.jpg"))
    if not found:
        raise SideFailed(f"there is no picture in {folder / 'test_set'}")
    return found[0]
