"""Files that keep a decoder busy: refused before one sees them, or decoded within bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fieldmark.errors import UnreadableExample
from fieldmark.modalities import costs
from fieldmark.modalities.base import InputSpec
from fieldmark.modalities.image import IMAGE, MAX_PIXELS
from tests.modalities import bombs

ROOT = Path(__file__).resolve().parents[2]
SPEC = InputSpec(height=64, width=64)
CPU_S_FOR_10_MP = 1.0
BYTES_FOR_A_PIXEL = 20
"""While one file is decoded, beside the file: 1 GB for the largest picture that is read."""


@pytest.mark.parametrize("name", bombs.REFUSED)
def test_a_bomb_is_refused_with_its_reason(name: str) -> None:
    with pytest.raises(UnreadableExample, match=r"\w") as caught:
        IMAGE.decode(bombs.BOMBS[name](), SPEC)
    assert caught.value.code == bombs.REFUSED[name]


MOST = {
    "segments": (
        lambda n: bombs.small_jpeg(bombs.segment(0xE5, b"") * n),
        costs.MAX_SEGMENTS - 8,  # its own: the header, tables, the frame
    ),
    "EXIF": (lambda n: bombs.small_jpeg(bombs.exif(b"") * n), costs.MAX_METADATA),
    "junk": (
        lambda n: bombs.small_jpeg(bombs.segment(0xE5, b"") + bytes(n)),
        costs.MAX_JUNK,
    ),
    "chunks": (
        lambda n: bombs.png((64, 64), before=bombs.chunk(b"abCd", b"") * n),
        costs.MAX_CHUNKS - 3,
    ),
    "profiles": (
        lambda n: bombs.png((64, 64), before=bombs.chunk(b"iCCP", b"k\0\0") * n),
        costs.MAX_PROFILES,
    ),
    "blocks": (
        lambda n: bombs.gif(b"\x21\xfe" + b"\x01x" * n + b"\0"),
        costs.MAX_BLOCKS - 3,  # the extension, its end, the picture
    ),
    "tags": (lambda n: bombs.one_value_for_all(n, 100_000), 2),
}


@pytest.mark.parametrize("name", MOST)
def test_up_to_the_limit_a_file_passes_and_beyond_it_not(name: str) -> None:
    make, most = MOST[name]
    assert costs.excess(make(most - 1)) == ""
    assert costs.excess(make(most + 2)) != ""
    assert IMAGE.decode(make(most // 2), SPEC).shape == (64, 64, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM"])
def test_an_ordinary_file_has_nothing_too_much(kind: str) -> None:
    assert costs.excess(bombs.saved((80, 60), kind)) == ""


def test_a_big_tiff_is_counted_like_any_other() -> None:
    data = bombs.saved((80, 60), "TIFF", big_tiff=True)
    assert costs.excess(data) == ""
    assert data[2:3] == b"+"
    entry = data.index((256).to_bytes(2, "little") + (4).to_bytes(2, "little"))
    large = data[: entry + 4] + (10**9).to_bytes(8, "little") + data[entry + 12 :]
    assert costs.excess(large) == "tags of more bytes than it has"


@given(
    st.sampled_from(
        [b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b""]
    ),
    st.binary(max_size=400),
)
def test_any_bytes_can_be_counted(magic: bytes, rest: bytes) -> None:
    assert isinstance(costs.excess(magic + rest), str)


def test_every_decoder_written_in_python_has_a_limit() -> None:
    """Of the formats that are opened; the others never get a file."""
    Image.init()
    of_others = {"BLP1", "BLP2", "dds_rgb", "fits_gzip", "MSP", "qoi", "SGI16", "xpm"}
    assert set(Image.DECODERS) - of_others == set(costs.SLOW)


@pytest.mark.slow
def test_every_bomb_keeps_within_its_time_and_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.modalities.defuse"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["name"] for each in found} == set(bombs.BOMBS)
    for each in found:
        pixels = each["pixels"]
        assert each["said"] == bombs.REFUSED.get(each["name"], "read"), each
        assert each["cpu_s"] <= CPU_S_FOR_10_MP * max(1.0, pixels / 10e6), each
        assert each["grown"] <= BYTES_FOR_A_PIXEL * pixels + 3 * each["bytes"] + 30e6, each
        assert pixels <= MAX_PIXELS, each
