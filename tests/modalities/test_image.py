from __future__ import annotations

import io
import re
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fieldmark.errors import UnreadableExample
from fieldmark.modalities import image
from fieldmark.modalities.base import Fit, InputSpec
from fieldmark.modalities.image import IMAGE

Encode = Callable[..., bytes]
Picture = NDArray[np.uint8]


def spec_of(picture: Picture, **options: object) -> InputSpec:
    return InputSpec(height=picture.shape[0], width=picture.shape[1], **options)  # type: ignore[arg-type]


def reason(data: bytes) -> str:
    with pytest.raises(UnreadableExample, match=r"\w") as caught:
        IMAGE.decode(data, InputSpec(height=16, width=16))
    return caught.value.code


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG with an honest header and whatever body: what a bomb looks like from outside."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


LOSSLESS = ["PNG", "BMP", "TIFF", "PPM"]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_picture_of_the_right_size_comes_out_as_it_is(
    kind: str, encoded: Encode, gradient: Picture
) -> None:
    assert (IMAGE.decode(encoded(gradient, kind), spec_of(gradient)) == gradient).all()


def test_lossless_webp_comes_out_as_it_is(encoded: Encode, gradient: Picture) -> None:
    data = encoded(gradient, "WEBP", lossless=True)
    assert (IMAGE.decode(data, spec_of(gradient)) == gradient).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_a_lossy_picture_comes_out_nearly_as_it_is(
    kind: str, encoded: Encode, gradient: Picture
) -> None:
    found = IMAGE.decode(encoded(gradient, kind, quality=95), spec_of(gradient))
    assert np.abs(found.astype(int) - gradient).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_red_stays_red(kind: str, encoded: Encode) -> None:
    red = np.full((32, 32, 3), (250, 10, 20), np.uint8)
    found = IMAGE.decode(encoded(red, kind, quality=95), InputSpec(height=16, width=16))
    assert np.abs(found.reshape(-1, 3).mean(axis=0) - (250, 10, 20)).max() < 4


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_is_the_same_from_grey_and_from_coloured_files(
    kind: str, channels: int, mode: str, encoded: Encode, gradient: Picture
) -> None:
    grey = Image.fromarray(gradient[:, :, 0]).convert(mode)
    found = IMAGE.decode(encoded(grey, kind, quality=98), spec_of(gradient, channels=channels))
    assert found.shape == (*gradient.shape[:2], channels)
    assert np.abs(found.astype(int) - gradient[:, :, :1]).max() <= (0 if kind == "PNG" else 4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_colour_becomes_grey_by_one_formula(kind: str, encoded: Encode) -> None:
    blue = np.full((32, 32, 3), (0, 0, 255), np.uint8)
    found = IMAGE.decode(encoded(blue, kind, quality=98), InputSpec(height=8, width=8, channels=1))
    assert np.abs(found.astype(int) - 29).max() <= 3  # 0.114 of 255: red read as blue would be 76


# --- orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_all_eight_orientations_are_undone(
    kind: str, orientation: int, fit: Fit, encoded: Encode, gradient: Picture
) -> None:
    upright = Image.fromarray(gradient)
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 98} if kind == "JPEG" else {}
    options |= {"lossless": True} if kind == "WEBP" else {}
    spec = InputSpec(height=24, width=40, fit=fit)
    turned = IMAGE.decode(encoded(stored, kind, exif=exif, **options), spec)
    expected = IMAGE.decode(encoded(upright, kind, **options), spec)
    assert np.abs(turned.astype(int) - expected).max() <= (6 if kind == "JPEG" else 0)


def test_a_damaged_orientation_is_no_reason_to_refuse(encoded: Encode, gradient: Picture) -> None:
    data = encoded(gradient, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert IMAGE.decode(data, spec_of(gradient)).shape == gradient.shape


def test_an_orientation_of_nine_means_upright(encoded: Encode, gradient: Picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    found = IMAGE.decode(encoded(gradient, "PNG", exif=exif), spec_of(gradient))
    assert (found == gradient).all()


# --- modes


def test_sixteen_bits_are_divided_not_clipped(encoded: Encode) -> None:
    values = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    found = IMAGE.decode(encoded(Image.fromarray(values)), InputSpec(height=16, width=16))
    assert (found[:, :, 0].ravel() == np.arange(256)).all()


@pytest.mark.parametrize("value", [0, 1, 128, 129, 32768, 65406, 65407, 65535])
def test_sixteen_bits_are_rounded_to_the_nearest(value: int, encoded: Encode) -> None:
    values = np.full((16, 16), value, np.uint16)
    found = IMAGE.decode(encoded(Image.fromarray(values)), InputSpec(height=8, width=8))
    assert (found == round(value / 257)).all()


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_sixteen_bits_mean_the_same_in_every_format(kind: str, encoded: Encode) -> None:
    values = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    if kind == "PPM":
        data = b"P5 16 16 65535\n" + values.astype(">u2").tobytes()
    else:
        data = encoded(Image.fromarray(values), kind)
    found = IMAGE.decode(data, InputSpec(height=16, width=16))
    assert (found[:, :, 0].ravel() == np.arange(256)).all()


def test_a_sixteen_bit_transparent_grey_shows_the_background(encoded: Encode) -> None:
    values = np.full((16, 16), 5000, np.uint16)
    values[:8] = 257
    data = encoded(Image.fromarray(values), transparency=5000)
    found = IMAGE.decode(data, InputSpec(height=16, width=16, background=200))
    assert (found[:8] == 1).all()
    assert (found[8:] == 200).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_unknown_range_are_refused_with_advice(mode: str, encoded: Encode) -> None:
    numbers = Image.new(mode, (16, 16), 1)
    with pytest.raises(UnreadableExample, match="unknown range") as caught:
        IMAGE.decode(encoded(numbers, "TIFF"), InputSpec(height=16, width=16))
    assert caught.value.code == "unsupported-mode"
    assert "8 or 16 bits" in caught.value.hint


@pytest.mark.parametrize("background", [0, 100, 255])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_the_background(mode: str, background: int, encoded: Encode) -> None:
    picture = np.full((16, 16, 4), (80, 80, 80, 0), np.uint8)
    picture[:8, :, 3] = 255
    picture[0, :, 3] = 128
    data = encoded(Image.fromarray(picture).convert(mode))
    found = IMAGE.decode(data, InputSpec(height=16, width=16, background=background)).astype(int)
    assert (found[1:8] == 80).all()
    assert (found[8:] == background).all()
    assert np.abs(found[0] - (80 * 128 + background * 127) / 255).max() <= 0.5


def test_half_transparent_colours_are_mixed_to_the_nearest_level(encoded: Encode) -> None:
    colour, alpha = np.mgrid[0:256, 0:256]
    picture = np.stack([colour, colour, colour, alpha], axis=2).astype(np.uint8)
    for background in (0, 1, 128, 254, 255):
        found = IMAGE.decode(encoded(picture), spec_of(picture, background=background))
        exact = (colour * alpha + background * (255 - alpha)) / 255
        assert (found[:, :, 0] == np.floor(exact + 0.5)).all()


def test_a_transparent_palette_shows_the_background(encoded: Encode) -> None:
    picture = Image.new("P", (16, 16), 1)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.paste(0, (0, 0, 16, 8))
    found = IMAGE.decode(
        encoded(picture, transparency=0), InputSpec(height=16, width=16, background=7)
    )
    assert (found[:8] == 7).all()
    assert (found[8:] == (0, 255, 0)).all()


def test_a_transparent_colour_shows_the_background(encoded: Encode) -> None:
    picture = Image.new("RGB", (16, 16), (1, 2, 3))
    data = encoded(picture, transparency=(1, 2, 3))
    assert (IMAGE.decode(data, InputSpec(height=8, width=8, background=9)) == 9).all()


def test_a_tall_transparent_picture_is_laid_over_in_strips_without_seams(encoded: Encode) -> None:
    picture = np.full((600, 16, 4), (10, 20, 30, 255), np.uint8)
    picture[300:400, 8, 3] = 254
    found = IMAGE.decode(encoded(picture), InputSpec(height=600, width=16))
    assert (found[:, :8] == (10, 20, 30)).all()
    assert (found[300:400, 8] == (11, 21, 31)).all()
    assert (found[:, 9:] == (10, 20, 30)).all()


def test_palettes_and_one_bit_are_read(encoded: Encode, gradient: Picture) -> None:
    palette = Image.fromarray(gradient).quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    assert (IMAGE.decode(encoded(palette), spec_of(gradient)) == expected).all()
    bits = Image.fromarray(gradient).convert("1")
    found = IMAGE.decode(encoded(bits), spec_of(gradient))
    assert (found[:, :, 0] == np.asarray(bits).astype(np.uint8) * 255).all()


def test_inverted_cmyk_as_photoshop_writes_it_is_not_a_negative(encoded: Encode) -> None:
    light = Image.new("CMYK", (32, 32), (10, 10, 10, 0))
    found = IMAGE.decode(encoded(light, "JPEG", quality=95), InputSpec(height=16, width=16))
    assert found.min() > 230
    found = IMAGE.decode(encoded(light, "TIFF"), InputSpec(height=16, width=16))
    assert found.min() > 230


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_picture_counts(kind: str, encoded: Encode) -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    first, *rest = (Image.new("RGB", (32, 32), colour) for colour in colours)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(first, kind, save_all=True, append_images=rest, **options)
    found = IMAGE.decode(data, InputSpec(height=16, width=16))
    assert np.abs(found.astype(int) - colours[0]).max() <= 4


def test_of_several_photos_in_one_file_the_first_counts(encoded: Encode) -> None:
    first, second = Image.new("RGB", (32, 32), (200, 0, 0)), Image.new("RGB", (32, 32), (0, 0, 200))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    found = IMAGE.decode(data, InputSpec(height=16, width=16))
    assert np.abs(found.astype(int) - (200, 0, 0)).max() <= 4


def test_colour_profiles_change_nothing(encoded: Encode, gradient: Picture) -> None:
    data = encoded(gradient, "PNG", icc_profile=b"not a profile at all")
    assert (IMAGE.decode(data, spec_of(gradient)) == gradient).all()


# --- reasons


def test_an_empty_file_says_so() -> None:
    assert reason(b"") == "empty-file"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"hello, I am a text",
        b"%PDF-1.7 ...",
        b"<svg xmlns='...'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
    ],
)
def test_what_is_no_picture_says_so(data: bytes) -> None:
    assert reason(data) == "unknown-format"


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1", b"mif1\0\0\0\0heix", b"msf1\0\0\0\0hevc"])
def test_heic_is_recognised_and_advised_on(brands: bytes) -> None:
    box = (len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands
    assert reason(box + b"\0" * 50) == "heic"


def test_avif_that_names_mif1_is_not_taken_for_heic(encoded: Encode, gradient: Picture) -> None:
    data = encoded(gradient, "AVIF")
    assert b"mif1" in data[:64]
    assert IMAGE.decode(data, spec_of(gradient)).shape == gradient.shape


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_cut_file_is_truncated_not_grey(
    kind: str, kept: float, encoded: Encode, gradient: Picture
) -> None:
    noisy = gradient ^ np.random.default_rng(0).integers(0, 32, gradient.shape, dtype=np.uint8)
    data = encoded(noisy, kind)
    assert reason(data[: int(len(data) * kept)]) == "truncated"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_two_bytes_is_truncated(
    progressive: bool, encoded: Encode, gradient: Picture
) -> None:
    assert reason(encoded(gradient, "JPEG", progressive=progressive)[:-2]) == "truncated"


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "WEBP", "AVIF", "PPM"])
def test_every_other_cut_format_has_a_reason_too(
    kind: str, encoded: Encode, gradient: Picture
) -> None:
    data = encoded(gradient, kind)
    assert reason(data[: len(data) // 2]) in ("truncated", "damaged")


def test_a_jpeg_of_markers_without_sense_is_damaged() -> None:
    assert reason(b"\xff\xd8\xff\xda\x00\x02\x12\x34\xff\xd9") == "damaged"


def test_a_wrong_checksum_is_damage(encoded: Encode, gradient: Picture) -> None:
    data = bytearray(encoded(gradient))
    at = data.index(b"IDAT") + 40
    data[at] ^= 0xFF
    assert reason(bytes(data)) in ("damaged", "truncated")


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 5_001), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_from_its_header(size: tuple[int, int]) -> None:
    start = time.perf_counter()
    assert reason(png(*size)) == "too-many-pixels"
    assert time.perf_counter() - start < 0.5


def test_the_limit_itself_is_allowed_by_the_header() -> None:
    assert reason(png(10_000, 5_000)) in ("truncated", "damaged")  # it has no body


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ((2000, 10), "too-thin"),
        ((10, 2000), "too-thin"),
        ((20_000, 1), "too-thin"),
        ((1, 1), "too-small"),
        ((7, 300), "too-small"),
    ],
)
def test_shapes_that_show_nothing_are_refused(
    size: tuple[int, int], code: str, encoded: Encode
) -> None:
    assert reason(encoded(Image.new("RGB", size))) == code


def test_the_longest_and_the_smallest_that_are_allowed(encoded: Encode) -> None:
    for size in ((800, 8), (8, 8)):
        data = encoded(Image.new("RGB", size, (9, 9, 9)))
        assert (IMAGE.decode(data, InputSpec(height=16, width=16)) == 9).all()


def test_a_reason_never_carries_control_characters_of_the_file() -> None:
    words = image._words(ValueError("bad\x1b[31m\nthing" + "x" * 500))
    assert words.isprintable()
    assert len(words) <= 80


def test_a_broken_decoder_is_one_unreadable_file(
    encoded: Encode, gradient: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise SystemError("unknown")

    monkeypatch.setattr(image, "_decode_other", explode)
    assert reason(encoded(gradient)) == "damaged"


def test_a_machine_without_memory_is_no_damaged_file(
    encoded: Encode, gradient: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise MemoryError("of the machine")

    monkeypatch.setattr(image, "_decode_other", explode)
    with pytest.raises(MemoryError, match="of the machine"):
        reason(encoded(gradient))


def test_a_cmyk_jpeg_is_looked_at_like_any_other(encoded: Encode) -> None:
    file = io.BytesIO()
    Image.new("CMYK", (64, 48), (10, 20, 30, 40)).save(file, "JPEG")
    assert reason(file.getvalue()[:-2]) == "truncated"


def test_opencv_sees_nothing_but_jpeg(
    encoded: Encode, gradient: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own list of formats is long: it never gets bytes that begin otherwise."""
    seen: list[bytes] = []
    cv2 = image.opencv()
    decode = cv2.imdecode

    def spy(data: Picture, flags: int) -> object:
        seen.append(data[:3].tobytes())
        return decode(data, flags)

    monkeypatch.setattr(cv2, "imdecode", spy)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM"):
        IMAGE.decode(encoded(gradient, kind), spec_of(gradient))
    assert seen == [b"\xff\xd8\xff"]


def test_pillow_opens_nothing_but_the_named_formats(encoded: Encode, gradient: Picture) -> None:
    for kind in ("TGA", "PCX", "ICO", "SGI", "DDS", "EPS", "PDF", "JPEG2000"):
        assert reason(encoded(gradient, kind)) == "unknown-format"


def test_one_place_decodes_for_every_verb() -> None:
    """Whatever opens a picture does it in this module, so all verbs mean the same by a file."""
    source = Path(image.__file__).parents[1]
    calls = re.compile(r"\bImage\.open\(|\bimdecode\(|\bimread\(|\bImageFile\.Parser\(")
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if calls.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"modalities/image.py"}


def test_what_opencv_cannot_decode_pillow_may(
    encoded: Encode, gradient: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image.opencv(), "imdecode", lambda *_: None)
    found = IMAGE.decode(encoded(gradient, "JPEG", quality=98), spec_of(gradient))
    assert np.abs(found.astype(int) - gradient).mean() < 3


def test_no_warning_reaches_the_screen(encoded: Encode) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert reason(png(10_000, 10_000)) == "too-many-pixels"  # Pillow warns from 89 million on
        assert reason(png(14_000, 14_000)) == "too-many-pixels"  # and refuses from 179 million on
    assert caught == []


# --- size and fit


@pytest.mark.parametrize(
    ("width", "height", "fit", "expected"),
    [
        (79, 79, "crop", 1),
        (160, 160, "crop", 2),
        (159, 1000, "crop", 1),
        (320, 320, "crop", 4),
        (640, 5000, "crop", 8),
        (5000, 640, "crop", 8),
        (639, 5000, "crop", 4),
        (100, 640, "stretch", 1),
        (200, 640, "stretch", 2),
        (100, 640, "pad", 8),
    ],
)
def test_a_jpeg_is_reduced_only_while_a_quarter_more_than_wanted_is_left(
    width: int, height: int, fit: Fit, expected: int
) -> None:
    assert image._reduction(width, height, InputSpec(height=64, width=64, fit=fit)) == expected


@given(
    width=st.integers(8, 5000),
    height=st.integers(8, 5000),
    side=st.integers(8, 300),
    fit=st.sampled_from(["crop", "pad", "stretch"]),
)
def test_a_reduction_never_costs_detail(width: int, height: int, side: int, fit: Fit) -> None:
    spec = InputSpec(height=side, width=side, fit=fit)
    reduction = image._reduction(width, height, spec)
    used = {
        "crop": (min(width, height),),
        "stretch": (width, height),
        "pad": (max(width, height),),
    }[fit]
    assert reduction == 1 or min(used) / reduction >= 1.25 * side


@pytest.mark.parametrize("size", [(1003, 777), (333, 251), (97, 4001)])
def test_a_reduced_jpeg_looks_like_the_whole_one(size: tuple[int, int], encoded: Encode) -> None:
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    waves = 127 + 100 * np.sin(x / width * 6) * np.cos(y / height * 5)
    picture = np.repeat(waves[:, :, None], 3, axis=2).astype(np.uint8)
    spec = InputSpec(height=32, width=32)
    reduced = IMAGE.decode(encoded(picture, "JPEG", quality=95), spec)
    whole = IMAGE.decode(encoded(picture, "PNG"), spec)
    assert np.abs(reduced.astype(int) - whole).mean() < 1.5


def test_crop_keeps_the_middle(encoded: Encode) -> None:
    picture = np.zeros((32, 96, 3), np.uint8)
    picture[:, 32:64] = 255
    found = IMAGE.decode(encoded(picture), InputSpec(height=32, width=32))
    assert (found == 255).all()
    found = IMAGE.decode(encoded(picture.swapaxes(0, 1)), InputSpec(height=32, width=32))
    assert (found == 255).all()


def test_pad_keeps_everything_between_borders(encoded: Encode) -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    found = IMAGE.decode(encoded(picture), InputSpec(height=32, width=32, fit="pad", background=77))
    assert (found[:8] == 77).all()
    assert (found[8:24] == 0).all()
    assert (found[24:] == 77).all()


def test_stretch_uses_every_pixel(encoded: Encode) -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, 32:] = 200
    found = IMAGE.decode(encoded(picture), InputSpec(height=32, width=32, fit="stretch"))
    assert (found[:, :16] == 0).all()
    assert (found[:, 16:] == 200).all()


def test_shrinking_averages(encoded: Encode) -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = IMAGE.decode(encoded(board), InputSpec(height=8, width=8))
    assert np.abs(found.astype(int) - 127).max() <= 1  # picking pixels would give 0 or 255


def test_a_picture_that_shrinks_one_way_and_grows_the_other_keeps_its_range(
    encoded: Encode,
) -> None:
    board = np.full((16, 128, 3), 50, np.uint8)
    found = IMAGE.decode(encoded(board), InputSpec(height=64, width=32, fit="stretch"))
    assert (found == 50).all()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    out_height=st.integers(8, 70),
    out_width=st.integers(8, 70),
    channels=st.sampled_from([1, 3]),
    fit=st.sampled_from(["crop", "pad", "stretch"]),
    mode=st.sampled_from(["L", "RGB", "RGBA", "P", "1"]),
    kind=st.sampled_from(["PNG", "JPEG"]),
)
def test_every_size_becomes_exactly_the_promised_array(
    height: int,
    width: int,
    out_height: int,
    out_width: int,
    channels: int,
    fit: Fit,
    mode: str,
    kind: str,
    encoded: Encode,
) -> None:
    if kind == "JPEG":
        mode = "L" if channels == 1 else "RGB"
    picture = Image.new(mode, (width, height), 1)
    spec = InputSpec(height=out_height, width=out_width, channels=channels, fit=fit)
    found = IMAGE.decode(encoded(picture, kind), spec)
    assert found.shape == spec.shape
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert found.flags.writeable


# --- any bytes at all


def survives(data: bytes) -> None:
    spec = InputSpec(height=16, width=16)
    problem = None
    try:
        assert IMAGE.decode(data, spec).shape == spec.shape
    except UnreadableExample as error:
        problem = error
    if problem is not None:
        assert problem.code in image._REASONS
        assert problem.hint


@given(st.binary(max_size=400))
def test_any_bytes_are_a_picture_or_a_reason(data: bytes) -> None:
    survives(data)


MAGIC = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"P6 9 9 255 ",
]
MAGIC += [b"RIFF\x50\0\0\0WEBPVP8 ", b"\0\0\0\x18ftypavif", b"\0\0\0\x18ftypheic"]


@given(st.sampled_from(MAGIC), st.binary(max_size=200))
def test_any_bytes_after_a_known_beginning_are_a_picture_or_a_reason(
    magic: bytes, rest: bytes
) -> None:
    survives(magic + rest)


def victims() -> dict[str, bytes]:
    y, x = np.mgrid[0:24, 0:32]
    picture = Image.fromarray(np.stack([x * 8, y * 10, x * y % 256], axis=2).astype(np.uint8))
    kinds = {
        "JPEG": {},
        "progressive": {"progressive": True},
        "PNG": {},
        "GIF": {},
        "BMP": {},
        "TIFF": {},
        "WEBP": {},
    }
    data = {}
    for name, options in kinds.items():
        file = io.BytesIO()
        picture.save(file, "JPEG" if name == "progressive" else name, **options)
        data[name] = file.getvalue()
    return data


VICTIMS = victims()


@settings(max_examples=300)
@given(
    kind=st.sampled_from(sorted(VICTIMS)),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6
    ),
    header_only=st.booleans(),
    kept=st.one_of(st.just(1.0), st.floats(0.05, 1)),
)
def test_a_damaged_picture_is_a_picture_or_a_reason(
    kind: str, changes: list[tuple[float, int]], header_only: bool, kept: float
) -> None:
    data = bytearray(VICTIMS[kind])
    reach = min(64, len(data)) if header_only else len(data)
    for place, value in changes:
        data[int(place * reach)] = value
    survives(bytes(data[: max(1, int(len(data) * kept))]))


# --- the corpus of odd pictures


def corpus(shared_data: Path) -> list[Path]:
    folder = shared_data / "odd-images"
    if not folder.is_dir():
        pytest.skip(f"the corpus of odd pictures is not there: {folder}")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def decode_all(paths: list[Path]) -> dict[str, int]:
    resource = pytest.importorskip("resource", reason="measures memory, POSIX only")
    spec = InputSpec(height=64, width=64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ends: dict[str, int] = {}
    for path in paths:
        start = time.perf_counter()
        try:
            assert IMAGE.decode(path.read_bytes(), spec).shape == spec.shape
            end = "picture"
        except UnreadableExample as error:
            end = error.code
        assert time.perf_counter() - start < 2, path
        ends[end] = ends.get(end, 0) + 1
    grown_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kilobytes < 1_000_000
    assert set(ends) <= {"picture", *image._REASONS}
    return ends


def test_every_odd_picture_ends_as_a_picture_or_a_reason(shared_data: Path) -> None:
    paths = corpus(shared_data)
    ends = decode_all(paths)
    assert sum(ends.values()) == len(paths)
    assert ends["picture"] > len(paths) // 2
