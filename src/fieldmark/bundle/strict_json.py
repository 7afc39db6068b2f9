"""JSON from a stranger: bounded in bytes, values and depth, and strict. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from fieldmark.bundle.refusal import refuse

MAX_DEPTH: Final = 32
"""Levels of lists and objects."""
MAX_BYTES: Final = 16 << 20
MAX_VALUES: Final = 2_000_000
"""Numbers, texts, lists and objects: each takes far more memory than it has letters."""


def dump_json(part: str, value: object) -> bytes:
    r"""Return canonical JSON: sorted keys, UTF-8, one form for one value.

    Raises
    ------
    BundleError
        ``model-damaged`` for what JSON cannot carry, and for more than :data:`MAX_DEPTH` levels.

    Examples
    --------
    >>> dump_json("input.json", {"b": 1, "a": []})
    b'{\n "a": [],\n "b": 1\n}\n'
    """
    try:
        text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
        data = f"{text}\n".encode()
    except (TypeError, ValueError, RecursionError) as error:
        refuse("model-damaged", f"{part} cannot be written as JSON: {error}.", cause=error)
    load_json(part, data)
    return data


def load_json(part: str, data: bytes) -> Any:
    """Parse untrusted JSON.

    Raises
    ------
    BundleError
        ``model-unsafe`` for more than :data:`MAX_DEPTH` levels, :data:`MAX_BYTES` or
        :data:`MAX_VALUES`; ``model-damaged`` for anything that is not strict JSON: wrong UTF-8,
        NaN, infinity, a key given twice.

    Examples
    --------
    >>> load_json("report.json", b'{"accuracy": 0.9}')
    {'accuracy': 0.9}
    """
    # Counted before parsing; letters inside of texts count too, which only makes it stricter.
    n_values = sum(map(data.count, (b",", b"[", b"{")))
    if len(data) > MAX_BYTES or n_values > MAX_VALUES:
        refuse("model-unsafe", f"{part} is larger than any that fieldmark writes.")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_no_constant,
        )
    except RecursionError as error:
        refuse("model-unsafe", f"{part} is nested deeper than {MAX_DEPTH} levels.", cause=error)
    except ValueError as error:
        refuse("model-damaged", f"{part} is not JSON: {error}.", cause=error)
    level, depth = [value], 0
    while level:  # level by level, so that depth costs no stack
        depth += any(isinstance(item, (dict, list)) for item in level)
        if depth > MAX_DEPTH:
            refuse("model-unsafe", f"{part} is nested deeper than {MAX_DEPTH} levels.")
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999, which JSON can spell and no report means
        raise ValueError(f"{text[:40]} is beyond all numbers")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")
