"""Whatever call fails, and however: what was there is whole, and the work can be done again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOPS = Path(__file__).with_name("loops.py")
CALLS = {
    "one_file": 5,
    "run_folder": 14,
    "beginning": 15,
    "checkpoints": 6,
    "cache": 10,
    "features": 13,
    "model_file": 6,
    "looks": 2,
}
"""Work -> the least number of calls it takes, so that a loop that strikes nothing is noticed."""


@pytest.mark.parametrize("work", CALLS)
def test_after_a_fault_at_any_call_nothing_is_lost_and_the_same_again_succeeds(
    work: str, shim: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, LOOPS, work, tmp_path],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts = json.loads(done.stdout)
    assert min(counts[f"{mode} ENOSPC"] for mode in "oft") >= CALLS[work], counts
    assert counts["k "] == counts["K "] == counts["o ENOSPC"], "each call was met by each fault"
