import dataclasses
import shlex

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.errors import UsageError
from fieldmark.evaluation import page_rows
from fieldmark.evaluation.page import render
from fieldmark.evaluation.page_facts import Failure, MixUp, NearestPicture, ReportFacts
from fieldmark.evaluation.report import measure
from fieldmark.evaluation.template import shown
from fieldmark.evaluation.thumbnails import MAX_THUMBNAIL_BYTES, Picture
from tests.evaluation.made_report import facts_of, report_of, thumbnail
from tests.evaluation.promises import HOSTILE, Promises
from tests.evaluation.reader import Reader

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
        assert "Before you trust it" not in render(facts_of(notes=(), n_looks=1, slices=None))

    def test_a_kind_of_pictures_on_which_it_is_worse_is_a_warning(self):
        text = Reader(FULL).text
        assert "Worse on: plain: plain 50.0 % (45 to 55, 120 pictures)" in text

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
            "documents",
        ]
        links = [attrs["href"][1:] for attrs in found.all("a")]
        assert links[1 : 1 + len(sections)] == sections

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
        assert "The curves as a table" not in html
        assert "How the head&#39;s penalty was chosen" in html
        assert "Settings of this run" in html

    def test_classes_that_cannot_be_estimated_say_so(self):
        report = report_of(("daisy", "rose", "tulip"), n_present=2)
        text = Reader(render(facts_of(report=report))).text
        assert "tulip 0 not estimable: no test pictures" in text

    def test_the_confusion_matrix_holds_every_count(self):
        report = facts_of().report
        text = Reader(FULL).text
        for name, row in zip(report.classes, report.confusion, strict=True):
            cells = " ".join(f"{n} {100 * n / sum(row):.0f} %" for n in row)
            assert f"{name} {cells}" in text

    def test_many_classes_give_way_to_the_most_frequent_mix_ups(self):
        classes = [f"species {i}" for i in range(page_rows.MAX_MATRIX_CLASSES + 1)]
        html = render(ReportFacts(name="many", report=report_of(tuple(classes), n=2000)))
        assert 'class="matrix"' not in html
        assert "Most frequent mix-ups" in html

    def test_failures_show_label_prediction_and_score(self):
        failure = Failure(file="rose/1.jpg", label="rose", predicted="tulip", score=0.934)
        unsure = dataclasses.replace(failure, label="tulip", jpeg=thumbnail())
        found = Reader(render(facts_of(failures=(failure, unsure), contact=())))
        assert "Label rose Predicted tulip 93.4 % wrong rose/1.jpg" in found.text
        assert "Label tulip Predicted tulip 93.4 % right, but unsure" in found.text
        assert [attrs["alt"] for attrs in found.all("img")] == [
            "Test picture labelled tulip, predicted tulip"
        ]

    @pytest.mark.parametrize("jpeg", [b"", b"<svg onload=alert(1)>", b"\xff\xd8" + b"0" * 60_000])
    def test_what_is_no_small_jpeg_is_not_put_into_the_page(self, jpeg):
        failure = Failure(file="a", label="a", predicted="b", score=0.5, jpeg=jpeg)
        html = render(facts_of(failures=(failure,), contact=()))
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
        assert html.count("<img") == page_rows.MAX_FAILURES + page_rows.MAX_CONTACT_CLASSES

    def test_a_hundred_classes_of_large_pictures_stay_below_five_megabytes(self):
        classes = tuple(f"class {i} " + "y" * 150 for i in range(100))
        large = thumbnail(270)
        near = NearestPicture(file="n" * 100, label="a", similarity=0.9, jpeg=large)
        failure = Failure(
            file="f" * 100, label="a", predicted="b", score=0.5, jpeg=large, nearest=(near,) * 5
        )
        facts = facts_of(
            classes,
            contact=tuple(
                Picture(path="p" * 100, label=name, thumbnail=large)
                for name in classes
                for _ in range(10)
            ),
            failures=(failure,) * 30,
            mix_ups=tuple(
                MixUp(label=name, predicted=classes[0], files=("f" * 150,) * 300)
                for name in classes[1:]
            ),
        )
        assert 50_000 < len(large) < MAX_THUMBNAIL_BYTES
        html = render(facts)
        assert 3_000_000 < len(html.encode()) < 5_000_000
        # The bytes are dealt out in turns: neither list has taken all.
        assert 0 < html.count('alt="Test picture') < page_rows.MAX_FAILURES
        n_shown = html.count('alt="Training picture of')
        assert page_rows.MAX_CONTACT_CLASSES <= n_shown < 6 * page_rows.MAX_CONTACT_CLASSES

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


class TestNewParts:
    def test_the_light_is_in_words(self):
        text = Reader(FULL).text
        assert "Good: better than chance and than the simple baselines" in text
        assert 'class="verdict good"' in FULL
        poor = report_of(("a", "b"), n=4)
        assert (
            "Careful: not clearly better than chance"
            in Reader(render(ReportFacts(name="a", report=poor))).text
        )

    def test_looks_are_counted_from_the_second_on(self):
        assert "looked at" not in render(facts_of(n_looks=1))
        text = Reader(render(facts_of(n_looks=3, notes=()))).text
        assert "This test part has been looked at 3 times" in text

    def test_further_trainings_stand_beside_the_result(self):
        text = Reader(FULL).text
        assert "4 more trainings, every picture tested twice by one that never saw it:" in text
        assert "2 2 80.0 % (65.2 to 89.5) 40 0.300" in text
        alone = dataclasses.replace(facts_of(), repeats=None)
        assert "luck" not in Reader(render(alone)).text

    def test_simple_rules_stand_beside_the_model(self):
        assert "+30.0 points (+25.0 to +35.0)" in Reader(FULL).text
        facts = facts_of()
        alone = dataclasses.replace(facts.report, baselines=())
        text = Reader(render(dataclasses.replace(facts, report=alone))).text
        assert "most frequent class always answers daisy" in text

    def test_classes_have_a_bar_and_some_pictures(self):
        found = Reader(FULL)
        bars = [attrs for attrs in found.all("svg") if attrs.get("class") == "bar"]
        assert len(bars) == 3
        widths = [float(a["width"]) for a in found.all("rect") if a.get("class") == "part-train"]
        assert widths[:3] == [70.0] * 3
        alts = [attrs["alt"] for attrs in found.all("img")]
        assert "Training picture of daisy, 1" in alts

    def test_a_class_without_pictures_has_an_empty_bar(self):
        none = {"train": 0, "valid": 0, "test": 0}
        html = render(facts_of(counts=dict.fromkeys(("daisy", "rose", "tulip"), none)))
        assert "nan" not in html

    def test_the_time_of_training_is_told(self):
        assert "From the command to the end of training: 3 min 20 s." in Reader(FULL).text
        assert "to the end of training" not in render(facts_of(seconds=None))

    def test_every_chart_is_followed_by_its_table(self):
        charts = [attrs for attrs in Reader(FULL).all("svg") if attrs.get("class") == "chart"]
        folded = FULL.count("as a table</summary>")
        # Loss and accuracy share theirs.
        assert len(charts) == 7
        assert folded == 6

    def test_a_backbone_is_folded_up(self):
        layers = (
            {"number": 0, "layer": "INPUT"},
            {"number": 1, "layer": "CONV", "weights": 5, "part": "backbone"},
            {"number": 2, "layer": "GAP", "weights": 6, "part": "backbone"},
            {"number": 3, "layer": "FC", "weights": 7},
        )
        text = Reader(render(facts_of(layers=layers))).text
        assert "1 to 2 BACKBONE 2 layers, listed below 11" in text
        assert "The 2 layers of the backbone" in text

    def test_slices_show_both_sides_and_what_is_telling(self):
        text = Reader(FULL).text
        assert "1 kind of pictures, by 3 facts" in text
        assert "120 50.0 % (45.0 to 55.0) 80.0 % (75.0 to 85.0) 0.010 telling" in text

    def test_a_failure_may_have_a_wrong_label_and_neighbours(self):
        text = Reader(FULL).text
        assert "label may be wrong: 83 %" in text.replace("\N{NO-BREAK SPACE}", " ")
        facts = facts_of()
        likely = dataclasses.replace(facts.failures[0], p_wrong_label=0.4)
        other = render(dataclasses.replace(facts, failures=(likely,)))
        assert "label may be wrong" not in Reader(other).text
        assert "Most similar training pictures: plain 0.91 plain" in text

    def test_a_cell_leads_to_its_files(self):
        found = Reader(FULL)
        links = [a for a in found.all("a") if a["href"].startswith("#pair-")]
        assert {a["href"] for a in links} == {"#pair-1", "#pair-2"}
        assert all("taken for" in a["aria-label"] for a in links)

    def test_files_of_a_mix_up_are_bounded(self):
        many = MixUp(label="daisy", predicted="rose", files=tuple(f"{n}.jpg" for n in range(99)))
        text = Reader(render(facts_of(mix_ups=(many,)))).text
        assert "19.jpg" in text
        assert "20.jpg" not in text
        assert "and 79 pictures more" in text

    def test_the_documents_are_inside(self):
        facts = facts_of(methods="We trained.", card="# Card\nline", data_sheet="# Sheet")
        text = Reader(render(facts)).text
        assert "Methods, to copy into a paper We trained." in text
        assert "The model card # Card line" in text
        assert "The data sheet # Sheet" in text

    def test_more_data_is_shown_when_it_is_known(self):
        assert "Would more data help?" in FULL
        assert "Would more data help?" not in render(facts_of(more_data=(), more_data_text=""))

    def test_sections_that_come_later_leave_no_heading(self):
        for title in ("Why", "Inside", "Robustness"):
            assert f">{title}</h2>" not in FULL
