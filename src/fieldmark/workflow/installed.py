"""Which packages are installed, against what fieldmark itself asks for. Standard library only.

The floors are written down once, in ``pyproject.toml``. An installed fieldmark carries them as its
metadata; where it runs from its source folder the file itself is read, because the metadata of an
editable install is as old as the last ``pip install``.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[3] / "pyproject.toml"

FOR: Final = {
    "tensorflow": "training by gradients; the default",
    "jax": "training by gradients with JAX",
    "torch": "training by gradients with PyTorch",
    "lite1": "a larger pretrained backbone",
    "lite2": "the largest pretrained backbone",
    "keras-backbones": "BACKBONE keras:NAME",
    "demo": "fieldmark demo",
    "openvino": "many pictures a second",
}
"""Extra -> what it brings; one that is not here is for those who build fieldmark."""

_WANTED: Final = re.compile(
    r"""([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:>=\s*([0-9.]+))?[^;]*"""
    r"""(?:;.*\bextra\s*==\s*['"]([^'"]+)['"].*)?"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package that fieldmark needs, or can use."""

    name: str
    version: str
    """Installed; empty: it is not."""
    floor: str
    """The oldest version that will do; empty: any."""
    extras: tuple[str, ...] = ()
    """Which extras bring it; none: it is always needed."""

    @property
    def missing(self) -> bool:
        """Whether it is not installed."""
        return not self.version

    @property
    def old(self) -> bool:
        """Whether it is installed and below the floor."""
        return bool(self.version) and _numbers(self.version) < _numbers(self.floor)

    @property
    def purpose(self) -> str:
        """What it is for."""
        return FOR[self.extras[0]] if self.extras else "always needed"

    @property
    def install(self) -> str:
        """What to type to have it, in a version that will do."""
        if self.missing and self.extras:
            return f'pip install "fieldmark[{self.extras[0]}]"'
        wanted = f"{self.name}>={self.floor}" if self.floor else self.name
        return f'pip install "{wanted}"'


def packages() -> tuple[Package, ...]:
    """Return every package that is needed or can be used, in the order they are asked for.

    Examples
    --------
    >>> next(each.extras for each in packages() if each.name == "numpy")
    ()
    """
    found: dict[str, Package] = {}
    for text in _asked():
        match = _WANTED.match(text)
        if match is None:
            continue
        name, floor, extra = match[1], match[2] or "", match[3] or ""
        if name == "fieldmark" or (extra and extra not in FOR):
            continue
        before = found.get(name)
        extras = (*(before.extras if before else ()), *([extra] if extra else ()))
        highest = max(floor, before.floor if before else "", key=_numbers)
        found[name] = Package(
            name=name,
            version=version(name),
            floor=highest,
            extras=() if before and not before.extras else extras,
        )
    return tuple(found.values())


def version(name: str) -> str:
    """Return a package's version, of its metadata; empty: it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _asked() -> Sequence[str]:
    """Return what fieldmark asks for, as its metadata says it."""
    try:
        project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
        if project["name"] == "fieldmark":
            return list(_written(project))
    except (OSError, ValueError, KeyError):
        pass  # no source folder around it
    return metadata.requires("fieldmark") or ()


def _written(project: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    yield from project["dependencies"]
    for extra, wanted in project["optional-dependencies"].items():
        yield from (f"{each}; extra == '{extra}'" for each in wanted)


def _numbers(text: str) -> tuple[int, ...]:
    """Return a version's numbers; of a version that is not final yet, those before its letters.

    Examples
    --------
    >>> _numbers("3.15.1") < _numbers("3.16.0rc1"), _numbers("5.0.0.93")
    (True, (5, 0, 0, 93))
    """
    parts = itertools.takewhile(str.isdecimal, re.split(r"[.+]|(?=[a-z])", text.lower()))
    numbers = [int(part) for part in parts]
    while numbers and not numbers[-1]:  # 13 and 13.0 are the same version
        numbers.pop()
    return tuple(numbers)
