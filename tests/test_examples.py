"""The example runs, and its page shows the program that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "cats_and_dogs"
PARTS = {"training_set/cats": 10, "training_set/dogs": 10, "test_set/cats": 4, "test_set/dogs": 4}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return dark "cats", bright "dogs", one new photo, and a file that is none."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for where, n in {**PARTS, "single_prediction": 1}.items():
        (folder / where).mkdir(parents=True)
        low = 20 if "cats" in where else 150
        for number in range(n):
            pixels = rng.integers(low, low + 80, (40, 50, 3), dtype=np.uint8)
            assert cv2.imwrite(str(folder / where / f"{number}.png"), pixels)
    (folder / "single_prediction" / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_the_example_trains_measures_predicts_and_leaves_a_model(
    photos: Path, tmp_path: Path
) -> None:
    around = {"PYTHONPATH": str(ROOT / "src"), "FIELDMARK_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, EXAMPLE / "train.py", photos, "2"],
        cwd=tmp_path,
        env=os.environ | around,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    accuracy, named, broken, bundle = done.stdout.splitlines()[-4:]
    assert accuracy.startswith("accuracy ")
    assert "8 pictures" in accuracy
    assert named.endswith(("0.png cats", "0.png dogs"))
    assert "broken.jpg" in broken
    assert (tmp_path / bundle).is_file()


def test_the_page_shows_the_program_as_it_is() -> None:
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    shown = page.split("```python\n", 1)[1].split("```", 1)[0]
    program = (EXAMPLE / "train.py").read_text(encoding="utf-8")
    assert program.split('"""\n\n', 1)[1] == shown


def test_the_command_line_on_the_page_is_understood(tmp_path: Path) -> None:
    """As far as the folder, which is not there."""
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    line = next(each for each in page.splitlines() if each.startswith("fieldmark train "))
    done = subprocess.run(
        [sys.executable, "-m", *line.split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "no-folder" in done.stderr
