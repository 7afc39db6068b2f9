from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fieldmark.modalities import jpeg

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SCAN = b"\xff\xda\x00\x02" + b"\x12\xff\x00\x34"


def photo(**options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", **options)
    return file.getvalue()


PHOTOS = {
    "baseline": photo(),
    "progressive": photo(progressive=True),
    "restart markers": photo(restart_marker_blocks=1),
    "with a comment": photo(comment=b"\xff\xd9 not the end \xff\xda"),
}


@pytest.mark.parametrize("data", PHOTOS.values(), ids=PHOTOS)
def test_a_whole_picture_has_no_problem(data: bytes) -> None:
    assert jpeg.problem(data) == ""


@pytest.mark.parametrize("data", PHOTOS.values(), ids=PHOTOS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.99])
def test_a_cut_picture_is_truncated(data: bytes, kept: float) -> None:
    assert jpeg.problem(data[: int(len(data) * kept)]) == "truncated"


@pytest.mark.parametrize("data", PHOTOS.values(), ids=PHOTOS)
@pytest.mark.parametrize("n_lost", [1, 2])
def test_even_the_two_last_bytes_are_missed(data: bytes, n_lost: int) -> None:
    assert jpeg.problem(data[:-n_lost]) == "truncated"


def test_the_end_of_a_thumbnail_is_not_the_end() -> None:
    thumbnail = SOI + SCAN + EOI
    metadata = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert jpeg.problem(SOI + metadata + SCAN) == "truncated"
    assert jpeg.problem(SOI + metadata + SCAN + EOI) == ""


def test_what_follows_the_picture_does_not_matter() -> None:
    film = b"\x00\x01ftypmp42" + SCAN * 3  # phones append a short film; it has no end of image
    assert jpeg.problem(SOI + SCAN + EOI + film) == ""


def test_an_end_without_a_scan_is_damage() -> None:
    assert jpeg.problem(SOI + EOI) == "damaged"


def test_fill_bytes_before_a_marker_are_allowed() -> None:
    assert jpeg.problem(SOI + SCAN + b"\xff\xff\xff" + EOI) == ""


def test_hundreds_of_scans_are_refused() -> None:
    assert jpeg.problem(SOI + SCAN * jpeg.MAX_SCANS + EOI) == ""
    assert jpeg.problem(SOI + SCAN * (jpeg.MAX_SCANS + 1) + EOI) == "overloaded"


@given(st.binary(max_size=300))
def test_any_bytes_get_one_of_three_answers(data: bytes) -> None:
    assert jpeg.problem(SOI + data) in ("", "truncated", "damaged")


def test_thousands_of_segments_are_refused_and_restarts_are_none() -> None:
    segment = b"\xff\xe5\x00\x02"
    assert jpeg.problem(SOI + SCAN + segment * (jpeg.MAX_SEGMENTS - 2) + EOI) == ""
    assert jpeg.problem(SOI + SCAN + segment * jpeg.MAX_SEGMENTS + EOI) == "overloaded"
    assert jpeg.problem(SOI + SCAN + b"\xff\xd3" * 200_000 + EOI) == ""
