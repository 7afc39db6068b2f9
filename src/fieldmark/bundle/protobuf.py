"""Protobuf messages, one field at a time and without building anything. Pure.

Stricter than protobuf itself in the two places where readers differ, over-long tags and groups:
whatever is read here is read in the same way by everybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fieldmark.bundle.refusal import refuse

MAX_FIELDS: Final = 250_000
"""In one file; a network of 1,000 layers has about 30,000."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Field = tuple[int, int, int, int]
"""Number, wire type, value or start of the bytes, end of the field."""


class Fields:
    r"""The fields of one file, counted; final.

    Examples
    --------
    >>> [field[:3] for field in Fields(b"\x08\x07").of(0, 2)]
    [(1, 0, 7)]
    """

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self._n_fields = 0

    def of(self, start: int, end: int) -> Iterator[Field]:
        """Yield the fields of the message between two places.

        Raises
        ------
        BundleError
            ``model-damaged``; ``model-unsafe`` above :data:`MAX_FIELDS`.
        """
        at = start
        while at < end:
            self._n_fields += 1
            if self._n_fields > MAX_FIELDS:
                refuse("model-unsafe", f"The ONNX graph has more than {MAX_FIELDS:,} fields.")
            tag, after = self._varint(at, end)
            # A longer spelling of the same tag is where protobuf readers begin to disagree.
            if tag >= 1 << 32 or (after - at > 1 and tag < 1 << 7 * (after - at - 1)):
                refuse("model-damaged", "The ONNX graph is damaged (a field's tag).")
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                value, at = self._varint(after, end)
            elif wire == BYTES:
                size, value = self._varint(after, end)
                at = value + size
            elif wire in (FIXED64, FIXED32):
                value = after
                at = after + (8 if wire == FIXED64 else 4)
            else:
                refuse("model-damaged", "The ONNX graph is damaged (a field's kind).")
            if at > end or number == 0:
                refuse("model-damaged", "The ONNX graph is damaged (a field's length).")
            yield number, wire, value, at

    def text(self, field: Field) -> str:
        """Return a field's bytes as text."""
        return bytes(self.data[field[2] : field[3]]).decode("utf-8", "replace")

    def integers(self, field: Field) -> Iterator[int]:
        """Yield the signed numbers of a field, packed or not."""
        _, wire, value, stop = field
        if wire == VARINT:
            yield _signed(value)
        while wire == BYTES and value < stop:
            number, value = self._varint(value, stop)
            yield _signed(number)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift, place in enumerate(range(at, min(at + 10, end))):
            byte = self.data[place]
            value |= (byte & 0x7F) << 7 * shift
            if byte < 0x80:
                return value, place + 1
        refuse("model-damaged", "The ONNX graph is damaged (it ends too early).")


def _signed(value: int) -> int:
    low = value & (1 << 64) - 1
    return low - (1 << 64) if low >> 63 else low
