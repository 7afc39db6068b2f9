from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import fieldmark as fm
from fieldmark import cli
from fieldmark.config import read, to_toml
from fieldmark.data import table
from fieldmark.inference.predictor import Prediction
from fieldmark.modalities import MODALITIES
from fieldmark.workflow.measuring import Evaluation
from tests.pictures import SHAPES, png, write_numbers, write_shapes
from tests.workflow.conftest import Finished


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished run's folder that a test may change."""
    return Path(shutil.copytree(finished.run.folder, tmp_path / "runs" / finished.run.name))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that nobody has seen."""
    return write_numbers(tmp_path_factory.mktemp("others"), range(500, 510))


def scores(answer: Prediction) -> dict[str, float]:
    return {entry.label: entry.score for entry in answer.scores}


# --- its own test part


def test_the_own_test_part_gives_the_runs_report_again(finished: Finished) -> None:
    found, told = fm.evaluate(finished.run.folder), finished.run.report
    assert found.unread == ()
    assert (found.report.n, found.report.classes) == (told.n, told.classes)
    assert found.report.confusion == told.confusion
    assert found.report.accuracy == told.accuracy
    assert found.report.per_class == told.per_class
    assert found.report.macro_f1.value == told.macro_f1.value
    assert found.report.log_loss.value == pytest.approx(told.log_loss.value, abs=1e-6)
    assert (found.report.baseline, found.report.baseline_class) == (
        told.baseline,
        told.baseline_class,
    )


def test_the_resampled_intervals_are_the_runs_too(finished: Finished) -> None:
    """The run's seed was 3; another seed would resample other pictures."""
    found, told = fm.evaluate(finished.run.folder).report, finished.run.report
    for name in ("log_loss", "macro_f1", "balanced_accuracy", "brier", "auc"):
        one, other = getattr(found, name), getattr(told, name)
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-6)


def test_latest_is_the_newest_run_of_the_runs_folder(finished: Finished) -> None:
    found = fm.evaluate(runs_folder=finished.runs)
    assert found.report.confusion == finished.run.report.confusion
    assert found.report.conditions["part"] == "test part of shapes-1"


def test_a_test_picture_that_has_vanished_is_named_and_does_not_count(
    copied: Path, finished: Finished, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(finished.data, tmp_path / "shapes"))
    asked = read(copied / "config.toml").changed("data", {"folder": str(data)})
    (copied / "config.toml").write_text(to_toml(asked), encoding="utf-8")
    gone = finished.rows("predictions.csv")[0]["path"]
    (data / gone).unlink()
    found = fm.evaluate(copied)
    assert found.report.n == finished.run.report.n - 1
    assert [(each.file, each.code) for each in found.unread] == [(str(data / gone), "no-file")]


def test_data_that_has_moved_is_an_error_that_says_what_to_give(copied: Path) -> None:
    asked = read(copied / "config.toml").changed("data", {"folder": "/moved/elsewhere"})
    (copied / "config.toml").write_text(to_toml(asked), encoding="utf-8")
    with pytest.raises(fm.DataError, match=r"None of the \d+ test pictures of shapes-1") as caught:
        fm.evaluate(copied)
    assert caught.value.code == "data-moved"
    assert caught.value.where == "/moved/elsewhere"
    assert caught.value.hint == "fieldmark evaluate shapes-1 FOLDER"


def test_a_model_file_alone_has_no_test_part(finished: Finished, tmp_path: Path) -> None:
    alone = shutil.copy(finished.run.bundle, tmp_path)
    with pytest.raises(fm.DataError, match="stands alone") as caught:
        fm.evaluate(alone)
    assert caught.value.code == "not-a-run"


# --- another folder


def test_another_folder_is_measured_by_class_name(finished: Finished, others: Path) -> None:
    found = fm.evaluate(finished.run.folder, others)
    assert found.report.n == 30
    assert found.report.conditions["part"] == str(others)
    truth = [label for label, _ in found.predictions]
    right = [label == answer.label for label, answer in found.predictions]
    assert truth == [name for name in SHAPES for _ in range(10)]
    assert found.report.accuracy.value == pytest.approx(np.mean(right))
    assert [Path(answer.file).parent.name for _, answer in found.predictions] == truth


def test_a_model_file_alone_can_measure_a_folder(
    finished: Finished, others: Path, tmp_path: Path
) -> None:
    alone = shutil.copy(finished.run.bundle, tmp_path)
    found, expected = fm.evaluate(alone, others), fm.evaluate(finished.run.folder, others)
    assert found.report == expected.report


def test_of_ready_made_parts_only_the_test_part_is_measured(
    finished: Finished, tmp_path: Path
) -> None:
    write_numbers(tmp_path / "parts" / "train", range(6))
    write_numbers(tmp_path / "parts" / "test", range(600, 604))
    found = fm.evaluate(finished.run.folder, tmp_path / "parts")
    assert found.report.n == 12
    assert all("/test/" in Path(answer.file).as_posix() for _, answer in found.predictions)


def test_copies_of_a_picture_count_once_in_the_intervals(
    finished: Finished, others: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(others, tmp_path / "others"))
    for file in sorted(folder.rglob("*.png")):
        for number in range(4):
            shutil.copy(file, file.with_name(f"{file.stem}-{number}.png"))
    once = fm.evaluate(finished.run.folder, others).report
    found = fm.evaluate(finished.run.folder, folder).report
    assert (once.n, once.n_groups) == (30, None)
    assert (found.n, found.n_groups) == (150, 30)
    assert found.accuracy.value == once.accuracy.value
    assert found.accuracy.low <= once.accuracy.low
    assert found.accuracy.high >= once.accuracy.high


def test_groups_of_a_data_set_count_in_the_intervals(finished: Finished, others: Path) -> None:
    found = fm.evaluate(finished.run.folder, fm.load(others, groups=r"name:(\d)\D*$")).report
    assert (found.n, found.n_groups) == (30, 10)


def test_a_run_that_wrote_down_no_clusters_is_still_measured(
    copied: Path, finished: Finished
) -> None:
    """So did older versions."""
    rows = finished.rows("data.csv")
    kept = [name for name in rows[0] if name != "cluster"]
    lines = [[row[name] for name in kept] for row in rows]
    (copied / "data.csv").write_text(table.written(kept, lines), encoding="utf-8")
    assert fm.evaluate(copied).report.confusion == finished.run.report.confusion


def test_one_class_alone_can_be_measured(finished: Finished, tmp_path: Path) -> None:
    write_shapes(tmp_path / "more", 4)
    for label in SHAPES[1:]:
        shutil.rmtree(tmp_path / "more" / label)
    found = fm.evaluate(finished.run.folder, tmp_path / "more")
    assert found.report.n == 4
    assert set(found.report.missing_classes) == set(SHAPES[1:])


def test_a_test_part_alone_can_be_measured(finished: Finished, tmp_path: Path) -> None:
    write_shapes(tmp_path / "more" / "test", 4)
    assert fm.evaluate(finished.run.folder, tmp_path / "more").report.n == 4 * len(SHAPES)


def test_pictures_the_model_learned_from_are_counted(
    finished: Finished, shapes: Path, others: Path
) -> None:
    run = finished.run
    assert fm.evaluate(run.folder).n_seen == 0
    assert fm.evaluate(run.folder, others).n_seen == 0
    everything = fm.evaluate(run.folder, shapes)
    assert everything.n_seen == everything.report.n - run.report.n


def test_what_else_lay_in_the_folder_is_said(finished: Finished, tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "more", 2)
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "loose.png").write_bytes(png("square", 0))
    left_out = {each.path: each.code for each in fm.evaluate(finished.run.folder, folder).left_out}
    assert left_out == {"loose.png": "no-class-folder", "notes.txt": "not-a-picture"}


def test_a_list_may_give_the_labels(finished: Finished, tmp_path: Path) -> None:
    folder = tmp_path / "pile"
    folder.mkdir()
    lines = ["path,label"]
    for at, name in enumerate(SHAPES * 3):
        (folder / f"{at}.png").write_bytes(png(name, 700 + at))
        lines.append(f"{at}.png,{name}")
    listed = tmp_path / "labels.csv"
    listed.write_text("\n".join(lines), encoding="utf-8")
    found = fm.evaluate(finished.run.folder, folder, labels=listed)
    assert [label for label, _ in found.predictions] == list(SHAPES * 3)


def test_names_may_give_the_labels(finished: Finished, tmp_path: Path) -> None:
    for at, name in enumerate(SHAPES):
        (tmp_path / f"{name}-{at}.png").write_bytes(png(name, 800 + at))
    found = fm.evaluate(finished.run.folder, tmp_path, label_from=r"name:^(\w+)-")
    assert [label for label, _ in found.predictions] == list(SHAPES)


def test_a_class_the_model_does_not_know_is_refused(finished: Finished, tmp_path: Path) -> None:
    folder = write_numbers(tmp_path / "more", range(5))
    write_numbers(tmp_path / "stars", range(5), shapes=("circle",))
    shutil.move(tmp_path / "stars" / "circle", folder / "star")
    with pytest.raises(fm.DataError, match="does not know 1 classes here: star") as caught:
        fm.evaluate(finished.run.folder, folder)
    assert caught.value.code == "unknown-classes"
    assert "circle, square, triangle" in caught.value.hint


def test_a_class_without_pictures_is_reported_as_missing(
    finished: Finished, tmp_path: Path
) -> None:
    folder = write_numbers(tmp_path / "two", range(900, 905), shapes=SHAPES[:2])
    report = fm.evaluate(finished.run.folder, folder).report
    assert report.missing_classes == ("triangle",)
    assert [each.name for each in report.per_class] == ["circle", "square"]
    assert any("not estimable" in line for line in report.lines(80))


def test_unreadable_files_are_listed_and_do_not_count(finished: Finished, tmp_path: Path) -> None:
    folder = write_numbers(tmp_path / "some", range(910, 915))
    (folder / "square" / "cut.png").write_bytes(png("square", 1)[:70])
    found = fm.evaluate(finished.run.folder, folder)
    assert found.report.n == len(found.predictions) == 15
    assert [(Path(each.file).name, each.code) for each in found.unread] == [
        ("cut.png", "truncated")
    ]


def test_nothing_readable_is_an_error(finished: Finished, tmp_path: Path) -> None:
    for name in SHAPES[:2]:
        (tmp_path / "bad" / name).mkdir(parents=True)
        (tmp_path / "bad" / name / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(fm.DataError, match="Not one picture could be read") as caught:
        fm.evaluate(finished.run.folder, tmp_path / "bad")
    assert caught.value.code == "nothing-to-measure"


def test_the_baseline_is_the_training_parts_commonest_class_not_this_folders(
    finished: Finished, tmp_path: Path
) -> None:
    told = finished.run.report.baseline_class
    other = next(name for name in SHAPES if name != told)
    folder = write_numbers(tmp_path / "skewed", range(30, 32), shapes=(told,))
    write_numbers(folder, range(30, 38), shapes=(other,))
    report = fm.evaluate(finished.run.folder, folder).report
    assert report.baseline_class == told
    assert report.baseline.value == pytest.approx(0.2)


# --- one answer, whoever is asked


def test_everybody_gives_the_same_label_and_scores(
    finished: Finished, others: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python's three ways, the command line, the measurement, and the bare ONNX graph."""
    files = sorted(others.rglob("*.png"))
    measured = {
        answer.file: answer for _, answer in fm.evaluate(finished.run.bundle, others).predictions
    }
    many = fm.predict(finished.run.folder, files)
    assert cli.run(["predict", str(finished.run.bundle), str(others), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    spoken = {line["file"]: line for line in lines}
    assert len(measured) == len(many) == len(spoken) == 30
    opened = fm.open(finished.run.bundle)
    pixels = np.stack(
        [MODALITIES["image"].decode(path.read_bytes(), opened.spec) for path in files]
    )
    bare = raw_scores((finished.run.folder / "model.onnx").read_bytes(), pixels)
    for path, answer, row in zip(files, many, bare, strict=True):
        assert isinstance(answer, Prediction)
        expected = scores(answer)
        said = {entry["label"]: entry["score"] for entry in spoken[str(path)]["predictions"]}
        for found in (
            scores(opened.predict(path)),
            scores(finished.run.predict(path.read_bytes())),
            scores(measured[str(path)]),
            said,
            dict(zip(opened.classes, row.tolist(), strict=True)),
        ):
            assert found == pytest.approx(expected, abs=1e-3)
            assert max(found, key=found.__getitem__) == answer.label
        assert spoken[str(path)]["label"] == answer.label


def raw_scores(onnx: bytes, pixels: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["scores"], {"pixels": pixels})[0])


def test_the_file_answers_as_training_measured_it(finished: Finished) -> None:
    """predictions.csv was written by the training; the files are read anew."""
    for row in finished.rows("predictions.csv"):
        answer = finished.run.predict(finished.data / row["path"])
        told = {name: float(row[f"score:{name}"]) for name in SHAPES}
        assert scores(answer) == pytest.approx(told, abs=1e-3)
        assert answer.label == row["predicted"]
        assert answer.sha256 == row["sha256"]


def test_an_evaluation_cannot_be_changed(finished: Finished, others: Path) -> None:
    found = fm.evaluate(finished.run.folder, others)
    assert isinstance(found, Evaluation)
    with pytest.raises(AttributeError, match="report"):
        found.report = None  # type: ignore[misc, assignment]
