from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import pytest

from fieldmark.data import files
from fieldmark.errors import UnreadableExample

MakeFolder = Callable[..., Path]
posix_only = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and links as on POSIX")


def codes(tree: files.Tree) -> dict[str, str]:
    return {entry.path: entry.code for entry in tree.left_out}


def test_everything_is_listed_sorted_with_forward_slashes(make_folder: MakeFolder) -> None:
    root = make_folder("b/2.jpg", "b/1.jpg", "a/x/deep/3.jpg", "0.txt")
    tree = files.walk(root)
    assert tree.files == ("0.txt", "a/x/deep/3.jpg", "b/1.jpg", "b/2.jpg")
    assert tree.folders == ("a", "a/x", "a/x/deep", "b")
    assert tree.left_out == ()


@pytest.mark.parametrize(
    "name", [".DS_Store", "Thumbs.db", "thumbs.DB", "desktop.ini", "__MACOSX/x.jpg", "@eaDir/x.jpg"]
)
def test_system_files_and_folders_are_counted_not_read(name: str, make_folder: MakeFolder) -> None:
    tree = files.walk(make_folder("cat/1.jpg", f"cat/{name}"))
    assert tree.files == ("cat/1.jpg",)
    assert codes(tree) == {f"cat/{name.split('/')[0]}": "system-file"}


def test_a_hidden_folder_counts_once(make_folder: MakeFolder) -> None:
    tree = files.walk(make_folder(".git/a", ".git/b/c", "1.jpg"))
    assert codes(tree) == {".git": "system-file"}


@posix_only
def test_links_inside_are_files_and_links_outside_are_left_out(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder("real/1.jpg")
    outside = tmp_path / "secret.jpg"
    outside.write_bytes(b"secret")
    (root / "inside.jpg").symlink_to(root / "real" / "1.jpg")
    (root / "relative.jpg").symlink_to("real/1.jpg")
    (root / "outside.jpg").symlink_to(outside)
    (root / "dots.jpg").symlink_to("../secret.jpg")
    (root / "broken.jpg").symlink_to("real/9.jpg")
    (root / "loop").symlink_to(root)
    (root / "away").symlink_to(tmp_path)
    (root / "self").symlink_to("self")
    tree = files.walk(root)
    assert tree.files == ("inside.jpg", "real/1.jpg", "relative.jpg")
    found = codes(tree)
    assert found.pop("self") in ("link-broken", "link-outside")
    assert found == {
        "away": "link-outside",
        "broken.jpg": "link-broken",
        "dots.jpg": "link-outside",
        "loop": "link-to-folder",
        "outside.jpg": "link-outside",
    }


@posix_only
def test_a_neighbour_with_a_longer_name_is_outside(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder("1.jpg")
    (tmp_path / "data-secret").mkdir()
    (tmp_path / "data-secret" / "2.jpg").write_bytes(b"")
    (root / "2.jpg").symlink_to("../data-secret/2.jpg")
    assert codes(files.walk(root)) == {"2.jpg": "link-outside"}


@posix_only
def test_a_folder_given_as_a_link_is_walked(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder("cat/1.jpg")
    (root / "cat" / "2.jpg").symlink_to("1.jpg")
    (tmp_path / "alias").symlink_to(root)
    assert files.walk(tmp_path / "alias").files == ("cat/1.jpg", "cat/2.jpg")


@posix_only
def test_pipes_and_sockets_are_never_opened(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder("1.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / "to-pipe.jpg").symlink_to("pipe.jpg")
    place = Path.cwd()
    os.chdir(root)  # the name of a socket may have about 100 letters
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.jpg")
    finally:
        os.chdir(place)
    expected = dict.fromkeys(("pipe.jpg", "socket.jpg", "to-pipe.jpg"), "not-a-file")
    assert codes(files.walk(root)) == expected


@posix_only
@pytest.mark.parametrize(
    "name", ["line\nbreak.jpg", "\x1b[31mred.jpg", "-rf.jpg", "a" * 250 + ".jpg"]
)
def test_names_are_only_names(name: str, make_folder: MakeFolder) -> None:
    assert files.walk(make_folder(f"cat/{name}")).files == (f"cat/{name}",)


@posix_only
def test_names_that_are_not_utf8_come_through(make_folder: MakeFolder) -> None:
    root = make_folder("1.jpg")
    raw = os.fsencode(root) + b"/caf\xe9.jpg"
    try:
        Path(os.fsdecode(raw)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (name,) = [path for path in files.walk(root).files if path != "1.jpg"]
    with files.opened(root / name) as file:
        assert file.read() == b"x"


def test_a_folder_that_cannot_be_listed_is_left_out(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder("cat/1.jpg", "dog/2.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if os.fspath(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    tree = files.walk(root)
    assert tree.files == ("cat/1.jpg",)
    assert [(entry.path, entry.code, entry.reason) for entry in tree.left_out] == [
        ("dog", "unreadable-folder", "Permission denied")
    ]


def trouble(path: Path) -> str:
    with pytest.raises(UnreadableExample, match=r"\w") as caught, files.opened(path) as file:
        file.read()
    return caught.value.code


def test_a_regular_file_is_read(make_folder: MakeFolder) -> None:
    with files.opened(make_folder("1.jpg") / "1.jpg") as file:
        assert file.read() == b"1.jpg"


def test_a_missing_file_has_vanished(tmp_path: Path) -> None:
    assert trouble(tmp_path / "1.jpg") == "vanished"


def test_a_folder_is_not_readable(tmp_path: Path) -> None:
    assert trouble(tmp_path) in ("not-a-file", "no-permission")


@posix_only
def test_a_pipe_that_took_a_files_place_does_not_keep_us_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")
    assert trouble(tmp_path / "1.jpg") == "not-a-file"


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "1.jpg").open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)  # sparse: takes no room
    assert trouble(tmp_path / "1.jpg") == "too-big"


def test_no_permission_has_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "_without_waiting", refuse)  # root may read anything
    assert trouble(tmp_path / "1.jpg") == "no-permission"


def test_an_error_while_reading_is_one_unreadable_file(make_folder: MakeFolder) -> None:
    path = make_folder("1.jpg") / "1.jpg"
    with pytest.raises(UnreadableExample, match="Input/output"), files.opened(path):
        raise OSError(5, "Input/output error")


def test_a_file_that_grows_while_it_is_read_is_read_no_further_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.png"
    path.write_bytes(b"short")
    monkeypatch.setattr(files, "MAX_BYTES", 10)

    @contextmanager
    def opened(path: Path) -> Iterator[BufferedReader]:
        with real(path) as file:
            path.write_bytes(b"longer than it was when it was opened")
            yield file

    real = files.opened
    monkeypatch.setattr(files, "opened", opened)
    with pytest.raises(UnreadableExample, match="more than") as caught:
        files.read(path)
    assert caught.value.code == "too-big"
