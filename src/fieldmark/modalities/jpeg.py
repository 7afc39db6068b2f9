"""Whether a JPEG stream is whole, from its markers alone.

Pure. Needed because decoders fill what is missing with grey and say nothing: a picture cut in the
middle would be learned as half a cat above a grey wall. Damage *inside* the
compressed data cannot be seen this way, and decoders mostly pass over it.
"""

from __future__ import annotations

import re

# Not TEM, RST0 to RST7 and SOI, after which no length follows: a stream may have millions of them.
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")
_SOS, _EOI = 0xDA, 0xD9

MAX_SCANS = 100
"""A progressive picture has about ten; hundreds only serve to keep a decoder busy."""
MAX_SEGMENTS = 10_000
"""Of a whole stream; hundreds are many."""


def problem(data: bytes) -> str:
    """Return ``""`` for a whole stream, else a code: ``truncated``, ``damaged``, ``overloaded``.

    Walks the markers to the first end of image that follows a scan, so neither a thumbnail inside
    the metadata nor a second picture or a film behind the first one confuses it.

    Parameters
    ----------
    data : bytes
        A file that starts with the JPEG start of image, ``FF D8``.

    References
    ----------
    ITU-T T.81 (1992), annex B.

    Examples
    --------
    >>> problem(bytes.fromhex("ffd8 ffda0002 12ff00 ffd9"))
    ''
    >>> problem(bytes.fromhex("ffd8 ffda0002 12ff00"))
    'truncated'
    """
    position = n_scans = n_segments = 0
    while found := _MARKER.search(data, position):
        marker = data[found.end() - 1]
        if marker == _EOI:
            return "" if n_scans else "damaged"
        position = found.end()
        n_segments += 1
        n_scans += marker == _SOS
        if n_scans > MAX_SCANS or n_segments > MAX_SEGMENTS:
            return "overloaded"
        # A length of 0 or 1 cannot be; stepping over the marker alone lets the search find the
        # next.
        position += int.from_bytes(data[position : position + 2], "big")
    return "truncated"
