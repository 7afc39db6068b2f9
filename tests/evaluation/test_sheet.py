import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.evaluation.sheet import (
    Changed,
    ClassSheet,
    Received,
    SheetFacts,
    render,
    render_brief,
)
from fieldmark.evaluation.template import shown
from fieldmark.evaluation.thumbnails import Picture
from fieldmark.modalities.encode import encode_jpeg, encode_png
from tests.evaluation.promises import HOSTILE, PICTURES, Promises
from tests.evaluation.reader import Reader


@functools.cache
def noise(size=24):
    return rng.derive(1, "sheet").integers(0, 256, (size, size, 3)).astype(np.uint8)


@functools.cache
def jpeg(size=24):
    return encode_jpeg(noise(size))


def picture(path="daisy/1.jpg", label="daisy", **changes):
    return Picture(**{"path": path, "label": label, "thumbnail": jpeg()} | changes)


def facts_of(words=("daisy", "rose"), *, n_pictures=3, **changes):
    """Fill every field; ``words`` turn up wherever text can come from outside."""
    words = tuple(words)
    made = SheetFacts(
        name=words[0],
        n=60,
        classes=tuple(
            ClassSheet(
                label=word,
                n=30,
                pictures=(
                    *(picture(word, word) for _ in range(n_pictures - 1)),
                    picture(word, word, thumbnail=b"", note=word),
                ),
            )
            for word in words
        ),
        size=(16, 24),
        fit="crop",
        augment="light",
        ranges={"rotation": "up to 10 degrees"},
        received=tuple(
            Received(original=picture(word, word), array=encode_png(noise())) for word in words
        ),
        changed=tuple(
            Changed(original=picture(word, word), drawn=(jpeg(), encode_png(noise())))
            for word in words
        ),
        seed=7,
        notes=words,
    )
    return dataclasses.replace(made, **changes)


BARE = SheetFacts(name="pets", n=0, classes=(), size=(8, 8), fit="pad", augment="none", seed=0)
FULL, EVIL = render(facts_of()), render(facts_of(HOSTILE))


@pytest.mark.parametrize("html", [FULL, EVIL, render(BARE)], ids=["plain", "hostile", "bare"])
class TestPromises(Promises):
    kind = "show"


@pytest.mark.parametrize("write", [render, render_brief])
class TestHostileNames:
    @pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
    def test_are_shown_as_what_they_are(self, write, word):
        found = Reader(write(facts_of((word, "plain"))))
        seen = shown(word) if write is render or len(shown(word)) <= 80 else shown(word)[:78] + ".."
        assert seen in "".join(found.texts)
        assert f"{seen}, labelled {seen}" in [a["alt"] for a in found.all("img")]

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=2, unique=True))
    def test_can_add_no_element(self, write, names):
        def elements(words):
            return [tag for tag, _ in Reader(write(facts_of(words))).elements]

        assert elements(names) == elements(("a", "b"))


class TestPage:
    def test_every_class_has_its_sheet_with_file_names(self):
        text = Reader(FULL).text
        assert "daisy (3 of 30 pictures)" in text
        assert "rose (3 of 30 pictures)" in text
        assert Reader(render(facts_of(("a/1.jpg",)))).text.count("a/1.jpg") > 5

    def test_what_could_not_be_read_is_named_with_its_reason(self):
        gone = picture("rose/cut.jpg", "rose", thumbnail=b"", note="ends too early [truncated]")
        one = ClassSheet(label="rose", n=9, pictures=(gone,))
        found = Reader(render(facts_of(classes=(one,))))
        assert "Could not be read rose/cut.jpg : ends too early [truncated]" in found.text
        assert found.text.count("ends too early") == 2

    def test_the_original_stands_beside_what_is_received(self):
        found = Reader(FULL)
        alts = [attrs["alt"] for attrs in found.all("img")]
        at = alts.index("As on disk: daisy, labelled daisy")
        assert alts[at + 1] == "As received: daisy, labelled daisy"
        assert found.all("img")[at + 1]["src"].startswith("data:image/png;base64,")
        assert "The network receives 16 x 24 pixels; " in found.text

    def test_a_small_array_is_enlarged_without_smoothing_and_a_large_one_is_not(self):
        arrays = [a for a in Reader(FULL).all("img") if a.get("class") == "exact"]
        assert len(arrays) == 2 + 2 * 3
        assert "image-rendering: pixelated" in FULL
        assert 'class="exact"' not in render(facts_of(size=(224, 224)))

    def test_changed_pictures_are_named_by_epoch_after_the_received_one(self):
        text = Reader(FULL).text
        assert "rotation up to 10 degrees" in text
        assert "as received epoch 1 epoch 2" in text

    def test_no_augmentation_is_said(self):
        text = Reader(render(facts_of(augment="none", ranges={}, changed=()))).text
        assert "Nothing: with none, every epoch sees the pictures as they are received." in text

    def test_grey_input_is_said(self):
        assert "8 x 8 pixels of grey" in Reader(render(dataclasses.replace(BARE, channels=1))).text

    def test_the_same_facts_give_the_same_page(self):
        assert render(facts_of()) == FULL

    def test_whatever_comes_in_the_page_stays_below_five_megabytes(self):
        long = "'" * 3000
        classes = tuple(
            ClassSheet(
                label=f"{i}{long}", n=9, pictures=(picture(f"{i}", thumbnail=jpeg(150)),) * 3
            )
            for i in range(600)
        )
        html = render(facts_of(classes=classes))
        assert 4_000_000 < len(html.encode()) < 5_000_000
        assert "named without being shown, to keep this file small" in html
        assert "and 100 classes more" in html
        assert html.count('class="exact"') == 8, "what the network receives is never dropped first"


class TestBrief:
    @pytest.mark.parametrize("words", [("daisy", "rose"), HOSTILE, ("'" * 3000,) * 40])
    def test_is_a_small_whole_static_piece(self, words):
        html = render_brief(facts_of(words, n_pictures=9))
        found = Reader(html)
        assert len(html.encode()) < 300_000
        assert found.crossed == found.open == []
        assert not found.all("script")
        assert not found.all("link")
        assert all(attrs["src"].startswith(PICTURES) and attrs["alt"] for attrs in found.all("img"))

    def test_its_pictures_are_bounded_whatever_their_size(self):
        changed = Changed(original=picture(thumbnail=jpeg(120)), drawn=(jpeg(120),) * 8)
        facts = facts_of([f"class {i}" for i in range(30)], n_pictures=12)
        large = dataclasses.replace(
            facts,
            changed=(changed,) * 4,
            classes=tuple(
                dataclasses.replace(each, pictures=(picture(thumbnail=jpeg(120)),) * 12)
                for each in facts.classes
            ),
        )
        html = render_brief(large)
        assert 100_000 < len(html.encode()) < 300_000
        assert "and 22 classes more" in html

    def test_its_styles_reach_no_further_than_itself(self):
        html = render_brief(facts_of())
        style = html[html.index("<style>") + 7 : html.index("</style>")]
        rules = [rule for rule in style.split("}") if rule.strip()]
        assert rules
        assert all(rule.strip().startswith(".fieldmark-sheet ") for rule in rules)
