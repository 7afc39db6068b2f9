from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fieldmark.data.folds import folds
from fieldmark.data.grouping import units
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import DataError, UsageError

seeds = st.integers(0, 2**32 - 1)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_of(examples: Iterable[Example]) -> Manifest:
    whole = tuple(examples)
    return Manifest(
        root=Path("x"), examples=whole, classes=tuple(sorted({each.label for each in whole}))
    )


def plain(counts: dict[str, int]) -> list[Example]:
    return [
        Example(path=f"{label}/{at}.jpg", label=label, sha256=sha(f"{label}{at}"))
        for label, count in counts.items()
        for at in range(count)
    ]


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Two or three classes with groups, clusters and copies, also across classes."""
    found = []
    for label in "abc"[: draw(st.integers(2, 3))]:
        for at in range(draw(st.integers(8, 25))):
            odd = draw(st.integers(0, 11))
            found.append(
                Example(
                    path=f"{label}/{at}.jpg",
                    label=label,
                    sha256=sha(f"copy{draw(st.integers(0, 4))}" if odd == 0 else f"{label}{at}"),
                    group=f"g{draw(st.integers(0, 5))}" if odd in (1, 2) else "",
                    cluster=f"c{draw(st.integers(0, 5))}" if odd in (3, 4) else "",
                )
            )
    return manifest_of(found)


def enough(manifest: Manifest, n: int) -> Manifest:
    assume(len(units(manifest.examples)) >= n)
    return manifest


@given(manifests(), st.integers(2, 6), seeds)
def test_no_unit_is_ever_in_two_folds(manifest: Manifest, n: int, seed: int) -> None:
    dealt = folds(enough(manifest, n), n, seed=seed)
    assert {each.fold for each in dealt.examples} == set(range(n))
    for unit in units(dealt.examples):
        assert len({dealt.examples[at].fold for at in unit.members}) == 1
    for kind in ("group", "cluster", "sha256"):
        where: dict[str, set[int | None]] = defaultdict(set)
        for each in dealt.examples:
            where[getattr(each, kind)].add(each.fold)
        where.pop("", None)
        assert all(len(found) == 1 for found in where.values())


@given(manifests(), st.integers(2, 6), seeds)
def test_a_class_with_enough_units_of_its_own_is_in_every_fold(
    manifest: Manifest, n: int, seed: int
) -> None:
    dealt = folds(enough(manifest, n), n, seed=seed)
    own = Counter(unit.labels[0] for unit in units(manifest.examples) if len(unit.labels) == 1)
    for label in manifest.classes:
        if own[label] >= n:
            assert {e.fold for e in dealt.examples if e.label == label} == set(range(n))


@given(st.integers(2, 120), st.integers(2, 20), seeds)
def test_single_files_are_dealt_evenly(count: int, n: int, seed: int) -> None:
    if count * 2 < n:
        return
    dealt = folds(manifest_of(plain({"a": count, "b": count})), n, seed=seed)
    for label in "ab":
        found = Counter(e.fold for e in dealt.examples if e.label == label)
        sizes = [found[fold] for fold in range(n)]
        assert max(sizes) - min(sizes) <= 1


@given(manifests(), seeds, st.randoms())
def test_neither_order_nor_names_matter(manifest: Manifest, seed: int, random: object) -> None:
    shuffled = [dataclasses.replace(each, path="x/" + each.path) for each in manifest.examples]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = folds(enough(manifest, 3), 3, seed=seed).examples
    again = folds(manifest_of(shuffled), 3, seed=seed).examples
    assert sorted((e.sha256, e.label, e.fold) for e in first) == sorted(
        (e.sha256, e.label, e.fold) for e in again
    )


@given(seeds, st.integers(1, 6))
def test_adding_files_moves_hardly_any_others(seed: int, n_added: int) -> None:
    before = plain({"a": 200, "b": 100})
    more = [
        dataclasses.replace(e, path=f"new/{e.path}", sha256=sha(f"new{e.path}"))
        for e in plain({"a": n_added})
    ]
    old = {e.path: e.fold for e in folds(manifest_of(before), 5, seed=seed).examples}
    new = {e.path: e.fold for e in folds(manifest_of([*before, *more]), 5, seed=seed).examples}
    assert sum(old[path] != new[path] for path in old) <= 4 * n_added
    assert all(old[path] == new[path] for path in old if path.startswith("b"))


def test_another_seed_deals_other_folds() -> None:
    manifest = manifest_of(plain({"a": 40, "b": 40}))
    assert folds(manifest, 4, seed=1) != folds(manifest, 4, seed=2)


def test_parts_stay_and_are_dealt_too() -> None:
    parted = [dataclasses.replace(e, split="test") for e in plain({"a": 9, "b": 9})]
    dealt = folds(manifest_of(parted), 3, seed=0)
    assert {e.split for e in dealt.examples} == {"test"}
    assert Counter(e.fold for e in dealt.examples) == {0: 6, 1: 6, 2: 6}


def test_a_few_large_groups_do_not_share_a_fold() -> None:
    grouped = [
        dataclasses.replace(e, group=f"{e.label}{int(e.path[2:-4]) % 5}")
        for e in plain({"a": 50, "b": 50})
    ]
    dealt = folds(manifest_of(grouped), 5, seed=3)
    assert Counter((e.label, e.fold) for e in dealt.examples) == {
        (label, fold): 10 for label in "ab" for fold in range(5)
    }


def in_groups(label: str, *sizes: int) -> list[Example]:
    """Groups of one class, of these sizes."""
    return [
        Example(path=f"{g}/{at}", label=label, sha256=sha(f"{label} {g} {at}"), group=f"{label}{g}")
        for g, size in enumerate(sizes)
        for at in range(size)
    ]


def test_large_groups_do_not_make_folds_uneven_where_small_ones_can_fill_up() -> None:
    manifest = manifest_of(in_groups("a", 60, 60, *[1] * 60))
    for seed in range(20):
        sizes = Counter(e.fold for e in folds(manifest, 3, seed=seed).examples)
        assert sizes == {0: 60, 1: 60, 2: 60}


def test_very_uneven_groups_still_reach_every_fold() -> None:
    manifest = manifest_of([*in_groups("a", 100, 100, 22, 1, 1), *plain({"b": 50})])
    for seed in range(30):
        dealt = folds(manifest, 5, seed=seed)
        assert {e.fold for e in dealt.examples if e.label == "a"} == {0, 1, 2, 3, 4}


def test_a_class_that_only_mixed_groups_hold_reaches_every_fold_too() -> None:
    def mixed(labels: str, name: str, n: int) -> list[Example]:
        return [
            Example(path=f"{name}{label}{at}", label=label, sha256=f"{name}{label}{at}", group=name)
            for label in labels
            for at in range(n)
        ]

    rare = [mixed("ar", "1", 1), mixed("ar", "2", 1), mixed("br", "3", 1), mixed("br", "4", 1)]
    whole = [*mixed("abc", "0", 30), *(each for some in rare for each in some)]
    for seed in range(30):
        dealt = folds(manifest_of([*whole, *plain({"a": 9, "b": 9, "c": 9})]), 3, seed=seed)
        assert {e.fold for e in dealt.examples if e.label == "r"} == {0, 1, 2}


def test_people_who_did_every_class_stay_whole() -> None:
    speakers = [
        Example(path=f"{s}{d}{n}", label=str(d), sha256=sha(f"{s}{d}{n}"), group=f"s{s}")
        for s in range(6)
        for d in range(5)
        for n in range(3)
    ]
    dealt = folds(manifest_of(speakers), 3, seed=0)
    assert Counter(e.fold for e in dealt.examples) == {0: 30, 1: 30, 2: 30}


@pytest.mark.parametrize("n", [-1, 0, 1, 21])
def test_numbers_of_folds_without_sense_are_refused(n: int) -> None:
    with pytest.raises(UsageError, match="2 to 20") as caught:
        folds(manifest_of(plain({"a": 9})), n, seed=0)
    assert caught.value.code == "folds"


def test_more_folds_than_groups_are_refused() -> None:
    one = [dataclasses.replace(e, group="all") for e in plain({"a": 9, "b": 9})]
    with pytest.raises(DataError, match="1 groups of files cannot be dealt") as caught:
        folds(manifest_of(one), 3, seed=0)
    assert caught.value.code == "too-few"


def test_files_that_were_not_read_are_refused() -> None:
    with pytest.raises(UsageError, match="before the files have been read") as caught:
        folds(manifest_of([Example(path="1.jpg", label="a")]), 2, seed=0)
    assert caught.value.code == "not-hashed"
