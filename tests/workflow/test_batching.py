"""A batch that memory does not allow: halved once and said, kept on resume, refused beforehand."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fieldmark as fm
from fieldmark.errors import OutOfMemory
from fieldmark.training import footprint, loop
from fieldmark.training.checkpoint import Checkpoints
from fieldmark.training.events import Event, Noted, Promised
from fieldmark.training.fitted import Start
from fieldmark.workflow import memory, promising
from fieldmark.workflow.batching import RAM, Batching, Given
from fieldmark.workflow.memory import Limit
from fieldmark.workflow.promise import Promise
from fieldmark.workflow.session import Session
from tests.pictures import write_shapes
from tests.training.problems import Ear, Stop, recipe, shapes, tiny
from tests.workflow.conftest import LAYERS

MB = footprint.MB


class Heard(list[Event]):
    def notes(self) -> dict[str, str]:
        return {each.code: each.text for each in self if isinstance(each, Noted)}


def session(heard: Heard, folder: Path | None = None, **run: Any) -> Session:
    given = Session(fm.Settings().changed("run", run), "shapes", 2, heard.append)
    if folder is not None:
        from fieldmark.runs import RunFolder
        from fieldmark.workflow.continuing import Held

        given.held = Held(RunFolder(folder), None, None)  # type: ignore[arg-type]
    return given


def given(batch: int = 64) -> Given:
    train, valid = shapes(40, batch=batch)
    return Given(train, valid, recipe(batch=batch))


def room(monkeypatch: pytest.MonkeyPatch, n_bytes: int, what: str = "--ram 1GB") -> None:
    monkeypatch.setattr(memory, "resident", lambda: 0)
    monkeypatch.setattr(memory, "limit", lambda asked: Limit(n_bytes, what, hard=True))


def test_with_enough_memory_nothing_changes_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = Heard()
    room(monkeypatch, 10**11)
    whole = given()
    assert Batching(session(heard), tiny(), "scratch").fitting(whole) is whole
    assert not heard


def test_batches_are_chosen_to_fit_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard, plan = Heard(), tiny("INPUT 64x64x3 -> CONV 64 3x3 same -> RELU -> GAP -> FC")
    room(monkeypatch, footprint.training_bytes(plan, 8, 16))
    found = Batching(session(heard, tmp_path), plan, "scratch").fitting(given())
    assert (found.recipe.batch, found.train.batch_size, found.valid.batch_size) == (8, 8, 16)
    assert heard.notes()["batch-chosen"].startswith("8 pictures a step")
    room(monkeypatch, 10**11)  # what an earlier process found counts, not what is free now
    again = Batching(session(Heard(), tmp_path), plan, "scratch").fitting(given())
    assert (again.recipe, again.valid.batch_size) == (found.recipe, 16)


def test_less_memory_later_does_not_change_the_batch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = tiny("INPUT 64x64x3 -> CONV 64 3x3 same -> RELU -> GAP -> FC")
    room(monkeypatch, 10**11)
    first = Batching(session(Heard(), tmp_path), plan, "scratch").fitting(given())
    room(monkeypatch, footprint.training_bytes(plan, 8, 16))
    later = Batching(session(Heard(), tmp_path), plan, "scratch").fitting(given())
    assert (later.recipe, later.valid.batch_size) == (first.recipe, first.valid.batch_size)


def test_a_batch_that_was_asked_for_is_refused_with_one_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = tiny("INPUT 64x64x3 -> CONV 64 3x3 same -> RELU -> GAP -> FC")
    room(monkeypatch, footprint.training_bytes(plan, 16, 16))
    asked = session(Heard(), ram="1GB")
    asked.settings = asked.settings.changed("train", {"batch": 64})
    with pytest.raises(OutOfMemory, match="64 pictures a step does not fit into --ram") as caught:
        Batching(asked, plan, "scratch").fitting(given())
    assert caught.value.hint == "--batch 16"


def test_where_nothing_fits_the_memory_that_would_do_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room(monkeypatch, 10 * MB)
    with pytest.raises(OutOfMemory, match="does not fit") as caught:
        Batching(session(Heard()), tiny(), "scratch").fitting(given())
    assert caught.value.hint.startswith("--ram 0.")


def test_memory_runs_out_twice_and_the_batch_that_would_fit_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard, plan = Heard(), tiny("INPUT 64x64x3 -> CONV 64 3x3 same -> RELU -> GAP -> FC")
    kept = Batching(session(heard, tmp_path), plan, "scratch")
    (tmp_path / "checkpoint").mkdir()
    old = tmp_path / "checkpoint" / f"scratch-000001-{'0' * 32}.safetensors"
    old.write_bytes(b"of the larger batch")
    half = kept.after(OutOfMemory("x", code="out-of-memory"), given())
    assert (half.recipe.batch, half.train.batch_size, half.valid.batch_size) == (32, 32, 128)
    assert "begins again with 32" in heard.notes()["batch-halved"]
    assert not old.exists()
    later = Batching(session(heard, tmp_path), plan, "scratch")
    assert later.fitting(given()).recipe.batch == 32
    room(monkeypatch, footprint.training_bytes(plan, 8, 8))
    with pytest.raises(OutOfMemory, match="x") as caught:
        later.after(OutOfMemory("x", code="out-of-memory"), half)
    assert caught.value.hint.startswith("--batch 8")


@pytest.mark.parametrize("late", [False, True])
def test_what_was_done_is_not_thrown_away_for_a_smaller_batch(tmp_path: Path, late: bool) -> None:
    states = tmp_path / "checkpoint"
    states.mkdir()
    if not late:
        (states / f"scratch-000001-{'0' * 32}.safetensors").write_bytes(b"hours")
    error = OutOfMemory("x", code="out-of-memory")
    error.late = late
    kept = Checkpoints(states, "scratch")
    with pytest.raises(OutOfMemory, match="x") as caught:
        Batching(session(Heard(), tmp_path), tiny(), "scratch").after(error, given(), kept)
    assert len(list(states.iterdir())) == (not late)
    assert ("same command goes on" in caught.value.hint) == (not late)


def test_a_training_that_is_too_large_as_a_whole_is_not_begun_again() -> None:
    heard = Heard()
    error = OutOfMemory("x", code="out-of-memory", where=RAM)
    with pytest.raises(OutOfMemory, match="x"):
        Batching(session(heard), tiny(), "scratch").after(error, given())
    assert not heard


@pytest.mark.parametrize("ram", ["1.5GB", "0.9GB"])
def test_a_promise_beyond_the_memory_that_may_be_taken_ends_it(
    ram: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    given = session(heard, ram=ram)
    room(monkeypatch, int(float(ram[:3]) * 1000) * MB, f"--ram {ram}")
    made = Promise(at_s=1, training_s=1, finish_s=1, memory=10**9, rests_on="10 steps")
    if ram == "1.5GB":
        promising.say(given, made)
    else:
        with pytest.raises(OutOfMemory, match="may be needed") as caught:
            promising.say(given, made)
        assert caught.value.where == RAM
    assert given.promises == [made]


def test_free_memory_that_is_short_is_said_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = Heard()
    monkeypatch.setattr(memory, "limit", lambda asked: Limit(10**8, "the free memory", hard=False))
    made = Promise(at_s=1, training_s=1, finish_s=1, memory=10**9, rests_on="10 steps")
    promising.say(session(heard), made)
    assert "the free memory leaves 0.1 GB" in heard.notes()["memory-short"]


def test_an_epoch_of_counted_steps_stays_as_long() -> None:
    whole = given()
    whole = dataclasses.replace(whole, recipe=dataclasses.replace(whole.recipe, steps_per_epoch=3))
    assert whole.smaller(32, 32, steps=True).recipe.steps_per_epoch == 6
    assert whole.smaller(32, 32, steps=False).recipe.steps_per_epoch == 3


@pytest.mark.parametrize("text", ["", "{", '{"batch": "many"}', "[]"])
def test_a_damaged_note_of_the_batch_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "scratch.json").write_text(text, encoding="utf-8")
    assert Batching(session(Heard(), tmp_path), tiny(), "scratch")._kept() == {}


# --- a whole training, with a step that fails


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Heard, fm.Run, fm.Run]:
    """A run whose steps of more than 8 pictures find no memory, and one that asked for 8."""
    out = tmp_path_factory.mktemp("halved")
    data = write_shapes(out / "shapes", 20)
    usual, heard = loop._Loop._train_on, Heard()

    def short(self: Any, pixels: Any, labels: Any, rate: float) -> tuple[float, float]:
        if len(labels) > 8:
            raise MemoryError
        return usual(self, pixels, labels, rate)

    def run(batch: int, listen: Heard) -> fm.Run:
        settings = fm.Settings().changed("run", {"out": str(out / f"runs{batch}")})
        settings = settings.changed("train", {"batch": batch, "lr": 0.01})
        return fm.train(data, fm.net(LAYERS), epochs=2, settings=settings, listen=listen.append)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop._Loop, "_train_on", short)
        return heard, run(16, heard), run(8, Heard())


def test_a_halved_training_is_the_one_that_asked_for_half(
    halved: tuple[Heard, fm.Run, fm.Run],
) -> None:
    _, first, second = halved
    weights = [each.predictor.bundle.onnx for each in (first, second)]
    assert weights[0] == weights[1]
    assert "batch = 8" in (first.folder / "config.toml").read_text(encoding="utf-8")


def test_it_is_said_and_promised_anew(halved: tuple[Heard, fm.Run, fm.Run]) -> None:
    heard, first, _ = halved
    assert "begins again with 8" in heard.notes()["batch-halved"]
    assert any(isinstance(each, Promised) for each in heard)
    kept = json.loads((first.folder / "promise.json").read_text(encoding="utf-8"))
    assert kept["schema"] == "fieldmark.promise/1"
    assert kept["actual"]["memory_mb"] <= kept["promises"][-1]["memory_mb"]
    assert kept["actual"]["checkpoint_s"] >= 0
    assert not (first.folder / "checkpoint").exists()


# --- a real limit

CHILD = """
import sys
from fieldmark.training import backend
backend.prepare(1)
from tests.workflow.test_batching import limited
limited(int(sys.argv[1]))
"""


def limited(more_mb: int) -> None:
    """In a child: limit the address space, then train with 768 pictures a step."""
    import resource

    plan = tiny("INPUT 64x64x3 -> CONV 32 3x3 same -> RELU -> CONV 32 3x3 same -> GAP -> FC", 3)
    chosen = recipe(epochs=1, batch=768)

    def fit(batch: int) -> None:
        train, valid = shapes(batch, batch=batch, size=64)
        valid = dataclasses.replace(valid, batch_size=16)
        loop.fit(Start(plan), train, valid, chosen, listen=Ear(), stop=Stop())

    fit(16)
    size = memory._proc(memory._STATUS)["VmSize"] + more_mb * MB
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    for batch in (768, 384, 192, 96):
        try:
            fit(batch)
        except OutOfMemory as error:
            print("no", batch, error.code, flush=True)
        else:
            print("fits", batch, flush=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_the_backend_says_when_memory_runs_out_and_a_smaller_batch_fits() -> None:
    # Without oneDNN, whose kernels end the process where they get no memory.
    done = subprocess.run(
        [sys.executable, "-c", CHILD, "1000"],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.split("\n")
    assert said[0] == "no 768 out-of-memory"
    assert said[-2] == "fits 96"
