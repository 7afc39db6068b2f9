"""Planting: originals are never touched, each kind is what it says, figures are counted right."""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SIDES = ROOT / "benchmarks" / "sides"


@pytest.fixture
def planting(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SIDES)
    return importlib.import_module("planting")


@pytest.fixture
def scoring(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SIDES)
    return importlib.import_module("check_planted")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.planted")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Two classes of 24 smooth, different pictures."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "base" / label).mkdir(parents=True)
        for at in range(24):
            small = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
            pixels = cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)
            assert cv2.imwrite(str(tmp_path / "base" / label / f"{at:02}.jpg"), pixels)
    return tmp_path / "base"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def made(planting: ModuleType, base: Path, name: str, n: int = 20) -> Path:
    planting.clean_set(base, base.parent / name, n, random.Random(0))
    return base.parent / name


def test_the_choice_is_the_same_every_time_and_has_no_content_twice(
    planting: ModuleType, base: Path
) -> None:
    (base / "cat" / "copy.jpg").write_bytes((base / "cat" / "00.jpg").read_bytes())
    first, second = (contents(made(planting, base, name, 24)) for name in ("a", "b"))
    assert first == second
    assert len(first) == len(set(first.values())) == 48


def test_nothing_that_is_planted_changes_an_original(planting: ModuleType, base: Path) -> None:
    before = contents(base)
    for number, name in enumerate(
        ("plant_copies", "plant_flips", "plant_truncations", "plant_suffixes")
    ):
        folder = made(planting, base, f"set{number}")
        getattr(planting, name)(folder, 0.4, random.Random(1))
        assert contents(folder) != contents(made(planting, base, f"clean{number}"))
    assert contents(base) == before


def test_every_kind_of_copy_is_planted_beside_its_original(
    planting: ModuleType, base: Path
) -> None:
    folder = made(planting, base, "set")
    clean = contents(folder)
    done = planting.plant_copies(folder, 0.4, random.Random(1))
    assert [each.kind for each in done] == (list(planting.COPIES) * 2)[:16]
    now = contents(folder)
    assert set(now) - set(clean) == {each.path for each in done}
    for each in done:
        assert Path(each.path).parent == Path(each.source).parent
        same = now[each.path] == now[each.source]
        assert same == (each.kind == "exact copy"), each


@pytest.mark.parametrize(
    ("kind", "width", "height"),
    [
        ("cropped, 5 % off each side", {144}, {108}),
        ("cropped, 10 % off one side", {144, 160}, {108, 120}),
        ("cropped, 10 % off two sides", {144}, {108}),
        ("re-encoded, quality 30 to 90", {160}, {120}),
        ("gain 0.6 to 1.5", {160}, {120}),
        ("gamma 0.5 to 2", {160}, {120}),
        ("resized, 0.5 to 0.9", set(range(80, 145)), set(range(60, 109))),
    ],
)
def test_a_copy_is_what_its_kind_says(
    planting: ModuleType, base: Path, kind: str, width: set[int], height: set[int]
) -> None:
    data = (base / "cat" / "00.jpg").read_bytes()
    for seed in range(10):
        copy, said = planting.COPIES[kind](data, random.Random(seed))
        shape = planting.pixels_of(copy).shape
        assert shape[1] in width, said
        assert shape[0] in height, said
        assert said


def test_light_is_changed_by_gain_and_gamma(planting: ModuleType, base: Path) -> None:
    data = (base / "cat" / "00.jpg").read_bytes()
    usual = planting.pixels_of(data).mean()
    for kind in ("gain 0.6 to 1.5", "gamma 0.5 to 2"):
        means = [
            planting.pixels_of(planting.COPIES[kind](data, random.Random(seed))[0]).mean()
            for seed in range(12)
        ]
        assert min(means) < 0.95 * usual < 1.05 * usual < max(means)


def test_flips_move_a_share_and_remember_the_truth(planting: ModuleType, base: Path) -> None:
    folder = made(planting, base, "set")
    done = planting.plant_flips(folder, 0.05, random.Random(1))
    assert len(done) == 2
    for each in done:
        assert (folder / each.path).is_file()
        assert Path(each.path).parent.name != each.true
    assert len(contents(folder)) == 40


def test_truncated_files_are_shorter_and_renamed_ones_equal(
    planting: ModuleType, base: Path
) -> None:
    clean = contents(made(planting, base, "clean"))
    folder = made(planting, base, "cut")
    shortest = min(map(len, clean.values()))
    for each in planting.plant_truncations(folder, 0.1, random.Random(1)):
        data = (folder / each.path).read_bytes()
        assert any(whole.startswith(data) and len(data) < len(whole) for whole in clean.values())
        assert len(data) >= 0.15 * shortest
    folder = made(planting, base, "renamed")
    done = planting.plant_suffixes(folder, 0.1, random.Random(1))
    assert sorted(contents(folder).values()) == sorted(clean.values())
    assert {Path(each.path).suffix for each in done} == {".png"}


def test_leaks_lie_in_the_other_part(planting: ModuleType, base: Path) -> None:
    parts = base.parent / "parts"
    planting.into_parts(made(planting, base, "set"), parts, random.Random(1))
    done = planting.plant_leaks(parts, 0.3, random.Random(1))
    assert {each.kind for each in done} == {"leak, exact", "leak, near"}
    assert all(each.path.startswith("test/") for each in done)
    assert all(each.source.startswith("train/") for each in done)


def test_sizes_follow_the_class_or_do_not(planting: ModuleType, base: Path) -> None:
    for per_class in (True, False):
        folder = made(planting, base, f"sizes {per_class}")
        planting.plant_sizes(folder, per_class, random.Random(1))
        widths = {
            label: {
                planting.pixels_of(path.read_bytes()).shape[1] for path in folder.glob(f"{label}/*")
            }
            for label in ("cat", "dog")
        }
        assert (widths == {"cat": {160}, "dog": {200}}) == per_class


def found_of(*findings: tuple[str, tuple[str, ...]]) -> SimpleNamespace:
    return SimpleNamespace(
        findings=[SimpleNamespace(code=code, paths=paths) for code, paths in findings]
    )


def test_pairs_are_scored_by_kind_and_others_are_false_alarms(
    planting: ModuleType, scoring: ModuleType
) -> None:
    done = [
        planting.Planted("exact copy", "x.jpg", "a.jpg"),
        planting.Planted("exact copy", "y.jpg", "b.jpg"),
        planting.Planted("resized", "z.jpg", "a.jpg"),
    ]
    found = found_of(
        ("exact-copy", ("a.jpg", "x.jpg")),
        ("near-copy", ("z.jpg", "x.jpg")),
        ("near-copy", ("b.jpg", "c.jpg")),
        ("blank", ("y.jpg", "b.jpg")),
    )
    shown = scoring.pairs_shown(found, scoring.COPY_CODES)
    assert scoring.of_pairs(done, shown) == {"exact copy": [2, 1], "resized": [1, 0]}
    assert scoring.false_pairs(done, shown) == [["b.jpg", "c.jpg"]]


def test_paths_are_scored(planting: ModuleType, scoring: ModuleType) -> None:
    done = [planting.Planted("truncated", "x"), planting.Planted("truncated", "y")]
    assert scoring.of_paths(done, {"x", "z"}) == {"planted": 2, "found": 1, "false": 1}


def test_the_table_has_intervals_and_says_what_is_missed(planted: ModuleType) -> None:
    assert planted.row("exact copy", 50, 50) == [
        "exact copy",
        "50",
        "50",
        "100.0 % (92.9-100.0)",
        "100% met",
    ]
    assert planted.row("label flipped", 10, 5)[-1] == "80% MISSED"
    assert planted.row("truncated", 10, 10)[-1] == "-"
    assert planted.row("leak, near", 0, 0)[1:] == ["0", "0", "-", "-"]


def test_from_end_to_end_on_a_few_drawn_pictures(
    base: Path, planted: ModuleType, tmp_path: Path
) -> None:
    before = contents(base)
    done = subprocess.run(
        [sys.executable, str(SIDES / "check_planted.py"), str(base), "--pictures", "24"],
        cwd=tmp_path,
        env={
            "PATH": "",
            "PYTHONPATH": str(ROOT / "src"),
            "FIELDMARK_CACHE": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout.splitlines()[-1])
    assert record["unchanged"]
    assert contents(base) == before
    assert record["copies"]["kinds"]["exact copy"] == [3, 3]
    assert record["truncated"]["found"] == record["truncated"]["planted"] == 5
    assert record["wrong extension"] == {"planted": 5, "found": 5, "false": 0}
    assert "size" in record["size by class"]["warned"]
    assert record["size by chance"]["warned"] == []
    lines = planted.summary("drawn", record)
    assert any(line.startswith("exact copy") and "100.0 %" in line for line in lines)
