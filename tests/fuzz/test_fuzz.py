"""A short run of every fuzz target, the same each time; the long one is ``make fuzz``."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fieldmark.errors import FieldmarkError
from tests.fuzz import mutation
from tests.fuzz.targets import CORPUS, TARGETS, tried

ROOT = Path(__file__).parents[2]
FOUND = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_once_is_borne_now(path: Path) -> None:
    tried(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_are_good(name: str) -> None:
    """Else the changes of them would never come far: one seed at least is read to its end."""
    target, read = TARGETS[name], 0
    for data in target.seeds():
        try:
            target.run(data)
        except target.allowed:
            continue
        read += 1
    assert read or name == "stranger"  # whose good inputs are those that it refuses


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_changed_inputs_are_refused_or_read(name: str) -> None:
    target = TARGETS[name]
    seeds, draw = target.seeds(), random.Random(7)
    for _ in range(150):
        tried(name, mutation.changed(seeds, target.words, draw, target.max_bytes))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_bytes_are_refused_or_read(name: str, data: st.DataObject) -> None:
    words = st.sampled_from([*TARGETS[name].words, b""])
    pieces = data.draw(st.lists(st.binary(max_size=40) | words, max_size=12))
    tried(name, b"".join(pieces))


def test_only_errors_of_ours_are_allowed() -> None:
    kinds = {kind for target in TARGETS.values() for kind in target.allowed}
    assert all(issubclass(kind, FieldmarkError) for kind in kinds)


def test_something_that_escapes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setitem(TARGETS, "json", TARGETS["json"].__class__(broken, lambda: [b""], ()))
    with pytest.raises(ZeroDivisionError, match="a fault"):
        tried("json", b"")


def test_the_same_seed_gives_the_same_inputs_and_another_gives_others() -> None:
    def first(seed: int) -> list[bytes]:
        found = mutation.endless([b"INPUT 8x8x3 -> FC"], [b"CONV"], seed, 99)
        return [next(found) for _ in range(50)]

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert len(set(first(1))) > 25
    assert max(map(len, first(1))) <= 99


def test_the_long_run_ends_in_time_and_says_how_much_it_did(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "json", "layers", "--minutes", "0.02"]
    command += ["--engine", "changes", "--keep", str(tmp_path / "kept")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["json", "layers"]
    assert all("0 findings" in line for line in lines)
