from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fieldmark.errors import ConfigError, UsageError
from fieldmark.rng import derive
from fieldmark.training import head as head_module
from fieldmark.training.head import Head, HeadSettings, Rows, quick_estimate, solve
from fieldmark.training.search import GRID
from tests.training.blobs import blobs, rows_of, softmax, taken, with_copies

SETTINGS = HeadSettings()
FIXED = HeadSettings(strengths=(0.05,))
RIDGE = HeadSettings(method="ridge")


def solved(rows: Rows, settings: HeadSettings = SETTINGS, **more: object) -> Head:
    return solve(rows, n_classes=int(rows.labels.max()) + 1, settings=settings, seed=3, **more)


def probs_of(head: Head, rows: Rows) -> np.ndarray:
    return softmax(head.logits(rows.features))


@pytest.mark.parametrize("n_classes", [2, 3, 30])
@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_the_head_is_that_of_scikit_learn(n_classes: int, strength: float) -> None:
    rows = blobs(300, 20, n_classes)
    z = (rows.features - rows.features.mean(axis=0)) / rows.features.std(axis=0)
    # scikit-learn sums the losses, and penalises one vector where there are two classes.
    c = 1 / (300 * strength) * (2 if n_classes == 2 else 1)
    peer = LogisticRegression(C=c, tol=1e-9, max_iter=5000).fit(z.astype(np.float64), rows.labels)
    ours = probs_of(solved(rows, HeadSettings(strengths=(strength,))), rows)
    assert np.abs(ours - peer.predict_proba(z)).max() < 1e-4


def test_class_weights_are_those_of_scikit_learn() -> None:
    rows = taken(blobs(400, 8, 3), np.r_[0:100, 100:400:3])
    z = (rows.features - rows.features.mean(axis=0)) / rows.features.std(axis=0)
    n = len(z)
    peer = LogisticRegression(C=1 / (n * 0.05), class_weight="balanced", tol=1e-9, max_iter=5000)
    ours = solved(rows, HeadSettings(strengths=(0.05,), balance="weights"))
    assert np.abs(probs_of(ours, rows) - peer.fit(z, rows.labels).predict_proba(z)).max() < 1e-4


@pytest.mark.parametrize("method", ["logistic", "ridge"])
def test_the_order_of_the_rows_does_not_matter(method: str) -> None:
    rows = with_copies(blobs(120, 6, 3, apart=0.5), 1, noise=0.1)
    settings = HeadSettings(method=method)
    order = np.random.default_rng(1).permutation(len(rows.labels))
    first, again = solved(rows, settings), solved(taken(rows, order), settings)
    assert again.strength == first.strength
    assert again.cv_log_loss == pytest.approx(first.cv_log_loss, abs=1e-4)
    assert np.abs(probs_of(first, rows) - probs_of(again, rows)).max() < 1e-3
    # The lines of out_of_fold follow the rows.
    back = np.full(len(order), -1)
    back[again.scored] = np.arange(len(again.scored))
    matched = again.out_of_fold[back[np.argsort(order)[first.scored]]]
    assert np.abs(softmax(matched) - softmax(first.out_of_fold)).max() < 0.02


@pytest.mark.parametrize("method", ["logistic", "ridge"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_names_of_the_classes_do_not_matter(method: str, n_classes: int) -> None:
    rows = blobs(120, 6, n_classes, apart=0.5)
    names = np.random.default_rng(2).permutation(n_classes)
    settings = HeadSettings(method=method)
    first, again = (
        solved(rows, settings),
        solved(replace(rows, labels=names[rows.labels]), settings),
    )
    assert again.strength == first.strength
    assert again.cv_log_loss == pytest.approx(first.cv_log_loss, abs=1e-4)
    assert np.abs(probs_of(first, rows) - probs_of(again, rows)[:, names]).max() < 1e-3


@pytest.mark.parametrize("method", ["logistic", "ridge"])
def test_units_and_offsets_of_the_features_do_not_matter(method: str) -> None:
    rows = blobs(120, 6, 3, apart=0.5)
    settings = HeadSettings(method=method)
    factors, offsets = np.geomspace(1e-3, 1e3, 6), np.array([0, 5, -5, 50, 100, 1000])
    moved = replace(rows, features=((rows.features + offsets) * factors).astype(np.float32))
    first, again = solved(rows, settings), solved(moved, settings)
    assert again.strength == first.strength
    assert np.abs(probs_of(first, rows) - probs_of(again, moved)).max() < 2e-3


@pytest.mark.parametrize("method", ["logistic", "ridge"])
def test_the_same_rows_give_the_same_bytes(method: str) -> None:
    rows = blobs(200, 30, 3)
    first, again = (solved(rows, HeadSettings(method=method)) for _ in range(2))
    assert first.weights.tobytes() == again.weights.tobytes()
    assert first.out_of_fold.tobytes() == again.out_of_fold.tobytes()
    assert first.path == again.path


@pytest.mark.parametrize("method", ["logistic", "ridge"])
def test_copies_of_an_example_do_not_leak_into_its_score(method: str) -> None:
    """Random labels can be known by heart only: an honest score stays at chance."""
    rng = np.random.default_rng(0)
    few = rows_of(rng.normal(size=(80, 60)), np.arange(80) % 2)
    rows = with_copies(few, 3, noise=1e-3)
    honest = solved(rows, HeadSettings(method=method))
    leaking = solved(replace(rows, groups=np.arange(len(rows.labels))), HeadSettings(method=method))
    assert honest.cv_accuracy < 0.7
    assert honest.cv_log_loss > 0.6
    assert leaking.cv_accuracy > 0.85
    assert len(honest.out_of_fold) == 80


def test_copies_count_once_in_total() -> None:
    rows = blobs(60, 5, 3)
    third = np.arange(60) % 3 == 0
    some = with_copies(rows, 2)
    kept = taken(some, np.flatnonzero(some.original | np.repeat(third, 3)))
    plain, copied = solved(rows, FIXED), solved(kept, FIXED)
    assert np.abs(probs_of(plain, rows) - probs_of(copied, rows)).max() < 1e-4
    assert copied.cv_log_loss == pytest.approx(plain.cv_log_loss, abs=1e-3)


@pytest.mark.parametrize("method", ["logistic", "ridge"])
def test_constant_columns_get_no_weight(method: str) -> None:
    rows = blobs(60, 4, 2)
    flat = np.full((60, 3), [0.0, 7.7, -1e6])
    wide = replace(rows, features=np.hstack([rows.features, flat]).astype(np.float32))
    head, plain = (
        solved(wide, HeadSettings(method=method)),
        solved(rows, HeadSettings(method=method)),
    )
    assert (head.weights[4:] == 0).all()
    assert np.abs(probs_of(head, wide) - probs_of(plain, rows)).max() < 1e-3


@pytest.mark.parametrize("method", ["logistic", "ridge"])
def test_more_columns_than_rows_are_no_trouble(method: str) -> None:
    rows = blobs(40, 300, 4, apart=6)
    head = solved(rows, HeadSettings(method=method))
    assert head.cv_accuracy > 0.8
    assert np.isfinite(head.weights).all()


@pytest.mark.parametrize("method", ["logistic", "ridge"])
def test_rare_classes_are_learned_and_scored_honestly(method: str) -> None:
    common = blobs(60, 8, 4, apart=3)
    which = np.flatnonzero((common.labels < 2) | (np.arange(60) < 5) | (np.arange(60) == 6))
    rows = taken(common, which)
    assert np.bincount(rows.labels).tolist() == [15, 15, 2, 1]
    head = solved(rows, HeadSettings(method=method))
    assert np.isfinite(head.out_of_fold).all()
    alone = rows.labels[head.scored] == 3
    unseen = softmax(head.out_of_fold[alone])[0, 3]
    assert unseen < 0.25  # chance
    assert (head.logits(rows.features).argmax(axis=1) == rows.labels).mean() > 0.9


def test_a_class_that_a_fold_has_not_seen_counts_as_half_an_example() -> None:
    common = blobs(60, 8, 3, apart=3)
    rows = taken(common, np.flatnonzero((common.labels < 2) | (np.arange(60) == 2)))
    head = solved(rows, FIXED)
    unseen = softmax(head.out_of_fold[rows.labels[head.scored] == 2])[0, 2]
    others = len(rows.labels) - np.bincount(np.arange(len(rows.labels)) % 5)
    assert any(unseen == pytest.approx(0.5 / (n + 0.5), rel=1e-3) for n in others)


def test_where_nothing_can_be_held_out_the_strength_is_fixed() -> None:
    rows = blobs(3, 5, 3)
    head = solved(rows)
    assert (head.n_folds, head.path, len(head.out_of_fold)) == (0, (), 0)
    assert np.isnan(head.cv_log_loss)
    assert head.strength == head_module.FALLBACK_STRENGTH
    assert (head.logits(rows.features).argmax(axis=1) == rows.labels).all()


def test_the_lowest_point_of_the_path_is_taken() -> None:
    head = solved(blobs(80, 40, 3, apart=0.4))
    assert head.cv_log_loss == min(point.log_loss for point in head.path)
    tried = [point.strength for point in head.path]
    assert head.strength in tried
    assert tried[:-2] == sorted(tried[:-2], reverse=True)
    coarse = min(head.path[:-2], key=lambda point: point.log_loss).strength
    assert tried[-2:] == pytest.approx([coarse * 10**0.25, coarse / 10**0.25])
    assert len(tried) < len(GRID) + 2, "the path went on after the loss had turned"


def test_scores_are_those_of_the_logits_that_are_handed_out() -> None:
    rows = blobs(100, 10, 3, apart=0.5)
    head = solved(rows)
    assert head.scored.tolist() == list(range(100))
    given = softmax(head.out_of_fold)[np.arange(100), rows.labels]
    losses = -np.log(given)
    best = next(point for point in head.path if point.strength == head.strength)
    assert head.cv_log_loss == pytest.approx(losses.mean(), abs=1e-6)
    assert best.log_loss_se == pytest.approx(losses.std() / 10, rel=1e-5)
    correct = head.out_of_fold.argmax(axis=1) == rows.labels
    assert head.cv_accuracy == pytest.approx(correct.mean())


def test_a_smaller_prefix_wins_where_the_rest_is_noise() -> None:
    rng = np.random.default_rng(0)
    rows = blobs(150, 5, 3, apart=0.7)
    noise = rng.normal(size=(150, 200)).astype(np.float32)
    noisy = replace(rows, features=np.hstack([rows.features, noise]))
    head = solved(noisy, candidates=(205, 5))
    assert head.n_columns == 5
    assert {point.n_columns for point in head.path} == {5, 205}
    alone = solved(rows)
    assert np.abs(probs_of(head, noisy) - probs_of(alone, rows)).max() < 0.02


def test_balanced_classes_score_by_the_average_over_classes() -> None:
    rows = taken(blobs(300, 5, 2, apart=0.3), np.r_[0:60, 61:300:2])
    head = solved(rows, HeadSettings(balance="weights"))
    right = head.out_of_fold.argmax(axis=1) == rows.labels
    recalls = [right[rows.labels == label].mean() for label in (0, 1)]
    assert head.cv_accuracy == pytest.approx(np.mean(recalls))
    plain = solved(rows)
    share = (plain.out_of_fold.argmax(axis=1) == 0).mean()
    assert (head.out_of_fold.argmax(axis=1) == 0).mean() > share + 0.05


def test_rows_on_disk_are_streamed_to_the_same_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = blobs(3000, 12, 3, apart=0.5)
    held = np.memmap(tmp_path / "features", np.float32, "w+", shape=rows.features.shape)
    held[:] = rows.features
    whole = solved(rows, FIXED)
    monkeypatch.setattr(head_module, "MAX_ORIGINALS", 300)
    part = solved(replace(rows, features=held), FIXED)
    assert len(part.scored) == pytest.approx(300, abs=10)
    assert np.bincount(rows.labels[part.scored]).min() > 90
    assert np.abs(probs_of(whole, rows) - probs_of(part, rows)).max() < 1e-4


def test_copies_count_against_the_limit_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = with_copies(blobs(400, 4, 2), 3)
    monkeypatch.setattr(head_module, "MAX_ROWS", 400)
    assert len(solved(rows, FIXED).scored) == pytest.approx(100, abs=4)


def test_a_quick_estimate_is_near_the_solved_head() -> None:
    rows = blobs(1500, 20, 4, apart=0.6)
    quick = quick_estimate(rows, n_classes=4)
    head = solved(rows)
    assert quick.n == pytest.approx(head_module.QUICK_ORIGINALS, abs=8)
    assert quick.accuracy == pytest.approx(head.cv_accuracy, abs=0.05)
    assert quick.log_loss == pytest.approx(head.cv_log_loss, abs=0.1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": np.zeros(4, np.float32)}, "shape"),
        ({"labels": np.zeros(3, np.int64)}, "shape"),
        ({"labels": np.array([0, 1, 2, 3])}, "labels 0 to 3"),
        ({"groups": np.array([0, 1, -2, 3])}, "-2"),
        ({"original": np.array([True, False, True, False])}, r"no original of classes \[1\]"),
        ({"features": np.array([[0], [1], [np.nan], [3]], np.float32)}, "not all finite"),
    ],
)
def test_impossible_rows_are_refused(change: dict[str, np.ndarray], said: str) -> None:
    rows = rows_of(np.arange(4)[:, None], np.array([0, 1, 0, 1]))
    with pytest.raises(UsageError, match=said) as error:
        solve(replace(rows, **change), n_classes=2, settings=SETTINGS, seed=0)
    assert error.value.code == "bad-rows"


@pytest.mark.parametrize("values", [{"folds": 1}, {"strengths": (0.0,)}, {"strengths": (np.inf,)}])
def test_impossible_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="folds") as error:
        HeadSettings(**values)
    assert error.value.code == "setting-range"


@pytest.mark.parametrize("candidates", [(0,), (5,), (2, -1)])
def test_candidates_are_numbers_of_columns(candidates: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="Candidates"):
        solved(blobs(20, 4, 2), candidates=candidates)


def test_a_head_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="strength"):
        solved(blobs(20, 4, 2)).strength = 3


def test_a_wider_candidate_is_tried_as_if_it_were_alone() -> None:
    """Few easy rows, where the best strengths are weak: a start from nothing went astray there."""
    draw = derive(3, "wide and few")
    labels = np.arange(42) % 2
    features = draw.normal(size=(42, 600)).astype(np.float32)
    features[:, :40] += np.where(labels, 1.5, -1.5)[:, None]
    rows = Rows(
        features=features,
        labels=labels.astype(np.int64),
        groups=np.arange(42),
        original=np.ones(42, dtype=bool),
    )
    settings = HeadSettings(strengths=(10.0, 1.0, 0.1, 0.01, 0.001))
    both = solve(rows, n_classes=2, settings=settings, seed=0, candidates=(60, 600))
    alone = solve(rows, n_classes=2, settings=settings, seed=0)
    losses = {point.strength: point.log_loss for point in both.path if point.n_columns == 600}
    assert len(losses) > 1
    for point in alone.path:
        assert losses[point.strength] == pytest.approx(point.log_loss, rel=0.02)
        assert point.log_loss < 0.69
