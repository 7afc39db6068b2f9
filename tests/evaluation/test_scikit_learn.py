"""Every metric that scikit-learn has too is the same number, to 1e-12."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.evaluation import metrics
from fieldmark.evaluation.report import measure
from tests.evaluation.answers import measured

sklearn_metrics = pytest.importorskip(
    "sklearn.metrics", reason="scikit-learn comes with the extra `demo`"
)

EQUAL = 1e-12


@given(measured())
def test_accuracy_equals_scikit_learn(found):
    probs, labels = found
    expected = sklearn_metrics.accuracy_score(labels, probs.argmax(axis=1))
    assert metrics.accuracy(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_balanced_accuracy_equals_scikit_learn(found):
    probs, labels = found
    # balanced_accuracy_score is this average, but warns about classes without examples.
    expected = sklearn_metrics.recall_score(
        labels, probs.argmax(axis=1), labels=np.unique(labels), average="macro"
    )
    assert metrics.balanced_accuracy(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_balanced_accuracy_is_scikit_learns_own_where_every_class_occurs(found):
    probs, labels = found
    labels = np.concatenate([labels, np.arange(probs.shape[1])])
    probs = np.concatenate([probs, np.eye(probs.shape[1])])
    expected = sklearn_metrics.balanced_accuracy_score(labels, probs.argmax(axis=1))
    assert metrics.balanced_accuracy(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_macro_f1_equals_scikit_learn_over_the_classes_that_occur(found):
    probs, labels = found
    expected = sklearn_metrics.f1_score(
        labels, probs.argmax(axis=1), labels=np.unique(labels), average="macro", zero_division=0
    )
    assert metrics.macro_f1(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_macro_f1_is_scikit_learns_default_where_every_class_occurs(found):
    probs, labels = found
    labels = np.concatenate([labels, np.arange(probs.shape[1])])
    probs = np.concatenate([probs, np.eye(probs.shape[1])])
    expected = sklearn_metrics.f1_score(labels, probs.argmax(axis=1), average="macro")
    assert metrics.macro_f1(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_log_loss_equals_scikit_learn(found):
    probs, labels = found
    expected = sklearn_metrics.log_loss(labels, probs, labels=np.arange(probs.shape[1]))
    assert metrics.log_loss(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_the_confusion_matrix_equals_scikit_learn(found):
    probs, labels = found
    n_classes, predicted = probs.shape[1], probs.argmax(axis=1)
    expected = sklearn_metrics.confusion_matrix(labels, predicted, labels=np.arange(n_classes))
    got = metrics.confusion(labels, predicted, n_classes)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, expected)


@given(measured())
def test_the_brier_score_equals_scikit_learns_halved_one(found):
    probs, labels = found
    expected = sklearn_metrics.brier_score_loss(
        labels, probs, labels=np.arange(probs.shape[1]), scale_by_half=True
    )
    assert metrics.brier(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured(min_classes=3), st.integers(1, 6))
def test_top_k_accuracy_equals_scikit_learn(found, k):
    probs, labels = found
    n_classes = probs.shape[1]
    k = min(k, n_classes - 1)
    # Of equal scores it takes the last class and fieldmark the first, so it gets them backwards.
    expected = sklearn_metrics.top_k_accuracy_score(
        n_classes - 1 - labels, probs[:, ::-1], k=k, labels=np.arange(n_classes)
    )
    assert metrics.top_k(probs, labels, k) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_the_auc_equals_scikit_learn_over_the_classes_that_occur(found):
    probs, labels = found
    present = np.unique(labels)
    if len(present) < 2:
        return
    each = [sklearn_metrics.roc_auc_score(labels == at, probs[:, at]) for at in present]
    assert metrics.macro_auc(probs, labels) == pytest.approx(np.mean(each), abs=EQUAL)


@given(measured(min_classes=3))
def test_the_auc_is_scikit_learns_own_where_every_class_occurs(found):
    probs, labels = found
    labels = np.concatenate([labels, np.arange(probs.shape[1])])
    probs = np.concatenate([probs, np.eye(probs.shape[1])])
    expected = sklearn_metrics.roc_auc_score(labels, probs, multi_class="ovr", average="macro")
    assert metrics.macro_auc(probs, labels) == pytest.approx(expected, abs=EQUAL)


@given(measured())
def test_recall_and_precision_equal_scikit_learn(found):
    probs, labels = found
    predicted, every = probs.argmax(axis=1), np.arange(probs.shape[1])
    precision, recall, _, support = sklearn_metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    names = tuple(map(str, every))
    report = measure(probs, labels, names, baseline_class="0", conditions={}, seed=0)
    assert set(report.missing_classes) == {names[at] for at in every if not support[at]}
    for one in report.per_class:
        at = int(one.name)
        assert one.n == support[at]
        assert one.recall.value == pytest.approx(recall[at], abs=EQUAL)
        assert (one.precision is None) == (not (predicted == at).any())
        if one.precision:
            assert one.precision.value == pytest.approx(precision[at], abs=EQUAL)
