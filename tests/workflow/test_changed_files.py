"""Files that change while a command reads them: at every stage, and in every way."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.inference.predictor import Unread
from fieldmark.training.events import DataChecked, Event, Listener, Progress
from fieldmark.workflow.checking import checked
from tests.pictures import png, write_shapes
from tests.workflow.conftest import LAYERS, settings

N_EACH = 10
VICTIM = "square/004.png"


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    path.write_bytes(png("circle", 900))


def truncated(path: Path) -> None:
    os.truncate(path, 60)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_out(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere.png"
    elsewhere.write_bytes(png("square", 901))
    path.unlink()
    path.symlink_to(elsewhere)


FAULTS = {
    deleted: "vanished",
    replaced: "changed-while-running",
    truncated: "changed-while-running",
    grown: "changed-while-running",
    a_pipe: "not-a-file",
    a_folder: "not-a-file",
    a_link_out: "changed-while-running",
}
PLAIN = fm.Settings().changed("audit", {"suspects": "no"})
STAGES = ("hash", "look", "decode")

on_unix = pytest.mark.skipif(os.name == "nt", reason="no pipes and links there")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "cache"))
    return write_shapes(tmp_path / "shapes", N_EACH)


def after(stage: str, act: Callable[[], object], heard: list[Event] | None = None) -> Listener:
    """Listen, and act once when a stage has seen every file."""
    left = [act]

    def listen(event: Event) -> None:
        if heard is not None and not isinstance(event, Progress):
            heard.append(event)
        if isinstance(event, Progress) and event.stage == stage and event.done == event.total:
            while left:
                left.pop()()

    return listen


class Enough(Exception):
    """Ends a training where its network would be fitted."""


def trained(folder: Path, stage: str, act: Callable[[], object]) -> DataChecked:
    """Train up to the first step; return what the run says of its data."""
    heard: list[Event] = []

    def fit(*given: object, **named: object) -> None:
        raise Enough("the first step")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fieldmark.workflow.scratch.fit_loop", fit)
        with pytest.raises(Enough, match="the first step"):
            fm.train(
                folder,
                LAYERS,
                settings=settings(folder.parent / "runs"),
                listen=after(stage, act, heard),
            )
    return next(event for event in heard if isinstance(event, DataChecked))


@on_unix
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_training_leaves_it_out_by_name_until_the_pictures_are_decoded(
    folder: Path, stage: str, fault: Callable[[Path], None]
) -> None:
    data = trained(folder, stage, lambda: fault(folder / VICTIM))
    assert data.n_used + data.n_left_out == data.n_found == 3 * N_EACH
    assert data.left_out == ({} if stage == "decode" else {FAULTS[fault]: 1})


@on_unix
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_check_names_what_changed_after_it_was_hashed(
    folder: Path, fault: Callable[[Path], None]
) -> None:
    listen = after("hash", lambda: fault(folder / VICTIM))
    found = fm.check(folder, settings=PLAIN, listen=listen)
    assert [(each.path, each.code) for each in found.manifest.left_out] == [(VICTIM, FAULTS[fault])]
    assert len(found.manifest.examples) == 3 * N_EACH - 1


@on_unix
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_changed_between_listing_and_hashing_is_read_as_it_is_now(
    folder: Path, fault: Callable[[Path], None]
) -> None:
    """Only what cannot be read then is left out; a link is judged when the folder is listed."""
    listed = fm.load(folder)
    fault(folder / VICTIM)
    found = checked(listed.manifest, PLAIN).manifest
    codes = {deleted: "vanished", a_pipe: "not-a-file", a_folder: "not-a-file"}
    codes |= {truncated: "truncated"}
    left_out = [(each.path, each.code) for each in found.left_out]
    assert left_out == ([(VICTIM, codes[fault])] if fault in codes else [])
    assert len(found.examples) + len(found.left_out) == 3 * N_EACH


@pytest.mark.parametrize("verb", ["check", "train"])
@pytest.mark.parametrize("stage", ["list", "hash", "look"])
@pytest.mark.parametrize("unmounted", [False, True], ids=["removed", "unmounted"])
def test_a_folder_that_vanishes_is_one_clear_error(
    folder: Path, verb: str, stage: str, unmounted: bool
) -> None:
    def vanish() -> None:
        shutil.rmtree(folder)
        if unmounted:  # the place it was mounted at stays, empty
            folder.mkdir()

    data = fm.load(folder)
    if stage == "list":
        vanish()
    listen = after(stage, vanish)
    asked = settings(folder.parent / "runs")
    run: Callable[[], object]
    if verb == "check":
        run = functools.partial(data.check, listen=listen)
    else:
        run = functools.partial(fm.train, data, LAYERS, settings=asked, listen=listen)
    with pytest.raises(fm.DataError, match="Not one of the 30 files") as caught:
        run()
    assert caught.value.code == "folder-vanished"
    assert caught.value.where == str(folder)


def test_a_solved_head_stops_by_name_when_a_picture_changes_after_its_features(
    folder: Path,
) -> None:
    """Its test pictures are decoded when they are measured: a changed one is not measured."""

    def all_change() -> None:
        for path in folder.rglob("*.png"):
            path.write_bytes(path.read_bytes() + b"more")

    with pytest.raises(fm.DataError, match=r"\.png can no longer be read") as caught:
        fm.train(
            folder,
            settings=fm.Settings().changed("run", {"out": str(folder.parent / "runs")}),
            listen=after("features", all_change),
        )
    assert caught.value.code == "changed-while-running"
    assert not list((folder.parent / "runs").glob("*/*.fieldmark"))


def test_files_that_change_all_the_time_never_break_the_sum(folder: Path) -> None:
    """A thread edits, cuts and removes files throughout; what it does when is left to chance."""
    done = threading.Event()

    def edit() -> None:
        number = 0
        while not done.wait(0.002) and number < 8:
            # Of two classes: none is left with too few to be learned, whatever chance does.
            path = folder / ("triangle", "square")[number % 2] / f"{number:03}.png"
            (deleted, replaced, truncated, grown)[number % 4](path)
            number += 1

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        data = trained(folder, "never", lambda: None)
    finally:
        done.set()
        editor.join()
    assert data.n_used + data.n_left_out == data.n_found
    assert 3 * N_EACH - 2 <= data.n_found <= 3 * N_EACH, "two may have gone before they were listed"


def test_a_prediction_reads_each_file_once_and_says_what_is_missing(folder: Path) -> None:
    model = Path(__file__).parents[1] / "golden" / "bundle_v1.fieldmark"
    predictor = fm.open(model)
    paths = sorted(folder.rglob("*.png"))
    answers = predictor.predict_files(paths, threads=1, batch=4)
    first = next(answers)
    shutil.rmtree(folder)
    codes = [first, *answers]
    unread = [each for each in codes if isinstance(each, Unread)]
    assert len(codes) == len(paths)
    assert {each.code for each in unread} == {"no-file"}
    assert [each.file for each in unread] == [str(path) for path in paths[-len(unread) :]]
