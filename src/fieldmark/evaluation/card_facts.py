"""What model card, data sheet and methods paragraph are written from; JSON out. Pure.

One value for all three, so that no two of them can disagree. The schema is ``fieldmark.facts/1``:
fields may be added within it; renaming or removing one raises the number. Every number that was
measured is a :class:`~fieldmark.evaluation.measurement.Measurement` there too.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from fieldmark.evaluation.cautions import cautions
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.report import Report
from fieldmark.evaluation.slices import Slices
from fieldmark.modalities.shapes import Shapes

SCHEMA: Final = "fieldmark.facts/1"


@dataclass(frozen=True, slots=True)
class Unused:
    """One file that was found and not used."""

    path: str
    """Relative to the folder, in one line: what is no text is spelt out."""
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Together:
    """What was kept in one part: how many sets of several pictures, and the pictures in them."""

    n_sets: int
    n_pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """The pictures of a run and how its parts were made."""

    name: str
    """Of the folder or list, without where it lies."""
    layout: str
    """``folders``, ``parts``, ``csv`` or ``name``: where the labels come from."""
    counts: dict[str, dict[str, int]]
    """Class name to ``{"train": n, "valid": n, "test": n}``, in class order."""
    unused: tuple[Unused, ...]
    shapes: Shapes | None
    """None: the pictures were not looked at in this run."""
    same_pictures: str
    """SHA-256 of the pictures' SHA-256 in hexadecimal, sorted, one a line."""
    same_parts: str
    """The same of the lines ``SHA-256 part label``, between them one blank."""
    groups: Together
    """Said by a person."""
    copies: Together
    """Near copies and frames of one burst, found."""
    groups_from: str
    """The setting: ``folder``, ``name:REGEX``, ``column:NAME`` or a file's name; empty: none."""
    audited: bool
    """Whether near copies were looked for."""
    cleaned: bool
    """Whether label conflicts, exact copies and leaks were left out."""
    split_seed: int
    split_file: str
    """Name of the saved split that was taken again; empty: none."""
    shares: tuple[float, float]
    """Of the validation and the test part, where they were drawn."""
    fix_list: str
    """Name of the list of decisions about single files that was obeyed; empty: none."""
    notes: tuple[str, ...] = ()
    """What the run said about its lists and parts, one sentence each."""
    divided: tuple[str, ...] = ()
    """Of these, what says that pictures which belong together lie in two parts."""

    def n(self, part: str | None = None) -> int:
        """Count the pictures of one part (``train``, ``valid``, ``test``) or of all."""
        return sum(
            n for parts in self.counts.values() for name, n in parts.items() if part in (None, name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWeights:
    """Weights that training began with, and whose they are."""

    name: str
    origin: str
    licence: str
    """SPDX identifier."""
    reference: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedHead:
    """The last layer on a pretrained backbone, solved."""

    method: str
    """``logistic`` or ``ridge``."""
    n_features: int
    strength: float
    """Of the penalty."""
    n_folds: int
    """0: one group left out at a time."""
    accuracy: Measurement | None
    """Cross-validated on the training part; it chose the strength, so it flatters a little. None:
    too few pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedStep:
    """One step of fine-tuning, on the validation part, which chose the share."""

    what: str
    """``blocks`` or ``all``."""
    kept: bool
    share: float
    """Of the way from the weights before to those after it, in (0, 1]."""
    before: Measurement
    """Accuracy."""
    after: Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """The network, and how its weights came about."""

    way: Literal["solved", "fine-tuned", "scratch"]
    recipe: str
    """``tuned`` or ``article``."""
    settings: dict[str, Any]
    """Of the training that gave the weights: plain values, none of them ``auto``."""
    network: str
    """The layer list."""
    n_weights: int
    multiply_adds: int
    """For one picture."""
    size: tuple[int, int]
    """Height and width of what the network sees, in pixels."""
    fit: str
    """How a picture of another shape fills that: ``crop``, ``pad`` or ``stretch``."""
    backbone: str = ""
    """Name of the pretrained part; empty: none."""
    start: StartWeights | None = None
    """None: drawn at random, or of a backbone from elsewhere."""
    origin: tuple[str, ...] = ()
    """Where a backbone from elsewhere comes from, one sentence each."""
    head: SolvedHead | None = None
    tuning: tuple[TunedStep, ...] = ()
    n_epochs: int = 0
    """That were run."""
    kept_epoch: int = 0
    """Whose weights are kept; 0: there was none."""
    kept: dict[str, float] = field(default_factory=dict)
    """``accuracy`` and ``val_accuracy`` of that epoch."""
    stopped: str = ""
    """Why training ended, one sentence."""
    seed: int = 0
    threads: int = 1
    temperature: float = 1.0
    rules: tuple[str, ...] = ()
    """On temperature, acceptance and unknown pictures, one sentence or two each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Everything the three documents say."""

    name: str
    """Of the run and the model: ``flowers-1``."""
    report: Report
    """On the test part."""
    data: DataFacts
    training: TrainingFacts
    versions: dict[str, str]
    """Software by name."""
    machine: str
    """Processor and what computed, for people."""
    slices: Slices | None = None
    """Kinds of test pictures that were looked at."""
    seconds: float | None = None
    """From the command to the end of training; differs every time, so no card tells it."""
    created: str = ""
    command: str = ""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What limits the numbers, most important first, one sentence each."""
        found = cautions(self.report, self.data.counts, self.training.kept, self.slices)
        return (*found, *self.data.divided)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: ``schema``, the fields by name, and ``cautions``."""
        fields = dataclasses.asdict(self) | {"report": self.report.to_dict()}
        found: dict[str, Any] = json.loads(
            json.dumps({"schema": SCHEMA, **fields, "cautions": self.cautions}, allow_nan=False)
        )
        return found
