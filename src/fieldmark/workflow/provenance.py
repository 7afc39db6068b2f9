"""What a model was made of, written into its recipe and read from it again.

The settings say how; the table ``made`` says of which data and on which computer. Files of earlier
versions lack the table.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fieldmark.bundle import Bundle
from fieldmark.config import MADE, RunSettings, Settings, from_tables, to_table
from fieldmark.errors import BundleError, UsageError
from fieldmark.training.events import Stopped
from fieldmark.workflow.environment import differences, fingerprint
from fieldmark.workflow.session import Session

_BY_HAND: Final = ("interrupted", "time")
"""Reasons to stop that no setting repeats."""
_WORDS: Final = ("", "auto", "none", "folder")
"""What is no file where a list may be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOf:
    """Data and computer of one training."""

    data: dict[str, Any]
    """As :func:`fieldmark.workflow.continuing.data_of` says it."""
    environment: dict[str, str]
    """As :func:`fieldmark.workflow.environment.fingerprint` says it."""
    stopped: str = ""
    """How it was stopped, where a clock or a person did that."""
    continued: tuple[str, ...] = ()
    """What differed where it was continued after a kill."""

    def to_toml(self) -> str:
        """Write it as the last tables of a recipe."""
        said = {"stopped": self.stopped, "continued": self.continued}
        return (
            to_table(MADE, {name: value for name, value in said.items() if value})
            + to_table(f"{MADE}.data", self.data)
            + to_table(f"{MADE}.environment", self.environment)
        )


def made_of(session: Session, stopped: Stopped) -> MadeOf:
    """Say what a training that has ended was made of."""
    here = fingerprint(session.threads)
    begun = session.held.record.environment if session.held is not None else here
    return MadeOf(
        data=session.data,
        environment=here,
        stopped=stopped.text if stopped.reason in _BY_HAND else "",
        continued=tuple(differences(begun, here)),
    )


def without_places(settings: Settings, name: str) -> Settings:
    """Return settings without paths and limits of this computer: a model file goes to others.

    Of the table ``run`` only what is in the file stays: cache, memory and network are for each to
    say at home.

    Parameters
    ----------
    settings : Settings
        Of a training that is over.
    name : str
        Of the data folder.
    """
    data = settings.data
    lists = {each: name_of(getattr(data, each)) for each in ("labels", "groups", "overrides")}
    return (
        dataclasses.replace(settings, run=RunSettings(int8=settings.run.int8))
        .changed("data", {"folder": name} | lists)
        .changed("split", {"file": name_of(settings.split.file)})
    )


def name_of(listed: str) -> str:
    """Return the name of a list without its folder; what is no file stays as it is.

    Examples
    --------
    >>> name_of("/home/me/groups.csv"), name_of("name:([0-9]+)/x"), name_of("folder")
    ('groups.csv', 'name:([0-9]+)/x', 'folder')
    """
    return Path(listed).name if is_list(listed) else listed


def is_list(listed: str) -> bool:
    """Whether a setting names a file, and not a rule."""
    return listed not in _WORDS and not listed.startswith(("name:", "column:"))


def read(bundle: Bundle) -> tuple[Settings, MadeOf | None]:
    """Return the settings of a model file, and what it was made of; None: it does not say.

    Raises
    ------
    UsageError
        Code ``no-recipe``: it does not even hold its settings.
    ConfigError
        Codes ``setting-unknown``, ``setting-type``, ``setting-range``: they are of another version.
    BundleError
        Code ``model-damaged``: this is no recipe.
    """
    if not bundle.recipe:
        raise UsageError(
            "The model file does not say how it was trained.",
            code="no-recipe",
            why="It holds no recipe.toml, so nothing can be repeated.",
            hint="fieldmark train FOLDER",
        )
    try:
        tables = tomllib.loads(bundle.recipe)
        made = tables.pop(MADE, None)
        found = None if made is None else _made(made)
    # RecursionError: deep brackets exhaust the stack.
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BundleError(
            "recipe.toml of the model file makes no sense.",
            code="model-damaged",
            why=f"{type(error).__name__}: {error}"[:200],
            hint="take the file from where it was trained",
        ) from error
    return from_tables(tables, Settings()), found


def _made(table: Any) -> MadeOf:
    data, environment = dict(table["data"]), dict(table["environment"])
    if not isinstance(data["sha256"], str) or set(map(type, environment.values())) - {str}:
        raise TypeError("its table made holds something else than hashes and names")
    return MadeOf(
        data=data,
        environment=environment,
        stopped=str(table.get("stopped", "")),
        continued=tuple(map(str, table.get("continued", ()))),
    )
