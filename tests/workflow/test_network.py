from __future__ import annotations

from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark.config import Settings
from fieldmark.networks import CATALOGUE
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.workflow.choosing import _fits, choose, network_named, trainable_sizes

LIST = "INPUT 16x16x3 -> CONV 4 3x3 -> RELU -> GAP -> FC"


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_name_gives_the_catalogues_list(name: str) -> None:
    made = fm.net(name)
    assert (made.name, str(made)) == (name, str(CATALOGUE[name].network()))
    assert str(fm.net(name, size=32)).startswith("INPUT 32x32x3")


def test_the_tutorials_last_layer_depends_on_the_classes() -> None:
    assert str(fm.net("tutorial", classes=2)).endswith("FC 1")
    assert str(fm.net("tutorial", classes=3)).endswith("FC")


def test_a_list_and_a_file_that_holds_one_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("# my own\n" + LIST.replace(" -> ", "\n"), encoding="utf-8")
    by_text, by_file = fm.net(LIST), fm.net(str(file))
    assert str(by_text) == str(by_file) == LIST
    assert (by_text.name, by_file.name) == ("layers", "mine")


def test_a_list_may_begin_with_a_remark_or_in_small_letters() -> None:
    assert str(fm.net("# tiny\n" + LIST)) == LIST
    assert str(fm.net("  input 16x16x3 -> GAP -> FC")) == "INPUT 16x16x3 -> GAP -> FC"


def test_a_size_wins_over_the_lists_own() -> None:
    assert str(fm.net(LIST, size=40)) == LIST.replace("16x16", "40x40")
    asked = Settings().changed("net", {"name": "layers", "layers": LIST, "size": 40})
    assert choose(asked, n_classes=2, n_train=10).spec.shape == (40, 40, 3)


def test_a_list_that_is_wrong_is_no_unknown_name() -> None:
    with pytest.raises(fm.LayerListError, match=r"\w") as caught:
        fm.net("CONV 4 3x3 -> FC")
    assert caught.value.code == "layer-list"


def test_the_table_takes_a_number_or_names_of_classes() -> None:
    made = fm.net(LIST)
    assert made.table(classes=5) == made.table(classes=["a", "b", "c", "d", "e"])
    assert made.table(classes=5).n_weights == (3 * 3 * 3 * 4 + 4) + (4 * 5 + 5)


def test_a_layer_that_does_not_fit_is_said_by_the_table() -> None:
    with pytest.raises(fm.LayerListError, match=r"\w") as caught:
        fm.net("INPUT 8x8x3 -> CONV 4 9x9 -> FC").table()
    assert caught.value.code == "layer-list"


@pytest.mark.parametrize("name", ["resnet50", "", "no/such/file.txt"])
def test_what_is_no_network_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(fm.UsageError, match="There is no network") as caught:
        fm.net(name)
    assert caught.value.code == "net-unknown"
    assert "tutorial, small, residual" in caught.value.hint


def test_a_huge_file_is_no_network(tmp_path: Path) -> None:
    file = tmp_path / "big.txt"
    file.write_text(LIST + "\n" + "#" * 1_000_000, encoding="utf-8")
    with pytest.raises(fm.UsageError, match="There is no network"):
        network_named(str(file))


def test_a_given_name_wins_over_auto() -> None:
    asked = Settings().changed("net", {"name": "residual", "size": 40})
    found = choose(asked, n_classes=2, n_train=10)
    assert (found.name, found.why, found.spec.shape) == ("residual", "as asked", (40, 40, 3))


def test_the_input_of_a_list_decides_how_files_are_decoded() -> None:
    text = "INPUT 20x30x1 -> GAP -> FC"
    asked = Settings().changed("net", {"name": "layers", "layers": text})
    found = choose(asked, n_classes=2, n_train=10)
    assert found.spec.shape == (20, 30, 1)
    assert str(found.plan.network) == text


@pytest.mark.parametrize(("asked", "used"), [("auto", "stretch"), ("crop", "crop"), ("pad", "pad")])
def test_fit_is_stretch_unless_given(asked: str, used: str) -> None:
    settings = Settings().changed("data", {"fit": asked}).changed("net", {"name": "small"})
    assert choose(settings, n_classes=2, n_train=10).spec.fit == used


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [
        ("INPUT 64x64x3 -> CONV 4 3x3 same -> GMP -> FC", (8, 64)),
        ("INPUT 64x64x3 -> [CONV 4 5x5 -> POOL 2x2]*3 -> GAP -> FC", (36, 64)),
        ("INPUT 64x64x3 -> CONV 4 3x3 same -> POOL 2x2 -> FC", (0, 0)),
        ("INPUT 64x48x3 -> CONV 4 3x3 same -> GAP -> FC", (0, 0)),
    ],
)
def test_a_network_without_flatten_can_be_trained_on_smaller_pictures(
    layers: str, sizes: tuple[int, int]
) -> None:
    assert trainable_sizes(plan(parse(layers), 3)) == sizes
    assert sizes[0] in (0, 8) or not _fits(plan(parse(layers), 3), sizes[0] - 1)
