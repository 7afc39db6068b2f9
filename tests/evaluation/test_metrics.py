import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation import metrics
from tests.evaluation.answers import measured

EQUAL = 1e-12


@given(measured())
def test_losses_per_example_average_to_the_log_loss(found):
    probs, labels = found
    each = metrics.losses(probs, labels)
    assert each.shape == labels.shape
    assert each.min() >= 0
    assert metrics.log_loss(probs, labels) == pytest.approx(each.mean(), abs=EQUAL)


@given(measured(), st.randoms(use_true_random=False))
def test_metrics_do_not_depend_on_the_order_of_the_classes(found, random):
    probs, labels = found
    order = list(range(probs.shape[1]))
    random.shuffle(order)
    place = np.argsort(order)
    for metric in metrics.METRICS.values():
        renamed = metric(probs[:, order], place[labels])
        assert renamed == pytest.approx(metric(probs, labels), abs=1e-9, nan_ok=True)


@given(measured())
def test_metrics_do_not_depend_on_the_order_of_the_examples(found):
    probs, labels = found
    for metric in metrics.METRICS.values():
        assert metric(probs[::-1], labels[::-1]) == pytest.approx(
            metric(probs, labels), abs=1e-9, nan_ok=True
        )


def test_averages_leave_out_classes_without_examples():
    probs = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    labels = np.array([0, 0, 1, 1])
    assert metrics.balanced_accuracy(probs, labels) == 0.75
    assert metrics.macro_f1(probs, labels) == pytest.approx((1 + 2 / 3) / 2)


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


def test_many_sums_are_averaged_at_once():
    labels = np.array([0, 0, 1, 1])
    several = np.stack(
        [
            metrics.tallies(labels, np.array(predicted), 2).sum(axis=0)
            for predicted in ([0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 0, 0])
        ]
    )
    np.testing.assert_allclose(metrics.macro_f1_of(several), [1.0, 0.5, 0.0])
    np.testing.assert_allclose(metrics.balanced_accuracy_of(several), [1.0, 0.5, 0.0])


@given(measured())
def test_tallies_add_up_to_the_confusion_matrix_in_its_margins(found):
    probs, labels = found
    predicted, n_classes = probs.argmax(axis=1), probs.shape[1]
    counts = metrics.confusion(labels, predicted, n_classes)
    n_true, right, n_named = np.split(metrics.tallies(labels, predicted, n_classes).sum(axis=0), 3)
    np.testing.assert_array_equal(n_true, counts.sum(axis=1))
    np.testing.assert_array_equal(right, np.diag(counts))
    np.testing.assert_array_equal(n_named, counts.sum(axis=0))


@given(measured())
def test_penalties_per_example_average_to_the_brier_score_and_stay_in_range(found):
    probs, labels = found
    each = metrics.briers(probs, labels)
    assert each.shape == labels.shape
    assert 0 <= each.min() <= each.max() <= 1 + EQUAL
    assert metrics.brier(probs, labels) == pytest.approx(each.mean(), abs=EQUAL)


def test_the_worst_brier_score_is_one_with_any_number_of_classes():
    for n in (2, 3, 9):
        assert metrics.brier(np.eye(n)[[0]], np.array([1])) == 1.0
        assert metrics.brier(np.eye(n)[[0]], np.array([0])) == 0.0


@given(measured())
def test_the_top_grows_from_the_accuracy_to_all(found):
    probs, labels = found
    tops = [metrics.top_k(probs, labels, k) for k in range(1, probs.shape[1] + 1)]
    assert tops == sorted(tops)
    assert tops[0] == metrics.accuracy(probs, labels)
    assert tops[-1] == 1.0


def test_one_class_alone_has_no_order_to_judge():
    assert np.isnan(metrics.macro_auc(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])))


def test_scores_that_are_all_equal_are_guessing():
    assert metrics.macro_auc(np.full((6, 3), 1 / 3), np.arange(6) % 3) == 0.5
