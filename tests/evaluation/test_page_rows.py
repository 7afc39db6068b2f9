import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation import page_rows
from fieldmark.evaluation.page_facts import BACKBONE, Failure, MixUp, NearestPicture, ReportFacts
from fieldmark.evaluation.report import measure
from fieldmark.evaluation.thumbnails import Picture
from tests.evaluation.made_report import report_of, thumbnail


def confused():
    """Of 1,000 a one is taken for b; of 4 c one each for a and b."""
    labels = np.repeat([0, 1, 2], [1000, 10, 4])
    predicted = labels.copy()
    predicted[0] = 1
    predicted[-2:] = 0, 1
    return measure(
        np.eye(3)[predicted], labels, tuple("abc"), baseline_class="a", conditions={}, seed=0
    )


LISTED = (
    MixUp(label="a", predicted="b", files=("a/1.jpg",)),
    MixUp(label="c", predicted="a", files=("c/1.jpg",)),
)


class TestMatrix:
    def test_a_cell_knows_its_share_and_its_files(self):
        rows = page_rows.matrix(confused(), LISTED)
        assert [name for name, _ in rows] == ["a", "b", "c"]
        (right, wrong, none), (_, all_right, _), (taken, unlisted, _) = [cells for _, cells in rows]
        assert (right.n, right.share, right.pair) == (999, "> 99 %", "")
        assert (wrong.n, wrong.share, wrong.pair) == (1, "< 1 %", "pair-1")
        assert (none.n, none.share) == (0, "0 %")
        assert (all_right.n, all_right.share) == (10, "100 %")
        assert (taken.share, taken.pair, unlisted.pair) == ("25 %", "pair-2", "")
        assert taken.words == "1 picture of c taken for a"

    def test_what_is_right_is_outlined_and_shades_follow_the_row(self):
        (_, (right, wrong, none)), *_ = page_rows.matrix(confused(), ())
        assert right.shade == "s5 hit"
        assert wrong.shade == "s1"
        assert none.shade == "s0"

    def test_too_many_classes_have_none(self):
        names = tuple(f"c{at}" for at in range(page_rows.MAX_MATRIX_CLASSES + 1))
        assert page_rows.matrix(report_of(names), ()) == []

    @given(st.integers(0, 5000), st.integers(1, 5000))
    def test_a_share_is_0_or_100_only_when_it_is(self, n, more):
        of = n + more
        assert (page_rows._rounded(n, of) == "0 %") == (n == 0)
        assert page_rows._rounded(n, of) != "100 %"
        assert page_rows._rounded(of, of) == "100 %"


def test_mix_ups_lead_to_their_files():
    found = page_rows.mix_ups(confused(), LISTED)
    assert found == [
        ("a", "b", 1, 1000, "pair-1"),
        ("c", "a", 1, 4, "pair-2"),
        ("c", "b", 1, 4, ""),
    ]


class TestFolded:
    ROWS = (
        {"number": 0, "layer": "INPUT", "part": ""},
        {"number": 1, "layer": "CONV", "weights": 10, "part": BACKBONE},
        {"number": "", "layer": "RELU", "weights": 0, "volume": "8x8x4", "part": BACKBONE},
        {"number": 2, "layer": "GAP", "weights": 0, "volume": "4", "part": BACKBONE},
        {"number": 3, "layer": "FC", "weights": 20, "part": ""},
    )

    def test_a_backbone_becomes_one_row_and_a_list(self):
        found = page_rows.folded(self.ROWS)
        assert [row["layer"] for row in found.rows] == ["INPUT", "BACKBONE", "FC"]
        summary = found.rows[1]
        assert summary["number"] == "1 to 2"
        assert summary["weights"] == 10
        assert summary["volume"] == "4"
        assert summary["does"] == "3 layers, listed below"
        assert found.backbone == list(self.ROWS[1:4])

    def test_no_row_and_no_weight_is_lost(self):
        found = page_rows.folded(self.ROWS)
        assert len(found.rows) - 1 + len(found.backbone) == len(self.ROWS)
        assert sum(row.get("weights", 0) for row in found.rows) == 30

    @pytest.mark.parametrize("rows", [(), ROWS[:1], (ROWS[0], ROWS[1], ROWS[4])])
    def test_without_a_backbone_of_several_rows_nothing_is_folded(self, rows):
        found = page_rows.folded(rows)
        assert found.rows == list(rows)
        assert found.backbone == []


class TestPictures:
    def facts(self, n_failures=3, n_each=8, n_classes=25):
        near = NearestPicture(file="n", label="a", similarity=0.9, jpeg=thumbnail(32))
        return ReportFacts(
            name="a",
            report=report_of(("a", "b")),
            failures=tuple(
                Failure(
                    file=f"{at}",
                    label="a",
                    predicted="b",
                    score=0.9,
                    jpeg=thumbnail(64),
                    nearest=(near,) * 5,
                )
                for at in range(n_failures)
            ),
            contact=tuple(
                Picture(path="p", label=f"c{at}", thumbnail=thumbnail(32))
                for at in range(n_classes)
                for _ in range(n_each)
            ),
        )

    def test_lists_are_cut_at_their_ends(self):
        found = page_rows.pictures(self.facts(n_failures=40))
        assert len(found.failures) == page_rows.MAX_FAILURES
        assert [name for name, _ in found.contact] == [f"c{at}" for at in range(20)]
        assert {len(own) for _, own in found.contact} == {page_rows.MAX_CONTACT}
        assert {len(each.nearest) for each in found.failures} == {page_rows.MAX_NEAREST}
        assert all(address for _, address in found.failures[0].nearest)

    @pytest.mark.parametrize("budget", [0, 5_000, 50_000, 200_000])
    def test_the_budget_holds(self, budget):
        found = page_rows.pictures(self.facts(), budget)
        addresses = [each.picture for each in found.failures]
        addresses += [address for each in found.failures for _, address in each.nearest]
        addresses += [address for _, own in found.contact for _, address in own]
        prefix = len("data:image/jpeg;base64,")
        assert sum(len(each) - prefix for each in addresses if each) <= budget
        # Words stay when pictures go.
        assert len(found.failures) == 3

    def test_what_is_no_picture_is_not_on_the_sheet(self):
        picture = Picture(path="p", label="a", thumbnail=b"<svg>")
        facts = ReportFacts(name="a", report=report_of(("a", "b")), contact=(picture,))
        assert page_rows.pictures(facts).contact == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 seconds"), (59.94, "59.9 seconds"), (60, "1 min 0 s"), (3599.6, "1 h 0 min")],
)
def test_times_are_written_for_people(seconds, text):
    assert page_rows.duration(seconds) == text
