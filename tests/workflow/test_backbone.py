"""One way to a manifest's features: what a check looked at is not looked at again by a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fieldmark as fm
from fieldmark.data.manifest import Manifest
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.training.features import Features
from fieldmark.workflow import backbone, choosing
from fieldmark.workflow.dataset import assigned, hashed, load
from tests.pictures import write_numbers

NET = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 stages 1 -> FC"


def small(**run: Any) -> fm.Settings:
    settings = fm.Settings().changed("net", {"name": "layers", "layers": NET})
    return settings.changed("head", {"copies": 0, "folds": 2}).changed("run", run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbers(tmp_path_factory.mktemp("backbone") / "shapes", range(8))


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return hashed(load(folder).manifest)


def looked(manifest: Manifest, settings: fm.Settings) -> Features:
    found = backbone.features_of_all(manifest, settings=settings, threads=1)
    assert found is not None
    return found


def test_examples_without_a_part_have_features_too(manifest: Manifest) -> None:
    found = looked(manifest, small())
    assert set(found.row_of) == {each.sha256 for each in manifest.examples}
    assert found.rows.shape[1] == 1280 + 320
    assert np.isfinite(found.rows).all()


def test_every_part_of_a_parted_manifest_has_features_and_keeps_its_name(
    manifest: Manifest,
) -> None:
    parted = assigned(manifest, fm.Settings())
    found = looked(parted, small())
    assert set(found.row_of) == {each.sha256 for each in parted.examples}
    assert [each.split for each in found.manifest.examples] == [
        each.split for each in parted.examples
    ]


def test_what_was_looked_at_once_is_kept(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path))
    first, again = looked(manifest, small()), looked(manifest, small())
    assert (first.n_cached, again.n_cached) == (0, len(manifest.examples))
    assert again.rows.tobytes() == first.rows.tobytes()


def test_a_training_finds_what_was_looked_at_before(
    folder: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "cache"))
    looked(manifest, small())
    seen: list[Features] = []
    extract = backbone.extract

    def spy(*given: Any, **named: Any) -> Features:
        seen.append(extract(*given, **named))
        return seen[-1]

    monkeypatch.setattr(backbone, "extract", spy)
    fm.train(folder, settings=small(out=str(tmp_path / "runs")))
    assert len(seen) == 1
    assert seen[0].n_cached == len(seen[0].rows) > 0


def test_without_a_cache_nothing_is_kept(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "none"))
    looked(manifest, small(cache=False))
    assert not (tmp_path / "none").exists()


def test_progress_ends_with_all_done(manifest: Manifest) -> None:
    said: list[tuple[int, int]] = []
    settings = small(cache=False)
    backbone.features_of_all(
        manifest, settings=settings, threads=1, progress=lambda done, of: said.append((done, of))
    )
    assert said[-1] == (len(manifest.examples),) * 2


def test_a_training_from_scratch_has_no_features(manifest: Manifest) -> None:
    settings = fm.Settings().changed("net", {"name": "small"})
    assert backbone.features_of_all(manifest, settings=settings, threads=1) is None


def test_without_the_package_there_are_none(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "is_installed", lambda name: False)
    assert backbone.features_of_all(manifest, threads=1) is None


def test_the_key_names_the_backbone_and_its_weights() -> None:
    key = backbone.key_of(plan(parse(NET), 3))
    name, digest = key.split()
    assert name == "efficientnet-lite0"
    assert len(digest) == 64
    assert backbone.key_of(plan(parse(NET.replace("32x32", "64x64")), 2)) == key
