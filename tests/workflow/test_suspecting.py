"""Suspected labels and shortcuts from end to end, on drawn features and looks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fieldmark as fm
from fieldmark.data.looks import Looks
from fieldmark.data.manifest import Example, Manifest
from fieldmark.modalities.looking import LOOK
from fieldmark.training.features import Features
from fieldmark.workflow import suspecting
from fieldmark.workflow.dataset import hashed, load
from fieldmark.workflow.suspecting import (
    Shortcut,
    looked,
    rows_of,
    shortcuts,
    solved,
    suspected,
)
from tests.pictures import write_numbers

NAMES = ("cat", "dog", "owl")


def manifest_of(labels: np.ndarray, names: tuple[str, ...] = NAMES, **fields: Any) -> Manifest:
    """Return one example per label; ``fields`` are sequences of further fields."""
    examples = tuple(
        Example(
            path=f"{names[label]}/{at:05}.jpg",
            label=names[label],
            sha256=f"{at:064x}",
            **{name: values[at] for name, values in fields.items()},
        )
        for at, label in enumerate(labels.tolist())
    )
    return Manifest(root=Path("folder"), examples=examples, classes=names)


def features_of(manifest: Manifest, rows: np.ndarray) -> Features:
    place = {each.sha256: at for at, each in enumerate(manifest.examples)}
    return Features(manifest=manifest, rows=rows.astype(np.float32), row_of=place)


def drawn(n: int = 300, *, flips: float = 0.05, seed: int = 0) -> tuple[Features, np.ndarray]:
    """Return three clouds, and which of their labels are flipped."""
    rng = np.random.default_rng(seed)
    true = np.arange(n) % 3
    rows = rng.normal(0, 1, (n, 8)) + 5 * np.eye(3, 8)[true]
    flipped = rng.random(n) < flips
    given = np.where(flipped, (true + 1) % 3, true)
    return features_of(manifest_of(given), rows), flipped


# --- suspected labels


def test_planted_flips_are_listed_with_their_likelier_class() -> None:
    features, flipped = drawn()
    found = suspected(features)
    listed = {finding.paths[0] for finding in found.findings}
    planted = {features.manifest.examples[at].path for at in np.flatnonzero(flipped)}
    assert len(listed & planted) >= 0.8 * len(planted)
    assert len(listed - planted) <= 2
    first_tenth = {each.path for each in found.ranked[:30]}
    assert len(first_tenth & planted) >= 0.9 * len(planted)
    first = found.findings[0]
    assert first.code == "suspect-label"
    assert first.measure is not None
    assert first.measure > 0.9
    assert first.text.endswith(NAMES[(NAMES.index(first.labels[0]) - 1) % 3])
    assert f"{100 * first.measure:.0f} % likely wrong" in first.text


def test_all_are_ranked() -> None:
    features, _ = drawn()
    found = suspected(features)
    assert set(found.ranked) == set(features.manifest.examples)
    assert [each.path for each in found.ranked[: len(found.findings)]] == [
        each.paths[0] for each in found.findings
    ]
    assert list(found.p_wrong) == sorted(found.p_wrong, reverse=True)
    assert found.notes == ()
    assert found.seconds > 0


def test_a_copy_does_not_vouch_for_its_label() -> None:
    """With a copy under the same wrong label in another fold, each would prove the other right."""
    features, flipped = drawn(240, flips=0.04, seed=3)
    rows = np.concatenate([features.rows] * 2)
    rng = np.random.default_rng(0)
    # Features that know a picture by heart, as a rich backbone's do.
    marks = np.concatenate([20 * np.eye(240)] * 2)
    labels = np.array([NAMES.index(each.label) for each in features.manifest.examples] * 2)
    cluster = [f"pair {at % 240}" for at in range(480)]
    everything = np.concatenate([rows, marks + rng.normal(0, 0.01, marks.shape)], axis=1)
    found = suspected(features_of(manifest_of(labels, cluster=cluster), everything))
    apart = suspected(features_of(manifest_of(labels), everything))
    n_planted = 2 * int(flipped.sum())
    listed = sum(bool(flipped[int(each.paths[0][4:9]) % 240]) for each in found.findings)
    fooled = sum(bool(flipped[int(each.paths[0][4:9]) % 240]) for each in apart.findings)
    assert listed >= 0.8 * n_planted
    assert fooled < 0.5 * n_planted


def test_a_class_with_few_pictures_is_named_and_not_judged() -> None:
    features, _ = drawn(300, flips=0)
    kept = [
        each for at, each in enumerate(features.manifest.examples) if each.label != "owl" or at < 12
    ]
    manifest = dataclasses.replace(features.manifest, examples=tuple(kept))
    found = suspected(dataclasses.replace(features, manifest=manifest))
    assert "Labels not estimable, with fewer than 10 pictures: owl." in found.notes
    assert all(each.label != "owl" for each in found.ranked)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_hardly_any_pictures_are_borne_with_a_note(n: int) -> None:
    features, _ = drawn(300)
    manifest = dataclasses.replace(features.manifest, examples=features.manifest.examples[:n])
    found = suspected(dataclasses.replace(features, manifest=manifest))
    assert found.findings == ()
    assert any("not estimable" in note for note in found.notes)


def test_without_a_backbone_it_says_why() -> None:
    found = suspected(None)
    assert found.findings == ()
    assert "no pretrained backbone" in found.notes[0]


def test_pictures_beyond_the_compared_ones_are_judged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspecting, "MAX_ORIGINALS", 150)
    features, flipped = drawn()
    found = suspected(features)
    assert len(found.ranked) == 300
    listed = {finding.paths[0] for finding in found.findings}
    planted = {features.manifest.examples[at].path for at in np.flatnonzero(flipped)}
    assert len(listed & planted) >= 0.8 * len(planted)


def test_a_hostile_class_name_is_spelled_out() -> None:
    features, _ = drawn()
    names = ("cat\x1b[31m", "dog\n", "owl")
    examples = tuple(
        dataclasses.replace(each, label=names[NAMES.index(each.label)])
        for each in features.manifest.examples
    )
    manifest = dataclasses.replace(features.manifest, examples=examples, classes=names)
    for finding in suspected(dataclasses.replace(features, manifest=manifest)).findings:
        assert finding.text.isprintable()


def test_real_pictures_are_looked_at_once_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "cache"))
    net = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 -> FC"
    settings = fm.Settings().changed("net", {"name": "layers", "layers": net})
    manifest = hashed(load(write_numbers(tmp_path / "shapes", range(12))).manifest)
    heard: list[Any] = []
    features = looked(manifest, threads=1, settings=settings, listen=heard.append)
    assert features is not None
    assert {event.stage for event in heard} == {"features"}
    assert len(suspected(features).ranked) == 36


# --- shortcuts


def looks_of(manifest: Manifest, **values: Any) -> Looks:
    rows = np.zeros(len(manifest.examples), LOOK)
    rows["width"], rows["height"], rows["format"], rows["quality"] = 640, 480, b"JPEG", 90
    for name, value in values.items():
        rows[name] = value
    return Looks(rows, {each.sha256: at for at, each in enumerate(manifest.examples)})


def asked(labels: np.ndarray, names: tuple[str, ...] = NAMES, **values: Any) -> list[Shortcut]:
    manifest = manifest_of(labels, names)
    return list(shortcuts(manifest, looks_of(manifest, **values)))


def test_a_size_per_class_is_warned_of_in_words() -> None:
    labels = np.arange(120) % 2
    width = np.where(labels == 0, 640, 800)
    found = asked(labels, NAMES[:2], width=width, height=width * 3 // 4)
    size = found[0]
    assert (size.fact, size.warns, size.n, size.baseline) == ("size", True, 120, 0.5)
    assert size.accuracy == 1.0
    assert size.low > 0.9
    assert size.telling == "640x480: 100 % of 60 are cat"
    finding = size.finding(("cat", "dog"))
    assert finding.code == "shortcut"
    assert finding.labels == ("cat", "dog")
    assert finding.text == (
        "size alone: 100.0 % (96.9 to 100.0) right of 120 pictures, guessing 50.0 %; "
        "640x480: 100 % of 60 are cat"
    )


def test_the_same_sizes_shuffled_are_not() -> None:
    labels = np.arange(120) % 2
    width = np.random.default_rng(0).permutation(np.where(labels == 0, 640, 800))
    assert not any(each.warns for each in asked(labels, width=width, height=width * 3 // 4))


def test_a_shortcut_of_one_class_among_three_is_found() -> None:
    labels = np.arange(300) % 3
    camera = np.where(labels == 2, b"Scanner", b"").astype("S48")
    (camera_fact, *_) = asked(labels, camera=camera)
    assert camera_fact.warns
    assert camera_fact.telling == "camera Scanner: 100 % of 100 are owl"


def test_two_sizes_for_four_classes_are_warned_of_though_they_name_none() -> None:
    labels = np.arange(200) % 4
    width = np.where(labels % 2 == 0, 640, 800)
    size = asked(labels, (*NAMES, "yak"), width=width)[0]
    assert size.fact == "size"
    assert size.accuracy <= 0.55
    assert size.information == pytest.approx(0.5, abs=0.05)
    assert size.warns


def test_colour_is_told_and_never_warned_of() -> None:
    labels = np.arange(120) % 2
    found = asked(labels, brightness=np.where(labels == 0, 40.0, 200.0))
    assert [(each.fact, each.warns, each.content) for each in found] == [("colour", False, True)]
    assert str(found[0]).endswith("partly content, so no warning")


def test_facts_in_which_all_are_alike_are_not_told() -> None:
    assert asked(np.arange(60) % 2) == []


def test_chance_is_seldom_warned_of() -> None:
    """Sizes, formats, cameras and names that know nothing, among few files: the hardest case."""
    warned = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = asked(
            rng.permutation(np.arange(44) % 2),
            NAMES[:2],
            width=rng.choice([640, 800], 44),
            camera=rng.choice(np.array([b"", b"Canon"]), 44),
            quality=rng.integers(60, 99, 44),
            n_bytes=rng.integers(9_000, 90_000, 44),
        )
        warned += any(each.warns for each in found)
    assert warned <= 2


def test_all_facts_together_come_last() -> None:
    labels = np.arange(200) % 2
    rng = np.random.default_rng(0)
    found = asked(labels, width=rng.integers(100, 900, 200), quality=rng.choice([70, 90], 200))
    assert [each.fact for each in found][-1] == "all of them"
    assert {each.fact for each in found} == {"size", "shape", "compression", "all of them"}


def test_imbalance_is_no_shortcut() -> None:
    labels = np.where(np.arange(400) < 380, 0, 1)
    rng = np.random.default_rng(0)
    found = asked(labels, width=rng.choice([640, 800], 400))
    assert not any(each.warns for each in found)
    assert all(0.3 < each.accuracy < 0.7 for each in found)


def test_copies_count_once_in_the_interval() -> None:
    labels = np.arange(120) % 2
    width = np.where(labels == 0, 640, 800)
    apart = asked(labels, NAMES[:2], width=width)[0]
    pairs = [f"{label} {at // 6}" for at, label in enumerate(labels.tolist())]
    manifest = manifest_of(labels, NAMES[:2], cluster=pairs)
    together = shortcuts(manifest, looks_of(manifest, width=width))[0]
    assert together.accuracy == apart.accuracy == 1.0
    assert together.low < apart.low


@pytest.mark.parametrize("n", [0, 1, 18])
def test_too_few_files_are_not_asked(n: int) -> None:
    labels = np.arange(n) % 2
    assert asked(labels, width=np.where(labels == 0, 640, 800)) == []


def test_a_rare_class_is_left_out_and_the_others_are_asked() -> None:
    labels = np.concatenate([np.arange(100) % 2, [2, 2]])
    found = asked(labels, width=np.where(labels == 0, 640, 800))
    assert found[0].n == 100
    assert found[0].baseline == 0.5


def test_rows_keep_what_belongs_together_in_one_group() -> None:
    features, _ = drawn(30)
    examples = [
        dataclasses.replace(each, group="g" if at < 4 else "")
        for at, each in enumerate(features.manifest.examples)
    ]
    rows = rows_of(features, examples)
    assert len(set(rows.groups[:4].tolist())) == 1
    assert len(set(rows.groups.tolist())) == 27
    assert solved(rows, "none", 0).out_of_fold.shape == (30, 3)
