import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation.comparison import (
    KINDS,
    MIN_UNITS,
    Common,
    Comparison,
    Entrant,
    compare_answers,
)
from fieldmark.evaluation.comparison_lines import N_SHOWN, nats, p_text, points, sentence, shown
from fieldmark.evaluation.report import Measurement
from fieldmark.evaluation.wording import columns

CLASSES = ("daisy", "rose", "tulip")


def common(n=60, groups=None, labels=None, paths=None):
    labels = np.arange(n) % 3 if labels is None else np.asarray(labels)
    return Common(
        classes=CLASSES,
        paths=tuple(paths or (f"{CLASSES[label]}/{at}.jpg" for at, label in enumerate(labels))),
        sha256=tuple(f"{at:064x}" for at in range(n)),
        labels=labels.astype(np.int64),
        groups=groups,
    )


def entrant(name, labels, wrong=(), sure=0.9, by=1):
    """Right on everything but the places in ``wrong``, where it takes the class ``by`` further."""
    answers = np.asarray(labels).astype(np.int64).copy()
    answers[list(wrong)] = (answers[list(wrong)] + by) % 3
    probs = np.full((len(answers), 3), (1 - sure) / 2)
    probs[np.arange(len(answers)), answers] = sure
    return Entrant.of_scores(name, probs, np.asarray(labels))


def compared(*wrongs, n=60, groups=None):
    given = common(n, groups)
    entrants = [
        entrant(f"pets-{at}", given.labels, wrong) for at, wrong in enumerate(wrongs, start=1)
    ]
    return compare_answers(given, entrants, conditions={"pictures": "made up"})


# --- the numbers


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_what_changed_and_what_did_not_add_up(answers):
    labels, before, after = np.array(answers, np.int64).T
    given = common(len(answers), labels=labels)
    eye = np.eye(3) * 0.7 + 0.1
    one, two = (
        Entrant.of_scores(name, eye[of], labels) for name, of in (("a", before), ("b", after))
    )
    found = compare_answers(given, [one, two], conditions={})
    (difference,) = found.differences
    assert len(difference.changed) == (before != after).sum()
    assert len(difference.of("fixed")) == difference.n_fixed
    assert len(difference.of("broken")) == difference.n_broken
    assert (
        len(difference.of("other"))
        == ((before != after) & (before != labels) & (after != labels)).sum()
    )
    first, second = (side.accuracy.value for side in found.sides)
    assert difference.accuracy.value == pytest.approx(second - first)
    assert difference.accuracy.value == pytest.approx(
        (difference.n_fixed - difference.n_broken) / len(answers)
    )


def test_a_changed_picture_says_what_it_is_and_was_taken_for():
    (difference,) = compared([4], [5]).differences
    broken, fixed = difference.changed
    assert (broken.kind, broken.path, broken.label) == ("broken", "tulip/5.jpg", "tulip")
    assert (broken.before, broken.after) == ("tulip", "daisy")
    assert (broken.before_score, broken.after_score) == (0.9, 0.9)
    assert (fixed.kind, fixed.path, fixed.before, fixed.after) == (
        *("fixed", "rose/4.jpg", "tulip", "rose"),
    )
    assert fixed.sha256 == f"{4:064x}"


def test_wrong_in_another_way_is_neither_fixed_nor_broken():
    given = common()
    one = entrant("a", given.labels, [7])
    two = entrant("b", given.labels, [7], by=2)
    (difference,) = compare_answers(given, [one, two], conditions={}).differences
    assert [each.kind for each in difference.changed] == ["other"]
    assert (difference.n_fixed, difference.n_broken, difference.p_value) == (0, 0, 1.0)


def test_changed_pictures_come_by_kind_and_then_by_how_far_their_scores_moved():
    given = common()
    one = entrant("a", given.labels, [1])
    probs = np.eye(3)[given.labels] * 0.7 + 0.1
    for at, sure in ((10, 0.6), (11, 0.95), (12, 0.8)):
        probs[at] = (1 - sure) / 2
        probs[at, (given.labels[at] + 1) % 3] = sure
    two = Entrant.of_scores("b", probs, given.labels)
    (difference,) = compare_answers(given, [one, two], conditions={}).differences
    assert [each.path.partition("/")[2] for each in difference.changed] == [
        *("11.jpg", "12.jpg", "10.jpg", "1.jpg"),
    ]


# --- what may be said


@given(st.sets(st.integers(0, 59)), st.sets(st.integers(0, 59)))
def test_better_and_worse_are_said_only_where_the_interval_leaves_0_out(first, second):
    (difference,) = compared(first, second).differences
    words = {word for word in ("better", "worse") if word in sentence("pets-1", difference)}
    low, high = difference.accuracy.low, difference.accuracy.high
    expected = {"better"} if low > 0 else {"worse"} if high < 0 else set()
    assert words == expected


def test_a_better_run_is_called_better_and_its_log_loss_lower():
    found = compared(range(30), range(5))
    (difference,) = found.differences
    assert difference.verdict == difference.loss_verdict == "better"
    assert sentence("pets-1", difference) == (
        "pets-2 is better than pets-1. Its log loss is lower."
    )
    assert found.worse == ()


def test_a_worse_run_is_named():
    found = compared(range(5), range(30))
    assert [each.name for each in found.worse] == ["pets-2"]
    assert sentence("pets-1", found.worse[0]) == (
        "pets-2 is worse than pets-1. Its log loss is higher."
    )


def test_equal_answers_are_not_told_apart():
    (difference,) = compared([1, 2], [1, 2]).differences
    assert difference.verdict == difference.loss_verdict == "unclear"
    assert difference.changed == ()
    assert difference.accuracy.low < 0 < difference.accuracy.high


def test_a_handful_of_pictures_tells_nothing_apart():
    found = compared([], range(9), n=9)
    (difference,) = found.differences
    assert difference.accuracy.high < 0
    assert difference.verdict == difference.loss_verdict == "unclear"
    assert found.worse == ()
    assert f"Fewer than {MIN_UNITS} pictures: too few to tell anything apart." in found.notes
    assert compared([], range(10), n=10).worse != ()


def test_a_handful_of_groups_tells_nothing_apart_however_many_pictures():
    found = compared([], range(60), groups=np.repeat(np.arange(6), 10))
    assert (found.n, found.n_groups) == (60, 6)
    assert found.worse == ()
    assert "Fewer than 10 groups: too few to tell anything apart." in found.notes


def test_groups_are_said_with_what_they_do_to_the_other_numbers():
    found = compared(range(20), range(2), groups=np.repeat(np.arange(20), 3))
    assert found.n_groups == found.differences[0].n_units == 20
    (note,) = [each for each in found.notes if "20 groups" in each]
    assert "McNemar" in note


# --- several


def test_every_run_is_compared_with_the_first_and_the_multiplicity_is_said():
    found = compared(range(10), range(2), range(10, 30))
    assert [each.name for each in found.differences] == ["pets-2", "pets-3"]
    alone = compared(range(10), range(2)).differences[0]
    together = found.differences[0]
    assert together.p_value == alone.p_value
    assert together.p_adjusted == 2 * alone.p_value
    assert together.accuracy.level == 0.975
    assert together.accuracy.low < alone.accuracy.low
    assert any("2 comparisons at once" in note and "Holm" in note for note in found.notes)
    assert not any("at once" in note for note in compared([1], [2]).notes)


def test_a_difference_that_is_sure_alone_need_not_be_sure_among_many():
    wrong, right = range(6), []
    assert compared(wrong, right).differences[0].verdict == "better"
    among = compared(wrong, right, *([range(6)] * 18))
    assert among.differences[0].verdict == "unclear"


# --- what does not fit


def test_one_run_alone_is_no_comparison():
    given = common()
    with pytest.raises(UsageError, match="1 classifiers on 60 pictures") as caught:
        compare_answers(given, [entrant("a", given.labels)], conditions={})
    assert caught.value.code == "bad-scores"


@pytest.mark.parametrize("column", ["answers", "sure", "losses"])
def test_answers_to_other_pictures_are_refused(column):
    given = common()
    one = entrant("a", given.labels)
    short = dataclasses.replace(one, **{column: getattr(one, column)[1:]})
    with pytest.raises(UsageError, match="cannot be compared"):
        compare_answers(given, [one, short], conditions={})


@pytest.mark.parametrize("column", ["paths", "sha256", "groups"])
def test_facts_about_other_pictures_are_refused(column):
    given = common(groups=np.zeros(60, np.int64))
    one = entrant("a", given.labels)
    short = dataclasses.replace(given, **{column: getattr(given, column)[1:]})
    with pytest.raises(UsageError, match="cannot be compared"):
        compare_answers(short, [one, one], conditions={})


def test_no_pictures_are_an_error():
    given = common(0)
    nobody = Entrant(name="a", answers=given.labels, sure=np.empty(0), losses=np.empty(0))
    with pytest.raises(DataError, match="not one example") as caught:
        compare_answers(given, [nobody, nobody], conditions={})
    assert caught.value.code == "nothing-to-measure"


# --- as JSON and as text


def test_json_holds_every_number_and_every_changed_picture():
    found = compared(range(40), range(20, 60), range(3))
    facts = found.to_dict()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["schema"] == "fieldmark.comparison/1"
    assert facts["n"] == 60
    assert facts["conditions"] == {"pictures": "made up"}
    first, second = facts["differences"]
    assert len(first["changed"]) == 40
    assert (first["n_fixed"], first["n_broken"]) == (20, 20)
    assert first["accuracy"]["method"] == "Agresti-Min"
    assert (first["verdict"], second["verdict"]) == ("unclear", "better")
    assert {each["kind"] for each in first["changed"]} == {"broken", "fixed"}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_screen(width):
    hostile = ["x" * 300, "薔薇" * 60, "a\nb\x1b[2J" * 20] + [f"{at}.jpg" for at in range(57)]
    given = common(paths=hostile)
    made = [
        entrant(name, given.labels, wrong)
        for name, wrong in (("n" * 90, [0, 1]), ("薔" * 50, [2, 3]), ("a\x1b[31m", range(9)))
    ]
    lines = compare_answers(given, made, conditions={}).lines(width)
    assert max(columns(line) for line in lines) <= width
    assert all(line.isprintable() for line in lines)


def test_the_text_shows_twenty_changed_pictures_and_counts_the_others():
    text = str(compared(range(40), range(20, 60)))
    assert text.count(" -> ") == N_SHOWN == 20
    assert text.count("  fixed ") == text.count("  broken ") == 10
    assert "and 20 more" in text


def test_paths_are_whole_where_there_is_room():
    given = common(paths=["a/" * 60 + f"{at}.jpg" for at in range(60)])
    one, two = (entrant(name, given.labels, wrong) for name, wrong in (("a", [1]), ("b", [2])))
    found = compare_answers(given, [one, two], conditions={})
    assert not any("a/2.jpg" in line for line in found.lines(80))
    lines = found.lines(80, room=10_000)
    assert any(line.endswith("a/2.jpg") for line in lines)
    assert all(columns(line) <= 80 for line in lines if " -> " not in line)


def test_what_both_have_wrong_says_what_it_is():
    given = common()
    one, two = entrant("a", given.labels, [7]), entrant("b", given.labels, [7], by=2)
    text = str(compare_answers(given, [one, two], conditions={}))
    assert "  both wrong  tulip 90 % -> daisy 90 %, is rose  rose/7.jpg" in text


def test_few_changes_of_one_kind_are_not_crowded_out():
    (difference,) = compared([59], range(40)).differences
    kinds = [each.kind for each in shown(difference)]
    assert (kinds.count("fixed"), kinds.count("broken")) == (1, 19)
    assert kinds == sorted(kinds, key=KINDS.index)


def test_the_text_says_the_methods_and_the_two_counts():
    text = str(compared(range(10), range(6, 12)))
    assert "Agresti-Min" in text
    assert "paired bootstrap" in text
    assert "6 fixed, 2 broken, 0 both wrong: exact McNemar p = 0.289" in text
    assert "60 pictures that pets-1 and pets-2 have in common" in text
    assert "Holm" in str(compared([1], [2], [3]))


def test_what_was_left_out_is_said_by_run():
    found = compared([1], [2])
    one = dataclasses.replace(found.sides[0], n_only=1)
    two = dataclasses.replace(found.sides[1], n_learned=1234)
    text = str(dataclasses.replace(found, sides=(one, two)))
    assert "Only in pets-1, so left out: 1 picture." in text
    assert "pets-2 was trained or chosen on them: 1,234 pictures." in " ".join(text.split())


def test_numbers_are_written_with_their_sign():
    def of(value, low, high):
        return Measurement("difference", value, low, high, 9)

    assert points(of(-0.0123, -0.05, 0.025)) == "-1.2 points (-5.0 to +2.5)"
    assert points(of(0.0, -0.00001, 0.00001)) == "0.0 points (0.0 to 0.0)"
    assert nats(of(0.5, -0.0001, 1.0)) == "+0.500 (0.000 to +1.000)"
    assert (p_text(0.0), p_text(0.00099), p_text(0.001)) == ("p < 0.001", "p < 0.001", "p = 0.001")


def test_a_comparison_cannot_be_changed():
    found = compared([1], [2])
    assert isinstance(found, Comparison)
    with pytest.raises(AttributeError, match="n"):
        found.n = 3


def test_log_losses_are_those_of_the_report():
    given = common()
    probs = rng.derive(0, "scores").dirichlet(np.ones(3), 60)
    one = Entrant.of_scores("a", probs, given.labels)
    found = compare_answers(given, [one, one], conditions={})
    expected = -np.log(probs[np.arange(60), given.labels]).mean()
    assert found.sides[0].log_loss.value == pytest.approx(expected)
