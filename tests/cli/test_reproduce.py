"""``fieldmark reproduce``: word for word, with its exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fieldmark.evaluation.measurement import Measurement
from fieldmark.workflow import reproducing
from fieldmark.workflow.reproducing import Reproduction
from fieldmark.workflow.same_model import Sameness
from tests.cli.conftest import Command, World, spawned

PARTS = ("network.txt", "model.onnx", "weights.safetensors", "classes.json")
ACCURACY = Measurement("accuracy", 0.7461, 0.711, 0.778, 646)
OTHER = Reproduction(
    file=Path("flowers.fieldmark"),
    model_id="sha256:0123",
    data=(),
    n_pictures=4318,
    environment=("numpy 2.4.6 there, 2.5.0 here",),
    reasons=(),
    sameness=Sameness(
        model_id="sha256:4567",
        same=("network.txt", "classes.json"),
        different=("model.onnx", "weights.safetensors"),
        weights=0.00025894,
        largest_weight=0.1983,
        before=ACCURACY,
        after=Measurement("accuracy", 0.7477, 0.712, 0.780, 646),
        accuracy=Measurement("accuracy difference", 0.0016, -0.0013, 0.0044, 646),
    ),
    folder=Path("again/flowers-1"),
)


def found(monkeypatch: pytest.MonkeyPatch, told: Reproduction) -> list[dict[str, object]]:
    asked: list[dict[str, object]] = []

    def reproduce(file: str, data: str, **more: object) -> Reproduction:
        asked.append({"file": file, "data": data} | more)
        return told

    monkeypatch.setattr(reproducing, "reproduce", reproduce)
    return asked


def test_another_result_is_status_4_word_for_word(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = found(monkeypatch, OTHER)
    done = fieldmark("reproduce", "flowers.fieldmark", "flowers", "-o", "again")
    assert done.status == 4
    assert done.out == (
        "model     flowers.fieldmark\n"
        "data      the same 4,318 files: content, labels and parts\n"
        "computer  numpy 2.4.6 there, 2.5.0 here\n"
        "parts     2 of 4 are the same bytes\n"
        "differs   model.onnx\n"
        "differs   weights.safetensors\n"
        "weights   differ by 0.00026 at most; the largest is 0.2\n"
        "accuracy  74.6 % there, 74.8 % here\n"
        "          +0.2 points (-0.1 to +0.4), 646 pictures\n"
        "run       again/flowers-1\n"
        "\n"
        "Not identical.\n"
    )
    assert done.err.splitlines() == [
        "fieldmark: The model did not come out the same. [not-reproduced]",
        "  where: flowers.fieldmark",
        "  why:   numpy 2.4.6 there, 2.5.0 here",
        "  next:  the same data, versions, processor and threads give the same bytes",
    ]
    assert (asked[0]["out"], asked[0]["train"]) == ("again", True)


def test_json_is_one_object_and_then_the_refusal(
    fieldmark: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, OTHER)
    done = fieldmark("reproduce", "flowers.fieldmark", "--json")
    first, second = map(json.loads, done.out.splitlines())
    assert (first["identical"], first["result"]["weights"]) == (False, 0.00025894)
    assert second["error"]["code"] == "not-reproduced"
    assert done.status == 4


def test_the_check_trains_nothing_and_says_what_it_compared(
    fieldmark: Command, inside: World
) -> None:
    done = fieldmark("reproduce", "latest", "--check")
    model = (inside.run / "shapes-1.fieldmark").resolve()
    first, rest = done.out.split("data ", 1)  # a long path has a line of its own
    assert first.split() == ["model", str(model)]
    assert rest == (
        "     the same 61 files: content, labels and parts\n"
        "computer  the same versions, processor and threads\n"
        "\n"
        "Nothing was trained; everything that was compared is the same.\n"
    )
    assert done.status == 0


def test_for_real_the_model_comes_out_the_same(world: World, tmp_path: Path) -> None:
    """Begun by one process, trained again by another; the first folder stays as it is."""
    before = sorted(path.name for path in world.run.iterdir())
    done = spawned(
        *("reproduce", world.run / "shapes-1.fieldmark", world.folder / "shapes", "--json"),
        cwd=tmp_path,
        FIELDMARK_CACHE=str(world.folder / "cache"),
    )
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert told["identical"] is True
    assert told["data"] == told["environment"] == told["reasons"] == []
    assert sorted(path.name for path in world.run.iterdir()) == before
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_is_an_error_of_the_usual_kind(
    fieldmark: Command, model: Path
) -> None:
    done = fieldmark("reproduce", model.name)
    assert done.status == 2
    assert "[no-recipe]" in done.err or "[no-data]" in done.err
