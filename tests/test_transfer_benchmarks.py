"""Lists, folds, curves and answers of the transfer benchmarks: nothing known is tested."""

from __future__ import annotations

import csv
import importlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from fieldmark.evaluation import intervals

ROOT = Path(__file__).resolve().parents[1]
SIDES = ROOT / "benchmarks" / "sides"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT)

    def imported(name: str) -> ModuleType:
        return importlib.import_module(f"benchmarks.{name}")

    return imported


@pytest.fixture
def lists(module) -> ModuleType:
    return module("lists")


def listed(lists: ModuleType, counts: dict[str, int], split: str = "") -> list:
    return [
        lists.Listed(f"{label}/{n}.jpg", label, f"sha-{label}-{n}", split)
        for label, many in counts.items()
        for n in range(many)
    ]


def pictures(folder: Path, labels: dict[str, int], n: int, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for label, low in labels.items():
        (folder / label).mkdir(parents=True)
        for number in range(n):
            pixels = rng.integers(low, low + 80, (40, 48, 3), dtype=np.uint8)
            assert cv2.imwrite(str(folder / label / f"{number}.png"), pixels)
    return folder


def answer(labels: list[str], probs: list[float]) -> dict:
    """Answers of two classes, cat and dog, by the probability of the dog."""
    names = [f"{label}/{n}.jpg" for n, label in enumerate(labels)]
    return {
        "classes": ["cat", "dog"],
        "probs": {name: [1 - p, p] for name, p in zip(names, probs, strict=True)},
        "labels": dict(zip(names, labels, strict=True)),
    }


# -- folds


def test_folds_divide_every_class_evenly(lists) -> None:
    examples = listed(lists, {"rose": 52, "tulip": 33, "daisy": 7})
    drawn = lists.folds(examples, 5)
    for label, many in (("rose", 52), ("tulip", 33), ("daisy", 7)):
        its = [f for f, each in zip(drawn, examples, strict=True) if each.label == label]
        sizes = [Counter(its)[fold] for fold in range(5)]
        assert (sum(sizes), max(sizes) - min(sizes)) == (many, 1)
    sizes = Counter(drawn)
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_copies_are_in_one_fold_even_with_different_labels(lists) -> None:
    examples = listed(lists, {"rose": 40, "tulip": 40})
    copies = [lists.Listed(f"copies/{each.path}", "tulip", each.sha256) for each in examples[::4]]
    drawn = lists.folds([*examples, *copies], 5)
    fold_of: dict[str, set[int]] = {}
    for each, fold in zip([*examples, *copies], drawn, strict=True):
        fold_of.setdefault(each.sha256, set()).add(fold)
    assert {len(its) for its in fold_of.values()} == {1}
    assert len(copies) == 20


def test_folds_do_not_depend_on_the_order_of_the_list(lists) -> None:
    examples = listed(lists, {"rose": 30, "tulip": 31})
    there = dict(zip(examples, lists.folds(examples, 5), strict=True))
    back = examples[::-1]
    assert dict(zip(back, lists.folds(back, 5), strict=True)) == there
    assert dict(zip(examples, lists.folds(examples, 5, seed=1), strict=True)) != there


def test_every_example_is_tested_once_and_a_tenth_of_the_others_is_set_aside(lists) -> None:
    examples = listed(lists, {"rose": 50, "tulip": 100})
    drawn = lists.folds(examples, 5)
    tested: Counter[str] = Counter()
    for fold in range(5):
        rows = lists.fold_rows(examples, drawn, fold)
        counts = Counter((each.label, part) for each, part in rows)
        assert [counts["rose", part] for part in ("train", "valid", "test")] == [36, 4, 10]
        assert [counts["tulip", part] for part in ("train", "valid", "test")] == [72, 8, 20]
        tested.update(each.path for each, part in rows if part == "test")
    assert tested == Counter({each.path: 1 for each in examples})


def test_no_content_is_on_two_sides_of_a_fold(lists) -> None:
    examples = listed(lists, {"rose": 40, "tulip": 40})
    examples += [lists.Listed(f"more/{each.path}", "tulip", each.sha256) for each in examples]
    drawn = lists.folds(examples, 4)
    for fold in range(4):
        sides: dict[str, set[str]] = {}
        for each, part in lists.fold_rows(examples, drawn, fold):
            sides.setdefault(each.sha256, set()).add(part)
        assert {len(parts) for parts in sides.values()} == {1}


# -- a learning curve


def test_a_curve_draws_so_many_of_each_class_and_keeps_the_test_part(lists) -> None:
    examples = [
        *listed(lists, {"cat": 40, "dog": 60}, "train"),
        *[
            lists.Listed(f"test/{n}.jpg", label, f"t{n}", "test")
            for n, label in enumerate(("cat", "dog"))
        ],
    ]
    rows = lists.curve_rows(examples, n_train=20, n_valid=10, seed=0)
    counts = Counter((each.label, part) for each, part in rows)
    for label in ("cat", "dog"):
        assert [counts[label, part] for part in ("train", "valid", "test")] == [20, 10, 1]


def test_a_larger_training_part_holds_the_smaller_one(lists) -> None:
    examples = listed(lists, {"cat": 60, "dog": 60}, "train")

    def part_of(n: int, seed: int, wanted: str) -> set[str]:
        rows = lists.curve_rows(examples, n, 20, seed)
        return {each.path for each, part in rows if part == wanted}

    assert part_of(5, 0, "train") < part_of(40, 0, "train")
    assert part_of(5, 0, "valid") == part_of(40, 0, "valid")
    assert part_of(5, 0, "train") != part_of(5, 1, "train")


def test_a_curve_never_learns_a_copy_or_a_test_picture(lists) -> None:
    examples = listed(lists, {"cat": 10, "dog": 10}, "train")
    examples += [lists.Listed("cat/copy.jpg", "cat", "sha-cat-0", "train")]
    examples += [lists.Listed("test/known.jpg", "dog", "sha-dog-3", "test")]
    rows = lists.curve_rows(examples, n_train=5, n_valid=4, seed=0)
    assert max(Counter(each.sha256 for each, _ in rows).values()) == 1
    assert [part for each, part in rows if each.sha256 == "sha-dog-3"] == ["test"]
    assert {label: len(pool) for label, pool in lists.unseen(examples).items()} == {
        "cat": 10,
        "dog": 9,
    }


def test_a_class_with_too_few_examples_is_refused(module, lists) -> None:
    examples = listed(lists, {"cat": 10, "dog": 30}, "train")
    with pytest.raises(
        module("measure").SideFailed, match=r"cat: 10 examples are fewer than 8 \+ 4"
    ):
        lists.curve_rows(examples, n_train=8, n_valid=4, seed=0)


def test_sizes_leave_room_for_the_validation_part(module) -> None:
    sizes_for = module("learning_curve").sizes_for
    assert sizes_for(1500) == (100, [5, 20, 100, 1000])
    assert sizes_for(1099) == (100, [5, 20, 100])
    assert sizes_for(60) == (15, [5, 20])


def test_the_curve_is_a_table_for_a_page(module) -> None:
    record = {
        "correct": {"5-0": [1, 1, 0, 1], "5-1": [1, 0, 0, 1]},
        "seconds": {"5-0": 1.0, "5-1": 2.0},
    }
    head, rule, row = module("learning_curve").as_table(record, {5: ["5-0", "5-1"]})
    assert "4 test pictures, mean of 2 seeds" in head
    assert head.count("|") == rule.count("|") == row.count("|") == 6
    assert row.startswith("| 5 | 62.5 % | ")
    assert row.endswith(" | 50.0 to 75.0 | 1.5 |")


# -- intervals


def test_wilsons_interval_is_that_of_the_product(module) -> None:
    for n_correct, n in ((495, 500), (500, 500), (0, 7), (3, 4)):
        found = module("summaries").wilson(n_correct, n)
        assert found == pytest.approx(intervals.wilson(n_correct, n), abs=1e-12)


def test_all_right_everywhere_is_not_certainty(module) -> None:
    mean, low, high = module("summaries").crossed_interval([[1] * 500] * 5)
    assert (mean, high) == (1.0, 1.0)
    assert low == pytest.approx(intervals.wilson(500, 500)[0])


def test_seeds_that_differ_widen_the_interval(module) -> None:
    crossed = module("summaries").crossed_interval
    alike = [[1, 1, 1, 0] * 50] * 5
    differing = [[1] * n + [0] * (200 - n) for n in (200, 190, 150, 120, 90)]
    assert np.mean(alike) == np.mean(differing) == 0.75
    _, low, high = crossed(alike)
    assert (low, high) == pytest.approx(intervals.wilson(150, 200), abs=0.002)
    _, wide_low, wide_high = crossed(differing)
    assert wide_low < low < high < wide_high


def test_the_interval_over_seeds_and_pictures_holds_the_truth_nineteen_times_of_twenty(
    module,
) -> None:
    crossed, rng = module("summaries").crossed_interval, np.random.default_rng(0)

    def chances(n_seeds: int, n_pictures: int) -> np.ndarray:
        each = 2.0 + rng.normal(size=(n_seeds, 1)) + 2 * rng.normal(size=(1, n_pictures))
        return 1 / (1 + np.exp(-each))

    truth = chances(1000, 1000).mean()
    held = 0
    for _ in range(200):
        right = (rng.random((5, 100)) < chances(5, 100)).astype(int).tolist()
        _, low, high = crossed(right)
        held += low <= truth <= high
    assert held >= 184


# -- answers


def test_answers_are_scored_by_the_product_with_wilsons_interval(module) -> None:
    record = answer(["cat", "cat", "dog", "dog"], [0.1, 0.6, 0.9, 0.7])
    answers = module("answers")
    assert list(answers.correct(record).values()) == [True, False, True, True]
    found = answers.score(record)
    assert found["n"] == 4
    assert found["accuracy"] == pytest.approx([0.75, *intervals.wilson(3, 4)])
    wanted = -np.mean(np.log([0.9, 0.4, 0.9, 0.7]))
    assert found["log_loss"][0] == pytest.approx(wanted, abs=1e-6)


def test_the_folds_answers_are_pooled_but_none_twice(module) -> None:
    answers, measure = module("answers"), module("measure")
    one, two = answer(["cat", "dog"], [0.1, 0.9]), answer(["dog", "cat"], [0.8, 0.3])
    assert len(answers.pooled([one, two])["probs"]) == 4
    with pytest.raises(measure.SideFailed, match="answered twice"):
        answers.pooled([one, one])
    with pytest.raises(measure.SideFailed, match="different classes"):
        answers.pooled([one, two | {"classes": ["dog", "cat"]}])


def test_a_run_without_its_report_is_not_finished(module, tmp_path: Path) -> None:
    (tmp_path / "runs" / "toy-1").mkdir(parents=True)
    answers, failed = module("answers"), module("measure").SideFailed
    with pytest.raises(failed, match=r"toy-1 is not finished: it has no report\.html"):
        answers.only_run(tmp_path)
    (tmp_path / "runs" / "toy-2").mkdir()
    with pytest.raises(failed, match=r"one run, not \['toy-1', 'toy-2'\]"):
        answers.only_run(tmp_path)


def test_sides_are_compared_by_class_and_file(module) -> None:
    transfer = module("transfer")
    record = {"probs": {"test_set/cats/1.jpg": [0.9, 0.1]}, "n_train": 3, "n_valid": 2}
    named = transfer.by_class_and_file(record)
    assert named["labels"] == {"cats/1.jpg": "cats"}
    assert set(named["probs"]) == {"cats/1.jpg"}
    transfer.check_same_parts({"a": [record], "b": [named]})
    with pytest.raises(module("measure").SideFailed, match="different parts"):
        transfer.check_same_parts({"a": [record], "b": [named | {"n_valid": 3}]})


def test_what_a_process_left_behind_is_collected(module) -> None:
    def collect(work: Path) -> dict:
        return {"left": (work / "left.txt").read_text()}

    measured = module("measure").measured
    found = measured(
        ["-c", "open('left.txt', 'w').write('x'); print('{\"a\": 1}')"], collect=collect
    )
    assert (found["left"], found["a"]) == ("x", 1)


# -- environments


def test_an_environment_is_made_once_for_the_same_requirements(
    module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = module("environments")
    monkeypatch.setenv("FIELDMARK_BENCHMARKS", str(tmp_path))
    installed: list[tuple[str, ...]] = []

    def made(folder: Path, requirements: tuple[str, ...]) -> Path:
        folder.mkdir()
        installed.append(requirements)
        return folder / "bin" / "python"

    monkeypatch.setattr(environments, "made", made)
    first = environments.kept("peer", ("a==1",))
    assert environments.kept("peer", ("a==1",)) == first
    assert environments.kept("peer", ("a==2",)) != first
    assert installed == [("a==1",), ("a==2",)]


def test_an_interrupted_installation_is_begun_again(
    module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments, failed = module("environments"), module("measure").SideFailed
    monkeypatch.setenv("FIELDMARK_BENCHMARKS", str(tmp_path))

    def broken(folder: Path, requirements: tuple[str, ...]) -> Path:
        folder.mkdir()
        raise failed("no such package")

    monkeypatch.setattr(environments, "made", broken)
    for _ in range(2):  # the second finds the folder that the first left
        with pytest.raises(failed, match="no such package"):
            environments.kept("peer", ("a==1",))


def test_a_lean_install_measures_the_files_of_each_package(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "big.bin").write_bytes(os.urandom(1_000_000))
    info = tmp_path / "toy-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (info / "RECORD").write_text("toy/big.bin,,\ntoy/gone.py,,\ntoy-1.dist-info/METADATA,,\n")
    code = (
        "import lean_flow, importlib.metadata as m;"
        f"print([lean_flow.size_mb(d) for d in m.distributions(path=[{str(tmp_path)!r}])])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SIDES, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == pytest.approx([1.0], abs=0.02)


# -- end to end


def test_the_lists_name_what_fieldmark_finds(module, tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", {"cats": 20, "dogs": 150}, 6)
    (data / "cats" / "again.png").write_bytes((data / "cats" / "0.png").read_bytes())
    (data / "notes.txt").write_text("no picture")
    lists = module("lists")
    root, examples = lists.examples_of(data)
    assert root == data
    assert Counter(each.label for each in examples) == {"cats": 7, "dogs": 6}
    assert len({each.sha256 for each in examples}) == 12
    rows = lists.fold_rows(examples, lists.folds(examples, 3), 0)
    with lists.write(tmp_path / "list.csv", rows).open(newline="") as file:
        assert [(r["path"], r["label"], r["split"]) for r in csv.DictReader(file)] == [
            (each.path, each.label, part) for each, part in rows
        ]


@pytest.mark.slow
def test_folds_and_curve_run_from_end_to_end(tmp_path: Path) -> None:
    whole = pictures(tmp_path / "whole", {"cats": 20, "dogs": 150}, 25)
    parts = tmp_path / "parts"
    pictures(parts / "training_set", {"cats": 20, "dogs": 150}, 30)
    pictures(parts / "test_set", {"cats": 20, "dogs": 150}, 6, seed=1)
    given = ["--data", parts, "--folds-of", whole, "--repeats", "2"]
    options = ["--", "--net", "small", "--size", "32", "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "folds", "learning_curve", *given, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "of 50 (all folds together; Wilson, 95 %)" in done.stdout
    assert "12 test pictures, mean of 2 seeds" in done.stdout
    assert "| 20 | " in done.stdout
