"""The tables of settings: each field typed, explained, with its default.

Pure. A number has its range in :mod:`fieldmark.config.checks`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fieldmark.config.checks import check_ranges, checked

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
    groups: str = ""
    """What is never split apart: ``folder``, ``name:REGEX``, ``column:NAME`` or a CSV file."""
    overrides: str = "auto"
    """The fix list; ``auto``: ``overrides.csv`` in the folder, where there is one; ``none``."""


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """Which examples are for what, where the folder does not say it."""

    valid: float = 0.15
    """Share of the validation part, in (0, 1)."""
    test: float = 0.15
    """Share of the test part, in (0, 1)."""
    seed: int | Auto = "auto"
    """Of the draw; ``auto``: the training's seed."""
    file: str = ""
    """A saved split: its files keep their parts, new ones are added; empty: none."""
    folds: int = 0
    """Folds to deal the examples into as well, 2 to 20; 0: none. ``train`` then trains once more
    for each of them, to say how much of the result is luck."""


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
    repeats: int = 1
    """Trainings with seeds of their own, 1 to 100; with folds: so many times all of them."""


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
class DecideSettings:
    """When an answer is given at all."""

    error: float = 0.05
    """Share of wrong answers among accepted ones that is promised not to be exceeded, in
    [0.001, 0.5]; what is less clear is ``unsure``."""
    confidence: float = 0.95
    """Of that promise and of prediction sets, in [0.5, 0.999]."""
    unknown: float = 0.02
    """Share of known pictures that may be called ``unknown``, in [0, 0.5]; 0: never unknown."""


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
    checkpoint_s: float = 30.0
    """Seconds between two checkpoints at least; more where one takes so long to write that it would
    cost over 2 %. 0: after every step."""
    ram: str = ""
    """The most memory to take, such as ``800MB`` or ``2GB``: the batch is chosen to fit, or nothing
    is trained; empty: no limit but those of the system."""
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
    decide: DecideSettings = field(default_factory=DecideSettings)
    run: RunSettings = field(default_factory=RunSettings)

    def changed(self, table: str, values: Mapping[str, Any]) -> Settings:
        """Return a copy with some settings of one table replaced; refuses unknown names and types.

        Raises
        ------
        ConfigError
            Codes ``setting-unknown``, ``setting-type``, ``setting-range``.
        """
        old = getattr(self, table)
        fitting = {name: checked(type(old), table, name, value) for name, value in values.items()}
        changed = dataclasses.replace(self, **{table: dataclasses.replace(old, **fitting)})
        check_ranges(changed)
        return changed
