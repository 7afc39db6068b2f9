import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fieldmark.errors import UnreadableExample
from fieldmark.modalities.thumbnail import shrunk, thumbnail


def drawn(width, height, orientation=1):
    """Return a JPEG whose left half, as stored, is red and whose right half is blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


@given(st.integers(8, 600), st.integers(8, 600), st.sampled_from([16, 128]))
def test_a_thumbnail_fits_and_keeps_its_proportions(width, height, side):
    found = thumbnail(f"P5 {width} {height} 255 ".encode() + bytes(width * height), side)
    rows, columns, colours = found.shape
    assert colours == 3
    assert max(rows, columns) <= max(side, 8)
    scale = min(1.0, side / max(width, height))
    assert abs(rows - max(8, height * scale)) <= 0.5
    assert abs(columns - max(8, width * scale)) <= 0.5


def test_a_small_picture_stays_as_it_is():
    data = b"P5 16 8 255 " + bytes(range(128))
    assert np.array_equal(thumbnail(data)[..., 0].ravel(), np.arange(128))


def test_a_picture_held_sideways_is_shown_upright():
    found = thumbnail(drawn(300, 200, orientation=6))
    assert found.shape == (128, 85, 3)
    assert found[20, 40, 0] > 200 > 50 > found[20, 40, 2]
    assert found[-20, 40, 2] > 200 > 50 > found[-20, 40, 0]


def test_a_very_thin_picture_gets_borders_instead_of_being_distorted():
    found = thumbnail(b"P5 800 8 255 " + bytes(6400))
    assert found.shape == (8, 128, 3)
    assert (found[0] == 255).all()
    assert (found[3] == 0).all()


@pytest.mark.parametrize(
    ("data", "words", "code"),
    [(b"", "is empty", "empty-file"), (b"text", "not a picture", "unknown-format")],
)
def test_what_cannot_be_read_is_named(data, words, code):
    with pytest.raises(UnreadableExample, match=words) as caught:
        thumbnail(data)
    assert caught.value.code == code


class TestShrunk:
    @pytest.mark.parametrize(
        ("shape", "small"),
        [
            ((200, 100, 3), (96, 48, 3)),
            ((100, 200, 1), (48, 96, 1)),
            ((1000, 3, 3), (96, 1, 3)),
            ((50, 96, 3), (50, 96, 3)),
        ],
    )
    def test_keeps_proportions_and_never_enlarges(self, shape, small):
        assert shrunk(np.zeros(shape, np.uint8), 96).shape == small

    def test_averages_what_it_puts_together(self):
        board = np.indices((64, 64)).sum(axis=0) % 2 * 200
        found = shrunk(np.repeat(board[..., None], 3, axis=2).astype(np.uint8), 16)
        assert found.min() == found.max() == 100

    def test_the_pixels_given_stay_as_they_are(self):
        pixels = np.full((64, 64, 3), 7, np.uint8)
        shrunk(pixels, 8)
        assert (pixels == 7).all()
