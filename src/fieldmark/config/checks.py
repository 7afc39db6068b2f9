"""Whether a setting is possible: its name, its type, its range; and the texts that stand for more.

Pure. Knows nothing of the tables but what their annotations say.
"""

from __future__ import annotations

import difflib
import re
import types
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from fieldmark.errors import ConfigError


def seconds(text: str) -> float:
    """Read a duration.

    Examples
    --------
    >>> seconds("90s"), seconds("10m"), seconds("1.5h")
    (90.0, 600.0, 5400.0)
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h)", text.strip())
    if match is None:
        raise ConfigError(
            f"{text!r} is no duration.",
            code="setting-type",
            where="time",
            hint="write 90s, 10m or 1h",
        )
    return float(match.group(1)) * {"s": 1, "m": 60, "h": 3600}[match.group(2)]


def n_bytes(text: str) -> int:
    """Read an amount of memory, in powers of 1000.

    Examples
    --------
    >>> n_bytes("2GB"), n_bytes("1.5 GB"), n_bytes("800MB")
    (2000000000, 1500000000, 800000000)
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(MB|GB|TB)", text.strip().upper())
    if match is None:
        raise ConfigError(
            f"{_said(text)} is no amount of memory.",
            code="setting-type",
            where="[run] ram",
            hint="write 800MB or 2GB",
        )
    return round(float(match.group(1)) * {"MB": 10**6, "GB": 10**9, "TB": 10**12}[match.group(2)])


def sizes(text: str) -> tuple[int, ...]:
    """Read picture sizes in the order of training.

    Examples
    --------
    >>> sizes("48, 64"), sizes("none")
    ((48, 64), ())
    """
    if text.strip() == "none":
        return ()
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and 8 <= int(word) <= 2048 for word in words):
        raise ConfigError(
            f"{text!r} is no list of picture sizes.",
            code="setting-type",
            where="sizes",
            hint="write 48,64: pixels each way, 8 to 2048; or none, or auto",
        )
    return tuple(int(word) for word in words)


_RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("split", "valid"): (0.01, 0.8),
    ("split", "test"): (0.01, 0.8),
    ("split", "seed"): (0, 2**32 - 1),
    ("split", "folds"): (0, 20),
    ("audit", "near"): (0.5, 1),
    ("net", "size"): (8, 2048),
    ("train", "epochs"): (1, 100_000),
    ("train", "steps_per_epoch"): (0, 10_000_000),
    ("train", "patience"): (0, 100_000),
    ("train", "batch"): (1, 4096),
    ("train", "lr"): (1e-9, 10),
    ("train", "weight_decay"): (0, 0.999),
    ("train", "label_smoothing"): (0, 0.5),
    ("train", "ema"): (0, 0.99999),
    ("train", "threads"): (1, 1024),
    ("train", "seed"): (0, 2**32 - 1),
    ("train", "repeats"): (1, 100),
    ("head", "folds"): (2, 20),
    ("head", "copies"): (0, 50),
    ("decide", "error"): (0.001, 0.5),
    ("decide", "confidence"): (0.5, 0.999),
    ("decide", "unknown"): (0, 0.5),
    ("run", "cache_gb"): (0.001, 1e6),
    ("run", "checkpoint_s"): (0, 86_400),
}

_MOST_FLOAT: Final = 1e300
_MOST_SAID: Final = 80


def check_ranges(settings: Any) -> None:
    """Refuse numbers that make no sense.

    Raises
    ------
    ConfigError
        Code ``setting-range``.
    """
    for (table, name), (low, high) in _RANGES.items():
        value = getattr(getattr(settings, table), name)
        if value != "auto" and not low <= value <= high:
            raise ConfigError(
                f"{name} is {_said(value)}, but must lie between {low:g} and {high:g}.",
                code="setting-range",
                where=f"[{table}] {name}",
                hint="choose a value in that range, or leave it out",
            )
    if settings.train.time:
        seconds(settings.train.time)
    if settings.run.ram:
        n_bytes(settings.run.ram)
    if settings.train.sizes != "auto":
        sizes(settings.train.sizes)


def checked(owner: type, table: str, name: str, value: Any) -> Any:
    """Return a value that fits its field; a whole number where a fraction is meant becomes one."""
    hints = get_type_hints(owner)
    if name not in hints:
        raise unknown(f"setting {name!r} in [{table}]", name, list(hints), f"[{table}]")
    if _fits(value, hints[name]):
        return float(value) if hints[name] is float else value
    wanted = " or ".join(_words(hints[name]))
    raise ConfigError(
        f"{name} = {_said(value)} is not possible.",
        code="setting-type",
        where=f"[{table}] {name}",
        hint=f"one of: {wanted}",
    )


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint is float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        return good and -_MOST_FLOAT <= value <= _MOST_FLOAT  # not so for NaN
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _said(value: Any) -> str:
    """Print a value; TOML can spell numbers that Python refuses to print."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= _MOST_SAID else f"{text[: _MOST_SAID - 3]}..."


def _words(hint: Any) -> list[str]:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return [word for option in get_args(hint) for word in _words(option)]
    if origin is Literal:
        return [str(option) for option in get_args(hint)]
    return [{int: "a whole number", float: "a number", str: "a text"}.get(hint, hint.__name__)]


def unknown(what: str, name: str, known: list[str], where: str) -> ConfigError:
    """Tell that a name is not known, and which one is nearest."""
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return ConfigError(
        f"Unknown {what}.",
        code="setting-unknown",
        where=where,
        hint=f"{guess}Known: {', '.join(known)}.",
    )
