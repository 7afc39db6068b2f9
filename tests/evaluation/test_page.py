import dataclasses
import functools
import shlex

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import UsageError
from fieldmark.evaluation import page_rows
from fieldmark.evaluation.page import render
from fieldmark.evaluation.page_facts import Failure, ReportFacts
from fieldmark.evaluation.report import measure
from fieldmark.evaluation.template import shown
from fieldmark.evaluation.thumbnails import MAX_THUMBNAIL_BYTES
from fieldmark.modalities.encode import encode_jpeg
from tests.evaluation.promises import HOSTILE, Promises
from tests.evaluation.reader import Reader


@functools.cache
def report_of(classes, n=200, n_present=None):
    draws = rng.derive(0, "page")
    labels = draws.integers(0, n_present or len(classes), n)
    predicted = np.where(draws.random(n) < 0.8, labels, draws.integers(0, len(classes), n))
    probs = np.full((n, len(classes)), 0.1 / len(classes))
    probs[np.arange(n), predicted] += 0.9
    return measure(
        probs,
        labels,
        tuple(classes),
        baseline_class=classes[0],
        conditions={"part": "test", "threads": "2"},
        seed=0,
    )


@functools.cache
def thumbnail(size=128):
    noise = rng.derive(1, "jpeg").integers(0, 256, (size, size, 3))
    return encode_jpeg(noise.astype(np.uint8))


def facts_of(classes=("daisy", "rose", "tulip"), *, words=("plain",), **changes):
    """Fill every field; ``words`` turn up wherever text can come from outside."""
    words = tuple(words)
    history = tuple(
        {"epoch": n, "loss": 2 / n, "val_loss": 2.1 / n, "accuracy": 0.8, "val_accuracy": 0.7}
        for n in range(1, 8)
    )
    made = ReportFacts(
        name=words[0],
        report=report_of(tuple(classes)),
        created=words[-1],
        model_id="sha256:" + "ab" * 32,
        model_path=f"runs/{words[0]}/model.fieldmark",
        notes=words,
        data_folder=words[0],
        counts={name: {"train": 700, "valid": 150, "test": 150} for name in classes},
        left_out=tuple({"path": word, "code": word, "reason": word} for word in words),
        network="INPUT 64x64x3 -> CONV 32 3x3 -> FC",
        layers=tuple(
            {"number": 1, "layer": w, "does": w, "volume": w, "weights": 896, "why": w}
            for w in words
        ),
        network_notes=words,
        history=history,
        best_epoch=5,
        stopped=words[0],
        settings={word: word for word in words},
        failures=tuple(
            Failure(file=word, label=word, predicted=classes[0], score=0.934, jpeg=thumbnail())
            for word in words
        ),
        command=words[0],
        seed=7,
        versions={word: word for word in words},
    )
    return dataclasses.replace(made, **changes)


FULL = render(facts_of())
EVIL = render(facts_of(HOSTILE, words=HOSTILE))


@pytest.mark.parametrize("html", [FULL, EVIL], ids=["plain", "hostile"])
class TestPromises(Promises):
    kind = "report"


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_are_shown_as_what_they_are(word):
    facts = facts_of(words=(word, "plain"))
    found = Reader(render(facts))
    assert shown(word) in "".join(found.texts)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=30), min_size=3, max_size=3, unique=True))
def test_no_name_can_add_an_element(names):
    def elements(classes, words):
        # The same numbers and the same structure; only the words differ.
        html = render(facts_of(classes, words=words, failures=(), notes=()))
        return [tag for tag, _ in Reader(html).elements]

    assert elements(names, names) == elements(("a", "b", "c"), ("d", "e", "f"))


class TestSummary:
    def test_names_the_number_its_interval_and_the_baseline_in_words(self):
        report = facts_of().report
        text = Reader(FULL).text
        assert f"{report.accuracy.text} of 200 test pictures named correctly" in text
        assert f"expect {report.accuracy.interval}" in text
        assert f"{report.baseline.text} ({report.baseline.interval})" in text
        assert report.verdict in text

    def test_shows_every_number_with_its_interval(self):
        report = facts_of().report
        text = Reader(FULL).text
        for title, found in (
            ("Balanced accuracy", report.balanced_accuracy),
            ("Macro F1", report.macro_f1),
            ("AUC, one against the rest", report.auc),
            ("Log loss", report.log_loss),
            ("Brier score", report.brier),
        ):
            assert f"{title} {found.text} ({found.interval})" in text
        assert "Top-5 accuracy" not in text
        six = report_of(tuple("abcdef"))
        text = Reader(render(facts_of(report=six))).text
        assert f"Top-5 accuracy {six.top_k.text} ({six.top_k.interval})" in text

    def test_a_report_of_an_older_version_has_no_gaps(self):
        none = dict.fromkeys(("balanced_accuracy", "brier", "auc"))
        old = dataclasses.replace(facts_of().report, **none)
        text = Reader(render(facts_of(report=old))).text
        assert "None" not in text
        assert "Brier" not in text

    def test_groups_are_told_of(self):
        report = dataclasses.replace(facts_of().report, n_groups=44)
        text = Reader(render(facts_of(report=report))).text
        assert "The pictures come in 44 groups that belong together, and every interval" in text
        assert "belong together" not in Reader(FULL).text

    def test_shows_the_callers_warnings_before_its_own(self):
        facts = facts_of(
            report=report_of(("daisy", "rose", "tulip"), n=40), notes=("The test part was reused.",)
        )
        text = Reader(render(facts)).text
        assert text.index("The test part was reused.") < text.index("holds only 40 pictures")

    def test_a_long_warning_is_not_cut(self):
        note = "word " * 100 + "end."
        assert note in Reader(render(facts_of(notes=(note,)))).text

    def test_has_no_warning_box_without_warnings(self):
        assert "Before you trust it" not in render(facts_of(notes=()))

    def test_names_the_most_frequent_mix_up(self):
        report = measure(
            np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 4),
            np.array([0, 1, 1, 1, 1, 1, 1]),
            ("rose", "tulip"),
            baseline_class="tulip",
            conditions={},
            seed=0,
        )
        text = Reader(render(ReportFacts(name="a", report=report))).text
        assert "Most frequent mix-up: tulip taken for rose , 2 of 6 pictures." in text


class TestSections:
    def test_without_facts_only_summary_and_results_are_there(self):
        found = Reader(render(ReportFacts(name="bare", report=report_of(("a", "b")))))
        assert [attrs["id"] for attrs in found.all("section")] == ["summary", "results"]
        assert [attrs["href"] for attrs in found.all("a")] == ["#summary", "#summary", "#results"]

    def test_with_facts_all_sections_are_there_in_order(self):
        found = Reader(FULL)
        sections = [attrs["id"] for attrs in found.all("section")]
        assert sections == [
            "summary",
            "data",
            "network",
            "training",
            "results",
            "failures",
            "use",
            "reproduce",
        ]
        assert [attrs["href"][1:] for attrs in found.all("a")][1:] == sections

    def test_data_counts_add_up(self):
        assert "All 2,100 450 450 3,000" in Reader(FULL).text

    def test_what_was_left_out_is_grouped_and_listed(self):
        left_out = tuple(
            {"path": f"f{i}.jpg", "code": "truncated", "reason": "the file ends too early"}
            for i in range(230)
        )
        left_out += ({"path": ".DS_Store", "code": "system-file", "reason": "a system file"},)
        text = Reader(render(facts_of(left_out=left_out))).text
        assert "the file ends too early truncated 230 a system file system-file 1" in text
        assert "The first 200 of 231 files" in text
        assert "f199.jpg" in text
        assert "f200.jpg" not in text

    def test_a_clean_folder_is_said_to_be_clean(self):
        assert "Nothing was left out." in render(facts_of(left_out=()))

    def test_layers_show_their_weights_with_thousands(self):
        layers = ({"number": 6, "layer": "FC", "weights": 802944}, {"layer": "RELU"})
        text = Reader(render(facts_of(layers=layers))).text
        assert "6 FC 802,944 RELU" in text

    def test_curves_are_followed_by_their_table(self):
        assert FULL.index('class="chart"') < FULL.index("The curves as a table")
        text = Reader(FULL).text
        assert "5 (kept) 0.400 0.420 80.0 % 70.0 %" in text

    def test_epochs_without_numbers_leave_a_gap_or_a_word(self):
        history = (
            {"epoch": 1, "loss": float("nan"), "val_loss": 2.0},
            {"epoch": 2, "loss": 1.5},
        )
        text = Reader(render(facts_of(history=history, best_epoch=None))).text
        assert "1 not finite 2.000 2 1.500" in text
        assert "Accuracy by epoch" not in text

    def test_a_head_that_was_solved_has_no_curves(self):
        html = render(facts_of(history=(), best_epoch=None))
        assert 'class="chart"' not in html
        assert "Settings of this run" in html

    def test_classes_that_cannot_be_estimated_say_so(self):
        report = report_of(("daisy", "rose", "tulip"), n_present=2)
        text = Reader(render(facts_of(report=report))).text
        assert "tulip 0 not estimable: no test pictures" in text

    def test_the_confusion_matrix_holds_every_count(self):
        report = facts_of().report
        text = Reader(FULL).text
        for name, row in zip(report.classes, report.confusion, strict=True):
            assert f"{name} {' '.join(map(str, row))}" in text

    def test_many_classes_give_way_to_the_most_frequent_mix_ups(self):
        classes = [f"species {i}" for i in range(page_rows.MAX_MATRIX_CLASSES + 1)]
        html = render(ReportFacts(name="many", report=report_of(tuple(classes), n=2000)))
        assert 'class="matrix"' not in html
        assert "Most frequent mix-ups" in html

    def test_failures_show_label_prediction_and_score(self):
        failure = Failure(file="rose/1.jpg", label="rose", predicted="tulip", score=0.934)
        unsure = dataclasses.replace(failure, label="tulip", jpeg=thumbnail())
        found = Reader(render(facts_of(failures=(failure, unsure))))
        assert "Label rose Predicted tulip 93.4 % wrong rose/1.jpg" in found.text
        assert "Label tulip Predicted tulip 93.4 % right, but unsure" in found.text
        assert [attrs["alt"] for attrs in found.all("img")] == [
            "Test picture labelled tulip, predicted tulip"
        ]

    @pytest.mark.parametrize("jpeg", [b"", b"<svg onload=alert(1)>", b"\xff\xd8" + b"0" * 60_000])
    def test_what_is_no_small_jpeg_is_not_put_into_the_page(self, jpeg):
        failure = Failure(file="a", label="a", predicted="b", score=0.5, jpeg=jpeg)
        html = render(facts_of(failures=(failure,)))
        assert "no thumbnail" in html
        assert "<img" not in html

    def test_snippets_name_this_model(self):
        text = "".join(Reader(FULL).texts)
        assert "fieldmark predict runs/plain/model.fieldmark new/*.jpg" in text
        assert 'fm.open("runs/plain/model.fieldmark")' in text

    @pytest.mark.parametrize("path", ["my models/it's.fieldmark", 'a"b;rm -rf $HOME.fieldmark'])
    def test_snippets_can_be_pasted_whatever_the_path(self, path):
        snippets = page_rows.snippets(facts_of(model_path=path))
        assert shlex.split(snippets["Command line"])[2] == path
        compile(snippets["Python"], "snippet", "exec")

    def test_the_origin_holds_seed_model_and_versions(self):
        facts = facts_of(versions={"python": "3.11.2"}, command="fieldmark train flowers")
        text = Reader(render(facts)).text
        reproduce = text[text.index("Reproduce", text.index("Use it", 400)) :]
        assert "fieldmark train flowers" in reproduce
        assert f"seed 7 model sha256:{'ab' * 32} python 3.11.2" in reproduce

    def test_a_seed_of_zero_is_a_seed(self):
        facts = facts_of(seed=0, versions={}, model_id="")
        assert "seed 0" in Reader(render(facts)).text


class TestBounds:
    def test_fifty_classes_with_everything_stay_below_five_megabytes(self):
        classes = [f"class {i} " + "y" * 200 for i in range(50)]
        facts = facts_of(
            classes,
            left_out=tuple(
                {"path": f"{i}" + "z" * 250, "code": "truncated", "reason": "ends too early"}
                for i in range(5000)
            ),
            failures=tuple(
                Failure(file=f"{i}" * 200, label="a", predicted="b", score=0.5, jpeg=thumbnail(240))
                for i in range(60)
            ),
            history=tuple({"epoch": n, "loss": 1 / n, "val_loss": 1 / n} for n in range(1, 1001)),
        )
        assert 30_000 < len(thumbnail(240)) < MAX_THUMBNAIL_BYTES
        html = render(facts)
        assert len(html.encode()) < 5_000_000
        assert html.count("<img") == page_rows.MAX_FAILURES

    def test_the_same_facts_give_the_same_page(self):
        assert render(facts_of()) == FULL

    def test_facts_are_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError, match="name"):
            facts_of().name = "other"

    @pytest.mark.parametrize("parts", [{"train": 1}, {"train": 1, "valid": 1, "test": 1, "x": 1}])
    def test_counts_with_a_wrong_part_are_an_error(self, parts):
        with pytest.raises(UsageError, match="counts of class 'rose'") as caught:
            render(facts_of(counts={"rose": parts}))
        assert caught.value.code == "report-facts"

    def test_a_left_out_file_without_a_reason_is_an_error(self):
        with pytest.raises(UsageError, match="left out is described as"):
            render(facts_of(left_out=({"path": "a.jpg"},)))
