"""In which precision a network computes, and which of a model file's networks that is. Pure."""

from __future__ import annotations

from typing import Literal, cast, get_args

from fieldmark.bundle import Bundle
from fieldmark.errors import UsageError

Precision = Literal["float32", "int8"]


def as_precision(name: str) -> Precision:
    """Return the name of a precision, as a person wrote it.

    Raises
    ------
    UsageError
        ``precision-unknown``.
    """
    for precision in get_args(Precision):
        if name == precision:
            return cast(Precision, precision)
    raise UsageError(
        f"There is no precision {name!r}.",
        code="precision-unknown",
        hint=f"one of: {', '.join(get_args(Precision))}",
    )


def network_of(bundle: Bundle, precision: Precision, where: str) -> bytes:
    """Return the graph of a precision.

    Raises
    ------
    UsageError
        ``float-only`` or ``precision-unknown``.
    """
    if as_precision(precision) == "float32":
        return bundle.onnx
    if bundle.int8 is None:
        raise UsageError(
            "The model file holds no int8 network.",
            code="float-only",
            where=where,
            hint="answer in float32, which every model file holds",
        )
    return bundle.int8
