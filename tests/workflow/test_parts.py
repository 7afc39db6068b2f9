"""The three parts of a manifest as positions and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fieldmark.data.manifest import Example, Manifest, Split
from fieldmark.errors import DataError
from fieldmark.workflow.parts import check_parts, labels_of, positions


def manifest(*pairs: tuple[str, Split]) -> Manifest:
    examples = tuple(
        Example(path=f"{at}.png", label=label, sha256=f"{at:064}", split=split)
        for at, (label, split) in enumerate(pairs)
    )
    return Manifest(root=Path("somewhere"), examples=examples, classes=("cat", "dog", "owl"))


GIVEN = manifest(
    ("dog", "train"), ("cat", "test"), ("owl", "train"), ("cat", "valid"), ("dog", "test")
)


def test_positions_are_where_the_examples_of_a_part_stand() -> None:
    assert positions(GIVEN, "train").tolist() == [0, 2]
    assert positions(GIVEN, "valid").tolist() == [3]
    assert positions(GIVEN, "test").tolist() == [1, 4]
    everything = np.concatenate([positions(GIVEN, part) for part in ("train", "valid", "test")])
    assert sorted(everything.tolist()) == [0, 1, 2, 3, 4]


def test_an_empty_part_has_no_positions() -> None:
    found = positions(manifest(("cat", "train")), "test")
    assert (found.shape, found.dtype) == ((0,), np.int64)


def test_labels_count_in_the_order_of_the_classes() -> None:
    found = labels_of(GIVEN)
    assert found.tolist() == [1, 0, 2, 0, 1]
    assert found.dtype == np.int64


WHOLE = manifest(
    ("dog", "train"), ("cat", "train"), ("owl", "train"), ("cat", "valid"), ("dog", "test")
)


def test_three_parts_and_every_class_to_learn_are_enough() -> None:
    check_parts(WHOLE)


def test_a_class_that_training_has_lost_is_named() -> None:
    with pytest.raises(DataError, match="No readable training picture is left of: cat") as caught:
        check_parts(GIVEN)
    assert caught.value.code == "emptied-class"


@pytest.mark.parametrize(
    ("part", "words"), [("train", "training"), ("valid", "validation"), ("test", "test")]
)
def test_a_missing_part_is_named(part: Split, words: str) -> None:
    kept = tuple(each for each in GIVEN.examples if each.split != part)
    with pytest.raises(
        DataError, match=f"No readable picture is left in the {words} part"
    ) as caught:
        check_parts(GIVEN.with_examples(kept))
    assert caught.value.code == "empty-part"
    assert caught.value.where == "somewhere"
