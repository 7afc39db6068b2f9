"""``fieldmark predict``: exact output, every way to name files, one bad file among good ones."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path

import pytest

from fieldmark.data.table import plain
from tests.cli.conftest import GOLDEN, Command, spawned

OLDER = "This model file is older and says of no answer whether it is sure; train again.\n"
MODEL_ID = "sha256:9146661eef49047b9bee855ae01f2aa12f7197602d96ac91b97f0f865d000f10"


def test_the_table_has_one_line_for_each_file(
    fieldmark: Command, model: Path, pictures: list[Path]
) -> None:
    done = fieldmark("predict", model.name, *pictures)
    assert done.status == 0
    assert done.out == (
        "new/a.ppm  Käuzchen   81 %  heron 19 %  avocet 1 %\n"
        "new/b.ppm  Käuzchen   84 %  heron 16 %  avocet 0 %\n"
        "new/c.ppm  Käuzchen   75 %  heron 25 %  avocet 0 %\n"
    )
    assert done.err == f"3 files: 3 labelled.  Model waders-1 (2026-11-22)\n{OLDER}"


def test_one_file_is_one_file(fieldmark: Command, model: Path, pictures: list[Path]) -> None:
    assert fieldmark("predict", model.name, pictures[0]).err.startswith("1 file: 1 labelled.  ")


def test_top_shows_as_many_classes(fieldmark: Command, model: Path, pictures: list[Path]) -> None:
    assert fieldmark("predict", model.name, pictures[0], "--top", "1").out == (
        "new/a.ppm  Käuzchen   81 %\n"
    )
    line = fieldmark("predict", model.name, pictures[0], "--top", "2", "--json").out
    assert [entry["label"] for entry in json.loads(line)["predictions"]] == ["Käuzchen", "heron"]


def test_json_lines_say_everything_about_an_answer(
    fieldmark: Command, model: Path, pictures: list[Path]
) -> None:
    done = fieldmark("predict", model.name, pictures[0], "--json")
    answer = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert answer.pop("ms") > 0
    assert answer.pop("score") == pytest.approx(0.808204, abs=1e-3)
    entries = answer.pop("predictions")
    assert [entry["label"] for entry in entries] == ["Käuzchen", "heron", "avocet"]
    assert [entry["score"] for entry in entries] == pytest.approx(
        [0.808204, 0.186301, 0.005494], abs=1e-3
    )
    assert answer == {
        "schema": "fieldmark.prediction/1",
        "file": "new/a.ppm",
        "sha256": answer["sha256"],
        "label": "Käuzchen",
        "decision": None,
        "reason": "The model file does not say which answers are sure enough.",
        "ood": None,
        "model": {"name": "waders-1", "id": MODEL_ID},
    }


def test_csv_has_one_column_per_class(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    (here / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = fieldmark("predict", model.name, pictures[1], "cut.png", "--format", "csv")
    assert done.status == 3
    head, answer, unread = csv.reader(io.StringIO(done.out))
    assert head == [
        *("file", "label", "score", "problem", "decision"),
        *("score:avocet", "score:heron", "score:Käuzchen"),
    ]
    assert answer[:2] == ["new/b.ppm", "Käuzchen"]
    assert [float(cell) for cell in (answer[2], *answer[5:])] == pytest.approx(
        [0.839162, 0.001946, 0.158892, 0.839162], abs=1e-3
    )
    assert unread == ["cut.png", "", "", "truncated", "", "", "", ""]


def test_json_and_its_format_name_are_the_same(
    fieldmark: Command, model: Path, pictures: list[Path]
) -> None:
    def without_time(text: str) -> list[dict[str, object]]:
        return [json.loads(line) | {"ms": 0} for line in text.splitlines()]

    short = fieldmark("predict", model.name, *pictures, "--json").out
    long = fieldmark("predict", model.name, *pictures, "--format", "jsonl").out
    assert without_time(short) == without_time(long)


def test_an_unknown_format_is_refused(
    fieldmark: Command, model: Path, pictures: list[Path]
) -> None:
    done = fieldmark("predict", model.name, *pictures, "--format", "xml")
    assert (done.status, done.out) == (2, "")
    assert "There is no format 'xml'. [format-unknown]" in done.err


def test_one_bad_file_is_named_and_the_others_are_answered(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    (here / "new" / "b2.jpg").write_bytes(b"no picture")
    done = fieldmark("predict", model.name, pictures[0], "new/b2.jpg", "gone.png", pictures[2])
    assert done.status == 3
    assert [line[:9] for line in done.out.splitlines()] == ["new/a.ppm", "new/c.ppm"]
    assert done.err == (
        "new/b2.jpg  not read   not a picture in a known format [unknown-format]\n"
        "gone.png  not read   there is no such file [no-file]\n"
        "4 files: 2 labelled, 2 not read.  Model waders-1 (2026-11-22)\n"
        f"{OLDER}"
    )


def test_in_json_a_bad_file_is_a_line_like_the_others(
    fieldmark: Command, model: Path, here: Path
) -> None:
    done = fieldmark("predict", model.name, "gone.png", "--json")
    assert done.status == 3
    assert json.loads(done.out) == {
        "schema": "fieldmark.prediction/1",
        "file": "gone.png",
        "error": {"code": "no-file", "reason": "there is no such file"},
    }


def test_quiet_keeps_results_and_errors(
    fieldmark: Command, model: Path, pictures: list[Path]
) -> None:
    done = fieldmark("predict", model.name, pictures[0], "gone.png", "-q")
    assert done.out.startswith("new/a.ppm")
    assert done.err == "gone.png  not read   there is no such file [no-file]\n"


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


def test_a_folder_stands_for_the_pictures_in_it(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    (here / "new" / "deep").mkdir()
    (here / "new" / "deep" / "d.ppm").write_bytes((here / pictures[0]).read_bytes())
    (here / "new" / "notes.txt").write_text("not meant")
    every = ["new/a.ppm", "new/b.ppm", "new/c.ppm", "new/deep/d.ppm"]
    assert names(fieldmark("predict", model.name, "new").out) == every
    flat = fieldmark("predict", model.name, "new", "--no-recursive")
    assert (flat.status, names(flat.out)) == (0, every[:3])


def test_a_glob_in_quotes_is_unfolded(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    assert names(fieldmark("predict", model.name, "new/[ab].ppm").out) == ["new/a.ppm", "new/b.ppm"]
    absolute = str(here / "new" / "*.ppm")
    assert len(names(fieldmark("predict", model.name, absolute).out)) == 3


def test_a_glob_that_fits_nothing_is_named(fieldmark: Command, model: Path) -> None:
    done = fieldmark("predict", model.name, "*.gif")
    assert done.status == 3
    assert done.err.startswith("*.gif  not read")


def test_a_file_whose_name_looks_like_a_glob_is_itself(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    (here / "[a].ppm").write_bytes((here / pictures[0]).read_bytes())
    assert names(fieldmark("predict", model.name, "[a].ppm").out) == ["[a].ppm"]


class Piped:
    """Standard input that holds these bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_a_picture_can_come_through_a_pipe(
    fieldmark: Command, model: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(pictures[0].read_bytes()))
    done = fieldmark("predict", model.name, "-")
    assert done.status == 0
    assert done.out == "-  Käuzchen   81 %  heron 19 %  avocet 1 %\n"


def test_a_list_of_files_can_come_through_a_pipe(
    fieldmark: Command, model: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"new/b.ppm\n\nnew/a.ppm\r\n"))
    done = fieldmark("predict", model.name, "-")
    assert (done.status, names(done.out)) == (0, ["new/b.ppm", "new/a.ppm"])


def test_a_damaged_picture_from_a_pipe_is_named_by_its_dash(
    fieldmark: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"\x89PNG\r\n\x1a\n\0\0\0"))
    done = fieldmark("predict", model.name, "-")
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("-  not read")


HOSTILE = [
    "new\nline.ppm",
    "back\rward.ppm",
    "\x1b[31mred.ppm",
    "‮gpj.ppm",
    "-rf.ppm",
    "ü ber.ppm",
    "a,b;'\".ppm",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_shown_and_never_obeyed(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path, name: str
) -> None:
    (here / name).write_bytes((here / pictures[0]).read_bytes())
    table = fieldmark("predict", model.name, "--", name)
    assert table.status == 0
    assert table.out.count("\n") == 1
    assert not {"\x1b", "‮", "\r"} & set(table.out)
    line = fieldmark("predict", model.name, "--json", "--", name).out
    assert json.loads(line)["file"] == name
    rows = fieldmark("predict", model.name, "--format", "csv", "--", name).out
    cells = [row[0] for row in csv.reader(io.StringIO(rows, newline=""))]
    assert [plain(each) for each in cells] == ["file", name]
    assert not {"\x1b", "\u202e"} & set(rows)
    assert cells[1][0] != "-"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_is_shown_in_every_format(
    model: Path, pictures: list[Path], here: Path
) -> None:
    raw = b"caf\xe9.ppm"
    (here / os.fsdecode(raw)).write_bytes((here / pictures[0]).read_bytes())
    for style, shown in (
        ("table", "caf\\xe9.ppm"),
        ("jsonl", "caf\\udce9.ppm"),
        ("csv", "caf\\xe9.ppm"),
    ):
        done = spawned("predict", model.name, os.fsdecode(raw), "--format", style, cwd=here)
        assert done.status == 0, done.err
        assert shown in done.out


def test_a_narrow_screen_drops_the_least_likely_classes_first(
    fieldmark: Command, model: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Path("new") / f"{'long' * 8}.ppm"
    pictures[0].rename(long)
    monkeypatch.setenv("COLUMNS", "70")
    line = fieldmark("predict", model.name, long).out
    assert line == f"{long}  Käuzchen   81 %  heron 19 %\n"
    assert len(line.rstrip()) <= 70


def test_in_a_pipe_without_a_width_nothing_is_dropped(
    fieldmark: Command, model: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Path("new") / f"{'long' * 8}.ppm"
    pictures[0].rename(long)
    monkeypatch.delenv("COLUMNS")
    assert "avocet 1 %" in fieldmark("predict", model.name, long).out


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_no_escape_code_is_written(
    model: Path, pictures: list[Path], here: Path, variable: str
) -> None:
    value = {"NO_COLOR": "1", "TERM": "dumb"}[variable]
    done = spawned("predict", model.name, "new", "gone.png", cwd=here, **{variable: value})
    assert done.status == 3
    assert "\x1b" not in done.out + done.err


def test_an_encoding_that_lacks_a_letter_is_no_error(
    model: Path, pictures: list[Path], here: Path
) -> None:
    done = spawned("predict", model.name, "new", cwd=here, PYTHONIOENCODING="ascii")
    assert done.status == 0
    assert "K\\xe4uzchen" in done.out


def test_a_model_that_is_not_there_names_those_that_are(
    fieldmark: Command, here: Path, pictures: list[Path]
) -> None:
    done = fieldmark("predict", "latest", pictures[0])
    assert done.status == 2
    assert "There is no finished run and no model file 'latest'. [no-run]" in done.err
    assert "next:  fieldmark train FOLDER makes one" in done.err
    run = here / "runs" / "birds-1"
    run.mkdir(parents=True)
    (run / "birds-1.fieldmark").write_bytes(GOLDEN.read_bytes())
    (run.parent / "latest.txt").write_text("birds-1\n")
    assert "one of: birds-1" in fieldmark("predict", "birds-7", pictures[0]).err
    for thing in ("latest", "birds-1", run, run / "birds-1.fieldmark"):
        assert fieldmark("predict", thing, pictures[0]).status == 0


GOLDEN_V2 = GOLDEN.with_name("bundle_v2.fieldmark")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_model_with_two_networks_answers_with_the_one_that_is_asked_for(
    fieldmark: Command, pictures: list[Path], precision: str
) -> None:
    done = fieldmark("predict", GOLDEN_V2, pictures[0], "--json", "--precision", precision)
    assert done.status == 0
    assert json.loads(done.out)["label"] == "Käuzchen"


@pytest.mark.parametrize(
    ("precision", "code"), [("int8", "float-only"), ("half", "precision-unknown")]
)
def test_a_precision_that_the_model_does_not_hold_is_refused(
    fieldmark: Command, pictures: list[Path], precision: str, code: str
) -> None:
    done = fieldmark("predict", GOLDEN, pictures[0], "--precision", precision)
    assert done.status == 2
    assert f"[{code}]" in done.err


# --- into a file


@pytest.mark.parametrize("style", ["table", "csv"])
def test_a_file_holds_what_the_screen_would_have_shown(
    fieldmark: Command,
    model: Path,
    pictures: list[Path],
    here: Path,
    style: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = fieldmark("predict", model.name, "new", "--format", style)
    done = fieldmark("predict", model.name, "new", "--format", style, "-o", "out")
    assert (done.status, done.out, done.err) == (0, "", shown.err)
    assert (here / "out").read_text(encoding="utf-8") == shown.out
    assert not list(here.glob("out.*"))


def test_in_a_file_of_json_lines_nothing_depends_on_the_clock(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    shown = fieldmark("predict", model.name, "new", "--json").out.splitlines()
    fieldmark("predict", model.name, "new", "--format", "jsonl", "-o", "out.jsonl")
    kept = (here / "out.jsonl").read_text(encoding="utf-8").splitlines()
    without = [{k: v for k, v in json.loads(each).items() if k != "ms"} for each in shown]
    assert [json.loads(each) for each in kept] == without


def test_a_file_that_cannot_be_read_has_its_line_in_every_format(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    for style in ("table", "csv", "jsonl"):
        done = fieldmark("predict", model.name, "new", "gone.png", "--format", style, "-o", style)
        assert done.status == 3
        text = (here / style).read_text(encoding="utf-8")
        assert "gone.png" in text
        assert "no-file" in text
        assert "3 labelled, 1 not read" in done.err


def test_a_file_is_not_replaced_unasked(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    (here / "out").write_text("mine")
    done = fieldmark("predict", "no-such-model", "new", "-o", "out")  # before the model is opened
    assert done.status == 2
    assert "out exists already. [file-exists]" in done.err
    assert (here / "out").read_text() == "mine"
    assert fieldmark("predict", model.name, "new", "-o", "out", "--force").status == 0
    assert (here / "out").read_text(encoding="utf-8").startswith("new/a.ppm")


def test_a_list_through_a_pipe_comes_into_a_file_and_a_picture_does_not(
    fieldmark: Command,
    model: Path,
    pictures: list[Path],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"new/b.ppm\nnew/a.ppm\n"))
    assert fieldmark("predict", model.name, "-", "-o", "out").status == 0
    assert names((here / "out").read_text(encoding="utf-8")) == ["new/b.ppm", "new/a.ppm"]
    monkeypatch.setattr(sys, "stdin", Piped(b"P6 8 8 255 \0" + bytes(191)))
    done = fieldmark("predict", model.name, "-", "-o", "other")
    assert done.status == 2
    assert not (here / "other").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_is_the_same_in_a_file(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    raw = os.fsdecode(b"caf\xe9.ppm")
    (here / raw).write_bytes((here / pictures[0]).read_bytes())
    for style, shown in (("table", "caf\\xe9"), ("jsonl", "caf\\udce9"), ("csv", "caf\\xe9")):
        assert fieldmark("predict", model.name, raw, "--format", style, "-o", style).status == 0
        assert shown in (here / style).read_text(encoding="utf-8")


def test_the_name_of_the_file_says_its_format(
    fieldmark: Command, model: Path, pictures: list[Path], here: Path
) -> None:
    for name, style in (("a.csv", "csv"), ("b.JSONL", "jsonl"), ("c.txt", "table")):
        fieldmark("predict", model.name, "new", "-o", name)
        fieldmark("predict", model.name, "new", "--format", style, "-o", f"{style}-asked")
        assert (here / name).read_bytes() == (here / f"{style}-asked").read_bytes()
    fieldmark("predict", model.name, "new", "--format", "table", "-o", "d.csv")
    assert (here / "d.csv").read_bytes() == (here / "c.txt").read_bytes()
