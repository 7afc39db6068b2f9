"""What a run's page is made of: plain values that a run folder holds too. Pure.

Only the name and the numbers are needed; an empty value leaves its part of the page out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from fieldmark.evaluation.more_data import LearningPoint
from fieldmark.evaluation.repeats import Repeats
from fieldmark.evaluation.report import Report
from fieldmark.evaluation.risk_coverage import CoveragePoint
from fieldmark.evaluation.slices import Slices
from fieldmark.evaluation.thumbnails import Picture

BACKBONE: Final = "backbone"
"""Under ``part`` in a row of the layer table: such rows are folded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestPicture:
    """One training picture that lies near a test picture."""

    file: str
    """Relative to the data folder."""
    label: str
    similarity: float
    """Cosine of the two rows of features, in [-1, 1]."""
    jpeg: bytes = b""
    """A thumbnail of at most 96 pixels; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One test picture with a high loss."""

    file: str
    """Relative to the data folder."""
    label: str
    """What a person said."""
    predicted: str
    """What the model said."""
    score: float
    """Of the prediction, in [0, 1]."""
    jpeg: bytes = b""
    """A thumbnail of about 128 pixels; may be empty."""
    p_wrong_label: float | None = None
    """Probability that the label is wrong, in [0, 1]; None: not estimated."""
    nearest: tuple[NearestPicture, ...] = ()
    """The most similar first; the first three are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixUp:
    """The test pictures of one class that were taken for one other."""

    label: str
    predicted: str
    files: tuple[str, ...]
    """Relative to the data folder, at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPoint:
    """One setting of a solved head, scored by examples that it was not solved from."""

    strength: float
    """Of the penalty, above 0."""
    n_columns: int
    log_loss: float
    """Mean, in nats."""
    log_loss_se: float
    """Its standard error."""
    accuracy: float
    """In [0, 1]."""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class RateTest:
    """Learning rates tried, and the training loss at each."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """Everything the page says, as plain values that a run folder holds too.

    Only ``name`` and ``report`` are needed; an empty value leaves its part of the page out.
    """

    name: str
    """Of the run and the model: ``flowers-1``."""
    report: Report
    """The numbers on the test part."""
    n_looks: int = 1
    """How often the test part has been measured, this time included."""
    created: str = ""
    """Date and time as text, given by the caller so that the same run gives the same page."""
    model_id: str = ""
    """``sha256:...`` of the model file."""
    model_path: str = ""
    """Of the ``.fieldmark`` file, as one would type it; fills the snippets."""
    notes: tuple[str, ...] = ()
    """Warnings that only the caller knows, one sentence each; shown before the page's own."""
    data_folder: str = ""
    """Where the pictures came from, as one would type it."""
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Class name to ``{"train": n, "valid": n, "test": n}``, in class order."""
    contact: tuple[Picture, ...] = ()
    """Some training pictures, labelled; the first 6 of each of the first 20 classes are shown."""
    together: str = ""
    """How many near copies and groups there are and what became of them, in a sentence or two."""
    left_out: tuple[dict[str, str], ...] = ()
    """``{"path", "code", "reason"}`` of every file that was found and not used."""
    network: str = ""
    """The layer list as text: ``INPUT 64x64x3 -> CONV 32 3x3 -> ...``."""
    layers: tuple[dict[str, str | int], ...] = ()
    """Rows of the layer table, with any of ``number, layer, does, volume, weights, why``;
    those whose ``part`` is :data:`BACKBONE` are folded up."""
    network_notes: tuple[str, ...] = ()
    """Totals and hints, one sentence each."""
    history: tuple[dict[str, float], ...] = ()
    """One dict per epoch with any of ``epoch, loss, val_loss, accuracy, val_accuracy``."""
    best_epoch: int | None = None
    """Whose weights were kept; marked in the curves."""
    stopped: str = ""
    """Why training ended, in one sentence."""
    seconds: float | None = None
    """From the command to the end of training."""
    rate_test: RateTest | None = None
    """How the learning rate was found."""
    head_path: tuple[HeadPoint, ...] = ()
    """What cross-validation of a solved head compared, in the order it was tried."""
    settings: dict[str, str] = field(default_factory=dict)
    """Every setting as resolved."""
    risk: tuple[CoveragePoint, ...] = ()
    """Error among the surest answers, from few to all."""
    mix_ups: tuple[MixUp, ...] = ()
    """The files behind the confusion matrix, most frequent first; the first 60 are listed."""
    repeats: Repeats | None = None
    """What further trainings say, on other parts or with other seeds."""
    more_data: tuple[LearningPoint, ...] = ()
    """Accuracy by number of training pictures: what was measured, then the forecast."""
    more_data_text: str = ""
    """The finding in a sentence or two."""
    slices: Slices | None = None
    """Kinds of pictures, and how good the model is on each."""
    failures: tuple[Failure, ...] = ()
    """Highest loss first; the first 24 are shown."""
    command: str = ""
    """The command line that made the run."""
    seed: int | None = None
    """The run's seed."""
    versions: dict[str, str] = field(default_factory=dict)
    """Software, and whatever else one needs to repeat the run: ``{"python": "3.11.2", ...}``."""
    methods: str = ""
    """A paragraph on how the numbers were made, to paste into a paper."""
    card: str = ""
    """The model card, as Markdown."""
    data_sheet: str = ""
    """The data sheet, as Markdown."""
