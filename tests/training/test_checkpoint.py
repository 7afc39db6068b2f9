"""Checkpoints: the file, what is kept of many, and a training that goes on from any step of it."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from fieldmark.errors import Terminated, UsageError
from fieldmark.modalities.augment import AUGMENTATIONS
from fieldmark.training import checkpoint, loop
from fieldmark.training.checkpoint import Checkpoints, State, packed, unpacked
from fieldmark.training.events import EpochDone, Event, Noted, Progress, Resumed, Stopped
from fieldmark.training.fitted import Fitted, Start
from fieldmark.training.recipe import Recipe
from tests.training.problems import TINY, Ear, Stop, fit, recipe, shapes, tiny

WITH_DROPOUT = TINY.replace("GAP", "DROPOUT 0.3 -> GAP")


def epoch_done(number: int, **changes: Any) -> EpochDone:
    numbers = {"loss": 0.1, "accuracy": 0.7, "val_loss": 1 / 3, "val_accuracy": 0.5, "lr": 1e-3}
    times = {"seconds": 0.25, "train_seconds": 0.125, "best": True}
    return EpochDone(**{"epoch": number, "epochs": 9, **numbers, **times, **changes})


def state(step: int = 7, **changes: Any) -> State:
    usual = State(
        step=step,
        sums=(0.1 + 0.2, 5.0),
        n=6,
        epoch_s=1.5,
        spent_s=1e9 / 7,
        history=(epoch_done(1),),
        best_epoch=1,
        asked_epochs=None,
        epochs=9,
        lr=0.1 + 0.7,
        arrays={"model/0": np.arange(6, dtype=np.float32).reshape(2, 3)},
    )
    return replace(usual, **changes)


def facts(given: State) -> dict[str, Any]:
    return {
        each.name: getattr(given, each.name)
        for each in dataclasses.fields(given)
        if each.name != "arrays"
    }


# --- the file


number = st.floats(allow_nan=False, allow_infinity=False)


@given(
    sums=st.tuples(number, number),
    losses=st.lists(number, max_size=3),
    array=arrays_of.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.int32, np.uint32]),
        arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
    ),
)
def test_a_state_comes_back_bit_for_bit(
    sums: tuple[float, float], losses: list[float], array: np.ndarray
) -> None:
    history = tuple(epoch_done(at + 1, loss=loss) for at, loss in enumerate(losses))
    before = state(sums=sums, history=history, arrays={"optimizer/0": array})
    after = unpacked(packed(before))
    assert facts(after) == facts(before)
    assert after.arrays["optimizer/0"].tobytes() == array.tobytes()
    assert after.arrays["optimizer/0"].dtype == array.dtype
    assert after.arrays["optimizer/0"].shape == array.shape


def test_an_array_that_lies_transposed_comes_back_with_its_values() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    found = unpacked(packed(state(arrays={"model/0": array}))).arrays["model/0"]
    assert found.tolist() == array.tolist()


def test_why_a_training_ended_comes_back() -> None:
    stopped = Stopped(reason="patience", text="Stopped after epoch 3.", best_epoch=1)
    assert unpacked(packed(state(stopped=stopped))).stopped == stopped


def test_arrays_are_found_by_their_kind() -> None:
    one = np.zeros(1, np.float32)
    found = state(arrays={"best/a/b": one, "bests/c": one, "average/best/d": one})
    assert list(found.named("best")) == ["a/b"]


@given(st.binary(max_size=200))
def test_any_other_bytes_are_no_checkpoint(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no checkpoint|format|Expecting"):
        unpacked(data)


def test_another_format_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    data = packed(state())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="another format"):
        unpacked(data)


# --- many of them


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def test_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "checkpoint", "scratch", every_s=0)
    for step in range(12):
        kept.write(state(step))
    assert len(files(kept.folder)) == 2
    assert [path.name[:15] for path in files(kept.folder)] == ["scratch-000011-", "scratch-000012-"]
    found = Checkpoints(kept.folder, "scratch").newest()
    assert found is not None
    assert found.step == 11


def test_another_process_numbers_on(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "scratch").write(state(1))
    again = Checkpoints(tmp_path, "scratch")
    again.write(state(2))
    newest = again.newest()
    assert newest is not None
    assert newest.step == 2


def test_two_trainings_share_a_folder_and_not_their_states(tmp_path: Path) -> None:
    blocks, everything = Checkpoints(tmp_path, "blocks"), Checkpoints(tmp_path, "all")
    assert blocks.newest() is None
    for step in range(4):
        blocks.write(state(step))
    everything.write(state(100))
    found = blocks.newest(), everything.newest()
    assert [each.step for each in found if each] == [3, 100]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("place", [0, 3, 9, 60, -1])
def test_a_flipped_bit_anywhere_makes_the_one_before_it_count(tmp_path: Path, place: int) -> None:
    kept = Checkpoints(tmp_path, "scratch")
    kept.write(state(1))
    kept.write(state(2))
    flip(files(tmp_path)[1], place)
    found = kept.newest()
    assert found is not None
    assert found.step == 1
    assert kept.damaged == [files(tmp_path)[1].name]


def test_a_cut_file_counts_as_damaged_and_nothing_is_left_without_a_good_one(
    tmp_path: Path,
) -> None:
    kept = Checkpoints(tmp_path, "scratch")
    kept.write(state(1))
    kept.write(state(2))
    for path in files(tmp_path):
        path.write_bytes(path.read_bytes()[:-5])
    assert kept.newest() is None
    assert len(kept.damaged) == 2


def test_a_damaged_one_does_not_take_the_place_of_the_good_one_before_it(tmp_path: Path) -> None:
    first = Checkpoints(tmp_path, "scratch")
    first.write(state(1))
    first.write(state(2))
    flip(files(tmp_path)[-1], 100)
    kept = Checkpoints(tmp_path, "scratch")
    assert kept.newest() is not None
    kept.write(state(3))
    assert [path.name[:14] for path in files(tmp_path)] == ["scratch-000001", "scratch-000003"]
    flip(files(tmp_path)[-1], 100)
    found = Checkpoints(tmp_path, "scratch").newest()
    assert found is not None
    assert found.step == 1


def test_a_file_of_the_right_hash_that_is_no_state_counts_as_damaged(tmp_path: Path) -> None:
    import hashlib

    kept = Checkpoints(tmp_path, "scratch")
    kept.write(state(1))
    junk = b"x" * 100
    name = f"scratch-000002-{hashlib.sha256(junk).hexdigest()[:32]}.safetensors"
    (tmp_path / name).write_bytes(junk)
    found = kept.newest()
    assert found is not None
    assert (found.step, kept.damaged) == (1, [name])


def test_strange_names_are_left_alone(tmp_path: Path) -> None:
    strange = ["scratch-1-ab.safetensors", "scratch-000001-xyz.safetensors", "notes.txt"]
    for name in strange:
        (tmp_path / name).write_text("mine", encoding="utf-8")
    kept = Checkpoints(tmp_path, "scratch", every_s=0)
    for step in range(4):
        kept.write(state(step))
    assert all((tmp_path / name).exists() for name in strange)


def test_a_full_disk_leaves_what_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoints(tmp_path, "scratch", every_s=0)
    kept.write(state(1))
    kept.write(state(2))

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_whole", full)
    with pytest.raises(OSError, match="No space"):
        kept.write(state(3))
    found = kept.newest()
    assert found is not None
    assert (found.step, len(files(tmp_path)), kept.damaged) == (2, 2, [])


# --- how often


@dataclasses.dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(checkpoint, "time", made)
    return made


def slow(clock: Clock, seconds: float) -> Callable[[Path, bytes], None]:
    def write(path: Path, content: bytes) -> None:
        clock.now += seconds

    return write


@pytest.mark.parametrize(("write_s", "gap_s"), [(0.1, 30), (0.6, 30), (2.0, 100)])
def test_a_slow_write_is_followed_by_more_training(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, write_s: float, gap_s: float
) -> None:
    """The share of the time that goes into checkpoints stays under 2 %."""
    kept = Checkpoints(tmp_path, "scratch", every_s=30)
    monkeypatch.setattr(checkpoint, "write_whole", slow(clock, write_s))
    assert not kept.due
    clock.now += 30
    assert kept.due
    kept.write(state())
    clock.now += gap_s - 0.01
    assert not kept.due
    clock.now += 0.02
    assert kept.due
    assert write_s / gap_s <= 1 / checkpoint.SPACING or gap_s == 30


def test_zero_means_after_every_step(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints(tmp_path, "scratch", every_s=0)
    monkeypatch.setattr(checkpoint, "write_whole", slow(clock, 5.0))
    assert kept.due
    kept.write(state())
    assert kept.due


def test_after_a_failed_write_the_next_waits_its_time(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints(tmp_path, "scratch", every_s=30)
    clock.now += 40

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_whole", full)
    with pytest.raises(OSError, match="No space"):
        kept.write(state())
    assert not kept.due
    clock.now += 31
    assert kept.due


# --- a training goes on


class Album(Checkpoints):
    """Keeps every one, in memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "scratch", every_s=0)
        self.all: list[bytes] = []

    def write(self, state: State) -> None:
        self.all.append(packed(state))

    def newest(self) -> State | None:
        return None


class Only(Checkpoints):
    """Goes on from one state, and keeps nothing."""

    def __init__(self, folder: Path, data: bytes) -> None:
        super().__init__(folder, "scratch", every_s=1e9)
        self.data = data

    def newest(self) -> State | None:
        return unpacked(self.data)


EVERYTHING = recipe(
    lr=None,
    optimizer="adamw",
    weight_decay=0.05,
    schedule="one-cycle",
    ema=0.9,
    label_smoothing=0.1,
    class_weights=(0.5, 1.0, 1.5),
    sizes=(8, 16),
    augment="strong",
    epochs=2,
)
PLAIN = recipe(optimizer="sgd", steps_per_epoch=3, epochs=3, patience=2, lr=0.05)
"""Epochs that do not end where a pass does, and a best one that is picked."""


def data_for(chosen: Recipe) -> Any:
    train, valid = shapes(60)
    return replace(train, augmentation=AUGMENTATIONS[chosen.augment]), valid


def same(one: Fitted, other: Fitted) -> bool:
    """Everything that goes into a model file and into the report, times excepted."""
    return (
        list(one.weights) == list(other.weights)
        and all((one.weights[name] == other.weights[name]).all() for name in one.weights)
        and [timeless(each) for each in one.history] == [timeless(each) for each in other.history]
        and one.stopped == other.stopped
        and one.recipe == other.recipe
        and one.range_test == other.range_test
        and bool((one.proof_logits == other.proof_logits).all())
        and bool((one.first_pixels == other.first_pixels).all())
    )


def timeless(done: EpochDone) -> EpochDone:
    return replace(done, seconds=0.0, train_seconds=0.0)


@pytest.mark.parametrize("chosen", [EVERYTHING, PLAIN], ids=["everything", "plain"])
def test_from_every_step_on_it_ends_with_the_same_bytes(tmp_path: Path, chosen: Recipe) -> None:
    made, data, album = tiny(WITH_DROPOUT), data_for(chosen), Album(tmp_path)
    twin = fit(made, chosen, data)
    watched = fit(Start(made, checkpoints=album), chosen, data)
    assert same(watched, twin), "keeping states must not change the training"
    n_steps = 4 * 2 if chosen is EVERYTHING else 9
    assert chosen.epochs is not None
    assert len(album.all) == n_steps + chosen.epochs  # after every step and at every epoch's end
    for kept in album.all:
        ear = Ear()
        again = fit(Start(made, checkpoints=Only(tmp_path, kept)), chosen, data, ear=ear)
        assert same(again, twin), f"from step {unpacked(kept).step}"
        assert len(ear.losses()) == n_steps - unpacked(kept).step
        assert ear.losses("lr") == []  # the rate is not looked for again


def test_a_training_that_is_killed_after_every_single_step_gets_there(tmp_path: Path) -> None:
    chosen, data = replace(EVERYTHING, lr=0.01, sizes=(), epochs=2), data_for(EVERYTHING)
    twin = fit(tiny(WITH_DROPOUT), chosen, data)

    class Killed(Exception):
        pass

    lives = 0
    while True:
        seen: list[Event] = []

        def act(event: Event, seen: list[Event] = seen) -> None:
            if isinstance(event, Progress):
                seen.append(event)
            if len(seen) == 2:  # the first step's state is on disk by now
                raise Killed

        start = Start(tiny(WITH_DROPOUT), checkpoints=Checkpoints(tmp_path, "scratch", every_s=0))
        lives += 1
        try:
            final = fit(start, chosen, data, ear=Ear(act))
        except Killed:
            continue
        break
    assert lives == 8
    assert same(final, twin)


def test_what_was_heard_is_told_again_and_where_it_goes_on(tmp_path: Path) -> None:
    made, data, album = tiny(), data_for(PLAIN), Album(tmp_path)
    fit(Start(made, checkpoints=album), PLAIN, data)
    ear = Ear()
    fit(Start(made, checkpoints=Only(tmp_path, album.all[5])), PLAIN, data, ear=ear)
    assert ear.names()[:3] == ["epoch", "resumed", "epoch"]
    resumed = next(event for event in ear.events if isinstance(event, Resumed))
    assert resumed.text == "Goes on in epoch 2 of 3, after step 2 of 3."
    assert (resumed.epoch, resumed.step) == (2, 5)


def test_a_training_that_had_ended_only_finishes(tmp_path: Path) -> None:
    made, data, album = tiny(), data_for(PLAIN), Album(tmp_path)
    twin = fit(Start(made, checkpoints=album), PLAIN, data)
    ear = Ear()
    again = fit(Start(made, checkpoints=Only(tmp_path, album.all[-1])), PLAIN, data, ear=ear)
    assert same(again, twin)
    assert ear.losses() == []
    assert "done again" in next(e.text for e in ear.events if isinstance(e, Resumed))


@pytest.mark.parametrize(("requested", "n_kept"), [(False, 0), (True, 1)])
def test_a_short_training_is_kept_only_where_it_would_not_be_repeated(
    tmp_path: Path, requested: bool, n_kept: int
) -> None:
    """Writing its end would cost it more than 2 %."""
    kept = Checkpoints(tmp_path, "scratch", every_s=1e9)
    fit(Start(tiny(), checkpoints=kept), PLAIN, data_for(PLAIN), stop=Stop(requested))
    assert len(files(tmp_path)) == n_kept


def test_the_end_of_a_long_training_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "WORTH_KEEPING_S", 0)
    kept = Checkpoints(tmp_path, "scratch", every_s=1e9)
    twin = fit(Start(tiny(), checkpoints=kept), PLAIN, data_for(PLAIN))
    state = kept.newest()
    assert state is not None
    assert state.stopped == twin.stopped


def test_a_request_to_stop_is_not_forgotten(tmp_path: Path) -> None:
    """Ctrl-C, then a kill while the best epoch is measured: it does not train on."""
    made, data, album = tiny(), data_for(PLAIN), Album(tmp_path)
    twin = fit(Start(made, checkpoints=album), PLAIN, data, stop=Stop(True))
    again = fit(Start(made, checkpoints=Only(tmp_path, album.all[-1])), PLAIN, data)
    assert twin.stopped.reason == again.stopped.reason == "interrupted"
    assert same(again, twin)


def test_more_epochs_plan_the_schedule_again(tmp_path: Path) -> None:
    made, data, album = tiny(), data_for(EVERYTHING), Album(tmp_path)
    chosen = replace(EVERYTHING, lr=0.01, sizes=(), epochs=2)
    fit(Start(made, checkpoints=album), chosen, data)
    ear = Ear()
    more = replace(chosen, epochs=4)
    fitted = fit(Start(made, checkpoints=Only(tmp_path, album.all[5])), more, data, ear=ear)
    assert len(fitted.history) == 4
    assert fitted.recipe.epochs == 4
    text = next(event.text for event in ear.events if isinstance(event, Resumed))
    assert (
        "2 epochs were planned, now 4: the next step's learning rate is 0.0098 instead of" in text
    )


def test_more_epochs_go_on_from_a_training_that_was_done(tmp_path: Path) -> None:
    made, data, album = tiny(), data_for(PLAIN), Album(tmp_path)
    chosen = replace(PLAIN, patience=0)
    fit(Start(made, checkpoints=album), chosen, data)
    more = replace(chosen, epochs=5)
    longer = fit(Start(made, checkpoints=Only(tmp_path, album.all[-1])), more, data)
    twin = fit(made, more, data)  # at a constant rate: as if asked from the start
    assert all((longer.weights[name] == twin.weights[name]).all() for name in twin.weights)
    assert longer.stopped == twin.stopped
    assert [each.val_loss for each in longer.history] == [each.val_loss for each in twin.history]


def test_fewer_epochs_than_are_done_are_refused(tmp_path: Path) -> None:
    made, data, album = tiny(), data_for(PLAIN), Album(tmp_path)
    fit(Start(made, checkpoints=album), PLAIN, data)
    start = Start(made, checkpoints=Only(tmp_path, album.all[-1]))
    with pytest.raises(UsageError, match="1 epochs are asked for, and 3 are done") as caught:
        fit(start, replace(PLAIN, epochs=1), data)
    assert caught.value.code == "resume-differs"


def test_the_state_of_another_network_is_refused(tmp_path: Path) -> None:
    data, album = data_for(PLAIN), Album(tmp_path)
    fit(Start(tiny(), checkpoints=album), PLAIN, data)
    other = tiny(TINY.replace("CONV 8", "CONV 9"))
    with pytest.raises(UsageError, match="another network") as caught:
        fit(Start(other, checkpoints=Only(tmp_path, album.all[2])), PLAIN, data)
    assert caught.value.code == "resume-differs"


def test_a_damaged_checkpoint_costs_a_step_and_is_said(tmp_path: Path) -> None:
    made, data, kept = tiny(), data_for(PLAIN), Checkpoints(tmp_path, "scratch", every_s=0)
    twin = fit(Start(made, checkpoints=kept), PLAIN, data)
    flip(files(tmp_path)[-1], 500)
    ear = Ear()
    start = Start(made, checkpoints=Checkpoints(tmp_path, "scratch", every_s=0))
    assert same(fit(start, PLAIN, data, ear=ear), twin)
    assert [event.code for event in ear.events if isinstance(event, Noted)] == [
        "checkpoint-damaged"
    ]


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_whole", full)
    made, data, ear = tiny(), data_for(PLAIN), Ear()
    kept = Checkpoints(tmp_path, "scratch", every_s=0)
    fitted = fit(Start(made, checkpoints=kept), PLAIN, data, ear=ear)
    assert fitted.stopped.reason == "done"
    notes = [event for event in ear.events if isinstance(event, Noted)]
    assert [note.code for note in notes] == ["checkpoint-not-written"], "once, not at every step"
    assert "No space left on device" in notes[0].text


def test_sigterm_keeps_the_running_step_and_ends_with_143(tmp_path: Path) -> None:
    made, data, stop = tiny(), data_for(PLAIN), Stop()
    ear = Ear()

    def act(event: Event) -> None:
        stop.terminated |= len(ear.losses()) == 5

    ear.act = act
    kept = Checkpoints(tmp_path, "scratch", every_s=1e9)
    with pytest.raises(Terminated, match="SIGTERM in epoch 2") as caught:
        fit(Start(made, checkpoints=kept), PLAIN, data, ear=ear, stop=stop)
    assert (caught.value.code, caught.value.exit_status) == ("terminated", 143)
    assert "--resume" in caught.value.hint
    found = kept.newest()
    assert found is not None
    assert found.step == 5
    assert same(fit(Start(made, checkpoints=kept), PLAIN, data), fit(made, PLAIN, data))


def test_sigterm_without_a_place_to_keep_anything_promises_nothing() -> None:
    with pytest.raises(Terminated, match="SIGTERM in epoch 1") as caught:
        fit(tiny(), PLAIN, data_for(PLAIN), stop=Stop(terminated=True))
    assert caught.value.hint == ""
