from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import fieldmark as fm
from fieldmark.config import Settings, read
from fieldmark.data import scan, split_file
from fieldmark.training.events import Progress
from fieldmark.workflow import dataset
from tests.pictures import SHAPES, unlike, write_shapes
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
    assert sum(n.values()) == len(cut) == 90  # two files cannot be read
    assert n["valid"] / 90 == pytest.approx(0.2, abs=0.03)
    assert n["test"] / 90 == pytest.approx(0.3, abs=0.03)
    assert all(count > 0 for part in n for count in cut.counts(part).values())  # type: ignore[arg-type]
    assert hashes(shapes) == before


def test_splitting_repeats_with_its_seed(shapes: Path) -> None:
    data = fm.load(shapes)
    assert parts(data.split(seed=5)) == parts(data.split(seed=5))
    assert parts(data.split(seed=5)) != parts(data.split(seed=6))


def test_splitting_twice_is_refused(shapes: Path) -> None:
    once = fm.load(shapes).split(seed=5)
    with pytest.raises(fm.UsageError, match="drawn already") as caught:
        once.split(test=0.5, seed=6)
    assert caught.value.code == "split-twice"


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
    again = dataset.prepared(fm.load(shapes).manifest, asked)
    assert again.manifest == parted.manifest


def test_the_split_follows_the_seed_of_the_training_unless_it_has_its_own() -> None:
    asked = Settings().changed("train", {"seed": 5})
    assert dataset.split_seed(asked) == 5
    assert dataset.split_seed(asked.changed("split", {"seed": 9})) == 9


# --- lists: groups, fixes, a saved split


def files(tmp_path: Path, n: int = 12) -> Path:
    """Two classes of files that nobody will decode."""
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True, exist_ok=True)
        for at in range(n):
            (tmp_path / "pets" / label / f"{at % 4}_{at}.jpg").write_bytes(unlike(f"{label} {at}"))
    return tmp_path / "pets"


def test_a_data_set_remembers_its_lists_by_their_whole_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = files(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "groups.csv").write_text("path,group\ncat/0_0.jpg,g\n")
    assert fm.load(root).source.overrides == "none"
    (root / "overrides.csv").write_text("path,action\n")
    source = fm.load("pets", groups="groups.csv").source
    assert source.groups == str(tmp_path / "groups.csv")
    assert source.overrides == str(root / "overrides.csv")
    assert fm.load("pets", groups="folder", overrides="none").source.overrides == "none"


def test_loading_obeys_no_list_yet_and_splitting_does(tmp_path: Path) -> None:
    root = files(tmp_path)
    (tmp_path / "fix.csv").write_text("path,action\ncat/0_0.jpg,leave-out\nno.jpg,keep\n")
    data = fm.load(root, groups=r"name:^(\d)_", overrides=tmp_path / "fix.csv")
    assert (len(data), data.notes) == (24, ())
    cut = data.split()
    assert len(cut) == 23
    assert [note.code for note in cut.notes] == ["override-no-file"]
    for group in "0123":
        assert len({each.split for each in cut if each.group == group}) == 1
    assert cut.source == data.source


def test_folds_are_part_of_how_a_data_set_was_split(tmp_path: Path) -> None:
    cut = fm.load(files(tmp_path)).split(folds=3)
    assert {each.fold for each in cut} == {0, 1, 2}
    assert cut.shares is not None
    assert cut.shares.folds == 3


def test_preparing_twice_changes_nothing(tmp_path: Path) -> None:
    root = files(tmp_path)
    (root / "overrides.csv").write_text(
        "path,action,value\ncat/0_0.jpg,leave-out,\ndog/0_0.jpg,relabel,cat\n"
    )
    asked = Settings().changed("split", {"folds": 3})
    once = dataset.prepared(fm.load(root).manifest, asked)
    assert dataset.prepared(once.manifest, asked).manifest == once.manifest


def test_without_lists_preparing_is_hashing_and_assigning(tmp_path: Path) -> None:
    manifest = fm.load(files(tmp_path)).manifest
    found = dataset.prepared(manifest, Settings(), threads=1)
    drawn = dataset.assigned(dataset.hashed(manifest), Settings())
    seen = found.manifest.shapes
    assert seen is not None
    assert seen.n == len(manifest.examples)
    assert found.manifest == dataclasses.replace(drawn, audited=True, shapes=seen)
    assert found.notes == ()


def test_a_saved_split_is_used_again_and_new_files_are_told(tmp_path: Path) -> None:
    root = files(tmp_path)
    first = dataset.prepared(fm.load(root).manifest, Settings()).manifest
    split_file.write(tmp_path / "split.csv", first)
    (root / "cat" / "new.jpg").write_bytes(unlike("new"))
    (root / "dog" / "0_0.jpg").rename(root / "dog" / "renamed.jpg")
    asked = Settings().changed("split", {"file": str(tmp_path / "split.csv"), "seed": 77})
    again = dataset.prepared(fm.load(root).manifest, asked)
    old = {each.sha256: each.split for each in first.examples}
    new = {each.sha256: each.split for each in again.manifest.examples}
    assert {sha: new[sha] for sha in old} == old
    assert [note.code for note in again.notes] == ["split-new"]


def test_a_data_set_of_a_list_finds_groups_in_its_columns(tmp_path: Path) -> None:
    root = files(tmp_path)
    rows = [f"{p.parent.name}/{p.name},{p.parent.name},{p.name[0]}" for p in root.rglob("*.jpg")]
    (root / "list.csv").write_text("\n".join(["path,label,Bird", *rows]))
    for data in (
        fm.load(root / "list.csv", groups="column:bird"),
        fm.load(root, labels=root / "list.csv", groups="column:bird"),
    ):
        assert {each.group for each in data.split()} == set("0123")


def test_correcting_without_a_list_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fm.load(files(tmp_path))
    monkeypatch.setattr(scan, "hash_contents", None)
    assert dataset.corrected(data.manifest, data.source).manifest is data.manifest
