"""What a file may say of decisions: read back as it was, and refused where it makes no sense."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fieldmark import bundle
from fieldmark.bundle.container import UNKNOWN
from fieldmark.bundle.deciding import thresholds
from fieldmark.errors import BundleError

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle_v3.fieldmark"

ACCEPT = {"margin": 2.0, "error": 0.05, "confidence": 0.95, "text": "At most 5 %."}


@pytest.fixture
def golden():
    return bundle.read(GOLDEN, weights=True)


def refused(match: str, change) -> None:
    with pytest.raises(BundleError, match=match) as caught:
        change()
    assert caught.value.code == "model-damaged"


def test_the_golden_file_of_format_3_decides(golden):
    found = golden.thresholds
    assert (found.margin, found.error, found.confidence) == (1.9, 0.05, 0.95)
    assert (found.distance, found.share, found.set_margin) == (2.0, 0.02, 1.2)
    assert found.decides
    assert sorted(golden.unknown) == ["basis", "means", "scales"]


def test_a_file_of_format_3_written_again_has_the_same_bytes(golden, tmp_path):
    bundle.write(tmp_path / "again.fieldmark", golden)
    assert (tmp_path / "again.fieldmark").read_bytes() == GOLDEN.read_bytes()


def test_a_file_without_statistics_stays_readable_by_older_versions(golden, tmp_path):
    lean = {key: value for key, value in golden.decision.items() if key != "unknown"}
    path = tmp_path / "lean.fieldmark"
    bundle.write(path, dataclasses.replace(golden, decision=lean, unknown={}))
    assert bundle.inspect(path).format == 1
    assert bundle.read(path).thresholds.margin == 1.9
    assert bundle.read(path).thresholds.distance is None


def test_an_older_file_decides_nothing():
    found = bundle.read(GOLDEN.with_name("bundle_v2.fieldmark")).thresholds
    assert (found.decides, found.temperature, found.distance) == (False, 1.5, None)


def test_nothing_accepted_is_a_decision_too():
    found = thresholds({"accept": {"margin": None, "error": None, "confidence": 0.95}})
    assert (found.decides, found.margin, found.error) == (True, None, None)


WRONG = [float("nan"), float("inf"), -1.0, "2", True, [1], {}, 10**400]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("key", ["margin", "error", "confidence"])
def test_a_number_out_of_its_range_is_refused(key, value):
    refused(f"{key} is not a number", lambda: thresholds({"accept": ACCEPT | {key: value}}))


@pytest.mark.parametrize("value", [*WRONG, None, 0.0])
@pytest.mark.parametrize("key", ["distance", "share"])
def test_so_is_one_about_the_unknown(key, value):
    table = {"distance": 2.0, "share": 0.02} | {key: value}
    refused(f"{key} is not a number", lambda: thresholds({"unknown": table}))


@pytest.mark.parametrize("key", ["margin", "confidence"])
def test_so_is_one_about_sets(key):
    table = {"margin": 1.0, "confidence": 0.9} | {key: None}
    refused(f"{key} is not a number", lambda: thresholds({"sets": table}))


@pytest.mark.parametrize("name", ["accept", "unknown", "sets"])
@pytest.mark.parametrize("value", [1, "x", [], True])
def test_a_rule_that_is_no_object_is_refused(name, value):
    refused(f"{name} is not an object", lambda: thresholds({name: value}))


@pytest.mark.parametrize("text", [1, None, [], "x" * 2001])
def test_words_that_are_no_short_text_are_refused(text):
    refused("text is not a text", lambda: thresholds({"accept": ACCEPT | {"text": text}}))


@pytest.mark.parametrize("missing", ["margin", "error"])
def test_a_promise_needs_its_margin(missing):
    refused("without a margin", lambda: thresholds({"accept": ACCEPT | {missing: None}}))


def test_statistics_and_threshold_come_together(golden):
    lean = {key: value for key, value in golden.decision.items() if key != "unknown"}
    refused("belong together", lambda: dataclasses.replace(golden, decision=lean))
    refused("belong together", lambda: dataclasses.replace(golden, unknown={}))


F = 4
FITTING = {
    "means": np.full((3, F), 0.5, np.float32),
    "basis": np.eye(F, dtype=np.float32)[:2],
    "scales": np.ones(3, np.float32),
}
MISFITS = {
    "one is missing": {"means": None},
    "one too many": {"more": np.ones(2, np.float32)},
    "another type": {"scales": np.ones(3)},
    "whole numbers": {"means": np.ones((3, F), np.int32)},
    "another number of classes": {"means": np.ones((2, F), np.float32)},
    "another number of features": {"basis": np.eye(F + 1, dtype=np.float32)[:2]},
    "no directions": {"basis": np.ones((0, F), np.float32), "scales": np.ones(1, np.float32)},
    "as many directions as features": {
        "basis": np.eye(F, dtype=np.float32),
        "scales": np.ones(F + 1, np.float32),
    },
    "too few widths": {"scales": np.ones(2, np.float32)},
    "a flat basis": {"basis": np.ones(F, np.float32)},
    "a width of 0": {"scales": np.array([1, 0, 1], np.float32)},
    "a negative width": {"scales": np.array([1, -1, 1], np.float32)},
    "an endless width": {"scales": np.array([1, np.inf, 1], np.float32)},
    "no number": {"means": np.full((3, F), np.nan, np.float32)},
    "huge numbers": {"basis": np.full((2, F), 1e30, np.float32)},
}


@pytest.mark.parametrize("name", MISFITS)
def test_arrays_that_cannot_be_computed_with_are_refused(golden, name):
    arrays = {key: value for key, value in (FITTING | MISFITS[name]).items() if value is not None}
    refused("unknown.safetensors", lambda: dataclasses.replace(golden, unknown=arrays))
    assert dataclasses.replace(golden, unknown=FITTING).unknown == FITTING


@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"\xff" * 8 + b"x", b"{}"])
def test_statistics_that_are_no_arrays_are_refused(golden, forge, tmp_path, data):
    with zipfile.ZipFile(GOLDEN) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with pytest.raises(BundleError, match=r"unknown\.safetensors") as caught:
        bundle.read(forge(parts | {UNKNOWN: data}))
    assert caught.value.code in ("model-damaged", "model-unsafe")


def test_a_decision_from_a_file_is_checked(forge):
    with zipfile.ZipFile(GOLDEN) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(parts["decision.json"])
    told["accept"]["margin"] = -3
    refused(
        "margin", lambda: bundle.read(forge(parts | {"decision.json": json.dumps(told).encode()}))
    )
