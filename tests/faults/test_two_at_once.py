"""Two trainings of one folder, into one runs folder, with one cold cache, at the same moment."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fieldmark import bundle
from tests.pictures import write_shapes
from tests.workflow.killing import TIMEOUT_S, Command

NETS = {
    "solved head": ("--net", "features", "--size", "64"),
    "gradients": ("--net", "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> GAP -> FC", "--epochs", "2"),
}


@pytest.mark.parametrize("net", [pytest.param("gradients", marks=pytest.mark.slow), "solved head"])
def test_both_finish_with_the_same_model_in_folders_of_their_own(net: str, tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "shapes", 12, shapes=("circle", "square"))
    command = Command(tmp_path / "room", (str(data), *NETS[net], "--threads", "1"))
    both = [command.start(), command.start()]
    assert [process.wait(TIMEOUT_S) for process in both] == [0, 0], command.said
    assert command.runs == ["shapes-1", "shapes-2"]
    first, second = (told(command.room / "runs" / name) for name in command.runs)
    assert first == second
    left = [path for path in (command.room / "runs").rglob("*") if path.suffix == ".part"]
    assert left == []
    assert (command.room / "runs" / "latest.txt").read_text().strip() in command.runs
    cached = sorted(path.name for path in (command.room / "cache").rglob("*") if path.is_file())
    assert not [name for name in cached if name.startswith(".")]
    # Whoever comes next finds the cache whole, and the same again.
    assert command.finish() == 0
    assert told(command.room / "runs" / "shapes-3") == first


def told(run: Path) -> dict[str, Any]:
    """Return what a run's model file holds, all but its own name; and what the test part said."""
    made = bundle.read(run / f"{run.name}.fieldmark", weights=True)
    held = {
        each.name: held_in(getattr(made, each.name))
        for each in dataclasses.fields(made)
        if each.name not in ("name", "card", "model_id")
    }
    held["card"] = made.card.replace(run.name, "#")
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return held | {"accuracy": metrics["accuracy"], "looks": n_lines(run / "looks.jsonl")}


def held_in(value: Any) -> Any:
    """Return arrays as bytes, which can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: held_in(each) for name, each in value.items()}
    return value


def n_lines(path: Path) -> int:
    return len(path.read_text(encoding="ascii").splitlines())
