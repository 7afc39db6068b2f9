"""BACKBONE: how it is written, where it may stand, what is planned for it; and plans cut in two."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.errors import LayerListError
from fieldmark.networks import cutting, keras_model
from fieldmark.networks.backbones import BACKBONES, stage_items
from fieldmark.networks.hints import find
from fieldmark.networks.layer_table import layer_table
from fieldmark.networks.layers import Backbone, Dense, Dropout, Flatten, GlobalPool, Input, Network
from fieldmark.networks.parser import parse
from fieldmark.networks.sight import sights
from fieldmark.networks.steps import Concat, Plan
from fieldmark.networks.volumes import plan
from fieldmark.networks.weights import initial
from tests.networks.strategies import random_pixels, random_weights
from tests.networks.test_keras_and_onnx import run_onnx

quiet = settings(deadline=None)
LITE0 = "efficientnet-lite0"
START = "INPUT 32x32x3 -> "


def made(text: str, n_classes: int = 3) -> Plan:
    return plan(parse(text), n_classes)


def refused(text: str) -> LayerListError:
    with pytest.raises(LayerListError, match=r"\[layer-list\]") as caught:
        plan(parse(text), 2)
    assert caught.value.hint
    return caught.value


def marked(error: LayerListError) -> str:
    line, mark = error.where.split("\n")
    return line[len(mark) - 1 :]


# --- how it is written

odd = st.text(st.characters(exclude_characters='"\n', exclude_categories=["Cs"]), min_size=1)
plain = st.from_regex(r"(keras|onnx):[A-Za-z0-9_./\\~+@-]{1,12}", fullmatch=True)
likely = st.sampled_from([*BACKBONES, "stages", "same", "32", "a-", "a->b", "#", "C:\\m.onnx", "."])


@quiet
@given(st.one_of(odd, plain, likely), st.integers(0, 7))
def test_any_source_is_read_back_as_it_was_printed(source: str, stages: int) -> None:
    network = Network(Input(8, 8, 3), (Backbone(source, stages), Dropout(0.1), Dense()))
    assert parse(str(network)) == network
    assert str(parse(str(network))) == str(network)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("backbone efficientnet-lite0", "BACKBONE efficientnet-lite0"),
        ("BACKBONE efficientnet-lite0 STAGES 04", "BACKBONE efficientnet-lite0 stages 4"),
        ('BACKBONE "efficientnet-lite0" stages 4', "BACKBONE efficientnet-lite0 stages 4"),
        ('BACKBONE "my model.onnx"', 'BACKBONE "my model.onnx"'),
        ('BACKBONE "a -> # b"', 'BACKBONE "a -> # b"'),
    ],
)
def test_there_is_one_way_to_print_it(written: str, printed: str) -> None:
    assert str(parse(f"{START}{written} -> FC")) == f"{START}{printed} -> FC"


def test_the_case_of_a_source_is_kept() -> None:
    assert parse(START + "backbone keras:ResNet50 -> fc").items[0] == Backbone("keras:ResNet50")


# --- where it may stand


@pytest.mark.parametrize(
    ("text", "what", "at"),
    [
        (START + "BACKBONE -> FC", "BACKBONE needs a name", "BACKBONE -> FC"),
        (START + f"BACKBONE {LITE0} 4 -> FC", "'4' is one word too many", "4 -> FC"),
        (START + f"BACKBONE {LITE0} stages -> FC", "needs a number after 'stages'", "BACKBONE"),
        (START + f"BACKBONE {LITE0} stages 0 -> FC", "'0' is no whole number", "0 -> FC"),
        (START + f"BACKBONE {LITE0} stages 8 -> FC", "has 7 stages; 8 are asked for", "BACKBONE"),
        (START + "BACKBONE resnet -> FC", "There is no backbone 'resnet'", "BACKBONE resnet"),
        (START + 'BACKBONE "" -> FC', "The character '\"' has no meaning", '"" -> FC'),
        (START + 'BACKBONE "a -> FC', "The character '\"' has no meaning", '"a -> FC'),
        (START + f"RELU -> BACKBONE {LITE0} -> FC", "right behind INPUT", "BACKBONE"),
        (START + f"[BACKBONE {LITE0}]*2 -> FC", "right behind INPUT", "BACKBONE"),
        (START + f"{{BACKBONE {LITE0}}} -> FC", "takes 32x32x3 and gives 1280", "{BACKBONE"),
        (f"INPUT 32x32x1 -> BACKBONE {LITE0} -> FC", "wants colours; 32x32x1 stands", "BACKBONE"),
        (START + f"BACKBONE {LITE0}", "The last layer is not FC", "BACKBONE"),
        (START + f"BACKBONE {LITE0} -> CONV 8 1x1 -> FC", "a list of 1280 numbers", "CONV 8"),
    ],
)
def test_a_backbone_that_cannot_be_is_pointed_at(text: str, what: str, at: str) -> None:
    error = refused(text)
    assert what in error.what
    assert marked(error).startswith(at)


def test_what_does_not_fit_inside_of_it_is_pointed_at_by_its_word() -> None:
    error = refused(f"INPUT 2048x2048x3 -> BACKBONE {LITE0} -> FC")
    assert "hold over 100,000,000 numbers" in error.what
    assert marked(error) == f"BACKBONE {LITE0} -> FC"


def test_the_known_ones_are_named_where_one_is_unknown() -> None:
    hint = refused(START + "BACKBONE lite -> FC").hint
    assert hint.startswith(f"known: {', '.join(BACKBONES)}")


def test_the_smallest_picture_passes_through() -> None:
    found = made(f"INPUT 1x1x3 -> BACKBONE {LITE0} stages 7 -> FC")
    assert all(found.steps[at].output[:2] == (1, 1) for at in found.backbone.ends)  # type: ignore[union-attr]


# --- what is planned


@pytest.mark.parametrize("name", BACKBONES)
def test_it_stands_before_everything_else_and_ends_in_the_features(name: str) -> None:
    found = made(f"{START}BACKBONE {name} -> DROPOUT 0.1 -> FC")
    span = found.backbone
    assert span is not None
    assert (span.source, len(span.ends)) == (name, BACKBONES[name].n_stages + 2)
    assert [step.name for step in found.steps[span.stop - 1 :]] == ["gap1", "dropout1", "fc1"]
    assert found.steps[span.stop - 1].output == (1280,)
    assert found.steps[span.stop - 1].sources == (span.ends[-1],)
    assert found.maps_at == span.ends[-1]
    assert found.size_free


@pytest.mark.parametrize("stages", [1, 4, 7])
def test_stages_put_the_averages_of_the_last_ones_behind_the_features(stages: int) -> None:
    found = made(f"{START}BACKBONE {LITE0} stages {stages} -> FC")
    span = found.backbone
    assert span is not None
    joined = found.steps[found.features_at]
    assert isinstance(joined.layer, Concat)
    read = [found.steps[at] for at in joined.sources]
    assert all(step.layer == GlobalPool("mean") for step in read)
    widths = [step.output[0] for step in read]
    assert widths == [1280, *[320, 192, 112, 80, 40, 24, 16][:stages]]
    assert joined.output == (sum(widths),)
    assert [step.sources[0] for step in read] == [span.ends[-1], *span.ends[-2:0:-1][:stages]]


def test_a_prefix_of_the_features_does_not_depend_on_how_many_stages_follow() -> None:
    """Heads of different widths are compared on one set of rows."""
    wide, bare = (
        made(f"{START}BACKBONE {LITE0} stages 4 -> FC"),
        made(f"{START}BACKBONE {LITE0} -> FC"),
    )
    pixels = random_pixels(bare, 2, 0)
    features = [run_onnx(each, initial(each, seed=1), pixels)["features"] for each in (wide, bare)]
    np.testing.assert_allclose(features[0][:, :1280], features[1], atol=1e-6)
    assert features[0].shape == (2, 1280 + 320 + 192 + 112 + 80)


def test_the_layers_of_a_stage_are_lists_of_the_language() -> None:
    for name, known in BACKBONES.items():
        assert len(stage_items(name)) == len(known.stages) == known.n_stages + 2
        for items, text in zip(stage_items(name), known.stages, strict=True):
            assert " -> ".join(str(item) for item in items) == text


# --- what is said about it


def test_its_narrow_layers_without_relu_give_no_hint() -> None:
    found = made(f"INPUT 224x224x3 -> BACKBONE {LITE0} stages 4 -> FC")
    assert find(found, sights(found)) == ()


def test_two_linear_layers_behind_it_are_still_noticed() -> None:
    found = made(f"INPUT 224x224x3 -> BACKBONE {LITE0} -> FC 8 -> FC")
    assert [(hint.code, hint.step) for hint in find(found, sights(found))] == [
        ("net-nothing-between", "fc2")
    ]


def test_its_table_counts_every_layer_and_shows_the_joined_lists() -> None:
    found = made(f"{START}BACKBONE {LITE0} stages 2 -> FC")
    table = layer_table(found, name="features")
    assert table.n_weights == found.n_weights
    joined = next(row for row in table.rows if row.kind == "CONCAT")
    assert (joined.number, joined.weights, joined.output_shape) == (None, 0, (1280 + 320 + 192,))
    assert all(len(line) <= 80 for line in table.lines())
    assert re.search(r"CONCAT +lists in a row +1792 +0", str(table))


def test_averages_see_what_the_maps_they_read_see() -> None:
    found = made(f"INPUT 224x224x3 -> BACKBONE {LITE0} stages 1 -> FC")
    seen = sights(found)
    assert seen[found.features_at].field == (224, 224)


# --- cutting

CUT = (
    "INPUT 16x16x3 -> CONV 4 3x3 same -> BN -> RELU -> {CONV 4 3x3 same -> BN} -> POOL 2x2 -> "
    "CONV 6 3x3 -> BN -> RELU6 -> GAP -> DROPOUT 0.5 -> FC"
)


def halves_agree(whole: Plan, at: int, seed: int) -> None:
    """Hold the graph of the whole against that of the front, and Keras of the back on its maps."""
    weights = random_weights(whole, seed)
    pixels = random_pixels(whole, 2, seed)
    before, behind = cutting.front(whole, at), cutting.back(whole, at)
    given = weights | {name: np.zeros(s, np.float32) for name, s in before.weight_shapes.items()}
    given |= {name: weights[name] for name in before.weight_shapes if name in weights}
    kept = {name: given[name] for name in before.weight_shapes}
    maps = run_onnx(before, kept, pixels)["maps"].transpose(0, 2, 3, 1)
    assert maps.shape[1:] == behind.input == whole.steps[at].output
    model = keras_model.build(behind, {name: weights[name] for name in behind.weight_shapes})
    assert model.inputs[0].dtype == "float32"
    logits = np.asarray(model(maps, training=False))
    wanted = run_onnx(whole, weights, pixels)["logits"]
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(logits, wanted, rtol=0, atol=1e-5 * scale)


CUTTABLE = ("conv1", "bn1", "relu1", "add1", "pool1", "conv3", "relu6_1")


@pytest.mark.parametrize("name", CUTTABLE)
def test_the_front_and_the_back_of_a_list_are_the_whole(name: str) -> None:
    whole = made(CUT)
    at = [step.name for step in whole.steps].index(name)
    halves_agree(whole, at, seed=at)


def test_weights_belong_to_the_front_or_to_the_back() -> None:
    whole = made(CUT)
    for at in range(6):
        names = {*cutting.front(whole, at).weight_shapes} - {"unused/kernel", "unused/bias"}
        if at not in (3, 4):  # inside of the block
            behind = {*cutting.back(whole, at).weight_shapes}
            assert names | behind == {*whole.weight_shapes}
            assert not names & behind


@pytest.mark.parametrize("name", ["conv2", "bn2"])
def test_a_cut_that_is_read_across_is_refused(name: str) -> None:
    whole = made(CUT)
    at = [step.name for step in whole.steps].index(name)
    with pytest.raises(ValueError, match=f"steps behind {name} read what lies before it"):
        cutting.back(whole, at)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_end_of_a_stage_is_where_the_backbone_can_be_cut(name: str) -> None:
    whole = made(f"{START}BACKBONE {name} -> FC")
    assert whole.backbone is not None
    for at in whole.backbone.ends:
        behind = cutting.back(whole, at)
        assert behind.input == whole.steps[at].output
        assert behind.backbone is cutting.front(whole, at).backbone is None
        assert len(behind.steps) + at + 1 == len(whole.steps)


def test_averages_of_stages_are_read_across_a_later_cut() -> None:
    whole = made(f"{START}BACKBONE {LITE0} stages 2 -> FC")
    assert whole.backbone is not None
    stem, *stages, head = whole.backbone.ends
    for at in (stem, *stages[:-2], stages[-2]):
        assert cutting.back(whole, at).input == whole.steps[at].output
    for at in (stages[-1], head):
        with pytest.raises(ValueError, match="read what lies before it"):
            cutting.back(whole, at)


def test_the_halves_of_a_backbone_are_the_whole() -> None:
    whole = made(f"{START}BACKBONE {LITE0} stages 2 -> FC")
    assert whole.backbone is not None
    halves_agree(whole, whole.backbone.ends[5], seed=2)


def test_a_back_of_any_size_takes_larger_maps() -> None:
    whole = made(CUT)
    behind = cutting.back(whole, 6)
    assert not any(isinstance(step.layer, Flatten) for step in behind.steps)
    model = keras_model.build(behind, initial(behind, seed=0), any_size=True)
    height, width, maps = behind.input
    assert model(np.zeros((2, height + 3, width + 1, maps), np.float32)).shape == (2, 3)
