"""The weights a training starts from, and the check that guards every door."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.errors import BundleError
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import Plan, plan
from fieldmark.networks.weights import check, initial
from tests.networks.strategies import Case, cases

TEXT = "INPUT 12x12x3 -> CONV 8 3x3 -> BN -> RELU -> DWCONV 3x3 -> RELU -> FC 16 -> RELU -> FC"


def made(text: str = TEXT) -> Plan:
    return plan(parse(text), 2)


def packed(weights: dict[str, NDArray[np.float32]]) -> bytes:
    return b"".join(name.encode() + weights[name].tobytes() for name in weights)


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_bytes_for_any_list(case: Case, seed: int) -> None:
    found = plan(case.network, case.n_classes)
    weights = initial(found, seed=seed)
    assert packed(weights) == packed(initial(found, seed=seed))
    assert all(array.dtype == np.float32 for array in weights.values())
    check(found, weights)


def test_a_kernels_draw_stays_the_same_in_every_version() -> None:
    """The numbers were recorded once; another start would make old runs unrepeatable."""
    kernel = initial(made(), seed=7)["fc2/kernel"]
    recorded = [0.22433093190193176, 0.2308119684457779, -0.4535253345966339]
    assert kernel.ravel()[:3].tolist() == pytest.approx(recorded, rel=1e-6)


def test_another_seed_gives_other_kernels() -> None:
    one, other = initial(made(), seed=1), initial(made(), seed=2)
    for name, array in one.items():
        assert (array != other[name]).any() == name.endswith("/kernel")


def test_adding_a_layer_leaves_the_others_as_they_were() -> None:
    longer = made(TEXT.replace("FC 16 -> RELU", "DROPOUT 0.5 -> FC 16 -> RELU -> BN"))
    before, after = initial(made(), seed=3), initial(longer, seed=3)
    assert all((before[name] == after[name]).all() for name in before)
    assert set(after) - set(before) == {f"bn2/{n}" for n in ("gamma", "beta", "mean", "variance")}


def test_layers_of_one_shape_start_differently() -> None:
    found = initial(made("INPUT 8x8x3 -> [CONV 3 3x3]*2 -> FC"), seed=0)
    assert (found["conv1/kernel"] != found["conv2/kernel"]).any()


def test_kernels_fill_glorots_interval_and_the_rest_is_neutral() -> None:
    found = initial(made("INPUT 64x64x3 -> CONV 64 5x5 -> BN -> DWCONV 9x9 -> FC 32 -> FC"), seed=0)
    limits = {
        "conv1/kernel": math.sqrt(6 / (25 * 3 + 25 * 64)),
        "dwconv1/kernel": math.sqrt(6 / (81 * 64 + 81)),
        "fc1/kernel": math.sqrt(6 / (52 * 52 * 64 + 32)),
    }
    for name, limit in limits.items():
        largest = float(np.abs(found[name]).max())
        assert 0.99 * limit < largest <= np.float32(limit)
        assert abs(float(found[name].mean())) < 0.05 * limit
    assert {float(found[f"bn1/{name}"].min()) for name in ("gamma", "variance")} == {1.0}
    assert all(
        not found[name].any() for name in ("bn1/beta", "bn1/mean", "dwconv1/bias", "fc1/bias")
    )


def spoiled(name: str, array: NDArray[np.float32] | None) -> dict[str, NDArray[np.float32]]:
    weights = dict(initial(made(), seed=0))
    if array is None:
        del weights[name]
    else:
        weights[name] = array
    return weights


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("conv1/kernel", None, r"do not belong to this layer list.*conv1/kernel"),
        ("conv9/kernel", np.zeros(3, np.float32), r"do not belong.*conv9/kernel"),
        ("fc2/bias", np.zeros(3, np.float32), r"do not belong.*fc2/bias.*\(3,\)"),
        ("fc2/kernel", np.zeros((2, 16), np.float32), r"do not belong.*fc2/kernel"),
        ("fc2/bias", np.array([0, np.nan], np.float32), r"not finite numbers: \['fc2/bias'\]"),
        ("bn1/gamma", np.full(8, np.inf, np.float32), r"not finite numbers: \['bn1/gamma'\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    name: str, array: NDArray[np.float32] | None, message: str
) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        check(made(), spoiled(name, array))
    assert caught.value.code == "weights-mismatch"
    assert caught.value.hint
