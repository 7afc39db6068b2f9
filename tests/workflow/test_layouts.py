"""From every kind of folder to the batches: who learns, who chooses, who is kept for the test."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fieldmark as fm
from fieldmark.config import read
from fieldmark.data.batches import Batches, ids_of
from fieldmark.networks import CATALOGUE
from fieldmark.training.events import DataChecked, Event, Planned
from fieldmark.workflow import choosing
from fieldmark.workflow.choosing import choose
from fieldmark.workflow.session import Session
from tests.pictures import SHAPES, png, write_numbers, write_shapes
from tests.workflow.conftest import LAYERS, Given, hashes, rows_of, settings

Look = Callable[..., tuple[Given, list[Event]]]
Labels = Callable[[Batches], list[str]]


def ids_in(*folders: Path) -> set[int]:
    """The ids of the pictures in some folders."""
    files = [path for folder in folders for path in folder.rglob("*.png")]
    return set(ids_of([hashlib.sha256(path.read_bytes()).hexdigest() for path in files]).tolist())


def ids(batches: Batches) -> set[int]:
    return set(batches.ids.tolist())


def checked(heard: list[Event]) -> DataChecked:
    (found,) = [event for event in heard if isinstance(event, DataChecked)]
    return found


# --- ready-made parts


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """A training and a test folder, as the tutorial has them."""
    root = tmp_path / "parted"
    write_numbers(root / "training_set", range(20))
    write_numbers(root / "test_set", range(20, 26))
    return root


def test_validation_comes_out_of_the_training_folder_and_the_test_folder_stays_whole(
    parted: Path, what_the_loop_gets: Look
) -> None:
    given, heard = what_the_loop_gets(parted)
    assert ids(given.train) | ids(given.valid) == ids_in(parted / "training_set")
    assert not ids(given.train) & ids(given.valid)
    assert not (ids(given.train) | ids(given.valid)) & ids_in(parted / "test_set")
    said = checked(heard)
    assert said.test == 18
    assert (said.train, said.valid) == (len(given.train.ids), len(given.valid.ids))
    assert 0.1 < said.valid / 60 < 0.25  # 0.15 of 0.85


def test_a_ready_made_validation_folder_is_taken_as_it_is(
    parted: Path, what_the_loop_gets: Look
) -> None:
    write_numbers(parted / "validation", range(40, 44))
    given, _ = what_the_loop_gets(parted)
    assert ids(given.valid) == ids_in(parted / "validation")
    assert ids(given.train) == ids_in(parted / "training_set")


def test_the_test_folder_decides_nothing_not_even_the_recipe(
    parted: Path, what_the_loop_gets: Look
) -> None:
    write_numbers(parted / "training_set", range(100, 150), shapes=("square",))
    asked = settings(parted.parent / "runs", balance="weights")
    first, _ = what_the_loop_gets(parted, asked=asked)
    write_numbers(parted / "test_set", range(200, 290), shapes=("circle",))
    again, heard = what_the_loop_gets(parted, asked=asked)
    assert checked(heard).test == 18 + 90
    assert first.recipe == again.recipe
    assert ids(first.train) == ids(again.train)
    np.testing.assert_array_equal(first.train.labels, again.train.labels)


def test_a_run_on_ready_made_parts_is_measured_on_the_test_folder(
    parted: Path, tmp_path: Path
) -> None:
    before = hashes(parted)
    run = fm.train(parted, LAYERS, settings=settings(tmp_path / "runs"))
    assert run.report.n == 18
    tested = [row["path"] for row in rows_of(run.folder / "predictions.csv")]
    assert all(path.startswith("test_set/") for path in tested)
    assert hashes(parted) == before
    again = fm.evaluate(run.folder)
    assert again.report.confusion == run.report.confusion
    of_the_folder = fm.evaluate(run.folder, parted)
    assert of_the_folder.report.confusion == run.report.confusion


# --- lists


def write_list(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Pictures in one flat folder, their labels and groups in a list beside it."""
    folder = tmp_path / "pile"
    folder.mkdir()
    rows = []
    for at in range(60):
        shape = SHAPES[at % 3]
        (folder / f"{at:03}.png").write_bytes(png(shape, at))
        rows.append({"path": f"pile/{at:03}.png", "label": shape, "group": f"day {at // 4}"})
    (folder / "060.png").write_bytes(png("circle", 60))  # there, but not in the list
    rows.append({"path": "pile/061.png", "label": "circle", "group": ""})  # in the list only
    return write_list(tmp_path / "labels.csv", rows)


def test_a_list_is_trained_on_from_end_to_end(listed: Path, tmp_path: Path) -> None:
    run = fm.train(listed, LAYERS, settings=settings(tmp_path / "runs"))
    assert run.predictor.classes == SHAPES
    rows = rows_of(run.folder / "data.csv")
    used = [row for row in rows if row["used"] == "1"]
    assert len(used) == 60
    assert [(row["path"], bool(row["problem"])) for row in rows if row["used"] == "0"] == [
        ("pile/061.png", True)
    ]
    of_group: dict[str, set[str]] = {}
    for row in used:
        of_group.setdefault(row["group"], set()).add(row["split"])
    assert len(of_group) == 15
    assert all(len(parts) == 1 for parts in of_group.values())
    again = fm.evaluate(run.folder)
    assert again.report.confusion == run.report.confusion
    # Intervals count the days, not the pictures, and the run remembers which were of one day.
    days = {row["group"] for row in used if row["split"] == "test"}
    assert again.report.n_groups == run.report.n_groups == len(days) < run.report.n
    assert again.report.accuracy == run.report.accuracy
    assert again.unread == ()


def test_a_list_about_a_folder_leaves_out_what_it_does_not_name(
    listed: Path, tmp_path: Path, what_the_loop_gets: Look
) -> None:
    rows = [row | {"path": Path(row["path"]).name} for row in rows_of(listed)[:60]]
    about = write_list(tmp_path / "about.csv", rows)
    asked = settings(tmp_path / "runs").changed("data", {"labels": str(about)})
    _, heard = what_the_loop_gets(listed.parent / "pile", asked=asked)
    assert checked(heard).n_used == 60
    assert checked(heard).left_out == {"not-listed": 1}


def test_parts_given_in_a_list_are_kept(
    listed: Path, tmp_path: Path, what_the_loop_gets: Look
) -> None:
    words = {0: "test", 1: "val", 2: "train", 3: "train"}
    rows = [
        {"path": row["path"], "label": row["label"], "split": words[at % 4]}
        for at, row in enumerate(rows_of(listed)[:60])
    ]
    _, heard = what_the_loop_gets(write_list(tmp_path / "parts.csv", rows))
    assert (checked(heard).train, checked(heard).valid, checked(heard).test) == (30, 15, 15)


def test_labels_may_stand_in_the_file_names(
    tmp_path: Path, what_the_loop_gets: Look, labels_of: Labels
) -> None:
    folder = tmp_path / "named"
    folder.mkdir()
    for at in range(45):
        (folder / f"{SHAPES[at % 3]}_{at}.png").write_bytes(png(SHAPES[at % 3], at))
    (folder / "what.png").write_bytes(png("circle", 99))
    asked = settings(tmp_path / "runs").changed("data", {"label_from": r"name:^(\w+?)_"})
    given, heard = what_the_loop_gets(folder, asked=asked)
    assert checked(heard).classes == SHAPES
    assert checked(heard).left_out == {"no-label-in-name": 1}
    assert Counter(labels_of(given.train)) == Counter(
        dict.fromkeys(SHAPES, len(given.train.ids) // 3)
    )


# --- broken files


def test_broken_files_are_left_out_and_the_shares_still_hold(
    tmp_path: Path, what_the_loop_gets: Look
) -> None:
    folder = write_shapes(tmp_path / "broken", 20)
    for number, content in enumerate([b"", b"\x89PNG\r\n", b"<html>", png("circle", 1)[:99]]):
        (folder / "circle" / f"bad{number}.png").write_bytes(content)
    _, heard = what_the_loop_gets(folder)
    said = checked(heard)
    assert (said.n_found, said.n_used, said.n_left_out) == (64, 60, 4)
    assert sum(said.left_out.values()) == 4
    assert said.train + said.valid + said.test == 60


def test_a_mostly_unreadable_folder_is_refused_before_a_run_folder_is_made(
    tmp_path: Path,
) -> None:
    folder = write_shapes(tmp_path / "rotten", 8)
    for path in sorted(folder.rglob("*.png"))[::2] + sorted((folder / "circle").iterdir()):
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(fm.DataError, match="could not be read") as caught:
        fm.train(folder, LAYERS, settings=settings(tmp_path / "runs"))
    assert caught.value.code == "mostly-unreadable"
    assert not (tmp_path / "runs").exists()


def test_a_test_part_that_cannot_be_read_is_refused(parted: Path, tmp_path: Path) -> None:
    for path in (parted / "test_set").rglob("*.png"):
        path.write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    with pytest.raises(
        fm.DataError, match="No readable picture is left in the test part"
    ) as caught:
        fm.train(parted, LAYERS, settings=settings(tmp_path / "runs"))
    assert caught.value.code == "empty-part"


def test_equal_files_under_two_names_are_on_one_side(
    tmp_path: Path, what_the_loop_gets: Look
) -> None:
    folder = write_shapes(tmp_path / "copies", 15)
    for path in sorted(folder.rglob("*.png")):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    given, heard = what_the_loop_gets(folder)
    assert checked(heard).n_used == 45
    assert checked(heard).left_out == {"exact-copy": 45}
    asked = settings(tmp_path / "runs").changed("audit", {"clean": False})
    given, heard = what_the_loop_gets(folder, asked=asked)
    assert checked(heard).n_used == 90
    assert not ids(given.train) & ids(given.valid)
    assert len(ids(given.train)) * 2 == len(given.train.ids)


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_a_file_name_that_is_no_text_does_not_lose_the_run(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "latin", 8)
    for at in range(8):
        old = folder / "circle" / f"{at:03}.png"
        old.rename(Path(os.fsdecode(os.fsencode(old.parent) + b"/caf\xe9%d.png" % at)))
    run = fm.train(folder, LAYERS, epochs=1, settings=settings(tmp_path / "runs"))
    assert len(run.top_losses(9)) == run.report.n == 3
    assert fm.evaluate(run.folder).report.confusion == run.report.confusion


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_neither_does_a_folder_name_that_is_no_text(tmp_path: Path) -> None:
    folder = write_shapes(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")), 8)
    run = fm.train(folder, LAYERS, epochs=1, settings=settings(tmp_path / "runs"))
    assert run.name == "caf-1"
    assert "caf?" in run.report.conditions["part"]
    assert fm.evaluate(run.folder, folder).report.n == 24


# --- which network, which settings


def test_auto_without_pretrained_weights_is_small_for_few_pictures_and_says_why(
    tmp_path: Path, what_the_loop_gets: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "is_installed", lambda name: False)
    folder = write_shapes(tmp_path / "few", 8)
    given, heard = what_the_loop_gets(folder, net="auto")
    (said,) = [event for event in heard if isinstance(event, Planned)]
    assert said.network == "small"
    assert "fewer than 20,000" in said.why
    assert given.plan.network == CATALOGUE["small"].network(n_classes=3)
    assert given.train.pixels.shape[1:] == (128, 128, 3)


def test_the_article_recipe_brings_the_articles_network_and_its_augmentation(
    tmp_path: Path, what_the_loop_gets: Look
) -> None:
    folder = write_shapes(tmp_path / "two", 8, shapes=SHAPES[:2])
    asked = settings(tmp_path / "runs", recipe="article", epochs="auto", lr="auto")
    given, _ = what_the_loop_gets(folder, net="auto", asked=asked)
    assert given.plan.n_outputs == 1
    assert str(given.plan.network) == str(fm.net("tutorial"))
    assert (given.recipe.epochs, given.recipe.lr, given.train.batch_size) == (25, 0.001, 32)
    assert given.train.augmentation is not None
    assert (given.train.augmentation.shear_degrees, given.train.augmentation.zoom) == (0.2, 0.2)
    assert given.train.augmentation.flip


def test_size_and_fit_reach_the_pictures(tmp_path: Path, what_the_loop_gets: Look) -> None:
    folder = write_shapes(tmp_path / "few", 8)
    asked = settings(tmp_path / "runs").changed("net", {"size": 48})
    given, _ = what_the_loop_gets(folder, net="small", asked=asked)
    assert given.train.pixels.shape[1:] == (48, 48, 3)


def test_pictures_grow_to_the_size_of_a_network_that_allows_it(
    tmp_path: Path, what_the_loop_gets: Look
) -> None:
    folder = write_shapes(tmp_path / "few", 8)
    asked = settings(tmp_path / "runs").changed("net", {"size": 128})
    given, _ = what_the_loop_gets(folder, net="small", asked=asked)
    assert given.recipe.sizes == (80, 112)
    given, _ = what_the_loop_gets(folder, net="tutorial", asked=asked)
    assert given.recipe.sizes == ()


def test_a_run_whose_pictures_grew_answers_at_the_full_size_and_repeats(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "few", 8)
    asked = settings(tmp_path / "runs", epochs=1, sizes="8,12", ema=0.9)
    run = fm.train(folder, LAYERS, settings=asked)
    assert run.predictor.spec.shape == (16, 16, 3)
    assert read(run.folder / "config.toml").train.sizes == "8,12"
    again = fm.train(folder, settings=read(run.folder / "config.toml"))
    assert (run.folder / "model.onnx").read_bytes() == (again.folder / "model.onnx").read_bytes()


def test_sizes_for_a_network_that_is_flattened_are_refused(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "few", 8)
    asked = settings(tmp_path / "runs", sizes="32,64")
    with pytest.raises(fm.FieldmarkError, match="cannot be trained on pictures of 32,64"):
        fm.train(folder, "tutorial", settings=asked)


def test_the_seed_reaches_split_order_and_recipe(tmp_path: Path, what_the_loop_gets: Look) -> None:
    folder = write_shapes(tmp_path / "few", 20)
    found = [
        what_the_loop_gets(folder, asked=settings(tmp_path / "runs", seed=seed))[0]
        for seed in (1, 1, 2)
    ]
    assert ids(found[0].train) == ids(found[1].train)
    assert ids(found[0].train) != ids(found[2].train)
    assert [each.recipe.seed for each in found] == [1, 1, 2]
    assert [each.train.seed for each in found] == [1, 1, 2]


def test_a_time_budget_counts_from_the_command(
    tmp_path: Path, what_the_loop_gets: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What decoding took is gone; the smallest rest is a second."""
    monkeypatch.setattr(Session, "spent_s", lambda session: 30.0)
    folder = write_shapes(tmp_path / "few", 8)
    given, _ = what_the_loop_gets(folder, asked=settings(tmp_path / "runs", time="90s"))
    assert given.recipe.time_s == 60


@pytest.mark.parametrize("how", ["given", "from the settings"])
def test_a_file_with_a_network_is_kept_as_its_list(how: str, tmp_path: Path) -> None:
    """So that the run can be repeated when the file has gone."""
    folder = write_shapes(tmp_path / "few", 8)
    file = tmp_path / "mine.txt"
    file.write_text(LAYERS.replace(" -> ", "\n"), encoding="utf-8")
    asked, net = settings(tmp_path / "runs", epochs=1), str(file)
    if how == "from the settings":
        asked, net = asked.changed("net", {"name": net}), "auto"
    run = fm.train(folder, net, settings=asked)
    kept = read(run.folder / "config.toml").net
    assert (kept.name, kept.layers, kept.size) == ("layers", LAYERS, 16)


def test_a_list_for_pictures_that_are_not_square_repeats_as_it_is(tmp_path: Path) -> None:
    text = "INPUT 12x20x3 -> CONV 4 3x3 -> RELU -> GAP -> FC"
    folder = write_shapes(tmp_path / "few", 8)
    run = fm.train(folder, text, settings=settings(tmp_path / "runs", epochs=1))
    again = choose(read(run.folder / "config.toml"), n_classes=3, n_train=18)
    assert str(again.plan.network) == run.predictor.bundle.network == text
    assert again.spec == run.predictor.spec
