from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.inference.predictor import Prediction, Unread
from fieldmark.workflow.run import Run
from tests.workflow.conftest import Finished


def test_a_run_is_found_by_its_folder_its_name_and_latest(finished: Finished) -> None:
    ways = (str(finished.run.folder), finished.run.folder, finished.run.name, "latest")
    for thing in ways:
        assert fm.open_run(thing, runs_folder=finished.runs).folder == finished.run.folder
    assert fm.open_run(finished.run.bundle).folder == finished.run.folder
    assert fm.open_run(runs_folder=finished.runs).name == "shapes-1"


def test_runs_are_looked_up_under_the_current_folder(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.runs.parent)
    assert fm.open_run().name == "shapes-1"
    assert fm.open().name == "shapes-1"
    assert fm.open("runs/shapes-1").model_id == finished.run.predictor.model_id


def test_no_run_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(fm.UsageError, match="no finished run and no model file 'latest'") as caught:
        fm.open_run(runs_folder=tmp_path)
    assert (caught.value.code, caught.value.exit_status) == ("no-run", 2)
    assert "fieldmark train FOLDER" in caught.value.hint


def test_another_name_is_answered_with_the_known_ones(finished: Finished) -> None:
    with pytest.raises(fm.UsageError, match="'flowers-7'") as caught:
        fm.open("flowers-7", runs_folder=finished.runs)
    assert caught.value.hint == "one of: shapes-1"


def test_a_bare_model_file_answers_but_is_no_run(finished: Finished, tmp_path: Path) -> None:
    alone = Path(shutil.copy(finished.run.bundle, tmp_path / "mine.fieldmark"))
    assert fm.open(alone).model_id == finished.run.predictor.model_id
    with pytest.raises(fm.DataError, match="stands alone") as caught:
        fm.open_run(alone)
    assert caught.value.code == "not-a-run"


def test_a_damaged_model_file_is_refused(finished: Finished, tmp_path: Path) -> None:
    data = bytearray(finished.run.bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bad = tmp_path / "bad.fieldmark"
    bad.write_bytes(data)
    with pytest.raises(fm.BundleError, match=r"\w") as caught:
        fm.open(bad)
    assert caught.value.exit_status == 6


def test_a_run_shows_its_number_with_its_doubt(finished: Finished) -> None:
    shown = repr(finished.run)
    assert shown.startswith("<Run shapes-1: accuracy ")
    assert f"{finished.run.report.n} pictures" in shown
    assert " to " in shown


def test_history_is_one_dict_per_epoch(finished: Finished) -> None:
    history = finished.run.history
    assert [epoch["epoch"] for epoch in history] == list(range(1, 16))
    assert set(history[0]) >= {"loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"}
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_worst_test_pictures_come_first(finished: Finished) -> None:
    worst = finished.run.top_losses(5)
    assert [row["path"] for row in worst] == [
        row["path"]
        for row in sorted(finished.rows("predictions.csv"), key=lambda r: -float(r["loss"]))[:5]
    ]
    assert len(finished.run.top_losses(1000)) == finished.run.report.n


def test_one_picture_is_answered_from_a_path_or_from_its_bytes(finished: Finished) -> None:
    path = finished.data / "circle" / "001.png"
    by_path, by_bytes = finished.run.predict(path), finished.run.predict(path.read_bytes())
    assert by_path.scores == by_bytes.scores
    assert (by_path.file, by_bytes.file) == (str(path), "")
    assert sum(entry.score for entry in by_path.scores) == pytest.approx(1, abs=1e-5)


def test_one_bad_picture_is_an_error_and_among_many_it_fails_alone(finished: Finished) -> None:
    good, bad = finished.data / "circle" / "001.png", finished.data / "square" / "cut.png"
    with pytest.raises(fm.UnreadableExample, match="ends too early") as caught:
        finished.run.predict(bad)
    assert caught.value.code == "truncated"
    answers = finished.run.predict_all([good, bad, good])
    assert [type(answer) for answer in answers] == [Prediction, Unread, Prediction]


def test_predicting_by_name_looks_the_model_up(finished: Finished) -> None:
    files = [finished.data / "circle" / "002.png", finished.data / "nowhere.png"]
    first, second = fm.predict("latest", files, runs_folder=finished.runs)
    assert isinstance(first, Prediction)
    assert isinstance(second, Unread)
    assert second.code == "no-file"


def test_a_run_knows_what_limits_its_figures(finished: Finished) -> None:
    card = json.loads((finished.run.folder / "card.json").read_text(encoding="utf-8"))
    assert finished.run.cautions == tuple(card["cautions"])
    assert any("The test part holds only" in each for each in finished.run.cautions)


def test_a_run_of_an_older_version_has_no_cautions(tmp_path: Path) -> None:
    assert Run(tmp_path).cautions == ()
    (tmp_path / "card.json").write_text('{"schema": "fieldmark.facts/1"}', encoding="utf-8")
    assert Run(tmp_path).cautions == ()
