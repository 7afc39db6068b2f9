"""A model trained again from its own file: what is compared, and what comes out the same."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import fieldmark as fm
from fieldmark import bundle as bundles
from fieldmark.training import loop
from fieldmark.training.events import Event, RepeatsPlanned, Stopped
from fieldmark.workflow import machine, provenance, reproducing
from fieldmark.workflow.reproducing import Reproduction
from tests.pictures import png, write_shapes
from tests.workflow.conftest import Finished, hashes, settings
from tests.workflow.killing import Command

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle_v1.fieldmark"
SMALL = "INPUT 16x16x3 -> CONV 4 3x3 -> BN -> RELU -> DROPOUT 0.1 -> GAP -> FC"


@pytest.fixture(scope="module")
def again(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """The shared run once more, kept."""
    out = tmp_path_factory.mktemp("again") / "out"
    return fm.reproduce(finished.run.folder, finished.data, out=out)


@pytest.fixture
def alone(finished: Finished, tmp_path: Path) -> Path:
    """The model file without its folder."""
    return Path(shutil.copy(finished.run.bundle, tmp_path / "sent.fieldmark"))


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """The data, to be changed."""
    return Path(shutil.copytree(finished.data, tmp_path / "shapes"))


def rewritten(path: Path, **changed: Any) -> Path:
    """Write a model file with some of its fields replaced."""
    made = dataclasses.replace(bundles.read(path, weights=True), **changed)
    bundles.write(path, made, overwrite=True)
    return path


# --- the same


def test_a_model_comes_out_byte_for_byte(finished: Finished, again: Reproduction) -> None:
    assert again.identical
    assert again.passed
    assert (again.data, again.environment, again.reasons) == ((), (), ())
    assert again.folder is not None
    kept = again.folder / finished.run.bundle.name
    assert kept.read_bytes() == finished.run.bundle.read_bytes()
    assert str(again).splitlines()[-1] == f"Identical, byte for byte: {again.model_id}"


def test_the_first_run_and_the_pictures_are_not_touched(
    finished: Finished, again: Reproduction
) -> None:
    assert hashes(finished.data) == finished.before
    assert sorted(path.name for path in finished.runs.iterdir()) == ["latest.txt", "shapes-1"]
    assert again.folder is not None
    assert sorted(path.name for path in again.folder.parent.iterdir()) == ["shapes-1"]


def test_a_run_that_is_there_is_not_overwritten(finished: Finished, again: Reproduction) -> None:
    assert again.folder is not None
    before = hashes(again.folder)
    with pytest.raises(fm.UsageError, match="shapes-1 exists already"):
        fm.reproduce(finished.run.folder, out=again.folder.parent)
    assert hashes(again.folder) == before


def test_a_file_alone_is_enough_with_its_pictures(finished: Finished, alone: Path) -> None:
    found = fm.reproduce(alone, finished.data, train=False)
    assert found.passed
    assert found.identical is None
    assert (found.data, found.environment) == ((), ())
    assert "everything that was compared is the same" in str(found)


def test_json_holds_all_of_it(again: Reproduction) -> None:
    told = json.loads(json.dumps(again.to_dict()))
    assert told["schema"] == "fieldmark.reproduction/1"
    assert told["identical"] is told["passed"] is True
    assert told["result"]["different"] == []
    assert "weights.safetensors" in told["result"]["same"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL can be sent to a process there")
def test_a_run_that_was_killed_and_went_on_comes_out_the_same(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "shapes", 20)
    config = tmp_path / "each_step.toml"
    config.write_text("[run]\ncheckpoint_s = 0\n", encoding="utf-8")
    given = (str(data), "--net", SMALL, "--epochs", "3", "--config", str(config))
    victim = Command(tmp_path / "room", given)
    moment = victim.there("checkpoint/scratch-00000[2-9]*")
    assert victim.killed_when(moment) == -signal.SIGKILL
    assert victim.finish() == 0
    assert "not finished: continued" in victim.said
    found = fm.reproduce(victim.room / "runs" / "shapes-1", data)
    assert found.identical, str(found)


@pytest.mark.slow
def test_a_solved_head_comes_out_the_same(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "shapes", 8)
    asked = fm.Settings().changed("net", {"size": 64}).changed("run", {"out": str(tmp_path / "r")})
    run = fm.train(data, "features", settings=asked)
    found = fm.reproduce(run.bundle)
    assert found.identical, str(found)


def test_lists_groups_fixes_folds_and_a_saved_split_come_along(tmp_path: Path) -> None:
    """Trained with everything that may lie in a file of its own; then only the lists go along."""
    data = write_shapes(tmp_path / "shapes", 14)
    files = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    lists = tmp_path / "lists"
    lists.mkdir()
    labels, groups, fixes = (lists / f"{name}.csv" for name in ("labels", "groups", "fixes"))
    labels.write_text("path,label\n" + "".join(f"{f},{f.split('/')[0]}\n" for f in files))
    groups.write_text("path,group\n" + "".join(f"{f},{f[-5]}{f[0]}\n" for f in files))
    fixes.write_text(f"path,action\n{files[0]},leave-out\n")
    loaded = fm.load(data, labels=labels, groups=groups, overrides=fixes)
    parts = lists / "parts.csv"
    from fieldmark.data import split_file

    parts.write_text(split_file.text(loaded.split(val=0.25, test=0.25, seed=5).manifest))
    asked = settings(tmp_path / "runs", epochs=1).changed("split", {"file": str(parts), "folds": 2})
    heard: list[Event] = []
    run = fm.train(loaded, SMALL, settings=asked, listen=heard.append)
    assert any(isinstance(each, RepeatsPlanned) for each in heard)
    recipe = bundles.read(run.bundle).recipe
    assert str(tmp_path) not in recipe
    assert 'groups = "groups.csv"' in recipe
    sent = Path(shutil.copy(run.bundle, tmp_path / "sent.fieldmark"))
    with pytest.raises(fm.UsageError, match=r"The list .labels.csv. .* is not there"):
        fm.reproduce(sent, data)
    for each in (labels, groups, fixes, parts):
        shutil.copy(each, tmp_path)
    heard.clear()
    found = fm.reproduce(sent, data, listen=heard.append)
    assert found.identical, str(found)
    assert not any(isinstance(each, RepeatsPlanned) for each in heard)
    assert fm.reproduce(run.folder, train=False).passed


# --- other data


def test_data_that_is_not_the_same_is_named_and_not_trained_on(
    finished: Finished, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproducing, "train_again", lambda *given, **more: pytest.fail("trained"))
    (copied / "circle" / "000.png").unlink()
    (copied / "circle" / "001.png").rename(copied / "circle" / "moved.png")
    (copied / "square" / "new.png").write_bytes(png("square", 99))
    (copied / "square" / "001.png").rename(copied / "triangle" / "relabelled.png")
    (copied / "triangle" / "000.png").write_bytes(png("triangle", 98))
    found = fm.reproduce(finished.run.folder, copied)
    assert not found.passed
    assert found.identical is None
    said = "\n".join(found.data or ())
    assert "1 missing, or left out here: circle/000.png" in said
    assert "1 new, or left out there: square/new.png" in said
    assert "2 under another name: circle/001.png, square/001.png" in said
    assert "1 with another content: triangle/000.png" in said
    assert str(found).endswith("Not trained: it would learn from other data.")


def test_a_file_alone_says_only_that_the_data_is_another(alone: Path, copied: Path) -> None:
    (copied / "circle" / "000.png").unlink()
    found = fm.reproduce(alone, copied)
    assert found.data == ("other files, labels or parts: here 89 are used and 3 left out",)


def test_labels_and_parts_are_compared_too(finished: Finished, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished.run.folder, tmp_path / "runs" / "shapes-1"))
    made = bundles.read(run / "shapes-1.fieldmark")
    sha = made.recipe.partition('sha256 = "')[2][:64]
    rewritten(run / "shapes-1.fieldmark", recipe=made.recipe.replace(sha, "0" * 64))
    with (run / "data.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    used = [row for row in rows if row["used"] == "1"]
    used[0]["label"], used[1]["split"], used[2]["group"] = "square", "nowhere", "g7"
    with (run / "data.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = fm.reproduce(run, finished.data, train=False)
    assert found.data == (
        f"1 with another label: {used[0]['path']}",
        f"1 in another part: {used[1]['path']}",
        f"1 in another group: {used[2]['path']}",
    )


def test_many_files_are_counted_and_three_named(finished: Finished, copied: Path) -> None:
    for number in range(5):
        (copied / "circle" / f"{number:03}.png").unlink()
    found = fm.reproduce(finished.run.folder, copied, train=False)
    assert (found.data or ("",))[0] == (
        "5 missing, or left out here: circle/000.png, circle/001.png, circle/002.png, ..."
    )


# --- another computer, other results


def test_another_computer_is_named(
    finished: Finished, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = reproducing.fingerprint
    monkeypatch.setattr(
        reproducing, "fingerprint", lambda n: real(n) | {"numpy": "9.0", "cores": "64"}
    )
    found = fm.reproduce(alone, finished.data, train=False)
    assert not found.passed
    assert found.environment is not None
    assert [each.split()[0] for each in found.environment] == ["numpy", "cores"]
    assert "numpy 2" in found.environment[0]
    assert str(found).endswith("everything that was compared is not the same.")


def test_what_differs_is_named_with_by_how_much(finished: Finished, tmp_path: Path) -> None:
    """A file whose recipe says another rate than it was trained with, in its own folder."""
    run = Path(shutil.copytree(finished.run.folder, tmp_path / "runs" / "shapes-1"))
    made = bundles.read(run / "shapes-1.fieldmark", weights=True)
    epochs = made.recipe.replace("epochs = 15", "epochs = 2")
    assert epochs != made.recipe
    rewritten(run / "shapes-1.fieldmark", recipe=epochs)
    found = fm.reproduce(run, finished.data)
    assert found.identical is False
    assert not found.passed
    result = found.sameness
    assert result is not None
    assert {"weights.safetensors", "model.onnx", "report.json"} <= set(result.different)
    assert {"network.txt", "classes.json", "input.json", "recipe.toml"} <= set(result.same)
    assert result.weights is not None
    assert 0 < result.weights < 100
    assert result.accuracy is not None
    n = len(finished.rows("predictions.csv"))
    assert result.accuracy.n == n
    assert result.accuracy.low <= result.accuracy.value <= result.accuracy.high
    text = str(found)
    assert "why       nothing that was compared explains it" in text
    assert f"weights   differ by {result.weights:.2g} at most" in text
    assert "points (" in text
    assert text.endswith("Not identical.")


def test_weights_of_another_shape_and_a_lone_file_are_told_so(
    finished: Finished, again: Reproduction, alone: Path
) -> None:
    from fieldmark.workflow.same_model import compared

    first = bundles.read(alone, weights=True)
    fewer = dataclasses.replace(first, weights=dict(list(first.weights.items())[1:]), created="now")
    fewer = dataclasses.replace(fewer, report={})
    found = compared(rewritten(alone, weights=fewer.weights, report={}), fewer, finished.run.bundle)
    assert found.weights is None
    assert (found.before, found.accuracy) == (None, None)
    assert found.different == ("weights.safetensors", "report.json")
    assert "of another shape" in "\n".join(found.lines())


def test_only_the_name_or_the_moment_may_differ(finished: Finished, alone: Path) -> None:
    from fieldmark.workflow.same_model import compared

    made = bundles.read(alone, weights=True)
    rewritten(alone, created="2020-01-01")
    found = compared(alone, bundles.read(alone, weights=True), finished.run.bundle)
    assert found.different == ("fieldmark.json",)
    assert found.weights == 0.0
    assert "weights   the same numbers" in found.lines()
    assert made.created != "2020-01-01"


def test_a_training_that_was_stopped_by_hand_says_that_it_cannot_be_repeated(
    finished: Finished, alone: Path
) -> None:
    recipe = bundles.read(alone).recipe.replace(
        "[made]\n",
        '[made]\nstopped = "Stopped on request after epoch 3."\n'
        'continued = ["numpy 1 there, 2 here"]\n',
    )
    found = fm.reproduce(rewritten(alone, recipe=recipe), finished.data, train=False)
    assert found.reasons == (
        "Stopped on request after epoch 3. No setting repeats that.",
        "It was continued under other conditions than it began: numpy 1 there, 2 here.",
    )


def test_a_folder_of_another_name_is_said_to_make_a_difference(
    alone: Path, finished: Finished, tmp_path: Path
) -> None:
    moved = shutil.copytree(finished.data, tmp_path / "elsewhere")
    found = fm.reproduce(alone, moved, train=False)
    assert found.passed
    assert found.reasons[0].startswith(
        "The data folder is called 'elsewhere' here and was 'shapes'"
    )


def test_stopped_by_a_person_nothing_is_compared(
    finished: Finished, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(*given: Any) -> Stopped:
        return Stopped(reason="interrupted", text="Stopped on request.", best_epoch=1)

    monkeypatch.setattr(loop._Loop, "_why_stop", impatient)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fm.reproduce(alone, finished.data)


# --- files that cannot be repeated


def test_a_file_without_a_recipe_is_refused(alone: Path, finished: Finished) -> None:
    with pytest.raises(fm.UsageError, match="does not say how it was trained") as caught:
        fm.reproduce(rewritten(alone, recipe=""), finished.data)
    assert caught.value.code == "no-recipe"


def test_an_older_file_is_compared_with_its_folder(finished: Finished, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished.run.folder, tmp_path / "runs" / "shapes-1"))
    recipe = bundles.read(run / "shapes-1.fieldmark").recipe.partition("[made]")[0]
    rewritten(run / "shapes-1.fieldmark", recipe=recipe)
    found = fm.reproduce(run, finished.data, train=False)
    assert (found.data, found.environment, found.passed) == ((), None, True)
    sent = shutil.copy(run / "shapes-1.fieldmark", tmp_path / "sent.fieldmark")
    found = fm.reproduce(sent, finished.data, train=False)
    assert (found.data, found.environment) == (None, None)
    assert "not compared: the file does not say" in str(found)
    assert str(found).endswith("what could be compared is the same.")


def test_a_file_alone_needs_its_pictures_named(alone: Path) -> None:
    with pytest.raises(fm.UsageError, match="does not say where its pictures lie") as caught:
        fm.reproduce(alone)
    assert caught.value.code == "no-data"


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        ("not = [toml", "model-damaged"),
        ("made = 3", "model-damaged"),
        ("[made]\n", "model-damaged"),
        ("[made.data]\nsha256 = 3\n[made.environment]\n", "model-damaged"),
        ('[made.data]\nsha256 = "a"\n[made.environment]\nx = 3\n', "model-damaged"),
        ("a = " + "[" * 5000, "model-damaged"),
        ("[nonsense]\nx = 1\n", "setting-unknown"),
        ('[train]\nepochs = "many"\n', "setting-type"),
        ("[train]\nseed = 0\nepochs = -1\n", "setting-range"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(
    alone: Path, finished: Finished, recipe: str, code: str
) -> None:
    with pytest.raises(fm.FieldmarkError, match=r".") as caught:
        fm.reproduce(rewritten(alone, recipe=recipe), finished.data)
    assert caught.value.code == code


def test_a_path_in_a_file_from_elsewhere_is_not_followed(
    alone: Path, finished: Finished, tmp_path: Path
) -> None:
    secret = tmp_path / "far" / "secret.csv"
    secret.parent.mkdir()
    secret.write_text("path,label\n")
    recipe = bundles.read(alone).recipe.replace('labels = ""', f'labels = "{secret}"')
    with pytest.raises(fm.UsageError, match=r"The list .secret.csv.") as caught:
        fm.reproduce(rewritten(alone, recipe=recipe), finished.data)
    assert caught.value.code == "list-missing"


def said(path: Path, setting: str, value: Any) -> Path:
    """Let the settings in a model file say something else, as a stranger could."""
    recipe = bundles.read(path).recipe
    line = f"{setting} = {json.dumps(value)}"
    changed = re.sub(rf"^{setting} = .*$", lambda _: line, recipe, count=1, flags=re.MULTILINE)
    assert line in changed
    return rewritten(path, recipe=changed)


ENDLESS = r"name:^((?:[0-9]+)+)_"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("groups", ENDLESS),
        ("label_from", ENDLESS),
        ("name", "/home/victim/net.txt"),
        ("name", "..\\net.txt"),
        ("layers", "INPUT 32x32x3 -> BACKBONE onnx:/home/victim/net.onnx -> FC"),
        ("layers", "INPUT 32x32x3 -> BACKBONE onnx:..\\net.onnx -> FC"),
        ("layers", "INPUT 32x32x3 -> BACKBONE keras:MobileNetV2@/home/victim/w.weights.h5 -> FC"),
    ],
)
def test_a_pattern_or_a_path_to_a_network_from_elsewhere_is_refused(
    alone: Path, finished: Finished, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setattr(reproducing, "load", lambda *given, **more: pytest.fail("followed"))
    sent = said(alone, setting, value)
    with pytest.raises(fm.UsageError, match="stands alone may not say that") as caught:
        fm.reproduce(sent, finished.data, train=False)
    assert caught.value.code == "recipe-unsafe"
    assert all([caught.value.where, caught.value.why, caught.value.hint])


def test_a_pattern_in_a_run_folder_of_its_own_is_used(finished: Finished, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished.run.folder, tmp_path / "runs" / "shapes-1"))
    said(run / "shapes-1.fieldmark", "groups", r"name:([0-9]+)")
    found = fm.reproduce(run, finished.data, train=False)
    assert found.data is not None
    assert "in another group" in " ".join(found.data)


def test_what_a_file_says_of_network_cache_and_memory_is_not_obeyed(
    alone: Path, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting, value in {
        "allow_network": True,
        "cache": False,
        "cache_gb": 0.001,
        "checkpoint_s": 0.0,
        "ram": "1MB",
        "threads": 1024,
        "int8": True,
    }.items():
        said(alone, setting, value)
    given: list[fm.Settings] = []

    def train_again(settings: fm.Settings, *more: Any, **options: Any) -> None:
        given.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(reproducing, "train_again", train_again)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fm.reproduce(alone, finished.data)
    (used,) = given
    usual = dataclasses.replace(
        fm.Settings().run, int8=True, out=used.run.out
    )  # a part of the file
    assert used.run == usual
    assert used.train.threads == max(64, machine.cores())


def test_no_limit_of_this_computer_goes_into_a_model_file() -> None:
    asked = fm.Settings().changed("run", {"ram": "2GB", "cache_gb": 1.0, "checkpoint_s": 0.0})
    kept = provenance.without_places(asked.changed("run", {"int8": True}), "shapes")
    assert kept.run == dataclasses.replace(fm.Settings().run, int8=True)


@pytest.mark.parametrize("name", ["../../up-1", "/etc/x-2", "..", "a b", "x" * 150])
def test_the_name_in_a_file_never_becomes_a_path(name: str) -> None:
    from fieldmark import runs

    found = runs.named(name)
    assert Path(found).name == found
    assert len(found) < 100
    assert found not in (".", "..")


def test_the_recipe_of_a_model_is_a_settings_file_all_the_same(alone: Path, tmp_path: Path) -> None:
    from fieldmark.config import read

    (tmp_path / "recipe.toml").write_text(bundles.read(alone).recipe, encoding="utf-8")
    assert read(tmp_path / "recipe.toml").train.epochs == 15


def test_the_golden_file_of_the_first_format_is_still_answered_for(tmp_path: Path) -> None:
    with pytest.raises(fm.FieldmarkError, match=r".") as caught:
        fm.reproduce(GOLDEN, tmp_path)
    assert caught.value.exit_status in (2, 3)
