"""``fieldmark split``, and the options of lists on other verbs."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, World, spawned
from tests.pictures import unlike


@pytest.fixture
def pets(here: Path) -> Path:
    """Two classes of ten files that nobody decodes, beside one that is no picture."""
    for label in ("cat", "dog"):
        (here / "pets" / label).mkdir(parents=True)
        for at in range(10):
            (here / "pets" / label / f"{at % 5}_{at}.jpg").write_bytes(unlike(f"{label} {at}"))
    (here / "pets" / "notes.txt").write_text("x")
    return here / "pets"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_split_is_shown_as_a_table_and_written(fieldmark: Command, pets: Path) -> None:
    done = fieldmark("split", "pets")
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "pets: 20 pictures in 2 classes\n"
        "\n"
        "  class    train    valid     test\n"
        "  cat          7        2        1\n"
        "  dog          7        2        1\n"
        "  all         14        4        2\n"
        "\n"
        "  kept together    nothing: no groups, no copies\n"
        "  left out         1 files\n"
        "\n"
        "pets.split.csv\n"
    )
    assert len(rows(Path("pets.split.csv"))) == 20


def test_groups_copies_and_folds_are_told(fieldmark: Command, pets: Path) -> None:
    (pets / "dog" / "1_copy.jpg").write_bytes(unlike("dog 1"))
    words = ("split", "pets", "--groups", r"name:^(\d)_", "--folds", "2", "-o", "x.csv")
    cleaned = fieldmark(*words)
    assert "  kept together    5 groups\n" in cleaned.out
    assert "  left out         2 files\n" in cleaned.out
    done = fieldmark(*words, "--no-clean", "--force")
    assert done.status == 0, done.err
    assert "  kept together    5 groups, 1 picture with equal copies\n" in done.out
    assert "  folds            " in done.out
    assert {row["fold"] for row in rows(Path("x.csv"))} == {"0", "1"}
    assert {row["group"] for row in rows(Path("x.csv"))} == set("01234")


def test_shares_and_seed_are_those_asked_for(fieldmark: Command, pets: Path) -> None:
    words = ("split", "pets", "--test", "0.3", "--val", "0.2", "--json")
    first = json.loads(fieldmark(*words, "-o", "1.csv").out)
    assert first["schema"] == "fieldmark.split/1"
    assert first["parts"] == {
        "train": {"cat": 5, "dog": 5},
        "valid": {"cat": 2, "dog": 2},
        "test": {"cat": 3, "dog": 3},
    }
    fieldmark(*words, "-o", "2.csv", "--seed", "1")
    fieldmark(*words, "-o", "3.csv")
    assert Path("1.csv").read_bytes() == Path("3.csv").read_bytes() != Path("2.csv").read_bytes()


def test_a_file_that_exists_is_replaced_only_by_force(fieldmark: Command, pets: Path) -> None:
    assert fieldmark("split", "pets").status == 0
    again = fieldmark("split", "pets", "--seed", "2")
    assert (again.status, again.out) == (2, "")
    assert "pets.split.csv exists already. [file-exists]" in again.err
    assert "--force" in again.err
    assert fieldmark("split", "pets", "--seed", "2", "--force").status == 0


def test_notes_go_beside_the_results(fieldmark: Command, pets: Path) -> None:
    Path("fix.csv").write_text("path,action\nno\x1b.jpg,keep\ncat/0_0.jpg,leave-out\n")
    done = fieldmark("split", "pets", "--overrides", "fix.csv")
    assert done.status == 0
    assert done.err == (
        "Line 2 of the fix list: there is no file no\\x1b.jpg. [override-no-file]\n"
    )
    assert "  left out         2 files\n" in done.out
    assert fieldmark("split", "pets", "--overrides", "fix.csv", "--force", "-q").err == ""
    said = json.loads(fieldmark("split", "pets", "--overrides", "fix.csv", "--force", "--json").out)
    assert [note["code"] for note in said["notes"]] == ["override-no-file"]


def test_a_wrong_fix_list_names_its_line_and_is_status_3(fieldmark: Command, pets: Path) -> None:
    (pets / "overrides.csv").write_text("path,action\ncat/0_0.jpg,remove\n")
    done = fieldmark("split", "pets")
    assert (done.status, done.out) == (3, "")
    assert "[override-action]" in done.err
    assert "overrides.csv, line 2" in done.err


def test_a_dash_prints_the_split_and_writes_no_file(fieldmark: Command, pets: Path) -> None:
    done = fieldmark("split", "pets", "-o", "-")
    assert (done.status, done.err) == (0, "")
    printed = done.out.splitlines()
    assert printed[0] == "path,sha256,label,group,cluster,split,fold"
    assert len(printed) == 1 + sum(1 for each in pets.rglob("*.jpg"))
    assert [each.name for each in pets.parent.iterdir()] == ["pets"]
    assert fieldmark("split", "pets").status == 0
    assert Path("pets.split.csv").read_text() == done.out


def test_nothing_is_written_when_something_is_wrong(fieldmark: Command, pets: Path) -> None:
    assert fieldmark("split", "pets", "--groups", "rhubarb").status == 2
    assert fieldmark("split", "pets", "--folds", "21").status == 2
    assert fieldmark("split", "pets", "--test", "0.9").status == 2
    assert [each.name for each in pets.parent.iterdir()] == ["pets"]


@pytest.mark.skipif(sys.platform == "win32", reason="other names")
def test_hostile_names_are_shown_and_never_obeyed(fieldmark: Command, pets: Path) -> None:
    (pets / "cat").rename(pets / "=c\x1b[31m\na\u202et")
    done = fieldmark("split", "pets", "-o", "-\n.csv")
    assert done.status == 0
    assert not {"\x1b", "\u202e"} & set(done.out)
    assert "  =c\\x1b[31m\\na\\u202et  " in done.out
    assert done.out.splitlines()[-1] == "-\\n.csv"
    text = Path("-\n.csv").read_bytes().decode()
    assert "'=c\\x1b[31m\\na\\u202et/" in text


def test_splitting_loads_no_training_stack(pets: Path) -> None:
    code = (
        "import sys; from fieldmark.cli import run; status = run(['split', 'pets', '-q']); "
        "print(status, sorted({'keras', 'tensorflow', 'onnxruntime', 'matplotlib'} "
        "& set(sys.modules)))"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=pets.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


# --- other verbs


def test_measuring_obeys_a_fix_list(fieldmark: Command, inside: World, tmp_path: Path) -> None:
    listed = tmp_path / "fix.csv"
    listed.write_text(
        "path,action\ncircle/cut.png,leave-out\ncircle/000.png,leave-out\nx.png,keep\n"
    )
    done = fieldmark("evaluate", "latest", "shapes", "--overrides", listed)
    assert done.status == 0  # the broken file does not count any more
    assert "there is no file x.png. [override-no-file]" in done.err
    assert "2 left-out-by-list" in done.err
    said = fieldmark("evaluate", "latest", "shapes", "--overrides", listed, "--json")
    found = json.loads(said.out)
    assert found["n"] == 59
    assert [note["code"] for note in found["notes"]] == ["override-no-file"]


def test_rows_of_a_measurement_are_no_formulas(
    fieldmark: Command, inside: World, tmp_path: Path
) -> None:
    data = tmp_path / "=data"
    for label in ("circle", "square"):
        (data / label).mkdir(parents=True)
        source = inside.folder / "shapes" / label / "000.png"
        (data / label / "000.png").write_bytes(source.read_bytes())
    done = spawned(
        *("evaluate", inside.run, "=data", "--csv", "out.csv", "-q"),
        cwd=tmp_path,
        FIELDMARK_CACHE=str(inside.folder / "cache"),
    )
    assert done.status == 0, done.err
    assert {row["path"] for row in rows(tmp_path / "out.csv")} == {
        "'=data/circle/000.png",
        "'=data/square/000.png",
    }


def test_lists_of_a_training_become_settings(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    asked: list[Any] = []

    class Enough(Exception):
        pass

    def train(folder: str, net: str, *, settings: Any, listen: Any, command: str) -> None:
        asked.append(settings)
        raise Enough

    monkeypatch.setattr("fieldmark.workflow.training.train", train)
    words = "--split s.csv --groups folder --overrides none"
    fieldmark("train", "pets", *words.split())
    (settings,) = asked
    assert settings.split.file == str(here / "s.csv")
    assert (settings.data.groups, settings.data.overrides) == ("folder", "none")
