"""What ``decision.json`` and ``unknown.safetensors`` may say, and reading them. Pure.

Everything here comes from a file that nobody may have looked at, so every number is held to its
range before anything is computed with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.bundle.refusal import refuse

MAX_DIRECTIONS: Final = 256
MAX_FEATURES: Final = 65_536
_ARRAYS: Final = ("means", "basis", "scales")
_MAX_TEXT: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How logits and a distance become a decision, as the file says it."""

    temperature: float = 1.0
    decides: bool = False
    """Whether the file says from which margin on an answer is accepted."""
    margin: float | None = None
    """Accepted from this lead of the first class on, in logits; None: nothing is."""
    error: float | None = None
    """The promised bound of the errors among accepted answers, in (0, 1)."""
    confidence: float = 0.95
    distance: float | None = None
    """Unknown from this distance on; None: that is not judged."""
    share: float | None = None
    """Of known pictures that lie as far away, in (0, 1)."""
    set_margin: float | None = None
    """Classes at most this far behind the first belong to a prediction set; None: no sets."""
    set_confidence: float = 0.95
    text: str = ""
    """What is promised, in words."""


def thresholds(decision: Mapping[str, Any]) -> Thresholds:
    """Read ``decision.json``, a part that is missing as "not judged".

    Raises
    ------
    BundleError
        ``model-damaged`` for anything that is not a number in its range.

    Examples
    --------
    >>> thresholds({"temperature": 1.5}).decides
    False
    >>> thresholds({"accept": {"margin": 2.0, "error": 0.05, "confidence": 0.95}}).margin
    2.0
    """
    found: dict[str, Any] = {"temperature": _number(decision, "temperature", 0, math.inf, 1.0)}
    accept, unknown, sets = (_table(decision, name) for name in ("accept", "unknown", "sets"))
    if accept is not None:
        found["decides"] = True
        found["margin"] = _optional(accept, "margin", -1e-300, 1e6)
        found["error"] = _optional(accept, "error", 0, 1)
        found["confidence"] = _number(accept, "confidence", 0, 1)
        found["text"] = _text(accept)
        if (found["margin"] is None) != (found["error"] is None):
            refuse("model-damaged", "decision.json promises an error without a margin.")
    if unknown is not None:
        found["distance"] = _number(unknown, "distance", 0, 1e12)
        found["share"] = _number(unknown, "share", 0, 1)
    if sets is not None:
        found["set_margin"] = _number(sets, "margin", -1e-300, 1e6)
        found["set_confidence"] = _number(sets, "confidence", 0, 1)
    return Thresholds(**found)


def check_deciding(
    decision: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], n_classes: int
) -> None:
    """Refuse a decision that cannot be computed with, or whose two parts do not fit together.

    Raises
    ------
    BundleError
        ``model-damaged``.
    """
    found = thresholds(decision)
    if (found.distance is not None) != bool(arrays):
        refuse("model-damaged", "decision.json and unknown.safetensors do not belong together.")
    if arrays:
        _check_arrays(arrays, n_classes)


def _check_arrays(arrays: Mapping[str, NDArray[Any]], n_classes: int) -> None:
    if sorted(arrays) != sorted(_ARRAYS):
        refuse("model-damaged", f"unknown.safetensors does not hold {', '.join(_ARRAYS)}.")
    means, basis, scales = (arrays[name] for name in _ARRAYS)
    good = all(each.dtype == np.float32 for each in (means, basis, scales))
    good = good and (means.ndim, basis.ndim, scales.ndim) == (2, 2, 1)
    if good:
        (n_means, n_features), (n_rows, width) = means.shape, basis.shape
        good = n_means == n_classes and n_features == width and len(scales) == n_rows + 1
        good = good and 1 <= n_rows <= MAX_DIRECTIONS and n_rows < n_features <= MAX_FEATURES
    if not good:
        refuse("model-damaged", "The arrays of unknown.safetensors do not fit together.")
    finite = all(bool(np.isfinite(each).all()) for each in (means, basis, scales))
    largest = max(float(np.abs(each).max()) for each in (means, basis)) if finite else math.inf
    if not largest <= 2 or not bool(((scales > 1e-9) & (scales < 1e6)).all()):
        refuse("model-damaged", "unknown.safetensors holds numbers out of their range.")


def _table(decision: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = decision.get(name)
    if value is not None and not isinstance(value, dict):
        refuse("model-damaged", f"decision.json: {name} is not an object.")
    return value


def _optional(table: Mapping[str, Any], key: str, low: float, high: float) -> float | None:
    return None if table.get(key) is None else _number(table, key, low, high)


def _number(
    table: Mapping[str, Any], key: str, low: float, high: float, default: float | None = None
) -> float:
    """Return a number between ``low`` and ``high``, both outside."""
    value = table.get(key, default)
    try:
        number = float(value) if type(value) in (int, float) and value is not None else math.nan
    except OverflowError:  # JSON spells whole numbers of any size
        number = math.nan
    if not low < number < high:
        if key == "temperature":
            refuse("model-damaged", "The temperature is not a number above 0.")
        refuse("model-damaged", f"decision.json: {key} is not a number in its range.")
    return number


def _text(table: Mapping[str, Any]) -> str:
    value = table.get("text", "")
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        refuse("model-damaged", f"decision.json: text is not a text of at most {_MAX_TEXT}.")
    return value
