import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fieldmark import rng
from fieldmark.errors import UsageError
from fieldmark.modalities.encode import encode_jpeg, encode_png

SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 20))
PICTURES = st.one_of(
    SHAPES, SHAPES.map(lambda shape: (*shape, 1)), SHAPES.map(lambda shape: (*shape, 3))
).flatmap(lambda shape: arrays.arrays(np.uint8, shape))


def opened(data, kind):
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == kind
    return image


def smooth():
    image = np.zeros((40, 60, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, 60).astype(np.uint8)
    return image


@given(PICTURES)
def test_a_png_holds_exactly_the_pixels(pixels):
    image = opened(encode_png(pixels), "PNG")
    assert image.mode == ("RGB" if pixels.shape[2:] == (3,) else "L")
    assert np.array_equal(np.asarray(image), pixels.reshape(np.asarray(image).shape))


def test_a_jpeg_keeps_the_size_the_colours_and_nearly_the_pixels():
    image = np.asarray(opened(encode_jpeg(smooth()), "JPEG").convert("RGB"), dtype=int)
    assert image.shape == smooth().shape
    assert np.abs(image - smooth()).mean() < 4, "JPEG at quality 85"


def test_a_better_jpeg_is_nearer_and_larger():
    noise = rng.derive(1, "jpeg").integers(0, 256, (64, 64)).astype(np.uint8)
    poor, good = encode_jpeg(noise, 40), encode_jpeg(noise, 95)
    off = [
        np.abs(np.asarray(opened(data, "JPEG"), dtype=int) - noise).mean() for data in (poor, good)
    ]
    assert off[1] < off[0] / 2
    assert len(good) > len(poor)


def test_a_grey_picture_stays_grey():
    assert opened(encode_jpeg(smooth()[..., :1]), "JPEG").mode == "L"


def test_a_view_of_a_larger_picture_is_written_as_it_looks():
    image = np.asarray(opened(encode_png(smooth()[::2, ::-3]), "PNG"))
    assert np.array_equal(image, smooth()[::2, ::-3])


def test_a_jpeg_carries_no_metadata():
    image = opened(encode_jpeg(smooth()), "JPEG")
    assert not image.getexif()
    assert "comment" not in image.info


@pytest.mark.parametrize("encode", [encode_png, encode_jpeg])
def test_the_same_pixels_give_the_same_bytes(encode):
    assert encode(smooth()) == encode(smooth().copy())


@pytest.mark.parametrize("encode", [encode_png, encode_jpeg])
@pytest.mark.parametrize(
    "image", [np.zeros(4, np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))]
)
def test_what_is_no_picture_is_an_error(encode, image):
    with pytest.raises(UsageError, match="cannot be drawn") as caught:
        encode(image)
    assert caught.value.code == "nothing-to-draw"
