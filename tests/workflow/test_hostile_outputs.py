"""Names that try to be something else, in every output of every verb."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest

from fieldmark import cli
from tests.pictures import SHAPES, png
from tests.workflow.conftest import LAYERS
from tests.workflow.test_hostile_names import (
    assert_page_is_harmless,
    assert_paper_is_harmless,
    assert_table_is_harmless,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="such names cannot be made there")

NAUGHTY = (
    b"=cmd|' \xe2\x88\x95C calc'!A0",
    b"\xef\xbc\x9d1+1",  # a full-width equals sign
    b"+1 @SUM(A1)",
    b"\t=1+1",
    b"<img src=x onerror=alert(1)>",
    b"<!-- --><svg onload=alert(1)>",
    b"\"'><b>{{7*7}}{% raw %}${7*7}",
    b"\x1b[31mred\x1b]0;title\x07",
    b"\xc2\x9b31mC1",  # one character that begins an escape sequence
    b"\xe2\x80\xaegnp.tac",  # right to left
    b"two\nlines\r\nand\x0bmore",
    b"line\xe2\x80\xa8separator\xc2\x85next",
    b"\xff\xfe not utf-8 \xed\xa0\x80",
    b"-rf --help",
    b"[click](https:x.example) ![x](y) | a | b |",
    b"# heading\n- item\n```\ncode",
    b'"}],"x":{"',
    b"\\u0022\\",
    b"CON",
    b"nul. ",
    b"%s%n%x $(id) `id` ;id",
    b"e\xcc\x81 combining \xf0\x9f\x98\x80",
    b"\x7f\x01\x02",
    b"n" * 240,
)
CLASSES = (b"<script>alert(1)<\\script>", b"\xc2\x9b31m=1+1|x\xe2\x80\xae", b"two\nlines | a")
TERMINAL = {"\n"}


@dataclass(frozen=True)
class World:
    folder: Path
    said: dict[str, str]
    """Verb and options -> what it printed, on either stream."""

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "data-1"


VERBS: dict[str, tuple[str, ...]] = {
    "train": ("train", "data", "--net", LAYERS, "--epochs", "1", "--lr", "0.01"),
    "train --json": ("train", "data", "--net", LAYERS, "--epochs", "1", "--lr", "0.02", "--json"),
    "check": ("check", "data", "--no-suspects", "--fix-list", "fix.csv"),
    "check --json": ("check", "data", "--no-suspects", "--json"),
    "show": ("show", "data"),
    "split": ("split", "data", "-o", "split.csv"),
    "split -": ("split", "data", "-o", "-"),
    "evaluate": ("evaluate", "data-1", "data", "--csv", "evaluated.csv"),
    "evaluate --json": ("evaluate", "data-1", "--json"),
    "evaluate --by": ("evaluate", "data-1", "data", "--by", "format"),
    "predict": ("predict", "data-1", "data"),
    "predict csv": ("predict", "data-1", "data", "--format", "csv"),
    "predict jsonl": ("predict", "data-1", "data", "--json"),
    "predict nothing": ("predict", "data-1", "gone \x1b[31m\x9b\u202e\n.png"),
    "compare": ("compare", "data-1", "data-2", "--html", "compared.html"),
    "compare --json": ("compare", "data-1", "data-2", "--json"),
    "inspect": ("inspect", "runs/data-1/data-1.fieldmark"),
    "inspect --json": ("inspect", "runs/data-1/data-1.fieldmark", "--json"),
    "runs": ("runs",),
    "error": ("check", "no\x1b[31m\x9b\u202e\nfolder"),
    "error --debug": ("--debug", "check", "no\x1b[31m\x9b\u202e\nfolder"),
    "wrong usage": ("no\x1b[31m\x9b\u202e\nverb",),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Run every verb on pictures of these names, in one folder."""
    folder = tmp_path_factory.mktemp("naughty")
    for at, name in enumerate(CLASSES):
        place = os.fsencode(folder) + b"/data/" + name
        Path(os.fsdecode(place)).mkdir(parents=True)
        for number, file in enumerate(NAUGHTY):
            path = os.fsdecode(place + b"/" + file + b".png")
            Path(path).write_bytes(png(SHAPES[at], number))
        path = os.fsdecode(place + b"/cut " + NAUGHTY[7] + b".png")
        Path(path).write_bytes(png("circle", 100 + at)[:70])
    said: dict[str, str] = {}
    here = Path.cwd()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", "100")
        os.chdir(folder)
        try:
            for verb, words in VERBS.items():
                said[verb] = _said(list(words), folder / "said.txt")
        finally:
            os.chdir(here)
    return World(folder, said)


def _said(words: list[str], path: Path) -> str:
    """Run one command line and return the bytes of both streams."""
    before = sys.stdout, sys.stderr
    with path.open("w", encoding="utf-8", newline="", errors="strict") as both:
        sys.stdout = sys.stderr = both
        try:
            cli.run(words)
        finally:
            sys.stdout, sys.stderr = before
    return path.read_bytes().decode("utf-8")


def commands(text: str) -> set[str]:
    """Everything in it that a terminal obeys, or that turns what follows around."""
    return {
        char
        for char in text
        if char not in TERMINAL and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_printed_commands_a_terminal(world: World, verb: str) -> None:
    assert commands(world.said[verb]) == set()
    assert "Traceback" not in world.said[verb] or "--debug" in verb
    assert "[fault]" not in world.said[verb]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if "json" in verb])
def test_every_line_of_json_is_json(world: World, verb: str) -> None:
    lines = [line for line in world.said[verb].splitlines() if line.startswith("{")]
    assert lines
    for line in lines:
        json.loads(line)


def files(world: World, *suffixes: str) -> list[Path]:
    found = [path for path in world.folder.rglob("*") if path.suffix in suffixes]
    kept = [path for path in found if "data" not in path.relative_to(world.folder).parts[:1]]
    assert kept
    return kept


def test_every_page_is_harmless(world: World) -> None:
    pages = files(world, ".html")
    names = {page.name for page in pages}
    assert {"report.html", "data.check.html", "compared.html", "data.show.html"} <= names
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert_page_is_harmless(text)
        assert not commands(text) - {"\t"}, page.name


def test_every_table_is_harmless(world: World) -> None:
    tables = files(world, ".csv")
    assert {"fix.csv", "split.csv", "evaluated.csv", "predictions.csv"} <= {t.name for t in tables}
    for table in tables:
        assert_table_is_harmless(table)
    printed = world.folder / "printed.csv"
    for verb in ("predict csv", "split -"):
        lines = world.said[verb].splitlines()
        printed.write_text("\n".join(lines), encoding="utf-8")
        assert len(lines) > 3 * len(NAUGHTY)


def test_every_paper_is_harmless(world: World) -> None:
    papers = files(world, ".md")
    assert {"MODEL_CARD.md", "DATA_SHEET.md", "METHODS.md"} <= {each.name for each in papers}
    for paper in papers:
        text = paper.read_text(encoding="utf-8")
        assert_paper_is_harmless(text)
        assert not commands(text), paper.name


def test_every_json_file_is_json_and_commands_nothing(world: World) -> None:
    found = files(world, ".json", ".jsonl")
    assert {"card.json", "log.jsonl", "data.check.json"} <= {each.name for each in found}
    for each in found:
        text = each.read_text(encoding="utf-8")
        assert not commands(text), each.name
        for part in text.splitlines() if each.suffix == ".jsonl" else [text]:
            json.loads(part)


def test_every_picture_is_answered_under_its_own_name(world: World) -> None:
    rows = [json.loads(x) for x in world.said["predict jsonl"].splitlines() if x.startswith("{")]
    files = {os.fsencode(row["file"]) for row in rows}
    place = os.fsencode(world.folder)
    for name in CLASSES:
        for file in NAUGHTY:
            path = b"data/" + name + b"/" + file + b".png"
            assert path in files
            assert Path(os.fsdecode(place + b"/" + path)).exists()
