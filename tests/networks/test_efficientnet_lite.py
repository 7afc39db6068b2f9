"""EfficientNet-Lite: the published sizes, the reference implementation's numbers, its weights."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fieldmark.errors import BundleError
from fieldmark.networks import weights as weights_module
from fieldmark.networks.backbones import BACKBONES
from fieldmark.networks.efficientnet_lite import stages
from fieldmark.networks.layer_table import multiply_adds
from fieldmark.networks.layers import Conv
from fieldmark.networks.parser import parse
from fieldmark.networks.pretrained import PRETRAINED, load
from fieldmark.networks.steps import Add, Plan
from fieldmark.networks.volumes import BN_EPSILON, plan
from fieldmark.networks.weights import check, initial, pretrained
from tests.golden import make_efficientnet_lite as golden
from tests.networks.test_keras_and_onnx import run_onnx

PUBLISHED = {
    "efficientnet-lite0": (4_694_024, 407e6, 385_187_552),
    "efficientnet-lite1": (5_470_344, 631e6, 600_185_232),
    "efficientnet-lite2": (6_150_168, 899e6, 859_736_272),
}
"""Weights with the FC of 1000 classes, and multiply-adds as Google's page gives them and as the
layers have them; Google's also count BN, sums and averages."""

SIDES = {
    "efficientnet-lite0": (112, 112, 56, 28, 14, 14, 7, 7, 7),
    "efficientnet-lite1": (120, 120, 60, 30, 15, 15, 8, 8, 8),
    "efficientnet-lite2": (130, 130, 65, 33, 17, 17, 9, 9, 9),
}
MAPS = {
    "efficientnet-lite0": (32, 16, 24, 40, 80, 112, 192, 320, 1280),
    "efficientnet-lite1": (32, 16, 24, 40, 80, 112, 192, 320, 1280),
    "efficientnet-lite2": (32, 16, 24, 48, 88, 120, 208, 352, 1280),
}
BLOCKS = {
    "efficientnet-lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet-lite1": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet-lite2": (1, 3, 3, 4, 4, 5, 1),
}
"""Published depths times 1.0, 1.1, 1.2, rounded up; the first and the last stage stay."""
N_SCALING = 12
"""Numbers of the BN behind INPUT, which no file holds."""


def made(name: str, *, size: int | None = None, n_classes: int = 1000) -> Plan:
    side = size or BACKBONES[name].size
    return plan(parse(f"INPUT {side}x{side}x3 -> BACKBONE {name} -> FC"), n_classes)


# --- sizes


@pytest.mark.parametrize("name", BACKBONES)
def test_weights_and_multiply_adds_are_the_published_ones(name: str) -> None:
    n_weights, published, counted = PUBLISHED[name]
    found = made(name)
    assert found.n_weights - N_SCALING == n_weights
    work = sum(multiply_adds(step) for step in found.steps)
    assert work == counted
    assert 0.94 < work / published < 1


@pytest.mark.parametrize("name", BACKBONES)
def test_every_stage_ends_in_the_published_volume(name: str) -> None:
    found = made(name)
    assert found.backbone is not None
    volumes = [found.steps[at].output for at in found.backbone.ends]
    assert volumes == [(s, s, n) for s, n in zip(SIDES[name], MAPS[name], strict=True)]


@pytest.mark.parametrize("name", BACKBONES)
def test_every_stage_has_its_blocks_and_all_but_the_first_are_residual(name: str) -> None:
    found = made(name)
    assert found.backbone is not None
    ends = found.backbone.ends
    inside = [found.steps[a + 1 : b + 1] for a, b in pairwise(ends[:-1])]
    depthwise = [
        sum(isinstance(step.layer, Conv) and step.layer.filters is None for step in steps)
        for steps in inside
    ]
    sums = [Counter(type(step.layer) for step in steps)[Add] for steps in inside]
    assert tuple(depthwise) == BLOCKS[name]
    assert sums == [n - 1 for n in BLOCKS[name]]


def test_widths_are_rounded_to_eights_and_never_down_by_more_than_a_tenth() -> None:
    for tenths in range(5, 21):
        for text, usual in zip(
            stages(tenths / 10, 1.0)[1:-1], MAPS["efficientnet-lite0"][1:8], strict=True
        ):
            width = int(text.rpartition("CONV ")[2].split()[0])
            assert width % 8 == 0
            assert width >= 0.9 * usual * tenths / 10
            assert width < usual * tenths / 10 + 8


def test_stem_and_head_are_not_scaled() -> None:
    one, other = stages(1.0, 1.0), stages(1.4, 1.8)
    assert (one[0], one[-1]) == (other[0], other[-1])
    assert "CONV 32 3x3 same step 2" in one[0]
    assert one[-1] == "CONV 1280 1x1 -> BN -> RELU6"


def test_no_layer_in_front_of_a_bn_has_a_bias() -> None:
    for name in BACKBONES:
        convs = [step for step in made(name).steps if isinstance(step.layer, Conv)]
        assert convs
        assert not any(step.bias for step in convs)


# --- the pretrained weights under our names


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_files_arrays_take_the_plans_names_and_shapes(name: str) -> None:
    found = made(name, size=64, n_classes=3)
    given = pretrained(found)
    head = {f"fc1/{part}" for part in ("kernel", "bias")}
    assert {*given} == {*found.weight_shapes} - head
    check(found, given | {each: np.zeros(found.weight_shapes[each], np.float32) for each in head})
    assert sum(array.size for array in given.values()) - N_SCALING == (
        PUBLISHED[name][0] - 1280 * 1000 - 1000
    )


def test_kernels_are_turned_and_norms_renamed() -> None:
    theirs, ours = load("efficientnet-lite0"), pretrained(made("efficientnet-lite0", n_classes=2))
    stem, first = theirs["_conv_stem.weight"], theirs["_blocks.0._depthwise_conv.weight"]
    np.testing.assert_array_equal(ours["conv1/kernel"], stem.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(ours["dwconv1/kernel"], first.transpose(2, 3, 0, 1))
    parts = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    for mine, theirs_name in parts.items():
        np.testing.assert_array_equal(ours[f"bn2/{mine}"], theirs[f"_bn0.{theirs_name}"])
    assert all(array.flags.c_contiguous for array in ours.values())


def test_the_averages_of_stages_need_no_weights() -> None:
    text = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0{} -> FC"
    bare, wide = (plan(parse(text.format(more)), 2) for more in ("", " stages 4"))
    assert {*pretrained(bare)} == {*pretrained(wide)}


def test_a_plan_without_a_backbone_has_no_pretrained_weights() -> None:
    assert pretrained(plan(parse("INPUT 8x8x3 -> CONV 4 3x3 -> BN -> RELU -> FC"), 2)) == {}


def test_the_bn_behind_input_scales_pixels_as_these_weights_were_trained() -> None:
    found = made("efficientnet-lite0", size=32, n_classes=2)
    given = pretrained(found)
    scaling = {name: given[f"bn1/{name}"] for name in ("gamma", "beta", "mean", "variance")}
    alone = plan(parse("INPUT 16x16x3 -> BN -> FC"), 2)
    head = {
        name: np.zeros(alone.weight_shapes[name], np.float32) for name in ("fc1/kernel", "fc1/bias")
    }
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    maps = run_onnx(alone, {f"bn1/{k}": v for k, v in scaling.items()} | head, pixels)["maps"]
    wanted = (pixels.astype(np.float64) - 127) / 128
    np.testing.assert_allclose(maps.transpose(0, 2, 3, 1), wanted, rtol=0, atol=1e-6)
    deviation = math.sqrt(float(scaling["variance"][0]) + BN_EPSILON)
    assert deviation == pytest.approx(128 / 255, abs=1e-7)


CHANGES = (
    "a module less",
    "an array less",
    "another shape",
    "too few axes",
    "another name",
    "other order",
    "nothing at all",
)


def changed(arrays: dict[str, Any], change: str) -> dict[str, Any]:
    """Return what a package of other content could hold."""
    names = list(arrays)
    if change == "a module less":
        return {name: arrays[name] for name in names if not name.startswith("_bn1.")}
    if change == "an array less":
        return {name: arrays[name] for name in names if name != "_blocks.3._bn1.bias"}
    if change == "another shape":
        return arrays | {"_conv_stem.weight": arrays["_conv_stem.weight"][:, :, :2]}
    if change == "too few axes":
        return arrays | {"_conv_stem.weight": arrays["_conv_stem.weight"].reshape(32, -1)}
    if change == "another name":
        return {name.replace("_bn0.weight", "_bn0.scale"): arrays[name] for name in names}
    if change == "other order":
        return {name: arrays[name] for name in reversed(names)}
    return {}


@pytest.mark.parametrize("change", CHANGES)
def test_a_package_of_other_content_is_refused(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = changed(load("efficientnet-lite0"), change)
    monkeypatch.setattr(weights_module, "load", lambda name: arrays)
    with pytest.raises(BundleError, match="efficientnet-lite0 do not fit its layer list") as caught:
        pretrained(made("efficientnet-lite0", size=32, n_classes=2))
    assert caught.value.code == "weights-mismatch"


def test_weights_of_another_variant_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = load("efficientnet-lite1")
    monkeypatch.setattr(weights_module, "load", lambda name: arrays)
    with pytest.raises(BundleError, match="do not fit its layer list"):
        pretrained(made("efficientnet-lite2", size=32, n_classes=2))


# --- held against the reference implementation


def features_of(name: str) -> NDArray[np.float32]:
    found = made(name, n_classes=2)
    given = dict(initial(found, seed=0)) | pretrained(found)
    return run_onnx(found, given, golden.picture(BACKBONES[name].size)[None])["features"][0]


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(golden.FILE).read_text(encoding="utf-8"))
    return found


def test_the_recorded_numbers_say_what_made_them(recorded: dict[str, Any]) -> None:
    assert {*recorded["made_by"]} == {*golden.VERSIONS}
    assert {*recorded["features"]} == {*BACKBONES} == {*PRETRAINED}
    for name, (size, file) in golden.FILES.items():
        assert (size, file) == (BACKBONES[name].size, PRETRAINED[name].path_in_package)


@pytest.mark.parametrize("name", BACKBONES)
def test_features_are_those_of_the_reference_implementation(
    name: str, recorded: dict[str, Any]
) -> None:
    wanted = recorded["features"][name]
    found = golden.summary(features_of(name))
    assert wanted["size"] == BACKBONES[name].size
    np.testing.assert_allclose(found["first"], wanted["first"], rtol=0, atol=1e-4)
    assert found["mean"] == pytest.approx(wanted["mean"], abs=1e-4)
    assert found["norm"] == pytest.approx(wanted["norm"], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_feature_is_that_of_the_reference_implementation(name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    np.testing.assert_allclose(features_of(name), golden.reference(name), rtol=0, atol=1e-4)
