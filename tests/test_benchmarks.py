"""The benchmarks compare fairly: same work, in turn, in fresh processes, and honest arithmetic."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
SIDES = ROOT / "benchmarks" / "sides"
PEERS = (
    "article",
    "keras_tfdata",
    "keras_steps",
    "keras_xception",
    "clock",
    "linear_head",
    "fastai_transfer",
)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT)

    def imported(name: str) -> ModuleType:
        return importlib.import_module(f"benchmarks.{name}")

    return imported


def runner(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def pictures(folder: Path, n_train: int, n_test: int) -> Path:
    rng = np.random.default_rng(0)
    for part, n in (("training_set", n_train), ("test_set", n_test)):
        for label, low in (("cats", 20), ("dogs", 150)):
            (folder / part / label).mkdir(parents=True)
            for number in range(n):
                pixels = rng.integers(low, low + 80, (70, 80, 3), dtype=np.uint8)
                assert cv2.imwrite(str(folder / part / label / f"{part}{number}.jpg"), pixels)
    return folder


def modules_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("peer", PEERS)
def test_no_peer_imports_the_product(peer: str) -> None:
    assert "fieldmark" not in modules_of(SIDES / f"{peer}.py")


def test_the_runner_imports_the_standard_library_only() -> None:
    """Else a side's peak memory would never be less than that of what the runner imported."""
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        assert modules_of(path) <= {*sys.stdlib_module_names, "benchmarks"}, path.name


def test_without_pictures_it_says_so_and_is_content(module, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    kept = tmp_path / "figures.json"
    alone = {"features", "head", "coverage", "transfer", "lean_install", "zoo"}
    names = sorted(set(module("__main__").BENCHMARKS) - alone - {"kills", "faults", "promise"})
    done = runner(*names, "--data", absent, "--odd", absent, "--folds-of", absent, "--json", kept)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"skipped: there is no folder {absent}") == 13
    assert {"conditions", "tutorial", "loss_curve"} <= set(json.loads(kept.read_text()))


def test_what_installs_packages_runs_only_when_it_is_named(module) -> None:
    main = module("__main__")
    names, _, _ = main.parsed([])
    assert set(main.BENCHMARKS) - set(names) == {"transfer", "lean_install"}
    assert main.parsed(["transfer"])[0] == ["transfer"]


def test_options_after_the_dashes_are_those_of_train(module) -> None:
    main = module("__main__")
    names, options, _ = main.parsed(["folds", "--repeats", "2", "--", "--net", "small", "--seed"])
    assert (names, options.repeats, options.train) == (["folds"], 2, ("--net", "small", "--seed"))
    assert main.parsed(["folds"])[1].train == ("--net", "features")


def test_an_unknown_name_is_refused() -> None:
    done = runner("tutorail")
    assert done.returncode == 2
    assert "unknown: tutorail" in done.stderr


def test_sides_take_turns_each_in_its_own_process(module, tmp_path: Path) -> None:
    measure = module("measure")
    log = tmp_path / "log.txt"
    code = f"import os; print(os.getpid(), %r, file=open({str(log)!r}, 'a')); print('{{\"x\": 1}}')"
    sides = [measure.Side(name, lambda _, name=name: ["-c", code % name]) for name in "AB"]
    records = measure.interleaved(sides, 3)
    pids, names = zip(*(line.split() for line in log.read_text().splitlines()), strict=True)
    assert "".join(names) == "ABABAB"
    assert len(set(pids)) == 6
    assert [each["x"] for each in records["B"]] == [1, 1, 1]
    assert all(each["wall_s"] >= each["cpu_s"] / os.cpu_count() > 0 for each in records["A"])


def test_memory_and_time_are_those_of_the_side(module) -> None:
    measured = module("measure").measured
    small = measured(["-c", "import time; time.sleep(0.2)"])
    large = measured(["-c", "x = bytearray(200_000_000); x[::4096] = x[::4096]; print('no json')"])
    assert small["wall_s"] > 0.2 > small["cpu_s"]
    assert large["peak_rss_mb"] > 200


def test_a_side_that_fails_says_why(module) -> None:
    measure = module("measure")
    with pytest.raises(measure.SideFailed, match=r"exit 1\n(.|\n)*no such thing"):
        measure.measured(["-c", "raise SystemExit('no such thing')"])


def test_sides_that_did_other_work_are_not_compared(module) -> None:
    tutorial, measure = module("tutorial"), module("measure")
    record = {"n_train": 10, "n_valid": 5, "ends": [1.0, 2.0]}
    tutorial.check_same_work({"a": [record], "b": [record]})
    with pytest.raises(measure.SideFailed, match="different work"):
        tutorial.check_same_work({"a": [record], "b": [record | {"n_train": 11}]})


def test_speed_counts_all_epochs_and_later_speed_all_but_the_first(module) -> None:
    record = {"n_train": 100, "ends": [4.0, 5.0, 6.0], "train_s": [3.0, 0.5, 0.5], "wall_s": 10.0}
    measures = module("tutorial").MEASURES
    speeds = [name for name in measures if "pictures/s" in name or "without" in name]
    found = {name: measures[name][0](record) for name in speeds}
    assert found["pictures/s"] == pytest.approx(300 / 6)
    assert found["pictures/s, whole process"] == pytest.approx(300 / 10)
    assert found["later epochs, pictures/s"] == pytest.approx(200 / 2)
    assert found["later epochs without validation"] == pytest.approx(200 / 1)


def test_accuracy_is_counted_from_the_saved_probabilities(module) -> None:
    accuracy, measure = module("accuracy"), module("measure")
    record = {"probs": {"cats/1.jpg": 0.2, "cats/2.jpg": 0.5, "dogs/1.jpg": 0.5, "dogs/2.jpg": 0.9}}
    assert accuracy.scored(record) == 0.75
    assert [name for name, bad in accuracy.wrong(record).items() if bad] == ["cats/2.jpg"]
    assert accuracy.check_same_test({"a": [record]}) == 4
    with pytest.raises(measure.SideFailed, match="different test files"):
        accuracy.check_same_test({"a": [record], "b": [{"probs": {"cats/1.jpg": 0.2}}]})


def test_the_interval_is_students_t(module) -> None:
    values = [1.0, 2.5, -0.5, 3.0, 0.0]
    mean, low, high = module("summaries").t_interval(values)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == pytest.approx(expected, abs=1e-3)
    table = module("summaries").T_95
    assert table == pytest.approx([stats.t.ppf(0.975, n + 1) for n in range(len(table))], abs=6e-4)


def test_one_value_has_no_interval(module) -> None:
    assert module("summaries").t_interval([2.0]) == (2.0, -np.inf, np.inf)


def test_an_accuracy_has_wilsons_interval(module) -> None:
    for n_right, n in ((0, 7), (423, 500), (500, 500)):
        expected = stats.binomtest(n_right, n).proportion_ci(method="wilson")
        assert module("summaries").wilson(n_right, n) == pytest.approx(expected, abs=1e-6)


def test_the_error_ratio_is_of_means_over_seeds_with_a_paired_interval(module) -> None:
    ratio = module("summaries").error_ratio
    random = np.random.default_rng(0)
    names = [str(at) for at in range(400)]
    ours = [dict(zip(names, random.random(400) < 0.1, strict=True)) for _ in range(2)]
    worse = [{name: bad or random.random() < 0.1 for name, bad in ours[0].items()}]
    found, low, high = ratio(worse, ours)
    n_ours = sum(sum(each.values()) for each in ours) / 2
    assert found == pytest.approx(sum(worse[0].values()) / n_ours)
    assert 1 < low < found < high < 4
    assert ratio(ours, ours) == (1, 1, 1)  # paired: the same pictures are drawn for both


def test_no_error_at_all_still_gives_a_ratio(module) -> None:
    none, one = {"a": False, "b": False}, {"a": True, "b": False}
    assert module("summaries").error_ratio([one], [none])[0] == 2


def test_ratios_are_taken_pair_by_pair(module) -> None:
    summaries = module("summaries")
    assert summaries.ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert summaries.spread([2.0, 3.0, 7.0], 1) == "3.0 (2.0-7.0)"
    assert summaries.target("speed", [2.0, 3.0], 2.5, at_least=True).endswith("met")
    assert summaries.target("seconds", [2.0, 3.0], 2.4, at_least=False).endswith("MISSED")


def test_a_busy_machine_is_warned_about(module, monkeypatch: pytest.MonkeyPatch) -> None:
    conditions = module("conditions")
    monkeypatch.setattr(conditions, "cores", lambda: 2)
    for load, warns in ((0.1, False), (3.0, True), (None, False)):
        monkeypatch.setattr(conditions, "load", lambda load=load: load)
        assert bool(conditions.warning_if_busy()) is warns


def test_peers_are_given_exactly_the_parts_that_fieldmark_uses(module, tmp_path: Path) -> None:
    import fieldmark as fm

    data = pictures(tmp_path / "data", 10, 3)
    shared = module("pictures").Pictures(data, tmp_path)
    for seed in (0, 1):
        laid = {
            (path.parents[1].name, f"{path.parent.name}/{path.name}"): path.resolve()
            for path in shared.parts(seed).rglob("*.jpg")
        }
        wanted = {
            (str(each.split), f"{each.label}/{Path(each.path).name}"): data / each.path
            for each in fm.load(data).split(seed=seed)
        }
        assert laid == {key: path.resolve() for key, path in wanted.items()}


def test_a_sample_takes_so_many_of_each_class(module, tmp_path: Path) -> None:
    options = module("options").Options(
        data=pictures(tmp_path / "data", 6, 3), odd=tmp_path, repeats=1, pictures=4
    )
    with module("pictures").shared_pictures(options) as shared:
        found = sorted(path.parent.name for path in shared.folder.rglob("*.jpg"))
        assert found == ["cats"] * 7 + ["dogs"] * 7


def test_both_sides_of_the_head_reach_the_same_loss() -> None:
    done = runner("head", "--pictures", 150, "--repeats", 1)
    assert done.returncode == 0, done.stderr
    assert "300 rows, 40 columns, 2 classes:" in done.stdout
    assert "target log-loss, fieldmark/sklearn <= 1.01: 1, met" in done.stdout


@pytest.mark.slow
def test_the_training_benchmarks_run_from_end_to_end(tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", 20, 6)
    names = ("tutorial", "accuracy", "cold_start", "scratch", "loss_curve")
    done = runner(*names, "--data", data, "--repeats", 1, "--epochs", 2, "--minutes", 0.1)
    assert done.returncode == 0, done.stderr
    for said in ("fieldmark/article", "paired by seed", "import fieldmark, ms", "small - tutorial"):
        assert said in done.stdout
    assert "target largest difference <= 0.001" in done.stdout


BACKBONE = """
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.networks.weights import initial

def graph(size):
    made = plan(parse(f"INPUT {size}x{size}x3 -> CONV 4 3x3 step 4 -> RELU -> GAP -> FC"), 2)
    return onnx_graph(made, initial(made, seed=0))
"""


@pytest.mark.slow
def test_features_are_timed_and_judged_in_every_engine_and_precision(
    module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    features, options = module("features"), module("options")
    monkeypatch.setattr(features, "SIZES", (64,))
    (tmp_path / "backbone.py").write_text(BACKBONE)
    data = pictures(tmp_path / "data", 12, 4)
    found = features.run(
        options.Options(data=data, odd=data, repeats=1, backbone=tmp_path / "backbone.py")
    )
    names = [f"64 {name}" for name in features.VARIANTS]
    assert list(found.records["speed"]) == list(found.records["accuracy"]) == names
    for name in names:
        (record,) = found.records["speed"][name]
        assert record["n"] == 32
        assert record["engine"].startswith(name.split()[1])
        assert found.records["accuracy"][name] == ["100.0 (67.6-100.0)"]  # bright and dark
    assert sum(line.startswith("64 ") for line in found.lines) == 4


def test_features_without_a_backbone_are_skipped(module, tmp_path: Path) -> None:
    options = module("options").Options(data=tmp_path, odd=tmp_path, repeats=1)
    assert module("features").run(options).lines[0].startswith("skipped: --backbone")


def test_what_is_killed_trains_on_pictures_that_can_be_read(module, tmp_path: Path) -> None:
    folder = module("kills")._draw(tmp_path / "blocks", 2)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.bmp"))
    assert files == ["left/0.bmp", "left/1.bmp", "right/0.bmp", "right/1.bmp"]
    halves = [np.asarray(cv2.imread(str(folder / name))) for name in ("left/0.bmp", "right/0.bmp")]
    assert [each.shape for each in halves] == [(48, 48, 3)] * 2
    # The rows of a bitmap stand upside down; left is left.
    assert halves[0][:, :24].mean() > halves[0][:, 24:].mean() + 30
    assert halves[1][:, :24].mean() < halves[1][:, 24:].mean() - 30


def test_kills_are_counted_by_moment_and_a_lost_run_shows(module) -> None:
    records = {
        "small": [
            {"moments": ["steps", "writing a checkpoint", "steps"], "same": True},
            {"moments": ["features"], "same": False},
        ]
    }
    lines = module("kills")._lines(records)
    assert "steps                             2" in lines
    assert lines[-1] == "4 kills of 2 runs; 1 of 2 ended with the bytes of their twin"


def test_every_moment_that_is_seen_is_in_the_table(module) -> None:
    victims = module("victims")
    assert {*victims._EVENTS.values(), *victims._HALF.values()} <= set(victims.MOMENTS)


def test_a_victim_is_aimed_at_early_as_long_as_there_is_something_early(
    module, tmp_path: Path
) -> None:
    victims = module("victims")
    data = module("kills")._draw(tmp_path / "blocks", 8)
    victim = victims.Victim(tmp_path / "room", ["check", str(data)], "check")
    looks = tmp_path / "room" / "cache" / "looks" / "ab"
    looks.mkdir(parents=True)

    def signs() -> set[tuple[str, ...]]:
        return {victim._signs() for _ in range(50)}

    later = victims._SIGNS["check"]
    assert signs() == {victims._EARLY, later}
    (looks / "1.json").write_text(json.dumps(["a"] * 15))
    assert signs() == {victims._EARLY, later}
    (looks / "2.json").write_text(json.dumps(["b"]))
    assert signs() == {victims._FEATURES, later}
    victim.kind = "scratch"
    assert signs() == {(victims._BUILDING,), victims._SIGNS["scratch"]}
    victim.kind = "predict"
    assert signs() == {victims._SIGNS["predict"]}


def test_seconds_are_no_part_of_what_is_compared(module, tmp_path: Path) -> None:
    path = tmp_path / "page.json"
    found = []
    for seconds in (1.0, 2.0):
        facts = {"seconds": {"read": seconds}, "tax": [{"seconds": seconds, "n": 1}]}
        path.write_text(json.dumps(facts))
        found.append(module("kills")._report(tmp_path))
    assert found[0] == found[1] == b'{"tax": [{"n": 1}]}'


def test_verbs_that_do_not_agree_on_a_strange_file_show(module) -> None:
    read = {"a.png": "answered", "b.png": "truncated"}
    same = [{"files": read, "wall_s": 1.0, "peak_rss_mb": 90.0}] * 3
    lines = module("odd_images")._table(same, 2)
    assert lines[1].split() == ["answered", "1", "1", "1"]
    assert lines[3].split() == ["not", "named", "0", "0", "0"]
    assert lines[-1] == "What the verbs say is the same for every file."
    less = [*same[:2], same[0] | {"files": {"a.png": "damaged"}}]
    lines = module("odd_images")._table(less, 2)
    assert ["not", "named", "0", "0", "1"] in [line.split() for line in lines]
    assert lines[-1] == "What the verbs say is NOT the same for ['a.png', 'b.png']."
