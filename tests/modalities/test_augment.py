from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.errors import ConfigError
from fieldmark.modalities import augment
from fieldmark.modalities.augment import AUGMENTATIONS, N_DRAWS, Augmentation, Warps

Picture = NDArray[np.uint8]


def smooth(side: int = 64, seed: int = 0) -> Picture:
    """A random picture without edges: sums of a few slow waves."""
    waves = np.random.default_rng(seed).uniform(-1, 1, (3, 4, 4))
    axis = np.linspace(0, math.pi, side)
    basis = np.cos(np.arange(4)[:, None] * axis)
    picture = np.einsum("cij,iy,jx->yxc", waves, basis, basis)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.ascontiguousarray(np.rint(255 * picture).astype(np.uint8))


def draws(n: int, seed: int = 1) -> NDArray[np.float64]:
    return rng.uniforms(seed, "augment", 0, ids=np.arange(n, dtype=np.uint64), n_draws=N_DRAWS)


def changed(augmentation: Augmentation, picture: Picture, row: NDArray[np.float64]) -> Picture:
    height, width = picture.shape[:2]
    matrix = augment.warp_matrices(augmentation, row[None], height, width)[0]
    gain, offset = augment.colours(augmentation, row[None])
    out = np.empty_like(picture)
    augment.apply(
        picture, matrix, float(gain[0]), float(offset[0]), border=augmentation.border, out=out
    )
    return out


def one(**parameters: float) -> Warps:
    plain = {"rotate_degrees": 0.0, "shift_x": 0.0, "shift_y": 0.0, "shear_degrees": 0.0}
    plain |= {"zoom_x": 1.0, "zoom_y": 1.0}
    values = {name: np.array([parameters.get(name, value)]) for name, value in plain.items()}
    return Warps(flip=np.array([bool(parameters.get("flip", False))]), **values)


# --- the family of changes


def test_no_augmentation_changes_nothing() -> None:
    picture = smooth()
    for row in draws(20):
        assert (changed(augment.NONE, picture, row) == picture).all()


def test_a_flip_alone_is_exact() -> None:
    picture = smooth()
    found = [changed(Augmentation(flip=True), picture, row) for row in draws(200)]
    flipped = [(one == picture[:, ::-1]).all() for one in found]
    assert all(
        is_flip or (one == picture).all() for is_flip, one in zip(flipped, found, strict=True)
    )
    assert 60 <= sum(flipped) <= 140


@pytest.mark.parametrize("width", [8, 63, 64, 224, 2047])
def test_the_flip_matrix_is_recognised_at_every_width(width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, width, 3), dtype=np.uint8)
    out = np.empty_like(picture)
    augment.apply(picture, one(flip=True).matrices(8, width)[0], out=out)
    assert (out == picture[:, ::-1]).all()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_draws_give_the_same_picture(name: str) -> None:
    picture = smooth()
    for row in draws(5):
        first = changed(AUGMENTATIONS[name], picture, row)
        assert (first == changed(AUGMENTATIONS[name], picture, row)).all()


@pytest.mark.parametrize("name", ["light", "strong", "article"])
def test_other_draws_give_other_pictures(name: str) -> None:
    found = {changed(AUGMENTATIONS[name], smooth(), row).tobytes() for row in draws(20)}
    assert len(found) == 20


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(32, 32), (24, 40), (40, 24)])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_and_type_stay_and_the_source_is_not_touched(
    name: str, shape: tuple[int, int], channels: int
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, channels), dtype=np.uint8)
    before = picture.copy()
    picture.flags.writeable = False  # as in a mapped cache
    for row in draws(8):
        out = changed(AUGMENTATIONS[name], picture, row)
        assert out.shape == picture.shape
        assert out.dtype == np.uint8
    assert (picture == before).all()


def test_a_picture_is_written_into_its_place_in_a_batch() -> None:
    batch = np.full((3, 32, 32, 1), 99, np.uint8)
    picture = smooth(32)[:, :, :1]
    matrix = one(rotate_degrees=30.0).matrices(32, 32)[0]
    augment.apply(picture, matrix, 0.5, 3.0, border="edge", out=batch[1])
    assert (batch[[0, 2]] == 99).all()
    assert (batch[1] != 99).any()


@given(st.floats(0, 1, exclude_max=True), st.sampled_from(["light", "strong", "article"]))
def test_parameters_stay_inside_their_ranges(draw: float, name: str) -> None:
    chosen = AUGMENTATIONS[name]
    found = augment.warps(chosen, np.full((1, N_DRAWS), draw), 50, 100)
    assert abs(found.rotate_degrees[0]) <= chosen.rotate_degrees
    assert abs(found.shear_degrees[0]) <= chosen.shear_degrees
    assert abs(found.shift_x[0]) <= chosen.shift * 100 + 1e-9
    assert abs(found.shift_y[0]) <= chosen.shift * 50 + 1e-9
    assert abs(found.zoom_x[0] - 1) <= chosen.zoom + 1e-9
    gain, offset = augment.colours(chosen, np.full((1, N_DRAWS), draw))
    assert abs(gain[0] - 1) <= chosen.contrast + 1e-9
    assert abs(127.5 * gain[0] + offset[0] - 127.5) <= 255 * chosen.brightness + 1e-9


def test_the_whole_range_is_used() -> None:
    found = augment.warps(augment.ARTICLE, draws(4000), 64, 64)
    for zoom in (found.zoom_x, found.zoom_y):
        assert zoom.min() < 0.805
        assert zoom.max() > 1.195
        assert abs(zoom.mean() - 1) < 0.01
    assert abs(found.flip.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(found.zoom_x, found.zoom_y)[0, 1]) < 0.05


def test_zoom_may_keep_the_aspect() -> None:
    found = augment.warps(augment.LIGHT, draws(100), 64, 64)
    assert (found.zoom_x == found.zoom_y).all()


def test_a_range_of_zero_leaves_the_identity() -> None:
    matrices = augment.warp_matrices(Augmentation(brightness=0.5), draws(10), 33, 47)
    assert (matrices == np.array([[1, 0, 0], [0, 1, 0]], np.float32)).all()


def test_the_middle_stays_where_it_is() -> None:
    matrices = augment.warp_matrices(
        Augmentation(rotate_degrees=90, zoom=0.5, shear_degrees=20, flip=True), draws(50), 31, 61
    )
    middle = np.array([30.0, 15.0, 1.0])
    assert np.allclose(matrices @ middle, middle[:2], atol=1e-4)


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    picture = smooth(33)
    out = np.empty_like(picture)
    augment.apply(picture, one(rotate_degrees=90.0).matrices(33, 33)[0], out=out)
    turned = [np.abs(np.rot90(picture, k).astype(int) - out).max() for k in (1, 3)]
    assert min(turned) <= 1


def test_a_shift_by_whole_pixels_moves_pixels() -> None:
    picture = smooth(32)
    out = np.empty_like(picture)
    augment.apply(picture, one(shift_x=3.0, shift_y=-2.0).matrices(32, 32)[0], out=out)
    assert (out[2:, :-3] == picture[:-2, 3:]).all()


@pytest.mark.parametrize(("border", "expected"), [("edge", 0), ("reflect", 30)])
def test_what_comes_from_outside_is_the_edge_or_a_reflection(
    border: augment.Border, expected: int
) -> None:
    ramp = np.repeat((np.arange(32) * 10 % 256).astype(np.uint8)[None, :, None], 8, axis=0)
    out = np.empty_like(ramp)
    augment.apply(ramp, one(shift_x=-3.0).matrices(8, 32)[0], border=border, out=out)
    assert (out[:, 0] == expected).all()


# --- colour


def test_brightness_adds_and_stops_at_white_and_black() -> None:
    picture = np.array([[0, 100, 250]], np.uint8)[:, :, None].repeat(8, axis=0)
    identity = one().matrices(8, 3)[0]
    out = np.empty_like(picture)
    augment.apply(picture, identity, 1.0, 20.0, out=out)
    assert out[0, :, 0].tolist() == [20, 120, 255]
    augment.apply(picture, identity, 1.0, -20.0, out=out)
    assert out[0, :, 0].tolist() == [0, 80, 230]  # below black is black, not its mirror image


def test_contrast_turns_around_the_middle_grey() -> None:
    gain, offset = augment.colours(Augmentation(contrast=0.5), draws(100))
    assert np.allclose(gain * 127.5 + offset, 127.5)
    assert gain.min() < 0.6 < 1.4 < gain.max()


def test_colour_is_left_alone_unless_asked_for() -> None:
    gain, offset = augment.colours(augment.ARTICLE, draws(50))
    assert (gain == 1).all()
    assert (offset == 0).all()
    assert not augment.ARTICLE.changes_colour
    assert augment.LIGHT.changes_colour


# --- settings


@pytest.mark.parametrize(
    ("name", "value"),
    [("zoom", 1.0), ("zoom", -0.1), ("shear_degrees", 90), ("shift", 2), ("brightness", math.nan)],
)
def test_ranges_without_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is .* is possible"):
        Augmentation(**{name: value})  # type: ignore[arg-type]


def test_an_unknown_border_is_refused() -> None:
    with pytest.raises(ConfigError, match="'wrap'; edge or reflect"):
        Augmentation(border="wrap")  # type: ignore[arg-type]


def test_the_article_means_what_its_script_did() -> None:
    expected = Augmentation(shear_degrees=0.2, zoom=0.2, flip=True, border="edge")
    assert AUGMENTATIONS["article"] == expected


def test_the_names_are_in_order_of_strength() -> None:
    assert list(AUGMENTATIONS) == ["none", "light", "strong", "article"]


# --- the same family as Keras' ImageDataGenerator


KERAS_CASES = [
    {},
    {"theta": 17.0},
    {"theta": -90.0},
    {"tx": 3.25, "ty": -2.5},
    {"shear": 0.2},
    {"shear": 20.0},
    {"zx": 0.8, "zy": 1.2},
    {"theta": 12.0, "tx": 2.0, "ty": 4.5, "shear": 11.0, "zx": 0.85, "zy": 1.15},
    {"theta": -40.0, "tx": -5.0, "ty": 1.0, "shear": -30.0, "zx": 1.3, "zy": 0.7},
]


def ours(case: dict[str, float]) -> Warps:
    return one(
        rotate_degrees=case.get("theta", 0.0),
        shift_x=case.get("tx", 0.0),
        shift_y=case.get("ty", 0.0),
        shear_degrees=case.get("shear", 0.0),
        zoom_x=case.get("zx", 1.0),
        zoom_y=case.get("zy", 1.0),
    )


def keras_matrix(case: dict[str, float], side: int) -> NDArray[np.float64]:
    """What apply_affine_transform of Keras 2 and 3 composes, written out from its source."""
    theta, shear = math.radians(case.get("theta", 0.0)), math.radians(case.get("shear", 0.0))
    rotation = np.array(
        [[math.cos(theta), -math.sin(theta), 0], [math.sin(theta), math.cos(theta), 0], [0, 0, 1]]
    )
    shift = np.array([[1, 0, case.get("tx", 0.0)], [0, 1, case.get("ty", 0.0)], [0, 0, 1]])
    shearing = np.array([[1, -math.sin(shear), 0], [0, math.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([case.get("zx", 1.0), case.get("zy", 1.0), 1.0])
    middle = side / 2 - 0.5
    there = np.array([[1, 0, middle], [0, 1, middle], [0, 0, 1]])
    back = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]])
    return (there @ rotation @ shift @ shearing @ zoom @ back)[:2]


@pytest.mark.parametrize("case", KERAS_CASES, ids=str)
@pytest.mark.parametrize("side", [31, 64])
def test_the_matrix_is_that_of_keras(case: dict[str, float], side: int) -> None:
    found = ours(case).matrices(side, side)[0]
    # 1e-6 of the side: float32 holds offsets of about 64 to 4e-6.
    assert np.allclose(found, keras_matrix(case, side), rtol=1e-6, atol=1e-6 * side)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("case", KERAS_CASES, ids=str)
def test_the_picture_is_that_of_keras(case: dict[str, float]) -> None:
    pytest.importorskip("scipy", reason="Keras warps with SciPy")
    legacy = pytest.importorskip(
        "keras.src.legacy.preprocessing.image", reason="Keras is not installed"
    )
    picture = smooth()
    expected = legacy.apply_affine_transform(
        picture.astype(np.float32), row_axis=0, col_axis=1, channel_axis=2, **case
    )
    found = np.empty_like(picture)
    augment.apply(picture, ours(case).matrices(64, 64)[0], border="edge", out=found)
    difference = np.abs(found - expected)
    # OpenCV 5 rounds once; OpenCV 4 also places positions on steps of 1/32 pixel.
    assert difference.mean() < 1
    assert np.percentile(difference, 99) < 4


def test_a_shrunk_picture_is_the_average_of_each_area() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 24, 32, 3), dtype=np.uint8)
    found = augment.shrunk(images, 6, 16)
    means = images.reshape(3, 6, 4, 16, 2, 3).mean(axis=(2, 4))
    assert found.shape == (3, 6, 16, 3)
    assert np.abs(found - means).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_by_a_broken_factor_keeps_shape_type_and_brightness(channels: int) -> None:
    images = np.repeat(smooth(60)[None, :, :, :channels], 2, axis=0)
    found = augment.shrunk(images, 44, 52)
    assert (found.shape, found.dtype) == ((2, 44, 52, channels), np.uint8)
    assert found.mean() == pytest.approx(images.mean(), abs=1)
