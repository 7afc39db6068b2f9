"""What a model file is, said without running anything of it.

The whole file is read as for answering, with every hash and limit; no engine is opened, no golden
input computed. So whatever :func:`inspect` accepts can be opened,
except where an engine disagrees with the file about its answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fieldmark import bundle as bundles
from fieldmark import runs
from fieldmark.bundle import Bundle, Cost, Header, Part
from fieldmark.errors import LayerListError
from fieldmark.networks.layers import Backbone
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan

_FLOAT_BYTES: Final = 4
_COPIES: Final = 3
"""Of the weights, while a model is open: the file's, the engine's, and what the engine packs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A model file that was read and not run. ``str`` prints it."""

    path: Path
    size_bytes: int
    header: Header
    classes: tuple[str, ...]
    input: tuple[int, int, int]
    """Height, width and channels of the pictures that it accepts."""
    network: str
    """The layer list, as the file holds it."""
    network_problem: str
    """Why the layer list cannot be read here; empty: it can. Answering does not need it."""
    n_weights: int
    """Of the layer list; where it cannot be read or has a foreign part, the graph's constants."""
    cost: Cost
    decides: bool
    """Whether it calls answers unsure or unknown."""

    @property
    def memory_bytes(self) -> int:
        """About what one answer takes, beside the engine itself: weights and computed numbers."""
        return _FLOAT_BYTES * (_COPIES * self.cost.n_weights + self.cost.n_values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are stable."""
        return {
            "schema": "fieldmark.inspect/1",
            "file": str(self.path),
            "accepted": True,
            "size_bytes": self.size_bytes,
            "format": self.header.format,
            "model_id": self.header.model_id,
            "name": self.header.name,
            "created": self.header.created,
            "fieldmark": self.header.version,
            "classes": list(self.classes),
            "input": list(self.input),
            "network": self.network,
            "network_problem": self.network_problem,
            "weights": self.n_weights,
            "values": self.cost.n_values,
            "multiply_adds": self.cost.multiply_adds,
            "memory_bytes": self.memory_bytes,
            "decides": self.decides,
            "parts": [
                {"name": part.name, "size_bytes": part.size_bytes, "sha256": part.sha256}
                for part in self.header.parts
            ],
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, width: int = 80) -> list[str]:
        """Print it in at most ``width`` (60 or more) columns, but for the long id."""
        header, cost = self.header, self.cost
        shown = ", ".join(self.classes)
        when = f", {header.created[:10]}" if header.created else ""
        written = f"format {header.format}, written by fieldmark {header.version}{when}"
        size = "x".join(map(str, self.input))
        facts = {
            "model": f"{header.name}: {written}",
            "id": header.model_id,
            "classes": f"{len(self.classes)}: {shown}",
            "input": f"pictures of {size}",
            "network": " -> ".join(self.network.split("\n")).strip(" ->"),
            "weights": f"{self.n_weights:,}; {cost.multiply_adds:,} multiply-adds for a picture",
            "memory": f"about {_bytes(self.memory_bytes)} for one answer, beside the engine",
        }
        lines = [
            f"{name:<9}{text if name == 'id' else _cut(text, width - 9)}"
            for name, text in facts.items()
        ]
        lines += ["", f"{'part':<22}{'bytes':>13}  SHA-256"]
        lines += [_part_line(part) for part in header.parts]
        lines += ["", "Accepted: hashes, sizes, limits are kept. Nothing was run."]
        if self.network_problem:
            lines.append(_cut(f"The layer list cannot be read: {self.network_problem}", width))
        return lines


def inspect(thing: str | Path = runs.LATEST, *, runs_folder: str | Path = "runs") -> Inspection:
    """Look at a model file without running anything of it.

    Parameters
    ----------
    thing : str or Path, default="latest"
        A ``.fieldmark`` file, a run folder, a run's name, or ``latest``.
    runs_folder : str or Path, default="runs"
        Where names are looked up.

    Returns
    -------
    Inspection
        Only of a file that would be opened.

    Raises
    ------
    UsageError
        Code ``no-run``.
    BundleError
        Codes ``model-damaged``, ``model-newer``, ``model-unsafe``, ``model-foreign``.

    Examples
    --------
    ::

        found = fm.inspect("birds.fieldmark")
        print(found.header.model_id, found.classes)
    """
    path = runs.find(thing, Path(runs_folder))
    header = bundles.inspect(path)
    made = bundles.read(path, weights=True)
    n_weights, problem = _planned(made)
    return Inspection(
        path=path,
        size_bytes=path.stat().st_size,
        header=header,
        classes=made.classes,
        input=(made.spec.height, made.spec.width, made.spec.channels),
        network=made.network,
        network_problem=problem,
        n_weights=n_weights,
        cost=made.cost,
        decides=made.thresholds.decides,
    )


def _planned(made: Bundle) -> tuple[int, str]:
    """Hold the layer list against its limits; return its weights, and why it cannot be read."""
    try:
        network = parse(made.network)
        if any(isinstance(item, Backbone) and item.is_foreign for item in network.items):
            return made.cost.n_weights, ""  # its file is not here; the graph holds the weights
        return plan(network, len(made.classes)).n_weights, ""
    except LayerListError as error:
        return made.cost.n_weights, error.what


def _part_line(part: Part) -> str:
    return f"{part.name:<22}{part.size_bytes:>13,}  {part.sha256[:16]}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _bytes(size: int) -> str:
    units: Mapping[str, float] = {"GB": 1e9, "MB": 1e6, "kB": 1e3}
    for unit, scale in units.items():
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
