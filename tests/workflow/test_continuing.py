"""Which run goes on, which begins anew, and what is refused with what differs. No training here."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fieldmark import runs
from fieldmark.config import Settings
from fieldmark.data.manifest import Example, LeftOut, Manifest
from fieldmark.errors import UsageError
from fieldmark.training.events import Event, Noted
from fieldmark.workflow import continuing
from fieldmark.workflow.continuing import Asked, Held, begin, now, unfinished

COMPUTER = {"python": "3.11.7", "numpy": "2.1.0", "threads": "2"}


def example(path: str, sha: str = "", **changes: Any) -> Example:
    label = path.partition("/")[0]
    return replace(Example(path=path, label=label, sha256=sha or path, split="train"), **changes)


PICTURES = Manifest(
    root=Path("pets"),
    classes=("cat", "dog"),
    examples=(example("cat/1.png"), example("dog/1.png"), example("dog/2.png", split="test")),
    left_out=(LeftOut(path="cat/broken.png", code="truncated", reason="cut off"),),
)


@pytest.fixture(autouse=True)
def computer(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A computer whose facts a test may change."""
    facts = dict(COMPUTER)
    monkeypatch.setattr(continuing, "fingerprint", lambda threads: dict(facts))
    return facts


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def asked(out: Path, **changes: Any) -> Asked:
    settings = Settings().changed("run", {"out": str(out)})
    usual = Asked(settings=settings, name="pets", threads=2, command="fieldmark train pets")
    return replace(usual, **changes)


def with_setting(given: Asked, table: str, **values: Any) -> Asked:
    return replace(given, settings=given.settings.changed(table, values))


def started(given: Asked, manifest: Manifest = PICTURES, heard: list[Event] | None = None) -> Held:
    said: list[Event] = [] if heard is None else heard
    return begin(given, manifest, said.append)


def killed(given: Asked, manifest: Manifest = PICTURES) -> Held:
    """Begin, and leave as a killed process does: the lock is free, the rest stays."""
    held = started(given, manifest)
    held.lock.release()
    return held


@pytest.fixture
def first(out: Path) -> Held:
    return killed(asked(out))


# --- the same command again


def test_the_same_again_goes_on_in_the_same_folder(out: Path, first: Held) -> None:
    again = started(asked(out, command="fieldmark train ./pets"))
    assert again.folder == first.folder
    assert again.record == first.record, "command and moment are those of the beginning"
    assert first.note == ""
    assert "not finished: continued" in again.note


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("train", {"seed": 1}),
        ("train", {"epochs": 40}),
        ("train", {"time": "5m"}),
        ("net", {"name": "small"}),
        ("data", {"fit": "pad"}),
        ("run", {"int8": True}),
        ("run", {"checkpoint_s": 5.0}),
    ],
)
def test_another_setting_begins_a_new_run(
    out: Path, first: Held, table: str, values: dict[str, Any]
) -> None:
    other = started(with_setting(asked(out), table, **values))
    assert other.folder.name == "pets-2"
    assert other.note == ""


def changed(**changes: Any) -> Manifest:
    cat, *dogs = PICTURES.examples
    return replace(PICTURES, examples=(replace(cat, **changes), *dogs))


@pytest.mark.parametrize(
    "manifest",
    [
        changed(sha256="other"),
        changed(label="dog"),
        changed(path="cat/renamed.png"),
        changed(split="valid"),
        changed(group="one"),
        changed(cluster="one"),
        replace(PICTURES, examples=PICTURES.examples[1:]),
        replace(PICTURES, left_out=()),
        replace(PICTURES, classes=("cat", "dog", "owl")),
    ],
    ids=["content", "label", "name", "part", "group", "cluster", "gone", "left-out", "classes"],
)
def test_other_data_begins_a_new_run(out: Path, first: Held, manifest: Manifest) -> None:
    assert started(asked(out), manifest).folder.name == "pets-2"


def test_the_order_of_the_files_does_not_matter(out: Path, first: Held) -> None:
    turned = replace(PICTURES, examples=PICTURES.examples[::-1])
    assert started(asked(out), turned).folder == first.folder


def test_another_computer_begins_a_new_run_and_says_why(
    out: Path, first: Held, computer: dict[str, str]
) -> None:
    computer["threads"] = "4"
    heard: list[Event] = []
    assert started(asked(out), heard=heard).folder.name == "pets-2"
    (note,) = heard
    assert isinstance(note, Noted)
    assert note.code == "resume-environment"
    assert "threads 2 there, 4 here" in note.text
    assert "--resume pets-1 --resume-anyway" in note.text


def test_a_run_that_is_under_way_is_left_alone(out: Path) -> None:
    running = started(asked(out))
    other = started(asked(out))
    assert [running.folder.name, other.folder.name] == ["pets-1", "pets-2"]


def test_a_finished_run_is_never_continued(out: Path) -> None:
    done = started(asked(out))
    done.folder.bundle.write_bytes(b"model")
    done.finished()
    assert not (done.folder.path / "checkpoint").exists()
    assert started(asked(out)).folder.name == "pets-2"


def test_what_a_kill_between_the_last_two_steps_leaves_is_taken_away(out: Path) -> None:
    done = killed(asked(out))
    done.folder.bundle.write_bytes(b"model")
    assert started(asked(out)).folder.name == "pets-2"
    assert not (done.folder.path / "checkpoint").exists()


def test_of_several_the_newest_that_fits_goes_on(out: Path) -> None:
    names = [killed(with_setting(asked(out), "train", seed=n)).folder.name for n in (1, 2, 3)]
    assert names == ["pets-1", "pets-2", "pets-3"]
    assert started(with_setting(asked(out), "train", seed=2)).folder.name == "pets-2"
    assert (out / "latest.txt").read_text() == "pets-2\n"


def test_a_run_of_another_name_is_not_looked_at(out: Path, first: Held) -> None:
    assert started(asked(out, name="pets-1")).folder.name == "pets-1-1"


LISTS = (
    b'{"format": 1, "created": "", "command": "", "settings": [], "data": [], "environment": []}'
)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 2}', b"[" * 100_000, b"\xff\xfe", LISTS],
)
def test_a_damaged_record_is_no_run_to_continue(out: Path, first: Held, content: bytes) -> None:
    (first.folder.path / continuing.RECORD).write_bytes(content)
    assert started(asked(out)).folder.name == "pets-2"
    with pytest.raises(UsageError, match="no unfinished run 'pets-1'"):
        unfinished("pets-1", out)


def test_settings_of_another_version_are_no_run_to_continue(out: Path, first: Held) -> None:
    path = first.folder.path / continuing.RECORD
    facts = json.loads(path.read_text())
    facts["settings"]["train"]["momentum"] = 0.9
    path.write_text(json.dumps(facts))
    assert started(asked(out)).folder.name == "pets-2"


def test_what_was_half_written_is_swept_up(out: Path, first: Held) -> None:
    half = [
        first.folder.path / f".fieldmark-{16 * '0'}.part",
        first.folder.path / ".measured.fieldmark",
        first.folder.path / "checkpoint" / f".fieldmark-{16 * '1'}.part",
    ]
    for path in half:
        path.write_bytes(b"half")
    kept = first.folder.write("checkpoint/scratch-000001.safetensors", b"whole")
    started(asked(out))
    assert not any(path.exists() for path in half)
    assert kept.exists()


# --- asked for by name


def test_it_is_found_by_name_folder_data_and_as_the_newest(
    out: Path, first: Held, tmp_path: Path
) -> None:
    data = tmp_path / "elsewhere" / "birds"
    data.mkdir(parents=True)
    given = with_setting(asked(out, name="spring"), "data", folder=str(data))
    second = killed(given)
    os.utime(first.folder.path, (1, 1))
    assert unfinished("pets-1", out).folder.path == first.folder.path
    assert unfinished(str(first.folder.path), out).folder.path == first.folder.path
    assert unfinished(str(data), out).folder.path == second.folder.path
    assert unfinished("", out).folder.path == second.folder.path


def test_its_settings_come_back(out: Path) -> None:
    given = with_setting(asked(out), "train", epochs=7, lr=0.1)
    killed(given)
    assert unfinished("", out).settings == given.settings


@pytest.mark.parametrize("thing", ["", "pets-7", "nowhere"])
def test_nothing_to_go_on_with_is_said(out: Path, thing: str) -> None:
    with pytest.raises(UsageError, match="no unfinished run") as caught:
        unfinished(thing, out)
    assert caught.value.code == "nothing-to-resume"
    assert "fieldmark train FOLDER" in caught.value.hint


def test_what_there_is_instead_is_named(out: Path, first: Held) -> None:
    with pytest.raises(UsageError, match="no unfinished run 'pets-7'") as caught:
        unfinished("pets-7", out)
    assert caught.value.hint == "one of: pets-1"


def test_more_epochs_and_time_may_be_asked(out: Path, first: Held) -> None:
    given = with_setting(asked(out), "train", epochs=40, time="1h")
    moved = with_setting(given, "data", folder="/moved/pets")
    held = started(replace(moved, wanted=unfinished("pets-1", out)))
    assert held.folder.path == first.folder.path


def test_other_settings_are_refused_with_what_differs(out: Path, first: Held) -> None:
    given = with_setting(with_setting(asked(out), "train", seed=3), "net", size=64)
    with pytest.raises(UsageError, match="something else is asked") as caught:
        started(replace(given, wanted=unfinished("pets-1", out)))
    assert caught.value.code == "resume-differs"
    assert "[train] seed was 0, now 3" in caught.value.where
    assert "[net] size was 'auto', now 64" in caught.value.where


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (replace(PICTURES, examples=PICTURES.examples[1:]), "3 pictures, now 2 pictures"),
        (changed(sha256="other"), "3 pictures, now other content, labels or parts"),
    ],
)
def test_other_data_is_refused_with_what_differs(
    out: Path, first: Held, manifest: Manifest, words: str
) -> None:
    with pytest.raises(UsageError, match="cannot go on") as caught:
        started(asked(out, wanted=unfinished("pets-1", out)), manifest)
    assert caught.value.code == "resume-differs"
    assert words in caught.value.where


def test_another_computer_is_refused_unless_asked(
    out: Path, first: Held, computer: dict[str, str]
) -> None:
    computer |= {"numpy": "2.2.0", "oneDNN": "0"}
    given = asked(out, wanted=unfinished("pets-1", out))
    with pytest.raises(UsageError, match="other conditions") as caught:
        started(given)
    assert caught.value.code == "resume-environment"
    assert caught.value.where == "numpy 2.1.0 there, 2.2.0 here; oneDNN none there, 0 here"
    assert started(replace(given, anyway=True)).folder.path == first.folder.path


def test_a_busy_run_is_refused(out: Path) -> None:
    running = started(asked(out))
    with pytest.raises(UsageError, match="Another process is training pets-1") as caught:
        started(asked(out, wanted=unfinished("pets-1", out)))
    assert caught.value.code == "run-busy"
    running.lock.release()


# --- the moment it began


def test_the_moment_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert now() == "2023-11-14T22:13:20+00:00"


@pytest.mark.parametrize("given", ["", "yesterday", "-1"])
def test_a_moment_that_is_none_is_now(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    assert now() > "2026"


def test_runs_of_a_name_are_numbered_like_numbers(tmp_path: Path) -> None:
    for name in ("pets-2", "pets-10", "pets-1", "pets-x", "petshop-3"):
        (tmp_path / name).mkdir()
    assert [run.name for run in runs.siblings(tmp_path, "pets")] == ["pets-10", "pets-2", "pets-1"]
    assert runs.siblings(tmp_path / "nowhere", "pets") == []


# --- many at the same moment


@pytest.mark.parametrize("begun", [False, True], ids=["nothing there", "one to go on with"])
def test_of_twenty_racing_starts_no_two_share_a_folder(out: Path, begun: bool) -> None:
    if begun:
        killed(asked(out))
    ready = threading.Barrier(20)

    def start(_: int) -> Held:
        ready.wait()
        return started(asked(out))

    with ThreadPoolExecutor(20) as pool:
        held = list(pool.map(start, range(20)))
    assert sorted(each.folder.name for each in held) == sorted(f"pets-{n}" for n in range(1, 21))
    assert sum(bool(each.note) for each in held) == begun, "the unfinished one goes on once"
    for each in held:
        assert (each.folder.path / continuing.RECORD).is_file()
        each.lock.release()
    assert list(out.glob(".*")) == []


# --- what another process, or a person, does in the meantime


def test_a_run_that_was_finished_in_the_meantime_is_not_trained_again(out: Path) -> None:
    """Its record was read while another process held it; the lock is tried for later."""
    held = started(asked(out))
    wanted = unfinished(held.folder.name, out)
    held.folder.bundle.write_bytes(b"model")
    held.finished()
    with pytest.raises(UsageError, match="Another process is training"):
        begin(asked(out, wanted=wanted), PICTURES, lambda event: None)
    assert held.folder.bundle.read_bytes() == b"model"
    assert not (held.folder.path / continuing.FOLDER).exists()


def test_what_a_person_put_there_stays_and_keeps_nothing_from_going_on(
    out: Path, first: Held
) -> None:
    theirs = first.folder.path / ".notes.part"
    theirs.write_text("mine", encoding="utf-8")
    (first.folder.path / ".measured.fieldmark").mkdir()
    again = started(asked(out))
    assert again.folder == first.folder
    assert theirs.read_text(encoding="utf-8") == "mine"


def test_pictures_that_were_moved_are_read_where_they_are_now(out: Path, tmp_path: Path) -> None:
    data = asked(out)
    first = killed(replace(data, settings=data.settings.changed("data", {"folder": "/gone/pets"})))
    moved = tmp_path / "moved" / "pets"
    moved.mkdir(parents=True)
    kept = unfinished(str(moved), out)
    assert kept.folder == first.folder
    assert kept.settings.data.folder == str(moved)
