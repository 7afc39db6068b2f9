"""What one unit sees: held against networks in which every weight is 1."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fieldmark.networks.layers import Conv, Dense, GlobalPool, Input, Item, Network, Pool, Residual
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.sight import Sight, sights
from fieldmark.networks.volumes import Plan, plan
from tests.networks.strategies import kernels, paddings


def last_sight(body: str, size: str = "64x64x3") -> Sight:
    made = plan(parse(f"INPUT {size} -> {body} -> FC"), 2)
    return sights(made)[made.maps_at]


@pytest.mark.parametrize(
    ("body", "field", "jump"),
    [
        ("CONV 8 3x3", (3, 3), (1, 1)),
        ("CONV 8 3x5 step 2", (3, 5), (2, 2)),
        ("CONV 8 3x3 -> RELU -> BN -> DROPOUT 0.1", (3, 3), (1, 1)),
        ("CONV 8 3x3 -> POOL 2x2", (4, 4), (2, 2)),
        ("[CONV 8 3x3 -> RELU -> POOL 2x2]*2", (10, 10), (4, 4)),
        ("[CONV 8 3x3 -> RELU -> POOL 2x2]*3", (22, 22), (8, 8)),
        ("POOL 2x3", (2, 3), (2, 3)),
        ("POOL 3x3 step 2 -> DWCONV 3x1", (7, 3), (2, 2)),
        ("{CONV 3 3x3 same -> RELU -> CONV 3 3x3 same}", (5, 5), (1, 1)),
        ("CONV 3 1x1 step 4 -> CONV 3 2x2", (5, 5), (4, 4)),
    ],
)
def test_known_fields(body: str, field: tuple[int, int], jump: tuple[int, int]) -> None:
    assert last_sight(body) == Sight(field, jump)


def test_no_unit_sees_more_than_the_picture() -> None:
    assert last_sight("[CONV 2 5x5 same]*9", "12x30x1").field == (12, 30)


@pytest.mark.parametrize("layer", ["GAP", "GMP", "FLATTEN", "FC 3"])
def test_what_reads_whole_maps_sees_the_whole_picture(layer: str) -> None:
    made = plan(parse(f"INPUT 20x30x3 -> CONV 2 3x3 -> {layer} -> FC"), 2)
    assert sights(made)[-1].field == (20, 30)


def shadow(made: Plan) -> list[tuple[int, int]]:
    """Extent of the pixels that each position of the last map depends on, by trying every pixel.

    All kernels are 1 and all biases 0, and the pictures are black but for one pixel, so nothing
    cancels and no window's largest number hides the pixel.
    """
    weights = {
        name: np.full(shape, 0.0 if name.endswith("bias") else 1.0, np.float32)
        for name, shape in made.weight_shapes.items()
    }
    height, width, _ = made.input
    pixels = np.zeros((height * width, height, width, 1), np.uint8)
    for at in range(height * width):
        pixels[at, at // width, at % width] = 255
    session = onnxruntime.InferenceSession(
        onnx_graph(made, weights), providers=["CPUExecutionProvider"]
    )
    (maps,) = session.run(["maps"], {"pixels": pixels})
    lit = maps[:, 0].reshape(height, width, -1) > 0
    found = []
    for position in range(lit.shape[2]):
        rows, columns = np.nonzero(lit[:, :, position])
        if len(rows):
            found.append((int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1))
    return found


@st.composite
def windows(draw: st.DrawFn) -> tuple[Item, ...]:
    kernel, padding = draw(kernels), draw(paddings)
    step = draw(st.integers(1, 2))
    kind = draw(st.sampled_from(["conv", "pool", "block"]))
    if kind == "conv":
        return (Conv(1, kernel, padding, step),)
    if kind == "pool":
        return (Pool("max", kernel, padding, step),)
    return (Residual((Conv(1, kernel, "same"),)),)


@settings(max_examples=40, deadline=None)
@given(st.lists(windows(), min_size=1, max_size=3))
def test_the_field_is_the_extent_of_the_pixels_that_matter(rows: list[tuple[Item, ...]]) -> None:
    items = tuple(item for row in rows for item in row)
    made = plan(Network(Input(20, 18, 1), (*items, GlobalPool("mean"), Dense())), 2)
    seen = sights(made)[made.maps_at].field
    found = shadow(made)
    assert all(extent[0] <= seen[0] and extent[1] <= seen[1] for extent in found)
    volume = made.steps[made.maps_at].output
    assume(min(volume[0], volume[1]) >= 5)  # some position then stands clear of every border
    assert (max(rows for rows, _ in found), max(columns for _, columns in found)) == seen
