"""Training on from a solved head: what is better on validation is kept, the rest undone."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fieldmark as fm
from fieldmark import bundle
from fieldmark.networks import cutting
from fieldmark.networks.parser import parse
from fieldmark.networks.pretrained import load
from fieldmark.networks.volumes import plan
from fieldmark.training.events import Event, FineTuned, Planned, Progress, RunStarted
from fieldmark.workflow import fine_tuning, transfer
from fieldmark.workflow.fine_tuning import Score, cut_position
from tests.pictures import write_numbers
from tests.workflow.test_training import parts
from tests.workflow.test_transfer import NET

Judge = Callable[[list[tuple[float, float]]], None]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbers(
        tmp_path_factory.mktemp("few") / "data", range(8), shapes=("circle", "square")
    )


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    """Make validation say these (accuracy, log-loss) pairs, one per measurement."""
    told: list[tuple[float, float]] = []
    monkeypatch.setattr(fine_tuning, "validated", lambda *words: Score(*told.pop(0)))

    def say(scores: list[tuple[float, float]]) -> None:
        told[:] = scores

    yield say
    assert told == []


def train(data: Path, out: Path, what: str, **more: Any) -> tuple[fm.Run, list[Event]]:
    heard: list[Event] = []
    settings = (
        fm.Settings()
        .changed("run", {"out": str(out)})
        .changed("head", {"copies": 0, "folds": 2, "fine_tune": what})
        .changed("train", ({} if what == "none" else {"epochs": 1}) | more)
    )
    return fm.train(data, NET, settings=settings, listen=heard.append), heard


def said(heard: list[Event]) -> list[tuple[str, bool]]:
    return [(event.what, event.kept) for event in heard if isinstance(event, FineTuned)]


def later(log_loss: float) -> list[tuple[float, float]]:
    """Scores of the four shares of one step: the last one, all of the way, is the best."""
    return [(0.5, log_loss + 0.03), (0.5, log_loss + 0.02), (0.5, log_loss + 0.01), (0.5, log_loss)]


# --- what counts as better


@pytest.mark.parametrize(
    ("accuracy", "log_loss", "better"),
    [
        (0.9, 0.29, True),
        (0.95, 0.29, True),
        (0.9, 0.30, False),  # no surer
        (0.89, 0.1, False),  # surer, and wrong more often
        (0.95, 0.31, False),
    ],
)
def test_surer_without_being_wrong_more_often_is_better(
    accuracy: float, log_loss: float, better: bool
) -> None:
    assert Score(accuracy, log_loss).beats(Score(0.9, 0.30)) is better


rates = st.floats(0, 1)
losses = st.floats(0, 10)


@given(rates, losses, rates, losses)
def test_no_two_scores_beat_each_other(a: float, b: float, c: float, d: float) -> None:
    one, other = Score(a, b), Score(c, d)
    assert not (one.beats(other) and other.beats(one))
    assert not one.beats(one)


# --- where it is cut


@pytest.mark.parametrize(
    ("stages", "volume"),
    [
        ("", (14, 14, 112)),
        (" stages 2", (14, 14, 112)),
        (" stages 3", (14, 14, 112)),
        (" stages 4", (14, 14, 80)),
        (" stages 7", (112, 112, 16)),
    ],
)
def test_the_cut_stands_where_no_average_reads_across(
    stages: str, volume: tuple[int, int, int]
) -> None:
    made = plan(parse(f"INPUT 224x224x3 -> BACKBONE efficientnet-lite0{stages} -> FC"), 2)
    at = cut_position(made)
    assert made.steps[at].output == volume
    assert cutting.back(made, at).input == volume


def test_only_a_plan_with_a_backbone_is_cut() -> None:
    with pytest.raises(ValueError, match="only a plan with a backbone is cut"):
        cut_position(plan(parse("INPUT 8x8x3 -> CONV 4 3x3 -> RELU -> GAP -> FC"), 2))


# --- how much of the way


def best_share(monkeypatch: pytest.MonkeyPatch, scores: list[tuple[float, float]]) -> float:
    told = [Score(*each) for each in scores]
    monkeypatch.setattr(fine_tuning, "validated", lambda *words: told.pop(0))
    ends = [SimpleNamespace(weights={"w": np.full(2, value, np.float32)}) for value in (0, 1)]
    words: Any = (None, None, None, tuple(ends))
    share, score, weights = fine_tuning._best_share(*words, Score(0.8, 0.5))
    assert score == Score(*scores[fine_tuning.SHARES.index(share)])
    np.testing.assert_array_equal(weights["w"], np.full(2, share, np.float32))
    return share


def test_the_surest_share_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [(0.8, 0.45), (0.8, 0.4), (0.8, 0.42), (0.8, 0.44)]
    assert best_share(monkeypatch, scores) == 0.5


def test_a_share_that_costs_accuracy_is_taken_last(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [(0.8, 0.49), (0.79, 0.3), (0.7, 0.2), (0.6, 0.1)]
    assert best_share(monkeypatch, scores) == 0.25


def test_what_both_ends_agree_on_stays_to_the_bit() -> None:
    start = np.array([0.1, -3e-30, 7e30], np.float32)
    for share in fine_tuning.SHARES:
        between = fine_tuning.between({"w": start}, {"w": start.copy()}, share)["w"]
        np.testing.assert_array_equal(between, start)


def test_averages_and_scales_of_bn_stay_as_they_were_learned() -> None:
    made = plan(parse("INPUT 32x32x3 -> BACKBONE efficientnet-lite0 -> FC"), 2)
    norms = fine_tuning._norms(made)
    assert norms == {step.name for step in made.steps if step.name.startswith("bn")}


# --- end to end


def test_blocks_are_kept_where_validation_says_so(few: Path, tmp_path: Path, judged: Judge) -> None:
    judged([(0.5, 1.0), *later(0.9)])
    run, heard = train(few, tmp_path / "runs", "blocks")
    assert said(heard) == [("blocks", True)]
    kept = weights_of(run)
    start = load("efficientnet-lite0")
    stem = start["_conv_stem.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kept["conv1/kernel"], stem)  # before the cut
    assert (kept[head_kernel(kept)] != 0).any()
    last = start["_conv_head.weight"].transpose(2, 3, 1, 0)
    changed = [name for name, array in kept.items() if array.shape == last.shape]
    assert len(changed) == 1
    assert (kept[changed[0]] != last).any()  # behind it
    np.testing.assert_array_equal(kept["bn2/mean"], start["_bn0.running_mean"])
    assert (run.folder / "results.png").is_file()
    assert len(run.history) == 1
    assert sum(isinstance(event, RunStarted) for event in heard) == 1
    recorded = tomllib.loads((run.folder / "config.toml").read_text(encoding="utf-8"))
    assert recorded["head"]["fine_tune"] == "blocks"
    assert recorded["train"]["lr"] == 3e-4


def test_blocks_are_undone_where_validation_says_so(
    few: Path, tmp_path: Path, judged: Judge
) -> None:
    solved, _ = train(few, tmp_path / "runs", "none")
    judged([(0.5, 1.0), *later(1.1)])
    run, heard = train(few, tmp_path / "runs", "blocks")
    assert said(heard) == [("blocks", False)]
    for name in ("weights.safetensors", "model.onnx"):
        assert parts(run.bundle)[name] == parts(solved.bundle)[name]
    stages = {event.stage for event in heard if isinstance(event, Progress)}
    assert "activations" in stages
    (event,) = [each for each in heard if isinstance(each, FineTuned)]
    assert (event.log_loss_before, event.log_loss) == (1.0, 1.1)
    logged = [json.loads(x) for x in (run.folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert [each["kept"] for each in logged if each["event"] == "fine_tuned"] == [False]


def test_all_layers_follow_the_blocks_and_are_judged_against_the_best(
    few: Path, tmp_path: Path, judged: Judge
) -> None:
    judged([(0.5, 1.0), *later(0.8), *later(0.9)])
    run, heard = train(few, tmp_path / "runs", "all")
    assert said(heard) == [("blocks", True), ("all", False)]
    stem = load("efficientnet-lite0")["_conv_stem.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(weights_of(run)["conv1/kernel"], stem)
    (planned,) = [event for event in heard if isinstance(event, Planned)]
    assert planned.why == "as asked"


def test_measured_on_validation_it_is_never_worse(few: Path, tmp_path: Path) -> None:
    """With what is really measured; and twice, because it is to be repeatable."""
    run, heard = train(few, tmp_path / "one", "blocks")
    (event,) = [each for each in heard if isinstance(each, FineTuned)]
    before = Score(event.accuracy_before, event.log_loss_before)
    assert event.kept is Score(event.accuracy, event.log_loss).beats(before)
    again, _ = train(few, tmp_path / "two", "blocks")
    for name in ("weights.safetensors", "model.onnx"):
        assert parts(run.bundle)[name] == parts(again.bundle)[name]


def test_a_decision_by_the_budget_is_recorded_as_what_repeats_it(
    few: Path, tmp_path: Path, judged: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "decide", lambda known: ("blocks", "there is time"))
    judged([(0.5, 1.0), *later(0.9)])
    settings = (
        fm.Settings()
        .changed("run", {"out": str(tmp_path / "runs")})
        .changed("net", {"size": 32})
        .changed("head", {"copies": 0, "folds": 2})
        .changed("train", {"epochs": 1, "time": "30m"})
    )
    run = fm.train(few, settings=settings)
    kept = tomllib.loads((run.folder / "config.toml").read_text(encoding="utf-8"))
    assert (kept["head"]["fine_tune"], kept["train"]["time"]) == ("blocks", "")


def test_without_a_framework_it_is_refused_before_anything_is_trained(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise fm.MissingExtra("Training needs keras.", code="extra-missing", hint="install it")

    monkeypatch.setattr(fine_tuning.backend, "chosen", missing)
    monkeypatch.setattr(fine_tuning, "validated", lambda *words: pytest.fail("it went on"))
    with pytest.raises(fm.MissingExtra, match="Training needs keras"):
        train(few, tmp_path / "runs", "blocks")


def head_kernel(weights: dict[str, np.ndarray]) -> str:
    return next(name for name in weights if name.startswith("fc") and name.endswith("/kernel"))


def weights_of(run: fm.Run) -> dict[str, np.ndarray]:
    return dict(bundle.read(run.bundle, weights=True).weights)
