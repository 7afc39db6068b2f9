"""Where a model fails: gathered from one run's answers, written down, and read back."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fieldmark.data import table
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import DataError
from fieldmark.evaluation import metrics
from fieldmark.evaluation.slices import Nearest, slices
from fieldmark.inference.predictor import Judged
from fieldmark.modalities.encode import encode_jpeg
from fieldmark.training.features import Features
from fieldmark.workflow import spotting
from fieldmark.workflow.measuring import evaluate
from fieldmark.workflow.spotting import Gallery, Mistakes, sliced, weak_spots
from fieldmark.workflow.weak_spots import MAX_ERRORS, ErrorSpot, Suspect, WeakSpots, errors_csv
from tests.workflow.conftest import Finished

CLASSES = ("cat", "dog")
N_TEST, N_TRAIN = 60, 40


def manifest() -> Manifest:
    """Sorted by path, as a scan would: training and test part lie among each other."""
    examples = [
        Example(
            path=f"{CLASSES[at % 2]}/{at:03}.jpg",
            label=CLASSES[at % 2],
            sha256=f"{at:064x}",
            split="train" if at % 5 < 2 else "test",
        )
        for at in range(N_TEST + N_TRAIN)
    ]
    return Manifest(root=Path("x"), examples=tuple(examples), classes=CLASSES)


def truth_of(part: tuple[Example, ...]) -> np.ndarray[Any, Any]:
    return np.array([CLASSES.index(each.label) for each in part], np.int64)


def scores_of(labels: np.ndarray[Any, Any], wrong: list[int]) -> np.ndarray[Any, Any]:
    given = np.full(len(labels), 0.9)
    given[wrong] = np.linspace(0.4, 0.1, len(wrong))
    found = np.empty((len(labels), 2), np.float32)
    found[np.arange(len(labels)), labels] = given
    found[np.arange(len(labels)), 1 - labels] = 1 - given
    return found


def judged(scores: np.ndarray[Any, Any], features: Any = None) -> Judged:
    return Judged(
        scores=scores,
        logits=np.log(scores),
        strangeness=None,
        decisions=(None,) * len(scores),
        features=features,
    )


def gathered(wrong: list[int], block: int = 16, width: int = 4) -> tuple[Mistakes, Any, Any]:
    labels = truth_of(manifest().part("test"))
    scores = scores_of(labels, wrong)
    features = np.random.default_rng(0).normal(size=(N_TEST, width)).astype(np.float32)
    mistakes = Mistakes(labels)
    for start in range(0, N_TEST, block):
        mistakes.add(judged(scores[start : start + block], features[start : start + block]))
    return mistakes, scores, features


# --- gathering


@pytest.mark.parametrize("block", [1, 7, 16, 60])
def test_the_worst_answers_keep_their_features_whatever_the_blocks(block: int) -> None:
    wrong = [3, 17, 18, 59]
    mistakes, _, features = gathered(wrong, block)
    assert mistakes.at.tolist() == [59, 18, 17, 3]
    np.testing.assert_array_equal(mistakes.features, features[[59, 18, 17, 3]])


def test_only_so_many_are_kept_and_they_are_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spotting, "MAX_ERRORS", 2)
    mistakes, _, features = gathered([3, 17, 18, 59], 8)
    assert mistakes.at.tolist() == [59, 18]
    np.testing.assert_array_equal(mistakes.features, features[[59, 18]])


def test_answers_without_features_are_kept_without() -> None:
    labels = truth_of(manifest().part("test"))
    mistakes = Mistakes(labels)
    mistakes.add(judged(scores_of(labels, [4])))
    assert mistakes.at.tolist() == [4]
    assert mistakes.features is None


# --- nearest


def test_the_nearest_are_training_pictures_with_their_labels() -> None:
    data = manifest()
    train = data.part("train")
    rows = np.random.default_rng(1).normal(size=(len(data.examples), 4)).astype(np.float32)
    row_of = {each.sha256: at for at, each in enumerate(data.examples)}
    gallery = Gallery.of_features(Features(manifest=data, rows=rows, row_of=row_of))
    assert gallery.examples == train
    # A row of its own among all, test rows included: only training pictures may answer.
    found = gallery.near(rows[[row_of[train[7].sha256]]])[0]
    assert found[0] == Nearest(file=train[7].path, label=train[7].label, similarity=1.0)
    assert {each.file for each in found} <= {each.path for each in train}
    assert [each.similarity for each in found] == sorted(
        (each.similarity for each in found), reverse=True
    )


def test_rows_that_the_network_looked_at_belong_to_evenly_taken_training_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spotting, "MAX_PICTURES", 5)
    data = manifest()
    gallery = Gallery.of_known(np.eye(5, dtype=np.float32), data)
    train = data.part("train")
    assert gallery.examples == tuple(train[at] for at in (0, 9, 19, 29, 39))
    assert gallery.near(np.eye(5, dtype=np.float32)[[2]])[0][0].file == train[19].path


# --- all of it


def test_everything_about_an_error_stands_together() -> None:
    data = manifest()
    mistakes, scores, _ = gathered([3, 17])
    gallery = Gallery.of_known(np.eye(N_TRAIN, 4, dtype=np.float32), data)
    found = weak_spots(data, scores, mistakes, facts={"x": np.arange(60.0)}, gallery=gallery)
    test = data.part("test")
    labels = truth_of(test)
    assert [each.file for each in found.errors] == [test[17].path, test[3].path]
    assert found.n_errors == 2
    assert (found.n_known, found.n_training) == (N_TRAIN, N_TRAIN)
    for spot, at in zip(found.errors, (17, 3), strict=True):
        assert spot.label == test[at].label != spot.predicted
        assert spot.score == pytest.approx(scores[at].max(), abs=1e-6)
        assert spot.loss == pytest.approx(metrics.losses(scores, labels)[at], abs=1e-6)
        assert len(spot.nearest) == 3
        assert spot.p_wrong_label is not None
        assert 0 < spot.p_wrong_label < 1
    assert found.errors[0].file == test[17].path
    assert found.slices is not None
    assert found.slices.n_facts == 1


def test_labels_are_not_judged_where_a_class_has_too_few_or_it_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = manifest()
    mistakes, scores, _ = gathered([3, 17])
    monkeypatch.setattr(spotting, "MAX_SCORES", 10)
    found = weak_spots(data, scores, mistakes, facts={})
    assert [each.p_wrong_label for each in found.errors] == [None, None]
    assert found.slices is None
    assert found.errors[0].nearest == ()
    assert found.n_known == 0


@pytest.mark.parametrize("n_copies", [0, 2])
def test_a_wrong_label_of_the_training_part_is_named(n_copies: int) -> None:
    data = manifest()
    train = data.part("train")
    labels = truth_of(train)
    logits = np.where(labels[:, None] == [0, 1], 3.0, -3.0).astype(np.float32)
    logits[11] = -logits[11]
    step = 1 + n_copies
    features = Features(
        manifest=data,
        rows=np.zeros((0, 1), np.float32),
        row_of={},
        copies_of={each.sha256: tuple(range(n_copies)) for each in train},
    )
    head = SimpleNamespace(scored=np.arange(N_TRAIN) * step, out_of_fold=logits)
    mistakes, scores, _ = gathered([])
    solved: Any = (features, head)
    (only,) = weak_spots(data, scores, mistakes, facts={}, solved=solved).suspects_in_training
    assert (only.file, only.label) == (train[11].path, train[11].label)
    assert only.likely == CLASSES[1 - labels[11]]
    assert only.p_wrong > 0.8


def test_a_group_as_a_fact_counts_its_pictures() -> None:
    examples = tuple(
        Example(path=f"{at}.jpg", label="cat", sha256=f"{at:x}", group=f"film {at // 30}")
        for at in range(240)
    )
    right = np.arange(240) >= 30
    films = [each.group for each in examples]
    found = sliced(right, examples, {"group": films, "weather": ["fog"] * 30 + ["sun"] * 210})
    assert [each.name for each in found.worse] == ["group: film 0"]


# --- as files


def told() -> WeakSpots:
    near = Nearest(file="=cat/1.jpg", label="cat", similarity=0.5)
    error = ErrorSpot(
        file="+a.jpg",
        label="cat",
        predicted="dog",
        score=0.75,
        loss=1.5,
        nearest=(near,),
        p_wrong_label=0.25,
    )
    right = np.arange(100) > 50
    return WeakSpots(
        slices=slices(right, {"lens": ["old"] * 50 + ["new"] * 50}),
        errors=(error, ErrorSpot(file="b", label="dog", predicted="cat", score=0.5, loss=0.7)),
        n_errors=7,
        n_known=3,
        n_training=9,
        suspects_in_training=(Suspect(file="c", label="cat", likely="dog", p_wrong=0.75),),
    )


def test_weak_spots_come_back_from_json() -> None:
    again = WeakSpots.from_dict(json.loads(json.dumps(told().to_dict())))
    assert again == told()
    assert again.lines() == told().lines() != []
    bare = WeakSpots(slices=None)
    assert WeakSpots.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare
    assert bare.lines() == []


@pytest.mark.parametrize(
    "change", [{"schema": "fieldmark.weak-spots/9"}, {"errors": 5}, {"n_errors": "many"}]
)
def test_what_cannot_be_read_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="no weak spots that can be read") as caught:
        WeakSpots.from_dict(told().to_dict() | change)
    assert caught.value.code == "weak-spots-unknown"


def test_the_table_of_errors_is_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "errors.csv"
    path.write_text(errors_csv(told()), encoding="utf-8", newline="")
    assert "'+a.jpg,cat" in path.read_text(encoding="utf-8")
    first, second = table.rows(path)
    assert (first["path"], first["nearest_1"], first["p_wrong_label"]) == (
        "+a.jpg",
        "=cat/1.jpg",
        "0.2500",
    )
    assert (second["p_wrong_label"], second["nearest_1"], second["nearest_3_label"]) == ("", "", "")


def test_thumbnails_are_of_the_pictures_that_are_asked_for() -> None:
    data = manifest()
    pixels = np.zeros((100, 8, 8, 3), np.uint8)
    pixels[42] = 200
    facts: Any = SimpleNamespace(manifest=data, pixels=pixels, rows=np.arange(100)[::-1])
    asked = data.examples[57].path  # its row is 42
    found = spotting.thumbnails(facts, [asked, asked, "gone.jpg"])
    assert list(found) == [asked]
    assert found[asked] == encode_jpeg(pixels[42], quality=80)


# --- a run


def test_a_run_keeps_its_weak_spots(finished: Finished) -> None:
    found = finished.run.weak_spots
    assert found is not None
    wrong = [row for row in finished.rows("predictions.csv") if row["correct"] == "0"]
    assert found.n_errors == len(wrong)
    worst = sorted(wrong, key=lambda row: -float(row["loss"]))[:MAX_ERRORS]
    assert [each.file for each in found.errors] == [row["path"] for row in worst]
    parts = {row["path"]: row for row in finished.rows("data.csv")}
    for spot in found.errors:
        assert len(spot.nearest) == 3
        assert {parts[near.file]["split"] for near in spot.nearest} == {"train"}
        assert all(near.label == parts[near.file]["label"] for near in spot.nearest)
    assert len(finished.rows("errors.csv")) == len(found.errors)
    assert found.slices is not None
    assert len(finished.rows("slices.csv")) == len(found.slices.found)


def test_evaluating_the_run_again_finds_the_same_slices(finished: Finished) -> None:
    found = evaluate(finished.run.folder)
    assert finished.run.weak_spots is not None
    assert found.slices() == finished.run.weak_spots.slices
    only = found.slices(["format"])
    assert only.not_looked_at
    assert only.found == ()


def test_a_column_of_the_list_is_a_fact(finished: Finished, tmp_path: Path) -> None:
    shapes = sorted(path for path in finished.data.glob("*/0*.png"))
    rows = [[str(path), path.parent.name, ("old", "new")[at % 2]] for at, path in enumerate(shapes)]
    listed = tmp_path / "list.csv"
    listed.write_text(table.written(["path", "label", "lens"], rows), encoding="utf-8")
    found = evaluate(finished.run.folder, finished.data, labels=listed)
    (only,) = found.slices(["lens"]).found
    assert only.fact == "lens"
    assert only.accuracy.n + only.rest.n == len(shapes)
    assert "lens" in {each.fact for each in found.slices().found}
