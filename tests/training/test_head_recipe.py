"""What is decided about a solved head, and about training on from it."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.config import Settings, TrainSettings
from fieldmark.training.recipe import (
    COPIES,
    FEW,
    Facts,
    HeadRecipe,
    Recipe,
    recorded,
    resolve,
    resolve_fine_tuning,
    resolve_head,
)

COUNTS = {"cat": 600, "dog": FEW, "owl": FEW - 1, "rat": 0}
FACTS = Facts(class_counts=(600, 400), cores=3)


def asked(train: dict[str, Any] | None = None, head: dict[str, Any] | None = None) -> Settings:
    return Settings().changed("train", train or {}).changed("head", head or {})


def head_for(settings: Settings) -> HeadRecipe:
    return resolve_head(settings, COUNTS, engine="engine 1.0", cores=3)


# --- the head


def test_what_is_not_said_is_decided() -> None:
    assert head_for(Settings()) == HeadRecipe(
        method="auto",
        folds=5,
        balance="none",
        copies={"owl": COPIES, "rat": COPIES},
        engine="engine 1.0",
        seed=0,
        threads=3,
    )


def test_what_is_said_wins() -> None:
    found = head_for(
        asked(
            {"seed": 7, "threads": 5, "balance": "weights"},
            {"method": "ridge", "folds": 9, "copies": 2},
        )
    )
    assert found == HeadRecipe(
        method="ridge",
        folds=9,
        balance="weights",
        copies=dict.fromkeys(COUNTS, 2),
        engine="engine 1.0",
        seed=7,
        threads=5,
    )


def test_no_copies_may_be_asked_for() -> None:
    assert head_for(asked(head={"copies": 0})).copies == {}


@given(st.dictionaries(st.text(max_size=4), st.integers(0, 200), max_size=6))
def test_classes_with_few_pictures_get_copies(counts: dict[str, int]) -> None:
    found = resolve_head(Settings(), counts, engine="e", cores=1)
    assert found.copies == {name: COPIES for name, n in counts.items() if n < FEW}


def test_a_head_recipe_is_plain_json_values() -> None:
    given_values = head_for(Settings()).to_dict()
    assert json.loads(json.dumps(given_values)) == given_values


# --- fine-tuning

What = Literal["blocks", "all"]


@pytest.mark.parametrize(
    ("what", "lr", "epochs", "augment"),
    [("blocks", 3e-4, 8, "strong"), ("all", 1e-4, 4, "light")],
)
def test_good_weights_are_changed_by_small_steps(
    what: What, lr: float, epochs: int, augment: str
) -> None:
    found = resolve_fine_tuning(Settings(), FACTS, what)
    usual = resolve(Settings(), FACTS)
    assert (found.lr, found.epochs, found.augment, found.ema) == (lr, epochs, augment, 0.99)
    assert (found.optimizer, found.schedule) == (usual.optimizer, usual.schedule)
    assert (found.batch, found.label_smoothing) == (usual.batch, usual.label_smoothing)
    assert found.sizes == ()
    assert found.threads == 3


@pytest.mark.parametrize("what", ["blocks", "all"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", 0.002), ("epochs", 2), ("augment", "none"), ("ema", 0.5), ("batch", 7), ("seed", 9)],
)
def test_a_given_value_wins(what: What, name: str, value: Any) -> None:
    assert getattr(resolve_fine_tuning(asked({name: value}), FACTS, what), name) == value


@pytest.mark.parametrize("what", ["blocks", "all"])
def test_a_time_budget_does_not_leave_the_epochs_open(what: What) -> None:
    found = resolve_fine_tuning(asked({"time": "10m"}), FACTS, what)
    assert found.epochs in (4, 8)
    assert found.time_s == 600


def test_the_articles_recipe_is_not_for_good_weights() -> None:
    found = resolve_fine_tuning(asked({"recipe": "article"}), FACTS, "blocks")
    assert (found.optimizer, found.schedule, found.lr) == ("adamw", "one-cycle", 3e-4)


# --- what is recorded


def test_a_head_records_what_it_used_of_training() -> None:
    settings = asked({"balance": "weights"}, {"folds": 7})
    found = recorded(settings, head_for(settings))
    assert (found.train.threads, found.train.seed, found.train.balance) == (3, 0, "weights")
    assert found.head.folds == 7
    assert (found.data, found.net, found.run) == (settings.data, settings.net, settings.run)


def test_a_recorded_head_resolves_to_the_same() -> None:
    for settings in (Settings(), asked({"seed": 3, "threads": 2}, {"copies": 3, "folds": 2})):
        first = head_for(settings)
        assert (
            resolve_head(recorded(settings, first), COUNTS, engine="engine 1.0", cores=9) == first
        )


def test_a_recorded_fine_tuning_resolves_to_the_same() -> None:
    for what in ("blocks", "all"):
        first = resolve_fine_tuning(Settings(), FACTS, what)  # type: ignore[arg-type]
        again = resolve_fine_tuning(recorded(Settings(), first), FACTS, what)  # type: ignore[arg-type]
        assert again == first


def test_a_head_leaves_alone_what_only_gradients_need() -> None:
    names = {"epochs", "lr", "batch", "optimizer", "schedule", "sizes", "patience"}
    fields = set(TrainSettings.__dataclass_fields__)
    assert names <= fields
    found, usual = recorded(Settings(), head_for(Settings())).train, TrainSettings()
    assert all(getattr(found, name) == getattr(usual, name) for name in names)
    assert not names & set(HeadRecipe.__dataclass_fields__)
    assert names <= set(Recipe.__dataclass_fields__)
