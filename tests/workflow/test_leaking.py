"""The leak tax: large where copies leak, none on clean data, with an interval and in words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fieldmark.training.features import Features
from fieldmark.workflow.leaking import leak_tax
from tests.workflow.test_suspecting import NAMES, features_of, manifest_of


def by_heart(n: int, *, copies: int, skill: float = 1.2, **fields: list[str]) -> Features:
    """Return hard pictures, ``copies`` of each, with marks that a head can learn by heart."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    rows = rng.normal(0, 1, (n, 4)) + skill * np.eye(2, 4)[labels]
    rows = np.concatenate([rows, 12 * np.eye(n)], axis=1)
    everything = np.concatenate([rows] * copies)
    manifest = manifest_of(np.concatenate([labels] * copies), NAMES[:2], **fields)
    return features_of(manifest, everything)


def clusters(n: int, copies: int) -> list[str]:
    return [f"pair {at % n}" for at in range(n * copies)]


def test_copies_are_taxed() -> None:
    found = leak_tax(by_heart(150, copies=2, cluster=clusters(150, 2)))
    assert found.naive is not None
    assert found.honest is not None
    assert found.naive.value > 0.95
    assert 0.6 < found.honest.value < 0.9
    assert found.tax == pytest.approx(found.naive.value - found.honest.value)
    assert 0.05 < found.low < found.tax < found.high
    assert found.n_leaked == found.naive.n == found.honest.n == 300
    assert found.text.startswith("leak tax: a naive split would have said ")
    assert f"{100 * found.tax:.1f} points (" in found.text
    assert found.seconds > 0


def test_groups_are_taxed_like_copies() -> None:
    found = leak_tax(by_heart(150, copies=2, group=clusters(150, 2)))
    assert found.low > 0.05


def test_what_belongs_together_counts_once_in_the_interval() -> None:
    found = leak_tax(by_heart(60, copies=4, cluster=clusters(60, 4)))
    assert found.honest is not None
    assert found.honest.n == 240
    assert found.honest.high - found.honest.low > 0.17  # of 60, not of 240


def test_clean_data_is_not_taxed() -> None:
    found = leak_tax(by_heart(60, copies=1))
    assert (found.tax, found.low, found.high, found.n_leaked) == (0, 0, 0, 0)
    assert found.naive is None
    assert found.text == "leak tax: none, no picture has a copy or a group"


def test_a_copy_or_two_among_many_make_hardly_a_difference() -> None:
    pairs = ["pair" if at < 2 else "" for at in range(300)]
    found = leak_tax(by_heart(300, copies=1, cluster=pairs))
    assert abs(found.tax) < 0.04
    assert found.low <= 0 <= found.high
    assert "no more than chance" in found.text


def parted(features: Features, n_train: int) -> Features:
    examples = tuple(
        dataclasses.replace(each, split="train" if at < n_train else "test")
        for at, each in enumerate(features.manifest.examples)
    )
    return dataclasses.replace(
        features, manifest=dataclasses.replace(features.manifest, examples=examples)
    )


def test_leaks_across_ready_made_parts_are_taxed() -> None:
    """Half of the test part is in the training part: its answers are known by heart."""
    rng = np.random.default_rng(1)
    n, n_leaked, n_new = 200, 80, 120
    labels = np.concatenate([np.arange(n) % 2, np.arange(n_leaked) % 2, np.arange(n_new) % 2])
    content = rng.normal(0, 1, (n + n_new, 4)) + np.eye(2, 4)[np.arange(n + n_new) % 2]
    rows = np.concatenate([content, 12 * np.eye(n + n_new)], axis=1)
    order = np.concatenate([np.arange(n), np.arange(n_leaked), np.arange(n, n + n_new)])
    cluster = [f"{at}" for at in order.tolist()]
    features = features_of(manifest_of(labels, NAMES[:2], cluster=cluster), rows[order])
    found = leak_tax(parted(features, n))
    assert found.naive is not None
    assert found.honest is not None
    assert (found.n_leaked, found.naive.n, found.honest.n) == (80, 200, 200)
    assert found.naive.value > found.honest.value + 0.05
    assert 0 < found.low < found.tax < found.high
    assert "with what leaks learned the test pictures give" in found.text


def test_test_pictures_that_are_merely_easy_are_no_tax() -> None:
    """The leaking ones are easy, but nothing can be learned by heart."""
    rng = np.random.default_rng(2)
    n_train, n_test = 120, 120
    labels = np.arange(n_train + n_test) % 2
    rows = rng.normal(0, 1, (n_train + n_test, 3)) + 2 * np.eye(2, 3)[labels]
    easy = np.arange(n_train, n_train + 60)
    rows[easy] += 6 * np.eye(2, 3)[labels[easy]]
    cluster = [f"{at}" for at in range(n_train)] + [f"{at}" for at in range(60)]
    cluster += [f"own {at}" for at in range(60)]
    found = leak_tax(
        parted(features_of(manifest_of(labels, NAMES[:2], cluster=cluster), rows), n_train)
    )
    assert found.naive is not None
    assert abs(found.tax) <= 0.05
    assert found.low <= 0 <= found.high


def test_parts_without_a_leak_are_not_taxed() -> None:
    found = leak_tax(parted(by_heart(60, copies=1), 40))
    assert found.tax == 0
    assert found.text.startswith("leak tax: none, no test picture has a copy")


def test_a_test_part_that_leaks_as_a_whole_cannot_be_measured() -> None:
    found = leak_tax(parted(by_heart(40, copies=2, cluster=clusters(40, 2)), 40))
    assert found.n_leaked == 40
    assert np.isnan(found.tax)
    assert "not estimable" in found.text


def test_one_class_cannot_be_measured() -> None:
    features = features_of(
        manifest_of(np.zeros(20, np.int64), cluster=["pair"] * 20), np.zeros((20, 3))
    )
    assert np.isnan(leak_tax(features).tax)


def test_one_group_cannot_be_measured() -> None:
    found = leak_tax(by_heart(30, copies=1, group=["all"] * 30))
    assert np.isnan(found.tax)
    assert "not estimable" in found.text
