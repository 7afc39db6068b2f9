"""Near copies are found whatever was done to them; pictures that merely look alike are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fieldmark.data.copies import Pair, bursts, clusters, near_copies
from fieldmark.modalities.looking import LOOK, look
from tests.photos import CHANGES, photo, png

N = 40


def looks_of(pictures: Sequence[Image.Image]) -> np.ndarray:
    return np.array([look(png(picture)) for picture in pictures], LOOK)


@pytest.fixture(scope="module")
def originals() -> np.ndarray:
    return looks_of([photo(number) for number in range(N)])


def pairs_of(looks: np.ndarray, near: float = 0.9) -> dict[tuple[int, int], Pair]:
    return {(pair.first, pair.second): pair for pair in near_copies(looks, near=near)}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_copies_are_found_and_nothing_else(originals: np.ndarray, change: str) -> None:
    copies = looks_of([CHANGES[change](photo(number)) for number in range(N)])
    found = pairs_of(np.concatenate([originals, copies]))
    hits = {(number, N + number) for number in range(N)}
    assert len(hits & found.keys()) >= N - 1
    assert not found.keys() - hits


def test_without_copies_there_are_no_pairs(originals: np.ndarray) -> None:
    assert not pairs_of(originals)


def test_pictures_that_share_their_layout_are_told_apart() -> None:
    """As X-rays do: one coarse layout for all, other details in each."""
    draws = np.random.default_rng(0)
    layout = np.asarray(photo(1, (160, 160)).convert("L").resize((5, 5)).resize((160, 160), 3))
    pictures = []
    for _ in range(20):
        detail = Image.fromarray(draws.integers(0, 255, (40, 40)).astype(np.uint8))
        mixed = 0.75 * layout + 0.25 * np.asarray(detail.resize((160, 160), 3))
        pictures.append(Image.fromarray(mixed.astype(np.uint8)))
    from fieldmark.data.fingerprints import candidates

    looks = looks_of([*pictures, CHANGES["re-encoded"](pictures[3])])
    assert len(candidates(looks["thumb"]).whole) > 100
    assert set(pairs_of(looks)) == {(3, 20)}


def test_drawings_of_one_kind_are_not_copies() -> None:
    draws = np.random.default_rng(0)
    discs = []
    for _ in range(30):
        picture = Image.new("RGB", (128, 128), tuple(draws.integers(0, 90, 3).tolist()))
        x, y, r = draws.integers(40, 88, 3) // (1, 1, 2)
        ImageDraw.Draw(picture).ellipse((x - r, y - r, x + r, y + r), fill=(200, 60, 60))
        discs.append(picture)
    assert len(pairs_of(looks_of(discs))) <= 2


def test_digits_of_one_kind_are_not_copies() -> None:
    digits = []
    for number in range(30):
        picture = Image.new("L", (28, 28))
        x = 12 + number % 3
        ImageDraw.Draw(picture).line((x, 4, x + number % 5, 24), fill=255, width=2 + number % 2)
        digits.append(picture)
    looks = looks_of(digits)
    distinct = {looks[at]["thumb"].tobytes() for at in range(30)}
    found = pairs_of(looks)
    assert len(found) <= 30 - len(distinct) + 8


def test_the_likeness_asked_for_is_kept(originals: np.ndarray) -> None:
    looks = np.concatenate(
        [originals, looks_of([CHANGES["re-encoded"](photo(number)) for number in range(N)])]
    )
    for near in (0.9, 0.97, 0.999):
        assert all(pair.likeness >= near for pair in pairs_of(looks, near).values())
    assert len(pairs_of(looks, 0.9999)) < N


def test_progress_ends_with_all_pairs_looked_at(originals: np.ndarray) -> None:
    looks = np.concatenate([originals, originals])
    calls: list[tuple[int, int]] = []
    near_copies(looks, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] >= N
    assert calls == sorted(calls)


def test_the_number_of_threads_changes_nothing(originals: np.ndarray) -> None:
    looks = np.concatenate([originals, looks_of([CHANGES["grey"](photo(n)) for n in range(N)])])
    assert near_copies(looks, threads=1) == near_copies(looks, threads=3)


# --- clusters


def never(rows: tuple[int, ...]) -> bool:
    return False


def pair(first: int, second: int, likeness: float = 0.95) -> Pair:
    return Pair(first=first, second=second, likeness=likeness, way="same frame")


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=25))
def test_clusters_are_the_connected_parts(links: list[tuple[int, int]]) -> None:
    pairs = [pair(min(link), max(link)) for link in links if link[0] != link[1]]
    found, crowds = clusters(pairs, never)
    assert crowds == ()
    place = {row: at for at, rows in enumerate(found) for row in rows}
    assert sorted(place) == sorted({row for each in pairs for row in (each.first, each.second)})
    assert all(place[each.first] == place[each.second] for each in pairs)
    assert sum(map(len, found)) == len(place)


def test_a_cluster_that_would_hold_everything_is_taken_apart() -> None:
    """A fixed camera: all pictures alike at 0.96, two of them the same picture."""
    chain = [pair(at, at + 1, 0.96) for at in range(199)]
    found = clusters([*chain, pair(5, 150, 0.999)], lambda rows: len(rows) > 30)
    assert found == (((5, 150),), (tuple(range(200)),))


def test_many_copies_of_one_picture_stay_together() -> None:
    star = [pair(0, at, 0.999) for at in range(1, 100)]
    assert clusters(star, lambda rows: len(rows) > 30)[0] == (tuple(range(100)),)


# --- bursts


def shots(n: int, **fields: Sequence[object]) -> np.ndarray:
    """Return ``n`` looks of one scene with small changes."""
    pictures = [photo(1).crop((at, 0, 150 + at, 120)) for at in range(n)]
    found = looks_of(pictures)
    found["taken_s"] = np.nan
    for name, values in fields.items():
        found[name] = values
    return found


def test_frames_with_consecutive_numbers_that_look_alike_are_a_burst() -> None:
    looks = shots(4)
    looks[3] = look(png(photo(9)))
    paths = ["a/clip_007.png", "a/clip_008.png", "a/clip_009.png", "a/clip_010.png"]
    assert bursts(paths, looks) == ((0, 1, 2),)


def test_a_gap_another_folder_or_another_word_ends_a_burst() -> None:
    paths = ["a/clip_007.png", "a/clip_009.png", "b/clip_010.png", "b/film_011.png"]
    assert bursts(paths, shots(4)) == ()


def test_pictures_of_one_camera_within_two_seconds_are_a_burst() -> None:
    looks = shots(4, camera=[b"A", b"A", b"B", b"A"], taken_s=[100.0, 101.5, 101.0, 200.0])
    assert bursts(["a/x.png", "a/z.png", "a/q.png", "a/k.png"], looks) == ((0, 1),)


def test_a_clock_that_stands_still_makes_no_burst() -> None:
    looks = np.repeat(shots(1, camera=[b"A"], taken_s=[0.0]), 40)
    assert (
        bursts([f"a/{letter}.png" for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"], looks)
        == ()
    )


def test_small_pictures_must_be_nearly_equal() -> None:
    looks = looks_of([picture.resize((20, 20)) for picture in (photo(1), photo(1).rotate(8))])
    assert bursts(["a/1.png", "a/2.png"], looks) == ()


def test_nothing_is_no_burst() -> None:
    assert bursts([], np.empty(0, LOOK)) == ()
