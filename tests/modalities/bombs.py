"""Files that are small, or well formed, and cost a decoder far more than a picture should."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from PIL import Image

BIG: Final = (7000, 7000)
"""Width and height: 49 million pixels, which the limit lets pass."""

# --- JPEG


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def progressive(
    size: tuple[int, int], n_scans: int, n_colors: int = 1, inside: bytes = b""
) -> bytes:
    """A progressive JPEG of grey whose every scan is a few bytes and walks over the whole frame."""
    width, height = size
    numbers = range(1, n_colors + 1)
    frame = struct.pack(">BHHB", 8, height, width, n_colors)
    frame += b"".join(bytes((number, 0x11, 0)) for number in numbers)
    # One code each, a zero bit: no difference, and the end of 16,384 blocks and 14 bits more.
    one = bytes((1, *[0] * 15))
    tables = segment(0xC4, b"\x00" + one + b"\x00") + segment(0xC4, b"\x10" + one + b"\xe0")
    blocks = -(-width // 8) * -(-height // 8)
    dc = b"\x00" * (blocks * n_colors // 8 + 1)
    first = bytes((n_colors, *[byte for number in numbers for byte in (number, 0)], 0, 0, 0))
    scans = [segment(0xDA, first) + dc]
    runs = b"\x00" * (blocks // 16384 * 15 // 8 + 4)
    for at in range(n_scans - 1):
        number = 1 + at % n_colors
        scans.append(segment(0xDA, bytes((1, number, 0, 1, 63, 0))) + runs)
    parts = [
        b"\xff\xd8",
        inside,
        segment(0xDB, b"\x00" + b"\x10" * 64),
        segment(0xC2, frame),
        tables,
    ]
    return b"".join([*parts, *scans, b"\xff\xd9"])


def small_jpeg(inside: bytes = b"") -> bytes:
    """A small whole picture with something between its first marker and the rest."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 30)).save(file, "JPEG")
    whole = file.getvalue()
    return whole[:2] + inside + whole[2:]


def exif(content: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + content)


# --- TIFF, and EXIF, which is one


def tiff(tags: Iterable[tuple[int, int, int, int]], body: bytes = b"") -> bytes:
    """A TIFF of (tag, type, count, value or offset), whose body begins at byte 8."""
    listed = sorted(tags)
    start = 8 + len(body)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in listed)
    return (
        b"II*\0" + struct.pack("<I", start) + body
        + struct.pack("<H", len(listed)) + entries + b"\0\0\0\0"
    )  # fmt: skip


def plain(
    size: tuple[int, int], **changed: tuple[int, int, int]
) -> dict[int, tuple[int, int, int]]:
    """The tags of a grey picture in deflate."""
    return {
        256: (4, 1, size[0]),
        257: (4, 1, size[1]),
        258: (3, 1, 8),
        259: (3, 1, 8),
        262: (3, 1, 1),
        277: (3, 1, 1),
    }


def tiff_of(tags: dict[int, tuple[int, int, int]], body: bytes) -> bytes:
    return tiff([(tag, *rest) for tag, rest in tags.items()], body)


def one_value_for_all(n_tags: int, n_bytes: int) -> bytes:
    """Thousands of tags that share one long value: read once for each of them."""
    tags = plain((64, 64)) | {273: (4, 1, 8), 278: (3, 1, 64), 279: (4, 1, 30)}
    tags |= {40000 + at: (1, n_bytes, 8) for at in range(n_tags)}
    return tiff_of(tags, zlib.compress(bytes(64 * 64)).ljust(n_bytes, b"\0"))


def shared_strips(height: int, n_bytes: int) -> bytes:
    """Every row a strip of its own, and all of them the same long bytes."""
    row = zlib.compress(bytes(64)).ljust(n_bytes, b"\0")
    offsets = struct.pack(f"<{height}I", *[8] * height)
    counts = struct.pack(f"<{height}I", *[n_bytes] * height)
    tags = plain((64, height)) | {278: (3, 1, 1)}
    tags |= {273: (4, height, 8 + n_bytes), 279: (4, height, 8 + n_bytes + len(offsets))}
    return tiff_of(tags, row + offsets + counts)


def huge_tile(side: int) -> bytes:
    """A small picture in one tile that is not small."""
    body = zlib.compress(bytes(side * side), 9)
    tags = plain((64, 64)) | {322: (4, 1, side), 323: (4, 1, side)}
    tags |= {324: (4, 1, 8), 325: (4, 1, len(body))}
    return tiff_of(tags, body)


def many_numbers(n: int) -> bytes:
    """As many strips as the file has room for."""
    row = zlib.compress(bytes(64 * 64))
    offsets = struct.pack("<I", 8) * n
    tags = plain((64, 64)) | {278: (3, 1, 64)}
    tags |= {273: (4, n, 8 + len(row)), 279: (4, n, 8 + len(row))}
    return tiff_of(tags, row + offsets)


def many_pages(n: int) -> bytes:
    """One picture and very many empty directories after it."""
    row = zlib.compress(bytes(64 * 64))
    tags = plain((64, 64)) | {273: (4, 1, 8), 278: (3, 1, 64), 279: (4, 1, len(row))}
    first = bytearray(tiff_of(tags, row))
    end = len(first)
    first[-4:] = struct.pack("<I", end)
    page = struct.pack("<HHHII", 1, 256, 4, 1, 64)
    pages = (page + struct.pack("<I", end + (at + 1) * 18) for at in range(n - 1))
    return bytes(first) + b"".join(pages) + page + b"\0\0\0\0"


# --- PNG


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + check


def png(
    size: tuple[int, int], *, depth: int = 8, color: int = 2, interlaced: bool = False,
    before: bytes = b"", idat: int = 0,
) -> bytes:  # fmt: skip
    """A PNG of zeros; ``before`` stands between its header and its pixels."""
    width, height = size
    n_bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
        ]
        passes.append((0, 1, 1, 2))
    packed = zlib.compressobj(9)
    body = []
    for x, y, across, down in passes:
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        for _ in range(rows):
            body.append(packed.compress(bytes(1 + (columns * n_bits + 7) // 8)))
    data = b"".join(body) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    palette = chunk(b"PLTE", bytes(768)) if color == 3 else b""
    step = idat or len(data)
    pixels = b"".join(chunk(b"IDAT", data[at : at + step]) for at in range(0, len(data), step))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + palette
        + pixels
        + chunk(b"IEND", b"")
    )


# --- GIF, BMP, PPM and the modern ones


def gif(before: bytes = b"", n_frames: int = 1) -> bytes:
    """A small GIF; ``before`` stands between its header and its first picture."""
    file = io.BytesIO()
    Image.new("P", (64, 48)).save(file, "GIF")
    data = file.getvalue()
    start = data.index(b"\x2c", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    return data[:start] + before + data[start:-1] * n_frames + b";"


def bmp_runs(size: tuple[int, int]) -> bytes:
    """A BMP in run-length coding whose every run is one pixel: the longest it can be."""
    width, height = size
    rows = (b"\x01\x07" * width + b"\0\0") * height + b"\0\1"
    start = 54 + 1024
    head = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    head += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return head + bytes(1024) + rows


def plain_ppm(size: tuple[int, int]) -> bytes:
    """A PPM written in figures."""
    return b"P3 %d %d 255\n" % size + b"0 " * (size[0] * size[1] * 3)


def odd_ppm(size: tuple[int, int]) -> bytes:
    """A binary PPM whose white is 254: every value has to be divided."""
    return b"P6 %d %d 254\n" % size + bytes(size[0] * size[1] * 3)


def saved(size: tuple[int, int], kind: str, n_frames: int = 1, **options: object) -> bytes:
    file = io.BytesIO()
    frame = Image.new("RGB", size, (90, 120, 30))
    others = [Image.new("RGB", size, (at % 256, 0, 0)) for at in range(n_frames - 1)]
    if others:
        options |= {"save_all": True, "append_images": others}
    frame.save(file, kind, **options)
    return file.getvalue()


def noise(size: tuple[int, int], kind: str, **options: object) -> bytes:
    """Pixels that no coder can make small."""
    drawn = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, kind, **options)
    return file.getvalue()


BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "jpeg: 100 scans, 49 MP": lambda: progressive(BIG, 100),
    "jpeg: 100 scans, 49 MP, colour": lambda: progressive(BIG, 100, 3),
    "jpeg: 1000 scans, 49 MP": lambda: progressive(BIG, 1000),
    "jpeg: 1000 scans, 49 MP, CMYK": lambda: progressive(BIG, 1000, 4),
    "jpeg: 12 scans, 49 MP, colour": lambda: progressive(BIG, 12, 3),
    "jpeg: 12 scans, 49 MP, CMYK": lambda: progressive(BIG, 12, 4),
    "jpeg: 20 MB of junk": lambda: small_jpeg(segment(0xE5, b"") + bytes(20_000_000)),
    "jpeg: 20 MB of fill": lambda: small_jpeg(segment(0xE5, b"") + b"\xff" * 20_000_000),
    "jpeg: 300 Photoshop segments": lambda: small_jpeg(
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5000) * 300
    ),
    "jpeg: 5 million markers": lambda: small_jpeg(b"\xff\xe5\0\2" * 5_000_000),
    "jpeg: 10 million restarts": lambda: small_jpeg(b"\xff\xd0" * 10_000_000),
    "jpeg: 600 EXIF segments": lambda: small_jpeg(exif(bytes(65_000)) * 600),
    "jpeg: 60 MB of colour profile": lambda: small_jpeg(
        segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(65_000)) * 900
    ),
    "jpeg: EXIF tags that share a value": lambda: small_jpeg(
        exif(tiff([(40000 + at, 1, 20_000, 8) for at in range(3000)], bytes(20_000)))
    ),
    "png: interlaced, 49 MP, 16-bit RGBA": lambda: png(BIG, depth=16, color=6, interlaced=True),
    "png: 49 MP, 16-bit RGBA": lambda: png(BIG, depth=16, color=6),
    "png: 49 MP, palette": lambda: png(BIG, color=3),
    "png: a million empty chunks": lambda: png((64, 64), before=chunk(b"abCd", b"") * 1_000_000),
    "png: one byte to a chunk": lambda: png(BIG, idat=1),
    "png: 3,000 colour profiles of 1 MB each": lambda: png(
        (64, 64), before=chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(1_000_000))) * 3000
    ),
    "png: 60 zTXt of 1 MB each": lambda: png(
        (64, 64), before=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000))) * 60
    ),
    "png: zTXt of 300 MB": lambda: png(
        (64, 64), before=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(300_000_000)))
    ),
    "png: colour profile of 300 MB": lambda: png(
        (64, 64), before=chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(300_000_000)))
    ),
    "png: 50 MB of EXIF": lambda: png(
        (64, 64), before=chunk(b"eXIf", one_value_for_all(20_000, 1_000_000))
    ),
    "tiff: tags that share a value": lambda: one_value_for_all(1000, 1_000_000),
    "tiff: strips that share their bytes": lambda: shared_strips(6400, 1_000_000),
    "tiff: one huge tile": lambda: huge_tile(20_000),
    "tiff: 5 million strips": lambda: many_numbers(5_000_000),
    "tiff: 100,000 pages": lambda: many_pages(100_000),
    "tiff: LZW, 49 MP": lambda: saved(BIG, "TIFF", compression="tiff_lzw"),
    "gif: 5 million blocks of comment": lambda: gif(b"\x21\xfe" + b"\x01x" * 5_000_000 + b"\0"),
    "gif: 20 MB of junk": lambda: gif(bytes(20_000_000)),
    "gif: a million extensions": lambda: gif(b"\x21\xf9\x04\0\0\0\0\0" * 1_000_000),
    "gif: 100,000 frames": lambda: gif(n_frames=100_000),
    "gif: 49 MP": lambda: saved(BIG, "GIF"),
    "bmp: runs of one pixel, 20 MP": lambda: bmp_runs((5000, 4000)),
    "ppm: figures, 5 MP": lambda: plain_ppm((2500, 2000)),
    "ppm: white is 254, 5 MP": lambda: odd_ppm((2500, 2000)),
    "webp: 49 MP": lambda: saved(BIG, "WEBP", quality=1, method=0),
    "webp: lossless, 49 MP": lambda: saved(BIG, "WEBP", lossless=True, method=0),
    "webp: noise, 9 MP": lambda: noise((3000, 3000), "WEBP", lossless=True, method=0),
    "webp: 300 frames": lambda: saved((2000, 2000), "WEBP", 300, quality=1, method=0),
    "avif: 49 MP": lambda: saved(BIG, "AVIF", quality=1, speed=10),
    "avif: noise, 4 MP": lambda: noise((2000, 2000), "AVIF", quality=90, speed=8),
    "avif: 30 frames": lambda: saved((1000, 1000), "AVIF", 30, quality=1, speed=10),
    "tiff: deflate, 49 MP": lambda: saved(BIG, "TIFF", compression="tiff_adobe_deflate"),
}

REFUSED: Final[dict[str, str]] = {
    "jpeg: 1000 scans, 49 MP": "overloaded",
    "jpeg: 1000 scans, 49 MP, CMYK": "overloaded",
    "jpeg: 20 MB of junk": "overloaded",
    "jpeg: 20 MB of fill": "overloaded",
    "jpeg: 300 Photoshop segments": "overloaded",
    "jpeg: 5 million markers": "overloaded",
    "jpeg: 10 million restarts": "overloaded",
    "jpeg: 600 EXIF segments": "overloaded",
    "png: a million empty chunks": "overloaded",
    "png: one byte to a chunk": "overloaded",
    "png: 3,000 colour profiles of 1 MB each": "overloaded",
    "png: zTXt of 300 MB": "damaged",
    "png: colour profile of 300 MB": "damaged",
    "tiff: tags that share a value": "overloaded",
    "tiff: one huge tile": "overloaded",
    "tiff: 5 million strips": "damaged",
    "gif: 5 million blocks of comment": "overloaded",
    "gif: 20 MB of junk": "overloaded",
    "gif: a million extensions": "overloaded",
    "bmp: runs of one pixel, 20 MP": "overloaded",
    "ppm: figures, 5 MP": "overloaded",
    "ppm: white is 254, 5 MP": "overloaded",
}
"""What is not decoded, and what is said of it; every other bomb is a picture."""
