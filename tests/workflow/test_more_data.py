"""The curve of a folder: subsets that are nested and whole, heads that are right, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import UsageError
from fieldmark.evaluation.more_data import MoreData
from fieldmark.runs import RunFolder
from fieldmark.training.features import Features
from fieldmark.workflow import more_data
from tests.workflow.conftest import rows_of

N = 800
COLUMNS = 40


def features(n: int = N, *, n_valid: int = 200, apart: float = 0.35, seed: int = 0) -> Features:
    """Two noisy classes: a curve that still falls."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    rows = draw.normal(size=(n, COLUMNS)).astype(np.float32)
    rows[:, :5] += np.where(labels, apart, -apart)[:, None]
    examples = tuple(
        Example(
            path=f"{at}.png",
            label="ab"[at % 2],
            sha256=f"{at}",
            split="valid" if at < n_valid else "train",
        )
        for at in range(n)
    )
    manifest = Manifest(root=Path("x"), examples=examples, classes=("a", "b"))
    return Features(manifest=manifest, rows=rows, row_of={f"{at}": at for at in range(n)})


# --- subsets


def grouped(n: int = 60) -> tuple[list[Example], np.ndarray]:
    examples = [
        Example(path=f"{at}", label="ab"[at % 2], sha256=f"{at}", group=f"g{at // 4}")
        for at in range(n)
    ]
    return examples, np.arange(n) % 2


def test_subsets_hold_whole_groups_and_are_nested() -> None:
    examples, labels = grouped()
    places = more_data.order(examples, labels, np.random.default_rng(0))
    before: set[int] = set()
    for share in (0.1, 0.25, 0.5, 1.0):
        chosen = set(np.flatnonzero(places <= share).tolist())
        assert before <= chosen
        assert all(len({at // 4 * 4 + i for i in range(4)} - chosen) in (0, 4) for at in chosen)
        before = chosen
    assert len(before) == len(examples)


def test_subsets_hold_the_same_share_of_every_class() -> None:
    labels = np.array([0] * 80 + [1] * 20)
    examples = [Example(path=f"{at}", label="x", sha256=f"{at}") for at in range(100)]
    places = more_data.order(examples, labels, np.random.default_rng(0))
    assert np.bincount(labels[places <= 0.25]).tolist() == [20, 5]


def test_another_generator_draws_others() -> None:
    examples, labels = grouped()
    one, two = (more_data.order(examples, labels, np.random.default_rng(s)) for s in (0, 1))
    assert (one != two).any()


# --- heads


def test_a_head_is_the_ridge_solution_of_its_pictures() -> None:
    given = features()
    rows, labels = given.rows, np.arange(N) % 2
    heads = more_data.Heads.of(rows[200:], labels[200:], rows[:200], labels[:200])
    at = np.arange(0, 300)
    wrong, losses = heads.scored(at, 50.0, 4.0)
    train = (rows[200:] - rows[200:].mean(axis=0)) / rows[200:].std(axis=0)
    valid = (rows[:200] - rows[200:].mean(axis=0)) / rows[200:].std(axis=0)
    own = train[at] - train[at].mean(axis=0)
    targets = np.eye(2)[labels[200:][at]]
    slopes = np.linalg.solve(
        own.T @ own + 50 * np.eye(COLUMNS), own.T @ (targets - targets.mean(axis=0))
    )
    scores = (valid - train[at].mean(axis=0)) @ slopes + targets.mean(axis=0)
    assert (wrong == (scores.argmax(axis=1) != labels[:200])).mean() > 0.99
    logits = 4 * scores - np.log(np.exp(4 * scores).sum(axis=1, keepdims=True))
    wanted = -logits[np.arange(200), labels[:200]]
    assert losses == pytest.approx(wanted, abs=0.02)


def test_the_penalty_is_larger_where_there_is_more_noise() -> None:
    chosen = []
    for apart in (1.5, 0.05):
        given = features(apart=apart)
        labels = np.arange(N) % 2
        heads = more_data.Heads.of(given.rows[200:], labels[200:], given.rows[:200], labels[:200])
        chosen.append(heads.tuned(np.arange(200))[0])
    assert chosen[0] < chosen[1]


# --- the curve


def test_the_curve_rises_with_the_pictures_and_scores_validation_only() -> None:
    found = more_data.measured(features(), COLUMNS, seed=0)
    assert found is not None
    assert found.n_scored == 200
    measured = [each for each in found.accuracy if not each.forecast]
    assert measured[-1].n == N - 200
    assert measured[-1].value > measured[0].value
    assert [each.n for each in measured] == sorted(each.n for each in measured)


def test_the_same_seed_gives_the_same_curve() -> None:
    one, two = (more_data.measured(features(), COLUMNS, seed=3) for _ in range(2))
    assert one == two


def test_test_pictures_change_nothing() -> None:
    given = features()
    found = more_data.measured(given, COLUMNS, seed=0)
    more = tuple(
        Example(path=f"t{at}.png", label="a", sha256=f"t{at}", split="test") for at in range(50)
    )
    manifest = given.manifest.with_examples((*given.manifest.examples, *more))
    again = Features(manifest=manifest, rows=given.rows, row_of=given.row_of)
    assert more_data.measured(again, COLUMNS, seed=0) == found


@pytest.mark.parametrize(("n", "n_valid"), [(190, 160), (400, 30), (90, 60)])
def test_too_few_pictures_give_no_curve(n: int, n_valid: int) -> None:
    assert more_data.measured(features(n, n_valid=n_valid), COLUMNS, seed=0) is None


def test_many_pictures_are_bounded_and_the_forecast_is_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = more_data.measured(features(), COLUMNS, seed=0)
    monkeypatch.setattr(more_data, "MAX_PICTURES", 400)
    found = more_data.measured(features(), COLUMNS, seed=0)
    assert found is not None
    assert whole is not None
    assert 350 <= max(each.n for each in found.accuracy if not each.forecast) <= 402
    assert [each.n for each in found.accuracy if each.forecast] == [1200, 2400]
    assert found.n == N - 200
    assert found.line.startswith("Twice 600 pictures: ")
    assert found.class_line.startswith("The curve was drawn with 400 of the pictures. ")
    assert whole.class_line.startswith("Which class")


def test_the_scored_pictures_are_bounded_in_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    given = in_groups(40, 20, n_valid_groups=30)
    monkeypatch.setattr(more_data, "MAX_SCORED", 300)
    found = more_data.measured(given, COLUMNS, seed=0)
    assert found is not None
    assert 200 <= found.n_scored <= 300
    assert found.n_scored % 20 == 0


def test_all_heads_share_one_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    scored = more_data.Heads.scored

    def noted(self: more_data.Heads, at: np.ndarray, *tuned: float) -> tuple:
        used.append(tuned)
        return scored(self, at, *tuned)

    monkeypatch.setattr(more_data.Heads, "scored", noted)
    more_data.measured(features(), COLUMNS, seed=0)
    assert len(used) == sum(n for _, n in more_data.DRAWS)
    assert len(set(used)) == 1


# --- groups


def in_groups(
    n_groups: int, size: int, *, n_valid_groups: int = 20, n_classes: int = 2, seed: int = 0
) -> Features:
    """So many groups per class to train on, of one class each, with pictures that are alike."""
    draw = np.random.default_rng(seed)
    examples, rows = [], []
    for label in range(n_classes):
        for number in range(n_groups + n_valid_groups):
            middle = draw.normal(size=COLUMNS)
            middle[label % COLUMNS] += 1.0
            for at in range(size):
                name = f"{label}-{number}-{at}"
                examples.append(
                    Example(
                        path=f"{name}.png",
                        label=f"c{label}",
                        sha256=name,
                        group=f"{label}-{number}",
                        split="train" if number < n_groups else "valid",
                    )
                )
                rows.append(middle + 0.3 * draw.normal(size=COLUMNS))
    manifest = Manifest(
        root=Path("x"),
        examples=tuple(examples),
        classes=tuple(f"c{label}" for label in range(n_classes)),
    )
    row_of = {each.sha256: at for at, each in enumerate(examples)}
    return Features(manifest=manifest, rows=np.array(rows, np.float32), row_of=row_of)


def sound(found: MoreData) -> bool:
    """Every number is finite, and there are three sizes or more, each with pictures."""
    kept = found.to_dict()  # refuses what is not finite
    sizes = [each["n"] for each in kept["accuracy"] if not each["forecast"]]
    return len(set(sizes)) >= 3 and min(sizes) >= 2 * more_data.MIN_EACH


@pytest.mark.parametrize("size", [5, 20, 100])
@pytest.mark.parametrize(
    ("n_groups", "drawn"), [(1, False), (3, False), (4, True), (10, True), (14, True)]
)
def test_few_groups_give_a_sound_curve_or_none(n_groups: int, drawn: bool, size: int) -> None:
    for seed in range(3):
        given = in_groups(n_groups, size, seed=seed)
        found = more_data.measured(given, COLUMNS, seed=seed)
        assert (found is not None) == drawn
        assert found is None or sound(found)


@pytest.mark.parametrize("most", [60, 150, 400])
def test_few_groups_of_too_many_pictures_do_too(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(more_data, "MAX_PICTURES", most)
    for n_groups in (1, 2, 5, 14):
        found = more_data.measured(in_groups(n_groups, 50), COLUMNS, seed=0)
        assert found is None or (sound(found) and found.n == 100 * n_groups)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), min_size=2, max_size=40))
@settings(max_examples=40, deadline=None)
def test_groups_of_any_sizes_and_classes_never_end_a_training(
    groups: list[tuple[int, int]],
) -> None:
    given = in_groups(1, 40, n_valid_groups=2, n_classes=3)
    draw = np.random.default_rng(0)
    examples = [each for each in given.manifest.examples if each.split == "valid"]
    for number, (size, label) in enumerate(groups):  # label 3: a group of all classes
        for at in range(size):
            examples.append(
                Example(
                    path=f"{number}-{at}.png",
                    label=f"c{at % 3 if label == 3 else label}",
                    sha256=f"{number}-{at}",
                    group=f"g{number}",
                    split="train",
                )
            )
    given = Features(
        manifest=given.manifest.with_examples(tuple(examples)),
        rows=draw.normal(size=(len(examples), COLUMNS)).astype(np.float32),
        row_of={each.sha256: at for at, each in enumerate(examples)},
    )
    found = more_data.measured(given, COLUMNS, seed=0)
    assert found is None or sound(found)


def test_sizes_that_are_the_same_after_all_give_no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(more_data, "DRAWS", ((1, 3), (1, 2), (1, 1)))
    assert more_data.measured(features(), COLUMNS, seed=0) is None


def test_other_errors_of_a_curve_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise UsageError("x", code="other")

    monkeypatch.setattr(more_data, "forecast", failing)
    with pytest.raises(UsageError, match="other"):
        more_data.measured(features(), COLUMNS, seed=0)


# --- files


def test_the_curve_is_kept_as_json_and_as_a_table(tmp_path: Path) -> None:
    found = more_data.measured(features(), COLUMNS, seed=0)
    assert found is not None
    more_data.write(RunFolder(tmp_path), found)
    rows = rows_of(tmp_path / "learning_curve.csv")
    assert len(rows) == len(found.accuracy) + len(found.log_loss)
    assert {row["kind"] for row in rows} == {"measured", "forecast"}
    assert float(rows[0]["value"]) == pytest.approx(found.accuracy[0].value, abs=1e-6)
    assert (tmp_path / "learning_curve.json").is_file()
