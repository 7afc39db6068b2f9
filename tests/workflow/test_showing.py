from __future__ import annotations

import base64
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fieldmark as fm
from fieldmark.data.batches import Batches, ids_of
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import ConfigError, UnreadableExample, UsageError
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.augment import AUGMENTATIONS
from fieldmark.modalities.base import Fit, InputSpec
from fieldmark.workflow import showing
from fieldmark.workflow.dataset import hashed
from fieldmark.workflow.showing import Sheet, show
from tests.evaluation.reader import Reader
from tests.pictures import SHAPES, png, write_shapes
from tests.workflow.conftest import LEFT_OUT, N_EACH, hashes


def settings(
    *, size: int = 16, net: str = "small", fit: str = "auto", augment: str = "light", seed: int = 0
) -> fm.Settings:
    return (
        fm.Settings()
        .changed("net", {"name": net, "size": size})
        .changed("data", {"fit": fit})
        .changed("train", {"augment": augment, "seed": seed})
    )


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture(scope="module")
def manifest(shapes: Path) -> Manifest:
    return fm.load(shapes).manifest


@pytest.fixture(scope="module")
def shown(manifest: Manifest) -> Sheet:
    return show(manifest, settings(), per_class=5)


class TestContactSheet:
    def test_every_class_has_its_sample_in_file_order(self, shown: Sheet) -> None:
        assert [each.label for each in shown.facts.classes] == list(SHAPES)
        counts = {each.label: each.n for each in shown.facts.classes}
        # Two of these cannot be read; a listing of names does not know that yet.
        assert counts == {"circle": N_EACH + 1, "square": N_EACH + 1, "triangle": N_EACH}
        for each in shown.facts.classes:
            paths = [picture.path for picture in each.pictures]
            assert len(set(paths)) == 5
            assert paths == sorted(paths)

    def test_the_same_seed_gives_the_same_page_and_another_one_another(
        self, manifest: Manifest, shown: Sheet
    ) -> None:
        assert show(manifest, settings(), per_class=5).html == shown.html
        other = show(manifest, settings(seed=1), per_class=5)
        assert [p.path for p in other.facts.classes[0].pictures] != [
            p.path for p in shown.facts.classes[0].pictures
        ]

    def test_files_that_cannot_be_read_are_named_with_their_reason(
        self, manifest: Manifest
    ) -> None:
        everything = show(manifest, settings(), per_class=100)
        unread = {each.path: each.note for each in everything.facts.unread}
        assert set(unread) == set(LEFT_OUT) - {"notes.txt"}
        assert all(f"[{LEFT_OUT[path]}]" in note for path, note in unread.items())
        text = Reader(everything.html).text
        assert all(path in text and note in text for path, note in unread.items())

    def test_a_file_that_has_vanished_since_is_named_too(self, tmp_path: Path) -> None:
        listed = fm.load(write_shapes(tmp_path / "shapes", 2)).manifest
        (tmp_path / "shapes" / "circle" / "001.png").unlink()
        found = show(listed, settings())
        assert [each.note for each in found.facts.unread] == ["the file has vanished [vanished]"]

    def test_many_classes_get_fewer_pictures_each_and_it_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(showing, "MAX_PICTURES", 7)
        listed = fm.load(write_shapes(tmp_path / "shapes", 5)).manifest
        found = show(listed, settings())
        assert [len(each.pictures) for each in found.facts.classes] == [2, 2, 2]
        assert "With 3 classes, fewer than 12 pictures of each." in found.facts.notes

    def test_nothing_in_the_folder_is_changed(self, shapes: Path) -> None:
        before = hashes(shapes)
        show(fm.load(shapes).manifest, settings())
        assert hashes(shapes) == before

    @pytest.mark.parametrize("per_class", [0, 101])
    def test_a_number_beyond_the_range_is_refused(self, manifest: Manifest, per_class: int) -> None:
        with pytest.raises(ConfigError, match="1 to 100 is possible"):
            show(manifest, settings(), per_class=per_class)


class TestReceived:
    @pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
    def test_it_is_exactly_what_decoding_gives(self, tmp_path: Path, fit: Fit) -> None:
        for label in ("a", "b"):
            (tmp_path / "wide" / label).mkdir(parents=True)
            wide = Image.fromarray(np.arange(60 * 20 * 3, dtype=np.uint8).reshape(20, 60, 3))
            wide.save(tmp_path / "wide" / label / "1.png")
        found = show(fm.load(tmp_path / "wide").manifest, settings(fit=fit))
        assert found.facts.fit == fit
        data = (tmp_path / "wide" / "a" / "1.png").read_bytes()
        spec = InputSpec(height=16, width=16, fit=fit)
        first = found.facts.received[0]
        assert first.original.path == "a/1.png"
        assert np.array_equal(pixels(first.array), MODALITIES["image"].decode(data, spec))
        assert Image.open(io.BytesIO(first.original.thumbnail)).size == (60, 20)

    def test_one_of_each_class_comes_before_the_second_of_any(self, shown: Sheet) -> None:
        labels = [each.original.label for each in shown.facts.received]
        assert labels == [*SHAPES, *SHAPES]

    def test_the_input_is_that_of_the_network_asked_for(self, manifest: Manifest) -> None:
        asked = show(manifest, settings(net="tutorial", size=32))
        assert asked.facts.size == (32, 32)
        assert "The input is that of the network tutorial (as asked)." in asked.facts.notes

    def test_a_file_that_vanishes_between_two_looks_is_passed_over(
        self, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(root: Path, path: str) -> bytes:
            if path.startswith("circle"):
                raise UnreadableExample("the file has vanished", code="vanished")
            return (root / path).read_bytes()

        monkeypatch.setattr(showing, "contents", gone)
        labels = [each.original.label for each in show(manifest, settings()).facts.received]
        assert labels == ["square", "triangle"] * 2

    def test_a_grey_network_receives_grey(self, manifest: Manifest) -> None:
        layers = "INPUT 16x16x1 -> CONV 4 3x3 -> RELU -> GAP -> FC"
        given = fm.Settings().changed("net", {"name": "layers", "layers": layers})
        found = show(manifest, given, per_class=1)
        assert found.facts.channels == 1
        assert Image.open(io.BytesIO(found.facts.received[0].array)).mode == "L"

    @pytest.mark.parametrize(
        ("size", "largest", "words"), [(128, 128, "as JPEG"), (512, 256, "at 256 pixels")]
    )
    def test_a_large_array_takes_no_room_to_speak_of_and_it_is_said(
        self, manifest: Manifest, size: int, largest: int, words: str
    ) -> None:
        found = show(manifest, settings(size=size), per_class=1)
        array = Image.open(io.BytesIO(found.facts.received[0].array))
        assert (array.format, array.size) == ("JPEG", (largest, largest))
        assert any(words in note for note in found.facts.notes)


class TestChanged:
    def test_it_is_what_the_training_loop_would_be_fed(self, manifest: Manifest) -> None:
        found = show(manifest, settings(augment="strong", seed=3), per_class=2)
        known = {each.path: each for each in hashed(manifest).examples}
        spec = InputSpec(height=16, width=16)
        assert len(found.facts.changed) == showing.N_CHANGED
        for each in found.facts.changed:
            path = each.original.path
            data = (manifest.root / path).read_bytes()
            array = MODALITIES["image"].decode(data, spec)
            batches = Batches(
                pixels=array[None],
                rows=np.array([0]),
                labels=np.array([0]),
                ids=ids_of([known[path].sha256]),
                seed=3,
                augmentation=AUGMENTATIONS["strong"],
            )
            assert np.array_equal(pixels(each.original.thumbnail), array)
            for epoch, drawn in enumerate(each.drawn):
                [(expected, _)] = batches.epoch(epoch)
                assert np.array_equal(pixels(drawn), expected[0])
            assert len(set(each.drawn)) == len(each.drawn) == showing.N_EPOCHS

    def test_without_augmentation_nothing_is_drawn(self, manifest: Manifest) -> None:
        found = show(manifest, settings(augment="none"), per_class=1)
        assert found.facts.changed == ()
        assert "Nothing: with none" in Reader(found.html).text

    @pytest.mark.parametrize(
        ("recipe", "augment", "expected"),
        [
            ("tuned", "auto", "light"),
            ("article", "auto", "article"),
            ("article", "strong", "strong"),
        ],
    )
    def test_auto_becomes_a_named_strength(
        self, manifest: Manifest, recipe: str, augment: str, expected: str
    ) -> None:
        given = settings(augment=augment).changed("train", {"recipe": recipe})
        assert show(manifest, given, per_class=1).facts.augment == expected

    def test_what_may_change_is_said_with_its_range(self, shown: Sheet) -> None:
        assert shown.facts.ranges == {
            "left and right": "swapped for every second picture",
            "rotation": "up to 10 degrees either way",
            "zoom": "up to 15 % either way, both ways alike",
            "shift": "up to 6 % of each side either way",
            "brightness": "up to 10 % either way",
        }
        article = showing._ranges(AUGMENTATIONS["article"])
        assert article["shear"] == "up to 0.2 degrees either way"
        assert article["zoom"] == "up to 20 % either way, each way by itself"


class TestSheet:
    def test_it_is_one_line_in_a_terminal(self, shown: Sheet) -> None:
        assert repr(shown) == "<Sheet shapes: 15 pictures of 3 classes>"

    def test_a_notebook_gets_a_small_static_piece(self, shown: Sheet) -> None:
        html = shown._repr_html_()
        assert len(html.encode()) < 300_000
        assert "<script" not in html
        assert html.count("<img") < shown.html.count("<img")

    def test_it_is_saved_and_saved_again(self, shown: Sheet, tmp_path: Path) -> None:
        for _ in range(2):
            path = shown.save(tmp_path / "shapes.show.html")
        assert path.read_text(encoding="utf-8") == shown.html
        (tmp_path / "mine.html").write_text("my own", encoding="utf-8")
        with pytest.raises(UsageError, match=r"mine\.html exists already"):
            shown.save(tmp_path / "mine.html")

    def test_as_json_it_names_every_picture(self, shown: Sheet) -> None:
        said = json.loads(json.dumps(shown.to_dict()))
        assert said["schema"] == "fieldmark.show/1"
        assert (said["size"], said["fit"], said["augment"]) == ([16, 16], "stretch", "light")
        assert [len(paths) for paths in said["classes"].values()] == [5, 5, 5]
        assert len(said["received"]) == 6

    def test_it_is_frozen(self, shown: Sheet) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError, match="facts"):
            shown.facts = None  # type: ignore[misc,assignment]


NAMES = (
    "<script>alert(1)<",
    "a'\"b",
    "line\nbreak",
    "-rf",
    "photo\u202egpj",
    "x" * 250,
    "not\udcfftext",
)


def test_hostile_file_and_class_names_do_no_harm(tmp_path: Path) -> None:
    examples = []
    for at, name in enumerate(NAMES):
        label = name[:60].replace("\udcff", "?")
        (tmp_path / str(at)).mkdir()
        (tmp_path / str(at) / f"{name}.png").write_bytes(png("circle", at))
        examples.append(Example(path=f"{at}/{name}.png", label=label))
    classes = tuple(sorted({each.label for each in examples}))
    listed = Manifest(root=tmp_path, examples=tuple(examples), classes=classes)
    found = show(listed, settings())
    for html in (found.html, found._repr_html_()):
        read = Reader(html)
        assert read.crossed == read.open == []
        assert not read.all("script")
        assert "\u202e" not in html
        assert html.encode("utf-8")
    words = "".join(Reader(found.html).texts)
    for said in (r"line\nbreak.png", r"photo\u202egpj", r"not\xfftext.png", "<script>alert(1)<"):
        assert said in words
    assert found.facts.unread == ()
    json.dumps(found.to_dict())


def test_pictures_inside_the_page_are_the_files_of_the_facts(shown: Sheet) -> None:
    inside = [attrs["src"] for attrs in Reader(shown.html).all("img")]
    first = shown.facts.classes[0].pictures[0].thumbnail
    assert inside[0] == f"data:image/jpeg;base64,{base64.b64encode(first).decode()}"
    assert len(inside) == 15 + 2 * 6 + 4 * (1 + showing.N_EPOCHS)


def test_real_flowers_fit_into_both_pages(shared_data: Path) -> None:
    folder = shared_data / "flowers"
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder} is no folder")
    found = show(fm.load(folder).manifest, settings(size=224), per_class=100)
    assert found.facts.n_shown == 480 // 5 * 5
    assert len(found.html.encode()) < 5_000_000
    assert len(found._repr_html_().encode()) < 300_000
