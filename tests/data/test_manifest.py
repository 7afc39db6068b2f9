from __future__ import annotations

from pathlib import Path

from fieldmark.data.manifest import SPLIT_WORDS, SPLITS, Example, LeftOut, Manifest

EXAMPLES = (
    Example(path="b/1.jpg", label="b", sha256="ab" * 32, split="train"),
    Example(path="a/1.jpg", label="a", sha256="cd" * 32, split="test"),
    Example(path="a/2.jpg", label="a", sha256="ef" * 32, split="train"),
)
MANIFEST = Manifest(root=Path("x"), examples=EXAMPLES, classes=("a", "b", "c"))


def test_counts_are_in_class_order_and_name_absent_classes() -> None:
    assert list(MANIFEST.counts().items()) == [("a", 2), ("b", 1), ("c", 0)]
    assert MANIFEST.counts("train") == {"a": 1, "b": 1, "c": 0}


def test_a_part_keeps_the_order_of_the_manifest() -> None:
    assert [example.path for example in MANIFEST.part("train")] == ["b/1.jpg", "a/2.jpg"]


def test_an_id_is_the_beginning_of_the_content() -> None:
    assert EXAMPLES[0].id == "ab" * 8


def test_other_examples_keep_what_was_left_out_before() -> None:
    first = MANIFEST.with_examples(EXAMPLES[:2], (LeftOut(path="p", code="c", reason="r"),))
    second = first.with_examples(EXAMPLES[:1], (LeftOut(path="q", code="c", reason="r"),))
    assert [entry.path for entry in second.left_out] == ["p", "q"]
    assert second.classes == ("a", "b", "c")


def test_every_word_for_a_part_is_lower_case_and_means_a_part() -> None:
    assert set(SPLIT_WORDS.values()) == set(SPLITS)
    assert all(word == word.lower() for word in SPLIT_WORDS)
