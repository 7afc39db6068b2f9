"""What a benchmark is given and what it gives back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]

Record = dict[str, Any]
"""One measurement: what its side printed, and what was seen from outside."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The same for every benchmark; each reads what concerns it."""

    data: Path
    odd: Path
    repeats: int
    epochs: int | None = None
    """None: the benchmark's own number."""
    minutes: float = 5.0
    pictures: int | None = None
    """Per class; None: all."""
    backbone: Path | None = None
    """Of features: a Python file that defines ``graph(size)``, which returns ONNX bytes."""
    folds_of: Path | None = None
    """Class folders without a test part, or a CSV list."""
    train: tuple[str, ...] = ("--net", "features")
    """Further options of ``fieldmark train``, where a benchmark runs that."""

    def to_dict(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        return {
            name: str(value) if isinstance(value, Path) else value for name, value in values.items()
        }


@dataclass(frozen=True)
class Result:
    """Lines for people, records for --json."""

    lines: list[str]
    records: dict[str, Any] = field(default_factory=dict)


def skipped(folder: Path) -> Result:
    return Result([f"skipped: there is no folder {folder}; give one (see --help)"])
