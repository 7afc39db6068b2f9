from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from fieldmark.errors import GateError, ParityError
from fieldmark.export import TOLERANCE, export
from fieldmark.networks import keras_model
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import Plan, plan
from fieldmark.networks.weights import initial
from fieldmark.training.loop import answer

LISTS = {
    "three classes": ("INPUT 8x8x3 -> CONV 4 3x3 -> BN -> RELU -> POOL 2x2 -> FC", 3),
    "one sigmoid": ("INPUT 8x8x3 -> CONV 4 3x3 -> RELU -> GAP -> FC 1", 2),
}


class Trained:
    """A network with its weights, pictures, and what Keras answers on them."""

    def __init__(self, text: str = LISTS["three classes"][0], n_classes: int = 3) -> None:
        self.plan: Plan = plan(parse(text), n_classes)
        self.weights = initial(self.plan, seed=1)
        drawn = np.random.default_rng(0)
        shape = (9, *self.plan.input)
        self.pixels: NDArray[np.uint8] = drawn.integers(0, 256, shape, dtype=np.uint8)
        self.logits = answer(keras_model.build(self.plan, self.weights), self.pixels)

    @property
    def scores(self) -> NDArray[np.float64]:
        raised = np.exp(self.logits.astype(np.float64))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("text", "n_classes"), LISTS.values(), ids=LISTS)
def test_the_graph_answers_as_the_trained_network(text: str, n_classes: int) -> None:
    made = Trained(text, n_classes)
    found = export(made.plan, made.weights, pixels=made.pixels, logits=made.logits)
    assert found.n_pictures == 9
    assert found.scores.shape == (9, n_classes)
    np.testing.assert_allclose(found.scores, made.scores, atol=1e-5)
    difference = np.abs(found.scores - made.scores).max()
    assert found.largest_difference == pytest.approx(difference, abs=1e-9)
    assert 0 <= found.largest_difference < 1e-5


def test_what_is_exported_is_an_onnx_graph() -> None:
    made = Trained()
    found = export(made.plan, made.weights, pixels=made.pixels, logits=made.logits)
    graph = onnx.load_model_from_string(found.onnx)
    onnx.checker.check_model(graph, full_check=True)
    assert [each.name for each in graph.graph.input] == ["pixels"]
    assert {"scores", "logits"} <= {each.name for each in graph.graph.output}


def test_logits_that_are_off_are_refused_with_the_picture_and_the_size() -> None:
    made = Trained()
    wrong = made.logits.copy()
    wrong[6, 1] += 0.5
    wrong[2, 1] += 0.01
    with pytest.raises(
        ParityError, match=r"differs from the trained one by 0\.\d+ in a score"
    ) as caught:
        export(made.plan, made.weights, pixels=made.pixels, logits=wrong)
    error = caught.value
    assert isinstance(error, GateError)
    assert (error.code, error.exit_status) == ("parity", 4)
    assert error.where == "picture 6 of 9 validation pictures"
    assert "0.001" in error.why
    assert "no model file was written" in error.hint


def test_other_weights_than_those_that_answered_are_refused() -> None:
    made = Trained()
    with pytest.raises(ParityError, match="differs from the trained one"):
        export(made.plan, initial(made.plan, seed=2), pixels=made.pixels, logits=made.logits)


def test_the_gate_opens_up_to_the_tolerance() -> None:
    made = Trained()
    off = made.logits.copy()
    off[0, 0] += 0.002
    difference = float(np.abs(Trained().scores[0] - softmax(off[0])).max())
    assert 1e-4 < difference < TOLERANCE
    given = {"pixels": made.pixels, "logits": off}
    found = export(made.plan, made.weights, **given)
    assert found.largest_difference == pytest.approx(difference, rel=0.01)
    with pytest.raises(ParityError, match="differs"):
        export(made.plan, made.weights, **given, tolerance=difference / 2)


def softmax(row: NDArray[np.float32]) -> NDArray[np.float64]:
    raised = np.exp(row.astype(np.float64))
    return np.asarray(raised / raised.sum())


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_an_answer_that_is_not_a_number_never_passes(poison: float) -> None:
    made = Trained()
    wrong = made.logits.copy()
    wrong[3, 0] = poison
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(ParityError, match="by nan in a score"),
    ):
        export(made.plan, made.weights, pixels=made.pixels, logits=wrong)


def test_logits_moved_by_one_constant_are_the_same_scores() -> None:
    made = Trained()
    moved = made.logits + np.float32(3)
    found = export(made.plan, made.weights, pixels=made.pixels, logits=moved)
    assert found.largest_difference < 1e-5
