"""The table at the start of safetensors data, held to its rules before any array is made. Pure.

safetensors' own reader checks most of this; this check is stricter (repeated names, gaps, unusual
types) and gives the sizes without the arrays.

References
----------
https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from fieldmark.bundle.refusal import refuse
from fieldmark.bundle.strict_json import load_json

MAX_TABLE_BYTES: Final = 1 << 20
MAX_TENSORS: Final = 10_000
MAX_RANK: Final = 8

_BYTES: Final = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}
"""Bytes of one number, by the types that NumPy has too."""
_METADATA: Final = "__metadata__"


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor, as the table states it."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def n_numbers(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def table(part: str, data: bytes) -> dict[str, Entry]:
    """Return what safetensors data hold, by name, without reading a single number.

    Raises
    ------
    BundleError
        ``model-unsafe``: the table or the number of tensors is too large. ``model-damaged``: the
        tensors overlap, leave gaps, or do not have the size that their shapes say.

    Examples
    --------
    >>> head = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    >>> table("weights.safetensors", len(head).to_bytes(8, "little") + head + bytes(8))
    {'a': Entry(dtype='F32', shape=(2,))}
    """
    size = int.from_bytes(data[:8], "little")
    if size > MAX_TABLE_BYTES:
        refuse("model-unsafe", f"The table of tensors in {part} is larger than 1 MiB.")
    if len(data) < 8 + size:
        refuse("model-damaged", f"{part} holds no plain arrays.")
    # Writers pad the table with spaces; nothing else may stand around it.
    facts = load_json(part, data[8 : 8 + size].rstrip(b" "))
    if not isinstance(facts, dict):
        refuse("model-damaged", f"{part} holds no plain arrays.")
    _check_metadata(part, facts.pop(_METADATA, {}))
    if len(facts) > MAX_TENSORS:
        refuse("model-unsafe", f"{part} holds more than {MAX_TENSORS:,} tensors.")
    spans = {name: _span(part, entry) for name, entry in facts.items()}
    at = 0
    for start, stop, _ in sorted(spans.values(), key=lambda span: span[:2]):
        if start != at:
            refuse("model-damaged", f"The tensors of {part} overlap or leave gaps.")
        at = stop
    if at != len(data) - 8 - size:
        refuse("model-damaged", f"{part} does not have the size that its table says.")
    return {name: entry for name, (_, _, entry) in spans.items()}


def _check_metadata(part: str, metadata: Any) -> None:
    good = isinstance(metadata, dict)
    if not good or not all(isinstance(value, str) for value in metadata.values()):
        refuse("model-damaged", f"The metadata of {part} are no texts.")


def _span(part: str, entry: Any) -> tuple[int, int, Entry]:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, stop]} if (
            len(entry) == 3 and dtype in _BYTES and len(shape) <= MAX_RANK
        ):
            numbers = [*shape, start, stop]
            whole = all(type(each) is int and 0 <= each < 1 << 40 for each in numbers)
            if whole and stop - start == math.prod(shape) * _BYTES[dtype]:
                return start, stop, Entry(dtype, tuple(shape))
    refuse("model-damaged", f"{part} states a tensor that is no plain array.")
