"""What volume stands where; and what is said when a layer does not fit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings

from fieldmark.errors import LayerListError
from fieldmark.networks.layers import Activation, Conv, Dense, Input, Network
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import MAX_WEIGHTS, Add, Plan, plan, resized, shown
from tests.networks.strategies import Case, Volume, cases, volume_behind_all

TWO_BLOCKS = "INPUT 64x64x3 -> [CONV 32 3x3 -> RELU -> POOL 2x2]*2 -> FC 128 -> RELU -> FC"


def made(text: str, n_classes: int = 2) -> Plan:
    return plan(parse(text), n_classes)


def refused(text: str, n_classes: int = 2) -> LayerListError:
    with pytest.raises(LayerListError, match=r"\[layer-list\]") as caught:
        plan(parse(text), n_classes)
    assert caught.value.hint
    return caught.value


def marked(error: LayerListError) -> str:
    line, mark = error.where.split("\n")
    return line[len(mark) - 1 :]


# --- what stands where


def test_the_tutorials_volumes_are_the_known_ones() -> None:
    found = made(TWO_BLOCKS, 5)
    volumes = {step.name: shown(step.output) for step in found.steps}
    assert volumes == {
        "conv1": "62x62x32",
        "relu1": "62x62x32",
        "pool1": "31x31x32",
        "conv2": "29x29x32",
        "relu2": "29x29x32",
        "pool2": "14x14x32",
        "flatten1": "6272",
        "fc1": "128",
        "relu3": "128",
        "fc2": "5",
    }
    assert found.n_weights == 813_733
    assert found.n_outputs == 5


def test_the_article_with_one_unit_for_two_classes() -> None:
    found = made("INPUT 64x64x3 -> CONV 32 3x3 -> RELU -> POOL 2x2 -> FC 128 -> RELU -> FC 1")
    assert found.n_weights == 896 + 30752 * 128 + 128 + 129
    assert (found.n_classes, found.n_outputs) == (2, 1)


@pytest.mark.parametrize(
    ("layer", "volume"),
    [
        ("CONV 8 3x3", (18, 22, 8)),
        ("CONV 8 5x1", (16, 24, 8)),
        ("CONV 8 3x3 same", (20, 24, 8)),
        ("CONV 8 3x3 step 2", (9, 11, 8)),
        ("CONV 8 3x3 same step 3", (7, 8, 8)),
        ("CONV 8 20x24", (1, 1, 8)),
        ("CONV 8 40x40 same", (20, 24, 8)),
        ("DWCONV 3x3", (18, 22, 3)),
        ("POOL 2x2", (10, 12, 3)),
        ("POOL 3x5", (6, 4, 3)),
        ("POOL 3x3 same", (7, 8, 3)),
        ("POOL 3x3 step 2", (9, 11, 3)),
        ("AVGPOOL 2x2 same step 1", (20, 24, 3)),
        ("POOL 1x1 step 4", (5, 6, 3)),
        ("GAP", (3,)),
        ("GMP", (3,)),
        ("BN", (20, 24, 3)),
        ("RELU6", (20, 24, 3)),
        ("DROPOUT 0.5", (20, 24, 3)),
        ("FLATTEN", (1440,)),
        ("FC 7", (7,)),
        ("{CONV 3 3x3 same}", (20, 24, 3)),
        ("[CONV 8 3x3]*4", (12, 16, 8)),
    ],
)
def test_every_layer_gives_its_volume(layer: str, volume: Volume) -> None:
    steps = made(f"INPUT 20x24x3 -> {layer} -> FC").steps
    assert steps[-1].layer == Dense()
    behind = steps[-2] if len(volume) == 1 else steps[-3]
    assert behind.output == volume


@settings(deadline=None)
@given(cases())
def test_any_list_that_fits_is_planned_without_gaps(case: Case) -> None:
    found = plan(case.network, case.n_classes)
    picture = (case.network.input.height, case.network.input.width, case.network.input.channels)
    assert found.input == picture
    assert found.n_outputs == case.n_outputs
    items = case.network.items
    body = items[:-2] if isinstance(items[-1], Activation) else items[:-1]
    behind = volume_behind_all(body, picture)
    assert behind is not None
    assert found.steps[-1].input == (math.prod(behind),)
    outputs = {-1: picture} | {at: step.output for at, step in enumerate(found.steps)}
    for at, step in enumerate(found.steps):
        assert all(-1 <= source < at for source in step.sources)
        assert outputs[step.sources[0]] == step.input
        assert len(step.sources) == (2 if isinstance(step.layer, Add) else 1)
        assert all(outputs[source] == step.input for source in step.sources)
    names = [step.name for step in found.steps]
    assert len(set(names)) == len(names)
    assert found.n_weights == sum(math.prod(shape) for shape in found.weight_shapes.values())


@settings(deadline=None)
@given(cases())
def test_maps_are_the_last_volume_and_features_what_the_last_fc_reads(case: Case) -> None:
    found = plan(case.network, case.n_classes)
    assert found.steps[found.features_at].output == found.steps[-1].input
    assert all(len(step.output) == 1 for step in found.steps[found.maps_at + 1 :])
    if found.maps_at >= 0:
        assert len(found.steps[found.maps_at].output) == 3


def test_maps_and_features_of_a_known_list() -> None:
    found = made(TWO_BLOCKS)
    assert found.steps[found.maps_at].name == "pool2"
    assert found.steps[found.features_at].name == "relu3"
    assert made("INPUT 8x8x3 -> FC").maps_at == -1


# --- names, weights, biases


def test_names_count_by_kind() -> None:
    names = [
        step.name
        for step in made(
            "INPUT 16x16x3 -> [CONV 3 1x1 -> RELU]*2 -> {DWCONV 3x3 same -> RELU6} -> POOL 2x2 -> "
            "AVGPOOL 2x2 -> BN -> SIGMOID -> DROPOUT 0.1 -> GMP -> FC 2 -> FC"
        ).steps
    ]
    assert names == [
        *["conv1", "relu1", "conv2", "relu2", "dwconv1", "relu6_1", "add1", "pool1", "avgpool1"],
        *["bn1", "sigmoid1", "dropout1", "gmp1", "fc1", "fc2"],
    ]


def test_weights_have_keras_shapes() -> None:
    text = "INPUT 9x9x3 -> CONV 8 3x2 -> DWCONV 2x2 -> BN -> GAP -> FC 4 -> FC"
    assert made(text).weight_shapes == {
        "conv1/kernel": (3, 2, 3, 8),
        "conv1/bias": (8,),
        "dwconv1/kernel": (2, 2, 8, 1),
        "bn1/gamma": (8,),
        "bn1/beta": (8,),
        "bn1/mean": (8,),
        "bn1/variance": (8,),
        "fc1/kernel": (8, 4),
        "fc1/bias": (4,),
        "fc2/kernel": (4, 2),
        "fc2/bias": (2,),
    }


def test_only_a_bn_right_behind_takes_the_bias_away() -> None:
    steps = made(
        "INPUT 9x9x3 -> CONV 2 1x1 -> BN -> CONV 2 1x1 -> RELU -> BN -> FC 2 -> BN -> FC"
    ).steps
    bias = {step.name: step.bias for step in steps if step.name.startswith(("conv", "fc"))}
    assert bias == {"conv1": False, "conv2": True, "fc1": False, "fc2": True}


def test_a_block_adds_what_came_in() -> None:
    steps = made("INPUT 8x8x3 -> {RELU -> {BN} -> RELU} -> GAP -> FC").steps
    sums = {step.name: step.sources for step in steps if isinstance(step.layer, Add)}
    assert sums == {"add1": (1, 0), "add2": (3, -1)}


# --- what does not fit


def test_a_window_too_large_says_the_volume_and_what_fits() -> None:
    text = "INPUT 8x10x3 -> POOL 2x2 -> CONV 8 5x5 -> FC"
    error = refused(text)
    assert error.what == "CONV 8 5x5 does not fit: the volume here is 4x5x3."
    assert error.where == f"{text}\n{' ' * text.index('CONV')}^"
    assert "cannot be larger" in error.why
    assert error.hint.startswith("at most 4x5, or same")


def test_a_repeat_that_shrinks_too_often_points_at_the_layer() -> None:
    error = refused("INPUT 16x16x3 -> [RELU -> POOL 2x2]*5 -> FC")
    assert "POOL 2x2 does not fit: the volume here is 1x1x3" in error.what
    assert marked(error).startswith("POOL 2x2]*5")


@pytest.mark.parametrize(
    ("body", "gives"), [("CONV 4 3x3 same", "8x8x4"), ("POOL 2x2", "4x4x3"), ("GAP", "3")]
)
def test_a_block_that_changes_its_volume_says_both(body: str, gives: str) -> None:
    error = refused(f"INPUT 8x8x3 -> RELU -> {{{body}}} -> FC")
    assert error.what == f"The block takes 8x8x3 and gives {gives}; the two are added."
    assert marked(error).startswith("{")


@pytest.mark.parametrize(
    ("rest", "what", "at"),
    [
        ("GAP -> CONV 8 3x3 -> FC", "CONV 8 3x3 needs rows and columns; a list of 3", "CONV"),
        ("FC 10 -> POOL 2x2 -> FC", "POOL 2x2 needs rows and columns; a list of 10", "POOL"),
        ("GAP -> GMP -> FC", "GMP needs rows and columns", "GMP"),
        ("FC -> RELU -> FC", "Only the last FC may leave its width out", "FC -> RELU"),
        ("FC -> FC", "Only the last FC may leave its width out", "FC -> FC"),
        ("FC -> FC -> SOFTMAX", "Only the last FC may leave its width out", "FC -> FC"),
        ("{FC} -> FC", "Only the last FC may leave its width out", "FC} -> FC"),
        ("SOFTMAX -> FC", "SOFTMAX stands only at the end", "SOFTMAX"),
        ("RELU", "The list ends in RELU", "RELU"),
        ("FC -> RELU6", "The list ends in RELU6", "RELU6"),
        ("FC -> BN", "The last layer is not FC", "BN"),
        ("GAP", "The last layer is not FC", "GAP"),
        ("[FC]*1", "The last layer is not FC", "[FC]*1"),
        ("SOFTMAX", "The last layer is not FC", ""),
        ("FC -> SIGMOID", "SIGMOID does not fit FC", "SIGMOID"),
        ("FC 2 -> SIGMOID", "SIGMOID does not fit FC 2", "SIGMOID"),
        ("FC 1 -> SOFTMAX", "SOFTMAX does not fit FC 1", "SOFTMAX"),
        ("FC 3", "The last FC has 3 units, but there are 2 classes", "FC 3"),
    ],
)
def test_a_list_that_makes_no_sense_is_pointed_at(rest: str, what: str, at: str) -> None:
    error = refused("INPUT 8x8x3 -> " + rest)
    assert what in error.what
    assert marked(error).startswith(at)


def test_a_list_of_nothing_has_no_fc() -> None:
    assert "The last layer is not FC" in refused("INPUT 8x8x3").what


def test_one_unit_is_for_two_classes_only() -> None:
    assert made("INPUT 8x8x3 -> FC 1").n_outputs == 1
    assert made("INPUT 8x8x3 -> FC 1 -> SIGMOID").n_outputs == 1
    error = refused("INPUT 8x8x3 -> FC 1", n_classes=3)
    assert error.what == "The last FC has 1 units, but there are 3 classes."
    assert error.hint == "leave its width out: FC"


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_the_final_activation_is_implied(n_classes: int) -> None:
    for head in ("FC", f"FC {n_classes}", "FC -> SOFTMAX", f"FC {n_classes} -> SOFTMAX"):
        found = made(f"INPUT 8x8x3 -> {head}", n_classes)
        assert [step.name for step in found.steps] == ["flatten1", "fc1"]
        assert found.n_outputs == n_classes


@pytest.mark.parametrize("n_classes", [1, 0, -3])
def test_fewer_than_two_classes_are_refused(n_classes: int) -> None:
    assert "classes leave no choice" in refused("INPUT 8x8x3 -> FC", n_classes).what


def test_weights_are_bounded() -> None:
    error = refused("INPUT 64x64x3 -> FC 100000 -> FC")
    assert f"{MAX_WEIGHTS:,} is the most" in error.what
    assert marked(error).startswith("INPUT")


def test_volumes_are_bounded_over_the_whole_list() -> None:
    text = "INPUT 512x512x3 -> [CONV 64 1x1 -> RELU]*20 -> GAP -> FC"
    assert "volumes hold over 100,000,000 numbers" in refused(text).what
    assert marked(refused("INPUT 9999x9999x1 -> CONV 2 1x1 -> FC")).startswith("CONV 2 1x1")


def test_a_list_made_by_code_is_printed_in_its_errors() -> None:
    network = Network(Input(8, 8, 3), (Conv(4, (9, 9)), Dense()))
    with pytest.raises(LayerListError, match="does not fit") as caught:
        plan(network, 2)
    assert caught.value.where == "INPUT 8x8x3 -> CONV 4 9x9 -> FC\n^"


def test_a_list_for_another_size_keeps_its_layers() -> None:
    network = resized(parse(TWO_BLOCKS), 32, 48)
    assert str(network) == TWO_BLOCKS.replace("64x64x3", "32x48x3")
    assert plan(network, 2).steps[5].output == (6, 10, 32)
