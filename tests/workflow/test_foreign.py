"""Training on a backbone from elsewhere, from the folder to the model file that answers."""

from __future__ import annotations

import socket
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import fieldmark as fm
from fieldmark.config import read
from fieldmark.errors import FieldmarkError
from fieldmark.networks.parser import parse
from fieldmark.training.events import Event, Fetching, Progress
from fieldmark.workflow.foreign import foreign_of, shipped
from tests.foreign_nets import N_MAPS, SIZE, backbone, constant, model, saved
from tests.pictures import write_shapes


def list_for(path: Path, more: str = "") -> str:
    return f'INPUT {SIZE}x{SIZE}x3 -> BACKBONE "onnx:{path}"{more} -> FC'


@dataclass(frozen=True)
class Done:
    run: fm.Run
    data: Path
    net: Path


def settings(out: Path) -> fm.Settings:
    return fm.Settings().changed("run", {"out": str(out)})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("foreign")
    data = write_shapes(folder / "shapes", 20)
    net = saved(backbone("nhwc", pooled=False), folder / "my nets" / "a-net.onnx")
    asked = settings(folder / "runs")
    return Done(fm.train(data, list_for(net, " scale unit"), settings=asked), data, net)


def part(run: fm.Run, name: str) -> str:
    with zipfile.ZipFile(run.bundle) as file:
        return file.read(name).decode()


def test_a_head_on_it_tells_the_classes_apart(done: Done) -> None:
    assert float(done.run.report.accuracy.value) > 0.8


def test_the_model_file_answers_without_the_backbone_file(done: Done) -> None:
    moved = done.net.rename(done.net.with_suffix(".away"))
    try:
        found = fm.predict(done.run.folder, [done.data / "circle"])
        report = fm.evaluate(done.run.folder).report
    finally:
        moved.rename(done.net)
    assert sum(each.scores[0].label == "circle" for each in found) > 15
    assert report.accuracy.value == done.run.report.accuracy.value


def test_the_run_repeats_from_its_settings(done: Done, tmp_path: Path) -> None:
    asked = read(done.run.folder / "config.toml")
    assert str(done.net) in asked.net.layers
    again = fm.train(done.data, settings=asked.changed("run", {"out": str(tmp_path)}))
    assert part(again, "network.txt") == part(done.run, "network.txt")
    with zipfile.ZipFile(again.bundle) as one, zipfile.ZipFile(done.run.bundle) as other:
        assert one.read("model.onnx") == other.read("model.onnx")


def test_the_model_file_names_the_backbone_and_not_where_it_lies(done: Done) -> None:
    assert part(done.run, "network.txt") == (
        "INPUT 16x16x3 -> BACKBONE onnx:a-net.onnx scale unit -> FC"
    )
    assert str(done.net.parent) not in part(done.run, "recipe.toml")


def test_card_and_report_say_where_it_comes_from(done: Done) -> None:
    import hashlib

    sha = hashlib.sha256(done.net.read_bytes()).hexdigest()
    for name in ("MODEL_CARD.md", "report.html"):
        text = (done.run.folder / name).read_text(encoding="utf-8")
        assert sha in text
        assert "unknown (for you to write)" in text
    assert sha in part(done.run, "card.md")


def test_features_are_kept_by_content_and_scaling(done: Done) -> None:
    found = [
        foreign_of(parse(list_for(done.net, more)), fm.Settings())
        for more in ("", " scale unit", " scale none")
    ]
    keys = {each.key for each in found if each is not None}
    assert len(keys) == 3


def test_another_file_of_the_same_name_has_other_features(tmp_path: Path) -> None:
    keys = set()
    for seed in (0, 1):
        path = saved(backbone(seed=seed), tmp_path / "net.onnx")
        found = foreign_of(parse(list_for(path)), fm.Settings())
        keys.add(found.key if found else "")
    assert len(keys) == 2


@pytest.mark.parametrize("what", ["blocks", "all"])
def test_there_is_nothing_to_fine_tune(done: Done, tmp_path: Path, what: str) -> None:
    asked = settings(tmp_path / "runs").changed("head", {"fine_tune": what})
    with pytest.raises(FieldmarkError, match="nothing to fine-tune") as caught:
        fm.train(done.data, list_for(done.net), settings=asked)
    assert caught.value.code == "nothing-to-fine-tune"
    assert not (tmp_path / "runs").exists()


def test_it_is_no_network_to_train_from_scratch(done: Done) -> None:
    from fieldmark.networks import keras_model
    from fieldmark.networks.volumes import plan
    from fieldmark.networks.weights import initial

    network = parse(list_for(done.net))
    made = plan(network, 3, foreign=foreign_of(network, fm.Settings()))
    with pytest.raises(FieldmarkError, match="only its head is learned") as caught:
        keras_model.build(made, initial(made, seed=0))
    assert caught.value.code == "nothing-to-fine-tune"


def test_an_operator_no_model_file_may_hold_is_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    nodes = [
        helper.make_node("Tile", ["image", "times"], ["tiled"]),
        helper.make_node("GlobalAveragePool", ["tiled"], ["list"]),
    ]
    inputs: Any = [("image", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])]
    times = [constant("times", np.array([1, 2, 1, 1]))]
    path = saved(model(nodes, inputs, [("list", ["n", 6, 1, 1])], times), tmp_path / "tile.onnx")
    data = write_shapes(tmp_path / "shapes", 5)
    with pytest.raises(FieldmarkError, match="the operator 'Tile'") as caught:
        fm.train(data, list_for(path), settings=settings(tmp_path / "runs"))
    assert caught.value.code == "backbone-unsafe"
    assert caught.value.where == f"onnx:{path}"
    assert not (tmp_path / "runs").exists()


def test_the_table_of_such_a_list_can_be_shown(done: Done) -> None:
    table = fm.net(list_for(done.net)).table(classes=3)
    assert [row.kind for row in table.rows] == ["INPUT", "BACKBONE", "GAP", "FC", "SOFTMAX"]


def test_a_path_is_relative_to_the_current_folder(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(done.net.parent)
    found = foreign_of(parse("INPUT 16x16x3 -> BACKBONE onnx:a-net.onnx -> FC"), fm.Settings())
    assert found is not None
    assert found.n_features == N_MAPS


def test_a_list_of_our_own_needs_no_file() -> None:
    assert foreign_of(parse("INPUT 16x16x3 -> GAP -> FC"), fm.Settings()) is None
    network = parse("INPUT 64x64x3 -> BACKBONE efficientnet-lite0 -> FC")
    assert foreign_of(network, fm.Settings()) is None
    assert shipped(network) == network


# --- networks of Keras


def refused(text: str) -> FieldmarkError:
    with pytest.raises(FieldmarkError, match=r"\w") as caught:
        foreign_of(parse(f"INPUT 32x32x3 -> BACKBONE {text} -> FC"), fm.Settings())
    return caught.value


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(self: object, *given: object) -> None:
        raise AssertionError(f"reached for the network: {given}")

    monkeypatch.setattr(socket.socket, "connect", reached)
    monkeypatch.setattr(socket, "getaddrinfo", reached)


def test_weights_that_are_not_there_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras.src.backend import config

    no_network(monkeypatch)
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    error = refused("keras:MobileNetV3Small")
    assert error.code == "weights-missing"
    name = "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"
    assert error.where == str(tmp_path / "models" / name)
    assert "--allow-network" in error.hint
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["none.weights.h5", "model.keras"])
def test_a_file_of_weights_is_one_that_is_there_and_holds_arrays_only(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "model.keras").write_bytes(b"a zip with a configuration in it")
    error = refused(f"keras:MobileNetV3Small@{tmp_path / name}")
    assert (error.code, error.where) == ("weights-missing", str(tmp_path / name))


def test_a_file_that_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.weights.h5"
    path.write_bytes(b"not HDF5")
    error = refused(f"keras:MobileNetV3Small@{path}")
    assert (error.code, error.where) == ("weights-damaged", str(path))


def test_a_network_that_keras_lacks_is_refused_with_those_it_has() -> None:
    error = refused("keras:MobileNetV9")
    assert error.code == "backbone-missing"
    assert "MobileNetV2" in error.hint


def test_what_may_be_fetched_is_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from fieldmark.networks import keras_backbone
    from fieldmark.networks.foreign import SCALINGS

    heard: list[Event] = []

    def exported(source: str, size: tuple[int, int], *, allow_network: bool) -> Any:
        assert [event.to_dict()["event"] for event in heard] == ["fetching"]
        assert allow_network
        return backbone("nhwc").SerializeToString(), SCALINGS["none"]

    monkeypatch.setattr(keras_backbone, "exported", exported)
    allowed = fm.Settings().changed("run", {"allow_network": True})
    network = parse("INPUT 16x16x3 -> BACKBONE keras:ResNet50 scale unit -> FC")
    found = foreign_of(network, allowed, heard.append)
    assert heard == [Fetching(what="weights of keras:ResNet50", by="Keras")]
    assert found is not None
    assert found.scaling == SCALINGS["unit"]


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121"])
def test_the_scaling_is_that_of_keras(name: str) -> None:
    import sys

    import keras

    from fieldmark.networks import keras_backbone

    make = getattr(keras.applications, name)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 3, 3, 3)).astype(np.float32)
    found = keras_backbone._scaling(make)
    given = pixels[..., ::-1] if found.bgr else pixels
    mine = (given - np.array(found.mean)) / np.array(found.deviation)
    its = sys.modules[make.__module__].preprocess_input(pixels.copy(), data_format="channels_last")
    np.testing.assert_allclose(mine, its, atol=2e-4)


def test_without_the_exporter_the_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def missing(self: object, *given: object, **more: object) -> None:
        raise ImportError("This requires the tf2onnx module.")

    monkeypatch.setattr(keras.Model, "export", missing)
    error = refused(f'"keras:MobileNetV3Small@{own_weights(tmp_path)}"')
    assert error.code == "extra-missing"
    assert "tf2onnx" in error.what
    assert "keras-backbones" in error.hint


def own_weights(folder: Path) -> Path:
    """Real MobileNetV3Small with random weights, as a file of arrays."""
    import keras

    keras.utils.set_random_seed(0)
    given = {"include_top": False, "weights": None, "input_shape": (32, 32, 3)}
    path = folder / "own.weights.h5"
    saved_quietly(keras.applications.MobileNetV3Small(**given), path)
    return path


def saved_quietly(network: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' own, about NumPy 2
        network.save_weights(path)


@pytest.mark.slow
def test_a_network_of_keras_is_trained_on_like_any_other(tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx", reason="Keras' exporter on TensorFlow is not installed")
    path = own_weights(tmp_path)
    data = write_shapes(tmp_path / "shapes", 10)
    heard: list[Event] = []
    text = f'INPUT 32x32x3 -> BACKBONE "keras:MobileNetV3Small@{path}" -> FC'
    run = fm.train(data, text, settings=settings(tmp_path / "runs"), listen=heard.append)
    assert part(run, "network.txt") == (
        "INPUT 32x32x3 -> BACKBONE keras:MobileNetV3Small@own.weights.h5 -> FC"
    )
    assert len(fm.predict(run.folder, [data])) == 30
    assert not any(isinstance(event, Fetching) for event in heard)
    assert [event for event in heard if isinstance(event, Progress) and event.stage == "features"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0", "ResNet50"])
def test_features_of_keras_are_those_of_its_own_model(tmp_path: Path, name: str) -> None:
    pytest.importorskip("tf2onnx", reason="Keras' exporter on TensorFlow is not installed")
    import sys

    import keras
    import onnxruntime

    from fieldmark.networks.onnx_graph import onnx_graph
    from fieldmark.networks.volumes import plan
    from fieldmark.networks.weights import initial

    keras.utils.set_random_seed(0)
    make = getattr(keras.applications, name)
    own = make(include_top=False, weights=None, pooling="avg", input_shape=(64, 64, 3))
    for variable in own.weights:  # drawn small, the features would vanish on the way
        if variable.name == "kernel":
            variable.assign(variable * 1.5)
    path = tmp_path / "own.weights.h5"
    saved_quietly(own, path)
    network = parse(f'INPUT 64x64x3 -> BACKBONE "keras:{name}@{path}" -> FC')
    made = plan(network, 3, foreign=foreign_of(network, fm.Settings()))
    graph = onnx_graph(made, initial(made, seed=0))
    pixels = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run(["features"], {"pixels": pixels})[0]
    scaled = sys.modules[make.__module__].preprocess_input(pixels.astype(np.float32))
    wanted = own.predict(scaled, verbose=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5 * np.abs(wanted).max())
    assert np.abs(wanted).max() > 0
