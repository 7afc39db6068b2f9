from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from PIL import Image

from fieldmark.data.findings import KINDS, Finding
from fieldmark.data.manifest import Example, LeftOut, Manifest
from fieldmark.evaluation.check_page import MAX_FINDINGS, MAX_PICTURES, CheckFacts, render
from fieldmark.evaluation.thumbnails import Picture
from fieldmark.workflow import picturing
from fieldmark.workflow.check_facts import check_facts
from fieldmark.workflow.picturing import pictured
from tests.evaluation.reader import Reader
from tests.pictures import png, write_shapes

SECONDS = {"read": 1.25, "look": 2.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return two class folders of three pictures each."""
    return write_shapes(tmp_path / "shapes", 3, shapes=("circle", "square"))


def listed(folder: Path, **parts: str) -> Manifest:
    """List a folder of shapes; ``parts`` puts the classes named into ready-made parts."""
    examples = tuple(
        Example(
            path=path.relative_to(folder).as_posix(),
            label=path.parent.name,
            split=parts.get(path.parent.name),  # type: ignore[arg-type]
        )
        for path in sorted(folder.rglob("*.png"))
    )
    cut = LeftOut(path="cut.png", code="truncated", reason="file ends too early")
    return Manifest(root=folder, examples=examples, classes=("circle", "square"), left_out=(cut,))


def conflict(first: str = "circle/000.png", second: str = "square/000.png") -> Finding:
    return Finding(
        code="label-conflict",
        paths=(first, second),
        labels=("circle", "square"),
        text="equal files",
        done="left out",
    )


def facts_of(folder: Path, *findings: Finding) -> CheckFacts:
    found = listed(folder)
    used = found.with_examples(
        found.examples[1:], (LeftOut(path="circle/000.png", code="label-conflict", reason="twice"),)
    )
    return check_facts(found, used, findings, seconds=SECONDS, created="today", more="x.json")


def test_files_add_up_and_every_one_left_out_has_its_reason(folder: Path) -> None:
    facts = facts_of(folder)
    assert (facts.n_found, facts.n_used, facts.n_left_out) == (7, 5, 2)
    assert facts.counts == {"circle": (3, 2), "square": (3, 3)}
    assert [each["code"] for each in facts.left_out] == ["truncated", "label-conflict"]
    assert facts.timings == {"reading": "1.2 s", "looking": "2.0 s"}


def test_a_kind_brings_its_words_and_a_finding_its_pictures_and_labels(folder: Path) -> None:
    [section] = facts_of(folder, conflict()).sections
    kind = KINDS["label-conflict"]
    assert (section.title, section.why, section.next) == (kind.title, kind.why, kind.next)
    assert (section.serious, section.n, section.n_files, section.done) == (True, 1, 2, "left out")
    [shown] = section.findings
    assert [(each.path, each.label) for each in shown.pictures] == [
        ("circle/000.png", "circle"),
        ("square/000.png", "square"),
    ]
    sizes = [Image.open(io.BytesIO(each.thumbnail)).size for each in shown.pictures]
    assert sizes == [(24, 24), (24, 24)]
    assert (shown.text, shown.done) == ("equal files", "left out")


def test_sections_come_in_the_order_of_the_kinds(folder: Path) -> None:
    dark = Finding(code="dark", paths=("circle/001.png",), labels=("circle",), text="mean grey 8")
    assert [each.code for each in facts_of(folder, dark, conflict()).sections] == [
        "label-conflict",
        "dark",
    ]


def test_a_finding_about_a_class_names_it_and_reads_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picturing.files, "opened", lambda path: pytest.fail(f"{path} was read"))
    tiny = Finding(code="tiny-class", labels=("circle",), text="3 pictures")
    [shown] = facts_of(folder, tiny).sections[0].findings
    assert (shown.labels, shown.pictures) == (("circle",), ())


def test_a_path_without_a_label_is_shown_too(folder: Path) -> None:
    named = Finding(code="name-not-text", paths=("circle/000.png", "circle/001.png"), text="")
    [shown] = facts_of(folder, named).sections[0].findings
    assert [(each.label, bool(each.thumbnail)) for each in shown.pictures] == [("", True)] * 2


def test_only_what_is_shown_is_read_and_nothing_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    opened = picturing.files.opened

    def spy(path: Path) -> object:
        read.append(path.name)
        return opened(path)

    for n in range(30):
        (folder / "circle" / f"b{n:02}.png").write_bytes(png("circle", n))
    monkeypatch.setattr(picturing.files, "opened", spy)
    frames = tuple(f"circle/b{n:02}.png" for n in range(30))
    burst = Finding(code="burst", paths=frames, text="30 frames")
    pairs = [conflict("circle/000.png", f"circle/b{29 - n:02}.png") for n in range(20)]
    facts = facts_of(folder, burst, *pairs)
    assert len(read) == len(set(read)) == MAX_PICTURES + MAX_FINDINGS + 1
    conflicts, bursts = facts.sections
    assert (conflicts.n, conflicts.n_files, len(conflicts.findings)) == (20, 21, 20)
    assert len(bursts.findings[0].pictures) == 30


def test_one_file_may_be_in_findings_under_different_labels(folder: Path) -> None:
    other = dataclasses.replace(conflict(), code="near-copy", labels=("moon", "square"))
    sections = facts_of(folder, conflict(), other).sections
    assert [each.findings[0].pictures[0].label for each in sections] == ["circle", "moon"]


def test_ready_made_parts_are_counted_and_said_beside_the_pictures(folder: Path) -> None:
    found = listed(folder, circle="train", square="test")
    facts = check_facts(found, found, [conflict()], seconds={})
    assert facts.parts == {
        "circle": {"train": 3, "valid": 0, "test": 0},
        "square": {"train": 0, "valid": 0, "test": 3},
    }
    notes = [each.note for each in facts.sections[0].findings[0].pictures]
    assert notes == ["training part", "test part"]
    assert facts_of(folder).parts == {}


def test_the_page_of_it_shows_pictures_side_by_side(folder: Path) -> None:
    found = Reader(render(facts_of(folder, conflict())))
    assert [attrs["alt"] for attrs in found.all("img")] == [
        "circle/000.png, labelled circle",
        "square/000.png, labelled square",
    ]
    assert "5 of 7 files can be used" in found.text


def test_thumbnails_come_in_order_or_the_reason_why_not(folder: Path) -> None:
    (folder / "circle" / "cut.png").write_bytes(png("circle", 0)[:80])
    paths = ("circle/002.png", "circle/cut.png", "gone.png", "circle/000.png")
    wanted = [Picture(path=path, label="circle", note="kept") for path in paths]
    found = list(pictured(folder, wanted, side=16))
    assert [each.path for each in found] == list(paths)
    assert [bool(each.thumbnail) for each in found] == [True, False, False, True]
    assert [each.note.rpartition(" ")[2] for each in found] == [
        "kept",
        "[truncated]",
        "[vanished]",
        "kept",
    ]
    assert Image.open(io.BytesIO(found[0].thumbnail)).size == (16, 16)
