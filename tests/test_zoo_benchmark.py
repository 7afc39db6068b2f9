"""The benchmark of hostile files: it looks at each in a process of its own and hides nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.bundle import zoo

ROOT = Path(__file__).resolve().parents[1]
SIDES = ROOT / "benchmarks" / "sides"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.zoo

    return benchmarks.zoo


def side(name: str, argument: Path) -> str:
    command = [sys.executable, str(SIDES / f"{name}.py"), str(argument)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def record(name: str, ms: float, mb: float, said: str = "model-unsafe") -> dict[str, object]:
    wanted = "model-unsafe"
    found = {"file": name, "wanted": wanted, "said": said, "cpu_ms": ms}
    return found | {"ms": 2 * ms, "grown_mb": mb, "peak_rss_mb": 60 + mb, "others_cores": 1.5}


def test_every_file_of_the_zoo_is_written_with_its_code(tmp_path: Path) -> None:
    side("make_zoo", tmp_path)
    codes = json.loads((tmp_path / "codes.json").read_text(encoding="utf-8"))
    assert sorted(codes.values()) == sorted(each.code for each in zoo.ZOO.values())
    assert all((tmp_path / name).is_file() for name in codes)


@pytest.mark.parametrize("name", ["graph_doubled_forty_times", "torch_that_calls_the_shell"])
def test_one_file_is_measured_by_itself(name: str, tmp_path: Path) -> None:
    found = json.loads(side("open_model", zoo.ZOO[name].write(tmp_path)))
    assert found["said"] == zoo.ZOO[name].code
    assert found["ms"] > 0
    assert found["cpu_ms"] >= 0
    assert found["grown_mb"] >= 0


def test_a_good_file_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "good.fieldmark"
    path.write_bytes(zoo.good())
    assert json.loads(side("open_model", path))["said"] == "accepted"


def test_what_is_wrong_or_too_much_is_named(module: ModuleType) -> None:
    records = [record("a", 5, 1), record("b", 1500, 1), record("c", 5, 300)]
    records.append(record("d", 5, 1, said="accepted"))
    lines = module.lines_of(records)
    assert lines[0].startswith("4 files")
    assert "refused: accepted 1, model-unsafe 3" in lines
    assert "with another code than they must: d" in lines
    assert "beyond the limits: b, c" in lines
    assert "by the clock, with 1.5 cores busy elsewhere, at most 3000 ms: b" in lines
    assert lines[-1] == "the whole process at most 360 MB"


def test_nothing_wrong_is_said_as_well(module: ModuleType) -> None:
    lines = module.lines_of([record("a", 5, 1)])
    assert "with another code than they must: none" in lines
    assert "beyond the limits: none" in lines
