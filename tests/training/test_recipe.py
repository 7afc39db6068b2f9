from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.config import Settings, TrainSettings
from fieldmark.errors import ConfigError
from fieldmark.training.recipe import CONSTANT_RATE, RATE_BOUNDS, Facts, Recipe, recorded, resolve

FACTS = Facts(class_counts=(600, 400), cores=2)

GIVEN: dict[str, Any] = {
    "epochs": 7,
    "steps_per_epoch": 11,
    "patience": 3,
    "batch": 9,
    "optimizer": "sgd",
    "lr": 0.123,
    "schedule": "constant",
    "weight_decay": 0.01,
    "label_smoothing": 0.2,
    "ema": 0.5,
    "augment": "none",
    "threads": 5,
    "seed": 42,
}
"""A value for every setting that a recipe takes over by name; none is any recipe's own."""


def train(**changes: Any) -> Settings:
    return Settings().changed("train", changes)


def resolved(*counts: int, **changes: Any) -> Recipe:
    facts = Facts(class_counts=counts, cores=2) if counts else FACTS
    return resolve(train(**changes), facts)


def test_article_is_the_tutorials_listing() -> None:
    found = resolved(recipe="article")
    assert found == Recipe(
        optimizer="adam",
        lr=0.001,
        schedule="constant",
        weight_decay=0.0,
        epochs=25,
        steps_per_epoch=0,
        time_s=None,
        batch=32,
        patience=0,
        label_smoothing=0.0,
        class_weights=None,
        ema=0.0,
        augment="article",
        sizes=(),
        seed=0,
        threads=2,
    )


@pytest.mark.parametrize("counts", [(10, 10), (100_000, 1)])
def test_article_does_not_depend_on_the_data(counts: tuple[int, int]) -> None:
    assert resolved(*counts, recipe="article") == resolved(recipe="article")


def test_tuned_is_adamw_on_one_cycle_with_the_rate_left_to_a_range_test() -> None:
    found = resolved()
    assert (found.optimizer, found.schedule, found.lr) == ("adamw", "one-cycle", None)
    assert (found.weight_decay, found.label_smoothing, found.ema) == (0.05, 0.1, 0.998)
    assert (found.patience, found.class_weights) == (0, None)


@pytest.mark.parametrize(
    ("n", "changes", "augment"),
    [
        (1_000, {}, "strong"),
        (1_000, {"epochs": 39}, "light"),
        (1_000, {"epochs": 40}, "strong"),
        (9_000, {}, "light"),
        (2_470, {"time": "5m"}, "strong"),
        (9_000, {"time": "5m"}, "light"),
        (9_000, {"time": "20m"}, "strong"),
        (2_470, {"time": "5m", "epochs": 10}, "light"),
        (1_000, {"epochs": 100, "steps_per_epoch": 5, "batch": 32}, "light"),
        (1_000, {"epochs": 100, "steps_per_epoch": 25, "batch": 32}, "strong"),
    ],
)
def test_tuned_changes_pictures_more_the_more_often_they_are_seen(
    n: int, changes: dict[str, Any], augment: str
) -> None:
    assert resolved(n - 10, 10, **changes).augment == augment


@pytest.mark.parametrize(
    ("n", "batch", "epochs"),
    [(60, 16, 60), (499, 16, 60), (500, 32, 60), (1_999, 32, 45), (2_000, 64, 45), (9_000, 64, 12)],
)
def test_tuned_takes_batch_and_epochs_from_the_number_of_pictures(
    n: int, batch: int, epochs: int
) -> None:
    found = resolved(n - 10, 10)
    assert (found.batch, found.epochs) == (batch, epochs)


@pytest.mark.parametrize("name", ["tuned", "article"])
@pytest.mark.parametrize("setting", GIVEN)
def test_a_given_value_always_wins(name: str, setting: str) -> None:
    value = GIVEN[setting]
    usual, found = resolved(recipe=name), resolved(recipe=name, **{setting: value})
    assert getattr(usual, setting) != value or setting == "schedule"
    assert getattr(found, setting) == value


@pytest.mark.parametrize("name", ["tuned", "article"])
def test_all_given_values_win_together(name: str) -> None:
    found = resolved(recipe=name, **GIVEN).to_dict()
    assert {key: found[key] for key in GIVEN} == GIVEN


@given(st.integers(0, 2**32 - 1), st.integers(1, 64))
def test_seed_and_threads_are_passed_on(seed: int, threads: int) -> None:
    found = resolved(seed=seed, threads=threads)
    assert (found.seed, found.threads) == (seed, threads)


def test_threads_are_the_cores_unless_given() -> None:
    assert resolve(train(), dataclasses.replace(FACTS, cores=7)).threads == 7


def test_a_constant_rate_in_tuned_stops_by_patience_and_needs_no_range_test() -> None:
    found = resolved(schedule="constant")
    assert (found.patience, found.lr) == (6, 0.001)
    assert resolved(schedule="constant", patience=0).patience == 0
    assert resolved(schedule="constant", optimizer="sgd").lr == CONSTANT_RATE["sgd"] == 0.02


def test_a_time_budget_leaves_the_epochs_open_in_tuned() -> None:
    found = resolved(time="90s")
    assert (found.epochs, found.time_s) == (None, 90.0)
    both = resolved(time="2m", epochs=3)
    assert (both.epochs, both.time_s) == (3, 120.0)


def test_a_time_budget_does_not_change_the_articles_epochs() -> None:
    assert resolved(recipe="article", time="1h").epochs == 25


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=9))
def test_class_weights_average_one_over_the_examples(counts: list[int]) -> None:
    weights = resolved(*counts, balance="weights").class_weights
    assert weights is not None
    total = sum(n * weight for n, weight in zip(counts, weights, strict=True))
    assert total == pytest.approx(sum(counts))
    shares = {round(n * weight, 6) for n, weight in zip(counts, weights, strict=True)}
    assert len(shares) == 1  # every class weighs the same in all


def test_a_class_that_training_never_sees_weighs_nothing() -> None:
    assert resolved(30, 0, 10, balance="weights").class_weights == pytest.approx((4 / 9, 0, 4 / 3))


def test_class_weights_are_off_unless_asked_for() -> None:
    assert resolved(900, 10).class_weights is None


def test_facts_count_the_training_examples() -> None:
    assert Facts(class_counts=(3, 4, 5), cores=1).n_train == 12


@pytest.mark.parametrize("name", ["tuned", "article"])
def test_what_is_recorded_holds_no_auto(name: str) -> None:
    asked = train(recipe=name)
    used = dataclasses.replace(resolve(asked, FACTS), lr=0.02, epochs=4)
    kept = recorded(asked, used).train
    assert "auto" not in dataclasses.asdict(kept).values()
    assert (kept.lr, kept.epochs, kept.recipe) == (0.02, 4, name)


@pytest.mark.parametrize("name", ["tuned", "article"])
def test_what_is_recorded_resolves_to_the_same_recipe(name: str) -> None:
    asked = train(recipe=name, balance="weights")
    used = dataclasses.replace(resolve(asked, FACTS), lr=0.0123456789, epochs=4)
    assert resolve(recorded(asked, used), FACTS) == used


def test_recording_leaves_the_other_settings_alone() -> None:
    asked = train(time="5m").changed("data", {"folder": "x"})
    kept = recorded(asked, resolve(asked, FACTS))
    assert kept.data == asked.data
    assert kept.train.time == "5m"


def test_every_setting_of_training_is_in_a_recipe_or_decides_one() -> None:
    names = {each.name for each in dataclasses.fields(TrainSettings)}
    taken = names & {each.name for each in dataclasses.fields(Recipe)}
    assert names - taken == {"recipe", "time", "balance", "repeats"}
    assert taken == {*GIVEN, "sizes"}


def test_neither_epochs_nor_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fieldmark.training.recipe._epochs", lambda n, train: None)
    with pytest.raises(ConfigError, match="Neither a number of epochs nor a time") as caught:
        resolve(train(), FACTS)
    assert caught.value.code == "setting-range"


def test_a_recipe_is_plain_json_values() -> None:
    found = resolved(balance="weights").to_dict()
    assert found["class_weights"] == pytest.approx((1000 / 1200, 1000 / 800))
    assert found["epochs"] == 60


def test_range_test_bounds_exist_for_every_optimizer_and_are_in_order() -> None:
    assert set(RATE_BOUNDS) == set(CONSTANT_RATE) == {"adam", "adamw", "sgd"}
    assert all(0 < low < high <= 1 for low, high in RATE_BOUNDS.values())


# --- picture sizes

FREE = dataclasses.replace(FACTS, sizes=(8, 96))


@pytest.mark.parametrize(
    ("possible", "sizes"),
    [
        ((8, 128), (80, 112)),
        ((8, 96), (64, 80)),
        ((8, 95), ()),
        ((100, 128), (100, 112)),
        ((0, 0), ()),
    ],
)
def test_tuned_grows_to_less_than_the_full_size_where_the_network_allows_it(
    possible: tuple[int, int], sizes: tuple[int, ...]
) -> None:
    facts = dataclasses.replace(FACTS, sizes=possible)
    assert resolve(train(), facts).sizes == sizes


def test_the_article_keeps_one_size_unless_told() -> None:
    assert resolve(train(recipe="article"), FREE).sizes == ()
    assert resolve(train(recipe="article", sizes="32,48"), FREE).sizes == (32, 48)


def test_given_sizes_win_and_none_is_the_networks_own() -> None:
    assert resolve(train(sizes="48,48,80"), FREE).sizes == (48, 48, 80)
    assert resolve(train(sizes="none"), FREE).sizes == ()


@pytest.mark.parametrize(
    ("possible", "words"),
    [((0, 0), "one size only"), ((8, 64), "8 to 64 pixels"), ((52, 96), "52 to 96 pixels")],
)
def test_sizes_that_the_network_cannot_have_are_refused(
    possible: tuple[int, int], words: str
) -> None:
    facts = dataclasses.replace(FACTS, sizes=possible)
    with pytest.raises(ConfigError, match="cannot be trained on pictures of 48,96") as caught:
        resolve(train(sizes="48,96"), facts)
    assert caught.value.code == "setting-range"
    assert words in caught.value.why
    assert resolve(train(sizes="none"), facts).sizes == ()


def test_recorded_sizes_resolve_to_the_same() -> None:
    for asked in (train(), train(sizes="none"), train(sizes="32,40,48")):
        used = dataclasses.replace(resolve(asked, FREE), lr=0.01)
        assert resolve(recorded(asked, used), FREE) == used
