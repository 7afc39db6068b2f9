"""Copies are named by what they spoil, and cleaning leaves out no more than it must."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.data.copies import Pair, clusters
from fieldmark.data.duplicates import (
    Seen,
    bursts,
    cleaned,
    clustered,
    crowds,
    exact_copies,
    group_leaks,
    label_conflicts,
    leaks,
    near_copies,
    near_copy_labels,
    near_leaks,
)
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Example, Manifest, Split
from fieldmark.modalities.looking import LOOK
from tests.data.seeing import example, seen_of


def near(first: int, second: int) -> Pair:
    return Pair(first=first, second=second, likeness=0.97, way="cropped")


def left_out(manifest: Manifest) -> dict[str, str]:
    return {each.path: each.code for each in manifest.left_out}


def test_equal_files_under_two_labels_are_a_conflict_and_all_go() -> None:
    seen = seen_of(example("a/1", "A"), example("b/1", "A"), example("a/2", "B"))
    (finding,) = label_conflicts(seen)
    assert finding.paths == ("a/1", "b/1")
    assert finding.labels == ("a", "b")
    assert finding.text == "equal files, a and b"
    assert exact_copies(seen) == []
    assert left_out(cleaned(seen)) == {"a/1": "label-conflict", "b/1": "label-conflict"}


def test_of_exact_copies_the_first_path_stays() -> None:
    seen = seen_of(example("a/1", "A"), example("a/0", "A"), example("a/2", "B"))
    (finding,) = exact_copies(seen)
    assert finding.paths == ("a/0", "a/1")
    assert left_out(cleaned(seen)) == {"a/1": "exact-copy"}


def test_across_ready_made_parts_the_most_guarded_copy_stays() -> None:
    seen = seen_of(
        example("train/a/1", "A", split="train"),
        example("test/a/1", "A", split="test"),
        example("val/a/1", "A", split="valid"),
        example("train/a/2", "B", split="train"),
    )
    (finding,) = leaks(seen)
    assert finding.paths == ("test/a/1", "val/a/1", "train/a/1")
    assert finding.done == "kept in the test part only"
    assert exact_copies(seen) == []
    assert left_out(cleaned(seen)) == {"train/a/1": "leak", "val/a/1": "leak"}


def test_copies_within_a_part_and_across_are_both_said() -> None:
    seen = seen_of(
        example("test/a/1", "A", split="test"),
        example("test/a/2", "A", split="test"),
        example("train/a/1", "A", split="train"),
    )
    assert [each.paths for each in exact_copies(seen)] == [("test/a/1", "test/a/2")]
    assert len(leaks(seen)) == 1
    assert left_out(cleaned(seen)) == {"test/a/2": "exact-copy", "train/a/1": "leak"}


def test_near_copies_across_parts_are_taken_out_of_training() -> None:
    seen = seen_of(
        example("train/a/1", "A", split="train"),
        example("test/a/1", "B", split="test"),
        pairs=[near(0, 1)],
    )
    (finding,) = near_leaks(seen)
    assert finding.paths == ("test/a/1", "train/a/1")
    assert finding.text == "at least 97.0 % alike (cropped), in the test part and the training part"
    assert left_out(cleaned(seen)) == {"train/a/1": "near-leak"}
    assert near_copies(seen) == []


def test_a_leaked_copy_of_something_already_left_out_costs_nothing_more() -> None:
    seen = seen_of(
        example("test/a/1", "A", split="test"),
        example("test/b/1", "A", split="test"),
        example("train/a/1", "B", split="train"),
        pairs=[near(0, 1)],
    )
    assert left_out(cleaned(seen)) == {"test/a/1": "label-conflict", "test/b/1": "label-conflict"}


def test_near_copies_stay_and_share_a_cluster() -> None:
    seen = seen_of(*(example(f"a/{n}", n) for n in "ABCD"), pairs=[near(0, 1), near(1, 3)])
    (finding,) = near_copies(seen)
    assert finding.paths == ("a/A", "a/B", "a/D")
    assert finding.done == "kept on one side"
    found = cleaned(seen)
    assert not found.left_out
    names = [each.cluster for each in found.examples]
    assert names[0] == names[1] == names[3] != ""
    assert names[2] == ""


def test_near_copies_under_two_labels_are_no_conflict_but_said() -> None:
    seen = seen_of(example("a/1", "A"), example("b/1", "B"), pairs=[near(0, 1)])
    assert label_conflicts(seen) == []
    (finding,) = near_copy_labels(seen)
    assert finding.labels == ("a", "b")
    assert not cleaned(seen).left_out


def test_a_burst_and_a_cluster_that_share_a_picture_become_one() -> None:
    seen = seen_of(
        *(example(f"a/{n}", n) for n in "ABCDE"), pairs=[near(0, 1), near(3, 4)], bursts=[(1, 2, 3)]
    )
    assert len({each.cluster for each in clustered(seen).examples}) == 1
    (finding,) = bursts(seen)
    assert (finding.measure, finding.done) == (3.0, "kept on one side")


def test_a_burst_across_parts_is_only_shown() -> None:
    seen = seen_of(
        example("train/a/1", "A", split="train"),
        example("test/a/2", "B", split="test"),
        bursts=[(0, 1)],
    )
    assert "the test part" in bursts(seen)[0].text
    assert bursts(seen)[0].done == "shown only"


def test_a_near_copy_of_a_near_copy_of_a_test_picture_goes_too() -> None:
    files = [
        example("test/a/1", "T", split="test"),
        example("train/a/1", "A", split="train"),
        example("val/a/1", "V", split="valid"),
    ]
    seen = seen_of(*files, pairs=[near(0, 2), near(1, 2)])
    assert left_out(cleaned(seen)) == {"train/a/1": "near-leak", "val/a/1": "near-leak"}
    assert near_leaks(seen)[0].paths == ("test/a/1", "val/a/1", "train/a/1")


def test_a_kept_copy_takes_nothing_from_the_test_part() -> None:
    seen = seen_of(
        example("train/a/1", "A", split="train"),
        example("test/a/1", "A", split="test"),
        kept={"train/a/1"},
    )
    assert not cleaned(seen).left_out


def test_a_group_in_two_parts_is_said() -> None:
    files = [
        dataclasses.replace(example("train/a/1", "A", split="train"), group="g"),
        dataclasses.replace(example("test/a/1", "B", split="test"), group="g"),
        dataclasses.replace(example("test/a/2", "C", split="test"), group="h"),
    ]
    (finding,) = group_leaks(seen_of(*files))
    assert finding.text == "the group g is in the test part and the training part"
    assert finding.done == "shown only"


def test_a_crowd_is_said_and_not_kept_together() -> None:
    seen = dataclasses.replace(
        seen_of(*(example(f"a/{n}", n) for n in "ABCD")), crowds=((0, 1, 2),)
    )
    (finding,) = crowds(seen)
    assert finding.measure == 3
    assert {each.cluster for each in cleaned(seen).examples} == {""}


def test_what_a_person_keeps_is_kept() -> None:
    files = [example("a/1", "A"), example("b/1", "A"), example("a/2", "B"), example("a/3", "B")]
    found = cleaned(seen_of(*files, kept={"b/1", "a/3"}))
    assert left_out(found) == {"a/1": "label-conflict", "a/2": "exact-copy"}


def test_equal_files_count_towards_near_copies_of_each() -> None:
    seen = seen_of(
        example("a/1", "A"), example("a/2", "A"), example("a/3", "B"), pairs=[near(0, 1)]
    )
    (finding,) = near_copies(seen)
    assert finding.paths == ("a/1", "a/2", "a/3")


SPLITS: st.SearchStrategy[Split | None] = st.sampled_from([None, "train", "valid", "test"])


@st.composite
def folders(draw: st.DrawFn) -> Seen:
    n = draw(st.integers(1, 12))
    parted = draw(st.booleans())
    files = [
        Example(
            path=f"{at}",
            label=draw(st.sampled_from("ab")),
            sha256=draw(st.sampled_from("ABCDEF")),
            split=draw(SPLITS.filter(bool)) if parted else None,
        )
        for at in range(n)
    ]
    contents = sorted({each.sha256 for each in files})
    links = draw(st.lists(st.tuples(*[st.integers(0, len(contents) - 1)] * 2), max_size=5))
    pairs = tuple(near(min(link), max(link)) for link in links if link[0] != link[1])
    manifest = Manifest(root=seen_of().manifest.root, examples=tuple(files), classes=("a", "b"))
    return Seen(
        manifest=manifest,
        looks=Looks(np.zeros(len(contents), LOOK), {sha: at for at, sha in enumerate(contents)}),
        pairs=pairs,
        clusters=clusters(pairs, lambda rows: False)[0],
        kept=frozenset(draw(st.sets(st.sampled_from([each.path for each in files])))),
    )


@given(folders())
def test_nothing_vanishes_and_what_stays_is_clean(seen: Seen) -> None:
    found = cleaned(seen)
    paths = [each.path for each in found.examples] + [each.path for each in found.left_out]
    assert sorted(paths) == sorted(each.path for each in seen.manifest.examples)
    assert not seen.kept & {each.path for each in found.left_out}
    free = [each for each in found.examples if each.path not in seen.kept]
    for one in free:
        for other in found.examples:
            beside = other.path not in seen.kept or other.split == one.split
            if one is not other and beside:
                assert one.sha256 != other.sha256
    sides: dict[str, set[str]] = {}
    for each in free:
        if each.cluster and each.split:
            sides.setdefault(each.cluster, set()).add(each.split)
    assert all(len(each) == 1 for each in sides.values())
    cluster_of = {each.sha256: each.cluster for each in found.examples}
    names = {row: sha for sha, row in seen.looks.row_of.items()}
    for pair in seen.pairs:
        both = [names[row] for row in (pair.first, pair.second)]
        if all(sha in cluster_of for sha in both):
            assert cluster_of[both[0]] == cluster_of[both[1]] != ""


@given(folders())
def test_the_same_folder_in_another_order_is_cleaned_alike(seen: Seen) -> None:
    turned = dataclasses.replace(seen.manifest, examples=seen.manifest.examples[::-1])
    n = len(seen.looks.rows)
    other = Seen(
        manifest=turned,
        looks=Looks(seen.looks.rows, {s: n - 1 - row for s, row in seen.looks.row_of.items()}),
        pairs=tuple(near(n - 1 - pair.second, n - 1 - pair.first) for pair in seen.pairs),
        clusters=tuple(tuple(n - 1 - row for row in rows[::-1]) for rows in seen.clusters),
        kept=seen.kept,
    )
    assert left_out(cleaned(other)) == left_out(cleaned(seen))
