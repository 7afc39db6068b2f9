from __future__ import annotations

import subprocess
import sys

from fieldmark.modalities.opencv import opencv


def test_opencv_starts_no_threads_of_its_own() -> None:
    assert opencv().getNumThreads() == 1


def test_asking_twice_gives_the_same_module() -> None:
    assert opencv() is opencv()


def test_importing_the_room_imports_no_decoder() -> None:
    code = (
        "import sys, fieldmark.modalities, fieldmark.modalities.augment;"
        "print([name for name in ('cv2', 'PIL', 'keras', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
