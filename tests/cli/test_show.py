"""``fieldmark show``: one page, where it goes, and what is said about it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command, spawned
from tests.evaluation.reader import Reader
from tests.pictures import write_shapes


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with shapes of which one file is cut short."""
    folder = write_shapes(tmp_path / "shapes", 6)
    cut = folder / "circle" / "cut.png"
    cut.write_bytes((folder / "circle" / "000.png").read_bytes()[:90])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_showing_writes_one_page_here_and_prints_its_name(fieldmark: Command, here: Path) -> None:
    done = fieldmark("show", "shapes")
    assert (done.status, done.out) == (0, "shapes.show.html\n")
    [said] = done.err.splitlines()
    assert said.startswith("could not be read: circle/cut.png: file ends too early")
    assert said.endswith("[truncated]")
    assert sorted(path.name for path in here.iterdir()) == ["shapes", "shapes.show.html"]
    text = Reader((here / "shapes.show.html").read_text(encoding="utf-8")).text
    assert "circle (7 of 7 pictures)" in text
    assert "circle/cut.png : file ends too early" in text


def test_many_unreadable_files_do_not_flood_the_screen(fieldmark: Command, here: Path) -> None:
    for n in range(30):
        (here / "shapes" / "square" / f"empty{n}.png").write_bytes(b"")
    done = fieldmark("show", "shapes", "--per-class", "100")
    assert (done.status, len(done.err.splitlines())) == (0, 11)
    assert done.err.endswith("and 21 more; the page names them\n")
    assert "empty29.png" in (here / "shapes.show.html").read_text(encoding="utf-8")


def test_showing_again_replaces_the_page(fieldmark: Command, here: Path) -> None:
    assert fieldmark("show", "shapes", "-q").err == ""
    before = (here / "shapes.show.html").read_text(encoding="utf-8")
    assert fieldmark("show", "shapes", "-q", "--seed", "5").status == 0
    assert (here / "shapes.show.html").read_text(encoding="utf-8") != before


def test_what_show_did_not_write_is_left_alone(fieldmark: Command, here: Path) -> None:
    (here / "mine.html").write_text("my own page", encoding="utf-8")
    done = fieldmark("show", "shapes", "-o", "mine.html")
    assert (done.status, done.out) == (2, "")
    assert "[file-exists]" in done.err
    assert (here / "mine.html").read_text(encoding="utf-8") == "my own page"


def test_nothing_is_written_among_the_pictures_unasked(
    fieldmark: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here / "shapes")
    done = fieldmark("show", ".")
    assert (done.status, done.out) == (2, "")
    assert "[page-inside-data]" in done.err
    assert sorted(path.name for path in Path().iterdir()) == ["circle", "square", "triangle"]
    assert fieldmark("show", ".", "-o", "../seen.html").out == "../seen.html\n"


def test_in_json_it_says_what_was_shown_and_where(fieldmark: Command, here: Path) -> None:
    options = ("--size", "32", "--fit", "pad", "--augment", "strong", "--per-class", "2")
    done = fieldmark("show", "shapes", *options, "--seed", "3", "-o", "seen.html", "--json")
    assert (done.status, done.err) == (0, "")
    said = json.loads(done.out)
    assert said["file"] == "seen.html"
    assert (said["size"], said["fit"], said["augment"]) == ([32, 32], "pad", "strong")
    assert said["seed"] == 3
    assert {label: len(paths) for label, paths in said["classes"].items()} == {
        "circle": 2,
        "square": 2,
        "triangle": 2,
    }
    assert (here / "seen.html").is_file()


def test_labels_may_come_from_names(fieldmark: Command, here: Path) -> None:
    for path in [*(here / "shapes").rglob("*.png")]:
        path.rename(here / "shapes" / f"{path.parent.name}_{path.name}")
    done = fieldmark("show", "shapes", "--label-from", r"name:^(\w+?)_", "--json", "-q")
    assert list(json.loads(done.out)["classes"]) == ["circle", "square", "triangle"]


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("--augment", "wild", "setting-type"),
        ("--fit", "squeeze", "setting-type"),
        ("--size", "4", "usage"),
        ("--per-class", "0", "usage"),
        ("--net", "unheard-of", "net-unknown"),
        ("-o", "missing/page.html", "no-folder"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_written(
    fieldmark: Command, here: Path, option: str, value: str, code: str
) -> None:
    done = fieldmark("show", "shapes", option, value)
    assert done.status in (2, 3)
    assert f"[{code}]" in done.err
    assert not (here / "shapes.show.html").exists()


def test_a_folder_name_of_any_kind_gives_a_page(fieldmark: Command, here: Path) -> None:
    (here / "shapes").rename(here / "-my <b>\n'shapes'")
    done = fieldmark("show", "-q", "--", "-my <b>\n'shapes'")
    assert (done.status, done.out) == (0, "my-b-shapes.show.html\n")
    found = Reader((here / "my-b-shapes.show.html").read_text(encoding="utf-8"))
    assert not found.all("b")
    assert r"-my <b>\n'shapes'" in found.text


def test_showing_loads_no_training_stack(here: Path) -> None:
    script = (
        "import sys\n"
        "from fieldmark import cli\n"
        "assert cli.run(['show', 'shapes', '-q']) == 0\n"
        "heavy = {'keras', 'tensorflow', 'torch', 'jax', 'matplotlib', 'onnxruntime'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    (here / "script.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=here, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_page_of_its_own_process_is_the_same(fieldmark: Command, here: Path) -> None:
    assert fieldmark("show", "shapes", "-q", "-o", "one.html").status == 0
    assert spawned("show", "shapes", "-q", "-o", "two.html", cwd=here).status == 0
    assert (here / "one.html").read_bytes() == (here / "two.html").read_bytes()
