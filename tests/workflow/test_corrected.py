"""Measuring under a fix list: in the folder, named, or on the run's own test part."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.config import DataSettings
from fieldmark.data import split_file
from tests.pictures import write_shapes
from tests.workflow.conftest import Finished, hashes


@pytest.fixture
def more(tmp_path: Path) -> Path:
    return write_shapes(tmp_path / "more", 3)


def fixes(file: Path, *lines: str) -> Path:
    file.write_text("\n".join(["path,action,value,sha256", *lines]), encoding="utf-8")
    return file


def test_a_fix_list_in_the_folder_is_obeyed(finished: Finished, more: Path) -> None:
    before = fm.evaluate(finished.run.folder, more)
    fixes(
        more / "overrides.csv",
        "circle/000.png,leave-out,,",
        "circle/001.png,relabel,square,",
        f"square/001.png,leave-out,,{'0' * 64}",
    )
    kept = hashes(more)
    after = fm.evaluate(finished.run.folder, more)
    assert (before.report.n, after.report.n) == (9, 8)
    assert [label for label, _ in after.predictions].count("square") == 4
    assert [note.code for note in after.notes] == ["override-stale"]
    assert ("circle/000.png", "left-out-by-list") in [(e.path, e.code) for e in after.left_out]
    assert hashes(more) == kept


def test_a_fix_list_is_obeyed_where_the_data_set_says_so(
    finished: Finished, more: Path, tmp_path: Path
) -> None:
    listed = fixes(tmp_path / "mine.csv", "circle/000.png,leave-out,,")
    fixes(more / "overrides.csv", "square/000.png,leave-out,,", "square/001.png,leave-out,,")
    run = finished.run.folder
    assert fm.evaluate(run, fm.load(more, overrides=listed)).report.n == 8
    assert fm.evaluate(run, fm.load(more, overrides="none")).report.n == 9
    assert fm.evaluate(run, fm.load(more)).report.n == 7
    assert fm.evaluate(run, DataSettings(folder=str(more), overrides=str(listed))).report.n == 8


def test_a_list_may_leave_a_class_out_of_what_is_measured(finished: Finished, more: Path) -> None:
    fixes(more / "overrides.csv", *(f"circle/00{at}.png,leave-out,," for at in range(3)))
    assert fm.evaluate(finished.run.folder, more).report.n == 6


def test_nothing_left_to_measure_is_an_error(finished: Finished, tmp_path: Path) -> None:
    one = write_shapes(tmp_path / "one", 1)
    names = ("circle", "square", "triangle")
    fixes(one / "overrides.csv", *(f"{name}/000.png,leave-out,," for name in names))
    with pytest.raises(fm.DataError, match="Not one picture") as caught:
        fm.evaluate(finished.run.folder, one)
    assert caught.value.code == "nothing-to-measure"


def test_a_list_that_empties_the_test_folder_does_not_turn_to_the_training_folder(
    finished: Finished, tmp_path: Path
) -> None:
    write_shapes(tmp_path / "parts" / "train", 2)
    write_shapes(tmp_path / "parts" / "test", 1)
    names = ("circle", "square", "triangle")
    fixes(
        tmp_path / "parts" / "overrides.csv",
        *(f"test/{name}/000.png,leave-out,," for name in names),
    )
    with pytest.raises(fm.DataError, match="Not one picture"):
        fm.evaluate(finished.run.folder, tmp_path / "parts")


def test_the_own_test_part_is_measured_under_a_list_that_is_named(
    finished: Finished, tmp_path: Path
) -> None:
    gone = finished.rows("predictions.csv")[0]["path"]
    listed = fixes(tmp_path / "mine.csv", f"{gone},leave-out,,")
    run = finished.run
    found = fm.evaluate(run.folder, DataSettings(overrides=str(listed)))
    assert found.report.n == run.report.n - 1
    assert [each.path for each in found.left_out] == [gone]


def test_a_list_that_came_later_does_not_change_a_runs_own_figure(
    finished: Finished, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished.run.folder, tmp_path / "runs" / "shapes-1"))
    data = Path(shutil.copytree(finished.data, tmp_path / "shapes"))
    config = (run / "config.toml").read_text(encoding="utf-8")
    config = config.replace(str(finished.data), str(data))
    (run / "config.toml").write_text(config, encoding="utf-8")
    gone = finished.rows("predictions.csv")[0]["path"]
    fixes(data / "overrides.csv", f"{gone},leave-out,,")
    assert fm.evaluate(run).report.confusion == finished.run.report.confusion


def test_a_run_keeps_its_split_and_can_be_split_by_it_again(finished: Finished) -> None:
    saved = split_file.read(finished.run.folder / "split.csv")
    listed = {row["path"]: row["split"] for row in finished.rows("data.csv") if row["used"] == "1"}
    assert {row.path: row.split for row in saved.rows} == listed
