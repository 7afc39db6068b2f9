"""Which files are meant by what a person typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fieldmark.workflow.finding import pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.png",
        "a.jpg",
        "notes.txt",
        ".hidden.png",
        "Thumbs.db",
        "in/c.png",
        "in/._c.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def names(found: object, folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in found]  # type: ignore[attr-defined]


def test_a_folder_stands_for_its_pictures_in_a_stable_order(folder: Path) -> None:
    assert names(pictures([folder]), folder) == ["a.jpg", "b.png", "in/c.png"]


def test_a_folder_can_be_taken_without_the_folders_in_it(folder: Path) -> None:
    assert names(pictures([folder], recursive=False), folder) == ["a.jpg", "b.png"]


def test_a_glob_leaves_folders_out(folder: Path) -> None:
    found = sorted(names(pictures([str(folder / "*")]), folder))
    assert found == ["Thumbs.db", "a.jpg", "b.png", "notes.txt"]


def test_two_stars_in_the_middle_of_a_name_are_a_glob_like_any_other(folder: Path) -> None:
    assert names(pictures([str(folder / "a**.jpg")]), folder) == ["a.jpg"]


def test_a_file_is_taken_whatever_its_name(folder: Path) -> None:
    assert names(pictures([folder / "notes.txt"]), folder) == ["notes.txt"]


@pytest.mark.parametrize("name", ["nothing.png", "no*thing", "x" * 300, "nul\0name"])
def test_what_is_not_there_is_passed_on_for_the_reader_to_name(name: str) -> None:
    assert list(pictures([name])) == [Path(name)]


def test_order_follows_what_was_typed(folder: Path) -> None:
    typed = [folder / "b.png", folder / "in", folder / "a.jpg"]
    assert names(pictures(typed), folder) == ["b.png", "in/c.png", "a.jpg"]
