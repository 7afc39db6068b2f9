import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import UsageError
from fieldmark.evaluation import check_page
from fieldmark.evaluation.check_page import (
    CheckFacts,
    Section,
    Shortcut,
    Shown,
    Tax,
    render,
)
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.template import shown
from fieldmark.evaluation.thumbnails import BUDGET_BYTES, Picture
from fieldmark.modalities.encode import encode_jpeg
from tests.evaluation.promises import HOSTILE, Promises
from tests.evaluation.reader import Reader


@functools.cache
def thumbnail(size=32):
    noise = rng.derive(1, "jpeg").integers(0, 256, (size, size, 3))
    return encode_jpeg(noise.astype(np.uint8))


def pair(first="rose/1.jpg", second="tulip/1.jpg", **changes):
    pictures = tuple(
        Picture(path=path, label=path.partition("/")[0], thumbnail=thumbnail())
        for path in (first, second)
    )
    return Shown(**{"pictures": pictures, "text": "99.3 % alike", "done": "left out"} | changes)


def section(code="label-conflict", findings=(), **changes):
    given = {
        "title": "same picture, two labels",
        "why": "At least one of the labels is wrong.",
        "next": "relabel the right ones",
        "serious": True,
        "n": len(findings),
        "n_files": sum(len(found.pictures) for found in findings),
    }
    return Section(code=code, findings=tuple(findings), **given | changes)


def accuracy(value=0.912):
    return Measurement("accuracy", value, value - 0.02, min(1.0, value + 0.02), 800)


def facts_of(words=("plain",), **changes):
    """Fill every field; ``words`` turn up wherever text can come from outside."""
    words = tuple(words)
    found = tuple(
        Shown(
            pictures=(
                Picture(path=word, label=word, thumbnail=thumbnail(), note=word),
                Picture(path=word, label=word),
            ),
            text=word,
            done=word,
        )
        for word in words
    )
    bare = tuple(Shown(labels=(word, word), text=word) for word in words)
    listed = tuple(Shown(pictures=(Picture(path=word, label=word, note=word),)) for word in words)
    words_of = {"title": words[0], "why": words[0], "next": words[0]}
    made = CheckFacts(
        name=words[0],
        folder=words[0],
        created=words[-1],
        n_found=100 + len(words),
        n_used=100,
        n_left_out=len(words),
        counts={word: (60, 50) for word in words},
        parts={word: {"train": 40, "valid": 5, "test": 5} for word in words},
        sections=(
            section(words[0], found, **words_of),
            section(words[-1], bare, serious=False, **words_of),
            section("listed", listed, **words_of),
        ),
        left_out=tuple({"path": word, "code": word, "reason": word} for word in words),
        shortcuts=tuple(
            Shortcut(fact=word, accuracy=accuracy(), baseline=0.25, verdict=word) for word in words
        ),
        tax=Tax(naive=accuracy(0.95), honest=accuracy(0.91), text=words[0]),
        looked_for=words,
        timings={word: word for word in words},
        notes=words,
        more=words[0],
    )
    return dataclasses.replace(made, **changes)


def small(**changes):
    """Return a folder of 12 pictures with nothing found."""
    return CheckFacts(**{"name": "pets", "n_found": 12, "n_used": 12, "n_left_out": 0} | changes)


FULL = render(facts_of())
EVIL = render(facts_of(HOSTILE))
BARE = render(small())


@pytest.mark.parametrize("html", [FULL, EVIL, BARE], ids=["plain", "hostile", "bare"])
class TestPromises(Promises):
    kind = "check"


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_are_shown_as_what_they_are(word):
    found = Reader(render(facts_of((word, "plain"))))
    assert shown(word) in "".join(found.texts)
    assert found.all("img")[0]["alt"] == f"{shown(word)}, labelled {shown(word)}"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=30), min_size=3, max_size=3, unique=True))
def test_no_name_can_add_an_element(names):
    def elements(words):
        return [tag for tag, _ in Reader(render(facts_of(words))).elements]

    assert elements(names) == elements(("a", "b", "c"))


class TestSummary:
    def test_says_how_many_files_can_be_used(self):
        facts = small(n_found=4317, n_used=4307, n_left_out=10, counts={"a": (10, 9), "b": (5, 5)})
        text = Reader(render(facts)).text
        assert "4,307 of 4,317 files can be used, in 2 classes. 10 were left out." in text
        assert "Smallest class 5 pictures Largest class 9 pictures" in text

    def test_lists_every_kind_with_its_files_and_what_was_done(self):
        conflicts = section(findings=[pair(), pair(done="shown only")], n=4, n_files=8)
        found = Reader(render(small(sections=(conflicts,))))
        line = "same picture, two labels serious 4 8 left out, shown only"
        assert line in found.text
        assert "1 kind of serious findings: look at it" in found.text
        assert "#found-1" in [attrs["href"] for attrs in found.all("a")]

    def test_serious_findings_come_first_and_the_given_order_stays(self):
        sections = tuple(
            section(title=title, serious=serious, findings=[pair()])
            for title, serious in (("b", False), ("c", True), ("a", False), ("d", True))
        )
        headings = Reader(render(small(sections=sections))).text
        places = [headings.index(f"{title} (1)") for title in ("C", "D", "B", "A")]
        assert places == sorted(places)

    def test_nothing_found_is_said_with_what_was_looked_for(self):
        text = Reader(render(small(looked_for=("near copies", "blank pictures")))).text
        assert "Nothing was found." in text
        assert "Looked for and not found: near copies; blank pictures." in text
        assert text.count("near copies") == 1

    def test_findings_that_are_not_serious_are_no_reason_to_worry(self):
        text = Reader(render(small(sections=(section(serious=False, findings=[pair()]),)))).text
        assert "Nothing serious was found." in text

    def test_kinds_without_a_finding_are_left_out(self):
        assert render(small(sections=(section(n=0),))) == BARE


class TestFindings:
    def test_pictures_of_one_finding_stand_in_one_list_with_label_and_path(self):
        found = Reader(render(small(sections=(section(findings=[pair()]),))))
        lists = [at for at, (tag, a) in enumerate(found.elements) if a.get("class") == "pictures"]
        after = [tag for tag, _ in found.elements[lists[0] :]]
        assert after[:10].count("img") == 1
        assert [attrs["alt"] for attrs in found.all("img")] == [
            "rose/1.jpg, labelled rose",
            "tulip/1.jpg, labelled tulip",
        ]
        assert "99.3 % alike; left out rose rose/1.jpg tulip tulip/1.jpg" in found.text
        assert len(lists) == 1

    def test_what_is_not_shown_is_counted_and_said_where_it_is(self):
        conflicts = section(findings=[pair(f"rose/{i}.jpg") for i in range(20)], n=49)
        found = Reader(render(small(sections=(conflicts,), more="pets.check.json")))
        assert "and 37 more: pets.check.json" in found.text
        assert len(found.all("img")) == 2 * check_page.MAX_FINDINGS

    def test_all_shown_needs_no_more(self):
        assert ">and " not in render(small(sections=(section(findings=[pair()]),)))

    def test_a_long_burst_shows_its_first_pictures_and_counts_the_others(self):
        burst = Shown(
            pictures=tuple(Picture(path=f"{i}.jpg", thumbnail=thumbnail()) for i in range(30))
        )
        found = Reader(render(small(sections=(section(findings=[burst]),))))
        assert len(found.all("img")) == check_page.MAX_PICTURES
        assert "and 24 pictures more that belong to this one" in found.text

    def test_a_finding_about_a_class_names_it(self):
        tiny = Shown(labels=("daisy",), text="3 pictures")
        text = Reader(render(small(sections=(section(findings=[tiny]),)))).text
        assert "daisy : 3 pictures; shown only" in text

    def test_findings_of_one_file_each_share_one_sheet(self):
        dark = tuple(
            Shown(
                pictures=(Picture(path=f"{i}.jpg", label="rose", thumbnail=thumbnail()),),
                text=f"grey {i}",
            )
            for i in (8, 15)
        )
        blank = Shown(pictures=(Picture(path="b.jpg"),), text="grey 0", done="left out")
        found = Reader(render(small(sections=(section(findings=(*dark, blank)),))))
        assert [attrs.get("class") for attrs in found.all("ul")].count("pictures") == 1
        assert not found.all("ol")
        assert (
            "rose grey 8 8.jpg rose grey 15 15.jpg no thumbnail grey 0; left out b.jpg"
            in found.text
        )

    def test_files_without_a_thumbnail_are_named_in_a_list(self):
        gone = Shown(pictures=(Picture(path="a.jpg", label="rose", note="3 x 5 pixels"),))
        found = Reader(render(small(sections=(section(findings=[gone]),))))
        assert "a.jpg rose 3 x 5 pixels" in found.text
        assert "no thumbnail" not in found.text

    @pytest.mark.parametrize(
        "jpeg", [b"", b"<svg onload=alert(1)>", b"\xff\xd8\xff" + b"0" * 60_000]
    )
    def test_what_is_no_small_picture_is_not_put_into_the_page(self, jpeg):
        mixed = Shown(
            pictures=(
                Picture(path="a.jpg", thumbnail=jpeg),
                Picture(path="b.jpg", thumbnail=thumbnail()),
            )
        )
        html = render(small(sections=(section(findings=[mixed]),)))
        assert "no thumbnail" in html
        assert html.count("<img") == 1


class TestOtherParts:
    def test_a_bare_check_has_a_summary_only(self):
        found = Reader(BARE)
        assert [attrs["id"] for attrs in found.all("section")] == ["summary"]
        assert "Nothing was left out" in found.text

    def test_with_facts_all_parts_are_there_and_the_contents_lead_to_them(self):
        found = Reader(FULL)
        sections = [attrs["id"] for attrs in found.all("section")]
        rest = ["shortcuts", "tax", "classes", "out", "method"]
        assert sections == ["summary", "found-1", "found-2", "found-3", *rest]
        contents = [attrs["href"][1:] for attrs in found.all("a")][1:8]
        assert contents == ["summary", "found", *rest]

    def test_a_shortcut_shows_its_figure_with_the_interval_and_the_baseline(self):
        row = Shortcut(fact="width", accuracy=accuracy(), baseline=0.25, verdict="tells them apart")
        text = Reader(render(small(shortcuts=(row,)))).text
        assert "width 91.2 % (89.2 to 93.2) 800 25.0 % tells them apart" in text

    def test_the_tax_shows_both_numbers_with_their_doubt(self):
        tax = Tax(naive=accuracy(0.95), honest=accuracy(0.91), text="4 points too good.")
        text = Reader(render(small(tax=tax))).text
        assert "4 points too good." in text
        assert "naive: copies on both sides 95.0 % (93.0 to 97.0) 800" in text
        assert "honest: copies on one side 91.0 % (89.0 to 93.0) 800" in text

    def test_classes_show_files_and_those_used(self):
        text = Reader(render(small(counts={"cat": (1052, 1050), "dog": (7, 7)}))).text
        assert "Class Files Used cat 1,052 1,050 dog 7 7" in text

    def test_ready_made_parts_have_columns_of_their_own(self):
        facts = small(
            counts={"cat": (9, 9), "dog": (8, 8)},
            parts={"cat": {"train": 7, "valid": 0, "test": 2}},
        )
        text = Reader(render(facts)).text
        assert "Training Validation Test cat 9 9 7 0 2 dog 8 8 0 0 0" in text

    def test_what_was_left_out_is_grouped_counted_and_listed(self):
        left_out = tuple(
            {"path": f"f{i}.jpg", "code": "truncated", "reason": "the file ends too early"}
            for i in range(230)
        )
        text = Reader(render(small(n_found=242, n_left_out=230, left_out=left_out))).text
        assert "the file ends too early truncated 230" in text
        assert "The first 200 of 230 files" in text
        assert "f199.jpg" in text
        assert "f200.jpg" not in text

    def test_times_and_notes_are_said_at_the_end(self):
        text = Reader(render(small(timings={"reading": "6 s"}, notes=("Two threads.",)))).text
        assert text.index("Two threads.") < text.index("reading 6 s")


class TestBounds:
    def test_whatever_comes_in_the_page_stays_below_five_megabytes(self):
        long = "'" * 5000
        pictures = tuple(
            Picture(path=long, label=long, note=long, thumbnail=thumbnail(200)) for _ in "a" * 40
        )
        found = tuple(Shown(pictures=pictures, text=long, labels=(long,) * 50) for _ in range(40))
        facts = small(
            n_found=5012,
            n_left_out=5000,
            counts={f"{i}{long}": (1, 1) for i in range(3000)},
            sections=tuple(section(f"k{i}", found, n=100_000) for i in range(40)),
            left_out=tuple(
                {"path": long, "code": "truncated", "reason": long} for _ in range(5000)
            ),
        )
        html = render(facts)
        assert len(html.encode()) < check_page.MAX_PAGE_BYTES
        assert Reader(html).crossed == []

    def test_pictures_beyond_the_budget_are_dropped_fairly_and_it_is_said(self):
        assert 15_000 < len(thumbnail(160)) < 60_000
        large = tuple(
            Shown(
                pictures=tuple(Picture(path=f"{i}/{j}", thumbnail=thumbnail(160)) for j in range(6))
            )
            for i in range(12)
        )
        html = render(small(sections=tuple(section(f"k{i}", large) for i in range(8))))
        shown_in = [part.count("<img") for part in html.split("<section")[2:]]
        assert 0 < min(shown_in) >= max(shown_in) - 6
        assert max(shown_in) < 72
        assert "findings without pictures, to keep this file small" in html
        assert 0.9 * BUDGET_BYTES < len(html) < check_page.MAX_PAGE_BYTES

    def test_the_same_facts_give_the_same_page(self):
        assert render(facts_of()) == FULL

    def test_facts_are_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError, match="name"):
            facts_of().name = "other"

    def test_files_that_do_not_add_up_are_an_error(self):
        with pytest.raises(UsageError, match="12 files found are not 11 used") as caught:
            render(small(n_used=11))
        assert caught.value.code == "report-facts"

    def test_more_findings_than_counted_are_an_error(self):
        with pytest.raises(UsageError, match="counts 1 of 2"):
            render(small(sections=(section(findings=[pair(), pair()], n=1),)))

    def test_a_left_out_file_without_a_reason_is_an_error(self):
        with pytest.raises(UsageError, match="left out is described as"):
            render(small(n_found=13, n_left_out=1, left_out=({"path": "a.jpg"},)))
