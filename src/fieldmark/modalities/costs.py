"""Whether a file holds more parts than any picture does, only to keep a decoder busy.

Pure. The limit on pixels bounds what a decoder does with pixels. What stands around them is read
piece by piece in Python, some of it over and over, and a few megabytes of it take minutes: so the
pieces are counted before a decoder sees the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

MAX_SEGMENTS: Final = 5_000
"""Of a JPEG before its first scan. A colour profile of 16 MB takes 255 of them."""
MAX_JUNK: Final = 65_536
"""Bytes of a JPEG between them, which belong to nothing."""
MAX_METADATA: Final = 64
"""Segments of EXIF and of Photoshop's own; a few are usual, and reading them takes long."""
MAX_CHUNKS: Final = 100_000
"""Of a PNG. 200 MB in chunks of 8 kB, which many programs write, are 25,000."""
MAX_PROFILES: Final = 16
"""Of a PNG, which may have one: each is inflated."""
MAX_BLOCKS: Final = 50_000
"""Of a GIF before its first picture. Metadata of 10 MB takes 40,000."""

MAX_TAGS: Final = 65_535
"""Of a TIFF that are looked at: more have no place in the usual kind."""
MAX_TILE: Final = 50_000_000
"""Pixels of a tile of a TIFF, which is decoded whole however small the picture is."""

_TILE_WIDTH, _TILE_LENGTH = 322, 323
_TIFF_BYTES: Final = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
"""Type of a tag's value -> bytes of one."""

SLOW: Final = {"bmp_rle": 8_000_000, "ppm_plain": 8_000_000, "ppm": 3_000_000}
"""Decoders of Pillow that are written in Python -> bytes of a file they are given at most.

Run-length BMP, PPM in figures, and binary PPM whose white is neither 255 nor 65535: about a second.
"""


def excess(data: bytes) -> str:
    r"""Return what a file has too much of; empty: nothing.

    Parameters
    ----------
    data : bytes
        The whole file, of whatever format.

    Examples
    --------
    >>> excess(b"\xff\xd8" + b"\xff\xe5\x00\x02" * 6000)
    'more than 5,000 segments'
    >>> excess(b"any other file")
    ''
    """
    for magic, look in _LOOKS.items():
        if data.startswith(magic):
            return look(data)
    return ""


def _jpeg(data: bytes) -> str:
    at, n_segments, n_metadata, junk = 2, 0, 0, 0
    while at + 4 <= len(data):
        found = data.find(b"\xff", at)
        if found < 0:
            found = len(data)
        junk += found - at
        while data[found + 1 : found + 2] == b"\xff" and junk <= MAX_JUNK:  # fill bytes
            found, junk = found + 1, junk + 1
        if junk > MAX_JUNK:
            return f"more than {MAX_JUNK:,} bytes between its segments"
        marker = data[found + 1 : found + 2]
        if marker in (b"\xda", b""):  # the first scan: what follows is counted by the decoder
            return ""
        n_segments += 1
        is_exif = marker == b"\xe1" and data[found + 4 : found + 10] == b"Exif\0\0"
        n_metadata += is_exif or marker == b"\xed"
        if n_segments > MAX_SEGMENTS:
            return f"more than {MAX_SEGMENTS:,} segments"
        if n_metadata > MAX_METADATA:
            return f"more than {MAX_METADATA} segments of metadata"
        alone = marker <= b"\x01" or b"\xd0" <= marker <= b"\xd9"  # no length follows
        at = found + 2
        if not alone:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return ""


def _png(data: bytes) -> str:
    at, n_chunks, n_profiles = 8, 0, 0
    while at + 12 <= len(data):
        n_chunks += 1
        n_profiles += data[at + 4 : at + 8] == b"iCCP"
        if n_chunks > MAX_CHUNKS:
            return f"more than {MAX_CHUNKS:,} chunks"
        if n_profiles > MAX_PROFILES:
            return f"more than {MAX_PROFILES} colour profiles"
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return ""


def _gif(data: bytes) -> str:
    at, n_blocks, inside = 13, 0, False
    if len(data) > at and data[10] & 0x80:
        at += 3 << (data[10] & 7) + 1
    while at < len(data):
        n_blocks += 1
        if n_blocks > MAX_BLOCKS:
            return f"more than {MAX_BLOCKS:,} blocks before its picture"
        byte = data[at]
        if inside:  # an extension goes on until a block of no bytes
            at, inside = at + 1 + byte, byte > 0
        elif byte in b",;":
            return ""
        else:
            at, inside = at + (2 if byte == 0x21 else 1), byte == 0x21
    return ""


def _tiff(data: bytes) -> str:
    order = "<" if data[:2] == b"II" else ">"
    where, many, entry, inside = "IH", "I", 12, 4
    if data[2:4] in (b"+\0", b"\0+"):
        where, many, entry, inside = "QQ", "Q", 20, 8
    try:
        (at,) = struct.unpack_from(order + where[0], data, 8 if entry == 20 else 4)
        (n_tags,) = struct.unpack_from(order + where[1], data, at)
        at += struct.calcsize("=" + where[1])
        total, tile = 0, 1
        for start in range(at, at + min(n_tags, MAX_TAGS) * entry, entry):
            tag, kind, count = struct.unpack_from(order + "HH" + many, data, start)
            size = count * _TIFF_BYTES.get(kind, 0)
            total += size if size > inside else 0
            if tag in (_TILE_WIDTH, _TILE_LENGTH):
                form = "H" if kind == 3 else "I"
                tile *= struct.unpack_from(order + form, data, start + entry - inside)[0]
    except (struct.error, OverflowError):
        return ""  # cut: the decoder says so
    if total > 2 * len(data):
        return "tags of more bytes than it has"
    return f"tiles of more than {MAX_TILE // 10**6} million pixels" if tile > MAX_TILE else ""


_LOOKS: Final[dict[bytes, Callable[[bytes], str]]] = {
    b"\xff\xd8": _jpeg,
    b"\x89PNG": _png,
    b"GIF8": _gif,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
}
