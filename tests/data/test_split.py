from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fieldmark.data import scan, split
from fieldmark.data.manifest import SPLITS, Example, Manifest, Split
from fieldmark.errors import DataError, UsageError

MakeManifest = Callable[[Iterable[Example]], Manifest]
seeds = st.integers(0, 2**32 - 1)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_of(examples: Iterable[Example]) -> Manifest:
    whole = tuple(examples)
    classes = tuple(sorted({example.label for example in whole}))
    return Manifest(root=Path("x"), examples=whole, classes=classes)


def plain(
    counts: dict[str, int], *, prefix: str = "", part: Split | None = None
) -> tuple[Example, ...]:
    return tuple(
        Example(
            path=f"{prefix}{label}/{number}.jpg",
            label=label,
            sha256=sha(f"{prefix}{label}{number}"),
            split=part,
        )
        for label, count in counts.items()
        for number in range(count)
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Two to four classes, some examples in groups, some exact copies, also across classes."""
    examples = []
    for label in "abcd"[: draw(st.integers(2, 4))]:
        for number in range(draw(st.integers(5, 30))):
            copied = draw(st.integers(0, 9)) == 0
            grouped = draw(st.integers(0, 4)) == 0
            examples.append(
                Example(
                    path=f"{label}/{number}.jpg",
                    label=label,
                    sha256=sha(f"copy{draw(st.integers(0, 5))}" if copied else f"{label}{number}"),
                    group=f"g{draw(st.integers(0, 9))}" if grouped else "",
                    cluster=f"c{draw(st.integers(0, 9))}" if draw(st.integers(0, 6)) == 0 else "",
                )
            )
    return manifest_of(examples)


def assigned(manifest: Manifest, seed: int) -> Manifest:
    try:
        return split.assign(manifest, seed=seed)
    except DataError as error:
        assume(error.code != "too-few")
        raise


def sides(manifest: Manifest, key: Callable[[Example], str]) -> dict[str, set[Split | None]]:
    found: dict[str, set[Split | None]] = defaultdict(set)
    for example in manifest.examples:
        if key(example):
            found[key(example)].add(example.split)
    return found


@given(manifests(), seeds)
def test_no_group_is_ever_on_two_sides(manifest: Manifest, seed: int) -> None:
    placed = assigned(manifest, seed)
    assert all(len(parts) == 1 for parts in sides(placed, lambda e: e.group).values())


@given(manifests(), seeds)
def test_near_copies_and_bursts_are_never_on_two_sides(manifest: Manifest, seed: int) -> None:
    placed = assigned(manifest, seed)
    assert all(len(parts) == 1 for parts in sides(placed, lambda e: e.cluster).values())


@given(manifests(), seeds)
def test_exact_copies_are_never_on_two_sides_whatever_their_labels(
    manifest: Manifest, seed: int
) -> None:
    placed = assigned(manifest, seed)
    assert all(len(parts) == 1 for parts in sides(placed, lambda e: e.sha256).values())


@given(manifests(), seeds)
def test_every_class_is_in_every_part(manifest: Manifest, seed: int) -> None:
    placed = assigned(manifest, seed)
    for part in SPLITS:
        assert all(count >= 1 for count in placed.counts(part).values())


@given(manifests(), seeds)
def test_nothing_but_the_part_changes(manifest: Manifest, seed: int) -> None:
    placed = assigned(manifest, seed)
    bare = [dataclasses.replace(example, split=None) for example in placed.examples]
    assert tuple(bare) == manifest.examples
    assert placed.classes == manifest.classes


@given(manifests(), seeds)
def test_the_same_seed_draws_the_same_parts(manifest: Manifest, seed: int) -> None:
    assert assigned(manifest, seed) == assigned(manifest, seed)


@given(manifests(), seeds, st.randoms())
def test_neither_order_nor_file_names_matter(manifest: Manifest, seed: int, random: object) -> None:
    shuffled = list(manifest.examples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    renamed = [
        dataclasses.replace(example, path=f"{number}.png")
        for number, example in enumerate(shuffled)
    ]
    first = sorted((e.sha256, e.label, e.split or "") for e in assigned(manifest, seed).examples)
    other = manifest_of(renamed)
    second = sorted((e.sha256, e.label, e.split or "") for e in assigned(other, seed).examples)
    assert first == second


@given(seeds, st.permutations("xyz"))
def test_splits_do_not_depend_on_class_names(seed: int, names: list[str]) -> None:
    manifest = manifest_of(plain({"a": 20, "b": 15, "c": 9}))
    new = dict(zip("abc", names, strict=True))
    renamed = manifest_of(dataclasses.replace(e, label=new[e.label]) for e in manifest.examples)
    first = [e.split for e in split.assign(manifest, seed=seed).examples]
    assert first == [e.split for e in split.assign(renamed, seed=seed).examples]


@given(st.integers(5, 400), seeds)
def test_a_class_of_single_examples_gets_the_fractions_asked_for(count: int, seed: int) -> None:
    placed = split.assign(manifest_of(plain({"a": count, "b": count})), seed=seed)
    for part, share in zip(SPLITS, (0.70, 0.15, 0.15), strict=True):
        for found in placed.counts(part).values():
            assert abs(found - share * count) <= 1


@given(seeds)
def test_another_seed_draws_other_parts(seed: int) -> None:
    manifest = manifest_of(plain({"a": 60, "b": 60}))
    assert split.assign(manifest, seed=seed) != split.assign(manifest, seed=seed + 1)


@given(seeds, st.integers(1, 10))
def test_adding_files_moves_hardly_any_others(seed: int, n_added: int) -> None:
    before = manifest_of(plain({"a": 200, "b": 200}))
    more = plain({"a": n_added}, prefix="new/")
    after = manifest_of((*before.examples, *more))
    old = {e.path: e.split for e in split.assign(before, seed=seed).examples}
    new = {e.path: e.split for e in split.assign(after, seed=seed).examples}
    moved = sum(old[path] != new[path] for path in old)
    assert moved <= 2 * n_added  # only those next to the two boundaries
    assert all(old[path] == new[path] for path in old if path.startswith("b"))


def test_adding_to_a_group_keeps_it_where_it_was() -> None:
    members = [dataclasses.replace(e, group=f"g{e.path[2]}") for e in plain({"a": 10, "b": 10})]
    before = split.assign(manifest_of(members), seed=3)
    extra = Example(path="a/new.jpg", label="a", sha256=sha("new"), group="g4")
    after = split.assign(manifest_of([*members, extra]), seed=3)
    parts = {e.group: e.split for e in before.examples}
    assert after.examples[-1].split == parts["g4"]


def test_groups_joined_by_a_copy_stay_together() -> None:
    examples = list(plain({"a": 30, "b": 30}))
    examples[0] = dataclasses.replace(examples[0], group="g1", sha256=sha("same"))
    examples[31] = dataclasses.replace(examples[31], group="g2", sha256=sha("same"))
    examples[5] = dataclasses.replace(examples[5], group="g1")
    examples[40] = dataclasses.replace(examples[40], group="g2")
    for seed in range(20):
        placed = split.assign(manifest_of(examples), seed=seed).examples
        assert len({placed[at].split for at in (0, 5, 31, 40)}) == 1


def test_a_group_larger_than_a_part_goes_to_training() -> None:
    examples = [
        dataclasses.replace(e, group="burst") if e.label == "a" and int(e.path[2:-4]) < 50 else e
        for e in plain({"a": 100, "b": 100})
    ]
    for seed in range(20):
        placed = split.assign(manifest_of(examples), seed=seed)
        assert {e.split for e in placed.examples if e.group} == {"train"}
        assert placed.counts("test") == {"a": 15, "b": 15}


def test_a_few_large_groups_still_fill_every_part() -> None:
    examples = [
        dataclasses.replace(e, group=f"{e.label}{int(e.path[2:-4]) % 3}")
        for e in plain({"a": 30, "b": 31})
    ]
    placed = split.assign(manifest_of(examples), seed=0)
    assert {tuple(placed.counts(part).values()) for part in SPLITS} <= {(10, 10), (10, 11)}


def test_people_who_did_every_class_stay_whole_and_every_part_gets_some() -> None:
    speakers = [
        Example(path=f"{s}/{d}_{n}.wav", label=str(d), sha256=sha(f"{s}{d}{n}"), group=f"s{s}")
        for s in range(6)
        for d in range(10)
        for n in range(5)
    ]
    for seed in range(10):
        placed = split.assign(manifest_of(speakers), seed=seed)
        assert all(len(parts) == 1 for parts in sides(placed, lambda e: e.group).values())
        assert set(placed.counts("test").values()) == {5}
        assert set(placed.counts("valid").values()) == {5}
        assert set(placed.counts("train").values()) == {20}


def test_a_class_that_only_mixed_groups_hold_is_mended_into_every_part() -> None:
    rare = [
        Example(path=f"r{n}.jpg", label="rare", sha256=sha(f"r{n}"), group=f"{'ab'[n % 2]}{n // 2}")
        for n in range(6)
    ]
    with_groups = [
        dataclasses.replace(e, group=f"{e.label}{e.path[2]}") if e.path[2:] < "3" else e
        for e in plain({"a": 9, "b": 9})
    ]
    for seed in range(30):
        placed = split.assign(manifest_of([*rare, *with_groups]), seed=seed)
        assert all(placed.counts(part)["rare"] for part in SPLITS)


def test_a_group_whose_name_is_no_text_has_a_place_too() -> None:
    examples = [dataclasses.replace(e, group="caf\udce9") for e in plain({"a": 2})]
    placed = split.assign(manifest_of([*examples, *plain({"a": 9, "b": 9}, prefix="x/")]), seed=0)
    assert len({e.split for e in placed.examples if e.group}) == 1


# --- parts that came with the folder


def test_complete_parts_stay() -> None:
    given_parts = [e for part in SPLITS for e in plain({"a": 2, "b": 1}, prefix=part, part=part)]
    manifest = manifest_of(given_parts)
    assert split.assign(manifest, seed=1) is manifest


@given(seeds)
def test_a_ready_made_test_part_is_never_touched(seed: int) -> None:
    test = plain({"a": 7, "b": 40}, prefix="test/", part="test")
    train = plain({"a": 100, "b": 200}, prefix="train/", part="train")
    placed = split.assign(manifest_of((*test, *train)), seed=seed)
    assert placed.examples[: len(test)] == test
    assert placed.counts("test") == {"a": 7, "b": 40}
    # 0.15 / 0.85 of the training part
    assert placed.counts("valid") == {"a": 18, "b": 35}
    assert placed.counts("train") == {"a": 82, "b": 165}


def test_a_ready_made_validation_part_leaves_a_test_part_to_draw() -> None:
    valid = plain({"a": 20, "b": 20}, prefix="valid/", part="valid")
    train = plain({"a": 100, "b": 100}, prefix="train/", part="train")
    placed = split.assign(manifest_of((*train, *valid)), seed=5)
    assert placed.part("valid") == valid
    assert placed.counts("test") == {"a": 18, "b": 18}


def test_a_training_part_alone_is_divided_in_three() -> None:
    placed = split.assign(manifest_of(plain({"a": 20, "b": 20}, part="train")), seed=5)
    assert placed.counts("test") == placed.counts("valid") == {"a": 3, "b": 3}


def test_copies_across_ready_made_parts_stay_where_they_are() -> None:
    train = plain({"a": 10, "b": 10}, prefix="train/", part="train")
    copy = Example(path="test/x.jpg", label="a", sha256=train[0].sha256, split="test")
    other = Example(path="test/y.jpg", label="b", sha256=sha("y"), split="test")
    placed = split.assign(manifest_of((*train, copy, other)), seed=0)
    assert placed.counts("test") == {"a": 1, "b": 1}


def test_groups_stay_together_when_validation_is_drawn() -> None:
    train = [
        dataclasses.replace(e, group=f"g{int(e.path.split('/')[-1][:-4]) % 7}")
        for e in plain({"a": 70, "b": 70}, prefix="train/", part="train")
    ]
    test = plain({"a": 5, "b": 5}, prefix="test/", part="test")
    placed = split.assign(manifest_of((*train, *test)), seed=2)
    assert all(len(parts) == 1 for parts in sides(placed, lambda e: e.group).values())


def test_two_examples_per_class_are_enough_for_validation_alone() -> None:
    train = plain({"a": 2, "b": 2}, prefix="train/", part="train")
    test = plain({"a": 1, "b": 1}, prefix="test/", part="test")
    placed = split.assign(manifest_of((*train, *test)), seed=2)
    assert placed.counts("train") == placed.counts("valid") == {"a": 1, "b": 1}


# --- refusals


def refused(manifest: Manifest) -> DataError:
    with pytest.raises(DataError, match=r"\w") as caught:
        split.assign(manifest, seed=0)
    return caught.value


def test_classes_too_small_to_test_are_named_with_their_sizes() -> None:
    error = refused(manifest_of(plain({"heron": 3, "egret": 4, "stork": 40})))
    assert error.code == "too-few"
    assert error.what == "2 of 3 classes have fewer than 5 examples: heron (3), egret (4)."
    assert "5 per class" in error.why
    assert error.hint


def test_one_small_class_is_told_in_the_singular() -> None:
    error = refused(manifest_of(plain({"heron": 3, "stork": 40})))
    assert error.what == "1 of 2 classes has fewer than 5 examples: heron (3)."


def test_many_examples_in_two_groups_are_too_few() -> None:
    examples = [
        dataclasses.replace(e, group=f"g{int(e.path[2:-4]) % 2}") if e.label == "a" else e
        for e in plain({"a": 40, "b": 40})
    ]
    error = refused(manifest_of(examples))
    assert error.code == "too-few"
    assert error.what == ("1 of 2 classes has fewer than 3 groups that can be separated: a (2).")


def test_copies_of_one_picture_are_one() -> None:
    examples = [dataclasses.replace(e, sha256=sha(e.label)) for e in plain({"a": 9, "b": 9})]
    assert "a (1), b (1)" in refused(manifest_of(examples)).what


def test_many_small_classes_are_not_all_listed() -> None:
    error = refused(manifest_of(plain({f"c{number:02}": 1 for number in range(30)})))
    assert "and 22 more" in error.what


def test_one_training_example_is_too_few_for_validation() -> None:
    train = plain({"a": 1, "b": 9}, prefix="train/", part="train")
    test = plain({"a": 1, "b": 1}, prefix="test/", part="test")
    assert "fewer than 2 examples: a (1)" in refused(manifest_of((*train, *test))).what


def test_parts_given_for_some_examples_only_are_refused() -> None:
    mixed = (*plain({"a": 9, "b": 9}), *plain({"a": 9}, prefix="t/", part="test"))
    assert refused(manifest_of(mixed)).code == "split-partly-given"


@pytest.mark.parametrize("part", ["test", "valid"])
def test_a_folder_without_a_training_part_is_refused(part: Split) -> None:
    assert refused(manifest_of(plain({"a": 9, "b": 9}, part=part))).code == "no-train-part"


def test_files_that_were_not_read_are_refused() -> None:
    unread = [dataclasses.replace(e, sha256="") for e in plain({"a": 9, "b": 9})]
    with pytest.raises(UsageError, match="before the files have been read") as caught:
        split.assign(manifest_of(unread), seed=0)
    assert caught.value.code == "not-hashed"


@pytest.mark.parametrize(
    "fractions", [(0.7, 0.2, 0.2), (1.0, 0.0, 0.0), (0.5, 0.6, -0.1), (0.7, 0.15, float("nan"))]
)
def test_fractions_without_sense_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="sum 1") as caught:
        split.assign(manifest_of(plain({"a": 9, "b": 9})), fractions=fractions, seed=0)
    assert caught.value.code == "fractions"


def test_other_fractions_are_kept() -> None:
    manifest = manifest_of(plain({"a": 100, "b": 100}))
    placed = split.assign(manifest, fractions=(0.5, 0.2, 0.3), seed=0)
    assert [placed.counts(part)["a"] for part in SPLITS] == [50, 20, 30]


# --- real folders


def test_the_flowers_conflicting_copies_stay_together(shared_data: Path) -> None:
    if not (shared_data / "flowers").is_dir():
        pytest.skip("the real data flowers is not there")
    hashed = scan.hash_contents(scan.scan(shared_data / "flowers"), threads=2)
    placed = split.assign(hashed, seed=7)
    copies = {key for key, n in Counter(e.sha256 for e in placed.examples).items() if n > 1}
    assert len(copies) >= 6
    assert all(len(sides(placed, lambda e: e.sha256)[key]) == 1 for key in copies)
    for part, share in zip(SPLITS, (0.70, 0.15, 0.15), strict=True):
        for label, count in placed.counts(part).items():
            assert abs(count - share * placed.counts()[label]) <= 3
