from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fieldmark as fm
from fieldmark import cli
from fieldmark.training.events import silent
from fieldmark.workflow import demonstration, training
from tests.workflow.conftest import Finished, hashes


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    return demonstration.write_digits(tmp_path_factory.mktemp("demo") / "demo-digits")


def test_the_digits_are_written_as_class_folders(digits: Path) -> None:
    counts = Counter(path.parent.name for path in digits.rglob("*.png"))
    assert sorted(counts) == list("0123456789")
    assert sum(counts.values()) == 1797
    assert min(counts.values()) > 170
    assert (digits.parent.name, digits.name) == ("demo-digits", "digits")


def test_every_pixel_of_a_digit_is_four_wide(digits: Path) -> None:
    from sklearn.datasets import load_digits

    with Image.open(digits / "0" / "0000.png") as picture:
        found = np.asarray(picture)
    assert found.shape == (32, 32)
    np.testing.assert_array_equal(found, found[::4, ::4].repeat(4, 0).repeat(4, 1))
    expected = load_digits().images[0] * (255 / 16)
    np.testing.assert_allclose(found[::4, ::4], expected, atol=0.5)


@pytest.mark.parametrize("there", ["a folder", "a file"])
def test_an_existing_folder_is_refused_and_left_alone(there: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    place = tmp_path / "demo"
    if there == "a folder":
        place.mkdir()
        (place / "mine.txt").write_text("precious", encoding="utf-8")
    else:
        place.write_text("precious", encoding="utf-8")
    before = hashes(tmp_path)
    with pytest.raises(fm.UsageError, match="exists already") as caught:
        demonstration.write_digits(place)
    assert caught.value.code == "exists"
    assert hashes(tmp_path) == before


def test_without_scikit_learn_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(fm.MissingExtra, match="scikit-learn, which is not installed") as caught:
        demonstration.write_digits(tmp_path / "demo")
    assert caught.value.hint == 'pip install "fieldmark[demo]"'
    assert not (tmp_path / "demo").exists()


def test_the_command_shown_asks_for_what_the_demonstration_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def note(data: Any, net: str, **given: Any) -> Any:
        epochs = given.get("epochs", given["settings"].train.epochs)
        asked.append((str(data), net, given["settings"].changed("train", {"epochs": epochs})))
        raise fm.UsageError("seen", code="seen")

    monkeypatch.setattr(training, "train", note)
    monkeypatch.setattr(demonstration, "train_workflow", note)
    pictures = tmp_path / "demo" / "digits"
    words = demonstration.command(pictures, tmp_path / "demo")
    assert words[0] == "fieldmark"
    assert cli.run(words[1:]) == 2
    with pytest.raises(fm.UsageError, match="seen"):
        demonstration.train(pictures, tmp_path / "demo", listen=silent, command="")
    assert len(asked) == 2
    assert asked[0] == asked[1]


def test_the_picture_it_shows_is_one_of_the_test_part(finished: Finished) -> None:
    found = demonstration.one_test_picture(finished.run, finished.data)
    assert found.is_file()
    tested = {row["path"] for row in finished.rows("predictions.csv")}
    assert found.relative_to(finished.data).as_posix() in tested
