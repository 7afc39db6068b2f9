"""The cheaper order: what moves, and what must stay where it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from fieldmark.networks.layers import Activation, Pool
from fieldmark.networks.parser import parse
from fieldmark.networks.rewrites import Bias, Operation, operations
from fieldmark.networks.volumes import plan
from tests.networks.strategies import Case, cases


def ordered(body: str) -> list[Operation]:
    return list(operations(plan(parse(f"INPUT 16x16x3 -> {body} -> FC"), 2)))


def names(body: str) -> str:
    return " ".join(operation.name for operation in ordered(body)[:-2])


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ("CONV 4 3x3 -> RELU -> POOL 2x2", "conv1 pool1 conv1_bias relu1"),
        ("CONV 4 3x3 -> SIGMOID -> POOL 2x2", "conv1 pool1 conv1_bias sigmoid1"),
        ("CONV 4 3x3 -> RELU6 -> POOL 3x3 same step 2", "conv1 pool1 conv1_bias relu6_1"),
        ("DWCONV 3x3 -> RELU -> POOL 2x2", "dwconv1 pool1 dwconv1_bias relu1"),
        ("CONV 4 3x3 -> POOL 2x2", "conv1 pool1 conv1_bias"),
        ("CONV 4 3x3 -> BN -> RELU -> POOL 2x2", "conv1 bn1 pool1 relu1"),
        ("RELU -> POOL 2x2", "pool1 relu1"),
        ("CONV 4 3x3 -> RELU -> POOL 2x2 -> POOL 2x2", "conv1 pool1 conv1_bias pool2 relu1"),
        (
            "[CONV 4 3x3 -> RELU -> POOL 2x2]*2",
            "conv1 pool1 conv1_bias relu1 conv2 pool2 conv2_bias relu2",
        ),
        ("{CONV 3 1x1} -> RELU -> POOL 2x2", "conv1 add1 pool1 relu1"),
        ("{CONV 3 1x1 -> POOL 2x2 same step 1}", "conv1 pool1 conv1_bias add1"),
    ],
)
def test_a_pool_comes_before_activation_and_bias(body: str, order: str) -> None:
    assert names(body) == order


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ("CONV 4 3x3 -> RELU -> AVGPOOL 2x2", "conv1 relu1 avgpool1"),
        ("CONV 4 3x3 -> BN -> POOL 2x2", "conv1 bn1 pool1"),
        ("CONV 4 3x3 -> DROPOUT 0.5 -> POOL 2x2", "conv1 dropout1 pool1"),
        ("POOL 2x2", "pool1"),
        # The block's sum reads the activation (or the CONV) as well.
        ("RELU -> {POOL 2x2 same step 1}", "relu1 pool1 add1"),
        ("CONV 4 3x3 -> RELU -> {POOL 2x2 same step 1}", "conv1 relu1 pool1 add1"),
        ("CONV 4 3x3 -> {POOL 2x2 same step 1}", "conv1 pool1 add1"),
        ("CONV 4 3x3 -> {RELU -> POOL 2x2 same step 1}", "conv1 pool1 relu1 add1"),
    ],
)
def test_what_does_not_commute_or_is_read_twice_stays(body: str, order: str) -> None:
    assert names(body) == order


def test_a_conv_read_twice_keeps_its_bias() -> None:
    conv = ordered("CONV 4 3x3 -> {RELU -> POOL 2x2 same step 1}")[0]
    assert conv.bias


def test_a_bias_added_later_is_not_added_twice() -> None:
    found = {operation.name: operation for operation in ordered("CONV 4 3x3 -> RELU -> POOL 2x2")}
    assert not found["conv1"].bias
    assert found["conv1_bias"].layer == Bias("conv1")
    assert found["conv1_bias"].output == found["relu1"].output == (7, 7, 4)


def test_the_pools_reader_reads_what_was_moved_behind_it() -> None:
    found = {operation.name: operation for operation in ordered("CONV 4 3x3 -> RELU -> POOL 2x2")}
    assert found["flatten1"].sources == ("relu1",)


@settings(deadline=None)
@given(cases())
def test_every_operation_reads_what_was_computed_before_it(case: Case) -> None:
    made = plan(case.network, case.n_classes)
    found = operations(made)
    ready = {"pixels": made.input}
    for operation in found:
        assert all(ready[source] == operation.input for source in operation.sources)
        assert operation.name not in ready
        ready[operation.name] = operation.output
    late = {operation.layer.of for operation in found if isinstance(operation.layer, Bias)}
    kept = {operation.name for operation in found if operation.bias}
    assert not late & kept
    assert late | kept == {step.name for step in made.steps if step.bias}
    assert set(ready) - {"pixels"} - {f"{name}_bias" for name in late} == {
        step.name for step in made.steps
    }
    assert found[-1].name == made.steps[-1].name


@settings(deadline=None)
@given(cases())
def test_no_activation_is_left_before_a_pool_that_alone_reads_it(case: Case) -> None:
    found = {op.name: op for op in operations(plan(case.network, case.n_classes))}
    for operation in found.values():
        if isinstance(operation.layer, Pool) and operation.layer.reduce == "max":
            source = operation.sources[0]
            n_readers = sum(source in other.sources for other in found.values())
            before = found[source].layer if source in found else None
            assert n_readers > 1 or not isinstance(before, Activation)
