"""Real processes, really killed: what a run ends with does not depend on it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fieldmark as fm
from fieldmark import config
from fieldmark.training.events import (
    EpochDone,
    Evaluated,
    Event,
    FineTuned,
    Noted,
    Progress,
    Resumed,
)
from fieldmark.workflow.continuing import unfinished
from fieldmark.workflow.training import resume
from tests.pictures import write_shapes
from tests.workflow.conftest import LAYERS
from tests.workflow.killing import NOON, Command

on_unix = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL can be sent to a process there")

EACH_STEP = "[run]\ncheckpoint_s = 0\n"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("pictures") / "shapes", 30)


@pytest.fixture(scope="module")
def each_step(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("settings") / "each_step.toml"
    path.write_text(EACH_STEP, encoding="utf-8")
    return str(path)


def whole(command: Command) -> bytes:
    """The model file of a finished run, and nothing of how it came about left around it."""
    (run,) = command.runs
    folder = command.room / "runs" / run
    left = [path.name for path in folder.rglob("*") if path.name.startswith((".", "checkpoint"))]
    assert left == []
    return (folder / f"{run}.fieldmark").read_bytes()


def looks(command: Command) -> int:
    (run,) = command.runs
    return len((command.room / "runs" / run / "looks.jsonl").read_text().splitlines())


def undisturbed(
    pictures: Path, room: Path, monkeypatch: pytest.MonkeyPatch, net: str, settings: fm.Settings
) -> bytes:
    """The model file of the same run in one go, from Python."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", NOON)
    given = settings.changed("run", {"out": str(room / "twin")})
    return fm.train(pictures, net, settings=given).bundle.read_bytes()


@on_unix
def test_a_training_killed_twice_ends_with_the_same_file(
    pictures: Path, each_step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that draws is on: range test, augmentation, DROPOUT, averaged weights."""
    victim = Command(
        tmp_path / "room",
        (str(pictures), "--net", LAYERS, "--epochs", "4", "--config", each_step),
    )
    moments = [
        victim.there("checkpoint/scratch-00000[3-9]*"),
        victim.there("results.csv"),
    ]
    for moment in moments:
        assert victim.killed_when(moment) == -signal.SIGKILL
    assert victim.finish() == 0
    settings = config.read(Path(each_step)).changed("train", {"epochs": 4})
    assert whole(victim) == undisturbed(pictures, tmp_path, monkeypatch, LAYERS, settings)
    assert victim.said.count("not finished: continued") == len(moments)
    assert "Goes on in epoch" in victim.said
    assert "Training had ended" in victim.said
    assert looks(victim) == 1


@on_unix
def test_a_solved_head_that_was_killed_ends_with_the_same_file(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (str(pictures), "--net", "features", "--size", "64")
    victim = Command(tmp_path / "room", given)
    assert victim.killed_when(victim.there("metrics.json")) == -signal.SIGKILL
    assert victim.finish() == 0
    settings = fm.Settings().changed("net", {"size": 64})
    assert whole(victim) == undisturbed(pictures, tmp_path, monkeypatch, "features", settings)
    assert looks(victim) == 1


@on_unix
def test_sigterm_ends_after_the_step_and_resume_goes_on_longer(
    pictures: Path, tmp_path: Path
) -> None:
    command = Command(tmp_path, (str(pictures), "--net", LAYERS, "--epochs", "400", "--lr", "0.01"))
    status = command.killed_when(command.has_said("epoch=3 "), by=signal.SIGTERM)
    assert status == 143
    assert "[terminated]" in command.said
    assert "fieldmark train --resume" in command.said
    more = Command(tmp_path, ("--resume", "shapes-1", "--epochs", "12"))
    assert more.finish() == 0
    assert "400 epochs were planned, now 12" in more.said
    assert more.runs == ["shapes-1"]
    log = (tmp_path / "runs" / "shapes-1" / "log.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in log if '"event": "epoch"' in line]
    assert epochs == list(range(1, 13))


# --- in one process: a listener that raises is a kill with a traceback


class Killed(Exception):
    """What a listener raises."""


def killed_at(
    pictures: Path, settings: fm.Settings, net: str, moment: Callable[[Event], bool]
) -> None:
    def act(event: Event) -> None:
        if moment(event):
            raise Killed

    with pytest.raises(Killed, match=r"^$"):
        fm.train(pictures, net, settings=settings, listen=act)


def quick(out: Path, **train: Any) -> fm.Settings:
    each_step = fm.Settings().changed("run", {"checkpoint_s": 0.0, "out": str(out)})
    return each_step.changed("train", {"lr": 0.01} | train)


@pytest.mark.slow
def test_both_steps_of_fine_tuning_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the last blocks, and then in all layers, where the state of both is needed."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", NOON)
    few = write_shapes(tmp_path / "few", 10, shapes=("circle", "square"))
    net = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 -> FC"

    def settings(out: str) -> fm.Settings:
        tuned = {"copies": 0, "folds": 2, "fine_tune": "all"}
        return quick(tmp_path / out, epochs=2, batch=8, lr=0.001).changed("head", tuned)

    twin = fm.train(few, net, settings=settings("twin"))
    heard: list[Event] = []

    def second_step(n_measured: int) -> Callable[[Event], bool]:
        """Of the training that follows so many measured ones."""
        heard.clear()

        def moment(event: Event) -> bool:
            heard.append(event)
            before = [at for at, each in enumerate(heard) if isinstance(each, FineTuned)]
            own = heard[before[-1] if before else 0 :]
            done = [each for each in own if isinstance(each, Progress) and each.stage == "epoch"]
            return len(before) == n_measured and len(done) == 2

        return moment

    killed_at(few, settings("victim"), net, second_step(0))
    killed_at(few, settings("victim"), net, second_step(1))
    heard.clear()
    victim = fm.train(few, net, settings=settings("victim"), listen=heard.append)
    assert victim.name == "few-1"
    resumed = [event.text for event in heard if isinstance(event, Resumed)]
    assert resumed[0] == "Training had ended; what follows it is done again."
    assert resumed[1].startswith("Goes on in epoch 1 of 2, after step 1 of 2")
    assert victim.bundle.read_bytes() == twin.bundle.read_bytes()


def test_figures_that_were_there_before_more_epochs_are_a_look_of_their_own(
    pictures: Path, tmp_path: Path
) -> None:
    killed_at(pictures, quick(tmp_path, epochs=1), LAYERS, lambda e: isinstance(e, Evaluated))
    kept = unfinished("", tmp_path)
    n_looks = len((kept.folder.path / "looks.jsonl").read_text().splitlines())
    run = fm.resume(kept.folder.name, epochs=2, runs_folder=tmp_path)
    assert (n_looks, len(run.history)) == (1, 2)
    assert len((run.folder / "looks.jsonl").read_text().splitlines()) == 2


def test_what_was_refused_is_refused_before_anything_is_trained(
    pictures: Path, tmp_path: Path
) -> None:
    first = quick(tmp_path, epochs=1)
    killed_at(pictures, first, LAYERS, lambda event: isinstance(event, EpochDone))
    kept = unfinished("", tmp_path)
    with pytest.raises(fm.UsageError, match="something else") as caught:
        resume(kept, settings=kept.settings.changed("train", {"lr": 0.1}))
    assert "[train] lr was 0.01, now 0.1" in caught.value.where
    with pytest.raises(fm.UsageError, match="something else"):
        resume(kept, "small", settings=kept.settings)


def test_a_training_that_failed_lets_go_of_its_folder(pictures: Path, tmp_path: Path) -> None:
    """The same command again in the same process: a notebook whose cell was interrupted."""
    asked = quick(tmp_path, epochs=2)
    killed_at(pictures, asked, LAYERS, lambda event: isinstance(event, EpochDone))
    heard: list[Event] = []
    run = fm.train(pictures, LAYERS, settings=asked, listen=heard.append)
    assert run.name == "shapes-1"
    assert [event.code for event in heard if isinstance(event, Noted)][:1] == ["continued"]
    assert len(run.history) == 2
    assert not (run.folder / "checkpoint").exists()


def test_with_nothing_to_go_on_with_the_function_says_so(tmp_path: Path) -> None:
    with pytest.raises(fm.UsageError, match="There is no unfinished run") as caught:
        fm.resume(runs_folder=tmp_path)
    assert caught.value.code == "nothing-to-resume"
