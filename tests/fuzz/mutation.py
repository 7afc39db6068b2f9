"""Small random changes of good inputs; the same seed gives the same changes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)


def changed(
    seeds: Sequence[bytes], words: Sequence[bytes], draw: random.Random, max_bytes: int
) -> bytes:
    """Return one input: a seed, one to eight times changed."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 1, 2, 3, 4, 8))):
        _change(data, seeds, words, draw)
    return bytes(data[:max_bytes])


def endless(
    seeds: Sequence[bytes], words: Sequence[bytes], seed: int, max_bytes: int
) -> Iterator[bytes]:
    """Yield inputs without end."""
    draw = random.Random(seed)
    while True:
        yield changed(seeds, words, draw, max_bytes)


def _change(
    data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes], draw: random.Random
) -> None:
    at = draw.randrange(len(data) + 1)
    size = min(len(data) - at, draw.choice((1, 1, 2, 4, 8, 64)))
    match draw.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        case 1 if at < len(data):
            data[at] = draw.randrange(256)
        case 2:
            del data[at : at + size]
        case 3:
            data[at:at] = data[at : at + size] * draw.choice((1, 2, 40))
        case 4 if words:
            data[at : at + draw.choice((0, size))] = draw.choice(words)
        case 5:
            width, order = draw.choice((1, 2, 4, 8)), draw.choice(("little", "big"))
            number = draw.choice(_NUMBERS) & (1 << 8 * width) - 1
            data[at : at + width] = number.to_bytes(width, order)
        case 6:
            other = draw.choice(seeds)
            start = draw.randrange(len(other) + 1)
            data[at:] = other[start:]
        case _:
            del data[at:]
