"""Facts that are not content: sorted into kinds, named, and blind to what a label says anyway."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.data.shortcuts import (
    AT_LEAST,
    BINS,
    MOST_KINDS,
    Fact,
    Kinds,
    facts,
    most_telling,
)
from fieldmark.modalities.looking import LOOK

NAMES = (
    "size",
    "shape",
    "compression",
    "format",
    "camera",
    "border",
    "file name",
    "colour",
)


def gathered(
    n: int = 40,
    *,
    paths: Sequence[str] | None = None,
    classes: Sequence[str] = ("cat", "dog"),
    **values: object,
) -> dict[str, Fact]:
    rows = np.zeros(n, LOOK)
    rows["width"], rows["height"] = 640, 480
    for name, value in values.items():
        rows[name] = value
    found = facts(rows, paths or [f"cat/{at:04}.jpg" for at in range(n)], classes)
    return {fact.name: fact for fact in found}


def kinds_of(fact: Fact, what: str) -> Kinds:
    (found,) = [each for each in fact.kinds if each.what == what]
    return found


def test_every_fact_is_asked_and_only_colour_is_content() -> None:
    found = gathered()
    assert tuple(found) == NAMES
    assert [name for name, fact in found.items() if fact.content] == ["colour"]


def test_files_that_are_alike_have_no_columns() -> None:
    for fact in gathered().values():
        assert fact.columns.shape == (40, 0), fact.name


def test_two_sizes_are_two_columns_of_zero_and_one() -> None:
    size = gathered(width=np.repeat([640, 800], 20), height=np.repeat([480, 600], 20))["size"]
    sizes = kinds_of(size, "size")
    assert sizes.names == ("640x480", "800x600")
    np.testing.assert_array_equal(sizes.columns[:, 0], np.repeat([1, 0], 20))
    np.testing.assert_array_equal(sizes.columns.sum(axis=1), 1)


def test_many_sizes_are_sorted_by_quantiles() -> None:
    width = np.arange(400) + 100
    size = gathered(400, width=width)["size"]
    widths = kinds_of(size, "width")
    assert len(widths.names) == BINS
    assert np.bincount(widths.of).tolist() == [50] * BINS
    assert {name.split()[0] for name in widths.names} >= {"below", "from"}
    assert kinds_of(size, "size").names == ("another value",)


def test_a_value_that_many_share_stands_alone_among_the_others() -> None:
    width = np.concatenate([np.full(50, 499), np.arange(350) + 100])
    widths = kinds_of(gathered(400, width=width)["size"], "width")
    of_499 = widths.of[0]
    assert widths.names[of_499] == "499"
    assert (widths.of[:50] == of_499).all()
    # The one other file of this width is among them.
    assert (widths.of == of_499).sum() == 50


def test_rare_values_are_pooled() -> None:
    camera = np.array([f"camera {at}".encode() for at in range(40)])
    camera[:AT_LEAST] = b"Canon"
    found = kinds_of(gathered(camera=camera)["camera"], "camera")
    assert found.names == ("Canon", "another value")


def test_there_are_never_more_kinds_than_a_few() -> None:
    camera = np.array([f"camera {at % 60}".encode() for at in range(3000)])
    found = kinds_of(gathered(3000, camera=camera)["camera"], "camera")
    assert len(found.names) <= MOST_KINDS + 1


def test_no_camera_is_a_kind_of_its_own() -> None:
    camera = np.repeat(np.array([b"Canon", b""]), 20)
    assert kinds_of(gathered(camera=camera)["camera"], "camera").names == ("Canon", "none")


@pytest.mark.parametrize(
    ("field", "values", "fact"),
    [
        ("format", np.repeat(np.array([b"JPEG", b"PNG"]), 20), "format"),
        ("quality", np.repeat([75, 95], 20), "compression"),
        ("n_bytes", np.repeat([10_000, 90_000], 20), "compression"),
        ("width", np.repeat([640, 1280], 20), "shape"),
        ("border_spread", np.repeat([0.0, 40.0], 20), "border"),
        ("brightness", np.repeat([60.0, 160.0], 20), "colour"),
        ("mean_color", np.repeat([[9, 9, 9], [9, 90, 9]], 20, axis=0), "colour"),
        ("border_color", np.repeat([[9, 9, 9], [9, 9, 90]], 20, axis=0), "colour"),
    ],
)
def test_what_differs_is_in_the_columns_of_its_fact(
    field: str, values: np.ndarray, fact: str
) -> None:
    columns = gathered(**{field: values})[fact].columns
    assert columns.shape[1] >= 2
    first, second = columns[:20], columns[20:]
    assert not (first.max(axis=0) * second.max(axis=0)).any()


# --- file names


def name_columns(paths: Sequence[str], classes: Sequence[str] = ("cat", "dog")) -> np.ndarray:
    return gathered(len(paths), paths=paths, classes=classes)["file name"].columns


def test_a_word_before_the_digits_is_a_fact() -> None:
    paths = [f"cat/IMG_{at:04}.jpg" for at in range(20)] + [
        f"dog/DSC_{at:04}.jpg" for at in range(20)
    ]
    fact = gathered(paths=paths)["file name"]
    assert kinds_of(fact, "beginning with").names == ("dsc", "img")


@pytest.mark.parametrize(
    ("first", "second", "classes"),
    [
        ("cat.{}.jpg", "dog.{}.jpg", ("cats", "dogs")),
        ("cat_{}.jpg", "kitten_{}.jpg", ("cat", "kitten")),
        ("Golden_Retriever-{}.jpg", "pug-{}.jpg", ("golden retriever", "pug")),
        ("glass {}.jpg", "paper {}.jpg", ("glass", "paper")),
        ("a/cat {}.jpg", "b/{} dog.jpg", ("cat", "dog")),
    ],
)
def test_a_class_s_own_name_is_the_label_once_more_and_no_fact(
    first: str, second: str, classes: tuple[str, str]
) -> None:
    paths = [first.format(at) for at in range(100, 120)]
    paths += [second.format(at) for at in range(120, 140)]
    fact = gathered(paths=paths, classes=classes)["file name"]
    assert kinds_of(fact, "beginning with").names == ("none",)
    assert len(kinds_of(fact, "with digits:").names) == 1


def test_a_class_s_name_inside_another_word_stays() -> None:
    paths = [f"{at}/category{at:03}.jpg" for at in range(40)]
    assert kinds_of(gathered(paths=paths)["file name"], "beginning with").names == ("category",)


def test_a_class_named_by_a_digit_takes_no_digit_out_of_a_name() -> None:
    paths = [f"{at % 10}/{at:05}.png" for at in range(60)]
    assert name_columns(paths, [str(digit) for digit in range(10)]).shape == (60, 0)


def test_folders_are_no_fact() -> None:
    paths = [f"{'cat' if at < 20 else 'dog'}/{at:03}.jpg" for at in range(40)]
    assert name_columns(paths).shape == (40, 0)


def test_names_that_are_unique_hardly_matter() -> None:
    rng = np.random.default_rng(0)
    paths = [f"x/{rng.bytes(16).hex()}.jpg" for _ in range(400)]
    columns = name_columns(paths)
    assert columns.shape[1] <= MOST_KINDS + 2 * BINS
    assert gathered(400, paths=paths)["file name"].kinds[0].names[0] in ("another value", "a", "b")


def test_an_ending_is_a_fact() -> None:
    paths = [f"{at}.jpg" for at in range(20, 40)] + [f"{at}.JPG" for at in range(40, 60)]
    assert kinds_of(gathered(paths=paths)["file name"], "ending in").names == (".JPG", ".jpg")


@given(
    st.lists(st.text(min_size=0, max_size=12), min_size=1, max_size=40),
    st.lists(st.text(min_size=0, max_size=5), min_size=0, max_size=4),
)
def test_any_name_is_borne(names: list[str], classes: list[str]) -> None:
    paths = [name.replace("/", "") or "x" for name in names]
    columns = name_columns(paths, classes)
    assert np.isin(columns, (0, 1)).all()


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=80), st.integers(0, 5))
def test_every_file_is_of_one_kind_of_every_value(sizes: list[float], repeat: int) -> None:
    values = np.array(sizes * (repeat + 1))
    fact = gathered(len(values), border_spread=values)["border"]
    (kinds,) = fact.kinds
    assert kinds.of.min() >= 0
    assert kinds.of.max() < len(kinds.names)
    assert len(set(kinds.names)) == len(kinds.names)


# --- what a value tells


def test_the_most_telling_value_is_named_with_its_figure() -> None:
    sizes = np.concatenate([np.full(50, 640), np.full(50, 800)])
    labels = np.repeat([0, 1], 50)
    labels[0] = 1
    fact = gathered(100, width=sizes, height=sizes * 3 // 4)["size"]
    assert str(most_telling(fact, labels, ("cat", "dog"))) == "640x480: 98 % of 50 are cat"


def test_a_rare_value_must_be_surer() -> None:
    """9 of 9 is less than 180 of 200."""
    of = np.array([0] * 9 + [1] * 200 + [2] * 191)
    labels = np.array([0] * 9 + [0] * 180 + [1] * 20 + [0] * 11 + [1] * 180)
    fact = Fact("camera", (Kinds("camera", ("rare", "often", "other"), of),))
    found = most_telling(fact, labels, ("cat", "dog"))
    assert found is not None
    assert found.value in ("often", "other")
    assert found.n > 100


def test_one_value_tells_nothing() -> None:
    assert most_telling(gathered()["camera"], np.arange(40) % 2, ("cat", "dog")) is None
