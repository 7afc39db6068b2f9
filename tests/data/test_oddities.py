"""Odd pictures, names and classes are named with the figure that makes them odd; usual ones not."""

from __future__ import annotations

from typing import Any

import pytest

from fieldmark.data import oddities
from fieldmark.data.duplicates import Seen
from fieldmark.data.findings import Finding
from tests.data.seeing import example, seen_of


def folder(n: int = 30, **odd: Any) -> Seen:
    """Return ``n`` usual pictures and one, called odd, with other values."""
    usual = [example(f"a/{at:03}.jpg", f"sha{at}") for at in range(n)]
    return seen_of(*usual, example("a/odd.jpg", "odd"), looks={"odd": odd})


def only(findings: list[Finding], path: str = "a/odd.jpg") -> Finding:
    (finding,) = findings
    assert finding.paths == (path,)
    return finding


def test_usual_pictures_are_not_odd() -> None:
    seen = seen_of(
        *(example(f"{name}/{at}.jpg", f"{name}{at}") for name in "ab" for at in range(30))
    )
    for question in (
        oddities.wrong_suffixes,
        oddities.odd_sizes,
        oddities.odd_shapes,
        oddities.blank,
        oddities.dark,
        oddities.bright,
        oddities.blurred,
        oddities.tiny_classes,
        oddities.imbalance,
        oddities.missing_from_parts,
        oddities.colliding_names,
        oddities.names_not_text,
        oddities.groups_in_names,
    ):
        assert question(seen) == [], question.__name__


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        (b"PNG", "x.jpg", True),
        (b"PNG", "x.PNG", False),
        (b"JPEG", "x.jpe", False),
        (b"MPO", "x.JPG", False),
        (b"GIF", "x", True),
        (b"TIFF", "x.tif", False),
        (b"WEBP", "x.png", True),
    ],
)
def test_the_content_decides_what_a_file_should_be_called(
    kind: bytes, name: str, wrong: bool
) -> None:
    seen = seen_of(example(f"a/{name}", "A"), looks={"A": {"format": kind}})
    found = oddities.wrong_suffixes(seen)
    assert bool(found) == wrong
    if wrong:
        assert kind.decode() in only(found, f"a/{name}").text


def test_sizes_are_odd_against_the_folders_own() -> None:
    assert only(oddities.odd_sizes(folder(width=20, height=20))).measure == 400
    assert "2000x1500" in only(oddities.odd_sizes(folder(width=2000, height=1500))).text
    assert oddities.odd_sizes(folder(width=300, height=300)) == []


def test_where_sizes_vary_a_size_must_be_further_off() -> None:
    usual = [example(f"a/{at}.jpg", f"s{at}") for at in range(40)]
    looks = {
        f"s{at}": {"width": 30 * 2 ** (at % 8), "height": 30 * 2 ** (at % 8)} for at in range(40)
    }
    assert oddities.odd_sizes(seen_of(*usual, looks=looks)) == []


def test_shapes_are_odd_in_both_directions() -> None:
    assert "0.20" in only(oddities.odd_shapes(folder(width=100, height=500))).text
    assert "6.00" in only(oddities.odd_shapes(folder(width=900, height=150))).text
    assert oddities.odd_shapes(folder(width=150, height=200)) == []


def test_blank_is_not_dark_nor_bright_nor_blurred() -> None:
    for level in (0.0, 255.0):
        seen = folder(contrast=0.5, brightness=level, blur=0.9)
        assert only(oddities.blank(seen)).measure == 0.5
        assert oddities.dark(seen) == oddities.bright(seen) == oddities.blurred(seen) == []


def test_dark_and_bright_need_nearly_all_of_the_picture() -> None:
    assert "mean grey 10" in only(oddities.dark(folder(brightness=10, contrast=12))).text
    assert oddities.dark(folder(brightness=20, contrast=60)) == []
    assert "mean grey 245" in only(oddities.bright(folder(brightness=245, contrast=10))).text
    assert oddities.bright(folder(brightness=200, contrast=60)) == []


def test_blur_counts_where_the_others_are_sharper() -> None:
    assert only(oddities.blurred(folder(blur=0.85))).measure == pytest.approx(0.85)
    assert oddities.blurred(folder(blur=0.6)) == []
    usual = [example(f"a/{at}.jpg", f"s{at}") for at in range(20)]
    all_soft = {f"s{at}": {"blur": 0.8} for at in range(20)}
    assert oddities.blurred(seen_of(*usual, looks=all_soft)) == []


def test_one_picture_of_a_content_is_enough() -> None:
    seen = seen_of(example("a/1.jpg", "A"), example("a/2.jpg", "A"), looks={"A": {"contrast": 0}})
    only(oddities.blank(seen), "a/1.jpg")


def test_tiny_classes_and_imbalance_have_their_figures() -> None:
    seen = seen_of(
        *(example(f"many/{at}.jpg", f"m{at}") for at in range(100)),
        *(example(f"few/{at}.jpg", f"f{at}") for at in range(10)),
    )
    (tiny,) = oddities.tiny_classes(seen)
    assert (tiny.labels, tiny.measure) == (("few",), 10)
    (imbalance,) = oddities.imbalance(seen)
    assert (imbalance.labels, imbalance.measure) == (("many", "few"), 10)


def test_a_class_missing_from_a_part_is_named_with_the_part() -> None:
    seen = seen_of(
        example("train/a/1.jpg", "A", split="train"),
        example("train/b/1.jpg", "B", split="train"),
        example("test/a/2.jpg", "C", split="test"),
    )
    (finding,) = oddities.missing_from_parts(seen)
    assert (finding.labels, finding.text) == (("b",), "none of b in the test part")


def test_names_that_become_one_elsewhere_are_found() -> None:
    seen = seen_of(
        example("a/Cat.jpg", "A"),
        example("a/cat.jpg", "B"),
        example("a/\u00e9.jpg", "C"),
        example("a/e\u0301.jpg", "D"),
        example("b/cat.jpg", "E"),
    )
    assert [each.paths for each in oddities.colliding_names(seen)] == [
        ("a/Cat.jpg", "a/cat.jpg"),
        ("a/\u00e9.jpg", "a/e\u0301.jpg"),
    ]


@pytest.mark.parametrize(
    ("name", "said"), [("a\udcff.jpg", "not UTF-8"), ("a\nb.jpg", "control"), ("\u5bd2.jpg", "")]
)
def test_names_that_are_no_text_are_found(name: str, said: str) -> None:
    found = oddities.names_not_text(seen_of(example(f"a/{name}", "A")))
    assert [said in each.text for each in found] == ([True] if said else [])


def named(*names: str) -> list[Finding]:
    examples = [example(f"{'ab'[at % 2]}/{name}.jpg", f"s{at}") for at, name in enumerate(names)]
    return oddities.groups_in_names(seen_of(*examples))


def test_a_speaker_in_the_name_looks_like_a_group() -> None:
    speakers = ("george", "jackson", "lucas", "theo")
    (finding,) = named(*(f"{n % 10}_{speakers[n % 4]}_{n}" for n in range(80)))
    assert "george (20)" in finding.text
    assert r"--groups 'name:^(?:[^_\-. ]+[_\-. ]+){1}([^_\-. ]+)'" in finding.text


def test_running_numbers_labels_and_unique_names_do_not() -> None:
    assert named(*(f"{'ab'[n % 2]}.{n}" for n in range(60))) == []
    assert named(*(f"IMG_{n}" for n in range(60))) == []
    assert named(*(f"{n * 7919:08x}_{n * 104729:08x}" for n in range(60))) == []
    assert named(*(f"x{n}" for n in range(60))) == []


def test_the_pattern_that_is_shown_finds_the_word() -> None:
    import re

    (finding,) = named(*(f"shot-{n}_farm{n % 5}" for n in range(60)))
    pattern = re.search(r"name:(.*)'", finding.text)
    assert pattern is not None
    match = re.search(pattern[1], "shot-12_farm3.jpg".removesuffix(".jpg"))
    assert match is not None
    assert match[1] == "farm3"
