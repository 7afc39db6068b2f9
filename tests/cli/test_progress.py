"""What a training looks like on a terminal, in a log and to a program."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from collections.abc import Callable

import pytest

from fieldmark.cli.progress import TrainingScreen
from fieldmark.cli.screen import Screen, shown
from fieldmark.training import events

EPOCH = events.EpochDone(
    epoch=2,
    epochs=30,
    loss=1.0484,
    accuracy=0.583,
    val_loss=0.983,
    val_accuracy=0.618,
    lr=0.001,
    seconds=8.1,
    train_seconds=7.2,
    best=True,
)
CHECKED = events.DataChecked(
    n_found=4318,
    n_used=4307,
    n_left_out=11,
    left_out={"truncated": 10, "heic": 1},
    train=3015,
    valid=646,
    test=646,
    classes=("daisy", "tulip"),
)
PLANNED = events.Planned(
    network="small",
    layers="INPUT ...",
    why="3,015 training pictures",
    weights=97_285,
    multiply_adds=11_900_000,
    recipe={"lr": None, "batch": 64, "epochs": 30, "threads": 2, "seed": 0},
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Let stderr be a terminal from the call on: pytest sets its own between fixture and test."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def install() -> Terminal:
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return install


def test_on_a_terminal_an_epoch_is_a_row_under_its_headings(
    on_terminal: Callable[[], Terminal],
) -> None:
    terminal = on_terminal()
    watcher = TrainingScreen(Screen.reset())
    with watcher:
        watcher(PLANNED)
        watcher(events.Progress(stage="epoch", done=1, total=4, loss=1.1))
        watcher(EPOCH)
        watcher(events.Progress(stage="epoch", done=1, total=4, loss=1.0))
    head = " epoch    loss   val loss   accuracy   val accuracy    best"
    row = "     2   1.048      0.983     58.3 %         61.8 %       *"
    shown_lines = terminal.getvalue().split("\n")
    assert shown_lines.count(head) == 1
    assert any(line.endswith(row) for line in shown_lines)
    assert row.index("*") in range(head.index("best"), len(head))


def test_on_a_terminal_a_bar_moves_and_is_gone_afterwards(
    on_terminal: Callable[[], Terminal],
) -> None:
    terminal = on_terminal()
    watcher = TrainingScreen(Screen.reset())
    with watcher:
        watcher(events.Progress(stage="decode", done=1, total=4))
        watcher(events.Progress(stage="decode", done=4, total=4))
        watcher(CHECKED)
    assert "decoding" in terminal.getvalue()
    assert "4,307 pictures in 2 classes" in terminal.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_go_when_they_are_not_wanted(
    on_terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    on_terminal()
    assert Screen().colored
    monkeypatch.setenv(name, value)
    assert not Screen().colored


def test_a_dumb_terminal_sees_plain_lines(
    on_terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = on_terminal()
    monkeypatch.setenv("TERM", "dumb")
    watcher = TrainingScreen(Screen.reset())
    with watcher:
        watcher(events.Progress(stage="epoch", done=1, total=4, loss=1.0))
        watcher(EPOCH)
    assert terminal.getvalue() == (
        "epoch=2 loss=1.0484 accuracy=0.5830 val_loss=0.9830 val_accuracy=0.6180 "
        "seconds=8.1 best=1\n"
    )


def test_a_log_says_what_was_used_and_what_was_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TrainingScreen(Screen.reset()) as watcher:
        watcher(events.RunStarted(run="flowers-1", folder="runs/flowers-1"))
        watcher(CHECKED)
        watcher(PLANNED)
        watcher(events.RateFound(lr=0.0125))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "Run flowers-1\n"
        "4,307 pictures in 2 classes  .  train 3,015  validation 646  test 646\n"
        "11 of 4,318 files left out: 1 heic, 10 truncated\n"
        "Network small (3,015 training pictures): 97,285 weights, 11.9 M multiply-adds a picture\n"
        "batch 64   epochs 30   2 threads   seed 0\n"
        "Learning rate 0.013 (range test)\n"
    )


def test_a_program_gets_every_event_but_progress(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen.reset().settle(as_json=True)
    with TrainingScreen(screen) as watcher:
        for event in (events.Progress(stage="epoch", done=1, total=2), CHECKED, EPOCH):
            watcher(event)
    captured = capsys.readouterr()
    assert captured.err == ""
    found = [json.loads(line) for line in captured.out.splitlines()]
    assert [event["event"] for event in found] == ["data_checked", "epoch"]
    assert found[1]["val_accuracy"] == 0.618


def test_an_interruption_is_remembered_for_the_exit_status() -> None:
    for reason, expected in (("done", False), ("interrupted", True)):
        watcher = TrainingScreen(Screen.reset().settle(quiet=True))
        watcher(events.Stopped(reason=reason, text="", best_epoch=1))
        assert watcher.interrupted is expected


def test_the_next_step_is_for_people_only(
    on_terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = on_terminal()
    Screen.reset().next("fieldmark predict")
    assert terminal.getvalue() == ""  # stdout is no terminal here
    monkeypatch.setattr(sys, "stdout", Terminal())
    Screen.reset().settle(quiet=True).next("fieldmark predict")
    Screen.reset().settle(as_json=True).next("fieldmark predict")
    assert terminal.getvalue() == ""
    Screen.reset().next("fieldmark predict", "fieldmark evaluate")
    assert terminal.getvalue() == "\nNext:  fieldmark predict\n       fieldmark evaluate\n"


def test_the_width_is_never_below_sixty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert Screen().width == 60


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("rose.jpg", "rose.jpg"),
        ("Käuzchen 薔薇.png", "Käuzchen 薔薇.png"),
        ("a\tb\r\n", "a\\tb\\r\\n"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("caf\udce9", "caf\\xe9"),
        ("\x9b31m", "\\x9b31m"),
    ],
    ids=ascii,
)
def test_names_are_safe_to_show(name: str, safe: str) -> None:
    assert shown(name) == safe


PLANNED_REPEATS = events.RepeatsPlanned(n_folds=5, n_repeats=3, n_trainings=15, seconds=None)


def said_of(*told: events.Event) -> tuple[list[str], TrainingScreen]:
    """Return the lines that a screen says about events, and the screen."""
    said: list[str] = []
    screen = Screen.reset()
    screen.say = said.append  # type: ignore[method-assign]
    with TrainingScreen(screen) as watcher:
        for event in told:
            watcher(event)
    return said, watcher


def epoch(number: int, *, best: bool) -> events.EpochDone:
    return dataclasses.replace(EPOCH, epoch=number, best=best)


def test_ctrl_c_in_repeats_says_what_becomes_of_the_training_under_way() -> None:
    by_epochs, _ = said_of(EPOCH, PLANNED_REPEATS, events.StopRequested())
    assert by_epochs[2] == (
        "Ctrl-C: the training under way is dropped, the others are kept. Again: quit."
    )
    solved, _ = said_of(PLANNED_REPEATS, events.StopRequested())
    assert solved[1] == ("Ctrl-C: the training under way is finished and is the last. Again: quit.")
    before, _ = said_of(EPOCH, events.StopRequested())
    assert before[1].startswith("Ctrl-C: this epoch is finished, the best kept and measured.")


def test_ctrl_c_before_the_first_repeat_is_done_is_an_interruption_too() -> None:
    said, watcher = said_of(EPOCH, PLANNED_REPEATS, events.StopRequested())
    assert said[-1] == "Stopped before one more training was done."
    assert watcher.interrupted


@pytest.mark.parametrize("interrupted", [True, False])
def test_repeats_that_were_summed_up_say_themselves_whether_they_were_stopped(
    interrupted: bool,
) -> None:
    done = events.RepeatsDone(repeats={}, interrupted=interrupted)
    said, watcher = said_of(PLANNED_REPEATS, events.StopRequested(), done)
    assert watcher.interrupted is interrupted
    assert "Stopped before" not in said[-1]


def test_ctrl_c_in_the_run_itself_is_not_taken_for_one_in_the_repeats() -> None:
    _, watcher = said_of(events.StopRequested(), EPOCH)
    assert not watcher.interrupted


def test_the_epoch_that_ships_is_named_for_what_it_is() -> None:
    def last(kept: int, *told: events.Event) -> str:
        stopped = events.Stopped(reason="done", text="All 3 epochs are done.", best_epoch=kept)
        return said_of(*told, stopped)[0][-1]

    worse = [epoch(1, best=True), epoch(2, best=True), epoch(3, best=False)]
    assert last(3, *worse) == "All 3 epochs are done. Epoch 3, the last one, is kept."
    assert last(2, *worse) == "All 3 epochs are done. Best epoch 2."
    better = [*worse[:2], epoch(3, best=True)]
    assert last(3, *better) == "All 3 epochs are done. Best epoch 3."


def test_the_epochs_of_one_step_of_fine_tuning_say_nothing_of_the_next() -> None:
    tuned = events.FineTuned(
        what="blocks",
        kept=True,
        share=1.0,
        accuracy_before=0.5,
        accuracy=0.6,
        log_loss_before=1.0,
        log_loss=0.9,
        n=10,
        n_units=10,
        recipe={},
    )
    stopped = events.Stopped(reason="done", text="Done.", best_epoch=1)
    said, _ = said_of(epoch(1, best=False), tuned, stopped)
    assert said[-1] == "Done. Best epoch 1."


def test_a_head_names_no_epoch() -> None:
    said, _ = said_of(events.Stopped(reason="solved", text="Solved.", best_epoch=0))
    assert said == ["Solved."]


def test_the_promise_is_one_line() -> None:
    screen = TrainingScreen(Screen())
    said = events.Promised(
        seconds=200.0, low=170.0, high=4000.0, memory_mb=1250, pictures_mb=40, rests_on="10 steps"
    )
    assert screen._lines(said) == [
        "About 3 min 20 s in all (2 min 50 s to 1 h 6 min), at most 1.3 GB of memory."
    ]
    (line,) = screen._lines(dataclasses.replace(said, pictures_mb=300))
    assert line.endswith("(0.3 GB of it pictures that it can give back).")
