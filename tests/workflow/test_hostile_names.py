"""Names that try to be something else: checked, shown, split, trained on and reported."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.data import table
from fieldmark.workflow.splitting import split_folder
from tests.pictures import png
from tests.workflow.conftest import LAYERS, hashes, settings

CLASSES = ('<script>alert("c")</script>', "=1+1|'cmd'", "-rf")
FILES = (
    "new\nline.png",
    "quote\"and'more.png",
    "<script>alert('f')</script>.png",
    "--force.png",
    "=HYPERLINK(1).png",
    "@SUM(A1).png",
    "long" + "g" * 242 + ".png",
    "\x1b[31mred.png",
    "right\u202eto left.png",
    "semi;colon,comma.png",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="such names cannot be made there")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "names"
    for at, (name, shape) in enumerate(zip(CLASSES, ("circle", "square", "triangle"), strict=True)):
        (root / name.replace("/", "\u2215")).mkdir(parents=True)
        place = root / name.replace("/", "\u2215")
        for number, file in enumerate(FILES):
            (place / file.replace("/", "\u2215")).write_bytes(png(shape, number))
        raw = os.fsencode(place) + b"/caf\xe9 %d.png" % at
        Path(os.fsdecode(raw)).write_bytes(png(shape, 50))
        Path(os.fsdecode(os.fsencode(place) + b"/cut\xff.png")).write_bytes(png(shape, 51)[:70])
    return root


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note one tag; handlers and links out are tags of their own here."""
        self.found.append(tag)
        for name, value in attributes:
            leads_out = name in ("src", "href") and not (value or "").startswith(("data:", "#"))
            if name.startswith("on") or leads_out:
                self.found.append(f"{tag} {name}")


def assert_page_is_harmless(html: str) -> None:
    tags = Tags()
    tags.feed(html)
    assert not {"script", "iframe", "object"} & set(tags.found)
    assert not [tag for tag in tags.found if " " in tag]
    assert "\u202e" not in html
    assert "\x1b" not in html


def cells(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    assert "\x1b" not in text
    for row in csv.reader(text.splitlines()):
        yield from row


def assert_table_is_harmless(path: Path) -> None:
    for cell in cells(path):
        is_number = cell.replace(".", "").replace("-", "").replace("e", "").isdecimal()
        assert is_number or not cell.startswith(FORMULA), (path.name, cell)


def assert_paper_is_harmless(text: str) -> None:
    """No tag, no heading and no row but our own; what stands in code is code."""
    assert "\x1b" not in text
    assert "\u202e" not in text
    prose = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    body = prose.split("---\n", 2)[-1] if prose.startswith("---") else prose
    assert not re.search(r"(?<!\\)<", body)
    assert not re.search(r"https?://", body)
    for line in body.splitlines():
        assert line == "" or line[0] in "#|-`*" or line[0].isalnum(), line


def test_a_check_names_them_all_and_writes_them_down(folder: Path, tmp_path: Path) -> None:
    before = hashes(folder)
    found = fm.check(folder)
    assert len(found.manifest.examples) == 3 * (len(FILES) + 1)
    assert [each.code for each in found.manifest.left_out] == ["truncated"] * 3
    assert len(found.of("name-not-text")) >= 3
    page, full = found.save(tmp_path / "x.check.html")
    assert_page_is_harmless(page.read_text(encoding="utf-8"))
    assert full.stat().st_size
    assert "\x1b" not in str(found)
    (tmp_path / "fix.csv").write_text(found.fix_list(), encoding="utf-8")
    assert_table_is_harmless(tmp_path / "fix.csv")
    assert hashes(folder) == before


def test_a_split_is_written_and_read_back_to_the_same_files(folder: Path, tmp_path: Path) -> None:
    before = hashes(folder)
    done = split_folder(folder, tmp_path / "split.csv")
    assert_table_is_harmless(done.file)
    rows = table.rows(done.file)
    assert {row["path"] for row in rows} == {each.path for each in done.manifest.examples}
    asked = fm.Settings().changed("split", {"file": str(done.file)})
    again = fm.load(folder)
    from fieldmark.workflow.dataset import prepared

    used = prepared(again.manifest, asked).manifest
    assert {e.path: e.split for e in used.examples} == {
        e.path: e.split for e in done.manifest.examples
    }
    assert hashes(folder) == before


def test_a_run_reports_them(folder: Path, tmp_path: Path) -> None:
    before = hashes(folder)
    run = fm.train(folder, LAYERS, epochs=1, settings=settings(tmp_path / "runs"))
    assert_page_is_harmless((run.folder / "report.html").read_text(encoding="utf-8"))
    for name in ("data.csv", "split.csv", "predictions.csv"):
        assert_table_is_harmless(run.folder / name)
    for name in ("MODEL_CARD.md", "DATA_SHEET.md", "METHODS.md"):
        assert_paper_is_harmless((run.folder / name).read_text(encoding="utf-8"))
    facts = json.loads((run.folder / "card.json").read_text(encoding="utf-8"))
    json.dumps(facts["data"], ensure_ascii=False).encode("utf-8")
    assert list(facts["data"]["counts"]) == list(run.report.classes)
    used = [row for row in table.rows(run.folder / "data.csv") if row["used"] == "1"]
    assert len(used) == 3 * (len(FILES) + 1)
    assert fm.evaluate(run.folder).report.n == run.report.n
    assert hashes(folder) == before


def test_a_sheet_shows_them(folder: Path, tmp_path: Path) -> None:
    sheet = fm.load(folder).show_batch(per_class=20)
    assert_page_is_harmless(sheet.html)
    assert_page_is_harmless(sheet._repr_html_())
