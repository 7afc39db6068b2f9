"""Exit statuses and errors: four parts, a code, and nothing of it on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fieldmark import cli
from fieldmark.cli import runs as runs_verb
from tests.cli.conftest import Command, World, environment, spawned


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["nonsense"], "fieldmark: No such command 'nonsense'. [usage]"),
        (["predict"], "fieldmark: Missing argument 'RUN'. [usage]"),
        (["compare", "A"], "fieldmark: Missing argument 'B'. [usage]"),
        (["evaluate", "--by"], "fieldmark: Option '--by' requires an argument. [usage]"),
        (["net"], "fieldmark: Missing argument 'NAME'. [usage]"),
        (["train"], "fieldmark: No data folder is given. [usage]"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_wrong_command_line_is_status_2(fieldmark: Command, words: list[str], first: str) -> None:
    done = fieldmark(*words)
    assert done.status == 2
    assert done.out == ""
    assert done.err.splitlines()[0] == first
    hint = done.err.splitlines()[1]
    assert hint.startswith("  next:  fieldmark ")
    if words[0] in cli.VERBS:
        assert hint.startswith(f"  next:  fieldmark {words[0]} ")


@pytest.mark.parametrize(
    "words",
    [
        ["net", "tutorial", "--sise", "64"],
        ["net", "tutorial", "--size", "large"],
        ["net", "tutorial", "--size", "4"],
        ["net", "tutorial", "more"],
        ["predict", "latest", "a.jpg", "--top", "0"],
        ["evaluate", "--min-accuracy", "80"],
    ],
    ids=" ".join,
)
def test_an_option_that_does_not_fit_names_the_help_of_its_verb(
    fieldmark: Command, words: list[str]
) -> None:
    done = fieldmark(*words)
    assert done.status == 2
    assert "[usage]" in done.err
    assert f"  next:  fieldmark {words[0]} --help" in done.err


def test_an_error_has_four_parts(fieldmark: Command, here: Path) -> None:
    (here / "fotos").mkdir()
    for name in ("oak_1.jpg", "oak_2.jpg", "ash_1.jpg", "ash_2.jpg"):
        (here / "fotos" / name).touch()
    done = fieldmark("check", "fotos")
    assert done.status == 3
    assert done.out == ""
    assert done.err == (
        'fieldmark: no pictures in class folders under "fotos". [no-classes]\n'
        "  why:   It holds 4 pictures directly, in no sub-folder. Their names start with 2 words: "
        "ash_ (2), oak_ (2).\n"
        "  next:  If that word is the label:  "
        "fieldmark train fotos --label-from 'name:^(\\w+?)_'\n"
        "         If you have a list:         fieldmark train fotos --labels list.csv\n"
    )


def test_a_wrong_layer_list_is_shown_with_a_mark_under_the_place(fieldmark: Command) -> None:
    done = fieldmark("net", "INPUT 64x64x3 -> CONF 32 3x3 -> FC")
    assert done.status == 2
    lines = done.err.splitlines()
    assert lines[0] == "fieldmark: 'CONF' is not a layer. [layer-list]"
    assert lines[1].index("CONF") == lines[2].index("^")
    assert "did you mean CONV?" in lines[3]


def test_a_missing_folder_is_status_3(fieldmark: Command, here: Path) -> None:
    done = fieldmark("check", "nowhere")
    assert (done.status, done.out) == (3, "")
    assert '"nowhere" does not exist. [no-folder]' in done.err


def test_a_setting_out_of_range_is_refused_before_any_work(fieldmark: Command, here: Path) -> None:
    done = fieldmark("train", "nowhere", "--epochs", "0")
    assert done.status == 2
    assert "[setting-range]" in done.err
    assert "epochs is 0" in done.err


@pytest.mark.parametrize("verb", ["train", "split"])
@pytest.mark.parametrize("folds", ["-1", "1", "21", "200"])
def test_every_number_of_folds_that_makes_no_sense_gets_one_answer(
    fieldmark: Command, here: Path, verb: str, folds: str
) -> None:
    done = fieldmark(verb, "nowhere", "--folds", folds)
    assert (done.status, done.out) == (2, "")
    first = done.err.splitlines()[0]
    assert first == f"fieldmark: --folds is {folds}, but must be 0 or 2 to 20. [folds]"


@pytest.mark.parametrize("folds", ["0", "2", "20"])
def test_a_number_of_folds_that_makes_sense_is_taken(
    fieldmark: Command, here: Path, folds: str
) -> None:
    done = fieldmark("split", "nowhere", "--folds", folds)
    assert "[no-folder]" in done.err


def test_the_command_line_and_the_dealing_agree_on_folds() -> None:
    from fieldmark.cli.options import MAX_FOLDS
    from fieldmark.data import folds

    assert MAX_FOLDS == folds.MAX_FOLDS


def test_an_unknown_word_names_the_known_ones(fieldmark: Command, here: Path) -> None:
    done = fieldmark("train", "nowhere", "--optimizer", "rmsprop")
    assert done.status == 2
    assert "one of: auto or adam or adamw or sgd" in done.err


def test_a_gate_that_is_not_met_is_status_4_after_the_numbers(
    fieldmark: Command, model: Path, pictures: list[Path]
) -> None:
    for label, path in zip(("avocet", "heron", "heron"), pictures, strict=True):
        Path("data", label).mkdir(parents=True, exist_ok=True)
        path.rename(Path("data", label, path.name))  # the model takes all of them for owls
    done = fieldmark("evaluate", model.name, "data", "--min-accuracy", "0.8")
    assert done.status == 4
    assert "  accuracy      0.0 %    (0.0 to 56.1)" in done.out
    assert "The accuracy is 0.0 %; at least 80 % was asked for. [min-accuracy]" in done.err
    assert "where: 3 pictures, 0.0 to " in done.err


def test_a_missing_extra_is_status_5(
    fieldmark: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    done = fieldmark("demo")
    assert done.status == 5
    assert "[extra-missing]" in done.err
    assert 'next:  pip install "fieldmark[demo]"' in done.err
    assert not (here / "fieldmark-demo").exists()


def test_an_unknown_backend_is_refused_before_the_folder_is_read(
    fieldmark: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    (here / "data" / "a").mkdir(parents=True)
    (here / "data" / "b").mkdir(parents=True)
    for name in ("a", "b"):
        (here / "data" / name / "1.png").touch()
    done = fieldmark("train", "data", "--net", "small")
    assert done.status == 2
    assert "[backend-unknown]" in done.err


def test_a_damaged_model_file_is_status_6(
    fieldmark: Command, model: Path, pictures: list[Path]
) -> None:
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    done = fieldmark("predict", model.name, *pictures)
    assert (done.status, done.out) == (6, "")
    assert "[model-damaged]" in done.err
    assert "where: " in done.err


def test_ctrl_c_is_status_130(fieldmark: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(parent: Path) -> list[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr("fieldmark.runs.listed", interrupted)
    done = fieldmark("runs")
    assert (done.status, done.out) == (130, "")
    assert done.err == "fieldmark: stopped by Ctrl-C. [interrupted]\n"


def test_a_fault_of_ours_is_called_one_and_is_status_1(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(parent: Path) -> list[Any]:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("fieldmark.runs.listed", broken)
    done = fieldmark("runs")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(
        "fieldmark: a fault in fieldmark: RuntimeError: no such luck [fault]"
    )
    assert "--debug" in done.err
    assert "Traceback" not in done.err


def test_a_fault_in_a_thread_names_the_file(
    fieldmark: Command, model: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> bytes:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("fieldmark.inference.predictor.read_file", broken)
    done = fieldmark("predict", model.name, *pictures)
    assert (done.status, done.out) == (1, "")
    said = "RuntimeError: no such luck; at new/a.ppm [fault]"
    assert done.err.startswith(f"fieldmark: a fault in fieldmark: {said}")


def test_a_system_without_threads_is_not_called_a_fault(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(parent: Path) -> list[Any]:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("fieldmark.runs.listed", none_left)
    done = fieldmark("runs")
    assert done.status == 3
    assert done.err.splitlines()[0] == "fieldmark: the system starts no more threads. [system]"


def test_a_full_disk_is_not_called_a_fault(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(parent: Path) -> list[Any]:
        raise OSError(28, "No space left on device", "runs/a\nb")

    monkeypatch.setattr("fieldmark.runs.listed", full)
    done = fieldmark("runs")
    assert done.status == 3
    first, next_ = done.err.splitlines()[:2]
    assert first == "fieldmark: No space left on device: runs/a\\nb. [disk-full]"
    assert next_.startswith("  next:  make room")


@pytest.mark.parametrize("words", [["--debug", "net", "fooo"], ["net", "fooo", "--debug"]])
def test_debug_shows_where_an_error_came_from(fieldmark: Command, words: list[str]) -> None:
    done = fieldmark(*words)
    assert done.status == 2
    assert done.err.startswith("fieldmark: There is no network 'fooo'. [net-unknown]\n")
    assert "Traceback" in done.err
    assert "choosing.py" in done.err


def test_without_debug_nothing_of_the_code_is_shown(fieldmark: Command) -> None:
    assert "Traceback" not in fieldmark("net", "fooo").err


def test_what_follows_two_dashes_is_never_an_option(
    fieldmark: Command, model: Path, pictures: list[Path]
) -> None:
    done = fieldmark("predict", model.name, "--", "--debug")
    assert done.status == 3
    assert done.err.startswith("--debug  not read   there is no such file [no-file]\n")
    assert runs_verb is cli.runs


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m fieldmark net residual --size 64 | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("residual  .  input 64x64x3")
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_overwritten(fieldmark: Command, inside: World, tmp_path: Path) -> None:
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    done = fieldmark("evaluate", "latest", "shapes", "--csv", taken)
    assert done.status == 2
    assert done.out == ""  # refused before anything was measured
    assert "[file-exists]" in done.err
    assert taken.read_text() == "mine"
    done = fieldmark("evaluate", "latest", "shapes", "--csv", tmp_path / "no" / "place.csv")
    assert done.status == 2
    assert "[no-folder]" in done.err


def test_a_demonstration_overwrites_nothing(fieldmark: Command, here: Path) -> None:
    (here / "mine").mkdir()
    done = fieldmark("demo", "--out", "mine")
    assert done.status == 2
    assert "mine exists already. [exists]" in done.err


def test_the_process_ends_with_the_status(tmp_path: Path) -> None:
    assert spawned("net", "fooo", cwd=tmp_path).status == 2
    assert spawned("check", "nowhere", cwd=tmp_path).status == 3


def test_an_error_is_json_too_where_json_was_asked_for(fieldmark: Command, here: Path) -> None:
    done = fieldmark("predict", "nothere", "new.png", "--json")
    assert done.status == 2
    told = json.loads(done.out)["error"]
    assert told["code"] == "no-run"
    assert set(told) == {"code", "what", "where", "why", "next"}
    assert "[no-run]" in done.err


def test_an_empty_folder_to_label_is_an_error(fieldmark: Command, world: World, here: Path) -> None:
    (here / "empty").mkdir()
    done = fieldmark("predict", world.run, here / "empty")
    assert (done.status, "[no-pictures]" in done.err) == (3, True)
