"""Every setting: typed, explained, with its default; from TOML and back.

Pure but for :func:`read`. Unknown names are refused with the nearest one. ``auto`` means: chosen
from the data by :mod:`fieldmark.training.recipe`; the file saved in a run holds no ``auto`` any
more, so that ``fieldmark train --config RUN/config.toml`` repeats it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from fieldmark.errors import ConfigError

Auto = Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What the examples are."""

    folder: str = ""
    """The data folder, or a CSV file with the columns path, label and perhaps group, split."""
    labels: str = ""
    """A CSV file with the labels of the pictures in ``folder``; empty: none."""
    label_from: str = "folder"
    """``folder``: the class folder's name. ``name:REGEX``: the first group in the file name."""
    fit: Literal["auto", "crop", "pad", "stretch"] = "auto"
    """How a picture of another shape fills the frame."""


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """Which examples are for what, where the folder does not say it."""

    valid: float = 0.15
    """Share of the validation part, in (0, 1)."""
    test: float = 0.15
    """Share of the test part, in (0, 1)."""
    seed: int | Auto = "auto"
    """Of the draw; ``auto``: the training's seed."""


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """What is looked for before anything is drawn or trained, and what is done about it."""

    clean: bool = True
    """Leave out label conflicts, all but one of exact copies, and training pictures that lie in a
    ready-made test part too; ``false``: only keep near copies on one side."""
    near: float = 0.9
    """Likeness of the details from which on two pictures are near copies, in [0.5, 1]."""
    suspects: Literal["auto", "yes", "no"] = "auto"
    """``check`` looks for wrong labels and shortcuts, which takes the time of a pretrained
    backbone over all pictures; ``auto``: up to 10,000 of them."""


@dataclass(frozen=True, kw_only=True)
class NetSettings:
    """The network."""

    name: str = "auto"
    """A name of the catalogue, or ``layers``."""
    layers: str = ""
    """A layer list, when ``name`` is ``layers``."""
    size: int | Auto = "auto"
    """Height and width of the pictures the network sees, 8 to 2048 pixels."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How the network is trained."""

    recipe: Literal["tuned", "article"] = "tuned"
    """``tuned``: AdamW, one-cycle, averaged weights. ``article``: the tutorial's."""
    epochs: int | Auto = "auto"
    """Passes over the training part, at least 1."""
    steps_per_epoch: int = 0
    """Batches that count as an epoch; 0: one pass over the training part."""
    time: str = ""
    """Time budget such as ``90s``, ``10m`` or ``1h``, decoding included; empty: none."""
    patience: int | Auto = "auto"
    """Epochs without a better validation loss before training stops; 0: never."""
    batch: int | Auto = "auto"
    """Pictures per step, 1 to 4096."""
    optimizer: Literal["auto", "adam", "adamw", "sgd"] = "auto"
    lr: float | Auto = "auto"
    """Learning rate, the highest one of a schedule, in (0, 10]; ``auto``: by a range test."""
    schedule: Literal["auto", "constant", "one-cycle"] = "auto"
    weight_decay: float | Auto = "auto"
    """Of AdamW, and of SGD; in [0, 1)."""
    label_smoothing: float | Auto = "auto"
    """Share of each label given to all classes alike, in [0, 0.5]."""
    ema: float | Auto = "auto"
    """Decay per step of the averaged weights that are kept, in [0, 1); 0: no averaging."""
    augment: Literal["auto", "none", "light", "strong", "article"] = "auto"
    sizes: str = "auto"
    """Pixels each way while training, such as ``48,64``: each for an equal part of the steps.
    ``none``: the network's size all the way. Only without FLATTEN; measured at the network's."""
    balance: Literal["none", "weights"] = "none"
    """``weights``: errors on rare classes count more."""
    threads: int | Auto = "auto"
    """Of decoding, training and answering; part of what makes a run repeatable."""
    seed: int = 0
    """Of the split, the initial weights, the order and the augmentation."""


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """The last layer on a pretrained backbone; it is solved, not trained."""

    method: Literal["auto", "logistic", "ridge"] = "auto"
    """Multinomial logistic regression, or ridge regression on the classes; ``auto``: logistic."""
    folds: int = 5
    """Of the cross-validation that chooses its regularisation, 2 to 20."""
    copies: int | Auto = "auto"
    """Warped copies of each training picture; ``auto``: 4 for classes with fewer than 50, and for
    all where cross-validation leaves many errors and says that copies help."""
    fine_tune: Literal["auto", "none", "blocks", "all"] = "auto"
    """``blocks``: train the last blocks too, from the solved head; ``all``: then every layer."""
    engine: Literal["auto", "onnxruntime", "openvino"] = "auto"
    """What runs the backbone; ``auto``: OpenVINO where it is installed."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Where things go."""

    out: str = "runs"
    """The folder of the run folders."""
    name: str = ""
    """Of the run, before its number; empty: the data folder's name."""
    int8: bool = False
    """Put an int8 network beside the float one, if it passes the gate on the validation part."""
    cache: bool = True
    """Keep decoded pictures for the next run, in fieldmark's own cache folder."""
    cache_gb: float = 20.0
    """The most that cache folder may hold; what was used longest ago goes first."""
    allow_network: bool = False
    """Let Keras fetch the weights of a ``BACKBONE keras:NAME``; nothing else is ever fetched."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of them; each field is one table of the TOML file."""

    data: DataSettings = field(default_factory=DataSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    net: NetSettings = field(default_factory=NetSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    head: HeadSettings = field(default_factory=HeadSettings)
    run: RunSettings = field(default_factory=RunSettings)

    def changed(self, table: str, values: Mapping[str, Any]) -> Settings:
        """Return a copy with some settings of one table replaced; refuses unknown names and types.

        Raises
        ------
        ConfigError
            Codes ``setting-unknown``, ``setting-type``, ``setting-range``.
        """
        old = getattr(self, table)
        checked = {name: _checked(type(old), table, name, value) for name, value in values.items()}
        changed = dataclasses.replace(self, **{table: dataclasses.replace(old, **checked)})
        check_ranges(changed)
        return changed


PRESETS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "fast": {"net": {"name": "small"}, "train": {"time": "5m"}},
    "best": {"net": {"name": "residual"}, "train": {"time": "20m"}},
}
"""Recipes from scratch by the minutes they take: name -> table -> values; the rest stays as it is.
What two cores make of the minutes is measured in ``docs/decisions/003-tuned-recipe.md``."""


def preset(name: str) -> Settings:
    """Return the settings of a preset, to be changed further.

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
    return from_tables(PRESETS[name], Settings())


def read(path: Path, base: Settings | None = None) -> Settings:
    """Read a TOML file on top of ``base`` (default: the defaults).

    Raises
    ------
    ConfigError
        Codes ``config-file``, ``setting-unknown``, ``setting-type``, ``setting-range``.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
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
            raise _unknown(f"table [{table}]", table, known, "the file")
        base = base.changed(table, values)
    return base


def to_toml(settings: Settings) -> str:
    """Write settings as TOML; :func:`read` gives them back.

    Examples
    --------
    >>> print(to_toml(Settings()).splitlines()[0])
    [data]
    """
    lines: list[str] = []
    for table in dataclasses.fields(settings):
        lines.append(f"[{table.name}]")
        values = getattr(settings, table.name)
        for each in dataclasses.fields(values):
            lines.append(f"{each.name} = {_toml(getattr(values, each.name))}")
        lines.append("")
    return "\n".join(lines)


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
    ("head", "folds"): (2, 20),
    ("head", "copies"): (0, 50),
    ("run", "cache_gb"): (0.001, 1e6),
}


def check_ranges(settings: Settings) -> None:
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
                f"{name} is {value}, but must lie between {low:g} and {high:g}.",
                code="setting-range",
                where=f"[{table}] {name}",
                hint="choose a value in that range, or leave it out",
            )
    if settings.train.time:
        seconds(settings.train.time)
    if settings.train.sizes != "auto":
        sizes(settings.train.sizes)


def _checked(owner: type, table: str, name: str, value: Any) -> Any:
    hints = get_type_hints(owner)
    if name not in hints:
        raise _unknown(f"setting {name!r} in [{table}]", name, list(hints), f"[{table}]")
    if _fits(value, hints[name]):
        return float(value) if hints[name] is float else value
    wanted = " or ".join(_words(hints[name]))
    raise ConfigError(
        f"{name} = {value!r} is not possible.",
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
        return (
            isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        )
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _words(hint: Any) -> list[str]:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return [word for option in get_args(hint) for word in _words(option)]
    if origin is Literal:
        return [str(option) for option in get_args(hint)]
    return [{int: "a whole number", float: "a number", str: "a text"}.get(hint, hint.__name__)]


def _unknown(what: str, name: str, known: list[str], where: str) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return ConfigError(
        f"Unknown {what}.",
        code="setting-unknown",
        where=where,
        hint=f"{guess}Known: {', '.join(known)}.",
    )


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped too, and for
        # characters beyond U+FFFF, which JSON would escape in halves. What is no character at all,
        # from a name that is not UTF-8, becomes a question mark: TOML has no way to write it.
        text = value.encode("utf-8", "replace").decode("utf-8")
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
