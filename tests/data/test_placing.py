from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fieldmark.data import grouping, placing, split, split_file
from fieldmark.data.folds import folds
from fieldmark.data.manifest import SPLITS, Example, LeftOut, Manifest, Split
from fieldmark.data.placing import Placed
from fieldmark.data.split_file import Row, SplitFile
from fieldmark.errors import DataError

seeds = st.integers(0, 2**32 - 1)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_of(examples: Iterable[Example], left_out: tuple[LeftOut, ...] = ()) -> Manifest:
    whole = tuple(examples)
    classes = tuple(sorted({each.label for each in whole}))
    return Manifest(root=Path("x"), examples=whole, classes=classes, left_out=left_out)


def plain(counts: dict[str, int], prefix: str = "") -> list[Example]:
    return [
        Example(path=f"{prefix}{label}/{at}.jpg", label=label, sha256=sha(f"{prefix}{label}{at}"))
        for label, count in counts.items()
        for at in range(count)
    ]


def saved(manifest: Manifest) -> SplitFile:
    rows = tuple(
        Row(
            path=each.path,
            split=each.split or "train",
            sha256=each.sha256,
            group=each.group,
            cluster=each.cluster,
            fold=each.fold,
        )
        for each in manifest.examples
    )
    return SplitFile(rows=rows)


def parts(found: Placed | Manifest) -> dict[str, Split | None]:
    manifest = found.manifest if isinstance(found, Placed) else found
    return {each.path: each.split for each in manifest.examples}


@st.composite
def two_visits(draw: st.DrawFn) -> tuple[list[Example], list[Example]]:
    """What lay in a folder, and what came later: some of it belongs to what was there."""
    few = st.sampled_from(["", "", "", "g1", "g2", "g3"])

    def some(prefix: str, low: int, high: int, classes: str) -> list[Example]:
        return [
            Example(
                path=f"{prefix}{label}/{at}.jpg",
                label=label,
                sha256=sha(draw(st.sampled_from([f"{prefix}{label}{at}"] * 8 + ["same"]))),
                group=draw(few),
                cluster=draw(few),
            )
            for label in classes
            for at in range(draw(st.integers(low, high)))
        ]

    return some("", 8, 20, "ab"), some("new/", 0, 8, "abc")


def first_split(examples: list[Example], seed: int) -> Manifest:
    try:
        return split.assign(manifest_of(examples), seed=seed)
    except DataError as error:
        assume(error.code != "too-few")
        raise


@given(two_visits(), seeds, st.randoms())
def test_adding_files_never_moves_a_known_one(
    visits: tuple[list[Example], list[Example]], seed: int, random: object
) -> None:
    old, new = visits
    before = first_split(old, seed)
    both = [*old, *new]
    random.shuffle(both)  # type: ignore[attr-defined]
    after = parts(placing.placed(manifest_of(both), saved(before), seed=seed + 1))
    assert {path: after[path] for path in parts(before)} == parts(before)
    assert None not in after.values()


@given(two_visits(), seeds)
def test_a_new_file_goes_where_what_belongs_to_it_is(
    visits: tuple[list[Example], list[Example]], seed: int
) -> None:
    old, new = visits
    before = first_split(old, seed)
    after = placing.placed(manifest_of([*old, *new]), saved(before), seed=seed)
    divided = 0
    for unit in grouping.units(after.manifest.examples):
        homes = {after.manifest.examples[at].split for at in unit.members if at < len(old)}
        came = [after.manifest.examples[at].split for at in unit.members if at >= len(old)]
        if len(homes) < 2:  # whole before: whole after
            assert len(homes | set(came)) == 1
        else:
            # A new file may tie together what lay apart; an equal one was known by its content.
            divided += sum(part == "train" for part in came)
    notes = {note.code for note in after.notes}
    assert ("split-divided" in notes) <= bool(divided)
    assert ("split-new" in notes) <= bool(new)


@given(seeds, st.integers(1, 30))
def test_what_came_first_does_not_move_for_what_comes_later(seed: int, n: int) -> None:
    before = first_split(plain({"a": 40, "b": 40}), seed)
    new, later = plain({"a": n}, "new/"), plain({"a": 9, "b": 4}, "later/")
    bare = [dataclasses.replace(e, split=None) for e in before.examples]
    first = parts(placing.placed(manifest_of([*bare, *new]), saved(before), seed=3))
    both = parts(placing.placed(manifest_of([*bare, *new, *later]), saved(before), seed=3))
    assert {path: both[path] for path in first} == first


def test_new_files_get_about_the_shares_asked_for() -> None:
    before = first_split(plain({"a": 40, "b": 40}), 1)
    bare = [dataclasses.replace(e, split=None) for e in before.examples]
    new = plain({"a": 1000}, "new/")
    after = placing.placed(
        manifest_of([*bare, *new]), saved(before), fractions=(0.5, 0.2, 0.3), seed=1
    )
    found = Counter(e.split for e in after.manifest.examples if e.path.startswith("new/"))
    assert found["valid"] == pytest.approx(200, abs=50)
    assert found["test"] == pytest.approx(300, abs=60)
    assert [note.text.partition(":")[0] for note in after.notes] == [
        "1,000 files are new to the split file"
    ]


@given(seeds)
def test_a_new_class_is_in_every_part(seed: int) -> None:
    before = first_split(plain({"a": 10, "b": 10}), 1)
    bare = [dataclasses.replace(e, split=None) for e in before.examples]
    after = placing.placed(manifest_of([*bare, *plain({"c": 6})]), saved(before), seed=seed)
    assert {e.split for e in after.manifest.examples if e.label == "c"} == set(SPLITS)


def test_doing_it_twice_changes_nothing() -> None:
    before = first_split(plain({"a": 20, "b": 20}), 1)
    bare = [dataclasses.replace(e, split=None) for e in before.examples]
    whole = manifest_of([*bare, *plain({"a": 20}, "new/")])
    once = placing.placed(whole, saved(before), seed=1)
    assert placing.placed(once.manifest, saved(before), seed=1).manifest == once.manifest


def test_where_known_ones_lie_in_two_parts_they_stay_and_new_ones_are_learned_from() -> None:
    old = [
        Example(path="a/1.jpg", label="a", sha256="1", group="g", split="train"),
        Example(path="a/2.jpg", label="a", sha256="2", group="g", split="test"),
    ]
    bare = [dataclasses.replace(e, split=None) for e in old]
    new = Example(path="a/3.jpg", label="a", sha256="3", group="g")
    after = placing.placed(manifest_of([*bare, new]), saved(manifest_of(old)), seed=0)
    assert parts(after) == {"a/1.jpg": "train", "a/2.jpg": "test", "a/3.jpg": "train"}
    assert [note.code for note in after.notes] == ["split-new", "split-divided"]


def test_groups_and_clusters_of_the_file_are_known_again() -> None:
    old = [
        Example(path="a/1.jpg", label="a", sha256="1", group="g", cluster="c", split="test"),
        Example(path="a/2.jpg", label="a", sha256="2", group="h", split="train"),
    ]
    bare = [dataclasses.replace(e, split=None, group="", cluster="") for e in old]
    own = dataclasses.replace(bare[1], group="mine")
    after = placing.placed(manifest_of([bare[0], own]), saved(manifest_of(old)), seed=0)
    assert [(e.group, e.cluster) for e in after.manifest.examples] == [("g", "c"), ("mine", "")]


def test_folds_are_kept_and_new_files_get_one() -> None:
    before = folds(first_split(plain({"a": 20, "b": 20}), 1), 4, seed=2)
    bare = [dataclasses.replace(e, split=None, fold=None) for e in before.examples]
    near = dataclasses.replace(bare[0], path="near.jpg", sha256=sha("near"), cluster="c")
    bare[0] = dataclasses.replace(bare[0], cluster="c")
    after = placing.placed(
        manifest_of([*bare, near, *plain({"a": 30}, "new/")]), saved(before), seed=2
    ).manifest.examples
    assert [e.fold for e in after[:40]] == [e.fold for e in before.examples]
    assert after[40].fold == after[0].fold
    assert {e.fold for e in after[41:]} == {0, 1, 2, 3}


def test_files_that_are_gone_are_counted_but_not_those_left_out() -> None:
    before = first_split(plain({"a": 10, "b": 10}), 1)
    bare = [dataclasses.replace(e, split=None) for e in before.examples]
    broken = LeftOut(path=bare[0].path, code="truncated", reason="ends early")
    after = placing.placed(manifest_of(bare[3:], (broken,)), saved(before), seed=1)
    assert [str(note) for note in after.notes] == [
        "2 files of the split file are not there any more. [split-gone]"
    ]


# --- with ready-made folders


def ready_made() -> list[Example]:
    train = [dataclasses.replace(e, split="train") for e in plain({"a": 20, "b": 20}, "train/")]
    return train + [dataclasses.replace(e, split="test") for e in plain({"a": 5, "b": 5}, "test/")]


def test_a_ready_made_test_folder_takes_new_files_and_training_gives_none() -> None:
    before = split.assign(manifest_of(ready_made()), seed=4)
    new = [
        Example(path="test/a/new.jpg", label="a", sha256=sha("x"), split="test"),
        *(dataclasses.replace(e, split="train") for e in plain({"a": 40}, "train/new/")),
        # Belongs to a test picture, but lies in the training folder.
        dataclasses.replace(before.examples[-1], path="train/b/y.jpg", sha256="y", split="train"),
    ]
    new[-1] = dataclasses.replace(new[-1], cluster="c")
    old = ready_made()
    old[-1] = dataclasses.replace(old[-1], cluster="c")
    after = parts(placing.placed(manifest_of([*old, *new]), saved(before), seed=4))
    assert after["test/a/new.jpg"] == "test"
    assert {after[e.path] for e in new[1:-1]} == {"train", "valid"}
    assert after["train/b/y.jpg"] == "train"
    assert {path: after[path] for path in parts(before)} == parts(before)


def test_a_folder_and_a_file_that_disagree_are_refused() -> None:
    before = split.assign(manifest_of(ready_made()), seed=4)
    moved = dataclasses.replace(ready_made()[0], path="test/a/moved.jpg", split="test")
    with pytest.raises(DataError, match="lies in the test part") as caught:
        placing.placed(manifest_of([*ready_made()[1:], moved]), saved(before), seed=4)
    assert caught.value.code == "split-disagrees"


def test_a_file_without_validation_leaves_it_to_be_drawn_from_training() -> None:
    old = [dataclasses.replace(e, split="train") for e in plain({"a": 20, "b": 20})]
    old += [dataclasses.replace(e, split="test") for e in plain({"a": 5, "b": 5}, "t/")]
    bare = [dataclasses.replace(e, split=None) for e in old]
    whole = manifest_of([*bare, *plain({"a": 30}, "new/")])
    after = placing.placed(whole, saved(manifest_of(old)), seed=4).manifest
    assert {e.split for e in after.examples} == {"train", "test"}
    cut = split.assign(after, seed=4)
    assert len(cut.part("valid")) > 5
    assert cut.part("test") == after.part("test")


def test_a_file_of_another_folder_is_refused() -> None:
    other = saved(first_split(plain({"a": 10, "b": 10}, "other/"), 1))
    with pytest.raises(DataError, match="knows none of the 20 pictures") as caught:
        placing.placed(manifest_of(plain({"a": 10, "b": 10})), other, seed=0)
    assert caught.value.code == "split-foreign"


def test_the_whole_way_over_the_disk(tmp_path: Path) -> None:
    before = folds(first_split(plain({"a": 20, "b": 20}), 1), 3, seed=1)
    split_file.write(tmp_path / "s.csv", before)
    bare = [dataclasses.replace(e, split=None, fold=None) for e in before.examples]
    again = placing.placed(manifest_of(bare), split_file.read(tmp_path / "s.csv"), seed=9)
    assert again.manifest == before
    assert again.notes == ()
