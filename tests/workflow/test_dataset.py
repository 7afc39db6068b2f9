from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

import fieldmark as fm
from fieldmark.config import Settings, read
from fieldmark.data import scan
from fieldmark.training.events import Progress
from fieldmark.workflow import dataset
from tests.pictures import SHAPES, write_shapes
from tests.workflow.conftest import LAYERS, N_EACH, hashes


def parts(data: fm.Dataset) -> dict[str, str | None]:
    return {example.path: example.split for example in data}


def test_loading_lists_names_and_reads_no_picture(
    shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(scan, "hash_contents", refuse)
    monkeypatch.setattr(scan.files, "opened", refuse)
    data = fm.load(shapes)
    assert len(data) == 3 * N_EACH + 2  # two damaged files are not known to be so yet
    assert not any(example.sha256 for example in data)


def test_a_data_set_counts_indexes_and_iterates(shapes: Path) -> None:
    data = fm.load(str(shapes))
    assert data.classes == SHAPES
    assert data.counts() == {"circle": 31, "square": 31, "triangle": 30}
    assert list(data)[3] == data[3]
    assert data[0].path == "circle/000.png"
    assert data[-1].label == "triangle"
    assert repr(data) == "<Dataset shapes: 92 examples, 3 classes>"


def test_a_data_set_cannot_be_changed(shapes: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="manifest"):
        fm.load(shapes).manifest = None  # type: ignore[misc, assignment]


def test_splitting_gives_a_new_data_set_and_leaves_the_old(shapes: Path) -> None:
    data = fm.load(shapes)
    before = hashes(shapes)
    cut = data.split(val=0.2, test=0.3, seed=1)
    assert set(parts(data).values()) == {None}
    n = {part: sum(cut.counts(part).values()) for part in ("train", "valid", "test")}
    assert sum(n.values()) == len(cut) == 92
    assert n["valid"] / 92 == pytest.approx(0.2, abs=0.03)
    assert n["test"] / 92 == pytest.approx(0.3, abs=0.03)
    assert all(count > 0 for part in n for count in cut.counts(part).values())  # type: ignore[arg-type]
    assert hashes(shapes) == before


def test_splitting_repeats_with_its_seed(shapes: Path) -> None:
    data = fm.load(shapes)
    assert parts(data.split(seed=5)) == parts(data.split(seed=5))
    assert parts(data.split(seed=5)) != parts(data.split(seed=6))


def test_splitting_twice_keeps_the_first_parts(shapes: Path) -> None:
    once = fm.load(shapes).split(seed=5)
    assert parts(once.split(test=0.5, seed=6)) == parts(once)


def test_shares_that_leave_nothing_to_learn_from_are_refused(shapes: Path) -> None:
    with pytest.raises(fm.UsageError, match="each must be above 0 and their sum 1") as caught:
        fm.load(shapes).split(val=0.5, test=0.5)
    assert caught.value.code == "fractions"


def test_a_seed_that_is_no_seed_is_refused(shapes: Path) -> None:
    with pytest.raises(fm.ConfigError, match="seed is -1"):
        fm.load(shapes).split(seed=-1)


def test_a_data_set_remembers_how_it_was_loaded(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shapes.parent)
    source = fm.load("shapes").source
    assert Path(source.folder) == shapes
    assert (source.labels, source.label_from) == ("", "folder")
    assert fm.load("shapes").split().source == source


def test_a_missing_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(fm.DataError, match="nothing here") as caught:
        fm.load(tmp_path / "nothing here")
    assert (caught.value.code, caught.value.exit_status) == ("no-folder", 3)


def test_hashing_happens_once(shapes: Path) -> None:
    heard: list[Progress] = []
    first = dataset.hashed(fm.load(shapes).manifest, threads=1, listen=heard.append)  # type: ignore[arg-type]
    assert [event.done for event in heard] == list(range(1, 93))
    assert {(event.stage, event.total) for event in heard} == {("hash", 92)}
    assert dataset.hashed(first, listen=heard.append) is first  # type: ignore[arg-type]
    assert len(heard) == 92


def test_shares_come_from_the_settings(shapes: Path) -> None:
    manifest = dataset.hashed(fm.load(shapes).manifest)
    asked = Settings().changed("split", {"valid": 0.1, "test": 0.4})
    cut = dataset.assigned(manifest, asked)
    assert len(cut.part("test")) / 92 == pytest.approx(0.4, abs=0.03)


def test_the_parts_have_a_seed_of_their_own_or_the_trainings(shapes: Path) -> None:
    manifest = dataset.hashed(fm.load(shapes).manifest)
    by_training = Settings().changed("train", {"seed": 4})
    own = by_training.changed("split", {"seed": 9})
    assert (dataset.split_seed(by_training), dataset.split_seed(own)) == (4, 9)
    nine = Settings().changed("train", {"seed": 9})
    assert dataset.assigned(manifest, own) == dataset.assigned(manifest, nine)
    assert dataset.assigned(manifest, own) != dataset.assigned(manifest, by_training)


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= dataset.cores() <= (os.cpu_count() or 1)


def test_a_split_data_set_is_trained_as_it_was_split(
    tmp_path: Path, what_the_loop_gets: Any
) -> None:
    data = fm.load(write_shapes(tmp_path / "shapes", 10)).split(val=0.3, test=0.3, seed=8)
    given, _ = what_the_loop_gets(data, net=LAYERS)
    assert len(given.train.ids) == len(data.manifest.part("train"))
    assert len(given.valid.ids) == len(data.manifest.part("valid"))


def test_a_run_on_a_data_set_knows_its_folder(tmp_path: Path) -> None:
    """So that its test part can be measured again, and its parts be drawn again."""
    from tests.workflow.conftest import settings

    data = fm.load(write_shapes(tmp_path / "shapes", 8)).split(val=0.2, test=0.3, seed=6)
    run = fm.train(data, fm.net(LAYERS), epochs=1, settings=settings(tmp_path / "runs"))
    assert fm.evaluate(run.folder).report.confusion == run.report.confusion
    assert run.report.n == len(data.manifest.part("test"))
    kept = read(run.folder / "config.toml")
    assert kept.split == data.shares
    again = dataset.assigned(dataset.hashed(fm.load(kept.data.folder).manifest), kept)
    assert [example.split for example in again.examples] == [example.split for example in data]


def test_a_split_of_its_own_is_what_the_run_repeats(shapes: Path, tmp_path: Path) -> None:
    parted = fm.load(shapes).split(val=0.2, test=0.3, seed=7)
    assert parted.shares is not None
    assert (parted.shares.valid, parted.shares.test, parted.shares.seed) == (0.2, 0.3, 7)
    asked = Settings().changed("split", {"valid": 0.2, "test": 0.3, "seed": 7})
    again = dataset.assigned(dataset.hashed(fm.load(shapes).manifest), asked)
    assert again.examples == parted.manifest.examples


def test_the_split_follows_the_seed_of_the_training_unless_it_has_its_own() -> None:
    asked = Settings().changed("train", {"seed": 5})
    assert dataset.split_seed(asked) == 5
    assert dataset.split_seed(asked.changed("split", {"seed": 9})) == 9
