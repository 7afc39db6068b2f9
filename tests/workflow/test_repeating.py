"""Training again: every picture tested once by a network that never saw it, and kept on the way."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fieldmark as fm
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation.repeats import Repeats
from fieldmark.training import loop
from fieldmark.training.events import (
    Event,
    HeadSolved,
    Progress,
    Repeated,
    RepeatsDone,
    RepeatsPlanned,
    Stopped,
)
from fieldmark.workflow import backbone, repeating, transfer
from fieldmark.workflow.turns import Turn, check, turns
from tests.pictures import write_numbers
from tests.workflow.conftest import rows_of, settings

NET = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 stages 1 -> FC"
SMALL = "INPUT 16x16x3 -> CONV 4 3x3 same -> RELU -> GAP -> FC"
N_EACH = 9


@dataclasses.dataclass(frozen=True)
class Done:
    run: fm.Run
    events: tuple[Event, ...]
    solved_with: tuple[tuple[float, ...], ...]
    """The strengths that each solving of a head was given."""
    decoded: tuple[tuple[str, ...], ...]
    """The parts of each look of the backbone."""

    def all(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def asked(out: Path, folds: int = 0, repeats: int = 1) -> fm.Settings:
    return (
        fm.Settings()
        .changed("run", {"out": str(out)})
        .changed("head", {"copies": 1, "folds": 2})
        .changed("split", {"folds": folds})
        .changed("train", {"repeats": repeats})
    )


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbers(tmp_path_factory.mktemp("again") / "shapes", range(N_EACH))


@pytest.fixture(scope="module")
def done(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Three folds, dealt twice, of a solved head."""
    heard: list[Event] = []
    given: list[tuple[float, ...]] = []
    looks: list[tuple[str, ...]] = []
    solve, extract = transfer.solve, backbone.extract

    def spy(*rows: Any, **named: Any) -> Any:
        given.append(named["settings"].strengths)
        return solve(*rows, **named)

    def look(*what: Any, **named: Any) -> Any:
        looks.append(tuple(named["parts"]))
        return extract(*what, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(transfer, "solve", spy)
        patched.setattr(backbone, "extract", look)
        out = tmp_path_factory.mktemp("work") / "runs"
        run = fm.train(shapes, NET, settings=asked(out, 3, 2), listen=heard.append)
    events = tuple(event for event in heard if not isinstance(event, Progress))
    return Done(run, events, tuple(given), tuple(looks))


# --- what the trainings are


def examples(n: int = 24, *, groups: int = 0, split: str | None = None) -> Manifest:
    found = tuple(
        Example(
            path=f"{at}.png",
            label="ab"[at % 2],
            sha256=f"{at:02}",
            group=f"g{at // 2 % groups}" if groups else "",
            split=split,  # type: ignore[arg-type]
        )
        for at in range(n)
    )
    return Manifest(root=Path("x"), examples=found, classes=("a", "b"))


def planned(manifest: Manifest, folds: int, repeats: int) -> list[Turn]:
    return list(turns(manifest, asked(Path("x"), folds, repeats)))


def test_every_picture_is_in_the_test_part_once_per_repeat() -> None:
    manifest = examples()
    found = planned(manifest, 4, 3)
    assert [(turn.repeat, turn.fold) for turn in found] == [
        (repeat, fold) for repeat in (1, 2, 3) for fold in (1, 2, 3, 4)
    ]
    for repeat in (1, 2, 3):
        tested = Counter(
            each.path
            for turn in found
            if turn.repeat == repeat
            for each in turn.manifest.part("test")
        )
        assert tested == dict.fromkeys((each.path for each in manifest.examples), 1)


def test_every_training_has_all_three_parts_of_every_class() -> None:
    for turn in planned(examples(), 4, 1):
        for part in ("train", "valid", "test"):
            assert min(turn.manifest.counts(part).values()) >= 1  # type: ignore[arg-type]


def test_groups_are_never_divided_by_any_of_them() -> None:
    for turn in planned(examples(40, groups=10), 4, 2):
        sides: dict[str, set[str | None]] = {}
        for each in turn.manifest.examples:
            sides.setdefault(each.group, set()).add(each.split)
        assert all(len(found) == 1 for found in sides.values())


def test_repeats_deal_other_folds_and_have_other_seeds() -> None:
    found = planned(examples(), 2, 2)
    first, second = (
        {each.path for each in turn.manifest.part("test")} for turn in (found[0], found[2])
    )
    assert first != second
    assert [turn.seed for turn in found] == [0, 0, 1, 1]


def test_folds_that_were_dealt_before_are_the_first_ones() -> None:
    manifest = examples()
    dealt = tuple(
        dataclasses.replace(each, fold=at // 2 % 3) for at, each in enumerate(manifest.examples)
    )
    found = planned(manifest.with_examples(dealt), 3, 2)
    assert [each.path for each in found[1].manifest.part("test")] == [
        each.path for each in dealt if each.fold == 1
    ]
    assert {each.path for each in found[4].manifest.part("test")} != {
        each.path for each in dealt if each.fold == 1
    }


def test_a_ready_made_test_part_is_dealt_like_the_rest() -> None:
    manifest = examples(split="train")
    given = tuple(
        dataclasses.replace(each, split="test" if at < 6 else "train")
        for at, each in enumerate(manifest.examples)
    )
    found = planned(manifest.with_examples(given), 3, 1)
    assert sum(len(turn.manifest.part("test")) for turn in found) == len(given)


def test_without_folds_the_parts_stay_and_the_first_training_is_the_run_itself() -> None:
    manifest = examples(split="train")
    found = planned(manifest, 0, 3)
    assert [(turn.repeat, turn.fold, turn.seed) for turn in found] == [(2, None, 1), (3, None, 2)]
    assert all(turn.manifest == manifest for turn in found)
    assert planned(manifest, 0, 1) == []


def test_folds_that_cannot_be_trained_on_are_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="fewer than 2 examples") as told:
        check(examples(4), asked(Path("x"), 4, 1))
    assert told.value.code == "too-few"
    folder = write_numbers(tmp_path / "shapes", range(6))
    monkeypatch.setattr(transfer, "solve", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(DataError, match="cannot be dealt"):
        fm.train(folder, NET, settings=asked(tmp_path / "runs", 20))
    assert not (tmp_path / "runs").exists()


# --- a run with folds


def test_the_run_itself_is_complete_and_its_test_part_is_its_own(done: Done) -> None:
    assert done.run.bundle.is_file()
    assert done.run.report.n == len(rows_of(done.run.folder / "predictions.csv"))
    assert len(rows_of(done.run.folder / "looks.jsonl")) <= 1


def test_the_page_tells_it_too(done: Done) -> None:
    page = (done.run.folder / "report.html").read_text(encoding="utf-8")
    assert "How much of it is luck" in page
    repeats = done.run.repeats
    assert repeats is not None
    assert repeats.lines()[1].strip() in page
    assert "Every training" in page


def test_what_was_found_lies_in_the_run_folder(done: Done) -> None:
    found = done.run.repeats
    assert found is not None
    assert (found.n_folds, found.n_repeats, len(found.trials)) == (3, 2, 6)
    assert found.accuracy.n == 3 * N_EACH
    kept = rows_of(done.run.folder / "repeats.csv")
    assert [(row["repeat"], row["fold"]) for row in kept] == [
        (repeat, fold) for repeat in "12" for fold in "123"
    ]
    assert sum(int(row["n"]) for row in kept) == 2 * 3 * N_EACH
    for row, each in zip(kept, found.trials, strict=True):
        assert float(row["accuracy"]) == pytest.approx(each.accuracy.value, abs=1e-6)
        assert float(row["low"]) <= float(row["accuracy"]) <= float(row["high"])


def test_the_heads_are_good_on_what_they_never_saw(done: Done) -> None:
    found = done.run.repeats
    assert found is not None
    assert found.accuracy.value >= 0.6


def test_it_is_said_before_and_after_each_and_kept_in_the_log(done: Done) -> None:
    (plan,) = done.all(RepeatsPlanned)
    assert (plan.n_folds, plan.n_repeats, plan.n_trainings) == (3, 2, 6)
    assert plan.seconds > 0
    assert len(done.all(Repeated)) == 6
    (last,) = done.all(RepeatsDone)
    assert Repeats.from_dict(last.repeats) == done.run.repeats
    assert not last.interrupted
    logged = (done.run.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in logged] == [each.name for each in done.events]
    assert len(done.all(HeadSolved)) == 1  # those of the others are theirs


def test_only_strengths_around_the_one_of_the_run_are_compared_again(done: Done) -> None:
    first, *others = done.solved_with
    assert first == ()
    assert len(others) == 6
    (head,) = done.all(HeadSolved)
    for strengths in others:
        assert head.strength in strengths


def test_the_backbone_looks_at_no_picture_again(done: Done) -> None:
    """Once for the run, once for everything, once for the warped copies of everything."""
    assert len(done.decoded) <= 3


def test_no_second_run_folder_is_made(done: Done) -> None:
    assert {path.name for path in done.run.folder.parent.iterdir()} == {"latest.txt", "shapes-1"}


def test_the_same_settings_give_the_same_figures(done: Done, shapes: Path, tmp_path: Path) -> None:
    again = fm.train(shapes, NET, settings=asked(tmp_path / "runs", 3, 2)).repeats
    assert again is not None
    assert done.run.repeats is not None
    assert again.accuracy == done.run.repeats.accuracy
    assert again.log_loss == done.run.repeats.log_loss


# --- seeds, networks from scratch, Ctrl-C


def test_seeds_count_the_run_itself_as_the_first(shapes: Path, tmp_path: Path) -> None:
    run = fm.train(
        shapes,
        SMALL,
        settings=settings(tmp_path / "runs", epochs=1).changed("train", {"repeats": 2}),
    )
    found = run.repeats
    assert found is not None
    assert [each.seed for each in found.trials] == [0, 1]
    assert found.trials[0].accuracy.value == run.report.accuracy.value
    assert found.trials[0].log_loss.value == pytest.approx(run.report.log_loss.value, abs=1e-5)
    assert found.accuracy.n == run.report.n


def test_networks_from_scratch_are_trained_really_again(shapes: Path, tmp_path: Path) -> None:
    heard: list[Event] = []
    asked_for = settings(tmp_path / "runs", epochs=1).changed("split", {"folds": 2})
    found = fm.train(shapes, SMALL, settings=asked_for, listen=heard.append).repeats
    assert found is not None
    assert len(found.trials) == 2
    assert found.accuracy.n == 3 * N_EACH
    assert [event.fold for event in heard if isinstance(event, Repeated)] == [1, 2]


def test_nothing_is_repeated_unless_it_was_asked_for(shapes: Path, tmp_path: Path) -> None:
    run = fm.train(shapes, SMALL, settings=settings(tmp_path / "runs", epochs=1))
    assert run.repeats is None
    assert not (run.folder / "repeats.json").exists()


def test_ctrl_c_keeps_what_is_done_and_drops_the_training_under_way(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third training (the second of the folds) is stopped in its first epoch."""
    heard: list[Event] = []
    fit, n_fits = loop.fit, 0

    def stopped(*given: Any, **named: Any) -> Any:
        nonlocal n_fits
        n_fits += 1
        if n_fits == 3:
            found = fit(*given, **named)
            told = Stopped(reason="interrupted", text="Stopped.", best_epoch=1)
            return dataclasses.replace(found, stopped=told)
        return fit(*given, **named)

    monkeypatch.setattr(loop, "fit", stopped)
    asked_for = settings(tmp_path / "runs", epochs=1).changed("split", {"folds": 3})
    run = fm.train(shapes, SMALL, settings=asked_for, listen=heard.append)
    assert n_fits == 3
    assert run.repeats is not None
    assert len(run.repeats.trials) == 1
    (last,) = [event for event in heard if isinstance(event, RepeatsDone)]
    assert last.interrupted


def test_a_run_that_was_stopped_is_not_repeated(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = loop.fit

    def stopped(*given: Any, **named: Any) -> Any:
        told = Stopped(reason="interrupted", text="Stopped.", best_epoch=1)
        return dataclasses.replace(fit(*given, **named), stopped=told)

    monkeypatch.setattr(loop, "fit", stopped)
    monkeypatch.setattr(repeating, "turns", lambda *_: pytest.fail("trained again"))
    asked_for = settings(tmp_path / "runs", epochs=1, repeats=2)
    assert fm.train(shapes, SMALL, settings=asked_for).repeats is None


# --- cross_validate


def test_cross_validation_writes_nothing(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = settings(tmp_path / "runs", epochs=1)
    found = fm.cross_validate(shapes, SMALL, folds=2, settings=quick)
    assert len(found.trials) == 2
    assert found.accuracy.n == 3 * N_EACH
    assert list(tmp_path.iterdir()) == []


def test_cross_validation_of_a_head_makes_every_choice_anew(
    shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[float, ...]] = []
    solve = transfer.solve

    def spy(*rows: Any, **named: Any) -> Any:
        given.append(named["settings"].strengths)
        return solve(*rows, **named)

    monkeypatch.setattr(transfer, "solve", spy)
    found = fm.cross_validate(shapes, NET, folds=2, settings=asked(Path("unused")))
    assert given == [(), ()]
    assert found.accuracy.value >= 0.6
    assert np.isfinite(found.log_loss.value)


@pytest.mark.parametrize("folds", [0, 1, 21])
def test_folds_that_make_no_sense_are_refused(shapes: Path, folds: int) -> None:
    with pytest.raises((UsageError, fm.ConfigError), match="fold"):
        fm.cross_validate(shapes, SMALL, folds=folds)
