"""How training goes on once the head is solved: every reason, and the words for it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.config import Settings
from fieldmark.workflow import choosing
from fieldmark.workflow.choosing import (
    BACKBONE,
    ENOUGH,
    FEW_TO_TUNE,
    MANY,
    MANY_FOR_SCRATCH,
    TUNING_S_PER_GIGA,
    Known,
    choose,
    decide,
    scratch_name,
)

KNOWN = Known(
    cv_accuracy=0.9,
    majority=0.5,
    n_train=2_000,
    smallest=1_000,
    has_backend=True,
    left_s=600.0,
    multiply_adds=384_000_000,
)
"""Good, not perfect; enough of everything. Each test changes what it is about."""


def known(**changes: Any) -> Known:
    return dataclasses.replace(KNOWN, **changes)


@pytest.mark.parametrize(
    ("changes", "way", "why"),
    [
        ({}, "blocks", "fine-tuned from a solved head: 90.0 % across folds, and there is time"),
        (
            {"left_s": None},
            "head",
            "solved head: 90.0 % across folds in seconds; --time or --fine-tune may add to it",
        ),
        (
            {"has_backend": False},
            "head",
            "solved head: 90.0 % across folds; no backend is installed that could train more",
        ),
        (
            {"cv_accuracy": 0.995},
            "head",
            "solved head: 99.5 % across folds leaves little to fine-tune",
        ),
        (
            {"cv_accuracy": 0.7},
            "scratch",
            "from scratch: the pretrained features reach only 70.0 % across folds",
        ),
        ({"smallest": 19}, "head", "solved head: 19 pictures of a class are few to fine-tune on"),
        (
            {"left_s": 100.0},
            "head",
            "solved head: fine-tuning would take about 115 s, more than is left",
        ),
    ],
)
def test_every_way_has_its_reason(changes: dict[str, Any], way: str, why: str) -> None:
    assert decide(known(**changes)) == (way, why)


@pytest.mark.parametrize(
    ("name", "last", "first", "ways"),
    [
        ("cv_accuracy", ENOUGH - 1e-6, ENOUGH, ("blocks", "head")),
        ("smallest", FEW_TO_TUNE - 1, FEW_TO_TUNE, ("head", "blocks")),
        ("left_s", 115.1, 115.3, ("head", "blocks")),
        ("cv_accuracy", 0.749, 0.751, ("scratch", "blocks")),
    ],
)
def test_the_way_changes_where_it_is_said_to(
    name: str, last: float, first: float, ways: tuple[str, str]
) -> None:
    assert pytest.approx(115.2) == TUNING_S_PER_GIGA * 2_000 * 0.384
    assert tuple(decide(known(**{name: value}))[0] for value in (last, first)) == ways


@pytest.mark.parametrize(
    "changes", [{"n_train": MANY_FOR_SCRATCH - 1}, {"left_s": 59.0}, {"has_backend": False}]
)
def test_poor_features_alone_are_no_reason_for_a_start_from_scratch(
    changes: dict[str, Any],
) -> None:
    poor = known(cv_accuracy=0.6, multiply_adds=1_000_000)
    assert decide(poor)[0] == "scratch"
    assert decide(dataclasses.replace(poor, **changes))[0] != "scratch"


def test_what_counts_as_poor_depends_on_the_most_frequent_class() -> None:
    assert decide(known(cv_accuracy=0.92, majority=0.9))[0] == "scratch"
    assert decide(known(cv_accuracy=0.92, majority=0.1))[0] == "blocks"


def test_one_class_for_almost_everything_divides_by_nothing() -> None:
    assert decide(known(majority=1.0, cv_accuracy=0.98))[0] in ("scratch", "head")


@given(
    st.floats(0, 1),
    st.floats(0.01, 1),
    st.integers(2, 10**7),
    st.booleans(),
    st.one_of(st.none(), st.floats(-1e4, 1e6)),
)
def test_something_is_always_decided_in_one_line(
    accuracy: float, majority: float, n: int, backend: bool, left: float | None
) -> None:
    way, why = decide(
        known(cv_accuracy=accuracy, majority=majority, n_train=n, smallest=n // 3)
        if backend
        else known(cv_accuracy=accuracy, has_backend=False, left_s=left)
    )
    assert way in ("head", "blocks", "scratch")
    assert "\n" not in why
    assert len(why) <= 100
    assert backend or way == "head"


def test_without_a_budget_or_a_backend_it_is_always_the_head() -> None:
    for changes in ({"left_s": None}, {"has_backend": False}):
        for accuracy in (0.1, 0.6, 0.9, 1.0):
            assert decide(known(cv_accuracy=accuracy, **changes))[0] == "head"


# --- before anything is known


def test_auto_starts_from_pretrained_features_where_they_are_installed() -> None:
    found = choose(Settings(), n_classes=4, n_train=900)
    assert found.name == "features"
    assert found.why == "pretrained features, 900 training pictures"
    assert found.plan.backbone is not None
    assert found.plan.backbone.source == BACKBONE
    assert found.spec.shape == (224, 224, 3)
    assert found.spec.fit == "crop"


@pytest.mark.parametrize(
    ("n", "name", "why"),
    [
        (MANY - 1, "small", "19,999 training pictures are fewer than 20,000; from scratch"),
        (MANY, "residual", "20,000 training pictures are at least 20,000; from scratch"),
    ],
)
def test_auto_starts_from_scratch_where_no_weights_are_installed(
    n: int, name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "is_installed", lambda name: False)
    found = choose(Settings(), n_classes=4, n_train=n)
    assert (found.name, found.why) == (name, why)
    assert scratch_name(n) == name
    assert found.spec.fit == "stretch"


def test_the_articles_recipe_goes_with_its_network_whatever_is_installed() -> None:
    asked = Settings().changed("train", {"recipe": "article"})
    assert choose(asked, n_classes=2, n_train=900).name == "tutorial"


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_a_given_fit_wins_over_the_backbones(fit: str) -> None:
    asked = Settings().changed("data", {"fit": fit})
    assert choose(asked, n_classes=2, n_train=900).spec.fit == fit


def test_a_size_may_be_given_for_the_features() -> None:
    asked = Settings().changed("net", {"size": 64})
    assert choose(asked, n_classes=2, n_train=900).spec.shape == (64, 64, 3)
