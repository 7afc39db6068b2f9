"""An earlier run stands beside a result, on the same pictures, whatever else lies in the folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fieldmark as fm
from fieldmark import runs
from fieldmark.data import table
from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Example, Manifest
from fieldmark.evaluation.baselines import Baseline
from fieldmark.evaluation.comparison import MIN_UNITS
from fieldmark.evaluation.paired import accuracy_difference
from fieldmark.workflow import earlier
from fieldmark.workflow.earlier import EarlierRuns, TestPart
from fieldmark.workflow.parts import positions
from tests.pictures import SHAPES
from tests.workflow.conftest import LAYERS, Finished, settings

Rows = list[dict[str, str]]


def part_of(finished: Finished) -> TestPart:
    """The test part of the finished run, and what its model had right."""
    rows = [row for row in finished.rows("data.csv") if row["used"] == "1"]
    examples = tuple(
        Example(
            path=row["path"],
            label=row["label"],
            sha256=row["sha256"],
            split=row["split"],  # type: ignore[arg-type]
            cluster=row["cluster"],
        )
        for row in rows
    )
    manifest = Manifest(root=finished.data, examples=examples, classes=SHAPES)
    at = positions(manifest, "test")
    right = np.array([row["correct"] == "1" for row in finished.rows("predictions.csv")])
    groups = unit_numbers([examples[i] for i in at])
    return TestPart(manifest, at, right, groups, seed=3)


@pytest.fixture
def beside(finished: Finished, tmp_path: Path) -> Callable[..., Path]:
    """Put a copy of the finished run beside the one that is about to be: changed, of some age."""

    def put(name: str, *, age: int = 0, **change: Callable[[Rows], Rows]) -> Path:
        folder = tmp_path / "runs" / name
        shutil.copytree(finished.run.folder, folder)
        (folder / finished.run.bundle.name).rename(folder / f"{name}.fieldmark")
        for stem, changed in change.items():
            rows = changed(table.rows(folder / f"{stem}.csv"))
            cells = [list(row.values()) for row in rows]
            (folder / f"{stem}.csv").write_text(table.written(list(rows[0]), cells))
        os.utime(folder, (1e9 - age, 1e9 - age))
        return folder

    return put


@pytest.fixture
def newest(finished: Finished, tmp_path: Path) -> Callable[..., Baseline | None]:
    def ask(name: str = "shapes-9", data: str = "/elsewhere") -> Baseline | None:
        own = runs.RunFolder(tmp_path / "runs" / name)
        own.path.mkdir(parents=True, exist_ok=True)
        return EarlierRuns(own, data).newest(part_of(finished))

    return ask


def all_wrong(rows: Rows) -> Rows:
    for row in rows:
        row["predicted"] = SHAPES[(SHAPES.index(row["label"]) + 1) % 3]
    return rows


def test_it_is_measured_and_paired_on_the_same_pictures(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None], finished: Finished
) -> None:
    beside("shapes-1", predictions=all_wrong)
    found, part = newest(), part_of(finished)
    assert found is not None
    assert (found.name, found.simple) == ("shapes-1", False)
    assert (found.accuracy.value, found.accuracy.n) == (0, len(part.at))
    n = len(part.at)
    assert found.what.endswith(f"as its training measured it on the same {n} pictures.")
    groups = None if len(np.unique(part.groups)) == n else part.groups
    wrong = np.zeros(n, bool)
    assert found.ahead == accuracy_difference(wrong, part.right, groups, level=0.95, seed=3)


def test_the_newest_is_taken(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None]
) -> None:
    for number, age in ((1, 30), (2, 10), (3, 20)):
        beside(f"shapes-{number}", age=age)
    found = newest()
    assert found is not None
    assert found.name == "shapes-2"


def test_pairs_are_made_by_content_not_by_order(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None], finished: Finished
) -> None:
    beside("shapes-1", predictions=lambda rows: rows[::-1])
    found = newest()
    assert found is not None
    assert found.accuracy.value == part_of(finished).right.mean()
    assert found.ahead is not None
    assert found.ahead.value == 0


def test_only_common_pictures_count_and_it_is_said(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None], finished: Finished
) -> None:
    beside("shapes-1", predictions=lambda rows: rows[:-2])
    found, n = newest(), len(part_of(finished).at)
    assert found is not None
    assert found.accuracy.n == n - 2
    assert found.what.endswith(f"on {n - 2} of the {n} pictures.")


def test_what_it_learned_from_does_not_count(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None], finished: Finished
) -> None:
    def learned(rows: Rows) -> Rows:
        first = next(row for row in rows if row["split"] == "test")
        return [row | {"split": "train"} if row is first else row for row in rows]

    beside("shapes-1", data=learned)
    found = newest()
    assert found is not None
    assert found.accuracy.n == len(part_of(finished).at) - 1


def test_a_picture_with_another_label_does_not_count(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None], finished: Finished
) -> None:
    def relabelled(rows: Rows) -> Rows:
        rows[0]["label"] = SHAPES[(SHAPES.index(rows[0]["label"]) + 1) % 3]
        return rows

    beside("shapes-1", predictions=relabelled)
    found = newest()
    assert found is not None
    assert found.accuracy.n == len(part_of(finished).at) - 1


def test_a_run_with_too_few_common_pictures_gives_way_to_an_older_one(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None]
) -> None:
    beside("shapes-1", age=20)
    beside("shapes-2", predictions=lambda rows: rows[: MIN_UNITS - 1])
    found = newest()
    assert found is not None
    assert found.name == "shapes-1"


def test_runs_of_other_data_do_not_count_but_the_folder_does(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None], finished: Finished
) -> None:
    beside("pets-1")
    assert newest() is None
    found = newest(data=str(finished.data.absolute()))
    assert found is not None
    assert found.name == "pets-1"


def test_itself_and_unfinished_runs_do_not_count(
    beside: Callable[..., Path], newest: Callable[..., Baseline | None]
) -> None:
    (beside("shapes-1") / "shapes-1.fieldmark").unlink()
    beside("shapes-9")
    assert newest() is None


def test_a_folder_that_is_not_there_holds_no_run(finished: Finished, tmp_path: Path) -> None:
    own = runs.RunFolder(tmp_path / "none" / "shapes-1")
    assert EarlierRuns(own, "").newest(part_of(finished)) is None


def no_answers(run: Path) -> None:
    (run / "predictions.csv").unlink()


def no_data_list(run: Path) -> None:
    (run / "data.csv").unlink()


def folder_for_a_list(run: Path) -> None:
    (run / "predictions.csv").unlink()
    (run / "predictions.csv").mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no answers": no_answers,
    "empty answers": lambda run: (run / "predictions.csv").write_bytes(b""),
    "cut answers": lambda run: (run / "predictions.csv").write_text("path,label\na,b\n"),
    "not text": lambda run: (run / "predictions.csv").write_bytes(bytes(range(256)) * 9),
    "more cells than the header": lambda run: (run / "predictions.csv").write_text("a\n1,2,3\n"),
    "a cell without an end": lambda run: (run / "predictions.csv").write_text(
        'path\n"' + "x" * 200_000
    ),
    "a folder for a list": folder_for_a_list,
    "no data list": no_data_list,
    "another data list": lambda run: (run / "data.csv").write_text("path,group\na,\n"),
    "another split list": lambda run: (run / "split.csv").write_text("a\n1\n"),
    "settings of nothing": lambda run: (run / "config.toml").write_bytes(b"\xff = ["),
    "a list too long": lambda run: os.truncate(run / "predictions.csv", earlier.MAX_BYTES + 1),
    "other classes": lambda run: (run / "predictions.csv").write_text(
        (run / "predictions.csv").read_text().replace("circle", "ring")
    ),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_run_is_passed_over_for_an_older_one(
    damage: str, beside: Callable[..., Path], newest: Callable[..., Baseline | None]
) -> None:
    beside("shapes-1", age=20)
    broken = beside("shapes-2")
    DAMAGE[damage](broken)
    os.utime(broken, (1e9, 1e9))
    found = newest()
    assert found is not None
    assert found.name == "shapes-1"


# --- in a training


@pytest.fixture(scope="module")
def second(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> fm.Run:
    """Train again beside a good run, hardly at all, with a broken run between them."""
    folder = tmp_path_factory.mktemp("second") / "runs"
    shutil.copytree(finished.run.folder, folder / "shapes-1")
    broken = Path(shutil.copytree(finished.run.folder, folder / "shapes-2"))
    (broken / "shapes-1.fieldmark").rename(broken / "shapes-2.fieldmark")
    (broken / "predictions.csv").write_bytes(b"\x00broken")
    asked = settings(folder, epochs=1, lr=0.0001, seed=3)
    return fm.train(finished.data, LAYERS, settings=asked)


def test_the_next_training_shows_the_one_before(second: fm.Run, finished: Finished) -> None:
    found = second.report.baselines[-1]
    assert (second.name, found.name) == ("shapes-3", "shapes-1")
    told = finished.run.report.accuracy
    assert (found.accuracy.value, found.accuracy.n) == (told.value, told.n)
    assert found.ahead is not None
    assert found.ahead.value == pytest.approx(second.report.accuracy.value - told.value)
    assert any(line.startswith("  shapes-1 ") for line in second.report.lines(80))


def test_the_model_file_holds_nothing_of_the_runs_around_it(second: fm.Run) -> None:
    inside = second.predictor.bundle
    assert [each["name"] for each in inside.report["baselines"]] == [
        each.name for each in second.report.baselines[:-1]
    ]
    assert (second.folder / "MODEL_CARD.md").read_text(encoding="utf-8") == inside.card


def test_a_changed_metrics_file_is_not_believed(second: fm.Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(second.folder, tmp_path / second.name))
    metrics = folder / "metrics.json"
    text = metrics.read_text(encoding="utf-8")
    for changed in ("{", "[1]", text.replace('"n": ', '"n": 1'), "{}"):
        metrics.write_text(changed, encoding="utf-8")
        assert fm.open_run(folder).report == second.report.alone
    metrics.unlink()
    assert fm.open_run(folder).report == second.report.alone
