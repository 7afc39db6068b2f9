"""Fingerprints find copies, parts and turns among many pictures, without comparing all with all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.data import fingerprints
from fieldmark.data.fingerprints import WAYS, Way, candidates, resampled
from fieldmark.modalities.looking import look
from tests.photos import CHANGES, photo, png


@pytest.fixture(scope="module")
def thumbs() -> np.ndarray:
    return np.stack([look(png(photo(number)))["thumb"] for number in range(60)])


def found(pictures: np.ndarray) -> dict[tuple[int, int], str]:
    pairs = candidates(pictures)
    return {
        (min(a, b), max(a, b)): WAYS[way].name
        for a, b, way in zip(
            pairs.whole.tolist(), pairs.copy.tolist(), pairs.way.tolist(), strict=True
        )
    }


def test_a_fingerprint_has_length_one_and_forgets_gain_and_offset(thumbs: np.ndarray) -> None:
    prints = fingerprints.fingerprints(thumbs)
    assert prints.shape == (60, 63)
    np.testing.assert_allclose(np.linalg.norm(prints, axis=1), 1, atol=1e-5)
    paler = fingerprints.fingerprints((thumbs // 2 + 60).astype(np.uint8))
    assert (prints * paler).sum(axis=1).min() > 0.999


def test_a_flat_picture_has_no_fingerprint_and_no_partner() -> None:
    noise = np.random.default_rng(0).integers(126, 129, (5, 64, 64)).astype(np.uint8)
    assert not fingerprints.fingerprints(noise).any()
    assert len(candidates(noise).whole) == 0


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_every_usual_copy_is_a_candidate(thumbs: np.ndarray, change: str) -> None:
    copies = np.stack([look(png(CHANGES[change](photo(n))))["thumb"] for n in range(20)])
    pairs = found(np.concatenate([thumbs, copies]))
    assert sum((n, 60 + n) in pairs for n in range(20)) >= 19


def test_the_way_says_what_became_of_the_picture(thumbs: np.ndarray) -> None:
    for change, name in (
        ("re-encoded", "same frame"),
        ("cut at a corner", "cropped"),
        ("mirrored", "mirrored"),
        ("turned", "turned"),
    ):
        copy = look(png(CHANGES[change](photo(7))))["thumb"]
        assert found(np.concatenate([thumbs, copy[None]]))[7, 60] == name


def test_unrelated_pictures_are_hardly_ever_candidates(thumbs: np.ndarray) -> None:
    assert len(found(thumbs)) <= 2


def test_each_pair_is_named_once_and_in_order(thumbs: np.ndarray) -> None:
    pairs = candidates(np.concatenate([thumbs[:10]] * 3))
    keys = [
        tuple(sorted(pair)) for pair in zip(pairs.whole.tolist(), pairs.copy.tolist(), strict=True)
    ]
    assert len(keys) == len(set(keys)) == 30
    assert (pairs.whole != pairs.copy).all()
    order = list(zip(pairs.whole.tolist(), pairs.copy.tolist(), strict=True))
    assert order == sorted(order)


def test_a_picture_keeps_only_its_likest_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "MAX_PARTNERS", 2)
    same = np.repeat(look(png(photo(1)))["thumb"][None], 30, axis=0)
    assert len(candidates(same).whole) <= 60


def test_cells_find_what_comparing_all_with_all_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(1)
    coarse = draws.normal(0, 40, (1500, 8, 8)).repeat(8, 1).repeat(8, 2) + 128
    first = np.clip(coarse, 0, 255).astype(np.uint8)
    second = np.clip(coarse[:300] + draws.normal(0, 8, (300, 64, 64)), 0, 255).astype(np.uint8)
    pictures = np.concatenate([first, second])
    in_cells = found(pictures)
    monkeypatch.setattr(fingerprints, "_EXACT", 10_000)
    compared = found(pictures)
    assert all((n, 1500 + n) in in_cells for n in range(300))
    assert len(compared.keys() - in_cells.keys()) <= 0.01 * len(compared)


def test_the_fingerprint_of_a_turn_is_that_of_the_turned_picture(thumbs: np.ndarray) -> None:
    for way, prints in zip(WAYS, fingerprints.prints_of_ways(thumbs), strict=True):
        if way.rows == way.columns == (0.0, 1.0):
            turned = fingerprints.fingerprints(way.applied(thumbs))
            np.testing.assert_allclose(prints, turned, atol=1e-5)


def test_the_answer_is_the_same_each_time(thumbs: np.ndarray) -> None:
    first, second = candidates(thumbs, least=0.5), candidates(thumbs, least=0.5)
    assert first.similarity.tobytes() == second.similarity.tobytes()
    assert (first.whole.tolist(), first.copy.tolist()) == (
        second.whole.tolist(),
        second.copy.tolist(),
    )


def test_without_pictures_there_are_no_pairs() -> None:
    assert len(candidates(np.empty((0, 64, 64), np.uint8)).whole) == 0
    assert len(candidates(np.zeros((1, 64, 64), np.uint8)).whole) == 0


def test_every_turn_is_there_once() -> None:
    turns = {(way.turns, way.mirrored) for way in WAYS}
    assert len(turns) == 8
    assert WAYS[0] == Way("same frame")


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(WAYS), st.integers(8, 40))
def test_averages_of_a_flat_picture_are_its_grey_level(way: Way, n: int) -> None:
    flat = np.full((2, 64, 64), 93, np.uint8)
    np.testing.assert_allclose(resampled(flat, way, n), 93, atol=1e-3)


def test_averages_of_the_whole_are_plain_means() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 64, 64)).astype(np.uint8)
    means = picture.reshape(1, 16, 4, 16, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(resampled(picture, WAYS[0], 16), means, atol=1e-3)
