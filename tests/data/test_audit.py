"""The questions of an audit: each one asked, each one a question, each kind of finding worded."""

from __future__ import annotations

import re
from pathlib import Path

from fieldmark.data import audit, duplicates, looks, oddities, scan
from fieldmark.data.audit import CHECKS
from fieldmark.data.findings import KINDS, Finding
from tests.data.seeing import example, seen_of
from tests.photos import CHANGES, jpeg, photo, write_photos


def test_every_check_is_a_question() -> None:
    for check in CHECKS:
        first = (check.__doc__ or "").splitlines()[0]
        assert first.endswith("?"), check.__name__


def test_every_question_that_is_written_is_asked() -> None:
    for room in (duplicates, oddities):
        for name, found in vars(room).items():
            if getattr(found, "__module__", "") == room.__name__ and callable(found):
                question = (found.__doc__ or "").splitlines()[:1]
                if question and question[0].endswith("?"):
                    assert found in CHECKS, name


def test_every_kind_has_its_words() -> None:
    for code, kind in KINDS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert kind.title
        assert kind.why.endswith(".")
        assert kind.next
        assert not kind.next.endswith(".")


def test_findings_are_plain_values() -> None:
    finding = Finding(code="blank", paths=("a",), labels=("b",), text="t", measure=0.5)
    assert finding.to_dict() == {
        "code": "blank",
        "paths": ["a"],
        "labels": ["b"],
        "text": "t",
        "measure": 0.5,
        "done": "shown only",
    }


def test_findings_come_in_the_order_of_the_questions() -> None:
    seen = seen_of(example("a/1.png", "A"), example("a/2.png", "A"), example("b/1.jpg", "B"))
    codes = [each.code for each in audit.audit(seen).findings]
    assert codes == ["exact-copy", "wrong-suffix", "tiny-class", "tiny-class"]


def test_a_real_folder_is_seen_whole(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", 6)
    (folder / "left" / "again.jpg").write_bytes((folder / "left" / "p0000.jpg").read_bytes())
    cut = CHANGES["cut at a corner"](photo(1))
    (folder / "left" / "cut.jpg").write_bytes(jpeg(cut))
    manifest, found = looks.look_at(
        scan.hash_contents(scan.scan(folder), threads=1), threads=2, directory=None
    )
    result = audit.audit(audit.see(manifest, found, threads=2))
    by_code = {each.code: each.paths for each in result.findings}
    assert by_code["exact-copy"] == ("left/again.jpg", "left/p0000.jpg")
    assert by_code["near-copy"] == ("left/cut.jpg", "left/p0007.jpg")
    assert len(result.manifest.examples) == 13
    assert len(result.seen.examples) == 14
    assert {each.path for each in result.manifest.examples if each.cluster} == set(
        by_code["near-copy"]
    )


def test_nothing_in_a_folder_of_different_photos_is_called_a_copy(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", 25)
    manifest, found = looks.look_at(
        scan.hash_contents(scan.scan(folder), threads=1), threads=2, directory=None
    )
    assert audit.audit(audit.see(manifest, found)).findings == ()
