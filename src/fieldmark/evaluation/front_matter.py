"""The YAML between two lines of dashes at the top of a model card. Pure.

Written as blocks whose scalars are JSON, which every YAML reader takes for what it is: a class
named ``no`` or ``1e5``, a colon or a quote in a name changes nothing, and no YAML library is
needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from fieldmark.evaluation.wording import printable

Value = str | int | float | bool | Sequence["Value"] | Mapping[str, "Value"]
"""What can be written; keys are our own words, and plain."""

_UNPRINTABLE: Final = re.compile("[^ -~\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
"""What YAML allows in a string only as an escape."""


def front_matter(fields: Mapping[str, Value], comments: Sequence[str] = ()) -> list[str]:
    """Return the lines, the dashes included.

    Parameters
    ----------
    fields : mapping of str to Value
        In the order in which they are written; empty mappings and lists are left out.
    comments : sequence of str
        Below the fields, for a person who edits the file.

    Examples
    --------
    >>> for line in front_matter({"tags": ["cnn"], "task": {"name": "no: 1"}}):
    ...     print(line)
    ---
    tags:
    - "cnn"
    task:
      name: "no: 1"
    ---
    """
    return ["---", *_mapping(fields), *(f"# {printable(each)}" for each in comments), "---"]


def scalar(value: str | int | float) -> str:
    """Write one value: JSON, on one line.

    Examples
    --------
    >>> scalar("yes"), scalar(True), scalar(1e-7)
    ('"yes"', 'true', '1.0e-07')
    """
    if isinstance(value, float):
        text = json.dumps(value, allow_nan=False)
        # YAML 1.1 wants a dot in every number with an exponent.
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, str):
        quoted = json.dumps(printable(value), ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
    return json.dumps(value)


def _mapping(fields: Mapping[str, Value]) -> list[str]:
    lines: list[str] = []
    for key, value in fields.items():
        if isinstance(value, str | int | float):
            lines.append(f"{key}: {scalar(value)}")
        elif isinstance(value, Mapping):
            inner = [f"  {line}" for line in _mapping(value)]
            lines += [f"{key}:", *inner] if inner else []
        elif value:
            lines += [f"{key}:", *_items(value)]
    return lines


def _items(values: Sequence[Value]) -> list[str]:
    lines: list[str] = []
    for value in values:
        if isinstance(value, Mapping):
            first, *rest = _mapping(value)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        elif isinstance(value, str | int | float):
            lines.append(f"- {scalar(value)}")
        else:
            raise TypeError("a list directly in a list is not written")
    return lines
