"""The rules beside a result: what they answer, from what, and that planted data finds them out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import fieldmark as fm
from fieldmark import rng, runs
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Example, Manifest
from fieldmark.evaluation.baselines import COLOURS, MOST_FREQUENT, NEAREST, Baseline
from fieldmark.modalities.looking import LOOK
from fieldmark.workflow import baselines
from fieldmark.workflow.baselines import MAX_KNOWN, Nearest, beside_it, looked_again
from fieldmark.workflow.earlier import EarlierRuns, TestPart
from tests.pictures import SHAPES
from tests.workflow.conftest import Finished, rows_of, settings

N_TRAIN, N_TEST = 60, 30
NOBODY = Nearest(np.empty((0, 1), np.float32), np.empty(0, np.int64), n_test=N_TEST)


def part_of(n_classes: int = 2, *, right: Any = True) -> TestPart:
    classes = tuple(f"class {at}" for at in range(n_classes))
    examples = tuple(
        Example(
            path=f"{at}.png",
            label=classes[at % n_classes],
            sha256=f"sha {at}",
            split="train" if at < N_TRAIN else "test",
        )
        for at in range(N_TRAIN + N_TEST)
    )
    at = np.arange(N_TRAIN, N_TRAIN + N_TEST)
    found = np.broadcast_to(np.asarray(right), N_TEST)
    manifest = Manifest(root=Path("p"), examples=examples, classes=classes)
    return TestPart(manifest, at, found, np.arange(N_TEST), 0)


def looks_of(part: TestPart, *, by: str = "", noise: int = 0) -> Looks:
    """Looks whose colours, or thumbnails, tell the classes; the other field says nothing."""
    n = len(part.manifest.examples)
    drawn = rng.derive(noise, "looks")
    rows = np.zeros(n, LOOK)
    labels = np.arange(n) % len(part.manifest.classes)
    shares = drawn.uniform(size=(n, 64))
    thumbs = drawn.integers(0, 256, (n, 64, 64))
    if by == "colors":
        shares[np.arange(n), labels] += 40
    if by == "thumb":
        grounds = drawn.integers(0, 200, (len(part.manifest.classes), 64, 64))
        # Darker and lighter, too: brightness is not what makes pictures alike.
        thumbs = grounds[labels] // 2 + drawn.integers(0, 100, (n, 1, 1)) + thumbs // 16
    rows["colors"] = shares / shares.sum(axis=1, keepdims=True)
    rows["thumb"] = thumbs
    return Looks(rows, {f"sha {at}": at for at in range(n)})


def asked(
    part: TestPart, tmp_path: Path, looks: Looks | None, nearest: Nearest = NOBODY
) -> dict[str, Baseline]:
    before = EarlierRuns(runs.RunFolder(tmp_path / "none-1"), "")
    found = beside_it(part, "class 0", closest=nearest, looks=looks, earlier=before)
    return {each.name: each for each in found}


# --- the rules


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(0, 99))
@hypothesis_settings(max_examples=40)
def test_the_nearest_is_the_one_of_the_largest_cosine(
    n_known: int, n: int, width: int, seed: int
) -> None:
    drawn = rng.derive(seed, "nearest")
    known, rows = drawn.normal(size=(n_known, width)), drawn.normal(size=(n, width))
    rule = Nearest(known.astype(np.float32), np.arange(n_known), n_test=n)
    for start in range(0, n, 7):
        rule.ask(rows[start : start + 7].astype(np.float32))
    answers = rule.answers
    assert answers is not None
    cosines = (rows @ known.T) / np.linalg.norm(known, axis=1)
    best = cosines[np.arange(n), answers]
    np.testing.assert_allclose(best, cosines.max(axis=1), rtol=1e-4, atol=1e-5)


def test_of_equal_pictures_the_first_is_nearest() -> None:
    rule = Nearest(np.ones((3, 2), np.float32), np.array([5, 6, 7]), n_test=1)
    rule.ask(np.array([[2, 2]], np.float32))
    assert rule.answers is not None
    assert rule.answers.tolist() == [5]


def test_a_row_of_nothing_is_answered_all_the_same() -> None:
    rule = Nearest(np.zeros((2, 2), np.float32), np.array([5, 6]), n_test=1)
    rule.ask(np.zeros((1, 2), np.float32))
    assert rule.answers is not None
    assert rule.answers.tolist() == [5]


@pytest.mark.parametrize("missing", [None, np.ones((1, 3), np.float32)])
def test_features_that_are_missing_or_of_another_width_leave_no_answer(missing: Any) -> None:
    rule = Nearest(np.ones((2, 2), np.float32), np.array([0, 1]), n_test=2)
    rule.ask(np.ones((1, 2), np.float32))
    rule.ask(missing)
    rule.ask(np.ones((1, 2), np.float32))
    assert rule.answers is None


def test_many_pictures_are_compared_with_fewer() -> None:
    known, labels = np.ones((5000, 8), np.float32), np.zeros(5000, np.int64)
    assert Nearest(known, labels, n_test=10).n_known == MAX_KNOWN
    assert Nearest(known, labels, n_test=10**9).n_known == baselines.MIN_KNOWN


def test_planted_colours_are_found_by_the_colours_alone(tmp_path: Path) -> None:
    part = part_of(3)
    found = asked(part, tmp_path, looks_of(part, by="colors"))
    assert list(found) == [MOST_FREQUENT, COLOURS, NEAREST]
    assert found[COLOURS].accuracy.value == 1
    assert found[NEAREST].accuracy.value < 0.7
    assert "learned from 60 training pictures" in found[COLOURS].what


def test_planted_thumbnails_are_found_by_the_nearest_picture_alone(tmp_path: Path) -> None:
    part = part_of(3)
    found = asked(part, tmp_path, looks_of(part, by="thumb"))
    assert found[NEAREST].accuracy.value == 1
    assert found[COLOURS].accuracy.value < 0.7
    assert found[NEAREST].what.endswith("by grey thumbnails of 32x32 pixels.")


def test_labels_that_mean_nothing_are_found_by_none(tmp_path: Path) -> None:
    part = part_of(2)
    found = asked(part, tmp_path, looks_of(part))
    assert max(each.accuracy.value for each in found.values()) < 0.8


def test_features_are_preferred_to_thumbnails(tmp_path: Path) -> None:
    part = part_of(2)
    labels = np.arange(N_TRAIN + N_TEST) % 2
    features = np.eye(2, dtype=np.float32)[labels]
    rule = Nearest(features[:N_TRAIN], labels[:N_TRAIN], n_test=N_TEST)
    rule.ask(features[N_TRAIN:])
    found = asked(part, tmp_path, looks_of(part), rule)
    assert found[NEAREST].accuracy.value == 1
    assert found[NEAREST].what == (
        "Answers with the label of the most similar of 60 training pictures, by the features of "
        "the backbone."
    )


def test_the_commonest_class_comes_first_with_what_the_model_is_ahead(tmp_path: Path) -> None:
    part = part_of(2, right=np.arange(N_TEST) < 21)
    (found,) = asked(part, tmp_path, None).values()
    assert found.accuracy.value == 0.5
    assert found.ahead is not None
    assert found.ahead.value == pytest.approx(0.2)
    assert found.what == 'Always answers "class 0", most frequent in the training part.'


def test_a_test_picture_without_a_look_leaves_the_rules_out(tmp_path: Path) -> None:
    part = part_of(2)
    looks = looks_of(part, by="colors")
    del looks.row_of[f"sha {N_TRAIN}"]
    assert list(asked(part, tmp_path, looks)) == [MOST_FREQUENT]


def test_a_training_picture_without_a_look_is_only_not_learned_from(tmp_path: Path) -> None:
    part = part_of(2)
    looks = looks_of(part, by="colors")
    del looks.row_of["sha 0"]
    found = asked(part, tmp_path, looks)
    assert "learned from 59 training pictures" in found[COLOURS].what
    assert found[COLOURS].accuracy.value == 1


def test_one_class_left_to_learn_from_has_no_rule_of_colours(tmp_path: Path) -> None:
    part = part_of(2)
    looks = looks_of(part, by="colors")
    looks.row_of.update({f"sha {at}": at for at in range(N_TRAIN, N_TRAIN + N_TEST)})
    for at in range(1, N_TRAIN, 2):
        del looks.row_of[f"sha {at}"]
    assert list(asked(part, tmp_path, looks)) == [MOST_FREQUENT, NEAREST]


def test_a_class_that_no_drawn_picture_shows_is_never_answered(tmp_path: Path) -> None:
    part = part_of(3)
    looks = looks_of(part, by="colors")
    for at in range(0, N_TRAIN, 3):
        del looks.row_of[f"sha {at}"]
    found = asked(part, tmp_path, looks)[COLOURS]
    assert found.accuracy.value == pytest.approx(2 / 3)


# --- beside a run


def test_a_model_that_only_needed_colours_is_told_so(finished: Finished) -> None:
    """The shapes of the room have a colour each."""
    report = finished.run.report
    found = {each.name: each for each in report.baselines}
    assert list(found) == [MOST_FREQUENT, COLOURS, NEAREST]
    assert found[COLOURS].accuracy.value > 0.9
    assert found[MOST_FREQUENT].accuracy.value == report.baseline.value
    assert report.matched
    assert "not better than colours alone" in report.verdict
    assert report.verdict[:40] in "\n".join(report.lines(80))


def test_a_trained_network_is_held_against_thumbnails(finished: Finished) -> None:
    assert "grey thumbnails" in finished.run.report.baselines[2].what


def test_rules_are_measured_on_the_very_test_part(finished: Finished) -> None:
    report = finished.run.report
    rows = rows_of(finished.run.folder / "predictions.csv")
    right = np.mean([row["correct"] == "1" for row in rows])
    for each in report.baselines:
        assert each.accuracy.n == report.n == len(rows)
        assert each.ahead is not None
        assert each.ahead.value == pytest.approx(right - each.accuracy.value)


def test_the_own_test_part_measured_again_has_the_same_beside_it(finished: Finished) -> None:
    assert fm.evaluate(finished.run.folder).report.baselines == finished.run.report.baselines


def test_another_folder_has_nothing_beside_it(finished: Finished) -> None:
    assert fm.evaluate(finished.run.folder, finished.data).report.baselines == ()


def test_a_folder_that_was_audited_before_is_looked_at_again(
    finished: Finished, tmp_path: Path
) -> None:
    ready = fm.load(finished.data).split()
    manifest = ready.manifest
    at = np.flatnonzero([each.split == "test" for each in manifest.examples])
    for kept in (True, False):
        asked_for = settings(tmp_path).changed("run", {"cache": kept})
        looks = looked_again(manifest, at, asked_for, 1)
        assert looks is not None
        assert {each.sha256 for each in manifest.part("test")} <= set(looks.row_of)


def test_a_look_that_fails_costs_nothing_but_the_rules(finished: Finished, tmp_path: Path) -> None:
    manifest = fm.load(finished.data).split().manifest
    gone = dataclasses.replace(manifest, root=tmp_path / "gone")
    asked_for = settings(tmp_path).changed("run", {"cache": False})
    looks = looked_again(gone, np.array([0]), asked_for, 1)
    part = TestPart(gone, np.array([0]), np.array([True]), np.array([0]), 0)
    before = EarlierRuns(runs.RunFolder(tmp_path / "none-1"), "")
    found = beside_it(part, SHAPES[0], closest=NOBODY, looks=looks, earlier=before)
    assert [each.name for each in found] == [MOST_FREQUENT]
