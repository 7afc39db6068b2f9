"""Help: what there is to type, at any width, without loading anything heavy."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fieldmark.cli import VERBS
from tests.cli.conftest import Command, spawned

ESCAPE = "\x1b"


def test_nothing_typed_shows_a_dozen_lines_with_two_examples(fieldmark: Command) -> None:
    done = fieldmark()
    assert done.status == 0
    assert done.err == ""
    assert done.out == (
        "Turn a folder of labelled pictures into a convolutional network you can trust.\n"
        "\n"
        "  fieldmark train FOLDER          check, train and measure\n"
        "  fieldmark predict latest *.jpg  name new pictures\n"
        "\n"
        "  demo      Go the whole way once, on real handwritten digits\n"
        "  doctor    Say what is installed, what is missing, how fast it runs here\n"
        "  check     Find broken, copied, mislabelled, odd and leaking files\n"
        "  show      Show samples, what a network receives, what augmentation does\n"
        "  split     Fix which files are for training, validation and test\n"
        "  net       Show the layer table: volumes, weights, cost, likely mistakes\n"
        "  train     Train a classifier, then measure it on unseen pictures\n"
        "  evaluate  Measure a model on labelled pictures, with intervals\n"
        "  compare   Compare two or more runs on the same pictures\n"
        "  reproduce Train a model again and compare it with its file, byte by byte\n"
        "  predict   Label new pictures, one line each\n"
        "  inspect   Look at a model file without running anything of it\n"
        "  runs      List the runs, oldest first, with what each measured\n"
        "\n"
        "fieldmark VERB --help explains one of them.\n"
    )


def test_the_help_shows_its_three_examples_as_they_are_typed(fieldmark: Command) -> None:
    out = fieldmark("--help").out
    assert (
        "  fieldmark demo                  the whole way once\n"
        "  fieldmark train FOLDER          check, train and measure\n"
        "  fieldmark predict latest *.jpg  name new pictures\n"
    ) in out
    assert "\\b" not in out
    assert "\b" not in out


def test_the_help_cuts_no_verb_short_on_a_usual_screen(fieldmark: Command) -> None:
    assert "..." not in fieldmark("--help").out.partition("Commands:")[2]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_a_verb_ends_in_an_example(fieldmark: Command, verb: str, flag: str) -> None:
    done = fieldmark(verb, flag)
    assert done.status == 0
    assert f"Example: fieldmark {verb}" in done.out
    assert (inspect.getdoc(VERBS[verb]) or "").splitlines()[-1].startswith("Example: fieldmark ")


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_says_what_it_does(fieldmark: Command, verb: str) -> None:
    described = fieldmark(verb, "--help").out.partition("Options:")[2]
    entries = re.split(r"\n  (?=-)", described)[1:]
    assert entries
    assert [entry for entry in entries if not re.search(r"\s{2,}[A-Z0-9a-z]", entry)] == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_says_what_shape_the_json_has(fieldmark: Command, verb: str) -> None:
    said = " ".join(fieldmark(verb, "--help").out.split())
    lines = "--json Print JSON Lines on stdout: one object a line." in said
    assert lines == (verb in ("train", "demo", "predict", "runs"))
    assert lines or "--json Print one JSON object on stdout." in said


@pytest.mark.parametrize("columns", ["60", "80", "120"])
@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_is_no_wider_than_the_screen(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch, verb: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = fieldmark(*filter(None, [verb]), "--help").out
    assert max(map(len, out.splitlines())) <= int(columns)
    assert ESCAPE not in out


def test_the_short_help_is_no_wider_than_the_screen_either(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, fieldmark().out.splitlines())) <= 60


def test_the_version_is_one_line(fieldmark: Command) -> None:
    from fieldmark import __version__

    assert fieldmark("--version").out == f"fieldmark {__version__}\n"


def test_python_dash_m_does_the_same(tmp_path: Path) -> None:
    done = spawned("--version", cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("fieldmark ")


HEAVY = {"keras", "tensorflow", "matplotlib", "jinja2", "torch", "jax"}
AFTER = """
import json, sys
from fieldmark.cli import run
status = run(sys.argv[1:])
sys.stderr.write("@" + json.dumps([status, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def loaded(words: list[str], cwd: Path) -> tuple[int, set[str]]:
    """Run one command line in a new process; return its status and what it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", AFTER, *words],
        cwd=cwd,
        env=os.environ | {"FIELDMARK_CACHE": str(cwd / ".cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    status, names = json.loads(done.stderr.rpartition("@")[2])
    return status, set(names)


@pytest.mark.parametrize(
    "words",
    [[], ["--help"], ["train", "--help"], ["inspect", "--help"], ["net", "tutorial"], ["runs"]],
    ids=" ".join,
)
def test_help_and_lists_load_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    status, modules = loaded(words, tmp_path)
    assert status == 0
    assert modules & (HEAVY | {"onnx", "onnxruntime", "cv2", "sklearn"}) == set()


def test_predicting_loads_no_training_stack_and_no_onnx(
    model: Path, pictures: list[Path], here: Path
) -> None:
    status, modules = loaded(["predict", model.name, *map(str, pictures)], here)
    assert status == 0
    assert modules & (HEAVY | {"onnx", "sklearn"}) == set()
    assert "onnxruntime" in modules


def test_looking_at_a_model_file_loads_no_engine(model: Path, here: Path) -> None:
    status, modules = loaded(["inspect", model.name], here)
    assert status == 0
    assert modules & (HEAVY | {"onnx", "onnxruntime", "openvino", "cv2", "sklearn"}) == set()


def test_measuring_and_checking_load_no_training_stack(
    model: Path, pictures: list[Path], here: Path
) -> None:
    for name, path in zip(("avocet", "heron", "heron"), pictures, strict=True):
        (here / "data" / name).mkdir(parents=True, exist_ok=True)
        path.rename(here / "data" / name / path.name)
    for words in (["evaluate", model.name, "data"], ["check", "data", "--html", "none"]):
        status, modules = loaded(words, here)
        assert status == 0
        assert modules & HEAVY == set()
