"""A check that is killed: the next one decodes what is missing, and says the same."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fieldmark as fm
from fieldmark.modalities import looking
from fieldmark.training.events import Event, Progress
from fieldmark.workflow.checking import Check
from tests.pictures import write_shapes
from tests.workflow.killing import ROOT

N = 60
SEGMENT = 8
KILLED_AT = 43
"""Pictures done when the process is killed: in its sixth segment."""
KILLED = f"""
import os, signal, sys
import fieldmark as fm
from fieldmark.data import feature_store
folder, stage = sys.argv[1:]
feature_store.SEGMENT_ROWS = {SEGMENT}
def listen(event):
    if event.name == "progress" and event.stage == stage and event.done == {KILLED_AT}:
        os.kill(os.getpid(), signal.SIGKILL)
fm.check(folder, settings=fm.Settings().changed("net", {{"size": 32}}), listen=listen)
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL can be sent to a process there")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("check") / "shapes", N // 3)


def said(found: Check) -> tuple[str, str]:
    """Page and list, but for the seconds it took."""
    tax = None if found.tax is None else dataclasses.replace(found.tax, seconds=0.0)
    timeless = dataclasses.replace(found, seconds={}, tax=tax)
    return timeless.page(created="now"), timeless.to_json()


def checked(pictures: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Check, Any]:
    """Check in this process; also how many were looked at, and how many the backbone was shown."""
    monkeypatch.setenv("FIELDMARK_CACHE", str(cache))
    n_looked, shown = [0], [0]
    look = looking.look

    def counted(data: bytes) -> Any:
        n_looked[0] += 1
        return look(data)

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "features":
            shown[0] = event.total

    monkeypatch.setattr(looking, "look", counted)
    found = fm.check(pictures, settings=fm.Settings().changed("net", {"size": 32}), listen=listen)
    monkeypatch.undo()
    return found, (n_looked[0], shown[0])


@pytest.fixture(scope="module")
def undisturbed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    with pytest.MonkeyPatch.context() as patched:
        found, counts = checked(pictures, tmp_path_factory.mktemp("twin"), patched)
    assert counts == (N, N)
    return said(found)


@pytest.mark.parametrize("stage", ["look", "features"])
def test_a_killed_check_costs_one_segment_and_the_next_says_the_same(
    pictures: Path,
    undisturbed: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(pictures), stage],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "FIELDMARK_CACHE": str(tmp_path)},
        check=False,
        timeout=240,
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    found, (n_looked, n_shown) = checked(pictures, tmp_path, monkeypatch)
    if stage == "look":
        assert n_looked == N - KILLED_AT // SEGMENT * SEGMENT
        assert n_shown == N
    else:  # batches are under way while pictures are decoded ahead
        assert n_looked == 0
        assert N - KILLED_AT // SEGMENT * SEGMENT <= n_shown < N
    assert said(found) == undisturbed
