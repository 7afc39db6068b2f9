"""Further trainings that were killed: the next command goes on with the next one."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fieldmark as fm
from fieldmark import runs
from fieldmark.evaluation.repeats import Outcome
from fieldmark.training.events import (
    Event,
    Noted,
    Repeated,
    RepeatsPlanned,
    RunFinished,
    StopRequested,
)
from fieldmark.workflow import repeating
from fieldmark.workflow.continuing import RECORD, TURNS, unfinished
from fieldmark.workflow.kept_turns import KeptTurns
from fieldmark.workflow.training import resume
from fieldmark.workflow.turns import Turn
from tests.pictures import write_numbers
from tests.workflow.killing import NOON, Command
from tests.workflow.test_repeating import N_EACH, NET, asked, examples

FOLDS = 3
Heard = list[Event]


class Killed(Exception):
    """What a listener raises."""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbers(tmp_path_factory.mktemp("again") / "shapes", range(N_EACH))


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", NOON)


@pytest.fixture(scope="module")
def twin(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> fm.Run:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SOURCE_DATE_EPOCH", NOON)
        out = tmp_path_factory.mktemp("twin")
        return fm.train(shapes, NET, settings=asked(out, FOLDS))


def killed(shapes: Path, out: Path, moment: Callable[[Heard], bool], **given: Any) -> None:
    heard: Heard = []

    def act(event: Event) -> None:
        heard.append(event)
        if moment(heard):
            raise Killed

    with pytest.raises(Killed, match=r"^$"):
        fm.train(shapes, NET, settings=asked(out, FOLDS), listen=act, **given)


def after(n: int) -> Callable[[Heard], bool]:
    """When so many further trainings are done."""
    return lambda heard: sum(isinstance(event, Repeated) for event in heard) == n


def planned(heard: Heard) -> bool:
    return isinstance(heard[-1], RepeatsPlanned)


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(each) for key, each in value.items() if key != "seconds"}
    return [without_seconds(each) for each in value] if isinstance(value, list) else value


def figures(run: Path) -> Any:
    return without_seconds(json.loads((run / "repeats.json").read_bytes()))


def trainings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """Return a list that fills with every training that is really done."""
    done: list[tuple[int, int | None]] = []
    outcome = repeating._Again._outcome

    def spy(self: Any, turn: Turn, manifest: Any) -> Outcome | None:
        done.append((turn.repeat, turn.fold))
        return outcome(self, turn, manifest)

    monkeypatch.setattr(repeating._Again, "_outcome", spy)
    return done


@pytest.mark.parametrize("n_done", [0, 2])
def test_the_same_command_goes_on_with_the_next_training_and_ends_alike(
    shapes: Path, twin: fm.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_done: int
) -> None:
    killed(shapes, tmp_path, planned if n_done == 0 else after(n_done))
    before = (tmp_path / "shapes-1" / "shapes-1.fieldmark").read_bytes()
    heard: Heard = []
    really = trainings(monkeypatch)
    run = fm.train(shapes, NET, settings=asked(tmp_path, FOLDS), listen=heard.append)
    assert run.name == "shapes-1"
    assert run.bundle.read_bytes() == before == twin.bundle.read_bytes()
    assert figures(run.folder) == figures(twin.folder)
    assert really == [(1, 1 + at) for at in range(n_done, FOLDS)]
    notes = [event.text for event in heard if isinstance(event, Noted)]
    assert any("further trainings not finished: continued" in text for text in notes)
    said = f"{n_done} of {FOLDS} further trainings were done before: gone on."
    assert (said in notes) == (n_done > 0)
    assert len((run.folder / "looks.jsonl").read_text().splitlines()) == 1
    assert not (run.folder / "checkpoint").exists()
    assert "How much of it is luck" in (run.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_killed_again_and_again_it_still_ends_alike(
    shapes: Path, twin: fm.Run, tmp_path: Path
) -> None:
    for n_done in (1, 2):  # those done before are told again
        killed(shapes, tmp_path, after(n_done))
    run = fm.train(shapes, NET, settings=asked(tmp_path, FOLDS))
    assert run.name == "shapes-1"
    assert figures(run.folder) == figures(twin.folder)
    assert fm.train(shapes, NET, settings=asked(tmp_path, FOLDS)).name == "shapes-2"


def test_a_run_whose_further_trainings_are_not_done_is_finished_and_can_go_on(
    shapes: Path, twin: fm.Run, tmp_path: Path
) -> None:
    killed(shapes, tmp_path, after(2))
    assert runs.find("latest", tmp_path).name == "shapes-1.fieldmark"
    kept = unfinished("", tmp_path)
    assert kept.folder.finished
    with pytest.raises(fm.UsageError, match="something else is asked for"):
        resume(kept, settings=kept.settings.changed("train", {"time": "10m"}))
    run = resume(kept, settings=kept.settings)
    assert figures(run.folder) == figures(twin.folder)
    with pytest.raises(fm.UsageError, match="no unfinished run"):
        unfinished("", tmp_path)


def test_on_another_computer_a_model_that_is_there_is_never_made_anew(
    shapes: Path, tmp_path: Path
) -> None:
    killed(shapes, tmp_path, after(1))
    record = tmp_path / "shapes-1" / RECORD
    facts = json.loads(record.read_bytes())
    facts["environment"]["numpy"] = "0.1"
    record.write_text(json.dumps(facts))
    kept = unfinished("", tmp_path)
    with pytest.raises(fm.UsageError, match="other conditions") as caught:
        resume(kept, settings=kept.settings, anyway=True)
    assert caught.value.code == "resume-environment"
    assert "--resume-anyway" not in caught.value.hint


def test_ctrl_c_ends_after_one_and_the_same_command_goes_on(
    shapes: Path, twin: fm.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(event: Event) -> None:
        if isinstance(event, Repeated) and event.fold == 1:
            signal.raise_signal(signal.SIGINT)

    really = trainings(monkeypatch)
    heard: Heard = []

    def listen(event: Event) -> None:
        heard.append(event)
        press(event)

    fm.train(shapes, NET, settings=asked(tmp_path, FOLDS), listen=listen)
    assert any(isinstance(event, StopRequested) for event in heard)
    assert len(really) < FOLDS
    run = fm.train(shapes, NET, settings=asked(tmp_path, FOLDS))
    assert run.name == "shapes-1"
    assert len(really) == FOLDS
    assert figures(run.folder) == figures(twin.folder)


def test_a_run_without_further_trainings_is_finished_with_its_model_file(
    shapes: Path, tmp_path: Path
) -> None:
    seen: list[bool] = []

    def listen(event: Event) -> None:
        if isinstance(event, RunFinished):
            seen.append((Path(event.folder) / "checkpoint").exists())

    fm.train(shapes, NET, settings=asked(tmp_path), listen=listen)
    assert seen == [False]


# --- what is kept


def turn(fold: int = 1, n: int = 24) -> Turn:
    return Turn(1, fold, 7, examples(n, split="train"))


def outcome(fold: int = 1) -> Outcome:
    losses = np.array([0.1, 1 / 3, float("inf")])
    right = np.array([True, False, True])
    return Outcome(
        repeat=1, fold=fold, seed=7, at=np.arange(3), right=right, losses=losses, seconds=0.5
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / TURNS).parent.mkdir()
    path = tmp_path / "m-1.fieldmark"
    path.write_bytes(b"model")
    return path


def record(**changed: Any) -> Any:
    from fieldmark.workflow.continuing import Record

    facts: dict[str, Any] = {
        "created": "",
        "command": "",
        "settings": {},
        "data": {"sha256": "ab"},
        "environment": {"numpy": "1"},
    }
    return Record(**facts | changed)


def test_an_outcome_comes_back_with_its_bits(model: Path) -> None:
    with KeptTurns(model, record()) as kept:
        kept.put(turn(), outcome())
    with KeptTurns(model, record()) as kept:
        found = kept.get(turn())
        assert len(kept) == 1
        assert kept.get(turn(fold=2)) is None
        assert kept.get(dataclasses.replace(turn(), seed=8)) is None
        assert kept.get(turn(n=22)) is None
    assert found is not None
    assert (found.repeat, found.fold, found.seed, found.seconds) == (1, 1, 7, 0.5)
    assert found.at.tolist() == [0, 1, 2]
    assert found.losses.tobytes() == outcome().losses.tobytes()
    assert found.right.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "changed", [{"data": {"sha256": "cd"}}, {"environment": {"numpy": "2"}}, {}]
)
def test_outcomes_of_something_else_are_not_taken(model: Path, changed: dict[str, Any]) -> None:
    with KeptTurns(model, record()) as kept:
        kept.put(turn(), outcome())
    if not changed:
        model.write_bytes(b"another model")
    with KeptTurns(model, record(**changed)) as kept:
        assert kept.get(turn()) is None
        assert len(kept) == 0


def test_nothing_is_kept_where_there_is_no_run() -> None:
    with KeptTurns() as kept:
        kept.put(turn(), outcome())
        assert kept.get(turn()) is None


# --- a real process, really killed


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL can be sent to a process there")
def test_a_process_killed_between_two_trainings_goes_on(shapes: Path, tmp_path: Path) -> None:
    given = (str(shapes), "--net", NET, "--folds", "3", "--repeat", "2")
    victim, undisturbed = (Command(tmp_path / name, given) for name in ("victim", "twin"))
    assert victim.killed_when(victim.there("repeats.json")) == -signal.SIGKILL
    assert victim.finish() == 0
    assert undisturbed.finish() == 0
    ends = [each.room / "runs" / "shapes-1" for each in (victim, undisturbed)]
    assert figures(ends[0]) == figures(ends[1])
    assert len({(end / "shapes-1.fieldmark").read_bytes() for end in ends}) == 1
    assert "further trainings were done before: gone on." in victim.said
    assert victim.runs == ["shapes-1"]
