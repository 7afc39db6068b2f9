"""A finished run: which files it leaves, that they agree, that it can be repeated."""

from __future__ import annotations

import json
import tomllib
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fieldmark as fm
from fieldmark.config import read
from fieldmark.data.batches import ids_of
from fieldmark.networks.layer_table import layer_table
from fieldmark.training.events import DataChecked, Planned, RunFinished, RunStarted
from fieldmark.workflow import artefacts, training
from fieldmark.workflow.environment import fingerprint
from fieldmark.workflow.machine import cores
from tests.workflow.conftest import LAYERS, LEFT_OUT, N_EACH, Finished, hashes, rows_of, settings

PROMISED = {
    "DATA_SHEET.md",
    "METHODS.md",
    "MODEL_CARD.md",
    "card.json",
    "command.txt",
    "config.toml",
    "confusion_matrix.png",
    "confusion_matrix_normalized.png",
    "data.csv",
    "environment.json",
    "errors.csv",
    "layers.json",
    "log.jsonl",
    "looks.jsonl",
    "lr_find.csv",
    "lr_find.png",
    "metrics.json",
    "model.onnx",
    "predictions.csv",
    "promise.json",
    "report.html",
    "results.csv",
    "results.png",
    "shapes-1.fieldmark",
    "slices.csv",
    "split.csv",
    "top_losses.jpg",
    "train_batch0.jpg",
    "weak_spots.json",
}


def loaded(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def parts(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def repeated(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> fm.Run:
    """The same run again, from nothing but the settings it saved."""
    asked = read(finished.run.folder / "config.toml")
    elsewhere = str(tmp_path_factory.mktemp("again") / "runs")
    return fm.train(asked.data.folder, settings=asked.changed("run", {"out": elsewhere}))


# --- the folder


def test_a_run_folder_holds_exactly_the_promised_files(finished: Finished) -> None:
    assert {path.name for path in finished.run.folder.iterdir()} == PROMISED


def test_every_file_holds_something(finished: Finished) -> None:
    assert all(path.stat().st_size > 20 for path in finished.run.folder.iterdir())


def test_no_half_written_file_is_left(finished: Finished) -> None:
    assert list(finished.runs.rglob("*.part")) == []
    assert sorted(path.name for path in finished.runs.iterdir()) == ["latest.txt", "shapes-1"]


def test_a_run_without_a_range_test_has_no_files_about_one(repeated: fm.Run) -> None:
    found = {path.name for path in repeated.folder.iterdir()}
    assert PROMISED - found == {"lr_find.csv", "lr_find.png"}
    assert found < PROMISED


def test_the_pictures_are_pictures(finished: Finished) -> None:
    starts = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff"}
    pictures = [path for path in finished.run.folder.iterdir() if path.suffix in starts]
    assert len(pictures) == 6
    for path in pictures:
        assert path.read_bytes().startswith(starts[path.suffix]), path.name


def test_the_newest_run_is_named(finished: Finished) -> None:
    assert (finished.runs / "latest.txt").read_text(encoding="utf-8") == "shapes-1\n"


def test_the_command_is_kept(finished: Finished) -> None:
    kept = (finished.run.folder / "command.txt").read_text(encoding="utf-8")
    assert kept == "fieldmark train shapes\n"


def test_a_run_whose_files_could_not_be_written_is_not_a_finished_one(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(artefacts, "_write_pictures", fail)
    with pytest.raises(OSError, match="No space left"):
        fm.train(shapes, LAYERS, epochs=1, settings=settings(tmp_path / "runs"))
    assert (tmp_path / "runs" / "shapes-1").is_dir()
    with pytest.raises(fm.UsageError, match="no finished run"):
        fm.open_run("latest", runs_folder=tmp_path / "runs")
    assert list(tmp_path.rglob("*.part")) == []


# --- the data


def test_the_data_folder_is_not_touched(finished: Finished) -> None:
    assert hashes(finished.data) == finished.before


def test_used_and_left_out_are_everything_that_was_found(finished: Finished) -> None:
    rows = finished.rows("data.csv")
    assert list(rows[0]) == [
        *("path", "sha256", "label", "group", "split", "problem", "used", "cluster")
    ]
    assert sorted(row["path"] for row in rows) == sorted(finished.before)
    used = [row for row in rows if row["used"] == "1"]
    assert len(used) == 3 * N_EACH
    assert {row["path"]: row["problem"] for row in rows if row["used"] == "0"} == LEFT_OUT
    assert all(row["split"] in ("train", "valid", "test") and not row["problem"] for row in used)
    assert not any(row["split"] for row in rows if row["used"] == "0")


def test_hashes_and_labels_in_the_list_are_those_of_the_files(finished: Finished) -> None:
    for row in finished.rows("data.csv"):
        if row["used"] == "1":
            assert finished.before[row["path"]].startswith(row["sha256"])
            assert row["path"].startswith(row["label"] + "/")


def test_what_was_said_about_the_data_is_what_the_list_holds(finished: Finished) -> None:
    (said,) = [event for event in finished.events if isinstance(event, DataChecked)]
    rows = finished.rows("data.csv")
    assert (said.n_found, said.n_used, said.n_left_out) == (len(rows), 90, len(LEFT_OUT))
    assert said.left_out == dict(Counter(LEFT_OUT.values()))
    counts = Counter(row["split"] for row in rows)
    assert (said.train, said.valid, said.test) == (
        counts["train"],
        counts["valid"],
        counts["test"],
    )
    assert said.classes == ("circle", "square", "triangle")


# --- the test part


def test_the_loop_never_gets_a_test_picture(finished: Finished) -> None:
    """Held against the list that was written, by content."""
    rows = finished.rows("data.csv")
    of = {
        part: ids_of([r["sha256"] for r in rows if r["split"] == part])
        for part in ("train", "valid", "test")
    }
    given = finished.given
    assert sorted(given.train.ids.tolist()) == sorted(of["train"].tolist())
    assert sorted(given.valid.ids.tolist()) == sorted(of["valid"].tolist())
    assert not set(of["test"].tolist()) & {*given.train.ids.tolist(), *given.valid.ids.tolist()}
    assert not set(given.train.rows.tolist()) & set(given.valid.rows.tolist())
    n_rows = len(given.train.rows) + len(given.valid.rows)
    assert n_rows == 90 - len(of["test"])


def test_validation_is_neither_shuffled_nor_augmented(finished: Finished) -> None:
    assert finished.given.valid.augmentation is None
    assert not finished.given.valid.shuffle
    assert finished.given.train.augmentation is not None
    assert finished.given.train.shuffle


def test_the_test_part_is_measured_once_after_the_last_choice(finished: Finished) -> None:
    names = [event.name for event in finished.events]
    assert names.count("evaluated") == 1
    assert names[names.index("early_stop") :][:3] == ["early_stop", "noted", "evaluated"]


# --- the numbers


def test_predictions_and_metrics_agree(finished: Finished) -> None:
    rows = finished.rows("predictions.csv")
    metrics = loaded(finished.run.folder / "metrics.json")
    classes = metrics["classes"]
    assert list(rows[0]) == [
        *("path", "sha256", "label", "predicted", "correct", "loss"),
        *(f"score:{name}" for name in classes),
    ]
    assert metrics["n"] == len(rows)
    right = [int(row["correct"]) for row in rows]
    assert metrics["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert np.mean(right) > 0
    assert metrics["log_loss"]["value"] == pytest.approx(
        np.mean([float(row["loss"]) for row in rows]), abs=1e-5
    )
    pairs = Counter((row["label"], row["predicted"]) for row in rows)
    assert metrics["confusion"] == [[pairs[true, said] for said in classes] for true in classes]


def test_each_prediction_agrees_with_itself(finished: Finished) -> None:
    for row in finished.rows("predictions.csv"):
        scores = {
            name.removeprefix("score:"): float(value)
            for name, value in row.items()
            if name.startswith("score:")
        }
        assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
        assert row["predicted"] == max(scores, key=scores.__getitem__)
        assert row["correct"] == str(int(row["predicted"] == row["label"]))
        assert float(row["loss"]) == pytest.approx(-np.log(scores[row["label"]]), abs=1e-3)


def test_predictions_are_of_exactly_the_test_part(finished: Finished) -> None:
    listed = [row["path"] for row in finished.rows("data.csv") if row["split"] == "test"]
    assert [row["path"] for row in finished.rows("predictions.csv")] == listed


def test_results_have_one_row_per_epoch_with_the_numbers_of_the_log(finished: Finished) -> None:
    rows = finished.rows("results.csv")
    assert list(rows[0]) == [
        *("epoch", "seconds", "train/loss", "train/accuracy"),
        *("val/loss", "val/accuracy", "lr"),
    ]
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, 16)]
    names = {"train/loss": "loss", "val/loss": "val_loss", "val/accuracy": "val_accuracy"}
    for row, told in zip(rows, finished.run.history, strict=True):
        for column, name in names.items():
            assert float(row[column]) == pytest.approx(told[name], rel=1e-5)


def test_the_range_test_is_kept_with_its_numbers(finished: Finished) -> None:
    rows = finished.rows("lr_find.csv")
    assert list(rows[0]) == ["lr", "loss"]
    rates = [float(row["lr"]) for row in rows]
    assert rates == sorted(rates)
    assert len(rates) > 10


def test_the_report_in_the_bundle_is_the_one_in_the_folder(finished: Finished) -> None:
    metrics = loaded(finished.run.folder / "metrics.json")
    parity = metrics.pop("parity")
    assert metrics == json.loads(parts(finished.run.bundle)["report.json"])
    assert metrics == finished.run.report.to_dict()
    n_valid = sum(row["split"] == "valid" for row in finished.rows("data.csv"))
    assert parity["n_pictures"] == n_valid
    assert 0 <= parity["largest_score_difference"] < 1e-4


def test_the_graph_the_card_and_the_layers_are_the_bundles(finished: Finished) -> None:
    folder, inside = finished.run.folder, parts(finished.run.bundle)
    assert (folder / "model.onnx").read_bytes() == inside["model.onnx"]
    assert (folder / "MODEL_CARD.md").read_bytes() == inside["card.md"]
    assert inside["network.txt"].decode() == LAYERS
    table = layer_table(finished.given.plan, name="layers").to_dict()
    assert loaded(folder / "layers.json") == json.loads(json.dumps(table))


def test_the_report_page_names_the_run_its_number_and_its_command(finished: Finished) -> None:
    page = (finished.run.folder / "report.html").read_text(encoding="utf-8")
    assert "shapes-1" in page
    assert finished.run.report.accuracy.text in page
    assert "fieldmark train shapes" in page
    assert finished.run.predictor.model_id.removeprefix("sha256:")[:12] in page


def test_the_environment_is_recorded(finished: Finished) -> None:
    found = loaded(finished.run.folder / "environment.json")
    assert set(found) == {"created", "platform", "backend", "seed", "fingerprint"}
    assert found["seed"] == 3
    assert found["fingerprint"] == fingerprint(cores())
    assert found["created"] == finished.run.predictor.bundle.created


# --- what was said


def test_events_come_in_order_and_are_logged(finished: Finished) -> None:
    names = [event.name for event in finished.events]
    assert names == [
        *("run_started", "data_checked", "planned", "lr_found", "promised"),
        *["epoch"] * 15,
        *("early_stop", "noted", "evaluated", "run_finished"),
    ]
    lines = (finished.run.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    told = [json.loads(json.dumps(event.to_dict())) for event in finished.events]
    assert [json.loads(line) for line in lines] == told


def test_events_name_the_files(finished: Finished) -> None:
    first, last = finished.events[0], finished.events[-1]
    assert isinstance(first, RunStarted)
    assert isinstance(last, RunFinished)
    assert (first.run, Path(first.folder)) == ("shapes-1", finished.run.folder)
    assert Path(last.bundle) == finished.run.bundle
    assert Path(last.report) == finished.run.folder / "report.html"
    assert last.seconds > 0


def test_the_plan_is_said_before_the_first_epoch(finished: Finished) -> None:
    (plan,) = [event for event in finished.events if isinstance(event, Planned)]
    assert (plan.network, plan.layers, plan.why) == ("layers", LAYERS, "as asked")
    assert plan.weights == finished.given.plan.n_weights
    assert plan.recipe == finished.given.recipe.to_dict()


# --- the same again


def test_the_saved_settings_hold_no_auto(finished: Finished) -> None:
    tables = tomllib.loads((finished.run.folder / "config.toml").read_text(encoding="utf-8"))
    head = tables.pop("head")  # of a backbone, which this network does not have
    assert head["fine_tune"] == "none"
    assert tables.pop("audit") == {"clean": True, "near": 0.9, "suspects": "auto"}  # of check
    values = [value for table in tables.values() for value in table.values()]
    assert "auto" not in values
    (found,) = [event for event in finished.events if event.name == "lr_found"]
    assert tables["train"]["lr"] == found.to_dict()["lr"]
    assert (tables["train"]["epochs"], tables["net"]["layers"]) == (15, LAYERS)


def test_the_saved_settings_repeat_the_run_byte_for_byte(
    finished: Finished, repeated: fm.Run
) -> None:
    """All but the header, which holds the moment of writing."""
    first, again = parts(finished.run.bundle), parts(repeated.bundle)
    assert list(first) == list(again)
    for name in first.keys() - {"fieldmark.json"}:
        assert first[name] == again[name], name
    headers = [json.loads(each["fieldmark.json"]) for each in (first, again)]
    for header in headers:
        header.pop("created")
    assert headers[0] == headers[1]


@pytest.mark.parametrize("name", ["data.csv", "predictions.csv", "metrics.json", "model.onnx"])
def test_a_repeated_run_leaves_the_same_tables(
    name: str, finished: Finished, repeated: fm.Run
) -> None:
    assert (finished.run.folder / name).read_bytes() == (repeated.folder / name).read_bytes()


def test_a_repeated_run_learns_in_the_same_steps(finished: Finished, repeated: fm.Run) -> None:
    first, again = finished.rows("results.csv"), rows_of(repeated.folder / "results.csv")
    for one, other in zip(first, again, strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_what_ships_does_not_tell_where_it_was_trained(finished: Finished) -> None:
    place = str(finished.data.parent).encode()
    assert place in (finished.run.folder / "config.toml").read_bytes()
    for name, data in parts(finished.run.bundle).items():
        assert place not in data, name
        assert str(finished.runs.parent).encode() not in data, name


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"epochs": 3}, "--epochs"), ({"lr": 0.1, "sizes": "8,16"}, "--lr, --sizes")],
)
def test_settings_that_a_solved_head_has_no_use_for_are_refused(
    changes: dict[str, Any], named: str
) -> None:
    given = fm.Settings().changed("train", changes)
    with pytest.raises(fm.UsageError, match=f"A solved head has no use for {named}") as caught:
        training._check_used(given)
    assert caught.value.code == "setting-unused"


@pytest.mark.parametrize(
    ("table", "changes"),
    [("head", {"fine_tune": "blocks"}), ("train", {"time": "10m"}), ("train", {"seed": 3})],
)
def test_they_are_used_where_something_is_trained(table: str, changes: dict[str, Any]) -> None:
    given = fm.Settings().changed("train", {"epochs": 3} if "seed" not in changes else {})
    training._check_used(given.changed(table, changes))
