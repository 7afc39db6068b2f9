"""A file that holds an int8 network answers with either, and another one says that it cannot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fieldmark import bundle
from fieldmark.errors import BundleError, UsageError
from fieldmark.inference.predictor import GOLDEN_TOLERANCE, INT8_TOLERANCE, Predictor
from fieldmark.inference.runtime import _has_openvino

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle_v2.fieldmark"


def test_float32_answers_unless_int8_is_asked_for():
    assert Predictor.open(GOLDEN).precision == "float32"
    assert Predictor.open(GOLDEN, precision="int8").precision == "int8"


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_int8_answers_within_its_own_tolerance(tiny, engine):
    if engine == "openvino" and not _has_openvino():
        pytest.skip("openvino is not installed")
    predictor = Predictor.open(GOLDEN, precision="int8", engine=engine, bulk=True)
    assert predictor.runtime.name.startswith(engine)
    worst = predictor.verify()
    assert 0 < worst < INT8_TOLERANCE
    pixels = tiny.pixels(40, seed=12)
    wanted = tiny.softmax(tiny.logits(pixels) / 1.5)
    found = predictor.scores(pixels)
    # It is another network: float32 is within 1e-6 of this.
    assert 1e-5 < np.abs(found - wanted).max() < INT8_TOLERANCE


def test_an_int8_network_that_answers_otherwise_is_refused(tmp_path, tiny):
    held = bundle.read(GOLDEN, weights=True)
    other = tiny.model(seed=2).SerializeToString()
    bundle.write(tmp_path / "other.fieldmark", dataclasses.replace(held, int8=other))
    with pytest.raises(BundleError, match=r"score differently here.*0\.25 is allowed") as caught:
        Predictor.open(tmp_path / "other.fieldmark", precision="int8")
    assert caught.value.code == "golden-mismatch"
    assert Predictor.open(tmp_path / "other.fieldmark").verify() < GOLDEN_TOLERANCE


def test_a_file_without_int8_says_so(model_file):
    with pytest.raises(UsageError, match="holds no int8 network") as caught:
        Predictor.open(model_file, precision="int8")
    assert caught.value.code == "float-only"
    assert caught.value.where == str(model_file)


def test_many_files_are_answered_alike_by_every_engine_and_in_bulk(model_file, tiny):
    pixels = tiny.pixels(70, seed=3)
    wanted = tiny.softmax(tiny.logits(pixels) / 1.5)
    for given in ({}, {"bulk": True}, {"engine": "onnxruntime", "bulk": True}):
        found = Predictor.open(model_file, **given).scores(pixels)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
