"""Every engine gives the same answers: on any network the language can say, and on every file."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import bundle
from fieldmark.errors import BundleError
from fieldmark.inference.openvino_runtime import OpenVino
from fieldmark.inference.predictor import GOLDEN_TOLERANCE, Predictor
from fieldmark.inference.runtime import OUTPUTS, Engine, open_runtime
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from tests.networks.strategies import Case, cases, random_pixels, random_weights

pytest.importorskip("openvino")

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.fieldmark"))

few = settings(max_examples=25, deadline=None)
many = settings(max_examples=300, deadline=None)


def assert_engines_agree(case: Case, seed: int, engine: Engine = "auto") -> None:
    made = plan(case.network, case.n_classes)
    onnx = onnx_graph(made, random_weights(made, seed))
    pixels = random_pixels(made, 7, seed)
    one = open_runtime(onnx, engine="onnxruntime").run(pixels, OUTPUTS)
    opened = open_runtime(onnx, engine=engine, bulk=True)
    streamed = list(opened.stream([pixels[:1], pixels[1:3], pixels[3:]], OUTPUTS))
    for name in OUTPUTS:
        wanted = getattr(one, name)
        scale = 1.0 if name == "scores" else max(1.0, float(np.abs(wanted).max()))
        joined = np.concatenate([getattr(each, name) for each in streamed])
        for found in (getattr(opened.run(pixels, (name,)), name), joined):
            assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=GOLDEN_TOLERANCE * scale)


@few
@given(cases(), st.integers(0, 2**32 - 1))
def test_the_engines_agree_on_any_list(case: Case, seed: int) -> None:
    assert_engines_agree(case, seed)


@pytest.mark.slow
@many
@given(cases(), st.integers(0, 2**32 - 1))
def test_the_engines_agree_on_many_lists(case: Case, seed: int) -> None:
    assert_engines_agree(case, seed)


@pytest.mark.parametrize(
    "text",
    [
        "INPUT 8x8x3 -> FC",  # the maps are the pixels
        "INPUT 8x8x1 -> FC 1 -> SIGMOID",
        "INPUT 9x9x3 -> DWCONV 3x2 same step 2 -> BN -> RELU6 -> FC",
        "INPUT 10x9x3 -> CONV 4 4x2 same step 3 -> AVGPOOL 3x3 same step 2 -> GMP -> FC",
        "INPUT 8x8x3 -> {{{RELU} -> CONV 3 1x1} -> SIGMOID} -> GAP -> {FC 3} -> FC",
    ],
)
def test_the_engines_agree_on_the_hard_lists(text: str) -> None:
    assert_engines_agree(Case(parse(text), 2, 0), seed=5, engine="openvino")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_every_file_ever_released_answers_the_same_in_every_engine(path: Path, engine: str) -> None:
    held = bundle.read(path)
    runtime = open_runtime(held.onnx, engine=engine)  # type: ignore[arg-type]
    found = Predictor(held, runtime).scores(held.golden_inputs)
    expected = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(found, expected["scores"], atol=1e-5)


def test_float32_is_computed_and_not_bfloat16() -> None:
    """Sums of bfloat16 products are off by about a hundredth of their size; these are not."""
    made = plan(parse("INPUT 32x32x3 -> [CONV 64 3x3 same -> RELU]*6 -> GAP -> FC"), 3)
    onnx = onnx_graph(made, random_weights(made, 2))
    pixels = random_pixels(made, 4, 2)
    run = functools.partial(open_runtime, onnx)
    wanted = run(engine="onnxruntime").run(pixels, ("features",)).features
    found = run(engine="openvino", bulk=True).run(pixels, ("features",)).features
    assert wanted is not None
    assert found is not None
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_a_network_that_an_engine_computes_wrongly_is_left_to_the_other() -> None:
    """Found by the test above: OpenVINO 2026.4 errs on this list by a quarter of a logit."""
    made = plan(parse("INPUT 8x8x1 -> DWCONV 1x1 step 2 -> {[CONV 1 1x2 same]*2} -> FC"), 2)
    onnx = onnx_graph(made, random_weights(made, 0))
    assert_engines_agree(Case(made.network, 2, 2), seed=0)
    fast = OpenVino(onnx, bulk=True)
    pixels = random_pixels(made, 1, 0)
    wanted = open_runtime(onnx).run(pixels, ("logits",)).logits
    if not np.allclose(fast.run(pixels, ("logits",)).logits, wanted, atol=0.01):  # as of 2026.4
        assert open_runtime(onnx, bulk=True).name.startswith("onnxruntime ")
        with pytest.raises(BundleError, match="computes this network otherwise"):
            open_runtime(onnx, engine="openvino")
