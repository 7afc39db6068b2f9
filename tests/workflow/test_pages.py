from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.errors import FieldmarkError
from fieldmark.evaluation.template import marker
from fieldmark.workflow.pages import place, write_page

PAGE = f"<!doctype html>{marker('show')}"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty current folder beside a folder of pictures."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def refused(code: str, *words: object) -> None:
    with pytest.raises(FieldmarkError, match=r"exists|inside|no folder") as caught:
        place(*words)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.hint


def test_an_unnamed_page_is_named_after_folder_and_verb(here: Path) -> None:
    root = here.parent / "pictures"
    assert place("", "flowers", "show", root) == Path("flowers.show.html")
    assert place("", "flowers", "check", root) == Path("flowers.check.html")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_folder_name_gives_a_file_name_that_a_disk_takes(name: str) -> None:
    found = place("", name, "check", Path("/nowhere"))
    assert found.parent == Path()
    assert len(found.name.encode()) <= 255
    assert not found.name.startswith(("-", "."))
    assert found.name.endswith(".check.html")
    assert found.name.isprintable()


def test_an_unnamed_page_never_lies_among_the_pictures(here: Path) -> None:
    refused("page-inside-data", "", "here", "show", here)
    refused("page-inside-data", "", "here", "show", here.parent)


def test_a_named_page_may_lie_anywhere(here: Path) -> None:
    root = here.parent / "pictures"
    assert place(root / "mine.html", "pictures", "show", root) == root / "mine.html"


def test_a_page_of_the_same_kind_is_replaced(here: Path) -> None:
    write_page(here / "a.html", PAGE, "show")
    write_page(here / "a.html", PAGE + "newer", "show")
    assert (here / "a.html").read_text(encoding="utf-8") == PAGE + "newer"
    assert [path.name for path in here.iterdir()] == ["a.html"]


@pytest.mark.parametrize(
    "content",
    ["", "my notes", f"<!doctype html>{marker('check')}", f"{'x' * 2000}{marker('show')}"],
    ids=["empty", "foreign", "another verb's", "quoted far down"],
)
def test_any_other_file_is_left_alone(here: Path, content: str) -> None:
    (here / "a.html").write_text(content, encoding="utf-8")
    refused("file-exists", here / "a.html", "", "show", here)
    with pytest.raises(FieldmarkError, match="is no page of fieldmark show"):
        write_page(here / "a.html", PAGE, "show")
    assert (here / "a.html").read_text(encoding="utf-8") == content


def test_folders_and_links_are_not_replaced(here: Path) -> None:
    (here / "folder.html").mkdir()
    write_page(here / "a.html", PAGE, "show")
    (here / "link.html").symlink_to(here / "a.html")
    (here / "nowhere.html").symlink_to(here / "missing")
    for name in ("folder.html", "link.html", "nowhere.html"):
        refused("file-exists", here / name, "", "show", here)


def test_a_folder_that_is_missing_is_named(here: Path) -> None:
    refused("no-folder", here / "missing" / "a.html", "", "show", here)
