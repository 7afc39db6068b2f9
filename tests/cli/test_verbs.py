"""Every verb but ``predict``: what it prints, and where."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from fieldmark import cli
from fieldmark.training import events
from fieldmark.workflow import demonstration
from tests.cli.conftest import LAYERS, Command, World, environment
from tests.pictures import SHAPES, write_shapes


def lines_of_json(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_training_in_a_log_prints_one_line_per_epoch(world: World) -> None:
    log = world.trained.err
    assert "Run shapes-1\n" in log
    assert "60 pictures in 3 classes  .  train " in log
    assert "1 of 61 files left out: 1 truncated\n" in log
    assert "Network layers (as asked): " in log
    number = r"\d+\.\d+"
    epoch = (
        rf"^epoch=\d loss={number} accuracy={number} val_loss={number} val_accuracy={number} "
        rf"seconds={number} best=[01]$"
    )
    assert len(re.findall(epoch, log, re.MULTILINE)) == 2
    assert "\x1b" not in log
    assert "\r" not in log


def test_training_prints_the_numbers_and_the_two_files_to_open(world: World) -> None:
    lines = world.trained.out.splitlines()
    assert any(re.match(r"  accuracy +\d+\.\d %   \(\d+\.\d to \d+\.\d\)", line) for line in lines)
    assert lines[-2:] == ["runs/shapes-1/report.html", "runs/shapes-1/shapes-1.fieldmark"]
    assert "Next:" not in world.trained.err  # nobody looks at a pipe
    assert max(map(len, lines)) <= 80


def test_a_finished_run_holds_what_the_documentation_says(world: World) -> None:
    found = {path.name for path in world.run.iterdir()}
    page = Path(__file__).parents[2] / "docs" / "run-folder.md"
    told: set[str] = set()
    for row in page.read_text(encoding="utf-8").splitlines():
        if row.startswith("| `"):
            told |= set(re.findall(r"`([\w.-]+)`", row.split(" | ")[0]))
    told = {name.replace("flowers-1", "shapes-1") for name in told}
    assert found - told == set()
    # The learning rate was given here, nothing was pretrained and nothing repeated.
    solved = {"head.csv", "learning_curve.csv", "learning_curve.json"}
    assert told - found == {"lr_find.csv", "lr_find.png", "repeats.csv", "repeats.json", *solved}


def test_the_command_is_kept_as_it_was_typed(world: World) -> None:
    kept = (world.run / "command.txt").read_text(encoding="utf-8")
    assert kept == f"fieldmark train shapes --net '{LAYERS}' --epochs 2 --lr 0.01\n"


def test_measuring_the_own_test_part_again_gives_the_same_numbers(
    fieldmark: Command, inside: World
) -> None:
    done = fieldmark("evaluate")
    assert done.status == 0
    assert re.fullmatch(r"This test part has been looked at \d+ times: .*\n", done.err)
    said = json.loads((inside.run / "metrics.json").read_text(encoding="utf-8"))
    measured = json.loads(fieldmark("evaluate", "latest", "--json").out)
    assert measured["schema"] == "fieldmark.report/1"
    assert measured["n"] == said["n"]
    assert measured["confusion"] == said["confusion"]
    assert measured["accuracy"] == said["accuracy"]
    assert measured["unread"] == []
    assert measured["looks"]["n"] == int(measured["conditions"]["looks"]) > 1


def test_measuring_names_what_could_not_be_read_and_is_status_3(
    fieldmark: Command, inside: World
) -> None:
    done = fieldmark("evaluate", "shapes-1", "shapes")
    assert done.status == 3
    assert "shapes/circle/cut.png  not read   file ends too early" in done.err
    assert "1 files could not be read and do not count: 1 truncated" in done.err
    assert "20" in done.out
    quiet = fieldmark("evaluate", "shapes-1", "shapes", "-q")
    assert (quiet.status, quiet.out) == (3, done.out)
    assert len(quiet.err.splitlines()) == 1


def test_measuring_writes_one_row_per_file(
    fieldmark: Command, inside: World, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    assert fieldmark("evaluate", "latest", "shapes", "--csv", rows).status == 3
    with rows.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 60
    assert set(found[0]) == {"path", "sha256", "label", "predicted", "score", "correct"}
    assert {row["correct"] for row in found} <= {"0", "1"}


def test_measuring_by_a_fact_shows_its_slices(fieldmark: Command, inside: World) -> None:
    done = fieldmark("evaluate", "latest", "shapes", "--by", "brightness", "--by", "format")
    assert done.status == 3  # one file cannot be read
    assert "format: the same for all of 60 pictures." in done.out
    assert "elsewhere" in done.out
    assert done.out.count(" third (mean grey ") == 3
    found = json.loads(fieldmark("evaluate", "latest", "shapes", "--json", "--by", "blur").out)
    assert {each["fact"] for each in found["slices"]["found"]} <= {"blur"}
    assert found["slices"]["n_facts"] + len(found["slices"]["not_looked_at"]) == 1


def test_measuring_by_what_is_not_known_is_refused(fieldmark: Command, inside: World) -> None:
    done = fieldmark("evaluate", "latest", "shapes", "--by", "weather")
    assert (done.status, done.out) == (2, "")
    assert "Nothing called 'weather' is known of these pictures. [by-unknown]" in done.err


def test_a_gate_that_is_met_is_status_0(fieldmark: Command, inside: World) -> None:
    assert fieldmark("evaluate", "latest", "--min-accuracy", "0").status == 0


def test_classes_that_the_model_does_not_know_are_refused(
    fieldmark: Command, inside: World, tmp_path: Path
) -> None:
    write_shapes(tmp_path / "other", 2)
    (tmp_path / "other" / "circle").rename(tmp_path / "other" / "star")
    done = fieldmark("evaluate", "latest", tmp_path / "other")
    assert (done.status, done.out) == (3, "")
    assert "The model does not know 1 classes here: star. [unknown-classes]" in done.err


def test_checking_counts_classes_and_names_what_was_left_out(
    fieldmark: Command, inside: World
) -> None:
    done = fieldmark("check", "shapes")
    assert (done.status, done.err) == (0, "")
    assert re.sub(r"read in \d+\.\d s", "read in X s", done.out) == (
        "shapes: 60 pictures in 3 classes (read in X s)\n"
        "\n"
        "  class      files    used\n"
        "  circle        20      20\n"
        "  square        20      20\n"
        "  triangle      20      20\n"
        "\n"
        "  very dark: 2 files, shown only [dark]\n"
        "      triangle/008.png  mean grey 21 of 255, spread 16\n"
        "      triangle/009.png  mean grey 19 of 255, spread 17\n"
        "\n"
        "  file ends too early: 1 file, skipped [truncated]\n"
        "      circle/cut.png\n"
        "\n"
        "60 usable. Smallest class 20, largest 20.\n"
        "Full list: shapes.check.html, shapes.check.json\n"
    )


def test_checking_in_json_lists_every_file_left_out(fieldmark: Command, inside: World) -> None:
    done = fieldmark("check", "shapes", "--json")
    (found,) = lines_of_json(done.out)
    assert found["schema"] == "fieldmark.check/2"
    assert found["classes"] == {name: {"files": 20, "used": 20} for name in SHAPES}
    (left_out,) = found["left_out"]
    assert (left_out["path"], left_out["code"]) == ("circle/cut.png", "truncated")


def test_checking_changes_nothing_in_the_folder(fieldmark: Command, here: Path) -> None:
    folder = write_shapes(here / "shapes", 2)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert fieldmark("check", "shapes").status == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert sorted(path.name for path in here.iterdir()) == [
        "shapes",
        "shapes.check.html",
        "shapes.check.json",
    ]


def test_hostile_class_and_file_names_are_shown_and_never_obeyed(
    fieldmark: Command, here: Path
) -> None:
    folder = write_shapes(here / "shapes", 2)
    (folder / "circle").rename(folder / "\x1b[31mred")
    (folder / "square" / "new\nline.png").write_bytes(b"no picture")
    done = fieldmark("check", "shapes")
    assert done.status == 0
    assert "\\x1b[31mred" in done.out
    assert "square/new\\nline.png" in done.out
    assert "\x1b" not in done.out + done.err


def test_the_layer_table_of_the_tutorial(fieldmark: Command) -> None:
    done = fieldmark("net", "tutorial", "--size", "64", "--classes", "5")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "tutorial  .  input 64x64x3  .  5 classes"
    rows = [line.split() for line in lines if re.match(r" \d|     [A-Z]", line)]
    assert [row[-3] for row in rows if row[0] == "1"] == ["(64-3)/1+1"]
    assert any("3,936,384" in row for row in rows)
    assert "3,937,925 weights" in done.out
    assert "[net-wide-flat]" in done.out


@pytest.mark.parametrize("columns", [60, 78, 80, 120])
@pytest.mark.parametrize("name", ["tutorial", "small", "residual"])
def test_the_layer_table_is_no_wider_than_the_screen(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, fieldmark("net", name).out.splitlines())) <= columns


def test_the_layer_table_in_json_is_one_object(fieldmark: Command) -> None:
    (table,) = lines_of_json(fieldmark("net", "tutorial", "--classes", "5", "--json").out)
    assert table["schema"] == "fieldmark.layers/1"
    assert table["weights"] == 3_937_925
    assert [row["kind"] for row in table["layers"]][:3] == ["INPUT", "CONV", "RELU"]


def test_a_layer_list_may_come_from_a_file(fieldmark: Command, here: Path) -> None:
    (here / "mine.txt").write_text("# my network\nINPUT 8x8x3\nFC\n")
    assert fieldmark("net", "mine.txt", "--classes", "3").out.startswith("mine  .  input 8x8x3")


def test_runs_are_listed_with_their_accuracy(fieldmark: Command, inside: World) -> None:
    done = fieldmark("runs")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(r"shapes-1 +\d+\.\d %  \(\d+\.\d to \d+\.\d, \d+ pictures\)\n", done.out)
    (run,) = lines_of_json(fieldmark("runs", "--json").out)
    assert (run["run"], run["finished"]) == ("shapes-1", True)
    assert set(run["accuracy"]) == {"value", "low", "high", "n"}


def test_an_unfinished_run_is_called_so(fieldmark: Command, here: Path) -> None:
    (here / "runs" / "birds-12").mkdir(parents=True)
    (here / "runs" / "birds-2").mkdir()
    out = fieldmark("runs").out
    assert sorted(out.splitlines()) == ["birds-12  unfinished", "birds-2   unfinished"]


def test_a_run_whose_further_trainings_are_not_done_has_its_figures_and_says_so(
    fieldmark: Command, here: Path
) -> None:
    run = here / "runs" / "birds-1"
    (run / "checkpoint").mkdir(parents=True)
    (run / "birds-1.fieldmark").write_bytes(b"model")
    accuracy = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 90}
    (run / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))
    figures = "birds-1   50.0 %  (40.0 to 60.0, 90 pictures)"
    assert fieldmark("runs").out == f"{figures}\n"
    (run / "checkpoint" / "turns").touch()
    assert fieldmark("runs").out == f"{figures}  further trainings unfinished\n"


def test_no_runs_is_said_beside_the_results(fieldmark: Command, here: Path) -> None:
    done = fieldmark("runs", "--json")
    assert (done.status, done.out, done.err) == (0, "", "No runs in runs.\n")


FILES = ("report.html", "shapes-1.fieldmark")


class Said:
    """Stands for a run's attribute that only says lines."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def lines(self) -> list[str]:
        return self._lines


class FakeRun:
    """A run that nothing had to be trained for."""

    def __init__(self, world: World) -> None:
        from fieldmark.workflow.run import open_run

        self._run = open_run(world.run)
        self.weak_spots = self._run.weak_spots
        self.more_data = self._run.more_data
        self.repeats = self._run.repeats
        self.cautions = self._run.cautions
        self.report = self._run.report
        self.folder = self._run.folder
        self.bundle = self._run.bundle
        self.predict = self._run.predict


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, world: World) -> list[dict[str, Any]]:
    """Let training be a look at the finished run; return what it was asked for."""
    asked: list[dict[str, Any]] = []

    def train(folder: str, net: str, *, settings: Any, listen: Any, command: str) -> FakeRun:
        asked.append({"folder": folder, "net": net, "settings": settings, "command": command})
        listen(events.RunStarted(run="shapes-2", folder="runs/shapes-2"))
        listen(events.Progress(stage="decode", done=1, total=2))
        listen(events.Stopped(reason=folder, text="Enough.", best_epoch=1))
        return FakeRun(world)

    monkeypatch.setattr("fieldmark.workflow.training.train", train)
    return asked


def test_training_in_json_prints_events_and_nothing_else(
    fieldmark: Command, trained: list[dict[str, Any]]
) -> None:
    done = fieldmark("train", "flowers", "--json")
    assert (done.status, done.err) == (0, "")
    assert [event["event"] for event in lines_of_json(done.out)] == ["run_started", "early_stop"]


def test_training_says_beside_its_figures_what_limits_them(world: World) -> None:
    lines = world.trained.out.splitlines()
    assert (
        "  note: The test part holds only 9 pictures: one picture more or less moves the" in lines
    )
    noted = [at for at, line in enumerate(lines) if line.startswith("  note: ")]
    assert max(at for at, line in enumerate(lines) if " recall " in line) < noted[0]
    card = json.loads((world.run / "card.json").read_text(encoding="utf-8"))
    told = re.sub(r"\s+", " ", world.trained.out)
    assert all(each in told for each in card["cautions"])


def test_three_notes_at_most_are_printed_and_none_in_json(
    fieldmark: Command, trained: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = property(lambda run: ("One.", "T\x1bwo.", "Three.", "Four."))
    monkeypatch.setattr("fieldmark.workflow.run.Run.cautions", many)
    lines = fieldmark("train", "flowers").out.splitlines()
    noted = [line for line in lines if line.startswith("  note:")]
    assert noted == ["  note: One.", "  note: T\\x1bwo.", "  note: Three."]
    assert "One." not in fieldmark("train", "flowers", "--json").out


def test_what_the_report_says_itself_is_no_note(
    fieldmark: Command,
    trained: list[dict[str, Any]],
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fieldmark.workflow.run import open_run

    verdict = open_run(world.run).report.verdict
    monkeypatch.setattr("fieldmark.workflow.run.Run.cautions", property(lambda run: (verdict,)))
    assert "note:" not in fieldmark("train", "flowers").out


def test_the_figures_are_printed_before_the_repeats_and_only_once(
    fieldmark: Command,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    world: World,
) -> None:
    early: list[str] = []

    def train(folder: str, net: str, *, settings: Any, listen: Any, command: str) -> FakeRun:
        told = {"folder": str(world.run), "bundle": "", "report": "", "seconds": 1.0}
        listen(events.RunFinished(**told))
        early.append(capfd.readouterr().out)
        return FakeRun(world)

    monkeypatch.setattr("fieldmark.workflow.training.train", train)
    late = fieldmark("train", "flowers", "--folds", "2").out
    assert re.search(r"^  accuracy ", early[0], re.MULTILINE)
    assert late.splitlines() == ["", *(str(world.run / name) for name in FILES)]


def test_no_figure_is_cut_on_a_narrow_screen(
    fieldmark: Command,
    trained: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fieldmark.workflow.run import Run

    spread = "  spread (SD, points): folds 11.7 (pictures alone 8.2), repeats 8.2, seeds 1.0"
    line = "Twice 3,015 pictures: 78.0 % (74.3 to 82.1), now 76.7 %: +1.3 (-0.2 to +2.7)"
    worse = "worse on: weather: rain 32.0 % (24 to 42, 100 pictures) against 80.0 % elsewhere"
    instead = {
        "repeats": Said([spread]),
        "weak_spots": Said([worse]),
        "more_data": {"line": line, "class_line": "Of no class."},
        "cautions": ("word " * 30,),
    }
    for name, value in instead.items():
        monkeypatch.setattr(Run, name, property(lambda run, value=value: value))
    monkeypatch.setenv("COLUMNS", "60")
    lines = fieldmark("train", "flowers").out.splitlines()
    paths = [at for at, each in enumerate(lines) if each.endswith(("report.html", ".fieldmark"))]
    assert len(paths) == 2
    assert max(len(each) for at, each in enumerate(lines) if at not in paths) <= 60
    told = re.sub(r"\s+", " ", "\n".join(lines))
    assert all(each.strip() in told for each in (spread, line, worse))


def test_quiet_training_prints_results_only(
    fieldmark: Command, trained: list[dict[str, Any]]
) -> None:
    done = fieldmark("train", "flowers", "-q")
    assert (done.status, done.err) == (0, "")
    assert "accuracy" in done.out


def test_training_that_was_interrupted_is_measured_and_is_status_130(
    fieldmark: Command, trained: list[dict[str, Any]]
) -> None:
    done = fieldmark("train", "interrupted")
    assert done.status == 130
    assert "accuracy" in done.out
    assert "stopped by Ctrl-C" not in done.err


def test_options_become_settings_of_the_right_kind(
    fieldmark: Command, trained: list[dict[str, Any]]
) -> None:
    words = "--epochs 7 --lr 3e-4 --size 32 --batch auto --val 0.2 --seed 5 --time 10m --no-cache"
    assert fieldmark("train", "flowers", "--net", "small", *words.split()).status == 0
    (asked,) = trained
    settings = asked["settings"]
    assert (asked["folder"], asked["net"]) == ("flowers", "small")
    assert (settings.train.epochs, settings.train.lr, settings.train.batch) == (7, 3e-4, "auto")
    assert (settings.net.size, settings.split.valid, settings.train.seed) == (32, 0.2, 5)
    assert (settings.train.time, settings.run.cache) == ("10m", False)


def test_a_settings_file_repeats_a_run_and_options_win_over_it(
    fieldmark: Command, trained: list[dict[str, Any]], world: World
) -> None:
    config = world.run / "config.toml"
    assert fieldmark("train", "--config", config, "--epochs", "9").status == 0
    settings = trained[0]["settings"]
    assert Path(trained[0]["folder"]).name == "shapes"
    assert (settings.train.epochs, settings.train.lr) == (9, 0.01)
    assert settings.net.layers == LAYERS


def test_a_preset_lies_beneath_the_file_and_the_options(
    fieldmark: Command, trained: list[dict[str, Any]], here: Path
) -> None:
    file = here / "mine.toml"
    file.write_text("[train]\nsizes = '32,48'\n", encoding="utf-8")
    asked = ("train", "flowers", "--preset", "best")
    assert fieldmark(*asked).status == 0
    assert fieldmark(*asked, "--config", file, "--time", "1m").status == 0
    plain, changed = (each["settings"] for each in trained)
    assert (plain.net.name, plain.train.time, plain.train.sizes) == ("residual", "20m", "auto")
    assert (changed.net.name, changed.train.time) == ("residual", "1m")
    assert changed.train.sizes == "32,48"


def test_a_preset_that_does_not_exist_is_wrong_usage(fieldmark: Command) -> None:
    done = fieldmark("train", "flowers", "--preset", "slow")
    assert done.status == 2
    assert "[preset-unknown]" in done.err


@pytest.fixture
def short_demonstration(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Let the demonstration draw shapes and use the finished run."""
    monkeypatch.setattr(
        demonstration, "write_digits", lambda folder: write_shapes(folder / "digits", 2)
    )

    def train(pictures: Path, folder: Path, *, listen: Any, command: str) -> FakeRun:
        listen(events.RunStarted(run="digits-1", folder=str(folder)))
        return FakeRun(world)

    monkeypatch.setattr(demonstration, "train", train)
    monkeypatch.setattr(
        demonstration,
        "one_test_picture",
        lambda run, pictures: next(iter(sorted(pictures.rglob("*.png")))),
    )


def test_the_demonstration_shows_the_commands_it_stands_for(
    fieldmark: Command, here: Path, short_demonstration: None
) -> None:
    done = fieldmark("demo", "--out", "d")
    assert done.status == 0
    assert "$ fieldmark check d/digits\n" in done.err
    assert "$ fieldmark train d/digits --net small " in done.err
    assert "accuracy" in done.out
    assert re.search(r"^d/digits/circle/000.png  \w+  \d+ %$", done.out, re.MULTILINE)
    assert done.out.splitlines()[-1].startswith("model   ")


def test_the_demonstration_in_json_prints_events_and_nothing_else(
    fieldmark: Command, here: Path, short_demonstration: None
) -> None:
    done = fieldmark("demo", "--out", "d", "--json")
    assert (done.status, done.err) == (0, "")
    assert [event["event"] for event in lines_of_json(done.out)] == ["run_started"]


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_json(verb: str, fieldmark: Command) -> None:
    assert "--json" in fieldmark(verb, "--help").out


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}], ids=["usual", "no-color"])
def test_on_a_terminal_the_next_step_is_shown(tmp_path: Path, variables: dict[str, str]) -> None:
    import os
    import pty
    import subprocess

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "fieldmark", "net", "small"],
        cwd=tmp_path,
        env=environment(TERM="xterm-256color", COLUMNS="80", **variables),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
    assert process.returncode == 0
    assert b"Next:  fieldmark train FOLDER --net small" in shown
    assert b"\x1b" not in shown
