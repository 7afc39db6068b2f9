import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import rng
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation import metrics
from fieldmark.evaluation.intervals import wilson

EQUAL = 1e-12


@st.composite
def measured(draw, min_classes=2):
    """Scores and labels of a network that is sometimes right; some classes may not occur."""
    n_classes = draw(st.integers(min_classes, 7))
    n = draw(st.integers(1, 80))
    numbers = rng.derive(draw(st.integers(0, 2**32)), "scores")
    labels = numbers.integers(0, draw(st.integers(1, n_classes)), n)
    logits = numbers.normal(size=(n, n_classes)) * draw(st.sampled_from([0.1, 1.0, 30.0, 300.0]))
    logits[np.arange(n), labels] += draw(st.floats(0, 3))
    logits -= logits.max(axis=1, keepdims=True)
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels


@given(measured())
def test_accuracy_equals_scikit_learn(found):
    probs, labels = found
    expected = sklearn.metrics.accuracy_score(labels, probs.argmax(axis=1))
    assert metrics.accuracy(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_balanced_accuracy_equals_scikit_learn(found):
    probs, labels = found
    # balanced_accuracy_score is this average, but warns about classes without examples.
    expected = sklearn.metrics.recall_score(
        labels, probs.argmax(axis=1), labels=np.unique(labels), average="macro"
    )
    assert metrics.balanced_accuracy(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_balanced_accuracy_is_scikit_learns_own_where_every_class_occurs(found):
    probs, labels = found
    labels = np.concatenate([labels, np.arange(probs.shape[1])])
    probs = np.concatenate([probs, np.eye(probs.shape[1])])
    expected = sklearn.metrics.balanced_accuracy_score(labels, probs.argmax(axis=1))
    assert metrics.balanced_accuracy(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_macro_f1_equals_scikit_learn_over_the_classes_that_occur(found):
    probs, labels = found
    expected = sklearn.metrics.f1_score(
        labels, probs.argmax(axis=1), labels=np.unique(labels), average="macro", zero_division=0
    )
    assert metrics.macro_f1(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_macro_f1_is_scikit_learns_default_where_every_class_occurs(found):
    probs, labels = found
    labels = np.concatenate([labels, np.arange(probs.shape[1])])
    probs = np.concatenate([probs, np.eye(probs.shape[1])])
    expected = sklearn.metrics.f1_score(labels, probs.argmax(axis=1), average="macro")
    assert metrics.macro_f1(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_log_loss_equals_scikit_learn(found):
    probs, labels = found
    expected = sklearn.metrics.log_loss(labels, probs, labels=np.arange(probs.shape[1]))
    assert metrics.log_loss(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_losses_per_example_average_to_the_log_loss(found):
    probs, labels = found
    each = metrics.losses(probs, labels)
    assert each.shape == labels.shape
    assert each.min() >= 0
    assert metrics.log_loss(probs, labels) == pytest.approx(each.mean(), abs=EQUAL)


@given(measured())
def test_the_confusion_matrix_equals_scikit_learn(found):
    probs, labels = found
    n_classes, predicted = probs.shape[1], probs.argmax(axis=1)
    expected = sklearn.metrics.confusion_matrix(labels, predicted, labels=np.arange(n_classes))
    got = metrics.confusion(labels, predicted, n_classes)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, expected)


@given(measured())
def test_recall_and_precision_equal_scikit_learn(found):
    probs, labels = found
    predicted = probs.argmax(axis=1)
    every = np.arange(probs.shape[1])
    precision, recall, _, support = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    rates = metrics.per_class(metrics.confusion(labels, predicted, len(every)))
    for index, one in enumerate(rates):
        assert one.n == support[index]
        assert (one.recall is None) == (support[index] == 0)
        assert (one.precision is None) == (not (predicted == index).any())
        if one.recall:
            assert one.recall.value == pytest.approx(recall[index], abs=EQUAL)
        if one.precision:
            assert one.precision.value == pytest.approx(precision[index], abs=EQUAL)


@given(measured(), st.randoms(use_true_random=False))
def test_metrics_do_not_depend_on_the_order_of_the_classes(found, random):
    probs, labels = found
    order = list(range(probs.shape[1]))
    random.shuffle(order)
    place = np.argsort(order)
    for metric in metrics.METRICS.values():
        renamed = metric(probs[:, order], place[labels])
        assert renamed == pytest.approx(metric(probs, labels), abs=1e-9)


@given(measured())
def test_metrics_do_not_depend_on_the_order_of_the_examples(found):
    probs, labels = found
    for metric in metrics.METRICS.values():
        assert metric(probs[::-1], labels[::-1]) == pytest.approx(metric(probs, labels), abs=1e-9)


def test_intervals_of_classes_are_wilsons_on_their_own_counts():
    cat, dog = metrics.per_class(np.array([[8, 2], [1, 9]]))
    assert (cat.recall.low, cat.recall.high) == wilson(8, 10)
    assert (cat.precision.low, cat.precision.high) == wilson(8, 9)
    assert (cat.recall.n, cat.precision.n, dog.precision.n) == (10, 9, 11)


def test_the_commonest_mistake_is_named_and_a_perfect_class_has_none():
    first, second, third = metrics.per_class(np.array([[5, 1, 3], [0, 9, 0], [2, 2, 5]]))
    assert first.mistaken_for == (2, 3)
    assert second.mistaken_for is None
    assert third.mistaken_for == (0, 2), "the first of equals"


def test_a_class_without_examples_has_no_recall_rather_than_zero():
    here, absent = metrics.per_class(np.array([[3, 1], [0, 0]]))
    assert here.recall.value == 0.75
    assert absent.recall is None
    assert absent.precision.value == 0.0
    assert absent.n == 0


def test_reading_the_matrix_leaves_it_as_it_was():
    counts = np.array([[3, 1], [0, 2]])
    metrics.per_class(counts)
    assert counts.tolist() == [[3, 1], [0, 2]]


def test_averages_leave_out_classes_without_examples():
    probs = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    labels = np.array([0, 0, 1, 1])
    assert metrics.balanced_accuracy(probs, labels) == 0.75
    assert metrics.macro_f1(probs, labels) == pytest.approx((1 + 2 / 3) / 2)


def test_many_matrices_are_averaged_at_once():
    several = np.array([[[2, 0], [0, 2]], [[1, 1], [1, 1]], [[0, 2], [2, 0]]])
    np.testing.assert_allclose(metrics.macro_f1_of(several), [1.0, 0.5, 0.0])
    np.testing.assert_allclose(metrics.balanced_accuracy_of(several), [1.0, 0.5, 0.0])


def test_a_certain_wrong_answer_costs_a_finite_loss():
    loss = metrics.log_loss(np.array([[1.0, 0.0]]), np.array([1]))
    assert loss == pytest.approx(36.04, abs=0.01)


def test_a_perfect_answer_costs_plain_zero():
    loss = metrics.losses(np.eye(2), np.array([0, 1]))
    assert not np.signbit(loss).any()
    assert loss.tolist() == [0.0, 0.0]


def test_scores_in_single_precision_are_accepted():
    probs = np.array([[0.1, 0.2, 0.7]], dtype=np.float32)
    assert metrics.log_loss(probs, np.array([2])) == pytest.approx(-np.log(0.7), abs=1e-6)


def test_the_first_of_equal_scores_wins():
    assert metrics.accuracy(np.array([[0.5, 0.5]]), np.array([0])) == 1.0
    assert metrics.accuracy(np.array([[0.5, 0.5]]), np.array([1])) == 0.0


@pytest.mark.parametrize("metric", metrics.METRICS.values(), ids=metrics.METRICS)
class TestEveryMetric:
    def test_returns_a_plain_float(self, metric):
        assert type(metric(np.eye(3), np.array([0, 1, 2]))) is float

    def test_refuses_to_measure_nothing(self, metric):
        with pytest.raises(DataError, match="not one example") as caught:
            metric(np.empty((0, 3)), np.empty(0, dtype=int))
        assert caught.value.code == "nothing-to-measure"

    @pytest.mark.parametrize(
        ("probs", "labels", "message"),
        [
            ([[0.5, 0.5]], [0, 1], r"shape \(1, 2\) for labels of shape \(2,\)"),
            ([0.5, 0.5], [0, 1], r"shape \(2,\)"),
            ([[0.5, 0.5]], [2], "labels 2 to 2 for 2 columns"),
            ([[0.5, 0.5]], [-1], "labels -1 to -1"),
            ([[0.5, 0.5]], [0.5], "not whole numbers"),
            ([[np.nan, 0.5]], [0], "1 scores that are not finite"),
            ([[np.inf, 0.5]], [0], "1 scores that are not finite"),
            ([[0.5, 0.6]], [0], "do not add up to 1"),
            ([[-0.2, 1.2]], [0], "negative"),
            ([[3.0, -4.0]], [0], "negative"),
        ],
    )
    def test_refuses_what_is_not_probabilities_and_labels(self, metric, probs, labels, message):
        with pytest.raises(UsageError, match=message) as caught:
            metric(np.array(probs), np.array(labels))
        assert caught.value.code == "bad-scores"


@pytest.mark.parametrize(("labels", "predicted"), [([0, 1], [0]), ([0, 3], [0, 1]), ([-1], [0])])
def test_the_confusion_matrix_refuses_what_does_not_fit(labels, predicted):
    with pytest.raises(UsageError, match="do not fit 3 classes"):
        metrics.confusion(np.array(labels), np.array(predicted), 3)


def test_the_confusion_matrix_of_nothing_is_all_zeros():
    none = np.empty(0, dtype=int)
    assert metrics.confusion(none, none, 2).tolist() == [[0, 0], [0, 0]]


def test_unsigned_labels_count_like_signed_ones():
    labels = np.array([0, 1, 2], dtype=np.uint8)
    counts = metrics.confusion(labels, labels.astype(np.int64), 3)
    assert np.trace(counts) == 3
