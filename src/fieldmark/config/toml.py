"""Settings from TOML and back, and the presets."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fieldmark.config.checks import unknown
from fieldmark.config.tables import Settings
from fieldmark.errors import ConfigError

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")

PRESETS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "fast": {"net": {"name": "small"}, "train": {"time": "5m"}},
    "best": {"net": {"name": "residual"}, "train": {"time": "20m"}},
}
"""Recipes from scratch by the minutes they take: name -> table -> values; the rest stays as it is.
What two cores make of the minutes is measured in ``docs/decisions/003-tuned-recipe.md``."""


MAX_LETTERS: Final = 1_000_000
"""Of a settings file."""
MADE: Final = "made"
"""A table in the recipe of a model file that holds no settings: what it was made of."""


def preset(name: str, base: Settings | None = None) -> Settings:
    """Return ``base`` (default: the defaults) with a preset on top, to be changed further.

    Raises
    ------
    ConfigError
        Code ``preset-unknown``.

    Examples
    --------
    >>> preset("fast").train.time
    '5m'
    """
    if name not in PRESETS:
        raise ConfigError(
            f"There is no preset {name!r}.",
            code="preset-unknown",
            where="--preset",
            hint=f"choose one of: {', '.join(PRESETS)}",
        )
    return from_tables(PRESETS[name], base or Settings())


def read(path: Path, base: Settings | None = None) -> Settings:
    """Read a TOML file on top of ``base`` (default: the defaults).

    Raises
    ------
    ConfigError
        Codes ``config-file``, ``setting-unknown``, ``setting-type``, ``setting-range``.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_LETTERS + 1)
        if len(text) > MAX_LETTERS:
            raise ValueError(f"it has more than {MAX_LETTERS:,} letters")
        tables = tomllib.loads(text)
        tables.pop(MADE, None)
    # ValueError: no UTF-8, no TOML, a number of 5,000 digits. Deep brackets exhaust the stack.
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"The settings file cannot be read: {error}.",
            code="config-file",
            where=str(path),
            hint="a run's config.toml shows what such a file looks like",
        ) from error
    return from_tables(tables, base or Settings())


def from_tables(tables: Mapping[str, Any], base: Settings) -> Settings:
    """Put the tables of a parsed TOML file on top of ``base``."""
    known = [each.name for each in dataclasses.fields(Settings)]
    for table, values in tables.items():
        if table not in known or not isinstance(values, dict):
            raise unknown(f"table [{table}]", table, known, "the file")
        base = base.changed(table, values)
    return base


def to_toml(settings: Settings) -> str:
    """Write settings as TOML; :func:`read` gives them back.

    Examples
    --------
    >>> print(to_toml(Settings()).splitlines()[0])
    [data]
    """
    return "".join(
        to_table(each.name, dataclasses.asdict(getattr(settings, each.name)))
        for each in dataclasses.fields(settings)
    )


def to_table(name: str, values: Mapping[str, Any]) -> str:
    """Write one TOML table of texts, numbers, truths and lists of texts, with a line after it.

    Examples
    --------
    >>> print(to_table("a.b", {"one": 1, "the other": "x"}), end="")
    [a.b]
    one = 1
    "the other" = "x"
    <BLANKLINE>
    """
    keys = (key if _BARE.fullmatch(key) else _toml(key) for key in values)
    lines = [f"{key} = {_toml(value)}" for key, value in zip(keys, values.values(), strict=True)]
    return "\n".join([f"[{name}]", *lines, "", ""])


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped too, and for
        # characters beyond U+FFFF, which JSON would escape in halves. What is no character at all,
        # from a name that is not UTF-8, becomes a question mark: TOML has no way to write it.
        text = value.encode("utf-8", "replace").decode("utf-8")
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
