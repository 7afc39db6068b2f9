from __future__ import annotations

import dataclasses
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from fieldmark.data.grouping import unit_numbers, units
from fieldmark.data.manifest import Example


@st.composite
def examples(draw: st.DrawFn) -> list[Example]:
    """Up to 25 examples with groups, clusters and equal contents, some without any."""
    few = st.sampled_from(["", "", "1", "2", "3"])
    return [
        Example(
            path=f"{at}.jpg",
            label=draw(st.sampled_from("ab")),
            sha256=draw(st.sampled_from([str(at), str(at), "7", "8"])),
            group=draw(few),
            cluster=draw(few),
        )
        for at in range(draw(st.integers(0, 25)))
    ]


def joined_by_hand(found: list[Example]) -> list[set[int]]:
    """Merge sets again and again until none touch: slow, and plain to see."""
    sets = []
    for kind in ("group", "cluster", "sha256"):
        by: dict[str, set[int]] = defaultdict(set)
        for at, each in enumerate(found):
            if getattr(each, kind):
                by[getattr(each, kind)].add(at)
        sets += by.values()
    whole: list[set[int]] = []
    for each in sets:
        touching = [other for other in whole if other & each]
        whole = [other for other in whole if not other & each]
        whole.append(each.union(*touching))
    return whole


@given(examples())
def test_units_are_what_touches_directly_or_through_others(found: list[Example]) -> None:
    made = units(found)
    assert sorted(map(sorted, joined_by_hand(found))) == sorted(list(u.members) for u in made)
    for unit in made:
        assert unit.labels == tuple(sorted({found[at].label for at in unit.members}))


@given(examples(), st.randoms())
def test_keys_do_not_depend_on_order_or_names(found: list[Example], random: object) -> None:
    shuffled = [dataclasses.replace(each, path="x" + each.path) for each in found]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    keys = {unit.key for unit in units(found)}
    assert keys == {unit.key for unit in units(shuffled)}
    assert len(keys) == len(units(found))


@given(examples())
def test_numbers_say_the_same_as_units(found: list[Example]) -> None:
    numbers = unit_numbers(found).tolist()
    for unit in units(found):
        assert len({numbers[at] for at in unit.members}) == 1
    assert sorted(set(numbers)) == list(range(len(units(found))))


def test_examples_that_were_not_read_are_not_taken_for_copies() -> None:
    assert len(units([Example(path="1.jpg", label="a"), Example(path="2.jpg", label="a")])) == 2


def test_only_the_positions_asked_for_are_joined() -> None:
    three = [Example(path=f"{n}.jpg", label="a", sha256=f"{n}", group="g") for n in range(3)]
    assert [unit.members for unit in units(three, [0, 2])] == [(0, 2)]


def test_a_group_a_cluster_and_a_content_of_one_name_are_three_things() -> None:
    found = [
        Example(path="1.jpg", label="a", sha256="x", group="7"),
        Example(path="2.jpg", label="a", sha256="y", cluster="7"),
        Example(path="3.jpg", label="a", sha256="7"),
    ]
    assert unit_numbers(found).tolist() == [0, 1, 2]
