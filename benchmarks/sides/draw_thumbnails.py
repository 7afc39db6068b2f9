"""Draw many small pictures, each another one: discs of any grey on any ground, with some grain."""

import argparse
from pathlib import Path

import numpy as np

from fieldmark import rng
from fieldmark.modalities.opencv import opencv

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("number", type=int)
given = parser.parse_args()
cv2 = opencv()
for at in range(given.number):
    draws = rng.derive(0, "thumbnail", at)
    size = int(draws.integers(64, 97))
    pixels = np.full((size, size, 3), draws.integers(0, 256, 3), np.uint8)
    for _ in range(8):
        centre = tuple(draws.integers(0, size, 2).tolist())
        color = draws.integers(0, 256, 3).tolist()
        cv2.circle(pixels, centre, int(draws.integers(3, size // 3)), color, -1)
    grain = draws.integers(-20, 21, (size, size, 1))
    pixels = np.clip(pixels.astype(np.int16) + grain, 0, 255).astype(np.uint8)
    place = given.folder / f"class {at % 10}" / f"{at // 10_000:03}"
    place.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(place / f"{at * 7919:09}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])
