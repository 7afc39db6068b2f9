"""What the page of a run shows, of the room's own run and of lists made by hand."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from fieldmark.data.manifest import Example, Manifest
from fieldmark.evaluation.page_facts import BACKBONE, MixUp, RateTest
from fieldmark.networks.layer_table import layer_table
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.training.fitted import Fitted, RangeTest
from fieldmark.training.head import Head, PathPoint
from fieldmark.workflow import page_parts
from tests.evaluation.reader import Reader
from tests.pictures import SHAPES
from tests.workflow.conftest import Finished


@pytest.fixture(scope="module")
def html(finished: Finished) -> str:
    return (finished.run.folder / "report.html").read_text(encoding="utf-8")


class TestARunsPage:
    def test_shows_six_training_pictures_of_each_class(self, finished: Finished, html: str):
        alts = [attrs["alt"] for attrs in Reader(html).all("img")]
        for shape in SHAPES:
            own = [alt for alt in alts if alt.startswith(f"Training picture of {shape},")]
            assert len(own) == 6

    def test_lists_the_file_behind_every_mistake(self, finished: Finished, html: str):
        wrong = [row for row in finished.rows("predictions.csv") if row["correct"] == "0"]
        found = Reader(html)
        listed = [a["id"] for a in found.all("div") if a.get("class") == "pair-files"]
        assert len(listed) == len({(row["label"], row["predicted"]) for row in wrong})
        for row in wrong:
            assert f"<li><bdi>{row['path']}</bdi></li>" in html

    def test_draws_what_was_fitted(self, finished: Finished, html: str):
        text = Reader(html).text
        assert "Learning-rate test" in text
        assert f"{finished.given.recipe.lr or 0:.2g}" in text or "chosen" in text
        assert "The curves as a table" in text
        assert "Fewer answers, fewer errors" in text
        assert re.search(r"the end of training: [\d.]+ (seconds|min)", text)
        assert "How the head's penalty was chosen" not in text

    @pytest.mark.parametrize("name", ["MODEL_CARD.md", "DATA_SHEET.md", "METHODS.md"])
    def test_holds_the_papers_word_by_word(self, finished: Finished, html: str, name: str):
        paper = (finished.run.folder / name).read_text(encoding="utf-8")
        assert " ".join(paper.split()) in Reader(html).text

    def test_is_far_below_its_limit(self, html: str):
        assert len(html.encode()) < 1_000_000


def examples(*given: tuple[str, str]) -> Manifest:
    """Return a manifest of (group, cluster) pairs."""
    made = tuple(
        Example(path=f"{at}.jpg", label="a", group=group, cluster=cluster)
        for at, (group, cluster) in enumerate(given)
    )
    return Manifest(root=Path("data"), examples=made, classes=("a",))


class TestTogether:
    def test_groups_and_clusters_are_counted_with_their_pictures(self):
        manifest = examples(("g", "c"), ("g", "c"), ("g", ""), ("h", "d"), ("", "d"), ("", ""))
        assert page_parts.together(manifest) == (
            "1 group that a person named, with 3 pictures; 2 clusters of near copies and bursts, "
            "with 4 pictures: each is on one side of the split only."
        )

    def test_looking_and_finding_nothing_is_said(self):
        alone = examples(("g", ""), ("", "c"), ("", ""))
        found = "Near copies were looked for, and none were found."
        assert page_parts.together(dataclasses.replace(alone, audited=True)) == found
        assert page_parts.together(alone) == ""


class TestMixUps:
    CLASSES = ("cat", "dog", "fox")

    def found(self, *answers: tuple[str, tuple[float, ...]]) -> tuple[MixUp, ...]:
        test = [Example(path=f"{at}.jpg", label=label) for at, (label, _) in enumerate(answers)]
        scores = np.array([row for _, row in answers], np.float32).reshape(-1, 3)
        return page_parts.mix_ups(test, scores, self.CLASSES)

    def test_the_most_frequent_comes_first_and_in_it_the_surest_file(self):
        found = self.found(
            ("dog", (0.1, 0.2, 0.7)),
            ("cat", (0.2, 0.5, 0.3)),
            ("cat", (0.1, 0.9, 0.0)),
            ("cat", (0.9, 0.1, 0.0)),
        )
        assert found == (
            MixUp(label="cat", predicted="dog", files=("2.jpg", "1.jpg")),
            MixUp(label="dog", predicted="fox", files=("0.jpg",)),
        )

    def test_a_model_without_mistakes_has_none(self):
        assert self.found(("cat", (1.0, 0.0, 0.0)), ("fox", (0.0, 0.0, 1.0))) == ()
        assert self.found() == ()


def test_the_rows_of_a_backbone_are_marked_and_the_head_is_not():
    network = parse("INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> GAP -> FC 8 -> RELU -> FC")
    table = layer_table(plan(network, 3))
    rows = page_parts.layers(table, "somewhere")
    marked = [row["layer"] for row in rows if row["part"] == BACKBONE]
    assert marked == ["CONV", "RELU", "GAP"]
    assert not [row for row in page_parts.layers(table, "") if row["part"]]
    assert [row["layer"] for row in rows] == [row.kind for row in table.rows]


def fitted(finished: Finished, **changes) -> Fitted:
    """Return what a training left, with some of it replaced."""
    nothing = np.empty((0, 1, 1, 3), np.uint8)
    made = Fitted(
        weights={},
        history=(),
        stopped=next(event for event in finished.events if event.name == "early_stop"),
        recipe=finished.given.recipe,
        range_test=None,
        first_pixels=nothing,
        first_labels=np.empty(0, np.int64),
        proof_pixels=nothing,
        proof_logits=np.empty((0, 3), np.float32),
    )
    return dataclasses.replace(made, **changes)


def test_a_rate_test_is_passed_on_as_it_was(finished: Finished):
    test = RangeTest((0.1, 0.2), (1.0, 2.0), 0.1)
    assert page_parts.rate_test(fitted(finished, range_test=test)) == RateTest(
        (0.1, 0.2), (1.0, 2.0), 0.1
    )
    assert page_parts.rate_test(fitted(finished)) is None


def test_the_path_of_a_head_says_which_point_was_chosen(finished: Finished):
    def point(strength: float, n_columns: int) -> PathPoint:
        return PathPoint(
            method="logistic",
            n_columns=n_columns,
            strength=strength,
            log_loss=0.5,
            log_loss_se=0.1,
            accuracy=0.8,
        )

    head = Head(
        weights=np.zeros((4, 3), np.float32),
        bias=np.zeros(3, np.float32),
        method="logistic",
        strength=0.1,
        path=(point(1.0, 4), point(0.1, 2), point(0.1, 4)),
        scored=np.arange(3),
        out_of_fold=np.zeros((3, 3), np.float32),
        cv_log_loss=0.5,
        cv_accuracy=0.8,
        n_folds=5,
        cv_worth=3.0,
    )
    path = page_parts.head_path(fitted(finished, head=head))
    assert [each.chosen for each in path] == [False, False, True]
    assert [(each.strength, each.n_columns) for each in path] == [(1.0, 4), (0.1, 2), (0.1, 4)]
    assert page_parts.head_path(fitted(finished)) == ()
