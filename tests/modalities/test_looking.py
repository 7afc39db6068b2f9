"""One look measures what the checks of a folder need, and never raises anything of its own."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fieldmark.errors import UnreadableExample
from fieldmark.modalities.looking import LOOK, THUMB, Looking, blur_effect, look
from tests.photos import jpeg, photo, png

MAKE, MODEL, ORIENTATION, TAKEN = 271, 272, 274, 36867


def exif(**values: object) -> bytes:
    tags = Image.Exif()
    names = {"make": MAKE, "model": MODEL, "orientation": ORIENTATION}
    for name, value in values.items():
        if name == "taken":
            tags.get_ifd(0x8769)[TAKEN] = value
        else:
            tags[names[name]] = value
    return tags.tobytes()


def test_size_format_and_bytes_are_those_of_the_file() -> None:
    data = png(photo(1, (90, 60)))
    found = look(data)
    assert (found["width"], found["height"], found["n_bytes"]) == (90, 60, len(data))
    assert bytes(found["format"]) == b"PNG"
    assert found["quality"] == 0


@pytest.mark.parametrize("quality", [20, 50, 75, 90, 98])
def test_the_quality_of_a_jpeg_is_the_one_it_was_saved_with(quality: int) -> None:
    assert abs(int(look(jpeg(photo(1), quality))["quality"]) - quality) <= 1


def test_camera_and_time_come_from_the_metadata() -> None:
    tags = exif(make="Canon", model="EOS 5D", taken="2021:03:04 05:06:07")
    found = look(jpeg(photo(1), exif=tags))
    assert bytes(found["camera"]) == b"Canon EOS 5D"
    assert found["taken_s"] == 1614834367.0


@pytest.mark.parametrize("taken", ["", "yesterday", "0000:00:00 00:00:00", "2021:13:40 99:99:99"])
def test_a_time_that_is_none_is_unknown(taken: str) -> None:
    assert np.isnan(look(jpeg(photo(1), exif=exif(make="x", taken=taken)))["taken_s"])


def test_without_metadata_nothing_is_claimed() -> None:
    found = look(jpeg(photo(1)))
    assert bytes(found["camera"]) == b""
    assert np.isnan(found["taken_s"])


def test_the_size_is_the_one_that_is_shown() -> None:
    found = look(jpeg(photo(1, (160, 120)), exif=exif(orientation=6)))
    assert (found["width"], found["height"]) == (120, 160)


def test_a_turned_picture_is_looked_at_upright() -> None:
    upright = photo(3, (120, 160))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    thumb = look(jpeg(turned, 95, exif=exif(orientation=6)))["thumb"].astype(int)
    assert np.abs(thumb - look(jpeg(upright, 95))["thumb"]).mean() < 4


def test_colours_come_in_the_order_red_green_blue() -> None:
    for write in (png, jpeg):
        found = look(write(Image.new("RGB", (64, 64), (200, 100, 50))))
        np.testing.assert_allclose(found["mean_color"], (200, 100, 50), atol=3)
        np.testing.assert_allclose(found["border_color"], (200, 100, 50), atol=3)
    assert look(png(Image.new("L", (64, 64), 90)))["mean_color"].tolist() == [90, 90, 90]


def test_a_frame_is_seen_in_the_border() -> None:
    framed = Image.new("RGB", (128, 128), (0, 0, 255))
    framed.paste(photo(2, (96, 96)), (16, 16))
    found = look(png(framed))
    assert found["border_spread"] < 1
    np.testing.assert_allclose(found["border_color"], (0, 0, 255), atol=2)
    assert look(png(photo(2)))["border_spread"] > 20


def test_brightness_and_contrast_are_those_of_the_grey_values() -> None:
    flat = look(png(Image.new("RGB", (64, 64), (77, 77, 77))))
    assert (flat["brightness"], flat["contrast"]) == (77, 0)
    assert look(png(photo(1)))["contrast"] > 20


def test_blur_grows_with_blurring() -> None:
    from PIL import ImageFilter

    picture = photo(5, (320, 240))
    found = [
        float(look(png(picture.filter(ImageFilter.GaussianBlur(radius))))["blur"])
        for radius in (0, 1, 2, 4, 8)
    ]
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.05


def test_a_picture_without_edges_is_not_called_blurred() -> None:
    assert blur_effect(np.full((32, 32), 9, np.uint8)) == 0


def test_a_look_is_the_same_each_time_and_has_a_fixed_form() -> None:
    data = jpeg(photo(1))
    found = look(data)
    assert (found.dtype, found.shape, found["thumb"].shape) == (LOOK, (), (THUMB, THUMB))
    assert found.tobytes() == look(data).tobytes()


def test_as_a_modality_a_look_is_its_bytes() -> None:
    data = jpeg(photo(1))
    raw = Looking().decode(data, None)  # type: ignore[arg-type] - no spec plays a part
    assert raw.view(LOOK)[0].tobytes() == look(data).tobytes()


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty-file"), (b"nothing", "unknown-format"), (jpeg(photo(1))[:900], "truncated")],
)
def test_what_cannot_be_decoded_has_the_reason_that_decoding_gives(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableExample, match=r"\w") as caught:
        look(data)
    assert caught.value.code == code


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_that_is_decoded_is_looked_at(mode: str) -> None:
    picture = photo(1, (40, 30))
    converted = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    file_of = converted if mode == "I;16" else picture.convert(mode)
    data = jpeg(file_of) if mode == "CMYK" else png(file_of)
    assert look(data)["contrast"] > 10


def test_each_of_64_colours_has_its_place_red_slowest() -> None:
    for write in (png, jpeg):
        shares = look(write(Image.new("RGB", (70, 130), (200, 20, 100))))["colors"]
        assert np.flatnonzero(shares).tolist() == [3 * 16 + 0 * 4 + 1]
        assert shares.sum() == 1


def test_a_grey_picture_has_four_colours_at_most() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 64, axis=0)
    shares = look(png(Image.fromarray(ramp)))["colors"]
    assert np.flatnonzero(shares).tolist() == [0, 21, 42, 63]
    assert shares[[0, 21, 42, 63]].tolist() == [0.25] * 4


@pytest.mark.parametrize("size", [(16, 16), (16, 500), (500, 16), (640, 480)])
def test_shares_add_up_to_one_at_every_size(size: tuple[int, int]) -> None:
    shares = look(png(photo(4, size)))["colors"].astype(float)
    assert shares.sum() == pytest.approx(1, abs=2e-3)  # half precision, 64 times
    assert shares.min() >= 0


def test_shares_of_large_pictures_are_those_of_all_pixels_nearly() -> None:
    picture = photo(6, (640, 480))
    pixels = np.asarray(picture).reshape(-1, 3) >> 6
    counted = np.bincount(pixels @ np.array([16, 4, 1]), minlength=64) / len(pixels)
    assert np.abs(look(png(picture))["colors"] - counted).sum() < 0.05
