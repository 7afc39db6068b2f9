"""Every number's interval, where resampling alone would be sure of what nobody can know."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.evaluation import measures
from fieldmark.evaluation.intervals import wilson, wilson_rate
from fieldmark.evaluation.measures import Sample
from fieldmark.evaluation.resampling import Resampling
from tests.evaluation.answers import measured

AVERAGES = (measures.balanced_accuracy, measures.macro_f1, measures.auc)
PENALTIES = (measures.log_loss, measures.brier)


def sample(right, *, sure=0.9, groups=None, n_classes=2, seed=0):
    """Classes that take turns; wrong answers name the next class."""
    right = np.asarray(right, bool)
    truth = np.arange(len(right)) % n_classes
    scores = np.full((len(right), n_classes), (1 - sure) / (n_classes - 1))
    scores[np.arange(len(right)), np.where(right, truth, (truth + 1) % n_classes)] = sure
    return Sample.of(scores, truth, Resampling(seed, groups))


PERFECT = np.ones(50, bool)


# --- without a mistake


@pytest.mark.parametrize("sure", [0.9, 1.0])
@pytest.mark.parametrize("measure", [*AVERAGES, *PENALTIES])
def test_a_perfect_test_part_is_not_certain(measure, sure):
    found = measure(sample(PERFECT, sure=sure))
    assert found.high - found.low > 0.02
    assert found.low <= found.value <= found.high


def test_perfect_averages_are_as_sure_as_wilson_is_of_their_examples():
    found = sample(PERFECT)
    for measure in (measures.balanced_accuracy, measures.macro_f1):
        assert (measure(found).low, measure(found).high) == pytest.approx(wilson(50, 50))
    # 25 of each class: as many pairs that share no example.
    assert (measures.auc(found).low, measures.auc(found).high) == pytest.approx(wilson(25, 25))


def test_many_classes_make_the_order_nearly_as_sure_as_the_accuracy():
    low = measures.auc(sample(np.ones(60, bool), n_classes=6)).low
    assert low == pytest.approx(wilson(50, 50)[0])


def test_a_small_class_makes_a_perfect_average_as_doubtful_as_it_is_itself():
    truth = np.array([0] * 1000 + [1] * 4)
    found = Sample.of(np.eye(2)[truth], truth, Resampling(0))
    low = measures.balanced_accuracy(found).low
    assert low == pytest.approx(wilson_rate(1.0, 4 / (1 / 1000 + 1 / 4))[0])
    assert low < 0.85


def test_a_perfect_loss_may_be_what_a_few_runner_ups_would_make_it():
    found = sample(PERFECT, sure=0.9)
    unseen = 1 - wilson(50, 50)[0]
    loss, brier = measures.log_loss(found), measures.brier(found)
    right, wrong = -np.log(0.9), -np.log(0.1)
    assert (loss.value, loss.low) == pytest.approx((right, right))
    assert loss.high == pytest.approx(right + unseen * (wrong - right))
    assert brier.high == pytest.approx(0.01 + unseen * (0.81 - 0.01))


def test_not_one_right_answer_mirrors_it():
    found = sample(~PERFECT, sure=0.9)
    unseen = 1 - wilson(50, 50)[0]
    loss = measures.log_loss(found)
    assert loss.high == pytest.approx(-np.log(0.1))
    assert loss.low == pytest.approx(-np.log(0.1) - unseen * (np.log(0.9) - np.log(0.1)))
    low, high = wilson(0, 50)
    accuracy = measures.balanced_accuracy(found)
    assert (accuracy.low, accuracy.high) == pytest.approx((low, high))


@pytest.mark.parametrize("measure", AVERAGES)
def test_just_short_of_perfect_is_not_surer_than_perfect(measure):
    almost = np.ones(2000, bool)
    almost[7] = False
    short, perfect = measure(sample(almost)), measure(sample(np.ones(2000, bool)))
    assert short.value < perfect.value == 1
    assert short.low <= perfect.low


def test_one_pair_of_a_million_in_the_wrong_order_does_not_make_the_auc_certain():
    truth = np.arange(2000) % 2
    score = 0.6 * truth + np.linspace(0.1, 0.3, 2000)
    score[0], score[1] = score[1], score[0]
    found = measures.auc(Sample.of(np.stack([1 - score, score], axis=1), truth, Resampling(0)))
    assert 0.99 < found.value < 1
    assert found.low <= wilson(1000, 1000)[0]


@pytest.mark.parametrize("measure", [*AVERAGES, *PENALTIES])
def test_in_perfect_groups_each_group_is_one_example(measure):
    alone = measure(sample(PERFECT[:20]))
    groups = np.repeat(np.arange(20), 5)
    truth = np.repeat(np.arange(20) % 2, 5)
    scores = np.full((100, 2), 0.1)
    scores[np.arange(100), truth] = 0.9
    found = measure(Sample.of(scores, truth, Resampling(0, groups)))
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))
    assert (found.n, found.n_groups) == (100, 20)


@pytest.mark.parametrize("measure", [*AVERAGES, *PENALTIES])
def test_one_group_alone_says_next_to_nothing(measure):
    right = np.arange(40) % 4 > 0
    found = measure(sample(right, groups=np.zeros(40, int)))
    assert found.low < found.value < found.high
    assert found.high - found.low > 0.3


# --- otherwise


def test_a_share_among_some_counts_only_those_and_their_groups():
    right = np.array([1, 1, 0, 1, 1, 1, 0, 1], bool)
    found = sample(right)
    one = measures.share("recall", found, found.right, found.truth == 0)
    assert (one.value, one.n, one.n_groups) == (0.5, 4, None)
    assert (one.low, one.high) == wilson(2, 4)
    grouped = sample(right, groups=np.array([0, 0, 0, 0, 1, 1, 2, 2]))
    one = measures.share("recall", grouped, grouped.right, grouped.truth == 0)
    assert (one.n, one.n_groups) == (4, 3)
    assert one.low < wilson(2, 4)[0]


def test_one_class_alone_has_no_auc():
    truth = np.zeros(5, int)
    assert measures.auc(Sample.of(np.full((5, 2), 0.5), truth, Resampling(0))) is None


def test_a_model_of_one_class_can_be_measured():
    found = Sample.of(np.ones((5, 1)), np.zeros(5, int), Resampling(0))
    for measure in PENALTIES:
        one = measure(found)
        assert (one.low, one.value, one.high) == (0, 0, 0), "there is no other answer"


@settings(max_examples=25)
@given(measured(), st.integers(1, 12), st.randoms(use_true_random=False))
def test_intervals_hold_the_value_and_do_not_depend_on_the_order(found, n_groups, random):
    probs, labels = found
    groups = np.arange(len(labels)) % n_groups
    order = list(range(len(labels)))
    random.shuffle(order)
    one = Sample.of(probs, labels, Resampling(3, groups))
    other = Sample.of(probs[order], labels[order], Resampling(3, groups[order]))
    for measure in (*AVERAGES, *PENALTIES):
        first, second = measure(one), measure(other)
        if first is None:
            assert second is None
            continue
        assert first.low <= first.value <= first.high
        assert first.low >= 0
        assert np.isfinite(first.high)
        assert second.value == pytest.approx(first.value, abs=1e-9)
        if measure is not measures.auc:  # whose draws are of examples, not of sorted sums
            assert (second.low, second.high) == pytest.approx((first.low, first.high), abs=1e-9)


def test_rare_mistakes_of_a_sure_model_are_covered_where_the_bootstrap_sees_none():
    """A hundred test sets of 50 with 1 % wrong: most of them hold no mistake at all."""
    held = 0
    for number in range(100):
        right = rng.derive(number, "rare").random(50) >= 0.01
        found = measures.brier(sample(right, sure=0.95, seed=number))
        held += found.low <= 0.99 * 0.05**2 + 0.01 * 0.95**2 <= found.high
    assert held >= 92


@pytest.mark.parametrize("measure", [*AVERAGES, *PENALTIES])
def test_a_few_groups_are_no_surer_than_as_many_pictures(measure):
    right = np.arange(48) % 8 != 0  # every group has the same mistakes, so resampling sees no doubt
    few = measure(sample(right, groups=np.arange(48) // 12))
    many = measure(sample(np.tile(right, 4), groups=np.arange(192) // 12))
    assert few.n_groups == 4
    assert few.high - few.low > 0.3
    assert few.low <= few.value <= few.high
    assert few.high - few.low > 1.5 * (many.high - many.low)
