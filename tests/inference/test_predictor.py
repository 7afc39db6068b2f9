"""From files to labels: the same answer every way, in order, and a bad file fails alone."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fieldmark import bundle
from fieldmark.errors import BundleError, UnreadableExample, UsageError
from fieldmark.inference import files as files_of
from fieldmark.inference.predictor import Prediction, Predictor, Unread
from fieldmark.inference.runtime import Outputs, open_runtime

GOLDEN = Path(__file__).parents[1] / "golden"


class Fixed:
    """A runtime that gives the same logits to every picture."""

    name = "fixed"

    def __init__(self, *logits: float) -> None:
        self.logits = np.array([logits], np.float32)

    def run(self, pixels: Any, outputs: Any = ("scores",)) -> Outputs:
        return Outputs(logits=np.repeat(self.logits, len(pixels), axis=0))

    def stream(self, batches: Any, outputs: Any = ("scores",)) -> Any:
        return (self.run(pixels, outputs) for pixels in batches)


def with_logits(tiny: Any, *logits: float, temperature: float = 1.0) -> Predictor:
    return Predictor(tiny.tiny_bundle(temperature), Fixed(*logits))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.fieldmark")), ids=lambda path: path.stem)
def test_every_file_ever_released_still_answers_the_same(path):
    expected = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    predictor = Predictor.open(path)
    # 1e-5: the expected scores are NumPy's in float64, rounded to 6 digits.
    found = predictor.scores(predictor.bundle.golden_inputs)
    np.testing.assert_allclose(found, expected["scores"], atol=1e-5)
    assert list(predictor.classes) == expected["classes"]


def test_the_opened_model_tells_what_it_is(predictor, model_file, tiny):
    assert (predictor.name, predictor.classes, predictor.spec) == (
        "waders-1",
        tiny.CLASSES,
        tiny.SPEC,
    )
    assert predictor.model_id == bundle.inspect(model_file).model_id
    assert predictor.runtime.run(tiny.pixels(), ("maps",)).maps.shape == (3, 4, 6, 6)


def test_scores_are_softmax_of_the_logits_over_the_temperature(predictor, tiny):
    pixels = tiny.pixels(10, seed=4)
    found = predictor.scores(pixels)
    assert (found.dtype, found.shape) == (np.float32, (10, 3))
    np.testing.assert_allclose(found, tiny.softmax(tiny.logits(pixels) / 1.5), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 7, 64])
def test_the_batch_size_changes_nothing(predictor, tiny, batch):
    pixels = tiny.pixels(7)
    np.testing.assert_allclose(predictor.scores(pixels, batch), predictor.scores(pixels), atol=1e-6)


def test_no_pictures_have_no_scores(predictor):
    assert predictor.scores(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 3)


def test_memory_mapped_pixels_are_accepted(predictor, tiny, tmp_path):
    np.save(tmp_path / "pixels.npy", tiny.pixels(5))
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    np.testing.assert_array_equal(predictor.scores(mapped), predictor.scores(tiny.pixels(5)))


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_nothing_is_refused(predictor, tiny, batch):
    for call in (
        lambda: predictor.scores(tiny.pixels(), batch),
        lambda: list(predictor.predict_files([], batch=batch)),
    ):
        with pytest.raises(UsageError, match=f"have {batch} pictures") as caught:
            call()
        assert caught.value.code == "batch-size"


def test_pixels_of_another_size_are_refused(predictor):
    with pytest.raises(UsageError, match="was given uint8 pixels"):
        predictor.scores(np.zeros((1, 9, 9, 3), np.uint8))


@given(
    logits=st.lists(st.floats(-1e30, 1e30), min_size=3, max_size=3),
    temperature=st.floats(1e-3, 1e3),
)
def test_any_finite_logits_become_scores_in_their_order(tiny, logits, temperature):
    predictor = with_logits(tiny, *logits, temperature=temperature)
    scores = predictor.scores(tiny.pixels(1))[0]
    assert scores.sum() == pytest.approx(1, abs=1e-6)
    assert scores[int(np.argmax(np.float32(logits)))] == scores.max()


@pytest.mark.parametrize("logits", [(0, 1, np.nan), (0, 1, np.inf), (0, -np.inf, 1), (0, 1), (1,)])
def test_a_network_that_gives_no_finite_number_per_class_is_refused(tiny, logits):
    with pytest.raises(BundleError, match="one finite number per class") as caught:
        with_logits(tiny, *logits).scores(tiny.pixels())
    assert caught.value.code == "model-damaged"


def test_a_runtime_that_gives_no_logits_is_refused(tiny):
    class Silent(Fixed):
        def run(self, pixels: Any, outputs: Any = ("scores",)) -> Outputs:
            return Outputs()

    with pytest.raises(BundleError, match="one finite number per class"):
        Predictor(tiny.tiny_bundle(), Silent()).scores(tiny.pixels())


def test_equal_scores_stay_in_class_order(tiny):
    answer = with_logits(tiny, 1, 2, 2).predict(picture())
    assert [entry.label for entry in answer.scores] == ["heron", "Käuzchen", "avocet"]
    answer = with_logits(tiny, 0, 0, 0).predict(picture())
    assert [entry.label for entry in answer.scores] == list(tiny.CLASSES)


def test_opening_runs_the_golden_inputs(model_file, tiny, tmp_path):
    assert Predictor.open(model_file).verify() < 1e-5
    good = tiny.tiny_bundle()
    wrong = dataclasses.replace(good, golden_scores=np.roll(good.golden_scores, 1, axis=1))
    bundle.write(tmp_path / "wrong.fieldmark", wrong)
    with pytest.raises(BundleError, match="score differently here") as caught:
        Predictor.open(tmp_path / "wrong.fieldmark")
    assert caught.value.code == "golden-mismatch"
    assert caught.value.where == str(tmp_path / "wrong.fieldmark")
    assert caught.value.hint
    assert Predictor(wrong, open_runtime(wrong.onnx)).name == "waders-1"


@pytest.mark.parametrize(("difference", "good"), [(0.0009, True), (0.0011, False)])
def test_the_golden_tolerance_is_one_in_a_thousand(tiny, tmp_path, difference, good):
    made = tiny.tiny_bundle()
    scores = made.golden_scores.copy()
    scores[1, 1] += difference
    bundle.write(tmp_path / "near.fieldmark", dataclasses.replace(made, golden_scores=scores))
    if good:
        assert Predictor.open(tmp_path / "near.fieldmark").verify() > 0.0008
    else:
        with pytest.raises(BundleError, match=r"by 0\.0011"):
            Predictor.open(tmp_path / "near.fieldmark")


def test_a_changed_temperature_is_noticed(tiny, tmp_path):
    made = dataclasses.replace(tiny.tiny_bundle(), decision={"temperature": 3.0})
    bundle.write(tmp_path / "hot.fieldmark", made)
    with pytest.raises(BundleError, match="score differently"):
        Predictor.open(tmp_path / "hot.fieldmark")


def test_a_network_of_other_classes_is_refused(tiny, tmp_path):
    made = tiny.tiny_bundle()
    two = dataclasses.replace(
        made, classes=("a", "b"), golden_scores=np.full((3, 2), 0.5, np.float32)
    )
    bundle.write(tmp_path / "two.fieldmark", two)
    with pytest.raises(BundleError, match="one finite number per class") as caught:
        Predictor.open(tmp_path / "two.fieldmark")
    assert caught.value.where == str(tmp_path / "two.fieldmark")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "x.fieldmark").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="not a model file"):
        Predictor.open(tmp_path / "x.fieldmark")
    with pytest.raises(UsageError, match="no model file"):
        Predictor.open(tmp_path / "y.fieldmark")


def picture(seed: int = 0, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def test_a_picture_is_answered_with_everything_about_it(model_file, tiny, tmp_path):
    predictor = Predictor.open(model_file)
    data = picture()
    path = tmp_path / "a bird.png"
    path.write_bytes(data)
    answer = predictor.predict(path)
    pixels = np.asarray(Image.open(path))[None]
    expected = tiny.softmax(tiny.logits(pixels) / 1.5)[0]
    assert {entry.label: entry.score for entry in answer.scores} == pytest.approx(
        dict(zip(tiny.CLASSES, expected.tolist(), strict=True)), abs=1e-5
    )
    assert (answer.file, answer.sha256) == (str(path), hashlib.sha256(data).hexdigest())
    assert (answer.model_name, answer.model_id) == ("waders-1", predictor.model_id)
    assert (answer.label, answer.decision) == (tiny.CLASSES[int(expected.argmax())], None)
    assert answer.ms > 0


def test_a_path_a_text_bytes_and_a_list_give_the_same_answer(model_file, tmp_path):
    predictor = Predictor.open(model_file)
    path = tmp_path / "a.png"
    path.write_bytes(picture())
    answer = predictor.predict(path)
    assert predictor.predict(str(path)) == answer
    assert [*predictor.predict_files([path, str(path)])] == [answer, answer]
    assert dataclasses.replace(predictor.predict(picture()), file=str(path)) == answer
    assert predictor.predict(picture()).file == ""


def test_one_bad_file_is_an_error_when_it_is_alone(model_file, tmp_path):
    predictor = Predictor.open(model_file)
    with pytest.raises(UnreadableExample, match=r"\[truncated\]"):
        predictor.predict(picture(kind="JPEG")[:-40])
    with pytest.raises(UnreadableExample, match=r"\[no-file\]"):
        predictor.predict(tmp_path / "missing.png")


def test_answers_come_in_the_order_of_the_files(predictor, tiny, raw_files):
    paths = raw_files(25)
    expected = tiny.softmax(tiny.logits(tiny.pixels(25)) / 1.5).max(axis=1)
    for threads, batch in itertools.product((1, 4), (1, 4, 100)):
        answers = list(predictor.predict_files(paths, threads=threads, batch=batch))
        assert [answer.file for answer in answers] == [str(path) for path in paths]
        np.testing.assert_allclose([answer.score for answer in answers], expected, atol=1e-5)


def test_a_bad_file_fails_alone_and_in_its_place(predictor, raw_files, tmp_path):
    paths = raw_files(6)
    paths[0].unlink()
    paths[2].write_bytes(b"short")
    paths[5] = tmp_path  # a folder
    answers = list(predictor.predict_files(paths, batch=2))
    unread = {i: one for i, one in enumerate(answers) if isinstance(one, Unread)}
    assert unread == {
        0: Unread(str(paths[0]), "no-file", "there is no such file"),
        2: Unread(str(paths[2]), "damaged", "not a raw array"),
        5: Unread(str(tmp_path), "no-file", "not a file"),
    }
    for i in (1, 3, 4):
        assert isinstance(answers[i], Prediction)
        assert answers[i] == predictor.predict(paths[i])


def test_files_that_are_all_bad_are_all_named(predictor, tmp_path):
    answers = list(predictor.predict_files([tmp_path / "a", tmp_path / "b"]))
    assert [(Path(one.file).name, one.code) for one in answers] == [
        ("a", "no-file"),
        ("b", "no-file"),
    ]


@pytest.mark.parametrize("name", ["missing", "file/inside", "with\0nul"])
def test_a_path_to_nothing_is_no_file(predictor, tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    [answer] = predictor.predict_files([f"{tmp_path}/{name}"])
    assert (answer.code, answer.reason) == ("no-file", "there is no such file")


def test_a_name_longer_than_any_is_unread(predictor, tmp_path):
    [answer] = predictor.predict_files([tmp_path / ("x" * 5000)])
    assert answer.code == "unreadable"


def test_a_file_that_may_not_be_read_is_named(predictor, raw_files, monkeypatch):
    [path] = raw_files(1)

    def locked(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files_of.os, "open", locked)
    [answer] = predictor.predict_files([path])
    assert (answer.code, answer.reason) == ("no-permission", "no permission to read it")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_not_waited_for(predictor, tmp_path):
    os.mkfifo(tmp_path / "pipe.raw")
    [answer] = predictor.predict_files([tmp_path / "pipe.raw"])
    assert (answer.code, answer.reason) == ("no-file", "not a file")


def test_a_file_that_is_too_big_is_not_decoded(predictor, raw_files, monkeypatch):
    monkeypatch.setattr(files_of, "MAX_FILE_BYTES", 191)
    [answer] = predictor.predict_files(raw_files(1))
    assert answer.code == "too-big"
    monkeypatch.setattr(files_of, "MAX_FILE_BYTES", 192)
    [answer] = predictor.predict_files(raw_files(1))
    assert isinstance(answer, Prediction)


def test_no_file_is_left_open(predictor, raw_files, tmp_path):
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("this system does not list open files")
    before = len([*handles.iterdir()])
    list(predictor.predict_files([*raw_files(5), tmp_path, tmp_path / "missing"]))
    assert len([*handles.iterdir()]) == before


def test_an_endless_list_is_answered_as_it_comes(predictor, raw_files):
    [path] = raw_files(1)
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield path

    answers = predictor.predict_files(endless(), batch=4)
    assert len(list(itertools.islice(answers, 10))) == 10
    assert len(taken) <= 20  # what was answered, and two batches ahead at most
    answers.close()


def test_stopping_early_stops_the_threads(predictor, raw_files):
    answers = predictor.predict_files(raw_files(30), threads=3, batch=5)
    next(answers)
    answers.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("fieldmark-decode")]


def test_a_fault_of_the_program_is_not_taken_for_a_bad_file(tiny, model_file, raw_files):
    class Faulty:
        name, suffixes = "faulty", frozenset()

        def decode(self, data: bytes, spec: Any) -> Any:
            raise ZeroDivisionError("a bug")

    predictor = Predictor.open(model_file, modality=Faulty())
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(predictor.predict_files(raw_files(3)))


def run(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_answering_imports_nothing_that_trains_or_draws(model_file, tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "b.jpg").write_bytes(picture(kind="JPEG"))
    code = (
        "import sys; from fieldmark.inference.predictor import Predictor;"
        "list(Predictor.open(sys.argv[1]).predict_files(sys.argv[2:]));"
        "banned = 'keras tensorflow torch jax onnx matplotlib typer rich jinja2 scipy sklearn "
        "safetensors fieldmark.data fieldmark.networks fieldmark.training';"
        "print(sorted(set(banned.split()) & set(sys.modules)))"
    )
    assert run(code, model_file, tmp_path / "a.png", tmp_path / "b.jpg") == "[]\n"


def test_importing_the_room_imports_no_engine_and_no_decoder():
    code = (
        "import sys, fieldmark.inference.predictor;"
        "print(sorted({'onnxruntime', 'cv2', 'PIL'} & set(sys.modules)))"
    )
    assert run(code) == "[]\n"


def test_the_answer_does_not_depend_on_the_process(model_file, tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    code = (
        "import sys; from fieldmark.inference.predictor import Predictor;"
        "print(Predictor.open(sys.argv[1]).predict(sys.argv[2]).scores)"
    )
    here = Predictor.open(model_file).predict(tmp_path / "a.png").scores
    assert run(code, model_file, tmp_path / "a.png") == f"{here}\n"
