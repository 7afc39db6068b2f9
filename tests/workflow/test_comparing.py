"""Two real runs on drawn shapes, and runs made of them by changing what their folders say."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

import fieldmark as fm
from fieldmark import cli
from fieldmark.config import read, to_toml
from fieldmark.data import table
from fieldmark.evaluation.intervals import paired_difference
from fieldmark.workflow import own_answers
from fieldmark.workflow.changed_pictures import save
from fieldmark.workflow.comparing import Compared
from tests.evaluation.reader import Reader
from tests.pictures import SHAPES, png, write_numbers
from tests.workflow.conftest import LAYERS, Finished, settings

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def other_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("others") / "runs"


def trained(data: Path, runs: Path, name: str, **train: Any) -> fm.Run:
    asked = settings(runs, epochs=1, **train).changed("run", {"name": name})
    return fm.train(data, LAYERS, settings=asked)


@pytest.fixture(scope="module")
def poor(finished: Finished, other_runs: Path) -> fm.Run:
    """Train once more on the same parts, hardly at all."""
    return trained(finished.data, other_runs, "poor", lr=0.0001, seed=3)


@pytest.fixture(scope="module")
def elsewhere(finished: Finished, other_runs: Path) -> fm.Run:
    """Train on other parts of the same pictures."""
    return trained(finished.data, other_runs, "elsewhere", seed=8)


def write_rows(path: Path, rows: Rows) -> None:
    path.write_text(
        table.written(list(rows[0]), [list(row.values()) for row in rows]), encoding="utf-8"
    )


@pytest.fixture
def forged(finished: Finished, tmp_path: Path) -> Callable[..., Path]:
    """Copy the finished run under another name, and let its lists say something else."""

    def forge(name: str, **change: Callable[[Rows], Rows]) -> Path:
        folder = tmp_path / "forged" / name
        shutil.copytree(finished.run.folder, folder)
        (folder / finished.run.bundle.name).rename(folder / f"{name}.fieldmark")
        for stem, changed in change.items():
            rows = table.rows(folder / f"{stem}.csv")
            write_rows(folder / f"{stem}.csv", changed(rows))
        return folder

    return forge


def answering(wrong: range) -> Callable[[Rows], Rows]:
    """Make an answer to every picture: right, but for those in ``wrong``."""

    def change(rows: Rows) -> Rows:
        for at, row in enumerate(rows):
            truth = SHAPES.index(row["label"])
            taken = SHAPES[(truth + (at in wrong)) % 3]
            row |= {f"score:{name}": "0.900000" if name == taken else "0.050000" for name in SHAPES}
            sure = float(row[f"score:{row['label']}"])
            row |= {"predicted": taken, "loss": f"{-math.log(sure):.6f}"}
        return rows

    return change


# --- two real runs


def test_two_runs_are_compared_on_the_pictures_both_were_tested_on(
    finished: Finished, poor: fm.Run
) -> None:
    found = fm.compare(finished.run.folder, poor.folder)
    assert isinstance(found, Compared)
    made = found.comparison
    assert [side.name for side in made.sides] == ["shapes-1", poor.name]
    assert made.n == finished.run.report.n == poor.report.n
    for side, run in zip(made.sides, (finished.run, poor), strict=True):
        assert side.accuracy == run.report.accuracy
        assert side.log_loss.value == pytest.approx(run.report.log_loss.value, abs=1e-5)
        assert side.model_id == run.predictor.model_id
        assert (side.n_only, side.n_learned) == (0, 0)


def test_the_differences_are_those_one_gets_by_hand(finished: Finished, poor: fm.Run) -> None:
    one = {row["sha256"]: row for row in finished.rows("predictions.csv")}
    two = {row["sha256"]: row for row in table.rows(poor.folder / "predictions.csv")}
    (difference,) = fm.compare(finished.run.folder, poor.folder).comparison.differences
    was, now = (np.array([int(rows[sha]["correct"]) for sha in one]) for rows in (one, two))
    n_fixed, n_broken = int(((was == 0) & (now == 1)).sum()), int(((was == 1) & (now == 0)).sum())
    assert (difference.n_fixed, difference.n_broken) == (n_fixed, n_broken)
    assert n_broken > 0
    assert difference.accuracy.value == pytest.approx(now.mean() - was.mean())
    assert (difference.accuracy.low, difference.accuracy.high) == pytest.approx(
        paired_difference(n_fixed, n_broken, len(one))
    )
    expected = scipy.stats.binomtest(n_broken, n_fixed + n_broken, 0.5).pvalue
    assert difference.p_value == pytest.approx(expected)
    changed = {each.sha256 for each in difference.changed}
    assert changed == {s for s in one if one[s]["predicted"] != two[s]["predicted"]}


def test_measuring_the_same_pictures_anew_gives_the_same_answers(
    finished: Finished, poor: fm.Run, tmp_path: Path
) -> None:
    for row in finished.rows("predictions.csv"):
        there = tmp_path / "test-part" / row["path"]
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(finished.data / row["path"], there)
    own = fm.compare(finished.run.folder, poor.folder)
    anew = fm.compare(finished.run.bundle, poor.bundle, data=tmp_path / "test-part")
    assert anew.looks == {}
    assert anew.comparison.conditions["pictures"] == str(tmp_path / "test-part")
    for one, other in zip(own.comparison.sides, anew.comparison.sides, strict=True):
        assert other.accuracy == one.accuracy
        assert other.log_loss.value == pytest.approx(one.log_loss.value, abs=1e-3)
    (one, other) = (each.comparison.differences[0] for each in (own, anew))
    assert {each.sha256 for each in one.changed} == {each.sha256 for each in other.changed}


def test_runs_with_other_parts_share_a_few_pictures_and_say_why(
    finished: Finished, elsewhere: fm.Run
) -> None:
    found = fm.compare(finished.run.folder, elsewhere.folder)
    one, two = (
        {row["sha256"] for row in table.rows(folder / "predictions.csv")}
        for folder in (finished.run.folder, elsewhere.folder)
    )
    made = found.comparison
    assert 0 < made.n == len(one & two) < len(one)
    # Both saw the same folder, so what one was not tested on it has learned from.
    assert [side.n_learned for side in made.sides] == [len(two - one), len(one - two)]
    assert [side.n_only for side in made.sides] == [0, 0]
    assert "was trained or chosen on them" in str(found)


def test_with_a_folder_what_one_of_them_learned_from_does_not_count(
    finished: Finished, poor: fm.Run
) -> None:
    found = fm.compare(finished.run.folder, poor.folder, data=finished.data)
    n_learned = sum(row["split"] in ("train", "valid") for row in finished.rows("data.csv"))
    assert found.comparison.n == finished.run.report.n
    assert [side.n_learned for side in found.comparison.sides] == [n_learned, n_learned]


def test_names_and_latest_are_looked_up_among_the_runs(
    poor: fm.Run, elsewhere: fm.Run, other_runs: Path
) -> None:
    newest = fm.open_run(runs_folder=other_runs).name
    (other,) = {poor.name, elsewhere.name} - {newest}
    found = fm.compare("latest", other, runs_folder=other_runs)
    assert [side.name for side in found.comparison.sides] == [newest, other]


def test_comparing_needs_no_training_stack(finished: Finished, poor: fm.Run) -> None:
    import subprocess
    import sys

    code = (
        "import fieldmark as fm, sys; fm.compare(sys.argv[1], sys.argv[2]); "
        "print(sorted({'keras', 'tensorflow', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code, str(finished.run.folder), str(poor.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


# --- looks


def looked(folder: Path) -> list[str]:
    lines = (folder / "looks.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(each)["command"] for each in lines]


def test_training_is_the_first_look(forged: Callable[..., Path], finished: Finished) -> None:
    folder = forged("shapes-2")
    first = json.loads((folder / "looks.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["command"] == "fieldmark train shapes"
    assert first["model"] == finished.run.predictor.model_id


def test_comparing_own_test_parts_is_a_look_at_each(forged: Callable[..., Path]) -> None:
    one, two = forged("shapes-2"), forged("shapes-3")
    before = len(looked(one))
    for n in (before + 1, before + 2):
        found = fm.compare(one, two)
        assert {each.n for each in found.looks.values()} == {n}
        assert [side.n_looks for side in found.comparison.sides] == [n, n]
        assert found.to_dict()["looks"]["shapes-2"] == {"n": n, "problem": ""}
    assert looked(one)[before:] == ["fieldmark compare shapes-2 shapes-3"] * 2
    assert len(looked(two)) == before + 2


def test_measuring_the_own_test_part_is_a_look(forged: Callable[..., Path]) -> None:
    folder = forged("shapes-2")
    before = len(looked(folder))
    found = fm.evaluate(folder)
    assert found.looks is not None
    assert found.looks.n == before + 1
    assert found.report.conditions["looks"] == str(before + 1)
    assert looked(folder)[-1] == "fieldmark evaluate shapes-2"


def test_another_folder_is_no_look_at_the_test_part(
    forged: Callable[..., Path], tmp_path: Path
) -> None:
    one, two = forged("shapes-2"), forged("shapes-3")
    before = looked(one)
    others = write_numbers(tmp_path / "others", range(500, 504))
    assert fm.evaluate(one, others).looks is None
    assert fm.compare(one, two, data=others).looks == {}
    assert looked(one) == looked(two) == before


def test_what_fails_is_no_look(forged: Callable[..., Path]) -> None:
    one = forged("shapes-2")
    two = forged("shapes-3", predictions=lambda rows: [row | {"loss": "nan"} for row in rows])
    before = looked(one)
    with pytest.raises(fm.DataError, match="cannot be read"):
        fm.compare(one, two)
    assert looked(one) == before


# --- made-up answers


def test_a_clear_difference_is_seen_and_named(forged: Callable[..., Path]) -> None:
    good = forged("shapes-2", predictions=answering(range(0)))
    bad = forged("shapes-3", predictions=answering(range(8)))
    found = fm.compare(good, bad).comparison
    assert found.differences[0].n_broken == 8
    assert [each.name for each in found.worse] == ["shapes-3"]
    assert fm.compare(bad, good).comparison.differences[0].verdict == "better"


def test_losses_are_not_those_of_rounded_scores(forged: Callable[..., Path]) -> None:
    """A score of 3e-7 is listed as 0.000000; its loss is 15, not the 36 of a 0."""

    def change(rows: Rows) -> Rows:
        row = answering(range(1))(rows)[0]
        rows[0] = row | {f"score:{row['label']}": "0.000000", "loss": "15.019483"}
        return rows

    folder = forged("shapes-2", predictions=change)
    answers = own_answers.read(folder / "shapes-2.fieldmark").answers
    assert max(each.loss for each in answers.values()) == 15.019483


def test_classes_are_matched_by_name_whatever_their_order(forged: Callable[..., Path]) -> None:
    def turn(rows: Rows) -> Rows:
        names = list(rows[0])
        columns = [n for n in names if not n.startswith("score:")]
        columns += sorted((n for n in names if n.startswith("score:")), reverse=True)
        return [{name: row[name] for name in columns} for row in rows]

    found = fm.compare(forged("shapes-2"), forged("shapes-3", predictions=turn)).comparison
    assert found.classes == SHAPES
    assert found.differences[0].changed == ()


def test_other_classes_are_a_clear_error(forged: Callable[..., Path]) -> None:
    def rename(rows: Rows) -> Rows:
        renamed = [
            {name.replace("score:circle", "score:disc"): cell for name, cell in row.items()}
            for row in rows
        ]
        fields = ("label", "predicted")
        return [
            row | {name: row[name].replace("circle", "disc") for name in fields} for row in renamed
        ]

    one, two = forged("shapes-2"), forged("shapes-3", predictions=rename)
    with pytest.raises(fm.DataError, match="do not know the same classes: circle, disc") as caught:
        fm.compare(one, two)
    assert caught.value.code == "different-classes"


def test_a_picture_with_two_labels_is_left_out_and_counted(forged: Callable[..., Path]) -> None:
    def relabel(rows: Rows) -> Rows:
        other = next(name for name in SHAPES if name != rows[0]["label"])
        return [rows[0] | {"label": other}, *rows[1:]]

    one, two = forged("shapes-2"), forged("shapes-3", predictions=relabel)
    found = fm.compare(one, two)
    n_given = len(table.rows(one / "predictions.csv"))
    assert (found.comparison.n, found.n_relabelled) == (n_given - 1, 1)
    assert "Left out, because the runs were given different labels: 1 picture." in str(found)


def test_pictures_in_one_test_part_only_are_counted(forged: Callable[..., Path]) -> None:
    def other_contents(rows: Rows) -> Rows:
        return [row | {"sha256": f"{at:064x}"} if at < 4 else row for at, row in enumerate(rows)]

    one, two = forged("shapes-2"), forged("shapes-3", predictions=other_contents)
    found = fm.compare(one, two).comparison
    assert [side.n_only for side in found.sides] == [4, 4]
    assert [side.n_learned for side in found.sides] == [0, 0]
    assert found.n == len(table.rows(one / "predictions.csv")) - 4


def test_a_test_picture_that_a_run_also_learned_from_is_left_out(
    forged: Callable[..., Path],
) -> None:
    """As equal files on both sides can be, where nothing was cleaned."""

    def learn(rows: Rows) -> Rows:
        tested = [row for row in rows if row["split"] == "test"]
        return [*rows, tested[0] | {"path": "copy.png", "split": "train"}]

    one, two = forged("shapes-2"), forged("shapes-3", data=learn)
    found = fm.compare(one, two).comparison
    assert [side.n_learned for side in found.sides] == [0, 1]
    assert found.n == len(table.rows(one / "predictions.csv")) - 1


def test_equal_files_count_once(forged: Callable[..., Path]) -> None:
    def twice(rows: Rows) -> Rows:
        return [*rows, rows[0] | {"path": "copy.png"}]

    found = fm.compare(forged("shapes-2"), forged("shapes-3", predictions=twice)).comparison
    assert "Equal files count once: 1 copy passed over." in found.notes


@pytest.mark.parametrize("column", ["group", "cluster"])
def test_groups_and_near_copies_are_kept_together(forged: Callable[..., Path], column: str) -> None:
    def group(rows: Rows) -> Rows:
        return [row | {column: f"g{at // 2}"} for at, row in enumerate(rows)]

    one = forged("shapes-2", split=group)
    found = fm.compare(one, forged("shapes-3")).comparison
    assert 0 < found.n_groups < found.n
    assert "by groups" in found.differences[0].accuracy.method
    assert fm.compare(forged("shapes-4"), one).comparison.n_groups == 0


def test_nothing_in_common_says_what_to_do(forged: Callable[..., Path]) -> None:
    def other_contents(rows: Rows) -> Rows:
        return [row | {"sha256": f"{at:064x}"} for at, row in enumerate(rows)]

    one, two = forged("shapes-2"), forged("shapes-3", predictions=other_contents)
    with pytest.raises(fm.DataError, match="no picture to compare") as caught:
        fm.compare(one, two)
    assert caught.value.code == "nothing-common"
    assert "--data FOLDER" in caught.value.hint


def test_a_folder_that_all_was_learned_from_compares_nothing(
    finished: Finished, poor: fm.Run, tmp_path: Path
) -> None:
    for row in finished.rows("data.csv"):
        if row["split"] == "train":
            there = tmp_path / "known" / row["path"]
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(finished.data / row["path"], there)
    with pytest.raises(fm.DataError, match="no picture to compare") as caught:
        fm.compare(finished.run.folder, poor.folder, data=tmp_path / "known")
    assert caught.value.code == "nothing-common"


# --- what is no run


def test_the_same_run_twice_is_refused(finished: Finished) -> None:
    with pytest.raises(fm.UsageError, match=r"shapes-1\.fieldmark was named twice") as caught:
        fm.compare(finished.run.folder, finished.run.bundle)
    assert caught.value.code == "same-run"


def test_a_model_file_alone_needs_a_folder(
    finished: Finished, poor: fm.Run, tmp_path: Path
) -> None:
    alone = Path(shutil.copy(poor.bundle, tmp_path / "poor.fieldmark"))
    with pytest.raises(fm.DataError, match=r"poor\.fieldmark stands alone") as caught:
        fm.compare(finished.run.folder, alone)
    assert caught.value.code == "not-a-run"
    others = write_numbers(tmp_path / "others", range(500, 505))
    found = fm.compare(finished.run.folder, alone, data=others).comparison
    assert (found.n, found.sides[1].name) == (15, "poor")


def test_a_model_file_beside_another_run_does_not_get_that_runs_answers(
    forged: Callable[..., Path], poor: fm.Run
) -> None:
    folder = forged("shapes-2")
    shutil.copy(poor.bundle, folder / "guest.fieldmark")
    with pytest.raises(fm.DataError, match="stands alone") as caught:
        fm.compare(poor.folder, folder / "guest.fieldmark")
    assert caught.value.code == "not-a-run"


def test_two_runs_of_one_name_are_told_apart_by_their_place(
    finished: Finished, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(finished.run.folder, tmp_path / finished.run.name))
    found = fm.compare(finished.run.folder, other).comparison
    assert len({side.name for side in found.sides}) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("path,label\r\n", encoding="utf-8"),
        lambda path: path.write_text("path,label\r\na,b\r\n", encoding="utf-8"),
        lambda path: path.write_text(
            path.read_text("utf-8").replace("circle", "disc", 5), encoding="utf-8"
        ),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
    ],
    ids=["gone", "empty", "no scores", "unknown label", "no text"],
)
def test_a_list_of_answers_that_is_missing_or_damaged_is_said(
    forged: Callable[..., Path], damage: Callable[[Path], Any]
) -> None:
    one, two = forged("shapes-2"), forged("shapes-3")
    damage(two / "predictions.csv")
    with pytest.raises(fm.DataError, match=r"answers of shapes-3 .* cannot be read") as caught:
        fm.compare(one, two)
    assert caught.value.code == "no-predictions"
    assert "--data FOLDER" in caught.value.hint


def test_files_that_cannot_be_read_are_listed_once(
    finished: Finished, poor: fm.Run, tmp_path: Path
) -> None:
    others = write_numbers(tmp_path / "others", range(500, 505))
    (others / "square" / "cut.png").write_bytes(png("square", 1)[:70])
    found = fm.compare(finished.run.folder, poor.folder, data=others)
    assert [(Path(each.file).name, each.code) for each in found.unread] == [
        ("cut.png", "truncated")
    ]
    assert found.to_dict()["unread"][0]["error"]["code"] == "truncated"


def test_groups_of_a_list_of_labels_are_kept_together(
    finished: Finished, poor: fm.Run, tmp_path: Path
) -> None:
    others = write_numbers(tmp_path / "others", range(500, 504))
    lines = ["path,label,group"]
    for path in sorted(others.rglob("*.png")):
        name = path.relative_to(others).as_posix()
        lines.append(f"{name},{path.parent.name},{path.stem}")
    listed = tmp_path / "labels.csv"
    listed.write_text("\n".join(lines), encoding="utf-8")
    data = fm.load(others, labels=listed)
    found = fm.compare(finished.run.folder, poor.folder, data=data).comparison
    assert (found.n, found.n_groups) == (12, 4)


# --- the page


def test_the_page_shows_the_changed_pictures_that_are_still_there(
    finished: Finished, poor: fm.Run, tmp_path: Path
) -> None:
    found = fm.compare(finished.run.folder, poor.folder)
    changed = found.comparison.differences[0].changed
    page = save(found, tmp_path / "page.html", created="today")
    html = page.read_text(encoding="utf-8")
    assert len(Reader(html).all("img")) == len(changed)
    assert "no thumbnail" not in html
    assert save(found, page) == page


def test_a_picture_that_has_changed_since_is_not_shown_as_the_one_it_was(
    forged: Callable[..., Path], finished: Finished, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(finished.data, tmp_path / "shapes"))
    one = forged("shapes-2", predictions=answering(range(0)))
    two = forged("shapes-3", predictions=answering(range(3)))
    asked = read(one / "config.toml").changed("data", {"folder": str(data)})
    (one / "config.toml").write_text(to_toml(asked), encoding="utf-8")
    paths = [row["path"] for row in table.rows(one / "predictions.csv")]
    (data / paths[0]).unlink()
    (data / paths[1]).write_bytes(png("circle", 999))
    page = save(fm.compare(one, two), tmp_path / "page.html")
    html = page.read_text(encoding="utf-8")
    assert len(Reader(html).all("img")) == 1
    assert html.count("no thumbnail") == 2


def test_the_page_replaces_nothing_but_such_a_page(
    finished: Finished, poor: fm.Run, tmp_path: Path
) -> None:
    (tmp_path / "mine.html").write_text("mine", encoding="utf-8")
    with pytest.raises(fm.UsageError, match="no page of fieldmark compare") as caught:
        save(fm.compare(finished.run.folder, poor.folder), tmp_path / "mine.html")
    assert caught.value.code == "file-exists"


# --- the command line


def run(*words: str | Path) -> int:
    return cli.run(["compare", *map(str, words)])


def test_the_gate_fails_only_where_the_later_run_is_surely_worse(
    forged: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    good = forged("shapes-2", predictions=answering(range(0)))
    fair = forged("shapes-3", predictions=answering(range(1)))
    bad = forged("shapes-4", predictions=answering(range(10)))
    assert run(bad, good, "--fail-if-worse") == 0
    assert run(good, fair, "--fail-if-worse") == 0
    assert run(good, bad) == 0
    capsys.readouterr()
    assert run(good, fair, bad, "--fail-if-worse") == 4
    printed = capsys.readouterr()
    assert "Surely worse than shapes-2: shapes-4 -" in printed.err
    assert "[worse]" in printed.err
    assert "shapes-4 is worse than shapes-2" in printed.out


def test_json_is_one_object_with_everything(
    finished: Finished, poor: fm.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(finished.run.folder, poor.folder, "--json", "-q") == 0
    printed = capsys.readouterr()
    facts = json.loads(printed.out)
    assert printed.err == ""
    assert facts["schema"] == "fieldmark.comparison/1"
    assert facts["differences"][0]["name"] == poor.name
    assert facts["looks"]["shapes-1"]["n"] == facts["sides"][0]["n_looks"] >= 2


def test_the_looks_are_said_on_stderr_from_the_second_on(
    forged: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = forged("shapes-2"), forged("shapes-3")
    for folder in (one, two):
        (folder / "looks.jsonl").write_text("{}\n", encoding="utf-8")
    assert run(one, two) == 0
    printed = capsys.readouterr()
    assert "looked at" not in printed.out
    assert "shapes-3: This test part has been looked at 2 times: choosing by it" in printed.err
    assert cli.run(["evaluate", str(one)]) == 0
    assert "This test part has been looked at 3 times" in capsys.readouterr().err


def test_a_look_that_cannot_be_noted_is_said_and_stops_nothing(
    forged: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = forged("shapes-2"), forged("shapes-3")
    (one / "looks.jsonl").unlink()
    (one / "looks.jsonl").mkdir()
    assert run(one, two) == 0
    said = capsys.readouterr().err
    assert "shapes-2: This look could not be noted in looks.jsonl: Is a directory." in said


def test_a_page_is_written_where_it_was_asked_for(
    finished: Finished, poor: fm.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert run(finished.run.folder, poor.folder, "--html", page) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    assert "<h1>" in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_refused_before_any_look(
    forged: Callable[..., Path], tmp_path: Path
) -> None:
    one, two = forged("shapes-2"), forged("shapes-3")
    before = looked(one)
    (tmp_path / "mine.html").write_text("mine", encoding="utf-8")
    assert run(one, two, "--html", tmp_path / "mine.html") == 2
    assert run(one, two, "--html", tmp_path / "nowhere" / "page.html") == 3
    assert looked(one) == before


@pytest.mark.parametrize(
    "words", [("--labels", "x.csv"), ("--label-from", "name:^(.)"), ("--overrides", "none")]
)
def test_how_to_list_a_folder_is_refused_without_one(
    finished: Finished,
    poor: fm.Run,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(finished.run.folder, poor.folder, *words) == 2
    assert "need --data" in capsys.readouterr().err


def test_unreadable_files_of_the_folder_end_in_status_3(
    finished: Finished, poor: fm.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = write_numbers(tmp_path / "others", range(500, 505))
    (others / "square" / "cut.png").write_bytes(png("square", 1)[:70])
    assert run(finished.run.folder, poor.folder, "--data", others) == 3
    assert "cut.png  not read" in capsys.readouterr().err
