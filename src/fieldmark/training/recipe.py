"""From settings and facts to a recipe with no ``auto`` left. Pure.

Two families. ``article`` is the tutorial's listing: Adam at 0.001, binary cross-entropy, batch 32,
25 epochs; shear 0.2 (degrees), zoom 0.2, flip. ``tuned`` is what short trainings on few cores
want: AdamW, one-cycle from a range test, smoothed labels, averaged weights; the reasons and
figures are in ``docs/decisions/003-tuned-recipe.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fieldmark.config import Settings, TrainSettings, seconds, sizes
from fieldmark.errors import ConfigError
from fieldmark.training.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the recipe depends on."""

    class_counts: tuple[int, ...]
    """Training examples per class."""
    cores: int
    sizes: tuple[int, int] = (0, 0)
    """Smallest and largest picture the network can be trained on, pixels each way; 0: it has one
    size only."""

    @property
    def n_train(self) -> int:
        """Examples of the training part."""
        return sum(self.class_counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one network is trained; every value as it will be used."""

    optimizer: Literal["adam", "adamw", "sgd"]
    lr: float | None
    """The (highest) learning rate; None: by a range test."""
    schedule: Schedule
    weight_decay: float
    epochs: int | None
    """None: as many as the time allows, at least 1."""
    steps_per_epoch: int
    """Batches in an epoch; 0: one pass."""
    time_s: float | None
    batch: int
    patience: int
    """0: never."""
    label_smoothing: float
    class_weights: tuple[float, ...] | None
    """One per class, averaging 1 over the training examples."""
    ema: float
    augment: str
    sizes: tuple[int, ...]
    """Pixels each way while training, each for an equal part of the steps; empty: the network's."""
    seed: int
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRecipe:
    """How the head on a pretrained backbone is solved; every value as it will be used."""

    method: Literal["auto", "logistic", "ridge"]
    """``auto`` is ``logistic``."""
    folds: int
    balance: Literal["none", "weights"]
    copies: dict[str, int]
    """Class name -> warped copies of each of its training pictures; classes without are left out.
    """
    engine: str
    """What ran the backbone."""
    seed: int
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)


FEW: Final = 50
"""Training examples below which a class gets warped copies."""
COPIES: Final = 4
"""Warped copies of each example of such a class."""


def resolve_head(
    settings: Settings, counts: Mapping[str, int], *, engine: str, cores: int
) -> HeadRecipe:
    """Decide everything about the head that was left to ``auto``.

    Parameters
    ----------
    settings : Settings
    counts : mapping of str to int
        Training examples per class name.
    engine : str
        The name of the engine that runs the backbone.
    cores : int
    """
    head, train = settings.head, settings.train
    asked = None if head.copies == "auto" else head.copies
    copies = {
        name: COPIES if asked is None else asked
        for name, n in counts.items()
        if (n < FEW if asked is None else asked > 0)
    }
    return HeadRecipe(
        method=head.method,
        folds=head.folds,
        balance=train.balance,
        copies=copies,
        engine=engine,
        seed=train.seed,
        threads=_given(train.threads, cores),
    )


RATE_BOUNDS: Final = {"adam": (1e-3, 1e-2), "adamw": (3e-3, 1e-2), "sgd": (2e-2, 4e-1)}
"""Peak rates that a range test may choose, by optimizer."""

GROWTH: Final = (5 / 8, 7 / 8)
"""Picture sizes while training, of the network's own: 80 and 112 pixels of 128."""

GROWS_FROM: Final = 96
"""Pixels of a network that begins with smaller pictures; below, there is no detail to spare."""

STRONG_FROM: Final = 40
"""Passes over the training part that strong augmentation wants; with fewer, light is better."""

PICTURES_PER_S: Final = 400
"""What two cores train of the catalogue's networks, roughly: to guess the passes of a budget."""

CONSTANT_RATE: Final = {"adam": 1e-3, "adamw": 1e-3, "sgd": 2e-2}
"""Rates for a schedule without a peak, by optimizer."""

_ARTICLE: Final[dict[str, Any]] = {
    "optimizer": "adam",
    "lr": 1e-3,
    "schedule": "constant",
    "weight_decay": 0.0,
    "epochs": 25,
    "batch": 32,
    "patience": 0,
    "label_smoothing": 0.0,
    "ema": 0.0,
    "augment": "article",
}
_TUNED: Final[dict[str, Any]] = {
    "optimizer": "adamw",
    "lr": None,
    "schedule": "one-cycle",
    "weight_decay": 0.05,
    "patience": 0,
    "label_smoothing": 0.1,
    "ema": 0.998,
}


def resolve(settings: Settings, facts: Facts) -> Recipe:
    """Decide everything that was left to ``auto``.

    Parameters
    ----------
    settings : Settings
        A given value always wins.
    facts : Facts

    Returns
    -------
    Recipe

    Raises
    ------
    ConfigError
        Code ``setting-range``: settings that contradict each other.

    Examples
    --------
    >>> facts = Facts(class_counts=(1275, 1275), cores=2)
    >>> recipe = resolve(Settings().changed("train", {"recipe": "article"}), facts)
    >>> recipe.optimizer, recipe.lr, recipe.batch, recipe.epochs
    ('adam', 0.001, 32, 25)
    """
    train = settings.train
    usual = dict(_ARTICLE if train.recipe == "article" else _TUNED)
    if train.recipe == "tuned":
        usual |= {"batch": _batch(facts.n_train), "epochs": _epochs(facts.n_train, train)}
        usual["augment"] = "strong" if _passes(facts.n_train, train) >= STRONG_FROM else "light"
    chosen = {name: _given(getattr(train, name), default) for name, default in usual.items()}
    if chosen["schedule"] == "constant" and train.recipe == "tuned":
        chosen["patience"] = _given(train.patience, 6)
    if chosen["schedule"] == "constant" and chosen["lr"] is None:
        chosen["lr"] = CONSTANT_RATE[chosen["optimizer"]]
    recipe = Recipe(
        **chosen,
        sizes=_sizes(train, facts),
        steps_per_epoch=train.steps_per_epoch,
        time_s=seconds(train.time) if train.time else None,
        class_weights=_class_weights(facts.class_counts) if train.balance == "weights" else None,
        seed=train.seed,
        threads=_given(train.threads, facts.cores),
    )
    if recipe.epochs is None and recipe.time_s is None:
        raise ConfigError(
            "Neither a number of epochs nor a time is given.",
            code="setting-range",
            where="[train] epochs, time",
            hint="give --epochs or --time",
        )
    return recipe


_FINE_TUNED: Final[dict[str, dict[str, Any]]] = {
    "blocks": {"lr": 3e-4, "epochs": 8, "augment": "strong"},
    "all": {"lr": 1e-4, "epochs": 4, "augment": "light"},
}
"""What differs from ``tuned`` when weights are good already: small steps, few epochs. The last
blocks knew ``light`` copies by heart sooner than ``strong`` ones."""


def resolve_fine_tuning(settings: Settings, facts: Facts, what: Literal["blocks", "all"]) -> Recipe:
    """Decide how a solved head is trained on; a given value wins, as for :func:`resolve`."""
    asked = settings.train
    defaults = {
        name: value for name, value in _FINE_TUNED[what].items() if getattr(asked, name) == "auto"
    }
    tuned = settings.changed(
        "train", defaults | {"ema": _given(asked.ema, 0.99), "recipe": "tuned"}
    )
    return resolve(tuned, facts)


def recorded(settings: Settings, recipe: Recipe | HeadRecipe) -> Settings:
    """Return the settings with every ``auto`` of training replaced by what was used."""
    values = {
        each.name: getattr(recipe, each.name)
        for each in dataclasses.fields(TrainSettings)
        if hasattr(recipe, each.name) and getattr(recipe, each.name) is not None
    }
    if isinstance(recipe, Recipe):
        values["sizes"] = ",".join(map(str, recipe.sizes)) or "none"
    return settings.changed("train", values)


def _passes(n_train: int, train: TrainSettings) -> float:
    """Return about how often each training example will be seen."""
    if train.epochs == "auto" and train.time:
        return seconds(train.time) * PICTURES_PER_S / max(n_train, 1)
    epochs = _given(train.epochs, _epochs(n_train, train)) or 1
    if train.steps_per_epoch:
        batch = _given(train.batch, _batch(n_train))
        return float(epochs * train.steps_per_epoch * batch / max(n_train, 1))
    return float(epochs)


def _sizes(train: TrainSettings, facts: Facts) -> tuple[int, ...]:
    low, high = facts.sizes
    if train.sizes == "auto":
        if train.recipe != "tuned" or high < GROWS_FROM:
            return ()
        return tuple(max(round(high * share / 8) * 8, low) for share in GROWTH)
    asked = sizes(train.sizes)
    if asked and not (low <= min(asked) and max(asked) <= high):
        possible = f"{low} to {high} pixels are possible" if high else "it has one size only"
        raise ConfigError(
            f"The network cannot be trained on pictures of {train.sizes} pixels.",
            code="setting-range",
            where="[train] sizes",
            why=f"With its weights, {possible}; a network that ends in GAP or GMP has many.",
            hint="--sizes none, or a larger --size",
        )
    return asked


def _given(value: Any, default: Any) -> Any:
    return default if value == "auto" else value


def _batch(n_train: int) -> int:
    return 64 if n_train >= 2_000 else 32 if n_train >= 500 else 16


def _epochs(n_train: int, train: TrainSettings) -> int | None:
    """Return passes so that small sets get enough steps and large ones do not take all day."""
    if train.time:
        return None
    return max(12, min(60, round(90_000 / max(n_train, 1))))


def _class_weights(counts: Sequence[int]) -> tuple[float, ...]:
    total, n_classes = sum(counts), len(counts)
    return tuple(total / (n_classes * count) if count else 0.0 for count in counts)
