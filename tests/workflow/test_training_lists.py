"""Training under lists: the fix list, groups, and a split that was saved."""

from __future__ import annotations

from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.config import Settings, read
from fieldmark.workflow.splitting import split_folder
from tests.pictures import write_shapes
from tests.workflow.conftest import LAYERS, hashes, rows_of, settings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Shapes with a fix list beside them."""
    root = write_shapes(tmp_path / "shapes", 12)
    (root / "overrides.csv").write_text(
        "path,action,value\ncircle/000.png,leave-out,\ncircle/001.png,relabel,square\n"
    )
    return root


def used(run: fm.Run) -> dict[str, tuple[str, str, str]]:
    rows = rows_of(run.folder / "data.csv")
    return {r["path"]: (r["label"], r["split"], r["group"]) for r in rows if r["used"] == "1"}


def asked(tmp_path: Path, name: str = "runs") -> Settings:
    return settings(tmp_path / name, epochs=1)


def test_a_run_obeys_lists_and_a_saved_split_and_can_be_repeated(
    data: Path, tmp_path: Path
) -> None:
    before = hashes(data)
    rules = {"groups": r"name:^\d\d(\d)"}
    cut = split_folder(
        data,
        tmp_path / "split.csv",
        settings=Settings().changed("data", rules).changed("split", {"seed": 9}),
    )
    wanted = (
        asked(tmp_path)
        .changed("data", rules)
        .changed("split", {"file": str(tmp_path / "split.csv")})
    )
    run = fm.train(data, LAYERS, settings=wanted)
    assert used(run) == {e.path: (e.label, e.split, e.group) for e in cut.manifest.examples}
    assert used(run)["circle/001.png"][0] == "square"
    left_out = {r["path"]: r["problem"] for r in rows_of(run.folder / "data.csv")}
    assert left_out["circle/000.png"] == "left-out-by-list"
    assert "overrides.csv" not in left_out
    kept = read(run.folder / "config.toml")
    assert kept.data.overrides == str(data / "overrides.csv")
    elsewhere = kept.changed("run", {"out": str(tmp_path / "again")})
    again = fm.train(kept.data.folder, settings=elsewhere)
    assert used(again) == used(run)
    assert again.report.confusion == run.report.confusion
    assert hashes(data) == before


def test_a_fix_list_that_came_later_does_not_change_a_repetition(
    tmp_path: Path,
) -> None:
    root = write_shapes(tmp_path / "shapes", 10)
    run = fm.train(root, LAYERS, settings=asked(tmp_path))
    kept = read(run.folder / "config.toml")
    assert kept.data.overrides == "none"
    (root / "overrides.csv").write_text("path,action\ncircle/000.png,leave-out\n")
    again = fm.train(root, settings=kept.changed("run", {"out": str(tmp_path / "again")}))
    assert used(again) == used(run)


def test_a_data_set_that_was_split_under_a_list_is_trained_so(data: Path, tmp_path: Path) -> None:
    cut = fm.load(data).split(seed=4, folds=3)
    run = fm.train(cut, LAYERS, settings=asked(tmp_path))
    assert used(run) == {e.path: (e.label, e.split, e.group) for e in cut}
    assert {row["fold"] for row in rows_of(run.folder / "split.csv")} == {"0", "1", "2"}
