"""Looking at a model file: everything is said, nothing is run."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import fieldmark as fm
from fieldmark import bundle
from fieldmark.errors import BundleError, UsageError
from fieldmark.inference import onnx_runtime
from fieldmark.workflow.network import net
from tests.bundle.zoo import GOLDEN, ZOO, tiny

V3 = GOLDEN / "bundle_v3.fieldmark"


def test_a_model_file_is_told_by_its_parts() -> None:
    found = fm.inspect(V3)
    header = bundle.inspect(V3)
    assert found.header == header
    assert found.size_bytes == V3.stat().st_size
    assert (found.classes, found.input) == (bundle.read(V3).classes, (8, 8, 3))
    assert (
        found.n_weights == net("INPUT 8x8x3 -> CONV 4 3x3 -> GAP -> FC").table(classes=3).n_weights
    )
    assert found.network_problem == ""
    assert found.decides
    assert not fm.inspect(GOLDEN / "bundle_v1.fieldmark").decides


def test_the_lines_say_everything_and_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fm.inspect(V3)
    for width in (60, 80, 200):
        lines = found.lines(width)
        assert max(len(line) for line in lines if not line.startswith("id ")) <= width
    said = str(found)
    for part in found.header.parts:
        assert f"{part.name} " in said
        assert part.sha256[:16] in said
    assert found.header.model_id in said
    assert "Nothing was run." in said


def test_json_carries_it_too() -> None:
    told = json.loads(json.dumps(fm.inspect(V3).to_dict()))
    assert told["schema"] == "fieldmark.inspect/1"
    assert told["accepted"] is True
    assert [each["name"] for each in told["parts"]] == [p.name for p in bundle.inspect(V3).parts]
    assert told["memory_bytes"] == fm.inspect(V3).memory_bytes > 0


def test_no_engine_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("an engine was opened")

    monkeypatch.setattr(onnx_runtime.OnnxRuntime, "__init__", forbidden)
    fm.inspect(V3)


def test_a_run_is_looked_at_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "birds-1"
    folder.mkdir(parents=True)
    shutil.copy(V3, folder / "birds-1.fieldmark")
    assert fm.inspect("birds-1", runs_folder=tmp_path / "runs").path.name == "birds-1.fieldmark"
    with pytest.raises(UsageError, match="no finished run") as caught:
        fm.inspect("bees-1", runs_folder=tmp_path / "runs")
    assert caught.value.code == "no-run"


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("INPUT 8x8x3 -> TELEPORT -> FC", "is not a layer"),
        ("INPUT 8x8x3 -> CONV 4 9x9 -> FC", "does not fit"),
        ("INPUT 9999x9999x3 -> FC 1000000 -> FC", "numbers"),
        ("INPUT 4000x4000x3 -> FC 1000000 -> FC", "weights; 200,000,000 is the most"),
        ("[" * 20, "brackets"),
    ],
)
def test_a_layer_list_beyond_its_limits_is_said_and_never_built(
    network: str, words: str, tmp_path: Path
) -> None:
    made = dataclasses.replace(tiny().tiny_bundle(), network=network)
    bundle.write(tmp_path / "x.fieldmark", made)
    found = fm.inspect(tmp_path / "x.fieldmark")
    assert words in found.network_problem
    assert found.n_weights == found.cost.n_weights
    assert any("layer list cannot be read" in line for line in found.lines())


def test_a_backbone_from_elsewhere_is_counted_by_its_graph(tmp_path: Path) -> None:
    network = "INPUT 8x8x3 -> BACKBONE onnx:secret.onnx -> FC"
    bundle.write(
        tmp_path / "x.fieldmark", dataclasses.replace(tiny().tiny_bundle(), network=network)
    )
    found = fm.inspect(tmp_path / "x.fieldmark")
    assert (found.network_problem, found.n_weights) == ("", found.cost.n_weights)


def test_the_weights_are_read_too(tmp_path: Path) -> None:
    path = ZOO["weights_overlap"].write(tmp_path)
    assert bundle.read(path).name  # answering does not touch them
    with pytest.raises(BundleError, match="overlap or leave gaps"):
        fm.inspect(path)


def test_what_is_accepted_answers(tmp_path: Path) -> None:
    for path in GOLDEN.glob("*.fieldmark"):
        assert fm.inspect(path).header.model_id == fm.open(path).model_id


def test_the_pictures_at_once_are_as_many_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = fm.open(GOLDEN / "bundle_v1.fieldmark")
    pixels = tiny().pixels(20, seed=3)
    whole = predictor.scores(pixels)
    small = dataclasses.replace(predictor.bundle.cost, n_values=1 << 28)
    object.__setattr__(predictor.bundle, "cost", small)
    assert predictor.batch_of(16) == 2
    np.testing.assert_allclose(predictor.scores(pixels), whole, atol=1e-6)
    np.testing.assert_allclose(predictor.judge(pixels).scores, whole, atol=1e-6)
