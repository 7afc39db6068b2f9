"""Decisions of a model file: what is accepted, what is not, and why, in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fieldmark import bundle
from fieldmark.errors import BundleError
from fieldmark.evaluation.decision import margins
from fieldmark.evaluation.unknown import Familiar, distances
from fieldmark.inference.judging import Judge
from fieldmark.inference.predictor import Predictor
from fieldmark.inference.runtime import Outputs, open_runtime
from tests.inference.conftest import RawPixels

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle_v3.fieldmark"


@pytest.fixture(scope="module")
def held():
    return bundle.read(GOLDEN)


@pytest.fixture
def deciding(held):
    return Predictor(held, open_runtime(held.onnx, threads=1), modality=RawPixels())


def given(held, logits, strangeness=0.0) -> Outputs:
    """Outputs of which the first class's mean is the features, or far from it."""
    n, means = len(logits), bundle.read(GOLDEN).unknown["means"]
    features = np.repeat(means[:1], n, axis=0)
    if strangeness:
        features = -features
    return Outputs(logits=np.asarray(logits, np.float32), features=features)


def said(held, logits, **changes):
    judge = Judge(held)
    judged = judge.judged(given(held, logits, **changes), len(logits))
    return judged.decisions, [judge.reason(judged, at) for at in range(len(logits))]


def test_what_is_clear_enough_is_accepted_and_the_rest_is_unsure(held):
    decisions, reasons = said(held, [[4.0, 0.0, 0.0], [4.0, 2.5, 0.0], [1.9, 0.0, 0.0]])
    assert decisions[:2] == ("accept", "unsure")
    assert reasons[0] == "It is as clear as the answers with at most 5 % errors."
    # exp(1.5 / 1.5) and exp(1.9 / 1.5): leads as ratios of calibrated scores.
    assert reasons[1] == (
        "avocet scores 2.72 times as much as heron; 3.55 times is needed for at most 5 % errors."
    )


def test_what_is_unlike_all_that_is_known_is_unknown_however_clear(held):
    decisions, reasons = said(held, [[40.0, 0.0, 0.0]], strangeness=1.0)
    assert decisions == ("unknown",)
    assert reasons[0].startswith("It is unlike the pictures the model knows: ")
    assert reasons[0].endswith("times as far from them as 98 % of them are.")


def test_where_nothing_could_be_promised_nothing_is_accepted(held):
    accept = {"margin": None, "error": None, "confidence": 0.95, "text": "Too few pictures."}
    poor = dataclasses.replace(held, decision=held.decision | {"accept": accept})
    assert said(poor, [[40.0, 0.0, 0.0]]) == (("unsure",), ["Too few pictures."])


def test_an_older_file_decides_nothing_and_says_so(held):
    old = dataclasses.replace(held, decision={"temperature": 1.5}, unknown={})
    decisions, reasons = said(old, [[40.0, 0.0, 0.0]], strangeness=1.0)
    assert decisions == (None,)
    assert "does not say" in reasons[0]
    assert Judge(old).outputs == ("logits",)


def test_the_decisions_of_pictures_follow_from_logits_and_features(held, deciding, tiny):
    pixels = tiny.pixels(40)
    found = deciding.judge(pixels, batch=7, features=True)
    outputs = deciding.runtime.run(pixels, ("logits", "features"))
    known = Familiar(**held.unknown)
    np.testing.assert_allclose(
        found.strangeness, distances(known, outputs.features) / 2.0, rtol=1e-4
    )
    far, clear = found.strangeness >= 1, margins(outputs.logits) >= 1.9
    expected = np.where(far, "unknown", np.where(clear, "accept", "unsure"))
    assert list(found.decisions) == expected.tolist()
    np.testing.assert_allclose(found.features, outputs.features, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.scores, deciding.scores(pixels))


def test_an_answer_says_all_of_it(deciding, raw_files):
    answer = deciding.predict(raw_files(1)[0], sets=True)
    assert answer.decision in ("accept", "unsure", "unknown")
    assert answer.reason
    assert answer.ood is not None
    assert answer.ood.flag == (answer.ood.score >= 1) == (answer.decision == "unknown")
    assert answer.members == answer.scores[: len(answer.members)]
    told = answer.to_dict()
    assert told["ood"] == {"score": round(answer.ood.score, 4), "flag": answer.ood.flag}
    assert told["set"][0]["label"] == answer.label
    assert "set" not in deciding.predict(raw_files(1)[0]).to_dict()


def test_many_files_are_decided_as_one_is(deciding, raw_files):
    paths = raw_files(5)
    together = list(deciding.predict_files(paths, batch=2, sets=True))
    assert together == [deciding.predict(path, sets=True) for path in paths]


def test_a_set_holds_all_that_is_near_the_first(held):
    judge = Judge(held)
    judged = judge.judged(given(held, [[3.0, 1.9, 1.7], [9.0, 0.0, 0.0]]), 2)
    names = [[entry.label for entry in judge.members(judged, at)] for at in range(2)]
    assert names == [list(held.classes[:2]), list(held.classes[:1])]


def test_without_a_rule_there_is_no_set(held):
    lean = {key: value for key, value in held.decision.items() if key != "sets"}
    judge = Judge(dataclasses.replace(held, decision=lean))
    judged = judge.judged(given(held, [[3.0, 1.9, 1.7]]), 1)
    assert judge.members(judged, 0) is None


@pytest.mark.parametrize("kind", ["none", "narrow", "endless"])
def test_features_that_do_not_fit_are_refused(held, kind):
    good = given(held, [[1.0, 0.0, 0.0]])
    features = {
        "none": None,
        "narrow": good.features[:, 1:],
        "endless": np.full_like(good.features, np.inf),
    }[kind]
    with pytest.raises(BundleError, match="finite features") as caught:
        Judge(held).judged(dataclasses.replace(good, features=features), 1)
    assert caught.value.code == "model-damaged"


def test_no_pictures_give_no_decisions(deciding, tiny):
    found = deciding.judge(tiny.pixels(1)[:0])
    assert (found.scores.shape, found.decisions) == ((0, 3), ())
    assert found.features is None
