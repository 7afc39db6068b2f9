"""Whether a JPEG stream is whole, from its markers alone.

Pure. Needed because decoders fill what is missing with grey and say nothing: a picture cut in the
middle would be learned as half a cat above a grey wall. Damage *inside* the
compressed data cannot be seen this way, and decoders mostly pass over it.
"""

from __future__ import annotations

import re

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0 to RST7, SOI: no length follows
_SOS, _EOI = 0xDA, 0xD9

MAX_SCANS = 100
"""A progressive picture has about ten; hundreds only serve to keep a decoder busy."""


def problem(data: bytes) -> str:
    """Return ``""`` for a whole stream, else the reason's code: ``truncated`` or ``damaged``.

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
    position = 0
    n_scans = 0
    while found := _MARKER.search(data, position):
        marker = data[found.end() - 1]
        if marker == _EOI:
            return "" if n_scans else "damaged"
        position = found.end()
        if marker in _STANDALONE:
            continue
        n_scans += marker == _SOS
        if n_scans > MAX_SCANS:
            return "damaged"
        # A length of 0 or 1 cannot be; stepping over the marker alone lets the search find the
        # next.
        position += int.from_bytes(data[position : position + 2], "big")
    return "truncated"
